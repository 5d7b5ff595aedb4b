# SPDX-License-Identifier: Apache-2.0
"""The results of jobs, made of the JSON that the daemon gives and the reports of layers."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Dict, Optional, Tuple, Union

from ._checkpoint_results import (
    CheckpointInfo,
    ProjectPlan,
    ProjectResult,
    VerifyResult,
    gguf_of,
    plan_of,
)
from ._sources import Tensor
from .errors import InvalidArgument
from .reports import Report
from .types import Encoding


@dataclasses.dataclass(frozen=True)
class JobPackResult:
    """What `Checkpoints.pack` or `Checkpoints.unpack` made.

    Attributes:
        layers: Number of layers that were packed or unpacked.
        passed_through: Number of tensors that are as they were.
        encoding: How the layers lie in memory now.
        scales_rounded: Number of scales that were rounded to the encoding's type.
        reports: The reports by layer; those of unpacked layers are not made.
        architecture: llama.cpp's name of the model that a GGUF output is; None for another
            output, and for an archive of tensors, which llama.cpp does not load.
        remark: About a GGUF output: why it is an archive, or what was left out; else None.

    Example:
        >>> job = client.checkpoints.project("model.safetensors", "t.safetensors", force=True)
        >>> _ = job.result()
        >>> job = client.checkpoints.pack("t.safetensors", "p.safetensors", encoding="int8")
        >>> job.result().layers, job.result().encoding.name
        (2, 'INT8')
    """

    layers: int
    passed_through: int
    encoding: Encoding
    scales_rounded: int
    reports: Dict[str, Report]
    architecture: Optional[str] = None
    remark: Optional[str] = None


@dataclasses.dataclass(frozen=True)
class LayerDifference:
    """How a layer of two checkpoints differs.

    Attributes:
        equal: Whether codes and scales are equal.
        elements: Number of its weights.
        codes_differing: Number of weights with another code.
        transitions: Number of weights from code to code: -1 to -1, 0, 1; 0 to -1 and so on.
        magnitudes_differing: Number of weights with an equal code and another scale.
        scale_ratio_max: Largest ratio of two scales, at least 1; None if it is infinite.
        first: Index of the first weight that differs; None if all are equal.

    Example:
        >>> job = client.checkpoints.diff("model.safetensors", "model.safetensors")
        >>> job.result().layers["head.weight"].codes_differing
        0
    """

    equal: bool
    elements: int
    codes_differing: int
    transitions: Tuple[int, ...]
    magnitudes_differing: int
    scale_ratio_max: Optional[float]
    first: Optional[int]


@dataclasses.dataclass(frozen=True)
class DiffResult:
    """What `Checkpoints.diff` found.

    Attributes:
        equal: Whether everything is equal.
        layers: The layers by name.
        tensors: The other tensors by name: what differs, or None.
        keys: Of two GGUF files, the keys that say what the weights mean and that differ: both
            values; None where a file lacks the key.

    Example:
        >>> client.checkpoints.diff("model.safetensors", "model.safetensors").result().equal
        True
    """

    equal: bool
    layers: Dict[str, LayerDifference]
    tensors: Dict[str, Optional[str]]
    keys: Dict[str, Tuple[Optional[str], Optional[str]]] = dataclasses.field(default_factory=dict)


JobResult = Union[
    CheckpointInfo, DiffResult, JobPackResult, ProjectPlan, ProjectResult, VerifyResult
]


def _encoding_of(metadata: Dict[str, str]) -> Optional[Encoding]:
    """The encoding that the record in a file's metadata names."""
    try:
        return Encoding[json.loads(metadata["trit"])["encoding"].upper()]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def info_result(found: Any, _: Dict[str, Report]) -> CheckpointInfo:
    """That of Inspect."""
    tensors = found["tensors"]
    return CheckpointInfo(
        {
            one["name"]: Tensor(
                one["name"], one["dtype"], tuple(one["shape"]), one["bytes"], one["offset"]
            )
            for one in tensors
        },
        tuple(one["name"] for one in tensors if one["layer"]),
        found["metadata"],
        _encoding_of(found["metadata"]),
        {one["name"]: one["what"] for one in tensors},
        found["findings"],
    )


def plan_result(found: Any, _: Dict[str, Report]) -> ProjectPlan:
    """That of Plan."""
    return plan_of(found)


def verification_result(found: Any, reports: Dict[str, Report]) -> VerifyResult:
    """That of Verify."""
    return VerifyResult(
        reports, found["verdict"], found["findings"], found["examined"], found["kept"]
    )


def projection_result(found: Any, reports: Dict[str, Report]) -> ProjectResult:
    """That of Project."""
    if "bytes" in found:  # the plan, because it refuses something
        raise _refused(plan_of(found))
    return ProjectResult(
        reports,
        None,
        found["findings"],
        found["verdict"],
        found["ternary"],
        found["kept"],
        *gguf_of(found),
    )


def _refused(plan: ProjectPlan) -> InvalidArgument:
    """What `client.checkpoint.project` raises for such a plan; the caller raises it."""
    why = [f"{name}: {reason}" for name, reason in plan.refused.items()]
    why += [f"{one.tensor}: {one.kind}" for one in plan.findings if one.severity == "error"]
    if plan.refusal is not None:
        why.insert(0, plan.refusal)
    return InvalidArgument(
        f"path: {'; '.join(why) or 'none of its tensors is a layer'}. Nothing is written", "path"
    )


def pack_result(found: Any, reports: Dict[str, Report]) -> JobPackResult:
    """That of Pack."""
    if "bytes" in found:
        raise _refused(plan_of(found))
    return JobPackResult(
        int(found["layers"]),
        int(found["passed_through"]),
        Encoding[found["encoding"].upper()],
        int(found["scales_rounded"]),
        reports,
        *gguf_of(found),
    )


def diff_result(found: Any, _: Dict[str, Report]) -> DiffResult:
    """That of Diff."""
    return DiffResult(
        found["equal"],
        {one["layer"]: _difference(one) for one in found["layers"]},
        {one["tensor"]: one.get("what") for one in found["tensors"]},
        {one["key"]: (one.get("a"), one.get("b")) for one in found.get("keys", [])},
    )


def _difference(found: Any) -> LayerDifference:
    return LayerDifference(
        found["equal"],
        int(found["elements"]),
        int(found["codes_differing"]),
        tuple(int(one) for one in found["transitions"]),
        int(found["magnitudes_differing"]),
        found["scale_ratio_max"],
        int(found["first"]) if "first" in found else None,
    )


def any_result(found: Any, reports: Dict[str, Report]) -> JobResult:
    """The result of a job that was started elsewhere, by the members that it has."""
    if "format" in found:
        return info_result(found, reports)
    if "equal" in found:
        return diff_result(found, reports)
    if "scales_rounded" in found:
        return pack_result(found, reports)
    if "examined" in found:
        return verification_result(found, reports)
    return plan_result(found, reports) if "bytes" in found else projection_result(found, reports)
