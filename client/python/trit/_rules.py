# SPDX-License-Identifier: Apache-2.0
"""The rules of checkpoints, asked of libtrit.

They say which tensors are layers, what becomes of each, and what a verification comes to.
Results are libtrit's JSON; client/include/trit/checkpoint.h lists its members.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple, Union

import numpy as np

from ._arguments import PathLike, c_text, flag, given, path_of, unsigned, wrong_type
from ._arrays import Array, View
from ._native import ffi, lib, new
from ._pieces import STREAMED_BYTES, Pieces
from ._selection import Patterns, patterns_of
from ._tensors import address_of
from .errors import Error, InvalidArgument, error_of
from .reports import Finding
from .types import DType, Encoding, PartialGroup, VerifyMode


def _printable(text: str) -> str:
    """A message about a file, whose names may have control characters, for a terminal."""
    return "".join(
        one if one >= " " and not "\x7f" <= one <= "\x9f" else repr(one)[1:-1] for one in text
    )


def check(function: Any, *arguments: Any) -> None:
    """Calls a function of libtrit; raises the exception of its status."""
    error = new("struct trit_error *")
    status = function(*arguments, error)
    if status != lib.TRIT_OK:
        raise error_of(
            status,
            _printable(ffi.string(error.message).decode("utf-8", "replace")),
            ffi.string(error.field).decode().replace("options.", ""),
        )


def _create(kind: str, function: Any, free: Any, *arguments: Any) -> Any:
    """An object of libtrit that frees itself."""
    out = ffi.new(f"struct {kind} **")
    check(function, out, *arguments)
    return ffi.gc(out[0], free)


def _json(function: Any, *arguments: Any) -> Any:
    out = ffi.new("char **")
    check(function, *arguments, out)
    try:
        return with_integers(json.loads(ffi.string(out[0])))
    finally:
        lib.trit_free(out[0])


# Members that hold 64-bit integers, which are strings in JSON.
_INTEGERS = frozenset(
    (
        "shape matrix matrices groups parameters ternary kept examined bytes before after "
        "offset index group count scales_rounded"
    ).split()
)


def with_integers(value: Any, name: str = "") -> Any:
    """`value` with ints where JSON has strings of digits."""
    if isinstance(value, dict):
        return {
            key: one if key == "metadata" else with_integers(one, key)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [with_integers(one, name) for one in value]
    return int(value) if name in _INTEGERS and isinstance(value, str) else value


# ---- options -----------------------------------------------------------------------------


# config.json, as its text or as the object that it holds.
Config = Union[None, str, Mapping[str, Any]]

_EXPERTS = {None: 0, "out_in": lib.TRIT_EXPERTS_OUT_IN, "in_out": lib.TRIT_EXPERTS_IN_OUT}


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
    experts: Optional[str] = None
    transposed: Patterns = None
    config: Config = None
    rename: Patterns = None
    strip_prefix: Patterns = None
    bits: Optional[int] = None
    keep_names: bool = False
    output: Optional[str] = None  # of a plan that `Plan.run` does

    def c(self) -> Tuple[Any, List[Any]]:
        """The struct, and what must outlive the call that takes it."""
        lists = {
            name: _strings(getattr(self, name), name)
            for name in ("include", "exclude", "transposed", "rename", "strip_prefix")
        }
        config = _config(self.config)
        output = ffi.NULL if self.output is None else c_text(self.output, "out")
        options = new(
            "struct trit_checkpoint_options *",
            {
                **{name: strings for name, (strings, _) in lists.items()},
                **{f"{name}_count": len(strings) for name, (strings, _) in lists.items()},
                "config": config,
                "experts": _experts(self.experts),
                "convolutions": flag(self.convolutions, "convolutions"),
                "has_encoding": self.encoding is not None,
                "encoding": self.encoding or 0,
                "group_size": given(self.group_size, "group_size", 2**32, "the default"),
                "has_partial_group": self.partial_group is not None,
                "partial_group": self.partial_group or 0,
                "mode": self.mode,
                "again": flag(self.again, "again"),
                "allow_dead": flag(self.allow_dead, "allow_dead"),
                "accept_record": flag(self.accept_record, "accept_record"),
                "bits": unsigned(0 if self.bits is None else self.bits, 2**32, "bits"),
                "keep_names": flag(self.keep_names, "keep_names"),
                "output": output,
            },
        )
        return options, [lists, config, output]


def _experts(experts: Optional[str]) -> int:
    if experts is not None and not isinstance(experts, str):
        raise wrong_type("experts", '"out_in", "in_out" or None', experts)
    if experts not in _EXPERTS:
        raise InvalidArgument(f"experts: {experts!r} is not one of out_in, in_out", "experts")
    return int(_EXPERTS[experts])


def _config(config: Config) -> Any:
    if config is None:
        return ffi.NULL
    if isinstance(config, Mapping):
        config = json.dumps(config)
    elif not isinstance(config, str):
        raise wrong_type("config", "the text of config.json or its object", config)
    return c_text(config, "config")


def _strings(patterns: Patterns, field: str) -> Tuple[Any, List[Any]]:
    """Patterns as an array of C strings, and the strings, which must outlive it."""
    texts = [c_text(pattern, field) for pattern in patterns_of(patterns, field)]
    return ffi.new("char *[]", texts), texts


# ---- matrices of files -------------------------------------------------------------------


class Matrix(Pieces):
    """A matrix of a layer as its call needs it, which libtrit reads from a file.

    `c` is the `struct trit_matrix *`.
    """

    def __init__(self, c: Any, dtype: Optional[DType], owner: object) -> None:
        self.c = ffi.gc(c, lib.trit_matrix_free)
        self._owner = owner  # what the matrix borrows from
        reader = ffi.addressof(lib, "trit_matrix_read")
        super().__init__(dtype, lib.trit_matrix_bytes(c), reader, ffi.cast("void *", self.c))

    @property
    def raised(self) -> Optional[BaseException]:
        """Why it could not be read."""
        try:
            check(lib.trit_matrix_check, self.c)
        except Error as error:
            return error
        return None

    def read(self, at: int, count: int) -> Array:
        """Bytes of it, in memory of their own."""
        data = np.empty(count, np.uint8)
        if lib.trit_matrix_read(self.handle, at, address_of(data), count) < 0:
            raised = self.raised
            assert raised is not None
            raise raised
        return data

    @property
    def is_small(self) -> bool:
        """Is it better loaded, and sent in one message?"""
        return self.nbytes < STREAMED_BYTES


# ---- tables, plans and verifications -----------------------------------------------------


class Table:
    """The tensors of a checkpoint, in its order, by name, type and shape."""

    def __init__(self, c: Any) -> None:
        self.c = c

    @classmethod
    def of(
        cls, tensors: Iterable[Tuple[str, str, Tuple[int, ...]]], metadata: Mapping[str, str]
    ) -> Table:
        """A table of tensors (name, dtype, shape) that no file holds."""
        c = _create("trit_checkpoint", lib.trit_checkpoint_create, lib.trit_checkpoint_free)
        for name, dtype, shape in tensors:
            texts = c_text(name, "source"), c_text(dtype, "source")
            try:
                check(lib.trit_checkpoint_add_tensor, c, *texts, len(shape), list(shape))
            except Error as error:
                raise type(error)(f"{name!r}: {error.message}", error.field) from None
        for key, value in metadata.items():
            texts = c_text(key, "metadata"), c_text(value, "metadata")
            check(lib.trit_checkpoint_add_metadata, c, *texts)
        return cls(c)

    def read(self) -> Any:
        """The tensors and the metadata."""
        return _json(lib.trit_checkpoint_table, self.c)

    def contents(self, options: Options) -> Any:
        """What each tensor is."""
        c, borrowed = options.c()
        contents = _json(lib.trit_checkpoint_contents, self.c, c)
        del borrowed
        return with_findings(contents)


class PackTarget(NamedTuple):
    """A `struct trit_pack_target`; 0 leaves a choice to libtrit."""

    encoding: int
    group_size: int = 0
    dtype: int = 0


class Plan:
    """What becomes of each tensor of `table`: a projection, or a packing for a target."""

    def __init__(
        self, table: Table, options: Options, target: Optional[PackTarget] = None
    ) -> None:
        c, borrowed = options.c()
        self._table = table  # must outlive the plan
        free = lib.trit_plan_free
        if target is None:
            self.c = _create("trit_plan", lib.trit_plan_create, free, table.c, c)
        else:
            wanted = new("struct trit_pack_target *", target._asdict())
            make = lib.trit_plan_create_pack
            self.c = _create("trit_plan", make, free, table.c, c, wanted)
        del borrowed

    def decode(self, name: str, packed: Examined, values: Array) -> None:
        """Decodes a matrix that another program packed."""
        args = packed.c(), address_of(values), values.nbytes
        check(lib.trit_plan_decode, self.c, c_text(name, "source"), *args)

    def regroup(self, name: str, width: int, scales: Array, regrouped: Array) -> None:
        """Scales of a packed layer's matrix, of `width` bytes, for the output's groups."""
        args = width, address_of(scales), scales.nbytes, address_of(regrouped), regrouped.nbytes
        check(lib.trit_plan_regroup, self.c, c_text(name, "source"), *args)

    def examine(self, name: str, data: Array) -> bool:
        """Gives the plan the next bytes of a layer.

        Returns whether the plan knows by now if the layer is ternary already.
        """
        done = ffi.new("bool *")
        args = c_text(name, "source"), address_of(data), data.nbytes, done
        check(lib.trit_plan_examine, self.c, *args)
        return bool(done[0])

    def read(self) -> Any:
        """The plan as it is now."""
        return with_findings(_json(lib.trit_plan_json, self.c))

    def add_report(self, name: str, report: Any, allow_lost: bool) -> None:
        """Gives the `struct trit_report *` of a layer's next matrix."""
        check(lib.trit_plan_add_report, self.c, c_text(name, "source"), report, allow_lost)

    def result(self) -> Any:
        """The verdict and the findings of the reports."""
        return with_findings(_json(lib.trit_plan_result, self.c, ffi.NULL))


