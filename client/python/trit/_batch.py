# SPDX-License-Identifier: Apache-2.0
"""Many projections in one call.

Groups never cross rows, so matrices whose rows are whole groups may be joined to one long
tensor and projected as one: each gets the bits that it would get alone. A short last group is
filled with zeros first, as the daemon would do. One stream has all of them, so that there is
one round trip, and the daemon projects the first while the last is still being sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from ._arguments import positive, wrong_type
from ._arrays import STORAGE, Array, View, view_elements
from ._call import Call
from ._native import ffi, lib, new
from ._pieces import Pieces, Sink, check_raised
from ._results import dense_result
from ._tensors import c_tensor
from .errors import InvalidArgument
from .types import GROUP_SIZE, DType, Encoding, ReportDetail

if TYPE_CHECKING:
    from ._handle import Handle

# Groups in a row of the joined tensor, where their number is a multiple of it. Short rows
# cost the daemon time.
_ROW_GROUPS = 32


class _Part(NamedTuple):
    """One tensor of a batch: what is sent for it, and where its result goes."""

    view: View
    sent: View
    result: Array  # of view's shape, or of the shape that is sent


def project_batch(
    handle: Handle, tensors: Sequence[Any], group_size: Optional[int], timeout: Optional[float]
) -> List[Any]:
    """See `Client.project_batch`."""
    if not isinstance(tensors, (list, tuple)):
        raise wrong_type("tensors", "a list of arrays", tensors)
    size = GROUP_SIZE if group_size is None else positive(group_size, "group_size")
    views = [view_elements(one, f"tensors[{i}]") for i, one in enumerate(tensors)]
    for i, view in enumerate(views):
        if not view.shape or not view.nbytes:
            raise InvalidArgument(f"tensors[{i}]: shape {view.shape} is empty", f"tensors[{i}]")
    by_dtype: Dict[DType, List[int]] = {}
    for i, view in enumerate(views):
        by_dtype.setdefault(view.element, []).append(i)
    call = Call(timeout)
    results: List[Any] = [None] * len(views)
    for dtype, places in by_dtype.items():
        parts = [_part(views[i], size) for i in places]
        try:
            _send(handle, call, dtype, parts, size)
        except InvalidArgument:
            for i, part in zip(places, parts):
                _check_finite(part.view, i)
            raise
        for i, part in zip(places, parts):
            results[i] = _cut(part)
    return results


def _part(view: View, size: int) -> _Part:
    columns = view.shape[-1]
    short = -columns % size
    if not short:
        return _Part(view, view, dense_result(view, None))
    kind = STORAGE[view.element]
    raw = _array(view).reshape(-1, columns)
    padded: Array = np.zeros((raw.shape[0], columns + short), kind)
    padded[:, :columns] = raw
    sent = view._replace(
        shape=padded.shape,
        address=padded.__array_interface__["data"][0],
        nbytes=padded.nbytes,
        owner=padded,
    )
    return _Part(view, sent, np.empty(padded.shape, kind))


def _check_finite(view: View, i: int) -> None:
    """Names the tensor that is at fault; the daemon's message counts from the first one."""
    raw = _array(view)
    wrong = (raw & 0x7F80) == 0x7F80 if view.dtype == DType.BF16 else ~np.isfinite(raw)
    if wrong.any():
        raise InvalidArgument(
            f"tensors[{i}]: {np.count_nonzero(wrong)} values are NaN or infinite, the first at "
            f"flat index {int(wrong.argmax())}",
            f"tensors[{i}]",
        ) from None


def _array(view: View) -> Array:
    """The elements of a view as one vector; bf16 as its bits."""
    memory = ffi.buffer(ffi.cast("char *", view.address), view.nbytes)
    return np.frombuffer(memory, STORAGE[view.element])


def _cut(part: _Part) -> Any:
    dense = part.result
    if part.sent is not part.view:
        columns = part.view.shape[-1]
        whole = dense_result(part.view, None)
        whole.reshape(-1, columns)[:] = dense[:, :columns]
        dense = whole
    return part.view.wrap(dense, part.view.dtype)


def _send(handle: Handle, call: Call, dtype: DType, parts: List[_Part], size: int) -> None:
    source = Pieces(dtype, sum(one.sent.nbytes for one in parts), _reader(parts))
    sink = Sink(source.nbytes, _writer(parts))
    groups = source.nbytes // STORAGE[dtype].itemsize // size
    joined = _ROW_GROUPS if groups % _ROW_GROUPS == 0 else 1
    options = new(
        "struct trit_project_options *",
        {"group_size": size, "encoding": Encoding.DENSE, "report": ReportDetail.NONE},
    )
    sink.fill(options)
    call.fill(options.call)
    result = new("struct trit_projection *")
    tensor = c_tensor(source, (groups // joined, joined * size), dtype, "tensor")
    with handle as client:
        status = lib.trit_project(client, tensor, options, result, call.error)
    check_raised(source, sink)
    call.check(status)


def _reader(parts: List[_Part]) -> Any:
    begins = np.cumsum([0, *(one.sent.nbytes for one in parts)])
    addresses = [ffi.cast("char *", one.sent.address) for one in parts]

    def read(at: int, to: Any, count: int) -> None:
        i = int(np.searchsorted(begins, at, "right")) - 1
        to, done = ffi.cast("char *", to), 0
        while done < count:
            skipped = at + done - int(begins[i])
            some = min(count - done, parts[i].sent.nbytes - skipped)
            ffi.memmove(to + done, addresses[i] + skipped, some)
            done, i = done + some, i + 1

    return read


def _writer(parts: List[_Part]) -> Any:
    places: List[Array] = [one.result.reshape(-1).view(np.uint8) for one in parts]
    position = [0, 0]  # the part, and the bytes of it that are there

    def put(data: Array) -> None:
        i, at = position
        while data.size:
            some = min(data.size, places[i].size - at)
            places[i][at : at + some] = data[:some]
            data, at = data[some:], at + some
            if at == places[i].size:
                i, at = i + 1, 0
        position[:] = i, at

    return put
