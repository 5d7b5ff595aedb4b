# SPDX-License-Identifier: Apache-2.0
"""Layers held by the daemon: TernaryLinear and TernaryEmbedding, made, loaded, used
and verified by their names."""
from __future__ import annotations

import dataclasses
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

import numpy as np

from ._arrays import STORAGE, Give, View, give_numpy, view, view_elements, view_integers
from ._call import Call, Progress, text, unsigned
from ._handle import Handle
from ._native import ffi, lib, new
from ._tensors import c_tensor, shaped, shaped_scales, take
from ._visit import Visit, on_layer_spec, on_report
from .errors import InvalidArgument
from .reports import Report, report_of
from .types import (GROUP_SIZE, Activations, DType, Encoding, LayerKind, LayerPart,
                    Projection, member)

__all__ = ["Gradients", "HeldLayer", "LayerSpec", "Layers", "Product"]


@dataclasses.dataclass(frozen=True)
class LayerSpec:
    """A layer of ternary weights [out_features, in_features]; an embedding has
    out_features ids of in_features numbers each."""

    name: str
    kind: LayerKind
    in_features: int
    out_features: int
    bias: bool
    group_size: int
    keep_latents: bool


@dataclasses.dataclass(frozen=True)
class HeldLayer:
    """What the daemon holds of a layer.

    weight  the ternary weights as `encoding` lays them out (see Projection), or the
            dense latents [out_features, in_features]; None where only the spec was asked
    scales  as Projection has them
    bias    f32 [out_features] with the ternary weights; None without
    seed    of a layer that was made by `create`
    """

    spec: LayerSpec
    weight: Optional[Any]
    scales: Optional[Any]
    bias: Optional[Any]
    encoding: Encoding
    seed: Optional[int]

    @property
    def projection(self) -> Projection:
        """The weights as `client.verify` and `client.unpack` take them."""
        return Projection(self.weight, self.scales, None, self.encoding,
                          (self.spec.out_features, self.spec.in_features),
                          self.spec.group_size)


class Product(NamedTuple):
    """y, and how far it is from y by f32 activations, before it is rounded to its
    dtype. The errors are NaN where a product is."""

    y: Any
    max_error: float  # the largest |y - y by f32|
    relative_error: float  # the same, by the largest |y by f32|


class Gradients(NamedTuple):
    """Of y = x . Wt^T + bias, by the straight-through estimator."""

    input: Any  # x's shape and dtype
    weight: Any  # [out_features, in_features], grad_output's dtype
    bias: Optional[Any]  # [out_features]; None where the layer has none


# ---- to C and back --------------------------------------------------------------------

def _spec(name: str, kind: Union[LayerKind, str], in_features: int, out_features: int,
          bias: bool, group_size: int, keep_latents: bool) -> Any:
    encoded = name.encode()
    if "\0" in name or len(encoded) > lib.TRIT_NAME_BYTES_MAX:
        raise InvalidArgument(f"spec.name: {name!r} has a NUL or more than "
                              f"{lib.TRIT_NAME_BYTES_MAX} bytes", "spec.name")
    return new("struct trit_layer_spec *", {
        "name": encoded, "kind": member(LayerKind, kind, "spec.kind"),
        "in_features": unsigned(in_features, 2**64, "spec.in_features"),
        "out_features": unsigned(out_features, 2**64, "spec.out_features"),
        "bias": bias, "group_size": unsigned(group_size, 2**32, "spec.group_size"),
        "keep_latents": keep_latents})


def _spec_of(c: Any) -> LayerSpec:
    return LayerSpec(ffi.string(c.name).decode("utf-8", "replace"), LayerKind(c.kind),
                     c.in_features, c.out_features, bool(c.bias), c.group_size,
                     bool(c.keep_latents))


def _lend(array: Any, field: str) -> Tuple[View, Any]:
    """An array of f32, f16 or bf16, and its struct."""
    seen = view_elements(array, field)
    return seen, c_tensor(seen, seen.shape, seen.element, field)


