# SPDX-License-Identifier: Apache-2.0
"""Which code of a model reads the weight of another module.

Such code would multiply by latents once the module is ternary. The bytecode of each
`__call__`, and of the methods that it calls, is searched for `self.a.b.weight` and for local
names of `self.a.b`.
"""

from __future__ import annotations

import dis
import types
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple

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
