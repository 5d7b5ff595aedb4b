# SPDX-License-Identifier: Apache-2.0
"""Reports: what tritd knows about one layer at one step, and the stored ones."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Dict, Iterator, List, Literal, NamedTuple, Optional, Tuple, Union

from ._arguments import c_text, flag, unsigned, wrong_type
from ._call import Call, timeout_ms
from ._handle import Handle
from ._html import table
from ._native import ffi, lib, new
from ._plots import plot_report
from ._visit import Visit, on_damaged, on_report
from ._watch import Watching

__all__ = [
    "Comparison",
    "FiledReport",
    "Finding",
    "Health",
    "HealthReason",
    "Report",
    "ReportKey",
    "ReportWatch",
    "Reports",
    "Severity",
    "Shard",
    "Verdict",
]

Health = Literal["healthy", "warning", "failing"]
Verdict = Literal["pass", "fail", "inconclusive"]
Severity = Literal["error", "undecided", "warning", "note"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that a verification found. Attributes that do not apply are None.

    Attributes:
        kind: "not_ternary", "scale_lost", ...; proto/README.md lists all kinds.
        severity: "error" makes the verdict "fail", "undecided" makes it "inconclusive";
            "warning" and "note" leave it as it is.
        layer: The layer's name, in findings about a file.
        tensor: The tensor's name, in findings about a file.
        index: Flat index of the first element concerned.
        group: Flat index of the first group concerned.
        expected: The value expected at the first element or group.
        got: The value found there.
        count: Number of elements or groups concerned.
        hint: What to do.

    Example:
        >>> client.verify(weights).findings[0].kind
        'not_ternary'
    """

    kind: str
    severity: Severity
    layer: Optional[str] = None
    tensor: Optional[str] = None
    index: Optional[int] = None
    group: Optional[int] = None
    expected: Optional[str] = None
    got: Optional[str] = None
    count: Optional[int] = None
    hint: Optional[str] = None

    def to_dict(self) -> Dict[str, Any]:
        """The attributes that apply.

        Returns:
            Their values by the names that JSON has. Integers are ints here; in JSON those of
            64 bits are strings.

        Example:
            >>> client.verify(weights).findings[0].to_dict()["severity"]
            'error'
        """
        fields = dataclasses.asdict(self)
        return {name: value for name, value in fields.items() if value is not None}


class Shard(NamedTuple):
    """Where a tensor lies in its layer: FSDP and tensor parallelism cut layers into shards.

    All shards of a layer at one step make one report. A shard may not cut a group.

    Attributes:
        global_shape: Shape of the whole layer.
        offset: Where the shard begins, in elements of each axis.

    Example:
        >>> trit.Shard(global_shape=(256, 256), offset=(128, 0)).offset
        (128, 0)
    """

    global_shape: Tuple[int, ...]
    offset: Tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class HealthReason:
    """Why a layer is not healthy.

    Attributes:
        rule: "dead_groups", "scale_drift", ...; docs/health.md lists all rules.
        severity: What the rule makes of the layer: "warning" or "failing".
        since_step: The first step at which the value left its healthy band for good.
        value: The value at this step.
        threshold: The threshold that it passed.
        text: The reason as a sentence.

    Example:
        >>> projection = client.project(weights, layer=("run-7", "fc", 20))
        >>> [reason.rule for reason in client.reports.get("run-7", "fc").health_reasons]
        []
    """

    rule: str
    severity: Health
    since_step: int
    value: float
    threshold: float
    text: str


