# SPDX-License-Identifier: Apache-2.0
"""The rules of checkpoints, asked of libtrit.

They say which tensors are layers, what becomes of each, and what a verification comes to.
Results are libtrit's JSON; client/include/trit.h lists its members.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from ._arguments import c_text, flag, unsigned
from ._arrays import View
from ._native import ffi, lib, new
from ._safetensors import Tensor
from ._selection import Patterns, patterns_of
from .errors import Error, error_of
from .reports import Finding
from .types import Encoding, PartialGroup, VerifyMode


def _check(function: Any, *arguments: Any) -> None:
    """Calls a function of libtrit; raises the exception of its status."""
    error = new("struct trit_error *")
    status = function(*arguments, error)
    if status != lib.TRIT_OK:
        raise error_of(
            status,
            ffi.string(error.message).decode("utf-8", "replace"),
            ffi.string(error.field).decode().replace("options.", ""),
        )


def _create(kind: str, function: Any, free: Any, *arguments: Any) -> Any:
    """An object of libtrit that frees itself."""
    out = ffi.new(f"struct {kind} **")
    _check(function, out, *arguments)
    return ffi.gc(out[0], free)


def _json(function: Any, *arguments: Any) -> Any:
    out = ffi.new("char **")
    _check(function, *arguments, out)
    try:
        return json.loads(ffi.string(out[0]))
    finally:
        lib.trit_free(out[0])


# ---- options -----------------------------------------------------------------------------


class Options(NamedTuple):
    """A `struct trit_checkpoint_options`.

    None leaves a choice to the rules and to the record of the file.
    """

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
        """The struct, and what must outlive the call that takes it."""
        include, include_texts = _strings(self.include, "include")
        exclude, exclude_texts = _strings(self.exclude, "exclude")
        group_size = 0 if self.group_size is None else self.group_size
        options = new(
            "struct trit_checkpoint_options *",
            {
                "include": include,
                "include_count": len(include),
                "exclude": exclude,
                "exclude_count": len(exclude),
                "convolutions": flag(self.convolutions, "convolutions"),
                "has_encoding": self.encoding is not None,
                "encoding": self.encoding or 0,
                "group_size": unsigned(group_size, 2**32, "group_size"),
                "has_partial_group": self.partial_group is not None,
                "partial_group": self.partial_group or 0,
                "mode": self.mode,
                "again": flag(self.again, "again"),
                "allow_dead": flag(self.allow_dead, "allow_dead"),
                "accept_record": flag(self.accept_record, "accept_record"),
            },
        )
        return options, [include, exclude, include_texts, exclude_texts]


def _strings(patterns: Patterns, field: str) -> Tuple[Any, List[Any]]:
    """Patterns as an array of C strings, and the strings, which must outlive it."""
    texts = [c_text(pattern, field) for pattern in patterns_of(patterns, field)]
    return ffi.new("char *[]", texts), texts


# ---- tables, plans and verifications -----------------------------------------------------


class Table:
    """The tensors of a checkpoint, in its order, by name, type and shape."""

    def __init__(self, tensors: Iterable[Tensor], metadata: Mapping[str, str]) -> None:
        self.c = _create("trit_checkpoint", lib.trit_checkpoint_create, lib.trit_checkpoint_free)
        for one in tensors:
            name, dtype = c_text(one.name, "source"), c_text(one.dtype, "source")
            shape = list(one.shape)
            try:
                _check(lib.trit_checkpoint_add_tensor, self.c, name, dtype, len(shape), shape)
            except Error as error:
                raise type(error)(f"{one.name!r}: {error.message}", error.field) from None
        for key, value in metadata.items():
            texts = c_text(key, "metadata"), c_text(value, "metadata")
            _check(lib.trit_checkpoint_add_metadata, self.c, *texts)

    def contents(self, options: Options) -> Any:
        """What each tensor is."""
        c, borrowed = options.c()
        contents = _json(lib.trit_checkpoint_contents, self.c, c)
        del borrowed
        return contents


class Plan:
    """What a projection makes of each tensor of `table`."""

    def __init__(self, table: Table, options: Options) -> None:
        c, borrowed = options.c()
        self._table = table  # must outlive the plan
        self._c = _create("trit_plan", lib.trit_plan_create, lib.trit_plan_free, table.c, c)
        del borrowed

    def examine(self, name: str, data: View, at: int, count: int) -> bool:
        """Gives the plan bytes of a layer, from `at` on.

        Returns whether the plan knows by now if the layer is ternary already.
        """
        done = ffi.new("bool *")
        address = ffi.cast("char *", data.address) + at
        _check(lib.trit_plan_examine, self._c, c_text(name, "source"), address, count, done)
        return bool(done[0])

    def read(self) -> Any:
        """The plan as it is now."""
        return _json(lib.trit_plan_json, self._c)


class Verification:
    """The steps that examine `claim`, and the findings so far."""

    def __init__(self, claim: Table, latents: Optional[Table], options: Options) -> None:
        c, borrowed = options.c()
        self._tables = claim, latents  # must outlive the verification
        self._c = _create(
            "trit_verification",
            lib.trit_verification_create,
            lib.trit_verification_free,
            claim.c,
            ffi.NULL if latents is None else latents.c,
            c,
        )
        del borrowed

    def steps(self) -> Dict[str, Any]:
        """The steps by tensor."""
        steps = _json(lib.trit_verification_steps, self._c)["steps"]
        return {step["tensor"]: step for step in steps}

    def add_report(self, name: str, report: Any) -> None:
        """Gives the `struct trit_report *` of a layer."""
        _check(lib.trit_verification_add_report, self._c, c_text(name, "source"), report)

    def compare(self, name: str, latents: View, claim: View, at: int, count: int) -> None:
        """Gives bytes of a tensor that must be equal on both sides, from `at` on."""
        _check(
            lib.trit_verification_compare,
            self._c,
            c_text(name, "source"),
            ffi.cast("char *", latents.address) + at,
            ffi.cast("char *", claim.address) + at,
            count,
        )

    def result(self) -> Any:
        """The verdict and the findings, once every step is done."""
        result = _json(lib.trit_verification_result, self._c, ffi.NULL)
        result["findings"] = tuple(Finding(**one) for one in result["findings"])
        return result


def format_of(path: str) -> str:
    """The format that a file's name says: "safetensors", "npy", "GGUF"."""
    name: str = ffi.string(lib.trit_file_format(c_text(path, "out"))).decode()
    return name
