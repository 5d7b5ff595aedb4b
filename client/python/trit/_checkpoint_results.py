# SPDX-License-Identifier: Apache-2.0
"""What the calls over checkpoints give.

Results print as a summary with their findings, in notebooks with a table.
"""

from __future__ import annotations

import dataclasses
import html
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ._html import table as _table
from ._plots import plot_layers
from ._sources import Tensor
from .reports import Finding, Report, Verdict
from .types import Encoding

FINDINGS_SHOWN = 20


def _line(finding: Finding) -> str:
    """A finding in one line."""
    where = [] if finding.index is None else [f"element {finding.index}"]
    where += [] if finding.group is None else [f"group {finding.group}"]
    where += [] if finding.expected is None else [f"expected {finding.expected}"]
    where += [] if finding.got is None else [f"got {finding.got}"]
    text = f"{finding.severity}: {finding.layer or finding.tensor or 'file'}: "
    text += ", ".join([finding.kind, *where])
    text += "" if finding.count is None else f" ({finding.count} in all)"
    return text if finding.hint is None else f"{text}: {finding.hint}"


def _lines(findings: Sequence[Finding]) -> List[str]:
    lines = [_line(one) for one in findings[:FINDINGS_SHOWN]]
    left = len(findings) - len(lines)
    return [*lines, f"and {left} more findings"] if left else lines


def _share(part: int, rest: int) -> str:
    return f"{100 * part / (part + rest) if part + rest else 0:.1f} %"


def _page(summary: str, findings: Sequence[Finding], table: str) -> str:
    found = "".join(f"<li>{html.escape(one)}</li>" for one in _lines(findings))
    listed = f"<ul>{found}</ul>" if found else ""
    return f"<p>{html.escape(summary)}</p>{listed}{table}"


def _layers_table(reports: Mapping[str, Report], findings: Sequence[Finding]) -> str:
    kinds: Dict[str, List[str]] = {}
    for one in findings:
        if one.layer is not None:
            kinds.setdefault(one.layer, []).append(f"{one.severity}: {one.kind}")
    rows = [
        (
            name,
            list(one.shape),
            f"{one.zeros / one.elements:.3f}" if one.elements else "",
            "" if one.scale_mean is None else f"{one.scale_mean:.5g}",
            ", ".join(kinds.get(name, [])),
        )
        for name, one in reports.items()
    ]
    return _table(("layer", "shape", "zeros", "mean scale", "findings"), rows)


class _Plotted:
    """A result with the reports of layers."""

    reports: Dict[str, Report]

    def plot(self) -> Any:
        """Plots the layers with matplotlib: shares of -1, 0, +1, and a histogram of scales.

        Returns:
            Two matplotlib Axes; a notebook shows them.

        Raises:
            ImportError: matplotlib is not installed.

        Example:
            >>> shares, scales = client.checkpoint.project({"fc.weight": weights}).plot()
            >>> scales.get_xlabel()
            'mean scale of a layer'
        """
        return plot_layers(self.reports)


class _Shown:
    """A result that prints as its summary and findings."""

    findings: Tuple[Finding, ...]

    def _summary(self) -> str:
        raise NotImplementedError

    def _html(self) -> str:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._summary()}>"

    def __str__(self) -> str:
        return "\n".join([self._summary(), *(f"  {one}" for one in _lines(self.findings))])

    def _repr_html_(self) -> str:
        return _page(self._summary(), self.findings, self._html())


