# SPDX-License-Identifier: Apache-2.0
"""The projection in MLX operations, to the daemon's bits.

It works inside of mx.compile, mx.grad and mx.vmap, because it never reads a value. f64 exists
on the CPU only, so the sums run there, whatever the default device is.
"""

from __future__ import annotations

from typing import Tuple

import mlx.core as mx

from ._arguments import member, positive
from .errors import InvalidArgument
from .types import AnyPartialGroup, PartialGroup

LANES = 16  # kernels/NUMERICS.md: the sum of a group has 16 lanes


def _sum_of_lanes(lanes: mx.array) -> mx.array:
    """[..., elements] to [...], in the order of the numeric contract."""
    lanes = lanes.reshape(*lanes.shape[:-1], -1, LANES)
    total = lanes[..., 0, :]
    for i in range(1, lanes.shape[-2]):
        total = mx.add(total, lanes[..., i, :], stream=mx.cpu)
    half = LANES // 2
    while half:
        total = mx.add(total[..., :half], total[..., half:], stream=mx.cpu)
        half //= 2
    return total[..., 0]


def _padded(rows: mx.array, columns: int) -> mx.array:
    """Rows whose last axis has zeros up to `columns`."""
    short = columns - rows.shape[-1]
    return mx.pad(rows, [(0, 0)] * (rows.ndim - 1) + [(0, short)]) if short else rows


def scales_of(
    latent: mx.array,
    group_size: int,
    partial_group: AnyPartialGroup = PartialGroup.PADDED,
) -> mx.array:
    """The f32 scales [rows, groups]; a NaN or infinity in a group makes its scale NaN or inf."""
    group_size = positive(group_size, "group_size")
    exact = member(PartialGroup, partial_group, "partial_group") == PartialGroup.EXACT
    if latent.dtype not in (mx.float32, mx.float16, mx.bfloat16):
        raise InvalidArgument(
            f"latent.dtype: {latent.dtype} is not one of f32, f16, bf16", "latent.dtype"
        )
    columns = latent.shape[-1]
    groups = -(-columns // group_size)
    width = min(group_size, columns)  # zeros beyond a row do not change its sums
    magnitudes = mx.abs(latent.astype(mx.float32)).reshape(-1, columns)
    grouped = _padded(magnitudes, groups * width).reshape(-1, groups, width)
    grouped = _padded(grouped, -(-width // LANES) * LANES)
    sums = _sum_of_lanes(grouped.astype(mx.float64, stream=mx.cpu))
    counts = [float(group_size)] * groups
    if exact and columns % group_size:
        counts[-1] = float(columns % group_size)
    divisor = mx.array(counts, dtype=mx.float64)
    return mx.divide(sums, divisor, stream=mx.cpu).astype(mx.float32, stream=mx.cpu)


def _spread(scales: mx.array, group_size: int, shape: Tuple[int, ...]) -> mx.array:
    """A scale for each element."""
    width = min(group_size, shape[-1])
    return mx.repeat(scales, width, axis=1)[:, : shape[-1]].reshape(shape)


def project_with(latent: mx.array, scales: mx.array, group_size: int) -> mx.array:
    """t*s of `latent`'s shape and dtype; NaN in a group whose scale is not finite.

    A zero keeps the sign of its weight.
    """
    dtype, shape = latent.dtype, tuple(latent.shape)
    wide = mx.abs(latent.astype(mx.float32))
    s = _spread(scales, group_size, shape)
    # The scale is rounded once to the output's type.
    rounded = _spread(scales.astype(dtype), group_size, shape)
    zero = (s * 0.0).astype(dtype)
    magnitudes = mx.where(wide + wide > s, rounded, zero)
    bits = mx.uint32 if dtype == mx.float32 else mx.uint16
    sign = 1 << (8 * bits.size - 1)
    signs = mx.contiguous(latent).view(bits) & mx.array(sign, dtype=bits)
    # Without mx.contiguous the rows of a short last group would keep a stride, for which a
    # matrix product may use another kernel, whose last bits differ.
    return mx.contiguous(mx.contiguous(magnitudes).view(bits) | signs).view(dtype)
