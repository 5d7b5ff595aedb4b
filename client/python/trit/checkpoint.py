# SPDX-License-Identifier: Apache-2.0
"""Whole checkpoints: `client.checkpoint`.

A checkpoint is a safetensors file or a state dict (arrays of any family by name). Which of
its tensors are layers, what becomes of each and what a verification comes to are the rules
of the command `trit`, which libtrit has (`_rules.py`). A file is mapped, not read: one layer
at a time goes through the daemon, and memory does not grow with the file. Reading files
needs the package safetensors.
"""
from __future__ import annotations

import dataclasses
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Tuple, Union

import numpy as np

from ._call import Progress
from ._layer_calls import Calls, Steps, encoding_of, filed_under, named
from ._rules import Options, Plan, Table, Verification, format_of
from ._safetensors import Arrays, File, PathLike, Target, Tensor, open_source, raw
from ._selection import Patterns
from .errors import AlreadyExists, Internal, InvalidArgument
from .reports import Finding, Report, report_of
from .types import DType, Encoding, PartialGroup, VerifyMode, member

if TYPE_CHECKING:
    from .client import Client

__all__ = ["Checkpoint", "Contents", "Projected", "Verified"]

Source = Union[PathLike, Mapping[str, Any]]

COPY_BYTES = 1 << 20
PROBE_BYTES = 1 << 16
# How a state dict has what comes out; bfloat16 is none of NumPy's own.
_STORAGE = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "I8": "i1", "U8": "u1"}


@dataclasses.dataclass(frozen=True)
class Projected:
    """What `project` made.

    reports  by layer
    tensors  the state dict that came out where no file was asked for: layers in their
             encoding (with `NAME.scales` behind them where they have some; HF_BITNET:
             `NAME_scale`), the rest as it was; else None
    """

    reports: Dict[str, Report]
    tensors: Optional[Dict[str, Any]] = None


@dataclasses.dataclass(frozen=True)
class Verified:
    """What `verify` came to.

    reports   by layer, of those that were examined
    verdict   "pass"; "fail": there is a finding of severity error; or "inconclusive":
              nothing was examined, or something could not be judged
    findings  why: those of the layers' reports, and those about the file
    examined  parameters (elements of dense tensors) of the layers examined
    kept      parameters of all other tensors
    """

    reports: Dict[str, Report]
    verdict: str
    findings: Tuple[Finding, ...] = ()
    examined: int = 0
    kept: int = 0

    @property
    def passes(self) -> bool:
        """Whether the verdict is "pass"."""
        return self.verdict == "pass"

    @property
    def missing(self) -> Tuple[str, ...]:
        """Layers that the latents or the file's record have and the file has not, or not
        in that shape."""
        return tuple(one.layer for one in self.findings
                     if one.kind == "missing_layer" and one.layer is not None)


@dataclasses.dataclass(frozen=True)
class Contents:
    """What is in a checkpoint.

    tensors   by name, in the file's order
    layers    names of those that are layers
    metadata  of the file
    encoding  that it was projected to, by its record; None: it has none
    what      what each tensor is, in words: "a layer", "a norm", "the scales of fc.weight"
    """

    tensors: Dict[str, Tensor]
    layers: Tuple[str, ...]
    metadata: Dict[str, str]
    encoding: Optional[Encoding]
    what: Dict[str, str] = dataclasses.field(default_factory=dict)


@contextmanager
def _opened(source: Source) -> Iterator[Union[File, Arrays]]:
    found = open_source(source)
    try:
        yield found
    finally:
        found.close()


def _table(found: Union[File, Arrays]) -> Table:
    return Table(found.tensors.values(), found.metadata)


def _total(found: Union[File, Arrays]) -> int:
    return sum(one.nbytes for one in found.tensors.values())


# ---- project ------------------------------------------------------------------------------

_PACK = ("`trit pack` will keep trits and scales as they are; again=True projects once more, "
         "which shrinks the scales")


def _check_out(out: PathLike, source: Source, force: bool) -> None:
    """Refuses an output that cannot be or would do damage, before anything is read."""
    path = os.fspath(out)
    if path == "-":
        raise InvalidArgument('out: "-" names no file; weights are not written to standard output',
                              "out")
    kind = format_of(path)
    if kind != "safetensors":
        raise InvalidArgument(f"out: the name of {path} says {kind}, but safetensors is written",
                              "out")
    if os.path.isdir(path) and not os.path.islink(path):
        raise IsADirectoryError(f"{path} is a folder")
    if not isinstance(source, Mapping) and os.path.exists(path) and os.path.exists(source) and \
            os.path.samefile(path, source):
        raise InvalidArgument(f"out: {path} is the source itself; name another file", "out")
    if os.path.lexists(path) and not force:
        raise AlreadyExists(f"out: {path} exists already; force=True replaces it", "out")