class Output:
    """The file or folder that a plan describes; it gets its name when it is complete.

    In `with Output(...) as output:` put all tensors, then `commit`. Without a commit nothing
    remains. `source` is the `struct trit_file *` that was planned, or NULL.
    """

    def __init__(
        self, path: PathLike, plan: Plan, source: Any, shard_bytes: int, replace: bool
    ) -> None:
        options = new(
            "struct trit_output_options *", {"shard_bytes": shard_bytes, "replace": replace}
        )
        text, self._plan = c_text(path_of(path, "out"), "out"), plan
        # Ctrl-C may come after libtrit created the output and before it is here.
        self._out = ffi.gc(
            ffi.new("struct trit_output **"), lambda out: lib.trit_output_free(out[0])
        )
        try:
            check(lib.trit_output_create, self._out, text, plan.c, source, options)
        except Error as error:
            raise type(error)(f"out: {error.message}", "out") from None

    def __enter__(self) -> Output:
        return self

    def __exit__(self, *_: object) -> None:
        ffi.release(self._out)

    def put(self, name: str, data: Array) -> None:
        """The next bytes of a tensor."""
        text = c_text(name, "out")
        check(lib.trit_output_put, self._out[0], text, address_of(data), data.nbytes)

    @property
    def c(self) -> Any:
        """The `struct trit_output *`."""
        return self._out[0]

    def commit(self) -> None:
        """Flushes the output to the disk, then gives it its name."""
        check(lib.trit_output_commit, self._out[0])


