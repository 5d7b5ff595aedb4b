# SPDX-License-Identifier: Apache-2.0
"""The projection without a daemon, in NumPy: for tests, and to train where no
daemon is at hand. Bit-equal to tritd's: the sum of a group in float64, divided,
rounded once to float32; t = +1 where w + w > s, -1 where -(w + w) > s."""
from __future__ import annotations

from typing import Tuple, Union

import numpy as np

from .types import GROUP_SIZE, PartialGroup, member


def codes_and_scales(w: np.ndarray, group_size: int = GROUP_SIZE,
                     partial_group: Union[PartialGroup, str] = PartialGroup.PADDED,
                     ) -> Tuple[np.ndarray, np.ndarray]:
    """int8 codes of w's shape and float32 scales [rows, groups] of a float32
    array [..., columns]."""
    columns = w.shape[-1]
    rows = np.ascontiguousarray(w, np.float32).reshape(-1, columns)
    groups = -(-columns // group_size)
    padded = np.zeros((rows.shape[0], groups * group_size))
    padded[:, :columns] = np.abs(rows)
    divisor = np.full(groups, float(group_size))
    if member(PartialGroup, partial_group, "partial_group") == PartialGroup.EXACT \
            and columns % group_size:
        divisor[-1] = columns % group_size
    sums = padded.reshape(-1, groups, group_size).sum(axis=2)
    scales = (sums / divisor).astype(np.float32)
    s = np.repeat(scales, group_size, axis=1)[:, :columns]
    # In float64: twice a float32 above 2^127 is no float32.
    twice = rows.astype(np.float64) * 2
    codes = (twice > s).astype(np.int8) - (-twice > s).astype(np.int8)
    return codes.reshape(w.shape), scales


def project(w: np.ndarray, group_size: int = GROUP_SIZE,
            partial_group: Union[PartialGroup, str] = PartialGroup.PADDED) -> np.ndarray:
    """t*s in float32; a zero keeps the sign of its weight."""
    codes, scales = codes_and_scales(w, group_size, partial_group)
    s = np.repeat(scales, group_size, axis=1)[:, :w.shape[-1]].reshape(w.shape)
    t = np.copysign(np.abs(codes).astype(np.float32), w)
    return t * s
