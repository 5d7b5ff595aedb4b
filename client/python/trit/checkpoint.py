# SPDX-License-Identifier: Apache-2.0
"""Whole checkpoints: `client.checkpoint`.

A checkpoint is a safetensors file or a state dict (arrays of NumPy, torch or mlx by name).
The rules of the command `trit` say which tensors are layers, what becomes of each and what a
verification comes to; `_rules.py` asks libtrit for them. A file is mapped, not read: one
layer at a time goes through the daemon, and memory does not grow with the file. Reading
files needs the package safetensors.
"""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Dict, Iterator, Mapping, Optional, Tuple, Union

from ._arguments import PathLike, flag, member, real
from ._call import Progress, timeout_ms
from ._checkpoint_calls import CheckpointProgress, LayerCalls, encoding_of, run_of, with_name
from ._checkpoint_project import (
    COPY_BYTES,
    Planned,
    check_lost,
    check_out,
    project_to_arrays,
    project_to_file,
)
from ._rules import Options, Table, Verification
from ._safetensors import Source as _Source
from ._safetensors import Target, Tensor, check_source, open_source
from ._selection import Patterns
from .errors import InvalidArgument
from .reports import Finding, Report, Verdict, report_of
from .types import (
    AnyEncoding,
    AnyPartialGroup,
    AnyVerifyMode,
    Encoding,
    PartialGroup,
    VerifyMode,
)

if TYPE_CHECKING:
    from .client import Client

__all__ = ["Checkpoint", "CheckpointInfo", "ProjectResult", "Tensor", "VerifyResult"]