@dataclasses.dataclass(frozen=True, repr=False)
class ProjectResult(_Plotted, _Shown):
    """What `Checkpoint.project` made.

    Attributes:
        reports: The reports by layer; those of experts in one tensor as `NAME[0]`, `NAME[1]`.
        tensors: The state dict, where no file was asked for, else None. Layers are in their
            encoding; scales that stand in a tensor of their own follow as `NAME.scales`
            (HF_BITNET: `NAME_scale`; MLX_2BIT: `.scales` and `.biases` in place of
            `.weight`). The other tensors are those of the source.
        findings: What an index and its shards contradict each other in, and the findings of
            the reports. Layers of zeros are warnings.
        verdict: "pass"; "fail" if a finding is an error.
        ternary: Number of parameters that became ternary.
        kept: Number of parameters of all other tensors.
        architecture: llama.cpp's name of the model that a GGUF output is; None for another
            output, and for an archive of tensors, which llama.cpp does not load.
        remark: About a GGUF output: why it is an archive, or what was left out; else None.

    Example:
        >>> state = {"fc.weight": weights, "fc.bias": np.zeros(256, np.float32)}
        >>> result = client.checkpoint.project(state, encoding="int8")
        >>> list(result.tensors)
        ['fc.weight', 'fc.weight.scales', 'fc.bias']
    """

    reports: Dict[str, Report]
    tensors: Optional[Dict[str, Any]] = None
    findings: Tuple[Finding, ...] = ()
    verdict: Verdict = "pass"
    ternary: int = 0
    kept: int = 0
    architecture: Optional[str] = None
    remark: Optional[str] = None

    @property
    def layers(self) -> Tuple[str, ...]:
        """The layers that became ternary.

        Returns:
            Their names, as `reports` has them.

        Example:
            >>> client.checkpoint.project({"fc.weight": weights}).layers
            ('fc.weight',)
        """
        return tuple(self.reports)

    def _summary(self) -> str:
        return (
            f"{self.verdict}: {len(self.reports)} layers ternary, "
            f"{_share(self.ternary, self.kept)} of the parameters"
        )

    def _html(self) -> str:
        return _layers_table(self.reports, self.findings)


@dataclasses.dataclass(frozen=True, repr=False)
class PackResult(_Shown):
    """What `Checkpoint.pack` or `Checkpoint.unpack` made.

    Attributes:
        layers: The layers that were packed or unpacked.
        encoding: How they lie in memory now.
        tensors: The state dict, where no file was asked for, else None.
        findings: What an index and its shards contradict each other in, and the findings about
            the layers.
        verdict: "pass"; "fail" if a finding is an error.
        scales_rounded: Number of scales that were rounded to the encoding's type.
        ternary: Number of parameters of the layers.
        kept: Number of parameters of all other tensors.
        architecture: llama.cpp's name of the model that a GGUF output is; None for another
            output, and for an archive of tensors, which llama.cpp does not load.
        remark: About a GGUF output: why it is an archive, or what was left out; else None.

    Example:
        >>> dense = client.checkpoint.project({"fc.weight": weights}).tensors
        >>> client.checkpoint.pack(dense, encoding="int8").layers
        ('fc.weight',)
    """

    layers: Tuple[str, ...]
    encoding: Encoding
    tensors: Optional[Dict[str, Any]] = None
    findings: Tuple[Finding, ...] = ()
    verdict: Verdict = "pass"
    scales_rounded: int = 0
    ternary: int = 0
    kept: int = 0
    architecture: Optional[str] = None
    remark: Optional[str] = None

    def _summary(self) -> str:
        text = (
            f"{self.verdict}: {len(self.layers)} layers as {self.encoding.name.lower()}, "
            f"{_share(self.ternary, self.kept)} of the parameters"
        )
        rounded = f", {self.scales_rounded} scales rounded" if self.scales_rounded else ""
        return text + rounded

    def _html(self) -> str:
        return _table(("layer",), [(name,) for name in self.layers])