class _Planned:
    """What each tensor becomes; refused is what must not be."""

    def __init__(self, source: Union[File, Arrays], options: Options, steps: Steps) -> None:
        plan = Plan(_table(source), options)
        found = plan.read()
        if "refusal" in found:
            raise InvalidArgument(f"source: {found['refusal']}. {_PACK}", "source")
        _check_refused(found, "exclude keeps a tensor as it is")
        self.layers: Dict[str, Dict[str, Any]] = {
            one["name"]: one for one in found["tensors"] if one["action"] == "ternarize"}
        if not self.layers:
            raise InvalidArgument("source: no tensor of it is a layer (rank 2, f32, f16 or bf16, "
                                  "by the rules and patterns)", "source")
        if not options.again:
            for name in self.layers:
                _examine(plan, source, name, steps)
            _check_refused(plan.read(), _PACK)
        self.forms = {one["name"]: [_form(form) for form in one["outputs"]]
                      for one in found["tensors"]}
        self.metadata: Dict[str, str] = found["metadata"]


def _form(output: Dict[str, Any]) -> Tensor:
    return Tensor(output["name"], output["dtype"], tuple(output["shape"]), output["bytes"])


def _examine(plan: Plan, source: Union[File, Arrays], name: str, steps: Steps) -> None:
    """Shows the plan as much of a layer as it takes to tell whether it is ternary."""
    seen = source.lend(name)
    for at in range(0, seen.nbytes, PROBE_BYTES):
        steps.check()
        if plan.examine(name, seen, at, min(PROBE_BYTES, seen.nbytes - at)):
            break
    source.release(name)


def _check_refused(plan: Dict[str, Any], what_to_do: str) -> None:
    """All that is refused, not the first."""
    refused = [f"{one['name']}: {one['reason']}" for one in plan["tensors"]
               if one["action"] == "refuse"]
    if refused:
        raise InvalidArgument(f"{'; '.join(refused)}. Nothing is written: {what_to_do}", "source")


def _check_lost(reports: Mapping[str, Report]) -> None:
    lost = [f"{name}: {one.count} scales, the first of group {one.group}"
            for name, report in reports.items() for one in report.findings
            if one.kind == "scale_lost"]
    if lost:
        raise InvalidArgument(f"scales round to 0 or infinity: {'; '.join(lost)}. Nothing is "
                              "written; allow_lost=True writes such groups all the same", "source")


def _copy(to: np.ndarray, tensor: np.ndarray, steps: Steps) -> None:
    for at in range(0, len(tensor), COPY_BYTES):
        piece = tensor[at:at + COPY_BYTES]
        to[at:at + COPY_BYTES] = piece
        steps(len(piece))


def _to_file(source: Union[File, Arrays], planned: _Planned, target: Target, calls: Calls,
             steps: Steps) -> Dict[str, Report]:
    reports = {}
    for name, tensor in source.tensors.items():
        forms = planned.forms[name]
        with steps.tensor(tensor):
            seen = source.lend(name)
            if name not in planned.layers:
                _copy(target.room(name), raw(seen), steps)
            else:
                reports[name], scales = calls.project(name, seen, planned.layers[name],
                                                      target.room(name))
                _put_scales(target, forms, scales)
            del seen
        source.release(name)
        for form in forms:
            target.release(form.name)
    return reports


def _put_scales(target: Target, forms: List[Tensor], scales: Optional[np.ndarray]) -> None:
    """The daemon's answer must have the size that the file's header promised."""
    wanted = forms[1].nbytes if len(forms) > 1 else 0
    if (0 if scales is None else scales.nbytes) != wanted:
        raise Internal(f"the daemon did not send {wanted} bytes of scales")
    if scales is not None:
        target.room(forms[1].name)[:] = scales


def _to_arrays(source: Union[File, Arrays], arrays: Mapping[str, Any], planned: _Planned,
               calls: Calls, steps: Steps) -> Projected:
    reports, tensors = {}, {}
    for name, tensor in source.tensors.items():
        with steps.tensor(tensor):
            if name not in planned.layers:
                tensors[name] = arrays[name]
                continue
            seen, forms = source.lend(name), planned.forms[name]
            out = np.empty(forms[0].nbytes, np.uint8)
            reports[name], scales = calls.project(name, seen, planned.layers[name], out)
            for form, found in zip(forms, (out, scales)):
                if found is None or found.nbytes != form.nbytes:
                    raise Internal(f"the daemon did not send {form.nbytes} bytes of {form.name}")
                tensors[form.name] = seen.give(
                    found.view(_STORAGE[form.dtype]).reshape(form.shape),
                    DType.BF16 if form.dtype == "BF16" else None)
    return Projected(reports, tensors)


