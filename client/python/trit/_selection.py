# SPDX-License-Identifier: Apache-2.0
"""Names chosen by shell patterns."""

from __future__ import annotations

import fnmatch
from typing import Iterable, Optional, Tuple, Union

from ._arguments import wrong_type

Patterns = Union[None, str, Iterable[str]]


def patterns_of(patterns: Patterns, field: str) -> Tuple[str, ...]:
    """Patterns as a tuple; one string is one pattern, None is none."""
    if patterns is None:
        return ()
    if isinstance(patterns, str):
        return (patterns,)
    expected = "a pattern (str) or an iterable of patterns"
    if isinstance(patterns, bytes):
        raise wrong_type(field, expected, patterns)
    try:
        given = tuple(patterns)
    except TypeError:
        raise wrong_type(field, expected, patterns) from None
    for pattern in given:
        if not isinstance(pattern, str):
            raise wrong_type(field, expected, pattern)
    return given


def matches(name: str, patterns: Tuple[str, ...]) -> Optional[str]:
    """The first pattern that matches a name; None if none does."""
    return next((one for one in patterns if fnmatch.fnmatchcase(name, one)), None)