@dataclasses.dataclass(frozen=True, repr=False)
class VerifyResult(_Plotted, _Shown):
    """What `Checkpoint.verify` found.

    Attributes:
        reports: The reports by layer, of the layers that were examined; those of experts in
            one tensor as `NAME[0]`, `NAME[1]`.
        verdict: "pass"; "fail" if a finding is an error; "inconclusive" if nothing was
            examined, or something could not be checked.
        findings: The findings of the layers' reports, and those about the file.
        examined: Number of parameters (elements of dense tensors) of the layers examined.
        kept: Number of parameters of all other tensors.

    Example:
        >>> result = client.checkpoint.verify({"fc.weight": weights})
        >>> result.verdict, result.findings[0].layer, result.findings[0].kind
        ('fail', 'fc.weight', 'not_ternary')
    """

    reports: Dict[str, Report]
    verdict: Verdict
    findings: Tuple[Finding, ...] = ()
    examined: int = 0
    kept: int = 0

    @property
    def passes(self) -> bool:
        """Whether the verdict is "pass".

        Returns:
            True for "pass".

        Example:
            >>> client.checkpoint.verify({"fc.weight": weights}, mode="latent").passes
            True
        """
        return self.verdict == "pass"

    @property
    def missing(self) -> Tuple[str, ...]:
        """Layers of the latents or of the file's record that the file lacks.

        Returns:
            Their names. A layer of another shape counts too.

        Example:
            >>> latents = {"a.weight": weights, "b.weight": weights}
            >>> ternary = client.checkpoint.project({"a.weight": weights}).tensors
            >>> client.checkpoint.verify(ternary, against=latents).missing
            ('b.weight',)
        """
        return tuple(
            one.layer
            for one in self.findings
            if one.kind == "missing_layer" and one.layer is not None
        )

    @property
    def layers(self) -> Tuple[str, ...]:
        """The layers that were examined.

        Returns:
            Their names, as `reports` has them.

        Example:
            >>> client.checkpoint.verify({"fc.weight": weights}).layers
            ('fc.weight',)
        """
        return tuple(self.reports)

    def _summary(self) -> str:
        return (
            f"{self.verdict}: {len(self.reports)} layers and "
            f"{_share(self.examined, self.kept)} of the parameters examined, "
            f"{len(self.findings)} findings"
        )

    def _html(self) -> str:
        return _layers_table(self.reports, self.findings)


@dataclasses.dataclass(frozen=True)
class PlannedTensor:
    """What becomes of a tensor.

    Attributes:
        name: Its name.
        dtype: Its element type, as safetensors names it.
        shape: Its shape.
        parameters: Number of its elements.
        action: "ternarize", "keep" or "refuse".
        reason: Why it is kept or refused; None for layers.
        matrices: Number of matrices that are projected, the experts of a tensor for example.
        transposed: Whether each matrix is stored as [in, out].
        outputs: The tensors that come of it.
        warning: What may be wrong about a layer: that it may be stored [in, out], or that the
            rules would keep it; None if nothing is known. `project` warns of it.

    Example:
        >>> plan = client.checkpoint.plan({"fc.weight": weights}, encoding="int8")
        >>> plan.tensors["fc.weight"].action, list(plan.tensors["fc.weight"].outputs)
        ('ternarize', ['fc.weight', 'fc.weight.scales'])
    """

    name: str
    dtype: str
    shape: Tuple[int, ...]
    parameters: int
    action: str
    reason: Optional[str] = None
    matrices: int = 0
    transposed: bool = False
    outputs: Dict[str, Tensor] = dataclasses.field(default_factory=dict)
    warning: Optional[str] = None


@dataclasses.dataclass(frozen=True, repr=False)
class ProjectPlan(_Shown):
    """What a projection would do.

    Attributes:
        tensors: What becomes of each tensor, by name, in the file's order.
        ternary: Number of parameters that would become ternary.
        kept: Number of parameters of all other tensors.
        bytes_before: Bytes of the source's tensors.
        bytes_after: Bytes of the output's tensors.
        bits_per_weight: Bits of a ternary weight with its share of the scales; None without
            layers.
        refusal: Why the whole file is refused, or None.
        findings: What an index and its shards contradict each other in.
        architecture: llama.cpp's name of the model that a GGUF output is; None for another
            output, and for an archive of tensors, which llama.cpp does not load.
        remark: About a GGUF output: why it is an archive, or what was left out; else None.

    Example:
        >>> plan = client.checkpoint.plan("model.safetensors", encoding="pq2_0")
        >>> plan.layers, plan.possible
        (('body.weight', 'head.weight'), True)
    """

    tensors: Dict[str, PlannedTensor]
    ternary: int
    kept: int
    bytes_before: int
    bytes_after: int
    bits_per_weight: Optional[float] = None
    refusal: Optional[str] = None
    findings: Tuple[Finding, ...] = ()
    architecture: Optional[str] = None
    remark: Optional[str] = None

    @property
    def layers(self) -> Tuple[str, ...]:
        """The tensors that would become ternary.

        Returns:
            Their names.

        Example:
            >>> client.checkpoint.plan({"fc.weight": weights}).layers
            ('fc.weight',)
        """
        return tuple(one.name for one in self.tensors.values() if one.action == "ternarize")

    @property
    def refused(self) -> Dict[str, str]:
        """The tensors that are refused.

        Returns:
            Why, by name.

        Example:
            >>> client.checkpoint.plan({"fc.weight": weights}, encoding="i2_s").refused
            {'fc.weight': 'i2_s has a form in GGUF files only'}
        """
        return {
            one.name: one.reason or "" for one in self.tensors.values() if one.action == "refuse"
        }

    @property
    def possible(self) -> bool:
        """Whether the projection can be made.

        Returns:
            True if there are layers and nothing is refused.

        Example:
            >>> client.checkpoint.plan({"fc.weight": weights}).possible
            True
        """
        wrong = any(one.severity == "error" for one in self.findings)
        return bool(self.layers) and not (self.refused or self.refusal or wrong)

    def _summary(self) -> str:
        bits = "" if self.bits_per_weight is None else f", {self.bits_per_weight:.3f} bits each"
        text = (
            f"{len(self.layers)} layers become ternary, "
            f"{_share(self.ternary, self.kept)} of the parameters{bits}; "
            f"{self.bytes_before} bytes become {self.bytes_after}; "
            f"{len(self.refused)} tensors are refused"
        )
        return text if self.refusal is None else f"{text}; refused as a whole: {self.refusal}"

    def _html(self) -> str:
        rows = [
            (
                one.name,
                one.dtype,
                list(one.shape),
                one.action,
                one.reason or ("stored [in, out]" if one.transposed else ""),
            )
            for one in self.tensors.values()
        ]
        return _table(("tensor", "dtype", "shape", "action", "why"), rows)


