# SPDX-License-Identifier: Apache-2.0
"""Calls of one layer each, and the progress and the run that all of a checkpoint share."""
from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from ._arrays import View
from ._call import Call, Progress, text, unsigned
from ._native import ffi, lib, new
from ._safetensors import ELEMENTS, Tensor
from ._tensors import c_tensor, take
from .errors import Cancelled, Error, Internal, InvalidArgument
from .reports import Report, report_of
from .types import Encoding, PartialGroup, VerifyMode

if TYPE_CHECKING:
    from .client import Client


class Steps:
    """Progress over a whole checkpoint, each tensor counted once and in full."""

    def __init__(self, progress: Optional[Progress], total: int, cancelled: Any) -> None:
        self._update: Any = getattr(progress, "update", progress)
        if self._update is not progress:
            setattr(progress, "total", total)
        self.cancelled = cancelled
        self._left = 0

    @contextmanager
    def tensor(self, tensor: Tensor) -> Iterator[None]:
        """Errors name the tensor."""
        self.check()
        self._left = tensor.nbytes
        try:
            yield
        except Error as error:
            if error.message.startswith(tensor.name):
                raise
            raise type(error)(f"{tensor.name}: {error.message}", error.field) from error
        self(self._left)

    def __call__(self, count: int) -> None:
        self.check()
        counted = min(count, self._left)
        self._left -= counted
        if self._update is not None and counted:
            self._update(counted)

    def check(self) -> None:
        if self.cancelled is not None and self.cancelled.is_set():
            raise Cancelled("the call was cancelled")


class Run(NamedTuple):
    """Where reports are filed."""

    run: str
    step: int

    def fill(self, ref: Any, layer: str) -> List[Any]:
        """Fills a struct trit_layer_ref; gives what must outlive the call."""
        if not self.run:
            return []
        kept = [text(self.run, "run"), text(layer, "layer")]
        ref.run, ref.layer = kept
        ref.step = self.step
        return kept


def filed_under(run: str, step: Optional[int]) -> Run:
    if step is not None and not run:
        raise InvalidArgument("step: needs a run", "step")
    return Run(run, unsigned(step or 0, 2**63, "step"))


class Calls:
    """Calls of one layer each."""

    def __init__(self, client: "Client", filed: Run, steps: Steps,
                 timeout: Optional[float]) -> None:
        self._client, self.filed_under = client, filed
        self._steps, self._timeout = steps, timeout

    def project(self, name: str, seen: View, planned: Dict[str, Any],
                out: np.ndarray) -> Tuple[Report, Optional[np.ndarray]]:
        """Ternarizes a layer into `out`. Its report, and scales as bytes where they stand
        beside the data. Lost scales are no error here: the report tells."""
        call = Call(self._timeout, self._steps, self._steps.cancelled)
        options = new("struct trit_project_options *", {
            "group_size": planned["group_size"], "encoding": encoding_of(planned),
            "partial_group": partial_group_of(planned), "allow_lost_scales": True,
            "out": ffi.cast("void *", out.__array_interface__["data"][0]),
            "out_bytes": out.nbytes})
        kept = self.filed_under.fill(options.layer, name)
        call.fill(options.call)
        made = new("struct trit_projection *")
        tensor = c_tensor(seen, planned["matrix"], seen.element, "tensor")
        with self._client._handle as client:
            call.check(lib.trit_project(client, tensor, options, made, call.error))
        del kept
        scales = None if made.scales == ffi.NULL else take(made.scales, made.scale_bytes)
        if made.data_bytes != out.nbytes:
            raise Internal(f"the daemon did not send {out.nbytes} bytes")
        return named(report_of(made.report), name), scales

    def verify(self, name: str, seen: View, step: Dict[str, Any], scales: Optional[View],
               reference: Optional[View], mode: VerifyMode, tolerance: Optional[float]) -> Any:
        """A `struct trit_report *` of a layer."""
        call = Call(self._timeout, self._steps, self._steps.cancelled)
        options = new("struct trit_verify_options *", {
            "mode": mode, "group_size": step["group_size"], "encoding": encoding_of(step),
            "partial_group": partial_group_of(step),
            "has_tolerance": tolerance is not None, "tolerance": tolerance or 0.0})
        kept: List[Any] = self.filed_under.fill(options.layer, name)
        call.fill(options.call)
        if scales is not None:
            options.scales = ffi.cast("void *", scales.address)
            options.scale_bytes = scales.nbytes
            options.scales_dtype = ELEMENTS[step["scales"]["dtype"]]
        if reference is not None:
            kept.append(c_tensor(reference, step["matrix"], reference.element, "reference"))
            options.reference = kept[-1]
        tensor = c_tensor(seen, step["matrix"], seen.element, "tensor")
        made = new("struct trit_report *")
        with self._client._handle as client:
            call.check(lib.trit_verify(client, tensor, options, made, call.error))
        del kept
        return made


def encoding_of(terms: Dict[str, Any]) -> Encoding:
    return Encoding[terms["encoding"].upper()]


def partial_group_of(terms: Dict[str, Any]) -> PartialGroup:
    return PartialGroup[terms["partial_group"].upper()]


def named(report: Report, name: str) -> Report:
    """Without a run the daemon was not told the name."""
    return dataclasses.replace(report, layer=name)