class ReportKey(NamedTuple):
    """Names one stored report; a tuple of its first members does, too.

    Attributes:
        run: Name of the run.
        layer: Name of the layer.
        step: Training step.
        attempt: Attempt of the run; 0 for the newest, with what it resumed from.
        replica: Which copy of the layer.

    Example:
        >>> trit.ReportKey("run-7", "fc", 20, replica=1).attempt
        0
    """

    run: str
    layer: str
    step: int
    attempt: int = 0
    replica: int = 0


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What differs between the ternary tensors of two reports.

    Attributes:
        equal: Whether the digests are equal.
        elements: Number of elements.
        codes_differing: Number of elements whose ternary value differs.
        scale_ratio_max: The largest ratio of two scales of a group, larger by smaller; 1
            where all are equal.
        first_group: Flat index of the first group whose codes or scale differ, or None.

    Example:
        >>> for replica in (0, 1):
        ...     projection = client.project(weights, layer=("ranks", "fc", 20), replica=replica)
        >>> key = trit.ReportKey("ranks", "fc", 20)
        >>> client.reports.compare(key, key._replace(replica=1)).equal
        True
    """

    equal: bool
    elements: int
    codes_differing: int
    scale_ratio_max: float
    first_group: Optional[int]


@dataclasses.dataclass(frozen=True)
class Report:
    """What a projection or a verification measured.

    Below, w is an element, s the scale of its group and t its ternary value.

    Attributes:
        run: Name of the run that it is stored under, or "".
        layer: Name of the layer, or "".
        step: Training step.
        time_unix_ns: When it was made, in nanoseconds since 1970.
        dtype: Element type of the tensor: "f32", "f16", "bf16", "i8" or "u8".
        shape: Shape of the tensor.
        group_size: Weights that share a scale.
        groups: Number of groups: rows * ceil(columns / group_size).
        elements: Number of elements.
        is_ternary: Whether every element is ternary and every scale is sound.
        fraction_valid: Share of elements with |w/s - t| within the tolerance, 0 to 1.
        max_round_error: The largest |w/s - t|.
        sample_values: Up to 8 distinct values of w/s that occur, invalid ones first.
        negatives: Number of elements with t = -1.
        zeros: Number of elements with t = 0.
        positives: Number of elements with t = +1.
        zero_groups: Number of groups without a nonzero element.
        non_finite: Number of NaN and infinities.
        scale_min: Smallest finite scale; None if no scale is finite.
        scale_mean: Mean of the finite scales, or None.
        scale_max: Largest finite scale, or None.
        scales_lossy_fp16: Number of scales that f16 does not hold exactly.
        mse: Mean of (w - t*s)^2 against the latents. None without latents, and where a NaN
            or infinity is on either side.
        cosine: Cosine of latents and t*s. None as `mse`, and where either is all zero.
        sqnr_db: 10 log10(sum w^2 / sum (w - t*s)^2) in decibels. None as `mse`, and where
            `mse` is 0.
        previous_step: The latest earlier step of the layer, or None.
        flips: Number of elements whose t changed since `previous_step`.
        flip_fraction: flips / elements.
        transitions: transitions[3*f + t] counts elements that went from f to t, where 0, 1
            and 2 stand for -1, 0 and +1.
        near_threshold_fraction: Share of elements with |w| within 5 % of s/2.
        digest: SHA-256 in hexadecimal; equal digests mean equal ternary tensors.
        kernel: Instruction set that computed it: "portable", "avx2", "avx512" or "neon".
        version: Version of the daemon.
        reference_mismatches: Elements that differ from the reference's projection; None
            without a reference.
        first_mismatch: Flat index of the first of them, or None.
        findings: What was found, the worst first; at most 16.
        verdict: "pass", "fail" or "inconclusive".
        stored: Whether the report is on the daemon's disk: False only with BEST_EFFORT, also
            where that is not known yet. None where it was not to be stored.
        attempt: Attempt of the run that it belongs to, from 1; None if it is not stored.
        replica: Which copy of the layer; 0 is the reference.
        superseded: A later attempt went on from an earlier step.
        shard: The part of the layer that the tensor is; None for the whole layer.
        shards_present: Of a shard, and of a layer whose shards have not all come: how many
            the daemon has. 0 in the report of a complete layer.
        shards_expected: How many it will have if all are as long as the longest.
        health: "healthy", "warning" or "failing"; None if it was not evaluated.
        health_reasons: Why the layer is not healthy, the worst first.

    Example:
        >>> report = client.project(weights).report
        >>> report.is_ternary, report.shape, report.groups, report.verdict
        (True, (256, 256), 512, 'pass')
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
    verdict: Verdict = "pass"
    stored: Optional[bool] = None
    attempt: Optional[int] = None
    replica: int = 0
    superseded: bool = False
    shard: Optional[Shard] = None
    shards_present: int = 0
    shards_expected: int = 0
    health: Optional[Health] = None
    health_reasons: Tuple[HealthReason, ...] = ()

    @property
    def zero_fraction(self) -> float:
        """Share of elements with t = 0.

        Returns:
            zeros / elements, 0 to 1; 0 for an empty tensor.

        Example:
            >>> 0.2 < client.project(weights).report.zero_fraction < 0.4
            True
        """
        return self.zeros / self.elements if self.elements else 0.0

    def to_dict(self) -> Dict[str, Any]:
        """The attributes, `zero_fraction` and the findings.

        Returns:
            Their values by the names that JSON has. Integers are ints here; in JSON those of
            64 bits are strings.

        Example:
            >>> client.verify(weights).to_dict()["verdict"]
            'fail'
        """
        fields = dataclasses.asdict(self)
        fields["zero_fraction"] = self.zero_fraction
        fields["findings"] = [finding.to_dict() for finding in self.findings]
        return fields

    def _repr_html_(self) -> str:
        head = f"{self.layer or 'weights'} {list(self.shape)}: {self.verdict}"
        rows = [(f"{one.severity}: {one.kind}", one.hint or "") for one in self.findings]
        for name, value in self.to_dict().items():
            if name not in ("layer", "shape", "verdict", "findings") and value not in (None, ()):
                rows.append((name, value if not isinstance(value, float) else f"{value:.6g}"))
        return table((head, ""), rows)

    def plot(self, scales: Optional[Any] = None) -> Any:
        """Plots the report with matplotlib: the shares of -1, 0 and +1, and the scales.

        Args:
            scales: The scales of the groups, such as `Projection.scales`, for a histogram;
                without them the plot has their minimum, mean and maximum.

        Returns:
            Two matplotlib Axes; a notebook shows them.

        Raises:
            ImportError: matplotlib is not installed.

        Example:
            >>> projection = client.project(weights, encoding="int8")
            >>> shares, scales = projection.report.plot(projection.scales)
            >>> scales.get_title()
            'scales'
        """
        return plot_report(self, scales)


