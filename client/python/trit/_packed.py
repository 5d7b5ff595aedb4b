# SPDX-License-Identifier: Apache-2.0
"""Encoded weights as `verify`, `unpack` and `pack` take them."""

from __future__ import annotations

import enum
from typing import Any, Optional, Sequence

from ._arguments import given, member, shape_of, unsigned
from ._arrays import View, view_elements, view_of, view_packed
from ._native import ffi
from ._tensors import c_tensor
from .errors import InvalidArgument
from .types import (
    GROUP_SIZE,
    ONE_SCALE,
    AnyEncoding,
    AnyPartialGroup,
    DType,
    Encoding,
    PartialGroup,
    Projection,
)


def c_group_size(count: Optional[int], encoding: Encoding) -> int:
    """The group size of a call, checked; 0 only where all of the tensor has one scale."""
    field = "options.group_size"
    if encoding in ONE_SCALE:
        return unsigned(0 if count is None else count, 2**32, field)
    return given(count, field, 2**32, str(GROUP_SIZE)) or GROUP_SIZE


class Packed:
    """An array with its encoding, or a Projection, which brings its own.

    A Projection also brings shape, group size, partial group and scales.
    """

    def __init__(
        self,
        data: Any,
        encoding: Optional[AnyEncoding],
        scales: Any,
        shape: Optional[Sequence[int]],
        group_size: Optional[int],
        partial_group: Optional[AnyPartialGroup] = None,
    ) -> None:
        self.encoding = member(Encoding, "dense" if encoding is None else encoding, "encoding")
        self.partial_group = member(
            PartialGroup,
            "padded" if partial_group is None else partial_group,
            "options.partial_group",
        )
        shape = None if shape is None else shape_of(shape, "shape")
        if isinstance(data, Projection):
            projection = data
            _check_same("encoding", encoding, self.encoding, projection.encoding)
            _check_same("shape", shape, shape, tuple(projection.shape))
            _check_same("options.group_size", group_size, group_size, projection.group_size)
            _check_same(
                "options.partial_group",
                partial_group,
                self.partial_group,
                projection.partial_group,
            )
            if scales is not None and scales is not projection.scales:
                raise InvalidArgument(
                    "scales: the projection brings its own; verify its data to use others",
                    "scales",
                )
            self.encoding, self.partial_group = projection.encoding, projection.partial_group
            data, scales, shape, group_size = (
                projection.data,
                projection.scales,
                projection.shape,
                projection.group_size,
            )
        self.group_size = c_group_size(group_size, self.encoding)
        self.scales = None if scales is None else view_of(scales, "scales")
        dense = self.encoding == Encoding.DENSE
        self.view = view_elements(data, "tensor") if dense else view_packed(data, "tensor")
        if shape is None and self.encoding not in (Encoding.DENSE, Encoding.INT8):
            raise InvalidArgument(
                "shape: packed bytes need the shape of the dense tensor", "shape"
            )
        self.shape = tuple(self.view.shape if shape is None else shape)
        if dense:
            dtype = self.view.element
        else:
            dtype = DType.I8 if self.encoding == Encoding.INT8 else DType.U8
        self.tensor = c_tensor(self.view, self.shape, dtype, "tensor")

    def fill(self, options: Any) -> None:
        """Fills the fields that trit_verify_options and trit_unpack_options share."""
        options.encoding = self.encoding
        options.group_size = self.group_size
        if self.scales is not None:
            options.scales = ffi.cast("void *", self.scales.address)
            options.scale_bytes = self.scales.nbytes
            options.scales_dtype = _scales_dtype(self.scales)


# Weights of a block with a scale of its own.
_BLOCKS = {
    Encoding.PQ2_0: 128,
    Encoding.Q2_0: 64,
    Encoding.PTQ1_0: 128,
    Encoding.TQ1_0: 256,
    Encoding.TQ2_0: 256,
}


class PackSource(Packed):
    """Weights that are ternary already, and the encoding `kind` that they will have.

    Attributes:
        held_group_size: Weights that share a scale in the result; 0 for the whole tensor.
    """

    def __init__(
        self,
        data: Any,
        encoding: Optional[AnyEncoding],
        scales: Any,
        shape: Optional[Sequence[int]],
        group_size: Optional[int],
        kind: Encoding,
    ) -> None:
        super().__init__(data, encoding, scales, shape, None)
        self.kind = kind
        own_groups = self.encoding not in (Encoding.DENSE, *ONE_SCALE)
        if group_size is None and self.group_size and (own_groups or kind not in ONE_SCALE):
            group_size = self.group_size
        if kind in ONE_SCALE and not own_groups:
            self.group_size = c_group_size(group_size, kind)
        else:
            self.group_size = c_group_size(group_size, Encoding.DENSE)
        self.held_group_size = max(self.group_size, _BLOCKS.get(kind, 0))
        if kind in ONE_SCALE:
            self.held_group_size = 0

    def fill_pack(self, options: Any) -> None:
        """Fills a trit_pack_options."""
        self.fill(options)
        options.source_encoding, options.encoding = self.encoding, self.kind


def _scales_dtype(scales: View) -> int:
    """The dtype of the scales; 0, which is that of the encoding, for bytes."""
    if scales.dtype in (DType.F32, DType.F16, DType.BF16):
        return scales.element
    if scales.dtype == DType.U8:
        return 0
    raise InvalidArgument("scales.dtype: is not one of f32, f16, bf16, nor bytes", "scales.dtype")


def _check_same(field: str, given: Any, value: Any, own: Any) -> None:
    """Refuses an argument that contradicts a Projection's own."""
    if given is not None and value != own:
        raise InvalidArgument(
            f"{field}: {_shown(value)} was given, but the projection was made with "
            f"{_shown(own)}; leave it out, or give the projection's data",
            field,
        )


def _shown(value: Any) -> str:
    return value.name.lower() if isinstance(value, enum.Enum) else str(value)
