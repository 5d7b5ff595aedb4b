# SPDX-License-Identifier: Apache-2.0
"""The packing of a whole checkpoint whose layers are ternary already."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple, Union

import numpy as np

from ._arguments import PathLike
from ._arrays import STORAGE, Array, View, view_of
from ._checkpoint_calls import CheckpointProgress, LayerCalls, encoding_of, matrix_name, named
from ._checkpoint_project import ToArrays, ToFile, for_output, open_matrix, put_matrix
from ._native import ffi
from ._rules import Examined, Options, PackTarget, Plan
from ._sources import ELEMENTS, Arrays, Source
from .errors import InvalidArgument
from .reports import Finding, report_of
from .types import DType, Encoding

Scales = Optional[Tuple[View, DType]]


class PlannedPack:
    """What becomes of each tensor when layers are packed or unpacked.

    `found` is libtrit's JSON of the plan, `layers` are its entries of layers.
    """

    def __init__(
        self,
        source: Source,
        options: Options,
        target: PackTarget,
        out: Optional[PathLike] = None,
    ) -> None:
        self.plan = Plan(source.table, for_output(options, source, out), target)
        self.found = self.plan.read()
        self.layers: Dict[str, Dict[str, Any]] = {
            one["name"]: one for one in self.found["tensors"] if one["action"] == "pack"
        }
        # Tables that go with their layer.
        self.gone = {
            one["name"]
            for one in self.found["tensors"]
            if one["action"] == "keep" and not one["outputs"]
        }
        self.findings: Tuple[Finding, ...] = self.found["findings"]

    def check(self) -> None:
        """Raises with all that cannot be packed, not only the first."""
        wrong = [one for one in self.findings if one.severity == "error"]
        if wrong:
            texts = "; ".join(f"{one.tensor}: {one.kind}: {one.hint}" for one in wrong)
            raise InvalidArgument(f"source: {texts}. Nothing is written", "source")
        refused = [one for one in self.found["tensors"] if one["action"] == "refuse"]
        if refused:
            texts = "; ".join(f"{one['name']}: {one['reason']}" for one in refused)
            raise InvalidArgument(
                f"{texts}. Nothing is written: exclude keeps a layer as it is", "source"
            )
        if not self.layers:
            raise InvalidArgument("source: none of its tensors is a layer", "source")


def pack_all(
    source: Arrays,
    planned: PlannedPack,
    to: Union[ToFile, ToArrays],
    calls: LayerCalls,
    progress: CheckpointProgress,
    allow_rounded: bool,
) -> int:
    """Packs or unpacks the layers of a state dict and copies all else.

    Returns how many scales were rounded.
    """
    rounded = 0
    for name, tensor in source.tensors.items():
        with progress.tensor(tensor):
            layer = planned.layers.get(name)
            if layer is not None:
                rounded += _pack_layer(source, planned, to, calls, layer, allow_rounded)
                to.layer(source, layer)
            elif name not in planned.gone:
                to.keep(source, name, progress)
    return rounded


def _pack_layer(
    source: Arrays,
    planned: PlannedPack,
    to: Union[ToFile, ToArrays],
    calls: LayerCalls,
    layer: Dict[str, Any],
    allow_rounded: bool,
) -> int:
    name, count, rounded = layer["name"], layer["matrices"], 0
    parts = {one["role"]: one for one in layer["outputs"]}
    for number in range(count):
        with named(matrix_name(name, number, count)):
            view, scales = _load(source, planned, layer, number)
            out: Optional[Array] = None
            if encoding_of(layer) == Encoding.DENSE:
                data = _dense(calls, view, layer, scales, parts["data"]["dtype"])
            else:
                result, data, out = calls.pack(view, layer, scales, allow_rounded)
                planned.plan.add_report(name, result.report, False)
                rounded += rounded_scales(result.report)
            put_matrix(to, layer, parts, data, out)
    return rounded


def rounded_scales(report: Any) -> int:
    """How many scales the output holds rounded, of a `struct trit_report *`."""
    found = report_of(report).findings
    return sum(one.count or 0 for one in found if one.kind == "scale_rounded")


def _load(
    source: Arrays, planned: PlannedPack, layer: Dict[str, Any], number: int
) -> Tuple[View, Scales]:
    """A matrix, and its scales where the encoding has them in a tensor of their own."""
    name, count, how = layer["name"], layer["matrices"], layer["source"]
    foreign = ELEMENTS[how["dtype"]] if "packed_as" in how else None
    view = open_matrix(source, layer, number)
    parts = {
        part: source.matrix(how[part]["name"], number, count)
        for part in ("scales", "biases")
        if part in how
    }
    if foreign is not None:
        values = np.empty(layer["matrix"], STORAGE[foreign])
        packed = Examined(ffi.NULL, view, parts["scales"], parts.get("biases"), None)
        planned.plan.decode(name, packed, values)
        return view_of(values, name)._replace(dtype=foreign), None
    if "scales" not in parts:
        return view, None
    dtype = ELEMENTS[how["scales"]["dtype"]]
    if "biases" in parts:
        _check_biases(parts["scales"], parts["biases"], dtype)
    if how.get("reciprocal"):
        with np.errstate(divide="ignore"):
            turned = np.float32(1) / _floats(_array(parts["scales"]), dtype)
        return view, (view_of(turned, name), DType.F32)
    return view, (_regrouped(planned.plan, parts["scales"], dtype, layer), dtype)


def _regrouped(plan: Plan, scales: View, dtype: DType, layer: Dict[str, Any]) -> View:
    """The source's scales as those of the output's groups, which may be of another size."""
    old, new = layer["source"].get("group_size"), layer.get("group_size")
    if encoding_of(layer) == Encoding.DENSE or not old or not new or old == new:
        return scales
    rows, columns = layer["matrix"]
    width = STORAGE[dtype].itemsize
    out = np.empty(rows * -(-columns // new) * width, np.uint8)
    plan.regroup(layer["name"], width, _array(scales), out)
    return view_of(out, layer["name"])


def _array(view: View) -> Array:
    memory = ffi.buffer(ffi.cast("char *", view.address), view.nbytes)
    return np.frombuffer(memory, np.uint8)


def _floats(data: Array, dtype: DType) -> Array:
    """Bytes of f32, f16 or bf16 as f32."""
    values = data.view(STORAGE[dtype])
    if dtype == DType.BF16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    result: Array = values.astype(np.float32)
    return result


def _check_biases(scales: View, biases: View, dtype: DType) -> None:
    left, right = _floats(_array(scales), dtype), _floats(_array(biases), dtype)
    wrong = np.flatnonzero(right != -left)
    if wrong.size:
        raise InvalidArgument(
            f"group {wrong[0]} is not ternary: its bias is {right[wrong[0]]:.9g}, its scale "
            f"{left[wrong[0]]:.9g}; a bias must be -scale",
            "source",
        )


def _dense(
    calls: LayerCalls, view: View, layer: Dict[str, Any], scales: Scales, dtype: str
) -> Array:
    """The dense bytes of a matrix; those of a dense one in the type that is asked for."""
    to = ELEMENTS[dtype]
    if encoding_of(layer["source"]) != Encoding.DENSE:
        return calls.unpack(view, layer, scales, to)
    data = _array(view)
    if view.element == to:
        return data.copy()
    values = _floats(data, view.element)
    if to == DType.F32:
        return values.view(np.uint8)
    if to == DType.BF16:
        bits = values.view(np.uint32)
        even = (bits + np.uint32(0x7FFF) + (bits >> 16 & 1)) >> 16
        out: Array = np.where(np.isnan(values), bits >> 16 | 0x40, even).astype(np.uint16)
    else:
        with np.errstate(over="ignore"):
            out = values.astype(np.float16)
    back = _floats(out.view(np.uint8), to)
    lost = np.flatnonzero(np.isfinite(values) & (values != 0) & ((back == 0) | np.isinf(back)))
    if lost.size:
        raise InvalidArgument(
            f"{dtype} rounds element {lost[0]} to 0 or infinity; use f32", "source"
        )
    return out.view(np.uint8)