# ---- from C ------------------------------------------------------------------------------


def _text(chars: Any) -> str:
    decoded: str = ffi.string(chars).decode("utf-8", "replace")
    return decoded


# Fields that have the same name and type in C.
_PLAIN = (
    "step",
    "time_unix_ns",
    "group_size",
    "groups",
    "elements",
    "is_ternary",
    "fraction_valid",
    "max_round_error",
    "negatives",
    "zeros",
    "positives",
    "zero_groups",
    "non_finite",
    "scales_lossy_fp16",
    "flips",
    "flip_fraction",
    "near_threshold_fraction",
    "replica",
    "superseded",
    "shards_present",
    "shards_expected",
)

_HEALTH: Tuple[Optional[Health], ...] = (None, "healthy", "warning", "failing")


def _health_of(number: int) -> Optional[Health]:
    """A health; one that this version does not know is not healthy."""
    return _HEALTH[min(number, len(_HEALTH) - 1)]


def _reason_of(c: Any) -> HealthReason:
    return HealthReason(
        rule=_text(c.rule),
        severity=_health_of(c.severity) or "failing",
        since_step=c.since_step,
        value=c.value,
        threshold=c.threshold,
        text=_text(c.text),
    )


def _shard_of(c: Any) -> Optional[Shard]:
    axes = range(c.shard_rank)
    if not axes:
        return None
    return Shard(
        tuple(c.shard_global_shape[axis] for axis in axes),
        tuple(c.shard_offset[axis] for axis in axes),
    )


def _finding_of(c: Any) -> Finding:
    severity: Any = _text(lib.trit_severity_name(c.severity))
    return Finding(
        kind=_text(lib.trit_finding_kind_name(c.kind)),
        severity=severity,
        index=c.index if c.has_index else None,
        group=c.group if c.has_group else None,
        expected=_text(c.expected) or None,
        got=_text(c.got) or None,
        count=c.count if c.has_count else None,
        hint=_text(c.hint) or None,
    )


