# SPDX-License-Identifier: Apache-2.0
"""The blocking client."""
from __future__ import annotations

import enum
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from ._arrays import STORAGE, View, view, view_elements
from ._call import Call, Progress, text, unsigned
from ._handle import Handle
from ._native import ffi, lib, new
from ._tensors import c_tensor, shaped, shaped_scales, take
from .checkpoint import Checkpoint
from .errors import InvalidArgument
from .layers import Layers
from .reports import Report, Reports, report_of
from .types import (DType, Encoding, LayerRef, PartialGroup, Projection, ReportDetail,
                    VerifyMode, group_size_of, member)

__all__ = ["Client"]

Layer = Union[LayerRef, Tuple[str, str, int]]

ALIGNMENT = 64  # bytes


# ---- helpers ------------------------------------------------------------------------

def _group_size(count: Optional[int], encoding: Encoding) -> int:
    return unsigned(group_size_of(count, encoding), 2**32, "options.group_size")


def _file(ref: Any, layer: Optional[Layer]) -> List[Any]:
    """Fills a struct trit_layer_ref; gives what must outlive the call."""
    if layer is None:
        return []
    run, name, step = LayerRef(*layer)
    kept = [text(run, "layer.run"), text(name, "layer.layer")]
    ref.run, ref.layer = kept
    ref.step = unsigned(step, 2**63, "layer.step")
    return kept


class _Packed:
    """Encoded data as verify and unpack take it: an array, or a Projection that
    brings its own encoding, shape, group size, partial group and scales."""

    def __init__(self, data: Any, encoding: Union[None, Encoding, str], scales: Any,
                 shape: Optional[Sequence[int]], group_size: Optional[int],
                 partial_group: Union[None, PartialGroup, str] = None):
        self.encoding = member(Encoding, Encoding.DENSE if encoding is None else encoding,
                               "encoding")
        self.partial_group = member(
            PartialGroup, PartialGroup.PADDED if partial_group is None else partial_group,
            "options.partial_group")
        if isinstance(data, Projection):
            _same("encoding", encoding, self.encoding, data.encoding)
            _same("shape", shape, tuple(shape or ()), tuple(data.shape))
            _same("options.group_size", group_size, group_size, data.group_size)
            _same("options.partial_group", partial_group, self.partial_group, data.partial_group)
            if scales is not None and scales is not data.scales:
                raise InvalidArgument("scales: the projection brings its own; verify its data to "
                                      "use others", "scales")
            self.encoding, self.partial_group = data.encoding, data.partial_group
            scales, shape, group_size, data = data.scales, data.shape, data.group_size, data.data
        self.group_size = _group_size(group_size, self.encoding)
        dense = self.encoding == Encoding.DENSE
        self.seen = view_elements(data, "tensor") if dense else view(data, "tensor")
        if shape is None and self.encoding not in (Encoding.DENSE, Encoding.INT8):
            raise InvalidArgument("shape: packed bytes do not tell it", "shape")
        self.shape = tuple(self.seen.shape if shape is None else shape)
        self.scales = None if scales is None else view(scales, "scales")
        if dense:
            dtype = self.seen.element
        else:
            dtype = DType.I8 if self.encoding == Encoding.INT8 else DType.U8
        self.tensor = c_tensor(self.seen, self.shape, dtype, "tensor")

    def fill(self, options: Any) -> None:
        options.encoding = self.encoding
        options.group_size = self.group_size
        if self.scales is not None:
            options.scales = ffi.cast("void *", self.scales.address)
            options.scale_bytes = self.scales.nbytes
            options.scales_dtype = _scales_dtype(self.scales)


def _scales_dtype(scales: View) -> int:
    """The dtype of the scales themselves decides; raw bytes are in the encoding's own."""
    if scales.dtype in (DType.F32, DType.F16, DType.BF16):
        return scales.element
    if scales.dtype == DType.U8:
        return 0
    raise InvalidArgument("scales.dtype: is none of f32, f16, bf16, nor bytes", "scales.dtype")


def _same(field: str, given: Any, value: Any, made: Any) -> None:
    """What is said beside a Projection must be what it was made with."""
    if given is not None and value != made:
        def text(one: Any) -> str:
            return one.name.lower() if isinstance(one, enum.Enum) else str(one)

        raise InvalidArgument(f"{field}: {text(value)} was given, but the projection was made with "
                              f"{text(made)}; leave it out, or give the projection's data", field)


# ---- the client -----------------------------------------------------------------------

