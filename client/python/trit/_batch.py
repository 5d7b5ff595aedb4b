# SPDX-License-Identifier: Apache-2.0
"""Many projections in one call: `trit_project_batch`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence

from ._arguments import positive, wrong_type
from ._arrays import STORAGE, Array, View, view_elements
from ._call import Call
from ._memory import Reused
from ._native import ffi, lib, new
from ._results import ALIGNMENT
from ._tensors import address_of, c_tensor
from .errors import Error, InvalidArgument
from .types import GROUP_SIZE, DType

if TYPE_CHECKING:
    from ._handle import Handle


def project_batch(
    handle: Handle, tensors: Sequence[Any], group_size: Optional[int], timeout: Optional[float]
) -> List[Any]:
    """See `Client.project_batch`."""
    if not isinstance(tensors, (list, tuple)):
        raise wrong_type("tensors", "a list of arrays", tensors)
    size = GROUP_SIZE if group_size is None else positive(group_size, "group_size", 2**32)
    views = [view_elements(one, f"tensors[{i}]") for i, one in enumerate(tensors)]
    for i, view in enumerate(views):
        if not view.shape or not view.nbytes:
            raise InvalidArgument(f"tensors[{i}]: shape {view.shape} is empty", f"tensors[{i}]")
    by_dtype: Dict[DType, List[int]] = {}
    for i, view in enumerate(views):
        by_dtype.setdefault(view.element, []).append(i)
    call = Call(timeout)
    results: List[Any] = [None] * len(views)
    for places in by_dtype.values():
        these = [views[i] for i in places]
        made = _results(these, handle.memory)
        _send(handle, call, these, made, size, places)
        for i, one in zip(places, made):
            results[i] = views[i].wrap(one, views[i].dtype)
    return results


def _results(views: List[View], memory_of: Reused) -> List[Array]:
    """Memory for the dense results, aligned as `dense_result` aligns one.

    It is one block: the system gives that in large pages, and the next call may reuse it.
    """
    begins = [0]
    for view in views:
        begins.append(begins[-1] + view.nbytes + -view.nbytes % ALIGNMENT)
    memory = memory_of.take(begins[-1] + ALIGNMENT - 1)
    skipped = -memory.__array_interface__["data"][0] % ALIGNMENT
    return [
        memory[skipped + at : skipped + at + view.nbytes]
        .view(STORAGE[view.element])
        .reshape(view.shape)
        for at, view in zip(begins, views)
    ]


def _send(
    handle: Handle,
    call: Call,
    views: List[View],
    results: List[Array],
    size: int,
    places: List[int],
) -> None:
    tensors = [
        c_tensor(view, view.shape, view.element, f"tensors[{i}]") for i, view in zip(places, views)
    ]
    options = new("struct trit_batch_options *", {"group_size": size})
    call.fill(options.call)
    given = ffi.new("struct trit_tensor *[]", tensors)
    outs = ffi.new("void *[]", [address_of(one) for one in results])
    status = lib.trit_project_batch(handle.client(), given, outs, len(views), options, call.error)
    try:
        call.check(status)
    except Error as error:
        raise _renamed(error, places) from None


def _renamed(error: Error, places: List[int]) -> Error:
    """The error of one of several calls, with the tensor's place among all."""
    field = error.field or ""
    if not field.startswith("tensors["):
        return error
    number, _, rest = field[len("tensors[") :].partition("]")
    name = f"tensors[{places[int(number)]}]{rest}"
    return type(error)(error.message.replace(field, name, 1), name)
