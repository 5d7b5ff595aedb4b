# SPDX-License-Identifier: Apache-2.0
"""What calls of held layers take and give, and the same as libtrit's structs."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, Optional, Tuple

from ._arguments import c_text, flag, member, positive, unsigned
from ._arrays import STORAGE, View, Wrap, view_elements
from ._native import ffi, lib, new
from ._tensors import c_tensor, shaped, take
from .errors import InvalidArgument
from .types import AnyLayerKind, DType, Encoding, LayerKind, Projection


@dataclasses.dataclass(frozen=True)
class LayerSpec:
    """What a held layer is: ternary weights Wt [out_features, in_features] and a bias.

    Attributes:
        name: Its name, 1 to 255 bytes.
        kind: LINEAR or EMBEDDING.
        in_features: Columns of Wt; the length of an embedding's rows.
        out_features: Rows of Wt; the number of an embedding's ids.
        bias: Whether it has a bias.
        group_size: Weights of a row that share a scale.
        keep_latents: Whether the daemon keeps the latents.

    Example:
        >>> spec = client.layers.create("spec", 64, 10, bias=True)
        >>> spec.in_features, spec.out_features, spec.bias, spec.group_size
        (64, 10, True, 128)
        >>> client.layers.delete("spec")
    """

    name: str
    kind: LayerKind
    in_features: int
    out_features: int
    bias: bool
    group_size: int
    keep_latents: bool


@dataclasses.dataclass(frozen=True)
class HeldLayer:
    """A layer's spec and weights, as `Layers.get` gives them.

    Attributes:
        spec: What the layer is.
        weight: The ternary weights as `encoding` lays them out (see `Projection`), or the
            dense latents [out_features, in_features]; None where only the spec was asked for.
        scales: The scales, where the encoding keeps them in an array of their own.
        bias: f32 [out_features] with the ternary weights; None for a layer without one.
        encoding: The encoding of `weight`.
        seed: The seed of a layer that `create` made, else None.

    Example:
        >>> spec = client.layers.load("held", weights)
        >>> held = client.layers.get("held", encoding="int8")
        >>> held.weight.dtype.name, held.scales.shape
        ('int8', (256, 2))
        >>> client.layers.delete("held")
    """

    spec: LayerSpec
    weight: Optional[Any]
    scales: Optional[Any]
    bias: Optional[Any]
    encoding: Encoding
    seed: Optional[int]

    @property
    def projection(self) -> Projection:
        """The weights as `Client.verify` and `Client.unpack` take them.

        Returns:
            A projection without a report.

        Example:
            >>> spec = client.layers.load("held", weights)
            >>> client.verify(client.layers.get("held").projection).is_ternary
            True
            >>> client.layers.delete("held")
        """
        shape = (self.spec.out_features, self.spec.in_features)
        return Projection(
            self.weight, self.scales, None, self.encoding, shape, self.spec.group_size
        )


class ForwardResult(NamedTuple):
    """y, and how far it is from y with f32 activations before rounding to its dtype.

    The errors are NaN where a product is.

    Attributes:
        y: The product [..., out_features], of x's dtype.
        max_error: The largest |y - y with f32 activations|.
        relative_error: `max_error` divided by the largest |y with f32 activations|.

    Example:
        >>> spec = client.layers.load("error", weights)
        >>> result = client.layers.forward_with_error("error", weights)
        >>> result.y.shape, 0 < result.relative_error < 0.05
        ((256, 256), True)
        >>> client.layers.delete("error")
    """

    y: Any
    max_error: float
    relative_error: float


class Gradients(NamedTuple):
    """The gradients of y = x @ Wt.T + bias, by the straight-through estimator.

    Attributes:
        input: With respect to x, of its shape and dtype.
        weight: With respect to the latents [out_features, in_features], of the dtype of
            grad_output.
        bias: With respect to the bias [out_features]; None for a layer without one.

    Example:
        >>> spec = client.layers.load("gradients", weights)
        >>> gradients = client.layers.backward("gradients", weights, weights)
        >>> gradients.input.shape, gradients.weight.shape, gradients.bias is None
        ((256, 256), (256, 256), True)
        >>> client.layers.delete("gradients")
    """

    input: Any
    weight: Any
    bias: Optional[Any]


# ---- to C and back -----------------------------------------------------------------------


def c_spec(
    name: str,
    kind: AnyLayerKind,
    in_features: int,
    out_features: int,
    bias: bool,
    group_size: int,
    keep_latents: bool,
) -> Any:
    """A `struct trit_layer_spec *`."""
    c_text(name, "spec.name")
    encoded = name.encode()
    if len(encoded) > lib.TRIT_NAME_BYTES_MAX:
        raise InvalidArgument(
            f"spec.name: {name!r} has more than {lib.TRIT_NAME_BYTES_MAX} bytes", "spec.name"
        )
    return new(
        "struct trit_layer_spec *",
        {
            "name": encoded,
            "kind": member(LayerKind, kind, "spec.kind"),
            "in_features": unsigned(in_features, 2**64, "spec.in_features"),
            "out_features": unsigned(out_features, 2**64, "spec.out_features"),
            "bias": flag(bias, "spec.bias"),
            "group_size": positive(group_size, "spec.group_size", 2**32),
            "keep_latents": flag(keep_latents, "spec.keep_latents"),
        },
    )


def spec_of(c: Any) -> LayerSpec:
    """The LayerSpec of a `struct trit_layer_spec` or of a pointer to one."""
    return LayerSpec(
        ffi.string(c.name).decode("utf-8", "replace"),
        LayerKind(c.kind),
        c.in_features,
        c.out_features,
        bool(c.bias),
        c.group_size,
        bool(c.keep_latents),
    )


def borrow(array: Any, field: str) -> Tuple[View, Any]:
    """An array of f32, f16 or bf16, and its struct."""
    view = view_elements(array, field)
    return view, c_tensor(view, view.shape, view.element, field)


def array_of(c: Any, wrap: Wrap) -> Optional[Any]:
    """The array of a struct trit_array; None if it has no data."""
    if c.data == ffi.NULL:
        return None
    dtype, shape = DType(c.dtype), tuple(c.shape[0 : c.rank])
    return wrap(take(c.data, c.bytes).view(STORAGE[dtype]).reshape(shape), dtype)


def encoded_weight(c: Any, wrap: Wrap) -> Optional[Any]:
    """The weight of a struct trit_layer, in its encoding."""
    encoding = Encoding(c.encoding)
    if c.weight.data == ffi.NULL or encoding == Encoding.DENSE:
        return array_of(c.weight, wrap)
    raw = take(c.weight.data, c.weight.bytes)
    return wrap(shaped(raw, encoding, (c.spec.out_features, c.spec.in_features)), None)