Source = Union[PathLike, Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class ProjectResult:
    """What `Checkpoint.project` made.

    Attributes:
        reports: The reports by layer.
        tensors: The state dict, where no file was asked for, else None. Layers are in their
            encoding; scales that stand in a tensor of their own follow as `NAME.scales`
            (HF_BITNET: `NAME_scale`). The other tensors are those of the source.

    Example:
        >>> state = {"fc.weight": weights, "fc.bias": np.zeros(256, np.float32)}
        >>> result = client.checkpoint.project(state, encoding="int8")
        >>> list(result.tensors)
        ['fc.weight', 'fc.weight.scales', 'fc.bias']
    """

    reports: Dict[str, Report]
    tensors: Optional[Dict[str, Any]] = None


@dataclasses.dataclass(frozen=True)
class VerifyResult:
    """What `Checkpoint.verify` found.

    Attributes:
        reports: The reports by layer, of the layers that were examined.
        verdict: "pass"; "fail" if a finding is an error; "inconclusive" if nothing was
            examined, or something could not be judged.
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


@dataclasses.dataclass(frozen=True)
class CheckpointInfo:
    """What is in a checkpoint.

    Attributes:
        tensors: The tensors by name, in the file's order.
        layers: Names of those that are layers.
        metadata: The metadata of the file.
        encoding: The encoding that the record of the file names; None without a record.
        descriptions: What each tensor is, in words: "a layer", "a norm", "the scales of
            fc.weight".

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


@contextmanager
def _opened(source: Source, field: str) -> Iterator[_Source]:
    opened = open_source(source, field)
    try:
        yield opened
    finally:
        opened.close()


def _table(source: _Source) -> Table:
    return Table(source.tensors.values(), source.metadata)


def _total_bytes(source: _Source) -> int:
    return sum(one.nbytes for one in source.tensors.values())


class Checkpoint:
    """`client.checkpoint`: calls over whole checkpoints.

    Without patterns the rules decide: weights of linear layers and embeddings are layers.
    Norms, biases, router gates, rotary and position tables, LoRA factors, convolutions and
    the tables of other packings are not; with HF_BITNET, embeddings and the head are not
    either. Other tensors are kept byte for byte.

    Example:
        >>> result = client.checkpoint.project(
        ...     "model.safetensors", "ternary.safetensors", encoding="pq2_0", exclude="head.*"
        ... )
        >>> sorted(result.reports)
        ['body.weight']
        >>> client.checkpoint.verify("ternary.safetensors", against="model.safetensors").verdict
        'pass'
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def project(
        self,
        source: Source,
        out: Optional[PathLike] = None,
        *,
        encoding: AnyEncoding = Encoding.DENSE,
        group_size: Optional[int] = None,
        partial_group: AnyPartialGroup = PartialGroup.PADDED,
        include: Patterns = None,
        exclude: Patterns = None,
        convolutions: bool = False,
        force: bool = False,
        again: bool = False,
        allow_lost: bool = False,
        run: str = "",
        step: Optional[int] = None,
        progress: Optional[Progress] = None,
        timeout: Optional[float] = None,
    ) -> ProjectResult:
        """Ternarizes the layers of a checkpoint.

        Args:
            source: Path of a safetensors file, or a state dict.
            out: Path of a safetensors file, which gets the bytes that `trit project` writes.
                It gets its name when it is complete; a symbolic link is replaced, not
                followed. None for a state dict, with arrays of the libraries of the input.
            encoding: How the layers lie in memory.
            group_size: Weights of a row that share a scale. None for 128, or for the whole
                tensor with I2_S and HF_BITNET, which have one scale.
            partial_group: What the scale of a row's short last group divides by.
            include: Shell pattern(s) of tensor names: only what matches is a layer, also
                where the rules keep it.
            exclude: Shell pattern(s) of tensor names that are not layers; stronger than
                `include`.
            convolutions: Whether convolutions of rank 3 and 4 are layers too, as matrices
                [out, in * kernel].
            force: Replace `out` if it exists; never the source.
            again: Project layers that are ternary already, and files that a projection
                wrote. Their scales shrink.
            allow_lost: Write groups whose scale rounds to 0 or infinity.
            run: The run that the reports are stored under, with the tensors' names as layers;
                "" to store nothing.
            step: The training step of the reports, 0 or more.
            progress: A function that is called with the bytes of the checkpoint done since
                its last call, or a tqdm bar.
            timeout: Seconds for the call of each layer; None for the client's, math.inf for
                no limit.

        Returns:
            The reports by layer, and the state dict if there is no `out`.

        Raises:
            InvalidArgument: A pattern matches no tensor, nothing is a layer, `out` is the
                source or has the name of another format, or tensors are refused. The message
                names each of these and says why: packed by another program, ternary already,
                not possible in the encoding, lost scales.
            AlreadyExists: `out` exists, and `force` is not set.
            Aborted: The source changed meanwhile.

        Example:
            >>> result = client.checkpoint.project("model.safetensors", "dense.safetensors")
            >>> for name, report in result.reports.items():
            ...     print(name, report.shape, report.is_ternary)
            body.weight (256, 256) True
            head.weight (10, 256) True
        """
        kind = member(Encoding, encoding, "encoding")
        target_run = run_of(run, step)
        timeout_ms(timeout)
        partial = member(PartialGroup, partial_group, "partial_group")
        options = Options(include, exclude, convolutions, kind, group_size, partial, again=again)
        flag(allow_lost, "allow_lost")
        flag(force, "force")
        check_source(source, "source")
        if out is not None:
            check_out(out, source, force)
        elif not isinstance(source, Mapping):
            raise InvalidArgument("out: the projection of a file needs an output file", "out")
        with _opened(source, "source") as opened:
            tracker = CheckpointProgress(progress, _total_bytes(opened))
            planned = Planned(opened, options, tracker)
            calls = LayerCalls(self._client, target_run, tracker, timeout)
            if out is None:
                assert isinstance(source, Mapping)
                reports, tensors = project_to_arrays(opened, source, planned, calls, tracker)
                if not allow_lost:
                    check_lost(reports)
                return ProjectResult(reports, tensors)
            outputs = [output for one in planned.outputs.values() for output in one]
            with Target(out, outputs, planned.metadata, force) as target:
                reports = project_to_file(opened, planned, target, calls, tracker)
                if not allow_lost:
                    check_lost(reports)
                opened.check_unchanged()
                target.commit()
        return ProjectResult(reports)

    def verify(
        self,
        source: Source,
        *,
        against: Optional[Source] = None,
        mode: AnyVerifyMode = VerifyMode.TERNARY,
        encoding: Optional[AnyEncoding] = None,
        group_size: Optional[int] = None,
        partial_group: Optional[AnyPartialGroup] = None,
        tolerance: Optional[float] = None,
        include: Patterns = None,
        exclude: Patterns = None,
        convolutions: bool = False,
        allow_dead: bool = False,
        accept_record: bool = False,
        run: str = "",
        step: Optional[int] = None,
        progress: Optional[Progress] = None,
        timeout: Optional[float] = None,
    ) -> VerifyResult:
        """Verifies that every layer of a checkpoint is ternary.

        With `against`, every layer must also be the projection of its latents, and every
        other tensor must be equal byte for byte.

        A file that a projection wrote has a record of how its layers are encoded. `encoding`,
        `group_size` and `partial_group` override the record, and are needed without one. The
        record never makes the verification examine less.

        Args:
            source: Path of a safetensors file, or a state dict.
            against: The checkpoint of latents; every tensor of both sides is accounted for.
            mode: TERNARY: the layers claim to be ternary. LATENT: they are latents; project
                them, then verify the projection.
            encoding: How the layers lie in memory; None for what the record says, else DENSE.
            group_size: Weights of a row that share a scale; None for what the record says,
                else 128, or the whole tensor where the encoding has one scale.
            partial_group: What the scale of a row's short last group divides by; None for
                what the record says, else PADDED.
            tolerance: The largest |w/s - t| of a ternary weight; None for 1e-5. With 0 all
                magnitudes of a group must be bit-equal.
            include: Shell pattern(s) of tensor names: only what matches is a layer, also
                where the rules keep it.
            exclude: Shell pattern(s) of tensor names that are not layers; stronger than
                `include`.
            convolutions: Whether convolutions of rank 3 and 4 are layers too, as matrices
                [out, in * kernel].
            allow_dead: Whether a layer of zeros passes.
            accept_record: Accept layers that the file's own record leaves out.
            run: The run that the reports are stored under, with the tensors' names as layers;
                "" to store nothing.
            step: The training step of the reports, 0 or more.
            progress: A function that is called with the bytes of the checkpoint done since
                its last call, or a tqdm bar.
            timeout: Seconds for the call of each layer; None for the client's, math.inf for
                no limit.

        Returns:
            The verdict, the findings, and the reports by layer.

        Raises:
            InvalidArgument: A pattern matches no tensor, the record makes no sense, or the
                options contradict each other. Faults of the weights raise nothing; see the
                verdict.
            Aborted: A file changed meanwhile.

        Example:
            >>> state = {"fc.weight": weights, "fc.bias": np.zeros(256, np.float32)}
            >>> ternary = client.checkpoint.project(state).tensors
            >>> result = client.checkpoint.verify(ternary, against=state)
            >>> result.verdict, result.examined, result.kept
            ('pass', 65536, 256)
        """
        kind = member(VerifyMode, mode, "mode")
        target_run = run_of(run, step)
        timeout_ms(timeout)
        real(tolerance, "tolerance")
        options = Options(
            include,
            exclude,
            convolutions,
            None if encoding is None else member(Encoding, encoding, "encoding"),
            group_size,
            None
            if partial_group is None
            else member(PartialGroup, partial_group, "partial_group"),
            kind,
            allow_dead=allow_dead,
            accept_record=accept_record,
        )
        with (
            _opened(source, "source") as claim,
            _opened({} if against is None else against, "against") as latents,
        ):
            tracker = CheckpointProgress(progress, _total_bytes(claim))
            verification = Verification(
                _table(claim), None if against is None else _table(latents), options
            )
            calls = LayerCalls(self._client, target_run, tracker, timeout)
            steps, reports = verification.steps(), {}
            for name, tensor in claim.tensors.items():
                todo = steps.get(name)
                with tracker.tensor(tensor):
                    if todo is not None and todo["check"] == "bytes":
                        _compare(verification, claim, latents, name, tracker)
                    elif todo is not None:
                        report = _verify_layer(calls, claim, latents, todo, kind, tolerance)
                        verification.add_report(name, report)
                        reports[name] = with_name(report_of(report), name)
                claim.release(name)
                if name in latents.tensors:
                    latents.release(name)
            claim.check_unchanged()
            latents.check_unchanged()
        result = verification.result()
        return VerifyResult(
            reports,
            result["verdict"],
            result["findings"],
            result["examined"],
            result["kept"],
        )

    def inspect(
        self,
        source: Source,
        *,
        include: Patterns = None,
        exclude: Patterns = None,
        convolutions: bool = False,
    ) -> CheckpointInfo:
        """Tells what is in a checkpoint. It makes no call to the daemon.

        Args:
            source: Path of a safetensors file, or a state dict.
            include: Shell pattern(s) of tensor names: only what matches is a layer, also
                where the rules keep it.
            exclude: Shell pattern(s) of tensor names that are not layers; stronger than
                `include`.
            convolutions: Whether convolutions of rank 3 and 4 are layers too, as matrices
                [out, in * kernel].

        Returns:
            The tensors, which of them are layers, and what each is in words.

        Raises:
            InvalidArgument: A pattern matches no tensor, or the file's record makes no sense.

        Example:
            >>> info = client.checkpoint.inspect("model.safetensors", exclude="head.*")
            >>> info.layers, info.descriptions["head.weight"]
            (('body.weight',), 'excluded by a pattern')
        """
        options = Options(include, exclude, convolutions)
        with _opened(source, "source") as opened:
            contents = _table(opened).contents(options)
            tensors = contents["tensors"]
            return CheckpointInfo(
                opened.tensors,
                tuple(one["name"] for one in tensors if one["kind"] == "layer"),
                opened.metadata,
                encoding_of(contents) if contents["has_record"] else None,
                {one["name"]: one["what"] for one in tensors},
            )


# ---- verify ------------------------------------------------------------------------------


def _verify_layer(
    calls: LayerCalls,
    claim: _Source,
    latents: _Source,
    step: Dict[str, Any],
    mode: VerifyMode,
    tolerance: Optional[float],
) -> Any:
    name = step["tensor"]
    scales = claim.view(step["scales"]["name"]) if "scales" in step else None
    reference = latents.view(name) if step["check"] == "projection" else None
    return calls.verify(name, claim.view(name), step, scales, reference, mode, tolerance)


def _compare(
    verification: Verification,
    claim: _Source,
    latents: _Source,
    name: str,
    progress: CheckpointProgress,
) -> None:
    ours, theirs = claim.view(name), latents.view(name)
    for at in range(0, ours.nbytes, COPY_BYTES):
        count = min(COPY_BYTES, ours.nbytes - at)
        verification.compare(name, theirs, ours, at, count)
        progress(count)
