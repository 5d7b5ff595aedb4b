# SPDX-License-Identifier: Apache-2.0
"""libtrit, loaded: `ffi`, `lib` and `new`. Nothing else in the package knows where the
library lies.

The order: the file TRIT_LIBRARY names, the one carried in the package, the
system's. A carried library's own needs are loaded before it, by their names:
the loader then takes those instead of looking for the system's.
"""
from __future__ import annotations

import ctypes
import os
import pathlib
import re
import weakref
from typing import Any

from ._ffi import ffi
from ._version import VERSION

_CARRIED = pathlib.Path(__file__).parent / "_lib"


def _load():
    named = os.environ.get("TRIT_LIBRARY")
    if named:
        return ffi.dlopen(named)
    carried = _CARRIED / "libtrit.so"
    if not carried.exists():
        return ffi.dlopen("libtrit.so.1")
    try:
        return ffi.dlopen(str(carried))
    except OSError:
        for needed in sorted(_CARRIED.glob("lib*.so.*[0-9]")):
            ctypes.CDLL(str(needed), mode=ctypes.RTLD_GLOBAL)
        return ffi.dlopen(str(carried))


lib = _load()

def _numbers(version: str) -> tuple:
    return tuple(map(int, re.findall(r"\d+", version)))


# A newer library of the same soname serves: docs/abi.md. An older one may lack functions.
_found = ffi.string(lib.trit_version()).decode()
if _numbers(_found) < _numbers(VERSION):
    raise ImportError(f"libtrit is {_found}, the package trit needs {VERSION} or newer")

# Structs that point to other structs of the caller: member and type (docs/abi.md).
_POINTED = {
    "struct trit_report_query *": {"call": "call_options"},
    "struct trit_project_options *": {"layer": "layer_ref", "call": "call_options"},
    "struct trit_projection *": {"report": "report"},
    "struct trit_verify_options *": {"layer": "layer_ref", "call": "call_options"},
    "struct trit_unpack_options *": {"call": "call_options"},
    "struct trit_forward_options *": {"call": "call_options"},
    "struct trit_forward *": {"y": "array"},
    "struct trit_gradients *": {"input": "array", "weight": "array", "bias": "array"},
    "struct trit_layer_get_options *": {"call": "call_options"},
    "struct trit_layer *": {"spec": "layer_spec", "weight": "array", "bias": "array"},
    "struct trit_layer_verify_options *": {"call": "call_options"},
}
_kept: "weakref.WeakKeyDictionary[Any, list]" = weakref.WeakKeyDictionary()


def new(kind: str, values: Any = None) -> Any:
    """`ffi.new` of a struct of libtrit that begins with its size.

    Makes the structs that it points to as well, which live as long as it does.
    """
    made = ffi.new(kind, values)
    made.size = ffi.sizeof(made[0])
    for member, pointed in _POINTED.get(kind, {}).items():
        part = new(f"struct trit_{pointed} *")
        setattr(made, member, part)
        _kept.setdefault(made, []).append(part)
    return made
