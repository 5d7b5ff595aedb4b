# SPDX-License-Identifier: Apache-2.0
"""The projection of a whole checkpoint: its plan, and that of a state dict tensor by tensor."""

from __future__ import annotations

import os
import warnings
from typing import Any, Dict, Mapping, Optional, Tuple, Union

import numpy as np

from ._arguments import PathLike, path_of
from ._arrays import Array, View
from ._checkpoint_calls import CheckpointProgress, LayerCalls, matrix_name, named, with_name
from ._rules import Options, Output, Plan, format_of
from ._sources import Arrays, File, Source, turned
from .errors import AlreadyExists, Internal, InvalidArgument
from .reports import Finding, Report, report_of
from .types import DType, Encoding

COPY_BYTES = 1 << 20
PROBE_BYTES = 1 << 16
# NumPy's dtypes of results in a state dict. NumPy has no bfloat16 of its own.
_STORAGE = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "I8": "i1", "U8": "u1", "U32": "<u4"}

_PACK = (
    "`trit pack` keeps trits and scales as they are; again=True projects once more, "
    "which shrinks the scales"
)


def check_out(
    out: PathLike,
    source: Union[PathLike, Mapping[str, Any]],
    force: bool,
    encoding: Encoding,
) -> None:
    """Refuses an output that is impossible or would do damage, before anything is read."""
    path = path_of(out, "out")
    if path == "-":
        raise InvalidArgument(
            'out: "-" names no file; weights are not written to standard output', "out"
        )
    kind = format_of(path)
    if kind not in ("safetensors", "npy", "gguf"):
        raise InvalidArgument(
            f"out: the name of {path} says {kind}, but safetensors, npy or gguf is written", "out"
        )
    if kind == "npy" and encoding != Encoding.DENSE:
        raise InvalidArgument(
            f"out: a .npy file cannot hold {encoding.name.lower()}; name it .safetensors",
            "out",
        )
    own = None if isinstance(source, Mapping) else path_of(source, "source")
    if own is not None and os.path.exists(path) and os.path.exists(own):
        folder = own if os.path.isdir(own) else os.path.dirname(own) or "."
        if os.path.samefile(path, own) or (
            own.endswith(".index.json") and os.path.samefile(path, folder)
        ):
            raise InvalidArgument(f"out: {path} is the source itself; name another file", "out")
    folders = own is not None and (os.path.isdir(own) or own.endswith(".index.json"))
    named_file = path.endswith((".safetensors", ".npy", ".gguf"))
    if os.path.isdir(path) and not os.path.islink(path) and (not folders or named_file):
        raise IsADirectoryError(f"{path} is a folder")
    if os.path.lexists(path) and not force:
        raise AlreadyExists(f"out: {path} exists already; force=True replaces it", "out")


def for_output(options: Options, source: Source, out: Optional[PathLike]) -> Options:
    """The options of a plan that makes this output; that of a file is made by `run_plan`."""
    if out is None or not isinstance(source, File):
        return options
    return options._replace(output=path_of(out, "out"))


class Planned:
    """What becomes of each tensor, layers that are ternary already among the refused.

    `found` is libtrit's JSON of the plan, `layers` are its entries of layers.
    """

    def __init__(
        self,
        source: Source,
        options: Options,
        progress: CheckpointProgress,
        out: Optional[PathLike] = None,
    ) -> None:
        options = for_output(options, source, out)
        self.plan = Plan(source.table, options)
        self.found = self.plan.read()
        if "refusal" not in self.found and not options.again:
            for one in self.found["tensors"]:
                if one["action"] == "ternarize":
                    _examine(self.plan, source, one["name"], progress)
            self.found = self.plan.read()
        self.layers: Dict[str, Dict[str, Any]] = {
            one["name"]: one for one in self.found["tensors"] if one["action"] == "ternarize"
        }
        self.findings: Tuple[Finding, ...] = self.found["findings"]

    def check(self) -> None:
        """Raises with all that must not be projected, not only the first."""
        wrong = [one for one in self.findings if one.severity == "error"]
        if wrong:
            texts = "; ".join(f"{one.tensor}: {one.kind}: {one.hint}" for one in wrong)
            raise InvalidArgument(f"source: {texts}. Nothing is written", "source")
        refused = [one for one in self.found["tensors"] if one["action"] == "refuse"]
        if not self.layers and not refused:
            raise InvalidArgument(
                "source: none of its tensors is a layer (rank 2, f32, f16 or bf16, "
                "by the rules and patterns)",
                "source",
            )
        if "refusal" in self.found:
            raise InvalidArgument(f"source: {self.found['refusal']}. {_PACK}", "source")
        if refused:
            texts = "; ".join(f"{one['name']}: {one['reason']}" for one in refused)
            ternary = any("ternary already" in one["reason"] for one in refused)
            what_to_do = _PACK if ternary else "exclude keeps a layer as it is"
            raise InvalidArgument(f"{texts}. Nothing is written: {what_to_do}", "source")

    def warn(self) -> None:
        """Warns of what may be wrong about a layer."""
        for name, one in self.layers.items():
            if "warning" in one:
                warnings.warn(f"{name}: {one['warning']}", stacklevel=3)


def _examine(plan: Plan, source: Source, name: str, progress: CheckpointProgress) -> None:
    """Gives the plan as many bytes of a layer as it needs to know if it is ternary."""
    total = source.tensors[name].nbytes
    for at in range(0, total, PROBE_BYTES):
        progress.check()
        if plan.examine(name, source.read(name, at, min(PROBE_BYTES, total - at))):
            break