def report_of(c: Any) -> Report:
    """The Report of a `struct trit_report` or of a pointer to one."""
    if ffi.typeof(c).kind == "pointer":
        c = c[0]
    compared = bool(c.has_reference)
    verdict: Any = _text(lib.trit_verdict_name(lib.trit_report_verdict(ffi.addressof(c))))
    return Report(
        run=_text(c.run),
        layer=_text(c.layer),
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
        digest=bytes(c.digest).hex(),
        kernel=_text(c.kernel),
        version=_text(c.version),
        reference_mismatches=c.reference_mismatches if compared else None,
        first_mismatch=c.first_mismatch if compared and c.reference_mismatches else None,
        findings=tuple(_finding_of(c.findings[i]) for i in range(c.finding_count)),
        verdict=verdict,
        stored=bool(c.stored) if c.has_stored else None,
        attempt=c.attempt or None,
        shard=_shard_of(c),
        health=_health_of(c.health),
        health_reasons=tuple(
            _reason_of(c.health_reasons[i]) for i in range(c.health_reason_count)
        ),
        **{name: getattr(c, name) for name in _PLAIN},
    )


class FiledReport(NamedTuple):
    """A report that a watch has seen.

    Attributes:
        report: The report.
        cursor: Its place in the order of filing: a later watch can go on after it.

    Example:
        >>> projection = client.project(weights, layer=("seen", "fc", 20))
        >>> with client.reports.watch("seen", cursor="0") as watch:
        ...     report, cursor = next(watch)
        >>> report.step, cursor.isdigit()
        (20, True)
    """

    report: Report
    cursor: str


class ReportWatch(Iterator[FiledReport]):
    """Reports as they are filed: iterate, then `close`, or use it in a `with`.

    It ends after its timeout, when it is closed, or with the exception of the call, such as
    Unavailable when the daemon stops.

    Example:
        >>> projection = client.project(weights, layer=("watched", "fc", 20))
        >>> with client.reports.watch("watched", cursor="0") as watch:
        ...     for filed in watch:
        ...         print(filed.report.step)
        ...         break
        20
    """

    def __init__(self, watching: Watching) -> None:
        """Made by `Reports.watch`.

        Args:
            watching: The watch.

        Raises:
            Nothing.

        Example:
            >>> watch = client.reports.watch()
            >>> watch.close()
        """
        self._watching = watching

    def __next__(self) -> FiledReport:
        filed: Optional[FiledReport] = self._watching.take()
        if filed is None:
            raise StopIteration
        return filed

    def __enter__(self) -> ReportWatch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_watching"):
            self._watching.abandon()

    def close(self) -> None:
        """Ends the watch; the iteration ends, too.

        Example:
            >>> watch = client.reports.watch("watched")
            >>> watch.close()
            >>> list(watch)
            []
        """
        self._watching.close()


AnyReportKey = Union[ReportKey, Tuple[str, str, int]]


def _ref_of(key: AnyReportKey, field: str) -> Tuple[Any, Any]:
    """A struct trit_layer_ref, and what must outlive it."""
    if not isinstance(key, (tuple, list)) or not 3 <= len(key) <= 5:
        raise wrong_type(field, "a trit.ReportKey or a tuple (run, layer, step)", key)
    run, layer, step, attempt, replica = ReportKey(*key)
    names = c_text(run, f"{field}.run"), c_text(layer, f"{field}.layer")
    ref = new(
        "struct trit_layer_ref *",
        {
            "run": names[0],
            "layer": names[1],
            "step": unsigned(step, 2**63, f"{field}.step"),
            "attempt": unsigned(attempt, 2**32, f"{field}.attempt"),
            "replica": unsigned(replica, 2**32, f"{field}.replica"),
        },
    )
    return ref, names


# ---- the stored reports ------------------------------------------------------------------


