# SPDX-License-Identifier: Apache-2.0
"""The packing of a whole checkpoint whose layers are ternary already."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Dict, Iterator, Optional, Tuple, Union

import numpy as np

from ._arrays import STORAGE, Array, View, view_of
from ._checkpoint_calls import CheckpointProgress, LayerCalls, encoding_of, matrix_name, named
from ._checkpoint_project import ToArrays, ToFile, open_matrix, put_matrix
from ._native import ffi
from ._rules import Examined, Matrix, Options, PackTarget, Plan
from ._sources import ELEMENTS, File, Source, bytes_view, loaded
from .errors import Error, InvalidArgument
from .reports import Finding, report_of
from .types import ONE_SCALE, DType, Encoding

Scales = Optional[Tuple[View, DType]]
CALL_ELEMENTS = 1 << 20  # of a large matrix that is done some rows a call; at least a row
QUARTERS = 4


class PlannedPack:
    """What becomes of each tensor when layers are packed or unpacked.

    `found` is libtrit's JSON of the plan, `layers` are its entries of layers.
    """

    def __init__(self, source: Source, options: Options, target: PackTarget) -> None:
        self.plan = Plan(source.table, options, target)
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
                f"{texts}. Nothing is written: exclude keeps a tensor as it is", "source"
            )
        if not self.layers:
            raise InvalidArgument("source: none of its tensors is a layer", "source")


def pack_all(
    source: Source,
    planned: PlannedPack,
    to: Union[ToFile, ToArrays],
    calls: LayerCalls,
    progress: CheckpointProgress,
    allow_rounded: bool,
) -> int:
    """Packs or unpacks every layer and copies all else; returns how many scales were rounded."""
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
    source: Source,
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
            data: Optional[Array] = None
            out: Optional[Array] = None
            if isinstance(view, Matrix):
                assert isinstance(to, ToFile)
                large = LargeMatrix(to, layer, number, view, scales, allow_rounded)
                out = large.pack(calls, planned.plan)
                rounded += large.rounded
            elif encoding_of(layer) == Encoding.DENSE:
                data = _dense(calls, view, layer, scales, parts["data"]["dtype"])
            else:
                result, data, out = calls.pack(view, layer, scales, allow_rounded, None)
                planned.plan.add_report(name, result.report, False)
                rounded += rounded_scales(result.report)
            put_matrix(to, layer, parts, data, out)
    return rounded


def rounded_scales(report: Any) -> int:
    """How many scales the output holds rounded, of a `struct trit_report *`."""
    found = report_of(report).findings
    return sum(one.count or 0 for one in found if one.kind == "scale_rounded")


def _load(
    source: Source, planned: PlannedPack, layer: Dict[str, Any], number: int
) -> Tuple[Union[View, Matrix], Scales]:
    """A matrix, and its scales where the encoding has them in a tensor of their own."""
    name, count, how = layer["name"], layer["matrices"], layer["source"]
    foreign = ELEMENTS[how["dtype"]] if "packed_as" in how else None
    view = open_matrix(planned.plan, source, layer, number, foreign)
    if isinstance(view, Matrix) and foreign is None and encoding_of(how) == Encoding.I2_S:
        view = loaded(view)  # its scale lies behind all codes
    if foreign is not None and isinstance(source, File):
        return view, None  # libtrit has decoded it
    parts = {
        part: source.matrix(how[part]["name"], number, count)
        for part in ("scales", "biases")
        if part in how
    }
    if foreign is not None:
        values = np.empty(layer["matrix"], STORAGE[foreign])
        assert isinstance(view, View)
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


# ---- a large matrix of a file ------------------------------------------------------------


class LargeMatrix:
    """A matrix that is packed or unpacked without having it in memory.

    `rounded` is how many of its scales were rounded.
    """

    def __init__(
        self,
        to: ToFile,
        layer: Dict[str, Any],
        number: int,
        matrix: Matrix,
        scales: Scales,
        allow_rounded: bool,
    ) -> None:
        self._to, self._layer, self._number = to, layer, number
        self._matrix, self._allow_rounded = matrix, allow_rounded
        self._rows, self._columns = layer["matrix"]
        self._output = next(one for one in layer["outputs"] if one["role"] == "data")
        self._from, self._into = encoding_of(layer["source"]), encoding_of(layer)
        self._scales, self._scales_dtype = None, DType.F32
        if scales is not None:
            self._scales, self._scales_dtype = _array(scales[0]), scales[1]
        self.rounded = 0

    def pack(self, calls: LayerCalls, plan: Plan) -> Optional[Array]:
        """Does it; returns the scales that stand in a tensor of their own."""
        if self._from in ONE_SCALE or self._into in ONE_SCALE:
            return self._quarters(calls)
        if self._into == Encoding.DENSE:
            self._unpack(calls)
            return None
        sink = self._to.sink(self._output, self._layer, self._number)
        result, _, scales = calls.pack(
            self._matrix, self._layer, self._scales_of(self._scales), self._allow_rounded, sink
        )
        sink.end()
        plan.add_report(self._layer["name"], result.report, False)
        self.rounded += rounded_scales(result.report)
        return scales

    def _scales_of(self, scales: Optional[Array]) -> Scales:
        return None if scales is None else (bytes_view(scales, None), self._scales_dtype)

    def _part(self, rows: int) -> Dict[str, Any]:
        """The layer as if it had these rows."""
        return {**self._layer, "matrix": [rows, self._columns]}

    def _unpack(self, calls: LayerCalls) -> None:
        """Some rows a call."""
        sink = self._to.sink(self._output, self._layer, self._number)
        row, each = self._matrix.nbytes // self._rows, max(1, CALL_ELEMENTS // self._columns)
        scale_row = 0 if self._scales is None else self._scales.nbytes // self._rows
        for first in range(0, self._rows, each):
            count = min(each, self._rows - first)
            data = self._matrix.read(first * row, count * row)
            scales = None
            if self._scales is not None:
                scales = self._scales[first * scale_row : (first + count) * scale_row]
            with _from_row(first):
                dense = _dense(
                    calls,
                    bytes_view(data, self._matrix.dtype),
                    self._part(count),
                    self._scales_of(scales),
                    self._output["dtype"],
                )
            sink.write(dense)
        sink.end()

    def _quarters(self, calls: LayerCalls) -> Optional[Array]:
        """Some rows of each quarter a call, where source or output is hf_bitnet.

        Byte row r of hf_bitnet holds the rows r, r + R, r + 2 R and r + 3 R, where R is a
        quarter of the rows.
        """
        quarter = self._rows // QUARTERS
        each = max(1, CALL_ELEMENTS // QUARTERS // self._columns)
        made = _Made(self._into == Encoding.HF_BITNET, quarter)
        size = self._output["bytes"] // self._layer["matrices"]
        begin = self._number * size
        for first in range(0, quarter, each):
            count = min(each, quarter - first)
            view = bytes_view(self._rows_of(first, count), self._matrix.dtype)
            scales = self._scales_of(self._scales_rows(first, count))
            part = self._part(QUARTERS * count)
            with _from_row(first, " of each quarter"):
                if self._into == Encoding.DENSE:
                    data: Any = calls.unpack(view, part, scales, ELEMENTS[self._output["dtype"]])
                else:
                    result, data, out = calls.pack(view, part, scales, self._allow_rounded, None)
                    made.take(first, count, out, result.report)
                    self.rounded += rounded_scales(result.report)
            if made.one:
                self._to.put_at(self._output["name"], begin + first * (size // quarter), data)
                continue
            parts = data.reshape(QUARTERS, -1)
            for index in range(QUARTERS):
                at = (index * quarter + first) * (size // self._rows)
                self._to.put_at(self._output["name"], begin + at, parts[index])
        return made.scales

    def _rows_of(self, first: int, count: int) -> Array:
        """These rows of each quarter, as the source has them."""
        if self._from == Encoding.HF_BITNET:
            row = self._matrix.nbytes // (self._rows // QUARTERS)
            return self._matrix.read(first * row, count * row)
        row, quarter = self._matrix.nbytes // self._rows, self._rows // QUARTERS
        return np.concatenate(
            [
                self._matrix.read((index * quarter + first) * row, count * row)
                for index in range(QUARTERS)
            ]
        )

    def _scales_rows(self, first: int, count: int) -> Optional[Array]:
        if self._scales is None or self._from == Encoding.HF_BITNET:
            return self._scales
        rows = self._scales.reshape(QUARTERS, self._rows // QUARTERS, -1)
        result: Array = np.ascontiguousarray(rows[:, first : first + count]).reshape(-1)
        return result


class _Made:
    """The scales of a matrix that is made in quarters: one for all, or some for each row."""

    def __init__(self, one: bool, quarter: int) -> None:
        self.one, self._quarter = one, quarter
        self.scales: Optional[Array] = None
        self._known = False

    def take(self, first: int, count: int, scales: Optional[Array], report: Any) -> None:
        """Takes those of some rows of each quarter. Rows of zeros fit any scale."""
        if scales is None:
            return
        if not self.one:
            rows = scales.reshape(QUARTERS, count, -1)
            if self.scales is None:
                self.scales = np.empty(QUARTERS * self._quarter * rows.shape[2], np.uint8)
            whole = self.scales.reshape(QUARTERS, self._quarter, -1)
            whole[:, first : first + count] = rows
            return
        zeros = report.zeros == report.elements
        if self._known and not zeros and scales.tobytes() != self.scales.tobytes():  # type: ignore[union-attr]
            left, right = (float(one.view(np.float32)[0]) for one in (self.scales, scales))  # type: ignore[union-attr]
            raise InvalidArgument(
                f"hf_bitnet has one scale for the tensor, but there are {left:.9g} and "
                f"{right:.9g}",
                "source",
            )
        if self.scales is None or (not zeros and not self._known):
            self.scales = scales
        self._known |= not zeros


@contextmanager
def _from_row(first: int, of: str = "") -> Iterator[None]:
    """Says which rows an error is about: the daemon counts from the first that it is sent."""
    try:
        yield
    except Error as error:
        if first == 0 and not of:
            raise
        raise type(error)(f"from row {first}{of} on: {error.message}", error.field) from error


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
