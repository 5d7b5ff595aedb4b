# SPDX-License-Identifier: Apache-2.0
"""The projection of a whole checkpoint: the plan, and its execution tensor by tensor."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

import numpy as np

from ._arguments import PathLike, path_of
from ._arrays import Array
from ._checkpoint_calls import CheckpointProgress, LayerCalls
from ._rules import Options, Plan, Table, format_of
from ._safetensors import Source, Target, Tensor, bytes_of
from .errors import AlreadyExists, Internal, InvalidArgument
from .reports import Report
from .types import DType

COPY_BYTES = 1 << 20
PROBE_BYTES = 1 << 16
# NumPy's dtypes of results in a state dict. NumPy has no bfloat16 of its own.
_STORAGE = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "I8": "i1", "U8": "u1"}

_PACK = (
    "`trit pack` will keep trits and scales as they are; again=True projects once more, "
    "which shrinks the scales"
)


def check_out(out: PathLike, source: Union[PathLike, Mapping[str, Any]], force: bool) -> None:
    """Refuses an output that is impossible or would do damage, before anything is read."""
    path = path_of(out, "out")
    if path == "-":
        raise InvalidArgument(
            'out: "-" names no file; weights are not written to standard output', "out"
        )
    kind = format_of(path)
    if kind != "safetensors":
        raise InvalidArgument(
            f"out: the name of {path} says {kind}, but safetensors is written", "out"
        )
    if os.path.isdir(path) and not os.path.islink(path):
        raise IsADirectoryError(f"{path} is a folder")
    if not isinstance(source, Mapping):
        own = path_of(source, "source")
        if os.path.exists(path) and os.path.exists(own) and os.path.samefile(path, own):
            raise InvalidArgument(f"out: {path} is the source itself; name another file", "out")
    if os.path.lexists(path) and not force:
        raise AlreadyExists(f"out: {path} exists already; force=True replaces it", "out")


class Planned:
    """What becomes of each tensor. Making it raises for what must not be projected.

    `layers` are libtrit's terms of each layer, `outputs` the tensors that come of each
    tensor, `metadata` is the output's.
    """

    def __init__(self, source: Source, options: Options, progress: CheckpointProgress) -> None:
        plan = Plan(Table(source.tensors.values(), source.metadata), options)
        found = plan.read()
        if "refusal" in found:
            raise InvalidArgument(f"source: {found['refusal']}. {_PACK}", "source")
        _check_refused(found, "exclude keeps a tensor as it is")
        self.layers: Dict[str, Dict[str, Any]] = {
            one["name"]: one for one in found["tensors"] if one["action"] == "ternarize"
        }
        if not self.layers:
            raise InvalidArgument(
                "source: none of its tensors is a layer (rank 2, f32, f16 or bf16, "
                "by the rules and patterns)",
                "source",
            )
        if not options.again:
            for name in self.layers:
                _examine(plan, source, name, progress)
            _check_refused(plan.read(), _PACK)
        self.outputs = {
            one["name"]: [_output(output) for output in one["outputs"]] for one in found["tensors"]
        }
        self.metadata: Dict[str, str] = found["metadata"]


def _output(output: Dict[str, Any]) -> Tensor:
    return Tensor(output["name"], output["dtype"], tuple(output["shape"]), output["bytes"])


def _examine(plan: Plan, source: Source, name: str, progress: CheckpointProgress) -> None:
    """Gives the plan as many bytes of a layer as it needs to know if it is ternary."""
    view = source.view(name)
    for at in range(0, view.nbytes, PROBE_BYTES):
        progress.check()
        if plan.examine(name, view, at, min(PROBE_BYTES, view.nbytes - at)):
            break
    source.release(name)


def _check_refused(plan: Dict[str, Any], what_to_do: str) -> None:
    """Raises with all refused tensors, not only the first."""
    refused = [
        f"{one['name']}: {one['reason']}" for one in plan["tensors"] if one["action"] == "refuse"
    ]
    if refused:
        raise InvalidArgument(f"{'; '.join(refused)}. Nothing is written: {what_to_do}", "source")


def check_lost(reports: Mapping[str, Report]) -> None:
    """Raises if scales round to 0 or infinity."""
    lost = [
        f"{name}: {one.count} scales, the first of group {one.group}"
        for name, report in reports.items()
        for one in report.findings
        if one.kind == "scale_lost"
    ]
    if lost:
        raise InvalidArgument(
            f"scales round to 0 or infinity: {'; '.join(lost)}. Nothing is written; "
            "allow_lost=True writes such groups nevertheless",
            "source",
        )


# ---- to a file ---------------------------------------------------------------------------


def project_to_file(
    source: Source,
    planned: Planned,
    target: Target,
    calls: LayerCalls,
    progress: CheckpointProgress,
) -> Dict[str, Report]:
    """Fills the target; returns the reports by layer."""
    reports = {}
    for name, tensor in source.tensors.items():
        outputs = planned.outputs[name]
        with progress.tensor(tensor):
            view = source.view(name)
            if name not in planned.layers:
                _copy(target.buffer(name), bytes_of(view), progress)
            else:
                terms, out = planned.layers[name], target.buffer(name)
                reports[name], scales = calls.project(name, view, terms, out)
                _put_scales(target, outputs, scales)
            del view
        source.release(name)
        for output in outputs:
            target.release(output.name)
    return reports


def _copy(to: Array, tensor: Array, progress: CheckpointProgress) -> None:
    for at in range(0, len(tensor), COPY_BYTES):
        piece = tensor[at : at + COPY_BYTES]
        to[at : at + COPY_BYTES] = piece
        progress(len(piece))


def _put_scales(target: Target, outputs: List[Tensor], scales: Optional[Array]) -> None:
    """Writes scales, which must have the size that the file's header promises."""
    expected = outputs[1].nbytes if len(outputs) > 1 else 0
    if (0 if scales is None else scales.nbytes) != expected:
        raise Internal(f"the daemon did not send {expected} bytes of scales")
    if scales is not None:
        target.buffer(outputs[1].name)[:] = scales


# ---- to a state dict ---------------------------------------------------------------------


def project_to_arrays(
    source: Source,
    arrays: Mapping[str, Any],
    planned: Planned,
    calls: LayerCalls,
    progress: CheckpointProgress,
) -> Tuple[Dict[str, Report], Dict[str, Any]]:
    """Returns the reports by layer, and the state dict."""
    reports, tensors = {}, {}
    for name, tensor in source.tensors.items():
        with progress.tensor(tensor):
            if name not in planned.layers:
                tensors[name] = arrays[name]
                continue
            view, outputs = source.view(name), planned.outputs[name]
            data = np.empty(outputs[0].nbytes, np.uint8)
            reports[name], scales = calls.project(name, view, planned.layers[name], data)
            for output, raw in zip(outputs, (data, scales)):
                if raw is None or raw.nbytes != output.nbytes:
                    raise Internal(
                        f"the daemon did not send {output.nbytes} bytes of {output.name}"
                    )
                tensors[output.name] = view.wrap(
                    raw.view(_STORAGE[output.dtype]).reshape(output.shape),
                    DType.BF16 if output.dtype == "BF16" else None,
                )
    return reports, tensors
