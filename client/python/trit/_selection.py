# SPDX-License-Identifier: Apache-2.0
"""Names chosen by patterns, as a shell has them."""
from __future__ import annotations

import fnmatch
from typing import Iterable, Union

Patterns = Union[None, str, Iterable[str]]


def selected(name: str, include: Patterns, exclude: Patterns) -> bool:
    """Whether a name is meant: any of `include` (None: all), none of `exclude`."""
    def among(patterns: Patterns) -> bool:
        every = [patterns] if isinstance(patterns, str) else patterns or ()
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in every)

    return (include is None or among(include)) and not among(exclude)