# ---- the calls ------------------------------------------------------------------------------

class Checkpoint:
    """Calls over whole checkpoints. All take

    include, exclude   shell patterns of tensor names: only what `include` matches is a
                       layer, also where the rules keep it; `exclude` wins over it. A
                       pattern that matches no tensor is InvalidArgument
    convolutions       convolutions of rank 3 and 4 are layers too, as [out, in*kernel]

    Without patterns the rules decide: weights of linear layers and embeddings are layers;
    norms, biases, router gates, rotary and position tables, LoRA factors, convolutions and
    the tables of other packings are not, and with HF_BITNET neither are embeddings and the
    head. Other tensors are kept byte for byte.
    """

    def __init__(self, client: "Client") -> None:
        self._client = client

    def project(self, source: Source, out: Optional[PathLike] = None, *,
                encoding: Union[Encoding, str] = Encoding.DENSE,
                group_size: Optional[int] = None,
                partial_group: Union[PartialGroup, str] = PartialGroup.PADDED,
                include: Patterns = None, exclude: Patterns = None, convolutions: bool = False,
                force: bool = False, again: bool = False, allow_lost: bool = False,
                run: str = "", step: Optional[int] = None, progress: Optional[Progress] = None,
                timeout: Optional[float] = None, _cancelled: Any = None) -> Projected:
        """Ternarizes the layers of a checkpoint.

        Args:
            source: a safetensors file, or a state dict.
            out: a safetensors file, byte for byte what `trit project` writes. It takes
                its name when it is complete; a symbolic link is replaced, not followed.
                Without: a state dict is given back, as arrays of the kinds that went in.
            encoding: of the layers.
            group_size: weights that share a scale; None: 128, or the whole tensor where
                the encoding has one scale.
            partial_group: what the scale of a row's short last group divides by.
            include, exclude, convolutions: which tensors are layers, see the class.
            force: replace `out` if it exists; never the source.
            again: project layers that are ternary already, and files that a projection
                wrote; their scales shrink.
            allow_lost: write groups whose scale rounds to 0 or infinity.
            run, step: where the reports are filed; the layer is the tensor's name.
            progress: told bytes of the checkpoint as they are done, like tqdm.update; or a
                tqdm bar.
            timeout: seconds for each layer's call.

        Returns:
            Projected: reports by layer; the state dict where there is no `out`.

        Raises:
            InvalidArgument: a pattern matches no tensor, nothing is a layer, `out` is the
                source or named as another format, or something is refused: the message
                names every tensor and says why (packed by another program, ternary
                already, no room in the encoding, lost scales).
            AlreadyExists: `out` exists, and `force` is not set.
            Aborted: the source changed meanwhile.
        """
        kind = member(Encoding, encoding, "encoding")
        filed = filed_under(run, step)
        options = Options(include, exclude, convolutions, kind, group_size,
                          member(PartialGroup, partial_group, "partial_group"), again=again)
        if out is not None:
            _check_out(out, source, force)
        elif not isinstance(source, Mapping):
            raise InvalidArgument("out: a file's projection needs a file to go to", "out")
        with _opened(source) as found:
            steps = Steps(progress, _total(found), _cancelled)
            planned = _Planned(found, options, steps)
            calls = Calls(self._client, filed, steps, timeout)
            if out is None:
                assert isinstance(source, Mapping)
                made = _to_arrays(found, source, planned, calls, steps)
                if not allow_lost:
                    _check_lost(made.reports)
                return made
            forms = [form for one in planned.forms.values() for form in one]
            with Target(out, forms, planned.metadata, force) as target:
                reports = _to_file(found, planned, target, calls, steps)
                if not allow_lost:
                    _check_lost(reports)
                found.check_unchanged()
                target.commit()
        return Projected(reports)

    def verify(self, source: Source, *, against: Optional[Source] = None,
               mode: Union[VerifyMode, str] = VerifyMode.TERNARY,
               encoding: Union[None, Encoding, str] = None, group_size: Optional[int] = None,
               partial_group: Union[None, PartialGroup, str] = None,
               tolerance: Optional[float] = None,
               include: Patterns = None, exclude: Patterns = None, convolutions: bool = False,
               allow_dead: bool = False, accept_record: bool = False,
               run: str = "", step: Optional[int] = None, progress: Optional[Progress] = None,
               timeout: Optional[float] = None, _cancelled: Any = None) -> Verified:
        """Whether every layer is ternary and, with `against`, the projection of its
        latents, and every other tensor the same byte for byte.

        A file that a projection wrote says in its record how its layers are encoded;
        `encoding`, `group_size` and `partial_group` override that, and decide for others.
        The record never shortens what is examined.

        Args:
            source: a safetensors file, or a state dict.
            against: the checkpoint of latents; every tensor of either side is accounted
                for.
            mode: LATENT: the layers are latents; project them, then verify that.
            encoding, group_size, partial_group: of the layers, where the record does not
                say; None: dense, 128 or the whole tensor, padded.
            tolerance: of |w/s - t|, 1e-5 if None; 0: magnitudes must be bit-equal.
            include, exclude, convolutions: which tensors are layers, see the class.
            allow_dead: a layer of zeros does not fail.
            accept_record: accept the layers that the file's own record leaves out.
            run, step, progress, timeout: as those of `project`.

        Returns:
            Verified: verdict, findings, and the reports by layer.

        Raises:
            InvalidArgument: a pattern matches no tensor, the record makes no sense, or
                the options contradict each other. What is wrong with the weights is no
                error: see the verdict.
            Aborted: a file changed meanwhile.
        """
        kind = member(VerifyMode, mode, "mode")
        filed = filed_under(run, step)
        options = Options(
            include, exclude, convolutions,
            None if encoding is None else member(Encoding, encoding, "encoding"), group_size,
            None if partial_group is None else member(PartialGroup, partial_group,
                                                      "partial_group"),
            kind, allow_dead=allow_dead, accept_record=accept_record)
        with _opened(source) as found, _opened({} if against is None else against) as latents:
            steps = Steps(progress, _total(found), _cancelled)
            verification = Verification(
                _table(found), None if against is None else _table(latents), options)
            calls = Calls(self._client, filed, steps, timeout)
            planned, reports = verification.steps(), {}
            for name, tensor in found.tensors.items():
                todo = planned.get(name)
                with steps.tensor(tensor):
                    if todo is not None and todo["check"] == "bytes":
                        _compare(verification, found, latents, name, steps)
                    elif todo is not None:
                        report = _examined(calls, found, latents, todo, kind, tolerance)
                        verification.add_report(name, report)
                        reports[name] = named(report_of(report), name)
                found.release(name)
                if name in latents.tensors:
                    latents.release(name)
            found.check_unchanged()
            latents.check_unchanged()
        result = verification.result()
        return Verified(reports, result["verdict"], result["findings"], result["examined"],
                        result["kept"])

    def inspect(self, source: Source, *, include: Patterns = None, exclude: Patterns = None,
                convolutions: bool = False) -> Contents:
        """What is in a checkpoint; asks no daemon.

        Args:
            source: a safetensors file, or a state dict.
            include, exclude, convolutions: which tensors are layers, see the class.

        Returns:
            Contents: the tensors, which of them are layers, and what each is in words.

        Raises:
            InvalidArgument: a pattern matches no tensor, or the file's record makes no
                sense.
        """
        with _opened(source) as found:
            contents = _table(found).contents(Options(include, exclude, convolutions))
            tensors = contents["tensors"]
            return Contents(
                found.tensors, tuple(one["name"] for one in tensors if one["kind"] == "layer"),
                found.metadata, encoding_of(contents) if contents["has_record"] else None,
                {one["name"]: one["what"] for one in tensors})


# ---- verify -------------------------------------------------------------------------------

def _examined(calls: Calls, found: Union[File, Arrays], latents: Union[File, Arrays],
              step: Dict[str, Any], mode: VerifyMode, tolerance: Optional[float]) -> Any:
    name = step["tensor"]
    scales = found.lend(step["scales"]["name"]) if "scales" in step else None
    reference = latents.lend(name) if step["check"] == "projection" else None
    return calls.verify(name, found.lend(name), step, scales, reference, mode, tolerance)


def _compare(verification: Verification, found: Union[File, Arrays],
             latents: Union[File, Arrays], name: str, steps: Steps) -> None:
    ours, theirs = found.lend(name), latents.lend(name)
    for at in range(0, ours.nbytes, COPY_BYTES):
        count = min(COPY_BYTES, ours.nbytes - at)
        verification.compare(name, theirs, ours, at, count)
        steps(count)
