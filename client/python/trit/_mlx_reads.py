# SPDX-License-Identifier: Apache-2.0
"""Which code of a model reads the weight of another module.

Such code would multiply by latents once the module is ternary. Before a conversion the
bytecode of each `__call__`, and of the methods that it calls, is searched for
`self.a.b.weight` and for local names of `self.a.b`. That finds no other way to the weight, so
each read of a converted layer's weight also looks at the stack: in a forward pass it raises.
"""

from __future__ import annotations

import dis
import functools
import os
import types
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple

import mlx.core as mx
import mlx.nn as nn

from .errors import InvalidArgument

Path = Tuple[str, ...]

# What follows a read of `weight` that does not use its values.
_HARMLESS = {"shape", "dtype", "ndim", "size", "nbytes", "itemsize"}


def _pushed(one: dis.Instruction) -> Optional[str]:
    """The local name whose value an instruction leaves on top of the stack."""
    if not one.opname.startswith(("LOAD_FAST", "STORE_FAST_LOAD_FAST")):
        return None
    return str(one.argval[-1] if isinstance(one.argval, tuple) else one.argval)


def _stored(one: dis.Instruction) -> Optional[str]:
    """The local name that an instruction gives the top of the stack."""
    if not one.opname.startswith("STORE_FAST"):
        return None
    return str(one.argval[0] if isinstance(one.argval, tuple) else one.argval)


def _paths(code: types.CodeType) -> Iterator[Tuple[Path, Optional[str]]]:
    """The attributes of `self` that code reads, each with the attribute read from it next."""
    if not code.co_argcount:
        return
    known: Dict[str, Path] = {code.co_varnames[0]: ()}
    path: Optional[Path] = None
    ready: List[Tuple[Path, Optional[str]]] = []
    for one in dis.get_instructions(code):
        attribute = one.argval if one.opname in ("LOAD_ATTR", "LOAD_METHOD") else None
        if path:
            ready.append((path, attribute))
        if attribute is not None:
            path = None if path is None else (*path, attribute)
            continue
        stored, pushed = _stored(one), _pushed(one)
        if stored is not None:
            if path is None:
                known.pop(stored, None)
            else:
                known[stored] = path
        if one.opname not in ("NOP", "CACHE", "EXTENDED_ARG", "RESUME"):
            path = known.get(pushed) if pushed is not None else None
    yield from ready


def _reads(kind: type) -> Iterator[Tuple[str, Path]]:
    """The methods that run in a forward pass, with the modules whose weight each reads."""
    waiting, done = ["__call__"], {""}
    while waiting:
        name = waiting.pop()
        code = getattr(getattr(kind, name, None), "__code__", None)
        if name in done or code is None:
            continue
        done.add(name)
        for path, next_attribute in _paths(code):
            if len(path) == 1:
                waiting.append(path[0])
            elif path[-1] == "weight" and next_attribute not in _HARMLESS:
                yield name, path[:-1]


def _follow(module: Any, path: Path) -> Any:
    for name in path:
        module = getattr(module, name, None)
    return module


def readers_of_weights(modules: Iterable[Any]) -> Dict[int, str]:
    """The method that reads the weight of a module, by the id of that module."""
    found: Dict[int, str] = {}
    by_kind: Dict[type, List[Tuple[str, Path]]] = {}
    for module in modules:
        kind = type(module)
        if kind.__module__.startswith("mlx.nn."):
            continue  # MLX's own layers call their parts
        if kind not in by_kind:
            by_kind[kind] = list(_reads(kind))
        for method, path in by_kind[kind]:
            found.setdefault(id(_follow(module, path)), f"{kind.__name__}.{method}")
    return found


# ---- reads of a converted layer -------------------------------------------------------------

# MLX's own code and this package read weights to set them up, store or convert them.
_TRUSTED = tuple(
    os.path.dirname(os.path.abspath(file)) + os.sep
    for file in (mx.__file__, nn.__file__, __file__)
)


@functools.lru_cache(maxsize=256)
def _harmless_offsets(code: types.CodeType) -> frozenset[int]:
    """Offsets of instructions after whose value only a harmless attribute is read."""
    found: List[int] = []
    before: List[int] = []  # the instruction before, which Python 3.11 has in two parts
    for one in dis.get_instructions(code):
        if one.opname in ("LOAD_ATTR", "LOAD_METHOD") and one.argval in _HARMLESS:
            found += before
        before = [*before, one.offset][-2:] if one.opname == "CALL" else [one.offset]
    return frozenset(found)


def _forward_pass(frame: Optional[types.FrameType]) -> Optional[str]:
    """The `__call__` of a module that runs on the stack."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "__call__" and code.co_argcount:
            module = frame.f_locals.get(code.co_varnames[0])
            if isinstance(module, nn.Module):
                return f"{type(module).__name__}.__call__"
        frame = frame.f_back
    return None


def check_reader(layer: str, frame: types.FrameType) -> None:
    """Refuses a read of a layer's weight in a forward pass; `frame` is the reader's."""
    code = frame.f_code
    if code.co_filename.startswith(_TRUSTED) or frame.f_lasti in _harmless_offsets(code):
        return
    reader = _forward_pass(frame)
    if reader is None:
        return
    raise InvalidArgument(
        f"{layer}.weight: {reader} reads the latents ({code.co_name}, line {frame.f_lineno}), but "
        "the layer is ternary: use layer(x), as_linear(x) or layer.ternary_weight(); "
        'layer["weight"] is the latents',
        "weight",
    )
