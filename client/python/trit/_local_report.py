# SPDX-License-Identifier: Apache-2.0
"""What a verification measures without a daemon, in NumPy."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import numpy as np

from ._arrays import Array


def local_report(
    dense: Array,
    scales: Array,
    *,
    dtype: str,
    shape: Tuple[int, ...],
    group_size: int,
    non_finite: int,
    tolerance: float,
) -> Dict[str, Any]:
    """The fields of a report on the projection of latents.

    `dense` is the projection [rows, columns] as f32, with NaN in the groups that have no
    finite scale; `scales` is f32 [rows, groups]; `non_finite` counts the latents' NaN and
    infinities.
    """
    rows, columns = dense.shape
    groups = scales.shape[1] if scales.ndim == 2 else 0
    padded = np.zeros((rows, groups * group_size), np.float32)
    padded[:, :columns] = np.nan_to_num(dense, nan=0.0)
    grouped = padded.reshape(rows, groups, group_size)
    magnitude = np.abs(grouped).max(axis=2, initial=0, keepdims=True)
    normalized = grouped / np.where(magnitude == 0, np.float32(1), magnitude)
    normalized = normalized.reshape(rows, -1)[:, :columns]
    codes = np.rint(normalized)
    errors = np.abs(normalized - codes)
    invalid = int((errors > tolerance).sum()) + non_finite
    finite = scales[np.isfinite(scales)]
    count = {t: int((codes == t).sum()) for t in (-1, 0, 1)}
    elements = rows * columns
    is_ternary = invalid == 0
    dead = elements > 0 and count[0] == elements
    return {
        "dtype": dtype,
        "shape": shape,
        "group_size": group_size,
        "groups": rows * groups,
        "elements": elements,
        "is_ternary": is_ternary,
        "fraction_valid": 1 - invalid / elements if elements else 1.0,
        "max_round_error": float(errors.max(initial=0)),
        "sample_values": tuple(float(one) for one in np.unique(normalized + 0)[:8]),
        "negatives": count[-1],
        "zeros": count[0],
        "positives": count[1],
        "zero_fraction": count[0] / elements if elements else 0.0,
        "zero_groups": int((finite == 0).sum()),
        "non_finite": non_finite,
        "scale_min": float(finite.min()) if finite.size else None,
        "scale_mean": float(finite.astype(np.float64).mean()) if finite.size else None,
        "scale_max": float(finite.max()) if finite.size else None,
        "verdict": "pass" if is_ternary and not dead else "fail",
    }