class Examined(NamedTuple):
    """A matrix that was verified: its `struct trit_report *` and its data as they were sent.

    The report is NULL for a matrix that is to be decoded first.
    """

    report: Any
    data: Union[View, Matrix]
    scales: Optional[View]
    biases: Optional[View]
    latents: Union[None, View, Matrix]

    def c(self) -> Any:
        """The struct; it borrows the views."""
        views = {"data": self.data, "scale": self.scales, "bias": self.biases}
        views["latents"] = self.latents
        members = {"scale": "scales", "bias": "biases"}
        values: Dict[str, Any] = {"report": self.report}
        for name, view in views.items():
            if isinstance(view, Matrix):
                values[f"{name}_matrix"] = view.c
            elif view is not None:
                values[members.get(name, name)] = ffi.cast("void *", view.address)
                values[f"{name}_bytes"] = view.nbytes
        return new("struct trit_examined *", values)


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

    def decode(self, name: str, packed: Examined, values: Array) -> None:
        """Decodes a matrix that another program packed."""
        check(
            lib.trit_verification_decode,
            self._c,
            c_text(name, "source"),
            packed.c(),
            address_of(values),
            values.nbytes,
        )

    def matrix(
        self, file: Any, latents: bool, name: str, number: int, dtype: Optional[DType]
    ) -> Matrix:
        """Matrix `number` of a step's layer, or of its latents; `file` is theirs."""
        out = ffi.new("struct trit_matrix **")
        text = c_text(name, "source")
        check(lib.trit_verification_matrix, self._c, file, latents, text, number, out)
        return Matrix(out[0], dtype, self)

    def add_matrix(self, name: str, examined: Examined) -> None:
        """Gives the next matrix of a layer."""
        c = examined.c()
        check(lib.trit_verification_add_matrix, self._c, c_text(name, "source"), c)

    def compare(self, name: str, latents: Array, claim: Array) -> None:
        """Gives the next bytes of a tensor that must be equal on both sides."""
        addresses = address_of(latents), address_of(claim)
        check(
            lib.trit_verification_compare,
            self._c,
            c_text(name, "source"),
            *addresses,
            claim.nbytes,
        )

    def attest(self, claim: Any, latents: Any, path: PathLike, replace: bool) -> None:
        """Writes the statement about files (`struct trit_file *`), once every step is done."""
        text = c_text(path_of(path, "out"), "out")
        check(lib.trit_verification_attest, self._c, claim, latents, text, replace)

    def check_attestation(self, path: PathLike, claim: Any, latents: Any) -> None:
        """Compares the files and layers with a statement, once every step is done."""
        text = c_text(path_of(path, "attestation"), "attestation")
        check(lib.trit_verification_check_attestation, self._c, text, claim, latents)

    def result(self) -> Any:
        """The verdict and the findings, once every step is done."""
        return with_findings(_json(lib.trit_verification_result, self._c, ffi.NULL))


def with_findings(result: Any) -> Any:
    """A result of libtrit with its findings as objects."""
    result["findings"] = tuple(Finding(**one) for one in result["findings"])
    return result


def format_of(path: str) -> str:
    """The format that a file's name says: "safetensors", "npy", "gguf", "PyTorch"."""
    name: str = ffi.string(lib.trit_file_format(c_text(path, "out"))).decode()
    return name
