# SPDX-License-Identifier: Apache-2.0
"""libtrit, loaded: `ffi`, `lib` and `new`.

It is the file that TRIT_LIBRARY names, else the one in the package, else the system's.
"""

from __future__ import annotations

import os
import pathlib
import re
import weakref
from typing import Any

from ._ffi import ffi
from ._version import VERSION

__all__ = ["ffi", "lib", "new"]


def _load() -> Any:
    named = os.environ.get("TRIT_LIBRARY")
    if named:
        return ffi.dlopen(named)
    carried = pathlib.Path(__file__).parent / "_lib" / "libtrit.so"
    return ffi.dlopen(str(carried) if carried.exists() else "libtrit.so.1")


lib = _load()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


# A newer library of the same soname serves: docs/abi.md. An older one may lack functions.
_found = ffi.string(lib.trit_version()).decode()
if _numbers(_found) < _numbers(VERSION):
    raise ImportError(f"libtrit is {_found}, the package trit needs {VERSION} or newer")

# Structs that point to other structs of the caller: member and type (docs/abi.md).
_POINTED = {
    "struct trit_report_query *": {"call": "call_options"},
    "struct trit_watch_options *": {"call": "call_options"},
    "struct trit_project_options *": {"layer": "layer_ref", "call": "call_options"},
    "struct trit_batch_options *": {"call": "call_options"},
    "struct trit_projection *": {"report": "report"},
    "struct trit_verify_options *": {"layer": "layer_ref", "call": "call_options"},
    "struct trit_unpack_options *": {"call": "call_options"},
    "struct trit_pack_options *": {"layer": "layer_ref", "call": "call_options"},
    "struct trit_forward_options *": {"call": "call_options"},
    "struct trit_forward *": {"y": "array"},
    "struct trit_gradients *": {"input": "array", "weight": "array", "bias": "array"},
    "struct trit_layer_get_options *": {"call": "call_options"},
    "struct trit_layer *": {"spec": "layer_spec", "weight": "array", "bias": "array"},
    "struct trit_layer_verify_options *": {"call": "call_options"},
    "struct trit_run_options *": {
        "layer": "layer_ref",
        "report": "report",
        "call": "call_options",
    },
    "struct trit_job_request *": {"call": "call_options"},
    "struct trit_job_progress *": {"report": "report"},
}
# What a struct points to lives as long as the struct.
_parts: weakref.WeakKeyDictionary[Any, list[Any]] = weakref.WeakKeyDictionary()


def new(kind: str, values: Any = None) -> Any:
    """A struct of libtrit with its size, and the structs that it points to."""
    struct = ffi.new(kind, values)
    struct.size = ffi.sizeof(struct[0])
    for member, pointed in _POINTED.get(kind, {}).items():
        part = new(f"struct trit_{pointed} *")
        setattr(struct, member, part)
        _parts.setdefault(struct, []).append(part)
    return struct
