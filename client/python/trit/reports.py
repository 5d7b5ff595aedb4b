"""What tritd knows about one layer at one step, and what it has filed."""
from __future__ import annotations

import dataclasses
import math
from typing import Any, Dict, List, Optional, Tuple

from ._call import Call, text, unsigned
from ._handle import Handle
from ._native import ffi, lib
from ._visit import Visit, on_report


@dataclasses.dataclass(frozen=True)
class Report:
    """The fields carry the names, units and meanings of proto/trit/v1/report.proto.

    `mse`, `cosine`, `sqnr_db` are None where no latents were there to compare
    with; `previous_step` is None where no earlier step was, and flips count
    nothing then. `transitions[3*f + t]` counts weights that went from f to t,
    both 0, 1, 2 for -1, 0, +1.
    """

    run: str
    layer: str
    step: int
    time_unix_ns: int
    dtype: str
    shape: Tuple[int, ...]
    group_size: int
    groups: int
    elements: int
    is_ternary: bool
    fraction_valid: float
    max_round_error: float
    sample_values: Tuple[float, ...]
    negatives: int
    zeros: int
    positives: int
    zero_groups: int
    non_finite: int
    scale_min: float
    scale_mean: float
    scale_max: float
    scales_lossy_fp16: int
    mse: Optional[float]
    cosine: Optional[float]
    sqnr_db: Optional[float]
    previous_step: Optional[int]
    flips: int
    flip_fraction: float
    transitions: Tuple[int, ...]
    near_threshold_fraction: float
    digest: str
    kernel: str
    version: str
    reference_mismatches: Optional[int]
    first_mismatch: Optional[int]

    @property
    def zero_fraction(self) -> float:
        return self.zeros / self.elements if self.elements else 0.0

    def to_dict(self) -> Dict[str, Any]:
        """As JSON has it: an infinite sqnr_db is None, for JSON knows no infinity."""
        fields = dataclasses.asdict(self)
        fields["zero_fraction"] = self.zero_fraction
        if self.sqnr_db is not None and math.isinf(self.sqnr_db):
            fields["sqnr_db"] = None
        return fields


def _text(chars) -> str:
    return ffi.string(chars).decode("utf-8", "replace")


_SAME = ("step", "time_unix_ns", "group_size", "groups", "elements", "is_ternary",
         "fraction_valid", "max_round_error", "negatives", "zeros", "positives",
         "zero_groups", "non_finite", "scale_min", "scale_mean", "scale_max",
         "scales_lossy_fp16", "flips", "flip_fraction", "near_threshold_fraction")


def report_of(c) -> Report:
    """A `struct trit_report` as a Report."""
    measured = bool(c.has_error)
    compared = bool(c.has_reference)
    return Report(
        run=_text(c.run), layer=_text(c.layer),
        dtype=_text(lib.trit_dtype_name(c.dtype)),
        shape=tuple(c.shape[axis] for axis in range(c.rank)),
        sample_values=tuple(c.sample_values[i] for i in range(c.sample_count)),
        mse=c.mse if measured else None,
        cosine=c.cosine if measured else None,
        sqnr_db=c.sqnr_db if measured else None,
        previous_step=c.previous_step if c.has_previous else None,
        transitions=tuple(c.transitions),
        digest=bytes(c.digest).hex(), kernel=_text(c.kernel), version=_text(c.version),
        reference_mismatches=c.reference_mismatches if compared else None,
        first_mismatch=c.first_mismatch if compared and c.reference_mismatches else None,
        **{name: getattr(c, name) for name in _SAME})


# ---- what is filed -------------------------------------------------------------------

class Reports:
    """The reports that calls with a `layer` have filed."""

    def __init__(self, handle: Handle):
        self._handle = handle

    def get(self, run: str, layer: str, step: Optional[int] = None, *,
            timeout: Optional[float] = None, _cancelled: Any = None) -> Report:
        """The report of (run, layer) at `step`, or the latest. NotFound says
        what is missing."""
        call = Call(timeout, None, _cancelled)
        options = ffi.new("struct trit_call_options *")
        call.fill(options)
        at = ffi.NULL
        if step is not None:
            at = ffi.new("uint64_t *", unsigned(step, 2**64, "step"))
        out = ffi.new("struct trit_report *")
        with self._handle as client:
            call.check(lib.trit_report_get(client, text(run, "run"), text(layer, "layer"),
                                           at, options, out, call.error))
        return report_of(out)

    def list(self, run: str = "", layer: str = "", *, from_step: Optional[int] = None,
             to_step: Optional[int] = None, latest_only: bool = False,
             timeout: Optional[float] = None, _cancelled: Any = None) -> List[Report]:
        """All matches in (run, layer, step) order; an empty name matches every
        one, the steps are inclusive."""
        call = Call(timeout, None, _cancelled)
        kept = text(run, "run"), text(layer, "layer")
        query = ffi.new("struct trit_report_query *", {
            "run": kept[0], "layer": kept[1], "latest_only": latest_only,
            "has_from": from_step is not None,
            "step_from": unsigned(from_step or 0, 2**64, "step_from"),
            "has_to": to_step is not None,
            "step_to": unsigned(to_step or 0, 2**64, "step_to")})
        call.fill(query.call)
        visit = Visit(report_of)
        with self._handle as client:
            call.check(lib.trit_report_list(client, query, on_report, visit.handle, call.error))
        return visit.all()

    def latest(self, run: str = "", layer: str = "", *, timeout: Optional[float] = None,
               _cancelled: Any = None) -> List[Report]:
        """The newest step of each matching layer."""
        return self.list(run, layer, latest_only=True, timeout=timeout,
                         _cancelled=_cancelled)