def check_lost(reports: Mapping[str, Report]) -> None:
    """Raises if scales round to 0 or infinity."""
    lost = [
        f"{name}: {one.count} scales, the first of group {one.group}"
        for name, report in reports.items()
        for one in report.findings
        if one.kind == "scale_lost"
    ]
    if lost:
        raise InvalidArgument(
            f"scales round to 0 or infinity: {'; '.join(lost)}. Nothing is written; "
            "allow_lost=True writes such groups nevertheless",
            "source",
        )


# ---- where it goes -----------------------------------------------------------------------


class ToFile:
    """The tensors of a file."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def room(self, name: str, count: int) -> Array:
        """Memory for the next bytes of a tensor."""
        return np.empty(count, np.uint8)

    def put(self, name: str, data: Array) -> None:
        """The next bytes of a tensor."""
        self._output.put(name, data)

    def keep(self, source: Source, name: str, progress: CheckpointProgress) -> None:
        """Copies a tensor."""
        total = source.tensors[name].nbytes
        for at in range(0, total, COPY_BYTES):
            piece = source.read(name, at, min(COPY_BYTES, total - at))
            self.put(name, piece)
            progress(piece.nbytes)

    def layer(self, source: Source, planned: Dict[str, Any]) -> None:
        """Is told that a layer is complete."""


class ToArrays:
    """A state dict, with arrays of the libraries of the source's."""

    def __init__(self, layers: Mapping[str, Dict[str, Any]]) -> None:
        self.tensors: Dict[str, Any] = {}
        self._memory = {
            output["name"]: np.empty(output["bytes"], np.uint8)
            for one in layers.values()
            for output in one["outputs"]
        }
        self._filled = dict.fromkeys(self._memory, 0)

    def room(self, name: str, count: int) -> Array:
        """The place of the next bytes of a tensor."""
        at = self._filled[name]
        return self._memory[name][at : at + count]

    def put(self, name: str, data: Array) -> None:
        """The next bytes of a tensor, in their place already or elsewhere."""
        place = self.room(name, data.nbytes)
        if not np.may_share_memory(place, data):
            place[:] = data
        self._filled[name] += data.nbytes

    def keep(self, source: Source, name: str, progress: CheckpointProgress) -> None:
        """Takes a tensor as it is."""
        assert isinstance(source, Arrays)
        self.tensors[name] = source.arrays[name]

    def layer(self, source: Source, planned: Dict[str, Any]) -> None:
        """Makes arrays of a layer's tensors."""
        assert isinstance(source, Arrays)
        view = source.view(planned["name"])
        for output in planned["outputs"]:
            raw = self._memory.pop(output["name"])
            self.tensors[output["name"]] = view.wrap(
                raw.view(_STORAGE[output["dtype"]]).reshape(output["shape"]),
                DType.BF16 if output["dtype"] == "BF16" else None,
            )


# ---- tensor by tensor --------------------------------------------------------------------


def project_all(
    source: Arrays,
    planned: Planned,
    to: Union[ToFile, ToArrays],
    calls: LayerCalls,
    progress: CheckpointProgress,
    allow_lost: bool,
) -> Dict[str, Report]:
    """Projects and copies every tensor of a state dict; returns the reports by matrix."""
    reports: Dict[str, Report] = {}
    for name, tensor in source.tensors.items():
        with progress.tensor(tensor):
            layer = planned.layers.get(name)
            if layer is None:
                to.keep(source, name, progress)
                continue
            count = layer["matrices"]
            for number in range(count):
                matrix = matrix_name(name, number, count)
                with named(matrix):
                    parts = {one["role"]: one for one in layer["outputs"]}
                    out = parts["data"]
                    view = open_matrix(source, layer, number)
                    data = to.room(name, out["bytes"] // count)
                    result, scales = calls.project(matrix, view, layer, data)
                    put_matrix(to, layer, parts, data, scales)
                    planned.plan.add_report(name, result.report, allow_lost)
                    reports[matrix] = with_name(report_of(result.report), matrix)
            to.layer(source, layer)
    return reports


def open_matrix(source: Arrays, layer: Dict[str, Any], number: int) -> View:
    """A matrix of a layer as [out, in]."""
    name, how = layer["name"], layer.get("source", layer)
    turn = layer["matrix"] if how["transposed"] else None
    return source.matrix(name, number, layer["matrices"], turn)


def put_matrix(
    to: Union[ToFile, ToArrays],
    layer: Dict[str, Any],
    parts: Dict[str, Dict[str, Any]],
    data: Array,
    scales: Optional[Array],
) -> None:
    """Puts a matrix, whose parts must have the sizes that the plan promises."""
    if parts["data"].get("transposed"):
        data = turned(data, *layer["matrix"]).copy()
    to.put(parts["data"]["name"], data)
    expected = parts["scales"]["bytes"] // layer["matrices"] if "scales" in parts else 0
    if (0 if scales is None else scales.nbytes) != expected:
        raise Internal(f"the daemon did not send {expected} bytes of scales")
    if scales is None:
        return
    to.put(parts["scales"]["name"], scales)
    if "biases" in parts:  # every scale with its sign turned
        biases = (scales.view(np.uint16) ^ np.uint16(0x8000)).view(np.uint8)
        to.put(parts["biases"]["name"], biases)
