# SPDX-License-Identifier: Apache-2.0
"""Checks of arguments.

The exception names the argument, and the type of a value that has the wrong one.
"""

from __future__ import annotations

import enum
import math
import numbers
import operator
import os
from typing import Any, Optional, Tuple, Type, TypeVar, Union

import numpy as np

from ._native import ffi
from .errors import InvalidArgument, InvalidType

PathLike = Union[str, "os.PathLike[str]"]

_Enum = TypeVar("_Enum", bound=enum.IntEnum)
_F32_MAX = float(np.finfo(np.float32).max)


def wrong_type(field: str, expected: str, value: Any) -> InvalidType:
    """The exception for a value of the wrong type; the caller raises it."""
    kind = type(value).__name__
    return InvalidType(f"{field}: must be {expected}, not {kind} ({_shown(value)})", field)


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def check_text(value: str, field: str) -> str:
    """A string that C can hold: it has no NUL character."""
    if not isinstance(value, str):
        raise wrong_type(field, "a str", value)
    if "\0" in value:
        raise InvalidArgument(f"{field}: {value!r} has a NUL character", field)
    return value


def _utf8(value: str, field: str, shown: str) -> bytes:
    """UTF-8; a str of Python may have half of a surrogate pair, which has none."""
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(
            f"{field}: {shown}has the surrogate {value[error.start]!r}, which is no character",
            field,
        ) from None


def c_text(value: str, field: str) -> Any:
    """A string as C memory."""
    return ffi.new("char[]", _utf8(check_text(value, field), field, f"{value!r} "))


def c_secret(value: str, field: str) -> Any:
    """A string as C memory; no message shows it."""
    if not isinstance(value, str):
        raise InvalidType(f"{field}: must be a str, not {type(value).__name__}", field)
    if "\0" in value:
        raise InvalidArgument(f"{field}: has a NUL character", field)
    return ffi.new("char[]", _utf8(value, field, ""))


def _integer(value: int, field: str) -> int:
    if isinstance(value, (bool, np.bool_)):
        raise wrong_type(field, "an int", value)
    try:
        return operator.index(value)
    except TypeError:
        raise wrong_type(field, "an int", value) from None


def unsigned(value: int, limit: int, field: str, low: int = 0) -> int:
    """An integer from `low` to `limit` - 1."""
    number = _integer(value, field)
    if not low <= number < limit:
        raise InvalidArgument(f"{field}: {_shown(value)} is not in {low} to {limit - 1}", field)
    return number


def flag(value: bool, field: str) -> bool:
    """A truth value."""
    if not isinstance(value, (bool, np.bool_)):
        raise wrong_type(field, "a bool", value)
    return bool(value)


def real(value: Optional[float], field: str) -> float:
    """A real number; 0 for None."""
    if value is None:
        return 0.0
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise wrong_type(field, "a number", value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if abs(number) > _F32_MAX and value not in (math.inf, -math.inf):
        raise InvalidArgument(f"{field}: {_shown(value)} is beyond the range of f32", field)
    return number


def member(kind: Type[_Enum], value: Union[_Enum, int, str], field: str) -> _Enum:
    """A member of an enum, given as the member, its number or its name in any case."""
    names = ", ".join(one.name.lower() for one in kind)
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (str, int, np.integer)):
        raise wrong_type(field, f"a trit.{kind.__name__} or its name", value)
    try:
        return kind[value.upper()] if isinstance(value, str) else kind(value)
    except (KeyError, ValueError):
        raise InvalidArgument(f"{field}: {value!r} is not one of {names}", field) from None


def member_or_none(
    kind: Type[_Enum], value: Union[None, _Enum, int, str], field: str
) -> Optional[_Enum]:
    """The same for an argument that may be missing."""
    return None if value is None else member(kind, value, field)


def path_of(value: PathLike, field: str) -> str:
    """A file's path."""
    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else value
    if not isinstance(path, str):
        raise wrong_type(field, "a path (str or os.PathLike)", value)
    return path


def shape_of(value: Any, field: str) -> Tuple[int, ...]:
    """A tensor's shape: a sequence of integers."""
    expected = "a sequence of int"
    if isinstance(value, (str, bytes)):
        raise wrong_type(field, expected, value)
    try:
        axes = tuple(value)
    except TypeError:
        raise wrong_type(field, expected, value) from None
    return tuple(unsigned(axis, 2**64, field) for axis in axes)


def positive(value: int, field: str, limit: int = 2**63) -> int:
    """An integer from 1 to `limit` - 1."""
    return unsigned(value, limit, field, 1)


def given(value: Optional[int], field: str, limit: int, default: str) -> int:
    """An integer from 1 to `limit` - 1; 0, which C takes for the default, for None."""
    if value is None:
        return 0
    if _integer(value, field) == 0:
        raise InvalidArgument(
            f"{field}: 0 is not in 1 to {limit - 1}; leave it out for {default}", field
        )
    return positive(value, field, limit)
