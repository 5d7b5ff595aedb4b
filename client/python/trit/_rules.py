# SPDX-License-Identifier: Apache-2.0
"""The rules of checkpoints, as libtrit has them: which tensors are layers, what becomes of
each, what a verification comes to. Nothing of them is written a second time here; the
results are libtrit's JSON, whose members client/include/trit.h lists."""
from __future__ import annotations

import json
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from ._arrays import View
from ._call import text, unsigned
from ._native import ffi, lib, new
from ._safetensors import Tensor
from ._selection import Patterns
from .errors import Error, InvalidArgument, error_of
from .reports import Finding
from .types import Encoding, PartialGroup, VerifyMode


def _answer(function: Any, *arguments: Any) -> None:
    """Calls a function of libtrit; its status as an exception."""
    error = new("struct trit_error *")
    status = function(*arguments, error)
    if status != lib.TRIT_OK:
        raise error_of(status, ffi.string(error.message).decode("utf-8", "replace"),
                       ffi.string(error.field).decode().replace("options.", ""))


def _made(kind: str, function: Any, free: Any, *arguments: Any) -> Any:
    """An object of libtrit that frees itself."""
    out = ffi.new(f"struct {kind} **")
    _answer(function, out, *arguments)
    return ffi.gc(out[0], free)


def _json(function: Any, *arguments: Any) -> Any:
    out = ffi.new("char **")
    _answer(function, *arguments, out)
    try:
        return json.loads(ffi.string(out[0]))
    finally:
        lib.trit_free(out[0])


# ---- options ------------------------------------------------------------------------------

class Options(NamedTuple):
    """A `struct trit_checkpoint_options`; None leaves a choice to the rules and to the
    record of the file."""

    include: Patterns = None
    exclude: Patterns = None
    convolutions: bool = False
    encoding: Optional[Encoding] = None
    group_size: Optional[int] = None
    partial_group: Optional[PartialGroup] = None
    mode: VerifyMode = VerifyMode.TERNARY
    again: bool = False
    allow_dead: bool = False
    accept_record: bool = False

    def c(self) -> Tuple[Any, List[Any]]:
        """The struct, and what must outlive the call that it goes to."""
        kept: List[Any] = []
        include = _strings(self.include, "include", kept)
        exclude = _strings(self.exclude, "exclude", kept)
        made = new("struct trit_checkpoint_options *", {
            "include": include, "include_count": len(include),
            "exclude": exclude, "exclude_count": len(exclude),
            "convolutions": self.convolutions,
            "has_encoding": self.encoding is not None, "encoding": self.encoding or 0,
            "group_size": unsigned(self.group_size or 0, 2**32, "group_size"),
            "has_partial_group": self.partial_group is not None,
            "partial_group": self.partial_group or 0,
            "mode": self.mode, "again": self.again, "allow_dead": self.allow_dead,
            "accept_record": self.accept_record})
        return made, [include, exclude, *kept]


def _strings(patterns: Patterns, field: str, kept: List[Any]) -> Any:
    given = [patterns] if isinstance(patterns, str) else list(patterns or ())
    for one in given:
        if not isinstance(one, str):
            raise InvalidArgument(f"{field}: {one!r} is no pattern", field)
    kept += [text(one, field) for one in given]
    return ffi.new("char *[]", kept[len(kept) - len(given):])


# ---- what libtrit knows ---------------------------------------------------------------------

class Table:
    """The tensors of a checkpoint, in its order, by name, type and shape."""

    def __init__(self, tensors: Iterable[Tensor], metadata: Mapping[str, str]) -> None:
        self.c = _made("trit_checkpoint", lib.trit_checkpoint_create, lib.trit_checkpoint_free)
        for one in tensors:
            try:
                _answer(lib.trit_checkpoint_add_tensor, self.c, text(one.name, "source"),
                        text(one.dtype, "source"), len(one.shape), list(one.shape))
            except Error as error:
                raise type(error)(f"{one.name!r}: {error.message}", error.field) from None
        for key, value in metadata.items():
            _answer(lib.trit_checkpoint_add_metadata, self.c, text(key, "metadata"),
                    text(value, "metadata"))

    def contents(self, options: Options) -> Dict[str, Any]:
        """What each tensor is."""
        c, kept = options.c()
        found = _json(lib.trit_checkpoint_contents, self.c, c)
        del kept
        return found


class Plan:
    """What becomes of each tensor of `table` in a projection."""

    def __init__(self, table: Table, options: Options) -> None:
        c, kept = options.c()
        self._table = table  # must outlive the plan
        self._c = _made("trit_plan", lib.trit_plan_create, lib.trit_plan_free, table.c, c)
        del kept

    def examine(self, name: str, data: View, at: int, count: int) -> bool:
        """The bytes of a layer from `at` on; whether they were enough to know that it is
        no ternary one, or the last."""
        done = ffi.new("bool *")
        _answer(lib.trit_plan_examine, self._c, text(name, "source"),
                ffi.cast("char *", data.address) + at, count, done)
        return bool(done[0])

    def read(self) -> Dict[str, Any]:
        return _json(lib.trit_plan_json, self._c)


class Verification:
    """The steps that examine `claim`, and the findings so far."""

    def __init__(self, claim: Table, latents: Optional[Table], options: Options) -> None:
        c, kept = options.c()
        self._tables = claim, latents  # must outlive the verification
        self._c = _made("trit_verification", lib.trit_verification_create,
                        lib.trit_verification_free, claim.c,
                        ffi.NULL if latents is None else latents.c, c)
        del kept

    def steps(self) -> Dict[str, Dict[str, Any]]:
        """By tensor."""
        return {step["tensor"]: step
                for step in _json(lib.trit_verification_steps, self._c)["steps"]}

    def add_report(self, name: str, report: Any) -> None:
        """A `struct trit_report *` of a layer."""
        _answer(lib.trit_verification_add_report, self._c, text(name, "source"), report)

    def compare(self, name: str, latents: View, claim: View, at: int, count: int) -> None:
        """Bytes of a tensor that should be equal, from `at` on."""
        _answer(lib.trit_verification_compare, self._c, text(name, "source"),
                ffi.cast("char *", latents.address) + at, ffi.cast("char *", claim.address) + at,
                count)

    def result(self) -> Dict[str, Any]:
        found = _json(lib.trit_verification_result, self._c, ffi.NULL)
        found["findings"] = tuple(Finding(**one) for one in found["findings"])
        return found


def format_of(path: str) -> str:
    """What a file's name says: "safetensors", "npy", "GGUF"."""
    return ffi.string(lib.trit_file_format(text(path, "out"))).decode()
