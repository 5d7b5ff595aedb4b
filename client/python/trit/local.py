# SPDX-License-Identifier: Apache-2.0
"""The projection in NumPy, without a daemon, for tests and for training.

Its bits are those of tritd: the sum of a group, in f64 and in the order of 16 lanes, is divided
and rounded once to f32; t is +1 where w + w > s, and -1 where -(w + w) > s.
"""

from __future__ import annotations

from typing import Tuple

import numpy as np

from ._arguments import member, positive, wrong_type
from ._arrays import Array, check_mask
from .types import GROUP_SIZE, AnyPartialGroup, PartialGroup

__all__ = ["codes_and_scales", "project"]


_LANES = 16  # kernels/NUMERICS.md: the sum of a group has 16 lanes


def _sum_of_lanes(values: Array) -> Array:
    """f64 [..., elements] to [...], in the order of the numeric contract."""
    short = -values.shape[-1] % _LANES
    padded = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, short)])
    lanes = padded.reshape(*values.shape[:-1], -1, _LANES)
    total = lanes[..., 0, :].copy()
    for i in range(1, lanes.shape[-2]):
        total += lanes[..., i, :]
    half = _LANES // 2
    while half:
        total = total[..., :half] + total[..., half:]
        half //= 2
    return total[..., 0]


def codes_and_scales(
    w: Array,
    group_size: int = GROUP_SIZE,
    partial_group: AnyPartialGroup = PartialGroup.PADDED,
) -> Tuple[Array, Array]:
    """The codes t and the scales s of a projection.

    Args:
        w: f32 [..., columns].
        group_size: Weights of a row that share a scale.
        partial_group: What the scale of a row's short last group divides by.

    Returns:
        int8 codes of w's shape, and f32 scales [rows, groups].

    Raises:
        InvalidArgument: An argument has no valid value.
        InvalidType: `w` is not a NumPy array.

    Example:
        >>> codes, scales = trit.local.codes_and_scales(weights)
        >>> codes.dtype.name, scales.shape
        ('int8', (256, 2))
    """
    if not isinstance(w, np.ndarray):
        raise wrong_type("w", "a NumPy array", w)
    check_mask(w, "w")
    group_size = positive(group_size, "group_size", 2**32)
    columns = w.shape[-1]
    rows = np.ascontiguousarray(w, np.float32).reshape(-1, columns)
    groups = -(-columns // group_size)
    width = min(group_size, columns)  # zeros beyond a row do not change its sums
    padded = np.zeros((rows.shape[0], groups * width))
    padded[:, :columns] = np.abs(rows)
    sums = _sum_of_lanes(padded.reshape(-1, groups, width))
    divisor = np.full(groups, float(group_size))
    partial = member(PartialGroup, partial_group, "partial_group")
    if partial == PartialGroup.EXACT and columns % group_size:
        divisor[-1] = columns % group_size
    scales = (sums / divisor).astype(np.float32)
    s = np.repeat(scales, width, axis=1)[:, :columns]
    # In f64, because f32 cannot hold twice a value above 2^127.
    twice = rows.astype(np.float64) * 2
    codes = (twice > s).astype(np.int8) - (-twice > s).astype(np.int8)
    return codes.reshape(w.shape), scales


def project(
    w: Array,
    group_size: int = GROUP_SIZE,
    partial_group: AnyPartialGroup = PartialGroup.PADDED,
) -> Array:
    """The ternary weights t*s. A zero keeps the sign of its weight.

    Args:
        w: f32 [..., columns].
        group_size: Weights of a row that share a scale.
        partial_group: What the scale of a row's short last group divides by.

    Returns:
        f32 of w's shape.

    Raises:
        InvalidArgument: An argument has no valid value.
        InvalidType: `w` is not a NumPy array.

    Example:
        >>> ternary = trit.local.project(weights)
        >>> bool((ternary == client.project(weights).data).all())
        True
    """
    codes, scales = codes_and_scales(w, group_size, partial_group)
    width = min(group_size, w.shape[-1])
    s = np.repeat(scales, width, axis=1)[:, : w.shape[-1]].reshape(w.shape)
    ternary: Array = np.copysign(np.abs(codes).astype(np.float32), w) * s
    return ternary