class Reports:
    """`client.reports`: the reports that calls with a `layer` or a `run` have stored.

    Example:
        >>> projection = client.project(weights, layer=("run-7", "fc", 20))
        >>> [report.step for report in client.reports.list("run-7", "fc")]
        [20]
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def get(
        self,
        run: str,
        layer: str,
        step: Optional[int] = None,
        *,
        attempt: int = 0,
        replica: int = 0,
        timeout: Optional[float] = None,
    ) -> Report:
        """One stored report.

        Args:
            run: Name of the run.
            layer: Name of the layer.
            step: Training step; None for the latest.
            attempt: Attempt of the run; 0 for the newest, with what it resumed from.
            replica: Which copy of the layer.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.

        Returns:
            The report.

        Raises:
            NotFound: There is no such run, layer or step; the message says which.

        Example:
            >>> projection = client.project(weights, layer=("run-7", "fc", 20))
            >>> client.reports.get("run-7", "fc", 20).is_ternary
            True
        """
        call = Call(timeout)
        options = new("struct trit_call_options *")
        call.fill(options)
        names = c_text(run, "run"), c_text(layer, "layer")
        key = new(
            "struct trit_report_key *",
            {
                "run": names[0],
                "layer": names[1],
                "has_step": step is not None,
                "step": unsigned(0 if step is None else step, 2**63, "step"),
                "attempt": unsigned(attempt, 2**32, "attempt"),
                "replica": unsigned(replica, 2**32, "replica"),
            },
        )
        report = new("struct trit_report *")
        call.check(lib.trit_reports_get(self._handle.client(), key, options, report, call.error))
        return report_of(report)

    def list(
        self,
        run: str = "",
        layer: str = "",
        *,
        from_step: Optional[int] = None,
        to_step: Optional[int] = None,
        latest_only: bool = False,
        waiting: bool = False,
        attempt: int = 0,
        replica: int = 0,
        damaged: Optional[List[ReportKey]] = None,
        timeout: Optional[float] = None,
    ) -> List[Report]:
        """All matching reports.

        Args:
            run: Name of the run; "" for all.
            layer: Name of the layer; "" for all.
            from_step: First step, inclusive; None for no bound.
            to_step: Last step, inclusive; None for no bound.
            latest_only: Only the newest step of each layer in the range.
            waiting: Layers whose shards have not all come, in place of reports; of all
                replicas.
            attempt: Attempt of the runs; 0 for each run's newest, with what it resumed from.
            replica: Which copy of the layers.
            damaged: A list that gets the keys of reports that are damaged in the daemon's
                store, beside which all others are returned. Several of a layer in a row
                are one key; the last of them is at its step or before. None: they raise
                DataLoss.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.

        Returns:
            The reports in the order of run, layer and step.

        Raises:
            NotFound: There is no such run, or no such layer, attempt or replica of it.
            DataLoss: A report is damaged in the daemon's store, and `damaged` is None.
            InvalidArgument: A name or step is out of its range, or `damaged` is no list.

        Example:
            >>> for step in (0, 10, 20):
            ...     projection = client.project(weights, layer=("run-8", "fc", step))
            >>> reports = client.reports.list("run-8", from_step=10)
            >>> [(report.step, report.flips) for report in reports]
            [(10, 0), (20, 0)]
        """
        if damaged is not None and not isinstance(damaged, list):
            raise wrong_type("damaged", "a list or None", damaged)
        call = Call(timeout)
        names = c_text(run, "run"), c_text(layer, "layer")
        query = new(
            "struct trit_report_query *",
            {
                "run": names[0],
                "layer": names[1],
                "latest_only": flag(latest_only, "latest_only"),
                "waiting": int(flag(waiting, "waiting")),
                "has_from": from_step is not None,
                "step_from": unsigned(0 if from_step is None else from_step, 2**63, "from_step"),
                "has_to": to_step is not None,
                "step_to": unsigned(0 if to_step is None else to_step, 2**63, "to_step"),
                "attempt": unsigned(attempt, 2**32, "attempt"),
                "replica": unsigned(replica, 2**32, "replica"),
            },
        )
        call.fill(query.call)
        visit = Visit(report_of)
        if damaged is not None:
            query.damaged = on_damaged
        report = new("struct trit_report *")
        call.check(
            lib.trit_report_list(
                self._handle.client(), query, report, on_report, visit.handle, call.error
            )
        )
        reports = visit.all()
        if damaged is not None:
            damaged += [ReportKey(*key) for key in visit.damaged]
        return reports

    def latest(
        self,
        run: str = "",
        layer: str = "",
        *,
        attempt: int = 0,
        replica: int = 0,
        damaged: Optional[List[ReportKey]] = None,
        timeout: Optional[float] = None,
    ) -> List[Report]:
        """The newest report of each matching layer.

        Args:
            run: Name of the run; "" for all.
            layer: Name of the layer; "" for all.
            attempt: Attempt of the runs; 0 for each run's newest, with what it resumed from.
            replica: Which copy of the layers.
            damaged: A list that gets the keys of newest reports that are damaged in the
                daemon's store: no older one is returned in their place. None: they raise
                DataLoss.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.

        Returns:
            The reports in the order of run and layer.

        Raises:
            NotFound: There is no such run, or no such layer, attempt or replica of it.
            DataLoss: A report is damaged in the daemon's store, and `damaged` is None.
            InvalidArgument: A name is too long, or `damaged` is no list.

        Example:
            >>> for step in (0, 10, 20):
            ...     projection = client.project(weights, layer=("run-8", "fc", step))
            >>> reports = client.reports.latest("run-8")
            >>> [(report.layer, report.step) for report in reports]
            [('fc', 20)]
        """
        return self.list(
            run,
            layer,
            latest_only=True,
            attempt=attempt,
            replica=replica,
            damaged=damaged,
            timeout=timeout,
        )

    def compare(
        self, a: AnyReportKey, b: AnyReportKey, *, timeout: Optional[float] = None
    ) -> Comparison:
        """Compares the ternary tensors of two stored reports.

        Args:
            a: (run, layer, step), or also attempt and replica: a `ReportKey`.
            b: The same.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.

        Returns:
            What differs.

        Raises:
            NotFound: There is no such report.
            FailedPrecondition: The daemon no longer has the codes of one.
            InvalidArgument: The tensors have other shapes or group sizes.

        Example:
            >>> for step, sign in ((0, 1), (1, -1)):
            ...     projection = client.project(sign * weights, layer=("signs", "fc", step))
            >>> found = client.reports.compare(("signs", "fc", 0), ("signs", "fc", 1))
            >>> found.equal, found.codes_differing == found.elements, found.scale_ratio_max
            (False, False, 1.0)
        """
        call, found = Call(timeout), new("struct trit_comparison *")
        options = new("struct trit_call_options *")
        call.fill(options)
        left, right = _ref_of(a, "a"), _ref_of(b, "b")
        call.check(
            lib.trit_reports_compare(
                self._handle.client(), left[0], right[0], options, found, call.error
            )
        )
        return Comparison(
            bool(found.equal),
            found.elements,
            found.codes_differing,
            found.scale_ratio_max,
            found.first_group if found.has_first_group else None,
        )

    def watch(
        self, run: str = "", *, cursor: str = "", timeout: Optional[float] = None
    ) -> ReportWatch:
        """The reports as they are filed, from now on or from a cursor on.

        Args:
            run: Name of the run; "" for all.
            cursor: That of the last report seen; "0" for all that are kept, as one beyond the
                newest (the daemon has lost its data); "" for those that are filed from now on.
            timeout: Seconds after which the watch ends; None for no limit.

        Returns:
            An iterator. It holds a connection and a thread until it is closed. If the
            daemon restarts after the first report, it waits and goes on after the last
            one: none is lost or repeated.

        Raises:
            InvalidArgument: `run` or `cursor` is invalid; when the iteration begins.
            ResourceExhausted: 48 watches and jobs of the client run already; when the iteration
                begins.

        Example:
            >>> with client.reports.watch("live", cursor="0") as watch:
            ...     projection = client.project(weights, layer=("live", "fc", 20))
            ...     next(watch).report.step
            20
        """
        names = c_text(run, "run"), c_text(cursor, "cursor")
        options = new("struct trit_watch_options *", {"run": names[0], "cursor": names[1]})
        limit = math.inf if timeout is None else timeout
        timeout_ms(limit)  # refuses what is no time

        def read(report: Any, cursor: str) -> FiledReport:
            return FiledReport(report_of(report), cursor)

        watching = Watching(self._handle, options, read, limit)
        watching.borrowed = names
        return ReportWatch(watching)

    # ---- what changes a run --------------------------------------------------------------

    def rewind(self, run: str, step: int, *, timeout: Optional[float] = None) -> int:
        """Starts the run's next attempt, which goes on after `step`.

        Later steps of the older attempts stay readable, as superseded. It needs the policy
        admin.

        Args:
            run: Name of the run.
            step: The last step that stays.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.

        Returns:
            The new attempt.

        Raises:
            NotFound: There is no such run.
            PermissionDenied: The token lacks the policy admin.

        Example:
            >>> for step in (0, 10, 20):
            ...     projection = client.project(weights, layer=("rewound", "fc", step))
            >>> client.reports.rewind("rewound", 10)
            2
            >>> [report.step for report in client.reports.list("rewound")]
            [0, 10]
            >>> client.reports.delete("rewound")  # the superseded ones, too
            3
        """
        call, attempt = Call(timeout), ffi.new("uint32_t *")
        options = new("struct trit_call_options *")
        call.fill(options)
        name, last = c_text(run, "run"), unsigned(step, 2**63, "step")
        call.check(
            lib.trit_reports_rewind(
                self._handle.client(), name, last, options, attempt, call.error
            )
        )
        return int(attempt[0])

    def fork(self, run: str, step: int, new_run: str, *, timeout: Optional[float] = None) -> int:
        """Starts the run `new_run` with the reports of `run` up to `step`.

        It needs the policy admin.

        Args:
            run: Name of the run, which stays as it is.
            step: The last step that is taken along.
            new_run: Name of the new run.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.

        Returns:
            Number of reports of the new run.

        Raises:
            NotFound: There is no such run.
            AlreadyExists: `new_run` is a run.
            PermissionDenied: The token lacks the policy admin.

        Example:
            >>> for step in (0, 10, 20):
            ...     projection = client.project(weights, layer=("trunk", "fc", step))
            >>> client.reports.fork("trunk", 10, "branch")
            2
            >>> client.reports.delete("branch")
            2
        """
        call, reports = Call(timeout), ffi.new("uint64_t *")
        options = new("struct trit_call_options *")
        call.fill(options)
        names = c_text(run, "run"), c_text(new_run, "new_run")
        last = unsigned(step, 2**63, "step")
        call.check(
            lib.trit_reports_fork(
                self._handle.client(), names[0], last, names[1], options, reports, call.error
            )
        )
        return int(reports[0])

    def delete(
        self,
        run: str,
        layer: str = "",
        *,
        from_step: Optional[int] = None,
        to_step: Optional[int] = None,
        timeout: Optional[float] = None,
    ) -> int:
        """Deletes reports of a run for good, of all attempts and replicas.

        It needs the policy admin.

        Args:
            run: Name of the run.
            layer: Name of the layer; "" for all.
            from_step: First step, inclusive; None for no bound.
            to_step: Last step, inclusive; None for no bound.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.

        Returns:
            Number of reports that were deleted.

        Raises:
            NotFound: There is no such run or layer.
            PermissionDenied: The token lacks the policy admin.

        Example:
            >>> projection = client.project(weights, layer=("short", "fc", 20))
            >>> client.reports.delete("short")
            1
        """
        call, reports = Call(timeout), ffi.new("uint64_t *")
        options = new("struct trit_call_options *")
        call.fill(options)
        names = c_text(run, "run"), c_text(layer, "layer")
        given = new(
            "struct trit_report_range *",
            {
                "run": names[0],
                "layer": names[1],
                "has_from": from_step is not None,
                "step_from": unsigned(0 if from_step is None else from_step, 2**63, "from_step"),
                "has_to": to_step is not None,
                "step_to": unsigned(0 if to_step is None else to_step, 2**63, "to_step"),
            },
        )
        call.check(
            lib.trit_reports_delete(self._handle.client(), given, options, reports, call.error)
        )
        return int(reports[0])