def plan_of(found: Dict[str, Any]) -> ProjectPlan:
    """The plan that libtrit's or the daemon's JSON describes; its findings are objects."""
    tensors = {
        one["name"]: PlannedTensor(
            one["name"],
            one["dtype"],
            tuple(one["shape"]),
            one["parameters"],
            one["action"],
            one.get("reason"),
            one.get("matrices", 0),
            one.get("transposed", False),
            {
                output["name"]: Tensor(
                    output["name"], output["dtype"], tuple(output["shape"]), output["bytes"]
                )
                for output in one["outputs"]
            },
            one.get("warning"),
        )
        for one in found["tensors"]
    }
    return ProjectPlan(
        tensors,
        found["parameters"]["ternary"],
        found["parameters"]["kept"],
        found["bytes"]["before"],
        found["bytes"]["after"],
        found.get("bits_per_weight"),
        found.get("refusal"),
        found["findings"],
        *gguf_of(found),
    )


def gguf_of(found: Any) -> Tuple[Optional[str], Optional[str]]:
    """The architecture and the remark of libtrit's JSON about an output."""
    gguf = found.get("gguf", {})
    return gguf.get("architecture"), gguf.get("remark")


@dataclasses.dataclass(frozen=True, repr=False)
class CheckpointInfo(_Shown):
    """What is in a checkpoint.

    Attributes:
        tensors: The tensors by name, in the file's order.
        layers: Names of those that are layers.
        metadata: The metadata of the file.
        encoding: The encoding that the record of the file names; None without a record.
        descriptions: What each tensor is, in words: "a layer", "a norm", "the scales of
            fc.weight".
        findings: What an index and its shards contradict each other in.

    Example:
        >>> info = client.checkpoint.inspect({"fc.weight": weights, "norm.weight": weights[0]})
        >>> info.layers, info.descriptions["norm.weight"]
        (('fc.weight',), 'a norm')
    """

    tensors: Dict[str, Tensor]
    layers: Tuple[str, ...]
    metadata: Dict[str, str]
    encoding: Optional[Encoding]
    descriptions: Dict[str, str] = dataclasses.field(default_factory=dict)
    findings: Tuple[Finding, ...] = ()

    def _summary(self) -> str:
        encoding = "no record" if self.encoding is None else self.encoding.name.lower()
        return f"{len(self.tensors)} tensors, {len(self.layers)} layers, {encoding}"

    def _html(self) -> str:
        rows = [
            (one.name, one.dtype, list(one.shape), self.descriptions[one.name])
            for one in self.tensors.values()
        ]
        return _table(("tensor", "dtype", "shape", "what"), rows)