def _array(c: Any, give: Give) -> Optional[Any]:
    """A struct trit_array that was given, as an array; None where it has no data."""
    if c.data == ffi.NULL:
        return None
    dtype, shape = DType(c.dtype), tuple(c.shape[0:c.rank])
    return give(take(c.data, c.bytes).view(STORAGE[dtype]).reshape(shape), dtype)


def _encoded(c: Any, give: Give) -> Optional[Any]:
    """A struct trit_layer's weight in its encoding."""
    encoding = Encoding(c.encoding)
    if c.weight.data == ffi.NULL or encoding == Encoding.DENSE:
        return _array(c.weight, give)
    raw = take(c.weight.data, c.weight.bytes)
    return give(shaped(raw, encoding, (c.spec.out_features, c.spec.in_features)), None)


# ---- the methods ----------------------------------------------------------------------

class Layers:
    """The layers of a daemon. Where it has a data directory they survive its restart.

    Arrays are NumPy's, torch's or mlx's; results are of the family of what went in.
    All methods take `timeout` in seconds (None: the client's) and release the GIL.
    They raise NotFound for a name that is unknown, FailedPrecondition for a layer of
    the other kind or without what is asked for, InvalidArgument with the field.
    """

    def __init__(self, handle: Handle):
        self._handle = handle

    def create(self, name: str, in_features: int, out_features: int, *,
               kind: Union[LayerKind, str] = LayerKind.LINEAR, bias: bool = False,
               seed: int = 0, group_size: int = GROUP_SIZE, keep_latents: bool = False,
               timeout: Optional[float] = None, _cancelled: Any = None) -> LayerSpec:
        """Makes a layer of latents drawn from N(0, 1) * in_features^-0.5, the bias
        zero; the same seed gives the same bits everywhere. AlreadyExists where the
        name is taken."""
        call = Call(timeout, None, _cancelled)
        options, made = new("struct trit_call_options *"), new("struct trit_layer_spec *")
        spec = _spec(name, kind, in_features, out_features, bias, group_size, keep_latents)
        call.fill(options)
        with self._handle as client:
            call.check(lib.trit_layer_create(client, spec, unsigned(seed, 2**64, "seed"),
                                             options, made, call.error))
        return _spec_of(made)

    def load(self, name: str, weight: Any, bias: Any = None, *,
             kind: Union[LayerKind, str] = LayerKind.LINEAR, group_size: int = GROUP_SIZE,
             keep_latents: bool = False, timeout: Optional[float] = None,
             progress: Optional[Progress] = None, _cancelled: Any = None) -> LayerSpec:
        """Makes a layer of latents that are given, projected as by Client.project.

        weight        f32, f16 or bf16 [out_features, in_features]; streamed from the
                      client's `stream_bytes_min` on
        bias          f32, f16 or bf16 [out_features], linear layers only
        keep_latents  they stay on the daemon's disk, for `get(part="latents")`

        InvalidArgument for a NaN or infinity; AlreadyExists where the name is taken.
        """
        seen, lent = _lend(weight, "weight")
        if len(seen.shape) != 2:
            raise InvalidArgument(f"weight.shape: rank {len(seen.shape)} is not 2",
                                  "weight.shape")
        seen_bias, lent_bias = (None, ffi.NULL) if bias is None else _lend(bias, "bias")
        call = Call(timeout, progress, _cancelled)
        options, made = new("struct trit_call_options *"), new("struct trit_layer_spec *")
        spec = _spec(name, kind, seen.shape[1], seen.shape[0], bias is not None, group_size,
                     keep_latents)
        call.fill(options)
        with self._handle as client:
            call.check(lib.trit_layer_load(client, spec, lent, lent_bias, options, made,
                                           call.error))
        del seen, seen_bias
        return _spec_of(made)

    def forward(self, name: str, x: Any, *,
                activations: Union[Activations, str] = Activations.F32,
                timeout: Optional[float] = None, progress: Optional[Progress] = None,
                _cancelled: Any = None) -> Any:
        """y = x . Wt^T + bias of a linear layer.

        x            f32, f16 or bf16 [..., in_features], rank 1 to 8
        activations  INT8: each row of x as int8 by its largest magnitude

        Gives [..., out_features] of x's dtype, computed in f32 and rounded once.
        """
        seen, made = self._forward(name, x, activations, False,
                                   Call(timeout, progress, _cancelled))
        return _array(made.y, seen.give)

    def forward_with_error(self, name: str, x: Any, *,
                           activations: Union[Activations, str] = Activations.INT8,
                           timeout: Optional[float] = None,
                           progress: Optional[Progress] = None,
                           _cancelled: Any = None) -> Product:
        """`forward`, and how far its y is from that of f32 activations, which the
        daemon computes besides."""
        seen, made = self._forward(name, x, activations, True,
                                   Call(timeout, progress, _cancelled))
        return Product(_array(made.y, seen.give), made.max_error, made.relative_error)

    def _forward(self, name: str, x: Any, activations: Union[Activations, str],
                 report_error: bool, call: Call) -> Tuple[View, Any]:
        seen, lent = _lend(x, "x")
        options = new("struct trit_forward_options *", {
            "activations": member(Activations, activations, "activations"),
            "report_error": report_error})
        call.fill(options.call)
        made = new("struct trit_forward *")
        with self._handle as client:
            call.check(lib.trit_layer_forward(client, text(name, "name"), lent, options, made,
                                              call.error))
        return seen, made

    def backward(self, name: str, x: Any, grad_output: Any, *,
                 timeout: Optional[float] = None, progress: Optional[Progress] = None,
                 _cancelled: Any = None) -> Gradients:
        """The gradients of `forward` (of an embedding: of `as_linear`).

        x            f32, f16 or bf16 [..., in_features]
        grad_output  f32, f16 or bf16 [..., out_features], the other axes as x's
        """
        seen, lent = _lend(x, "x")
        seen_grad, lent_grad = _lend(grad_output, "grad_output")
        call = Call(timeout, progress, _cancelled)
        options, made = new("struct trit_call_options *"), new("struct trit_gradients *")
        call.fill(options)
        with self._handle as client:
            call.check(lib.trit_layer_backward(client, text(name, "name"), lent, lent_grad,
                                               options, made, call.error))
        return Gradients(_array(made.input, seen.give), _array(made.weight, seen_grad.give),
                         _array(made.bias, seen_grad.give))

    def embed(self, name: str, ids: Any, *, timeout: Optional[float] = None,
              _cancelled: Any = None) -> Any:
        """Rows of an embedding: ids, integers of any shape and family (or a list), to
        f32 [*ids.shape, in_features]. InvalidArgument names an id out of range."""
        found, give = view_integers(ids, "ids")
        wrong = np.flatnonzero((found < 0) | (found >= 2**32))
        if wrong.size:
            raise InvalidArgument(f"ids: {found.reshape(-1)[wrong[0]]} (at index {wrong[0]}) "
                                  "is out of range", "ids")
        flat = np.ascontiguousarray(found.reshape(-1), np.uint32)
        call = Call(timeout, None, _cancelled)
        options, made = new("struct trit_call_options *"), new("struct trit_array *")
        call.fill(options)
        with self._handle as client:
            call.check(lib.trit_layer_embed(client, text(name, "name"),
                                            ffi.from_buffer("uint32_t[]", flat), flat.size,
                                            options, made, call.error))
        return _array(made, lambda rows, dtype: give(
            rows.reshape(*found.shape, rows.shape[-1]), dtype))

    def as_linear(self, name: str, x: Any, *, timeout: Optional[float] = None,
                  progress: Optional[Progress] = None, _cancelled: Any = None) -> Any:
        """x . Wt^T of an embedding, the output layer that shares its weights: x f32,
        f16 or bf16 [..., in_features] to logits [..., out_features] of x's dtype."""
        seen, lent = _lend(x, "x")
        call = Call(timeout, progress, _cancelled)
        options, made = new("struct trit_call_options *"), new("struct trit_array *")
        call.fill(options)
        with self._handle as client:
            call.check(lib.trit_layer_as_linear(client, text(name, "name"), lent, options,
                                                made, call.error))
        return _array(made, seen.give)

    def get(self, name: str, part: Union[LayerPart, str] = LayerPart.TERNARY, *,
            encoding: Union[Encoding, str] = Encoding.DENSE,
            dtype: Union[DType, str] = DType.F32, like: Any = None,
            timeout: Optional[float] = None, _cancelled: Any = None) -> HeldLayer:
        """The spec with the ternary weights and the bias, with the latents, or alone.

        encoding  of the ternary weights
        dtype     of dense ones: F32, F16, BF16
        like      an array whose family (and device) the results are of; None: NumPy
        """
        give = give_numpy if like is None else view(like, "like").give
        call = Call(timeout, None, _cancelled)
        options = new("struct trit_layer_get_options *", {
            "part": member(LayerPart, part, "part"),
            "encoding": member(Encoding, encoding, "encoding"),
            "dtype": member(DType, dtype, "dtype")})
        call.fill(options.call)
        made = new("struct trit_layer *")
        with self._handle as client:
            call.check(lib.trit_layer_get(client, text(name, "name"), options, made,
                                          call.error))
        scales = None
        if made.scales != ffi.NULL:
            raw = take(made.scales, made.scale_bytes)
            scales = give(shaped_scales(raw, Encoding(made.encoding),
                                        (made.spec.out_features, made.spec.in_features)), None)
        return HeldLayer(_spec_of(made.spec), _encoded(made, give), scales,
                         _array(made.bias, give), Encoding(made.encoding),
                         made.seed if made.has_seed else None)

    def list(self, prefix: str = "", *, timeout: Optional[float] = None,
             _cancelled: Any = None) -> List[LayerSpec]:
        """The specs of all layers whose names begin with `prefix`, by name."""
        call = Call(timeout, None, _cancelled)
        options = new("struct trit_call_options *")
        call.fill(options)
        visit = Visit(_spec_of)
        with self._handle as client:
            call.check(lib.trit_layer_list(client, text(prefix, "prefix"), options,
                                           new("struct trit_layer_spec *"), on_layer_spec,
                                           visit.handle, call.error))
        return visit.all()

    def delete(self, name: str, *, timeout: Optional[float] = None,
               _cancelled: Any = None) -> None:
        """Removes a layer; calls that use it end as if it were there."""
        call = Call(timeout, None, _cancelled)
        options = new("struct trit_call_options *")
        call.fill(options)
        with self._handle as client:
            call.check(lib.trit_layer_delete(client, text(name, "name"), options, call.error))

    def verify(self, prefix: str = "", *, tolerance: Optional[float] = None,
               timeout: Optional[float] = None, _cancelled: Any = None) -> Dict[str, Report]:
        """Whether the ternary weights of all layers whose names begin with `prefix` are
        ternary: a report for each, by its name. `tolerance` as in Client.verify."""
        call = Call(timeout, None, _cancelled)
        kept = text(prefix, "prefix")
        options = new("struct trit_layer_verify_options *", {
            "prefix": kept, "has_tolerance": tolerance is not None,
            "tolerance": tolerance or 0.0})
        call.fill(options.call)
        visit = Visit(report_of)
        with self._handle as client:
            call.check(lib.trit_layer_verify(client, options, new("struct trit_report *"),
                                             on_report, visit.handle, call.error))
        return {report.layer: report for report in visit.all()}
