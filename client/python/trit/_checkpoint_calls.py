# SPDX-License-Identifier: Apache-2.0
"""The calls of a checkpoint's layers, one at a time, and the progress of the whole."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, NamedTuple, Optional, Tuple, Union

from ._arguments import c_text, real, unsigned
from ._arrays import Array, View
from ._call import Call, Progress, cancellation, check_progress
from ._native import ffi, lib, new
from ._pieces import Pieces, check_raised
from ._sources import ELEMENTS, Tensor
from ._tensors import address_of, c_tensor, take
from .errors import Cancelled, Error, Internal, InvalidArgument
from .reports import Report
from .types import DType, Encoding, PartialGroup, VerifyMode

if TYPE_CHECKING:
    from .client import Client


class CheckpointProgress:
    """Progress over a whole checkpoint. Each tensor is counted once and in full."""

    def __init__(self, progress: Optional[Progress], total: int) -> None:
        check_progress(progress)
        self._update: Any = getattr(progress, "update", progress)
        if self._update is not progress:
            bar: Any = progress
            bar.total = total
        self._cancelled = cancellation()
        self._left = 0

    @contextmanager
    def tensor(self, tensor: Tensor) -> Iterator[None]:
        """Counts a tensor; adds its name to errors."""
        self.check()
        self._left = tensor.nbytes
        with named(tensor.name):
            yield
        self(self._left)

    def __call__(self, count: int) -> None:
        self.check()
        counted = min(count, self._left)
        self._left -= counted
        if self._update is not None and counted:
            self._update(counted)

    def check(self) -> None:
        """Raises Cancelled if the task is cancelled."""
        if self._cancelled is not None and self._cancelled.is_set():
            raise Cancelled("the call was cancelled")


class Run(NamedTuple):
    """Where reports are stored; run "" for nowhere."""

    run: str
    step: int

    def fill(self, ref: Any, layer: str) -> List[Any]:
        """Fills a struct trit_layer_ref; returns what must outlive the call."""
        if not self.run:
            return []
        names = [c_text(self.run, "run"), c_text(layer, "layer")]
        ref.run, ref.layer = names
        ref.step = self.step
        return names


def run_of(run: str, step: Optional[int]) -> Run:
    """Where the arguments `run` and `step` store reports."""
    c_text(run, "run")
    if step is not None and not run:
        raise InvalidArgument("step: needs a run", "step")
    return Run(run, unsigned(0 if step is None else step, 2**63, "step"))


class LayerCalls:
    """Calls of one layer each, as a plan or a verification describes it."""

    def __init__(
        self,
        client: Client,
        run: Run,
        progress: CheckpointProgress,
        timeout: Optional[float],
    ) -> None:
        self._client, self._run = client, run
        self._progress, self._timeout = progress, timeout

    def project(
        self,
        name: str,
        view: View,
        planned: Dict[str, Any],
        out: Array,
    ) -> Tuple[Any, Optional[Array]]:
        """Ternarizes a matrix into `out`; `name` is that of its report.

        Returns the `struct trit_projection *`, for its report, and the bytes of scales that
        stand in a tensor of their own. Lost scales raise nothing here; the report has them.
        """
        call = Call(self._timeout, self._progress)
        options = new(
            "struct trit_project_options *",
            {
                "group_size": planned["group_size"],
                "encoding": encoding_of(planned),
                "partial_group": partial_group_of(planned),
                "allow_lost_scales": True,
            },
        )
        options.out, options.out_bytes = address_of(out), out.nbytes
        names = self._run.fill(options.layer, name)
        call.fill(options.call)
        result = new("struct trit_projection *")
        tensor = c_tensor(view, planned["matrix"], view.element, "tensor")
        status = lib.trit_project(
            self._client._handle.client(), tensor, options, result, call.error
        )
        call.check(status)
        del names
        scales = None
        if result.scales != ffi.NULL:
            scales = take(result.scales, result.scale_bytes)
        if result.data_bytes != out.nbytes:
            raise Internal(f"the daemon did not send {out.nbytes} bytes")
        return result, scales

    def pack(
        self,
        view: View,
        planned: Dict[str, Any],
        scales: Optional[Tuple[View, DType]],
        allow_rounded: bool,
    ) -> Tuple[Any, Array, Optional[Array]]:
        """Encodes a matrix that is ternary already, as the plan says.

        Returns the `struct trit_projection *`, for its report, and the bytes of data and
        scales.
        """
        call = Call(self._timeout, self._progress)
        source = planned["source"]
        # The tensor's one scale follows from those of its groups.
        group_size = planned["group_size"] or (source["group_size"] if scales else 0)
        options = new(
            "struct trit_pack_options *",
            {
                "source_encoding": encoding_of(source),
                "encoding": encoding_of(planned),
                "group_size": group_size,
                "allow_rounded_scales": allow_rounded,
            },
        )
        _set_scales(options, scales)
        call.fill(options.call)
        result = new("struct trit_projection *")
        tensor = c_tensor(view, planned["matrix"], view.dtype or 0, "tensor")
        status = lib.trit_pack(self._client._handle.client(), tensor, options, result, call.error)
        call.check(status)
        data = take(result.data, result.data_bytes)
        if result.scales == ffi.NULL:
            return result, data, None
        return result, data, take(result.scales, result.scale_bytes)

    def unpack(
        self,
        view: View,
        planned: Dict[str, Any],
        scales: Optional[Tuple[View, DType]],
        dtype: DType,
    ) -> Array:
        """The dense bytes of a packed matrix."""
        call = Call(self._timeout, self._progress)
        source = planned["source"]
        options = new(
            "struct trit_unpack_options *",
            {
                "encoding": encoding_of(source),
                "group_size": source["group_size"],
                "dtype": dtype,
            },
        )
        _set_scales(options, scales)
        call.fill(options.call)
        data, count = ffi.new("void **"), ffi.new("uint64_t *")
        tensor = c_tensor(view, planned["matrix"], view.dtype or 0, "tensor")
        call.check(
            lib.trit_unpack(
                self._client._handle.client(), tensor, options, data, count, call.error
            )
        )
        return take(data[0], count[0])

    def verify(
        self,
        name: str,
        view: Union[View, Pieces],
        step: Dict[str, Any],
        scales: Optional[View],
        reference: Union[None, View, Pieces],
        mode: VerifyMode,
        tolerance: Optional[float],
    ) -> Any:
        """Verifies a matrix; returns its `struct trit_report *`."""
        call = Call(self._timeout, self._progress)
        options = new(
            "struct trit_verify_options *",
            {
                "mode": mode,
                "group_size": step["group_size"],
                "encoding": encoding_of(step),
                "partial_group": partial_group_of(step),
                "has_tolerance": tolerance is not None,
                "tolerance": real(tolerance, "tolerance"),
            },
        )
        borrowed: List[Any] = self._run.fill(options.layer, name)
        call.fill(options.call)
        if scales is not None:
            options.scales = ffi.cast("void *", scales.address)
            options.scale_bytes = scales.nbytes
            options.scales_dtype = ELEMENTS[step["scales"]["dtype"]]
        if reference is not None:
            latents = c_tensor(reference, step["matrix"], reference.element, "reference")
            options.reference = latents
            borrowed.append(latents)
        element = 0 if view.dtype is None else view.dtype
        tensor = c_tensor(view, step["matrix"], element, "tensor")
        report = new("struct trit_report *")
        status = lib.trit_verify(
            self._client._handle.client(), tensor, options, report, call.error
        )
        check_raised(view, reference)
        call.check(status)
        del borrowed
        return report


def _set_scales(options: Any, scales: Optional[Tuple[View, DType]]) -> None:
    if scales is not None:
        view, dtype = scales
        options.scales = ffi.cast("void *", view.address)
        options.scale_bytes = view.nbytes
        options.scales_dtype = dtype


def matrix_name(layer: str, number: int, count: int) -> str:
    """What reports and findings call a matrix, as libtrit names it."""
    return layer if count == 1 else f"{layer}[{number}]"


@contextmanager
def named(name: str) -> Iterator[None]:
    """Puts the name of a matrix before the errors about it."""
    try:
        yield
    except Error as error:
        if error.message.startswith(name):
            raise
        raise type(error)(f"{name}: {error.message}", error.field) from error


def encoding_of(terms: Dict[str, Any]) -> Encoding:
    """The encoding that libtrit's JSON names."""
    return Encoding[terms["encoding"].upper()]


def partial_group_of(terms: Dict[str, Any]) -> PartialGroup:
    """The partial group that libtrit's JSON names."""
    return PartialGroup[terms["partial_group"].upper()]


def with_name(report: Report, name: str) -> Report:
    """A report with its layer's name, which the daemon does not learn without a run."""
    return dataclasses.replace(report, layer=name)
