# SPDX-License-Identifier: Apache-2.0
"""What tritd knows about one layer at one step, and what it has filed."""
from __future__ import annotations

import dataclasses
from typing import Any, Dict, List, Optional, Tuple

from ._call import Call, text, unsigned
from ._handle import Handle
from ._native import ffi, lib, new
from ._visit import Visit, on_report


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that a verification found. Fields that do not apply are None.

    kind      "not_ternary", "scale_lost", ...; see proto/README.md
    severity  "error" (the verdict is fail), "undecided" (inconclusive), "warning", "note"
    layer, tensor  names, of findings about a file; None in a report of one layer
    index     flat index of the first element concerned
    group     flat index of the first group concerned
    expected, got  values at the first element or group
    count     elements or groups concerned
    hint      what to do
    """

    kind: str
    severity: str
    layer: Optional[str] = None
    tensor: Optional[str] = None
    index: Optional[int] = None
    group: Optional[int] = None
    expected: Optional[str] = None
    got: Optional[str] = None
    count: Optional[int] = None
    hint: Optional[str] = None

    def to_dict(self) -> Dict[str, Any]:
        """The fields that apply."""
        return {name: value for name, value in dataclasses.asdict(self).items()
                if value is not None}


@dataclasses.dataclass(frozen=True)
class Report:
    """The fields carry the names, units and meanings of proto/trit/v1/report.proto.

    `mse`, `cosine`, `sqnr_db` are None where no latents were there to compare
    with, and where they say nothing (`cosine` of all zeros, `sqnr_db` without an
    error, all three where a NaN or infinity stands on either side); the scales are
    None where none is finite; `previous_step` is None where no earlier step was, and flips count
    nothing then. `findings` are the worst first; `verdict` is "pass", "fail" or
    "inconclusive". `transitions[3*f + t]` counts weights that went from f to t,
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
    scale_min: Optional[float]
    scale_mean: Optional[float]
    scale_max: Optional[float]
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
    findings: Tuple[Finding, ...] = ()
    verdict: str = "pass"

    @property
    def zero_fraction(self) -> float:
        return self.zeros / self.elements if self.elements else 0.0

    def to_dict(self) -> Dict[str, Any]:
        """The fields as JSON has them."""
        fields = dataclasses.asdict(self)
        fields["zero_fraction"] = self.zero_fraction
        fields["findings"] = [finding.to_dict() for finding in self.findings]
        return fields


def _text(chars) -> str:
    return ffi.string(chars).decode("utf-8", "replace")


_SAME = ("step", "time_unix_ns", "group_size", "groups", "elements", "is_ternary",
         "fraction_valid", "max_round_error", "negatives", "zeros", "positives",
         "zero_groups", "non_finite",
         "scales_lossy_fp16", "flips", "flip_fraction", "near_threshold_fraction")


def _finding_of(c) -> Finding:
    return Finding(
        kind=_text(lib.trit_finding_kind_name(c.kind)),
        severity=_text(lib.trit_severity_name(c.severity)),
        index=c.index if c.has_index else None,
        group=c.group if c.has_group else None,
        expected=_text(c.expected) or None,
        got=_text(c.got) or None,
        count=c.count if c.has_count else None,
        hint=_text(c.hint) or None)


def report_of(c) -> Report:
    """A `struct trit_report`, or a pointer to one, as a Report."""
    if ffi.typeof(c).kind == "pointer":
        c = c[0]
    compared = bool(c.has_reference)
    return Report(
        run=_text(c.run), layer=_text(c.layer),
        dtype=_text(lib.trit_dtype_name(c.dtype)),
        shape=tuple(c.shape[axis] for axis in range(c.rank)),
        sample_values=tuple(c.sample_values[i] for i in range(c.sample_count)),
        mse=c.mse if c.has_mse else None,
        cosine=c.cosine if c.has_cosine else None,
        sqnr_db=c.sqnr_db if c.has_sqnr_db else None,
        scale_min=c.scale_min if c.has_scales else None,
        scale_mean=c.scale_mean if c.has_scales else None,
        scale_max=c.scale_max if c.has_scales else None,
        previous_step=c.previous_step if c.has_previous else None,
        transitions=tuple(c.transitions),
        digest=bytes(c.digest).hex(), kernel=_text(c.kernel), version=_text(c.version),
        reference_mismatches=c.reference_mismatches if compared else None,
        first_mismatch=c.first_mismatch if compared and c.reference_mismatches else None,
        findings=tuple(_finding_of(c.findings[i]) for i in range(c.finding_count)),
        verdict=_text(lib.trit_verdict_name(lib.trit_report_verdict(ffi.addressof(c)))),
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
        options = new("struct trit_call_options *")
        call.fill(options)
        at = ffi.NULL
        if step is not None:
            at = ffi.new("uint64_t *", unsigned(step, 2**64, "step"))
        out = new("struct trit_report *")
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
        query = new("struct trit_report_query *", {
            "run": kept[0], "layer": kept[1], "latest_only": latest_only,
            "has_from": from_step is not None,
            "step_from": unsigned(from_step or 0, 2**64, "step_from"),
            "has_to": to_step is not None,
            "step_to": unsigned(to_step or 0, 2**64, "step_to")})
        call.fill(query.call)
        visit = Visit(report_of)
        with self._handle as client:
            call.check(lib.trit_report_list(client, query, new("struct trit_report *"), on_report,
                                            visit.handle, call.error))
        return visit.all()

    def latest(self, run: str = "", layer: str = "", *, timeout: Optional[float] = None,
               _cancelled: Any = None) -> List[Report]:
        """The newest step of each matching layer."""
        return self.list(run, layer, latest_only=True, timeout=timeout,
                         _cancelled=_cancelled)
