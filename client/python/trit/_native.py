# SPDX-License-Identifier: Apache-2.0
"""libtrit, loaded: `ffi` and `lib`. Nothing else in the package knows where the
library lies.

The order: the file TRIT_LIBRARY names, the one carried in the package, the
system's. A carried library's own needs are loaded before it, by their names:
the loader then takes those instead of looking for the system's.
"""
from __future__ import annotations

import ctypes
import os
import pathlib

from ._ffi import ffi
from ._version import VERSION

_CARRIED = pathlib.Path(__file__).parent / "_lib"


def _load():
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

# The declarations have no way to see the structs the library was built with; a
# library of another version may have others.
if ffi.string(lib.trit_version()).decode() != VERSION:
    raise ImportError(f"libtrit is {ffi.string(lib.trit_version()).decode()}, "
                      f"the package trit is {VERSION}")