class Client:
    """A connection to tritd: `with trit.Client("127.0.0.1:6561") as client: ...`

    address   "host:port" or "unix:/path"; None: TRITD_ADDRESS, else 127.0.0.1:6561
    timeout   seconds for each call that brings none of its own; None or math.inf: no
              limit. What is no number, is negative or NaN is InvalidArgument, here and
              with each call

    It connects at the first call. Any number of threads may call at once; the
    GIL is released while a call runs. Tensors from `stream_bytes_min` bytes on
    are streamed. A client survives fork and pickling: both connect anew.
    """

    def __init__(self, address: Optional[str] = None, *, timeout: Optional[float] = None,
                 connections: int = 0, stream_bytes_min: int = 0,
                 message_bytes_max: int = 0) -> None:
        self._options: Dict[str, Any] = {
            "address": address, "timeout": timeout, "connections": connections,
            "stream_bytes_min": stream_bytes_min, "message_bytes_max": message_bytes_max}
        self._handle = Handle(**self._options)
        self.reports = Reports(self._handle)
        self.layers = Layers(self._handle)

    def __reduce__(self):
        return _again, (type(self), self._options)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        if handle is not None:
            handle.close()

    def close(self) -> None:
        """Waits for running calls, then disconnects. Twice is harmless."""
        self._handle.close()

    @property
    def checkpoint(self) -> Checkpoint:
        """Whole safetensors files and state dicts."""
        return Checkpoint(self)

    def ping(self, service: str = "", *, timeout: Optional[float] = None,
             _cancelled: Any = None) -> bool:
        """Whether the daemon, or one of its services, serves."""
        call = Call(timeout, None, _cancelled)
        options, serving = new("struct trit_call_options *"), ffi.new("bool *")
        call.fill(options)
        with self._handle as client:
            call.check(lib.trit_ping(client, text(service, "service"), options, serving, call.error))
        return bool(serving[0])

    def project(self, tensor: Any, *, group_size: Optional[int] = None,
                partial_group: Union[PartialGroup, str] = PartialGroup.PADDED,
                encoding: Union[Encoding, str] = Encoding.DENSE,
                report: Union[ReportDetail, str] = ReportDetail.FULL,
                layer: Optional[Layer] = None, out: Optional[np.ndarray] = None,
                timeout: Optional[float] = None, progress: Optional[Progress] = None,
                _cancelled: Any = None) -> Projection:
        """Ternarizes a tensor.

        tensor   f32, f16 or bf16 [..., columns], rank 1 to 8
        group_size  weights that share a scale; None: 128, or the whole tensor where
                 the encoding has one scale (I2_S, HF_BITNET)
        layer    (run, layer, step): the report is filed there
        out      with DENSE alone: NumPy memory of the tensor's bytes for the result,
                 other than the tensor's own
        progress called with the bytes sent since the last time, as tqdm.update;
                 or a tqdm bar

        Raises InvalidArgument for a NaN or infinity (naming count and index).
        """
        seen = view_elements(tensor, "tensor")
        kind = member(Encoding, encoding, "options.encoding")
        call = Call(timeout, progress, _cancelled)
        options = new("struct trit_project_options *", {
            "group_size": _group_size(group_size, kind), "encoding": kind,
            "partial_group": member(PartialGroup, partial_group, "options.partial_group"),
            "report": member(ReportDetail, report, "options.report")})
        kept = _file(options.layer, layer)
        call.fill(options.call)
        if out is not None and kind != Encoding.DENSE:
            raise InvalidArgument(f"out: only a dense result goes there, {kind.name.lower()} makes "
                                  "an array of its own; leave it out", "out")
        dense = _room(seen, out) if kind == Encoding.DENSE else None
        if dense is not None:
            options.out = ffi.cast("void *", dense.__array_interface__["data"][0])
            options.out_bytes = dense.nbytes
        made = new("struct trit_projection *")
        borrowed = c_tensor(seen, seen.shape, seen.element, "tensor")
        with self._handle as client:
            call.check(lib.trit_project(client, borrowed, options, made, call.error))
        del kept
        filed = report_of(made.report) if options.report != ReportDetail.NONE else None
        data = dense if dense is not None else \
            shaped(take(made.data, made.data_bytes), kind, seen.shape)
        if out is None:
            data = seen.give(data, seen.dtype if kind == Encoding.DENSE else None)
        scales = None
        if made.scales != ffi.NULL:
            found = take(made.scales, made.scale_bytes)
            scales = seen.give(shaped_scales(found, kind, seen.shape), None)
        return Projection(data, scales, filed, kind, seen.shape, options.group_size,
                          PartialGroup(options.partial_group))

    def verify(self, tensor: Any, *, mode: Union[VerifyMode, str] = VerifyMode.TERNARY,
               group_size: Optional[int] = None,
               partial_group: Union[None, PartialGroup, str] = None,
               tolerance: Optional[float] = None, reference: Any = None,
               encoding: Union[None, Encoding, str] = None, scales: Any = None,
               shape: Optional[Sequence[int]] = None, layer: Optional[Layer] = None,
               timeout: Optional[float] = None, progress: Optional[Progress] = None,
               _cancelled: Any = None) -> Report:
        """Whether a tensor is ternary, and all a report says. A tensor that is
        not is no error: see `is_ternary`.

        tensor     f32, f16 or bf16 [..., columns]; or a Projection, which knows how
                   it was made; or packed bytes with `encoding`, their logical `shape`
                   and `scales`
        encoding, group_size, partial_group, shape, scales  of what is no Projection
                   (None: DENSE, 128, PADDED); with one, others than its own are
                   refused
        mode       LATENT: project it, then verify the projection
        tolerance  of |w/s - t|, 1e-5 if None; 0: magnitudes must be bit-equal
        scales     of packed bytes whose encoding keeps scales beside them: f32, f16 or
                   bf16; a reference's scales are compared after rounding to that type
        reference  the latents (same shape) it should be the projection of
        """
        packed = _Packed(tensor, encoding, scales, shape, group_size, partial_group)
        call = Call(timeout, progress, _cancelled)
        options = new("struct trit_verify_options *", {
            "mode": member(VerifyMode, mode, "options.mode"),
            "partial_group": packed.partial_group,
            "has_tolerance": tolerance is not None, "tolerance": tolerance or 0.0})
        packed.fill(options)
        kept = _file(options.layer, layer)
        call.fill(options.call)
        if reference is not None:
            latents = view_elements(reference, "reference")
            kept += [latents, c_tensor(latents, latents.shape, latents.element, "reference")]
            options.reference = kept[-1]
        made = new("struct trit_report *")
        with self._handle as client:
            call.check(lib.trit_verify(client, packed.tensor, options, made, call.error))
        del kept
        return report_of(made)

    def unpack(self, packed: Any, *, encoding: Union[None, Encoding, str] = None,
               scales: Any = None, shape: Optional[Sequence[int]] = None,
               group_size: Optional[int] = None, dtype: Union[DType, str] = DType.F32,
               timeout: Optional[float] = None, progress: Optional[Progress] = None,
               _cancelled: Any = None) -> Any:
        """Encoded weights as t*s, of `dtype` (F32, F16, BF16) and of the logical
        shape. `packed` is a Projection, or bytes with encoding (None: DENSE), shape,
        scales and group size; others than a Projection's own are refused."""
        source = _Packed(packed, encoding, scales, shape, group_size)
        kind = member(DType, dtype, "dtype")
        call = Call(timeout, progress, _cancelled)
        options = new("struct trit_unpack_options *", {"dtype": kind})
        source.fill(options)
        call.fill(options.call)
        data, count = ffi.new("void **"), ffi.new("uint64_t *")
        with self._handle as client:
            call.check(lib.trit_unpack(client, source.tensor, options, data, count,
                                       call.error))
        made = take(data[0], count[0]).view(STORAGE[kind]).reshape(source.shape)
        return source.seen.give(made, kind)

    def backward(self, grad_ternary: Any, *, timeout: Optional[float] = None,
                 progress: Optional[Progress] = None, _cancelled: Any = None) -> Any:
        """The gradient with respect to the latents, by the straight-through
        estimator: same shape, dtype and values as `grad_ternary`."""
        seen = view_elements(grad_ternary, "grad_ternary")
        call = Call(timeout, progress, _cancelled)
        options = new("struct trit_call_options *")
        call.fill(options)
        out = np.empty(seen.shape, STORAGE[seen.element])
        borrowed = c_tensor(seen, seen.shape, seen.element, "grad_ternary")
        with self._handle as client:
            call.check(lib.trit_backward(
                client, borrowed, options,
                ffi.cast("void *", out.__array_interface__["data"][0]), call.error))
        return seen.give(out, seen.dtype)


def _again(kind: Any, options: dict) -> Client:
    return kind(**options)


def _room(seen: View, out: Optional[np.ndarray]) -> np.ndarray:
    """Memory for a dense result. Ours begins where torch's and mlx's would: a matrix
    product may choose its kernel by that."""
    if out is None:
        room = np.empty(seen.nbytes + ALIGNMENT - 1, np.uint8)
        skipped = -room.__array_interface__["data"][0] % ALIGNMENT
        return room[skipped:skipped + seen.nbytes].view(STORAGE[seen.element]).reshape(seen.shape)
    if not isinstance(out, np.ndarray) or not out.flags.c_contiguous or \
            not out.flags.writeable or out.nbytes != seen.nbytes:
        raise InvalidArgument(f"out: a writable contiguous ndarray of {seen.nbytes} bytes "
                              "is needed", "out")
    begin = out.__array_interface__["data"][0]
    if begin < seen.address + seen.nbytes and seen.address < begin + out.nbytes:
        # A stream may have to be sent again when part of its result is there.
        raise InvalidArgument("out: overlaps the tensor", "out")
    return out
