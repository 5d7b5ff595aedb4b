# SPDX-License-Identifier: Apache-2.0
"""Results of `project` and `pack` as a Projection, and memory for dense ones."""

from __future__ import annotations

from typing import Any, Optional, Tuple

import numpy as np

from ._arguments import wrong_type
from ._arrays import STORAGE, Array, View, check_mask, dtype_of
from ._native import ffi
from ._tensors import shaped, shaped_scales, take
from .errors import InvalidArgument
from .reports import report_of
from .types import Encoding, PartialGroup, Projection, ReportDetail

ALIGNMENT = 64  # bytes


def projection_of(
    result: Any,
    view: View,
    shape: Tuple[int, ...],
    group_size: int,
    options: Any,
    dense: Any = None,
    partial_group: Optional[PartialGroup] = None,
) -> Projection:
    """A `struct trit_projection *` as arrays like `view`.

    `dense`: what it has as data; `partial_group`: that of the source, if the options have none.
    """
    kind = Encoding(options.encoding)
    data = dense
    if dense is None:
        data = view.wrap(shaped(take(result.data, result.data_bytes), kind, shape), None)
    scales = None
    if result.scales != ffi.NULL:
        raw = take(result.scales, result.scale_bytes)
        scales = view.wrap(shaped_scales(raw, kind, shape), None)
    return Projection(
        data,
        scales,
        report_of(result.report) if options.report != ReportDetail.NONE else None,
        kind,
        shape,
        group_size,
        PartialGroup(options.partial_group if partial_group is None else partial_group),
    )


def dense_result(view: View, out: Optional[Array]) -> Array:
    """Memory for a dense result: `out`, or aligned as torch and mlx align theirs.

    The kernel that a matrix product chooses, and so its last bits, may depend on that.
    """
    if out is None:
        memory = np.empty(view.nbytes + ALIGNMENT - 1, np.uint8)
        skipped = -memory.__array_interface__["data"][0] % ALIGNMENT
        aligned = memory[skipped : skipped + view.nbytes]
        return aligned.view(STORAGE[view.element]).reshape(view.shape)
    if writable_elements(out, view).nbytes != view.nbytes:
        raise InvalidArgument(f"out: {out.nbytes} bytes, but the result has {view.nbytes}", "out")
    return out


def writable(out: Any, view: View) -> Array:
    """`out`, if a result can be written to it."""
    if not isinstance(out, np.ndarray):
        raise wrong_type("out", "a NumPy array", out)
    check_mask(out, "out")
    if not out.flags.c_contiguous or not out.flags.writeable:
        raise InvalidArgument("out: must be a writable contiguous array", "out")
    if out.dtype.hasobject:
        raise InvalidArgument(
            f"out: is {out.dtype}, whose Python objects a result would overwrite", "out"
        )
    begin = out.__array_interface__["data"][0]
    if begin < view.address + view.nbytes and view.address < begin + out.nbytes:
        # A stream may have to be sent again when part of its result has arrived.
        raise InvalidArgument("out: overlaps the tensor", "out")
    return out


def writable_elements(out: Any, view: View) -> Array:
    """`writable`, for elements of the tensor's dtype: another dtype would have other values."""
    array = writable(out, view)
    own = dtype_of(array) == view.element or array.dtype.kind in "iu"
    if not own or not array.dtype.isnative:
        raise InvalidArgument(
            f"out: is {array.dtype}, but the result is {view.element.name.lower()}", "out"
        )
    return array


def packed_in(out: Array, result: Any, kind: Encoding, shape: Tuple[int, ...]) -> Array:
    """The data of a packed result that was written to `out`."""
    raw = out.reshape(-1).view(np.uint8)[: result.data_bytes]
    return shaped(raw, kind, shape)
