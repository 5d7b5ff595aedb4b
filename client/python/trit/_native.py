# SPDX-License-Identifier: Apache-2.0
"""libtrit, loaded: `ffi`, `lib` and `new`.

It is the file that TRIT_LIBRARY names, else the one in the package, else the system's. The
libraries that the one in the package needs are loaded before it, so that the loader does not
look for the system's.
"""

from __future__ import annotations

import ctypes
import os
import pathlib
from typing import Any

from ._ffi import ffi
from ._version import VERSION

__all__ = ["ffi", "lib", "new"]

_CARRIED = pathlib.Path(__file__).parent / "_lib"


def _load() -> Any:
    named = os.environ.get("TRIT_LIBRARY")
    if named:
        return ffi.dlopen(named)
    carried = _CARRIED / "libtrit.so"
    if not carried.exists():
        return ffi.dlopen("libtrit.so.0")
    try:
        return ffi.dlopen(str(carried))
    except OSError:
        for needed in sorted(_CARRIED.glob("lib*.so.*[0-9]")):
            ctypes.CDLL(str(needed), mode=ctypes.RTLD_GLOBAL)
        return ffi.dlopen(str(carried))


lib = _load()

# A library of another version may have other structs, which cffi cannot notice.
if ffi.string(lib.trit_version()).decode() != VERSION:
    raise ImportError(
        f"libtrit is {ffi.string(lib.trit_version()).decode()}, the package trit is {VERSION}"
    )


def new(kind: str, values: Any = None) -> Any:
    """A struct of libtrit."""
    return ffi.new(kind, values)
