# SPDX-License-Identifier: Apache-2.0
"""Whole checkpoints: `client.checkpoint`.

A checkpoint is a safetensors, GGUF or .npy file, a folder of shards as Hugging Face lays it out
(or the index in it), or a state dict (arrays of NumPy, torch or mlx by name). The rules of the
command `trit` say which tensors are layers, what becomes of each and what a verification comes
to; libtrit has them, reads and writes the files. A few layers at a time go through the daemon,
and memory does not grow with the file.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    Iterator,
    Literal,
    Mapping,
    NamedTuple,
    Optional,
    Union,
)

import numpy as np

from ._arguments import PathLike, flag, given, member, member_or_none, path_of, real
from ._arrays import STORAGE, View, view_of
from ._call import Progress, timeout_ms
from ._checkpoint_calls import (
    CheckpointProgress,
    LayerCalls,
    encoding_of,
    matrix_name,
    named,
    run_of,
    with_name,
)
from ._checkpoint_pack import PlannedPack, pack_all
from ._checkpoint_project import (
    COPY_BYTES,
    Planned,
    ToArrays,
    ToFile,
    check_lost,
    check_out,
    project_all,
)
from ._checkpoint_results import (
    CheckpointInfo,
    PackResult,
    PlannedTensor,
    ProjectPlan,
    ProjectResult,
    VerifyResult,
    gguf_of,
    plan_of,
)
from ._checkpoint_run import run_plan
from ._models import of_model
from ._native import ffi
from ._rules import Config, Examined, Matrix, Options, Output, PackTarget, Verification
from ._selection import Patterns
from ._sources import (
    ELEMENTS,
    Arrays,
    File,
    Tensor,
    check_source,
    loaded,
    open_source,
    reordered,
)
from ._sources import Source as _Source
from .errors import AlreadyExists, InvalidArgument
from .reports import Report, report_of
from .types import (
    AnyEncoding,
    AnyPartialGroup,
    AnyVerifyMode,
    DType,
    Encoding,
    FloatName,
    PartialGroup,
    VerifyMode,
)

if TYPE_CHECKING:
    from .client import Client

__all__ = [
    "Checkpoint",
    "CheckpointInfo",
    "PackResult",
    "PlannedTensor",
    "ProjectPlan",
    "ProjectResult",
    "Tensor",
    "VerifyResult",
]

Source = Union[PathLike, Mapping[str, Any]]
Model = Any  # a torch.nn.Module
Experts = Optional[Literal["out_in", "in_out"]]


@contextmanager
def _opened(
    source: Source, field: str, npy_bf16: bool, may_be_cut: bool = False
) -> Iterator[_Source]:
    opened = open_source(source, field, may_be_cut, npy_bf16)
    try:
        yield opened
    finally:
        opened.close()


class _How(NamedTuple):
    """How layers are verified."""

    mode: VerifyMode
    tolerance: Optional[float]
    npy_bf16: bool
    run: Any
    progress: Optional[Progress]
    timeout: Optional[float]


class _Statement(NamedTuple):
    """A statement that is compared with, or written."""

    attestation: Optional[PathLike] = None
    out: Optional[PathLike] = None
    replace: bool = False

    def check(self, source: Source, against: Optional[Source]) -> None:
        """Statements are about files."""
        if self.attestation is None and self.out is None:
            return
        for field, value in (("source", source), ("against", against)):
            if isinstance(value, Mapping):
                raise InvalidArgument(f"{field}: a statement is about files; give a path", field)
        if self.out is None or isinstance(source, Mapping):
            return
        out, own = path_of(self.out, "out"), path_of(source, "source")
        if os.path.exists(out) and os.path.exists(own) and os.path.samefile(out, own):
            raise InvalidArgument(f"out: {out} is the source itself; name another file", "out")
        if os.path.lexists(out) and not self.replace:
            raise AlreadyExists(f"out: {out} exists already; force=True replaces it", "out")

    def use(self, verification: Verification, claim: _Source, latents: _Source) -> None:
        """Compares with the statement, or writes it, after the last step."""
        if not isinstance(claim, File):
            return
        other = latents.c if isinstance(latents, File) else ffi.NULL
        if self.attestation is not None:
            verification.check_attestation(self.attestation, claim.c, other)
        if self.out is not None:
            verification.attest(claim.c, other, self.out, self.replace)


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

    def plan(
        self,
        source: Union[Source, Model],
        out: Optional[PathLike] = None,
        *,
        encoding: AnyEncoding = Encoding.DENSE,
        group_size: Optional[int] = None,
        partial_group: AnyPartialGroup = PartialGroup.PADDED,
        include: Patterns = None,
        exclude: Patterns = None,
        convolutions: bool = False,
        experts: Experts = None,
        transposed: Patterns = None,
        config: Config = None,
        npy_bf16: bool = False,
        keep_names: bool = False,
        again: bool = False,
    ) -> ProjectPlan:
        """Tells what a projection would do. It makes no call to the daemon.

        Args:
            source: As for `project`.
            out: Path of the output, which need not exist; None: it is not known.
            encoding: How the layers would lie in memory.
            group_size: Weights of a row that share a scale, as for `project`.
            partial_group: What the scale of a row's short last group divides by.
            include: Shell pattern(s) of tensor names: only tensors that match are layers,
                even if the rules keep them.
            exclude: Shell pattern(s) of tensor names that are not layers; overrides
                `include`.
            convolutions: Whether convolutions of rank 3 and 4 are layers too, as matrices
                [out, in * kernel].
            experts: Layout of a rank-3 tensor of experts: "out_in" for [experts, out, in],
                "in_out" for [experts, in, out]; None takes it from the architecture in
                config.json. If the layout is unknown, experts are kept.
            transposed: Shell pattern(s) of layers that are stored [in, out], besides those that
                config.json says.
            config: The model's config.json, as text or object; None for the one in the folder
                of the file.
            npy_bf16: Whether elements '|V2' of a .npy file are bf16, as ml_dtypes saves them.
            keep_names: As for `project`.
            again: Project layers that are ternary already.

        Returns:
            What becomes of each tensor and why, with shares and sizes.

        Raises:
            InvalidArgument: A pattern matches no tensor, or the options contradict each other.
                What would be refused raises nothing; the plan says so.

        Example:
            >>> plan = client.checkpoint.plan("model.safetensors", exclude="head.*")
            >>> plan.layers, plan.tensors["head.weight"].reason
            (('body.weight',), 'excluded by a pattern')
        """
        options = Options(
            include,
            exclude,
            convolutions,
            member(Encoding, encoding, "encoding"),
            group_size,
            member(PartialGroup, partial_group, "partial_group"),
            again=again,
            experts=experts,
            transposed=transposed,
            config=config,
            keep_names=keep_names,
        )
        source, options = of_model(source, options)
        with _opened(source, "source", npy_bf16) as opened:
            planned = Planned(opened, options, CheckpointProgress(None, 0), out)
            return plan_of(planned.found)

    def project(
        self,
        source: Union[Source, Model],
        out: Optional[PathLike] = None,
        *,
        encoding: AnyEncoding = Encoding.DENSE,
        group_size: Optional[int] = None,
        partial_group: AnyPartialGroup = PartialGroup.PADDED,
        include: Patterns = None,
        exclude: Patterns = None,
        convolutions: bool = False,
        experts: Experts = None,
        transposed: Patterns = None,
        config: Config = None,
        npy_bf16: bool = False,
        keep_names: bool = False,
        shard_bytes: Optional[int] = None,
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
            source: Path of a safetensors or .npy file, of a folder of shards or the index in
                one, or a state dict. Or a model that trit.torch.convert has made: exactly its
                converted layers are projected, in the groups that they have.
            out: Path of a safetensors, GGUF or .npy file, which gets the bytes that `trit project`
                writes. If the source is a folder it is a folder, with the source's config.json
                and tokenizer, unless its name ends as a file's. A GGUF file is a model for
                llama.cpp where the config.json in the source's folder is that of one; else an
                archive of tensors, as from a state dict. The output gets its name when it is
                complete; a symbolic link is replaced, not followed. None for a state dict, with
                arrays of the libraries of the input.
            encoding: How the layers lie in memory.
            group_size: Weights of a row that share a scale. None for 128, or for the whole
                tensor with I2_S and HF_BITNET, which have one scale.
            partial_group: What the scale of a row's short last group divides by.
            include: Shell pattern(s) of tensor names: only tensors that match are layers,
                even if the rules keep them.
            exclude: Shell pattern(s) of tensor names that are not layers; overrides
                `include`.
            convolutions: Whether convolutions of rank 3 and 4 are layers too, as matrices
                [out, in * kernel].
            experts: Layout of a rank-3 tensor of experts: "out_in" for [experts, out, in],
                "in_out" for [experts, in, out]; None takes it from the architecture in
                config.json. If the layout is unknown, experts are kept.
            transposed: Shell pattern(s) of layers that are stored [in, out], besides those that
                config.json says.
            config: The model's config.json, as text or object; None for the one in the folder
                of the file.
            npy_bf16: Whether elements '|V2' of a .npy file are bf16, as ml_dtypes saves them.
            keep_names: Whether a GGUF file that is written in another format keeps llama.cpp's
                names and order of rows.
            shard_bytes: The most bytes of tensors in one file of a folder; None for 5 GB.
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
        shard = given(shard_bytes, "shard_bytes", 2**63, "one file")
        options = Options(
            include,
            exclude,
            convolutions,
            kind,
            group_size,
            member(PartialGroup, partial_group, "partial_group"),
            again=again,
            experts=experts,
            transposed=transposed,
            config=config,
            keep_names=keep_names,
        )
        flag(allow_lost, "allow_lost")
        flag(force, "force")
        source, options = of_model(source, options)
        check_source(source, "source")
        if out is not None:
            check_out(out, source, force, kind)
        elif not isinstance(source, Mapping):
            raise InvalidArgument("out: the projection of a file needs an output file", "out")
        with _opened(source, "source", npy_bf16) as opened:
            tracker = CheckpointProgress(progress, opened.total_bytes)
            planned = Planned(opened, options, tracker, out)
            planned.check()
            planned.warn()
            calls = LayerCalls(self._client, target_run, tracker, timeout)
            if out is None:
                assert isinstance(opened, Arrays)
                arrays = ToArrays(planned.layers)
                reports = project_all(opened, planned, arrays, calls, tracker, allow_lost)
                if not allow_lost:
                    check_lost(reports)
                return _project_result(planned, reports, arrays.tensors)
            handle = opened.c if isinstance(opened, File) else ffi.NULL
            with Output(out, planned.plan, handle, shard, force) as output:
                if isinstance(opened, Arrays):
                    file = ToFile(output)
                    reports = project_all(opened, planned, file, calls, tracker, allow_lost)
                else:
                    how = target_run, progress, timeout
                    reports = run_plan(
                        self._client, planned.plan, opened, output, *how, allow_lost=allow_lost
                    )
                if not allow_lost:
                    check_lost(reports)
                opened.check_unchanged()
                output.commit()
            return _project_result(planned, reports, None)

    def pack(
        self,
        source: Source,
        out: Optional[PathLike] = None,
        *,
        encoding: AnyEncoding,
        group_size: Optional[int] = None,
        from_encoding: Optional[AnyEncoding] = None,
        allow_rounded_scales: bool = False,
        include: Patterns = None,
        exclude: Patterns = None,
        convolutions: bool = False,
        experts: Experts = None,
        transposed: Patterns = None,
        bits: Optional[int] = None,
        config: Config = None,
        npy_bf16: bool = False,
        keep_names: bool = False,
        shard_bytes: Optional[int] = None,
        force: bool = False,
        progress: Optional[Progress] = None,
        timeout: Optional[float] = None,
    ) -> PackResult:
        """Packs the layers of a checkpoint that are ternary already.

        All trits and scales stay as they are; nothing is projected.

        Args:
            source: As for `project`.
            out: As for `project`; gets the bytes that `trit pack` writes.
            encoding: How the layers lie in memory; DENSE unpacks them, see `unpack`.
            group_size: Weights of a row that share a scale; None for the source's.
            from_encoding: How the layers of the source lie in memory; None for what its record,
                its config.json or its tables say, else DENSE.
            allow_rounded_scales: Round scales that the encoding's type does not hold.
            include: As for `project`.
            exclude: As for `project`.
            convolutions: As for `project`.
            experts: As for `project`.
            transposed: As for `project`.
            bits: Bits of weights that MLX packed (2 to 8), where neither config.json nor their
                shapes tell.
            config: As for `project`.
            npy_bf16: As for `project`.
            keep_names: As for `project`.
            shard_bytes: As for `project`.
            force: As for `project`.
            progress: As for `project`.
            timeout: As for `project`.

        Returns:
            The layers, and the state dict if there is no `out`.

        Raises:
            InvalidArgument: A layer is not ternary, or the encoding does not hold it or one of
                its scales. The message names the first group. Nothing is written.
            AlreadyExists: `out` exists, and `force` is not set.
            Aborted: The source changed meanwhile.

        Example:
            >>> dense = client.checkpoint.project({"fc.weight": weights}).tensors
            >>> packed = client.checkpoint.pack(dense, encoding="int8")
            >>> packed.layers, list(packed.tensors)
            (('fc.weight',), ['fc.weight', 'fc.weight.scales'])
        """
        options = Options(
            include,
            exclude,
            convolutions,
            member_or_none(Encoding, from_encoding, "from_encoding"),
            experts=experts,
            transposed=transposed,
            bits=bits,
            config=config,
            keep_names=keep_names,
        )
        kind = member(Encoding, encoding, "encoding")
        size = given(group_size, "group_size", 2**32, "the default")
        flag(allow_rounded_scales, "allow_rounded_scales")
        return self._pack(
            source,
            out,
            options,
            PackTarget(kind, size),
            allow_rounded_scales,
            npy_bf16,
            shard_bytes,
            force,
            progress,
            timeout,
        )

    def unpack(
        self,
        source: Source,
        out: Optional[PathLike] = None,
        *,
        dtype: Union[None, DType, FloatName] = None,
        from_encoding: Optional[AnyEncoding] = None,
        include: Patterns = None,
        exclude: Patterns = None,
        convolutions: bool = False,
        experts: Experts = None,
        transposed: Patterns = None,
        bits: Optional[int] = None,
        config: Config = None,
        npy_bf16: bool = False,
        keep_names: bool = False,
        shard_bytes: Optional[int] = None,
        force: bool = False,
        progress: Optional[Progress] = None,
        timeout: Optional[float] = None,
    ) -> PackResult:
        """Makes the layers of a packed checkpoint dense: each weight becomes t * s.

        Args:
            source: As for `project`.
            out: As for `project`; gets the bytes that `trit unpack` writes.
            dtype: F32, F16 or BF16; None for what the record of the source says, else F32.
            from_encoding: As for `pack`.
            include: As for `project`.
            exclude: As for `project`.
            convolutions: As for `project`.
            experts: As for `project`.
            transposed: As for `project`.
            bits: As for `pack`.
            config: As for `project`.
            npy_bf16: As for `project`.
            keep_names: As for `project`.
            shard_bytes: As for `project`.
            force: As for `project`.
            progress: As for `project`.
            timeout: As for `project`.

        Returns:
            The layers, and the state dict if there is no `out`.

        Raises:
            InvalidArgument: `dtype` does not hold a value. Nothing is written.
            AlreadyExists: `out` exists, and `force` is not set.
            Aborted: The source changed meanwhile.

        Example:
            >>> packed = client.checkpoint.project({"fc.weight": weights}, encoding="int8")
            >>> dense = client.checkpoint.unpack(packed.tensors).tensors
            >>> list(dense), dense["fc.weight"].dtype
            (['fc.weight'], dtype('float32'))
        """
        options = Options(
            include,
            exclude,
            convolutions,
            member_or_none(Encoding, from_encoding, "from_encoding"),
            experts=experts,
            transposed=transposed,
            bits=bits,
            config=config,
            keep_names=keep_names,
        )
        wanted = 0 if dtype is None else member(DType, dtype, "dtype")
        target = PackTarget(Encoding.DENSE, 0, wanted)
        return self._pack(
            source, out, options, target, False, npy_bf16, shard_bytes, force, progress, timeout
        )

    def _pack(
        self,
        source: Source,
        out: Optional[PathLike],
        options: Options,
        target: PackTarget,
        allow_rounded: bool,
        npy_bf16: bool,
        shard_bytes: Optional[int],
        force: bool,
        progress: Optional[Progress],
        timeout: Optional[float],
    ) -> PackResult:
        timeout_ms(timeout)
        shard = given(shard_bytes, "shard_bytes", 2**63, "one file")
        flag(force, "force")
        check_source(source, "source")
        if out is not None:
            check_out(out, source, force, Encoding(target.encoding))
        elif not isinstance(source, Mapping):
            raise InvalidArgument("out: a packed file needs an output file", "out")
        with _opened(source, "source", npy_bf16) as opened:
            tracker = CheckpointProgress(progress, opened.total_bytes)
            planned = PlannedPack(opened, options, target, out)
            planned.check()
            calls = LayerCalls(self._client, run_of("", None), tracker, timeout)
            if out is None:
                assert isinstance(opened, Arrays)
                arrays = ToArrays(planned.layers)
                count = pack_all(opened, planned, arrays, calls, tracker, allow_rounded)
                return _pack_result(planned, target, count, arrays.tensors)
            handle = opened.c if isinstance(opened, File) else ffi.NULL
            with Output(out, planned.plan, handle, shard, force) as output:
                if isinstance(opened, Arrays):
                    file = ToFile(output)
                    count = pack_all(opened, planned, file, calls, tracker, allow_rounded)
                else:
                    how = run_of("", None), progress, timeout
                    run_plan(
                        self._client,
                        planned.plan,
                        opened,
                        output,
                        *how,
                        allow_rounded=allow_rounded,
                    )
                    count = planned.plan.result()["scales_rounded"]
                opened.check_unchanged()
                output.commit()
            return _pack_result(planned, target, count, None)

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
        experts: Experts = None,
        transposed: Patterns = None,
        bits: Optional[int] = None,
        config: Config = None,
        npy_bf16: bool = False,
        rename: Patterns = None,
        strip_prefix: Patterns = None,
        allow_dead: bool = False,
        accept_record: bool = False,
        attestation: Optional[PathLike] = None,
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
            source: Path of a safetensors or .npy file, of a folder of shards or the index in
                one, or a state dict.
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
            include: Shell pattern(s) of tensor names: only tensors that match are layers,
                even if the rules keep them.
            exclude: Shell pattern(s) of tensor names that are not layers; overrides
                `include`.
            convolutions: Whether convolutions of rank 3 and 4 are layers too, as matrices
                [out, in * kernel].
            experts: Layout of a rank-3 tensor of experts: "out_in" for [experts, out, in],
                "in_out" for [experts, in, out]; None takes it from the architecture in
                config.json. If the layout is unknown, experts are kept.
            transposed: Shell pattern(s) of layers that are stored [in, out], besides those that
                config.json says.
            bits: Bits of weights that MLX packed (2 to 8), where neither config.json nor their
                shapes tell.
            config: The model's config.json, as text or object; None for the one in the folder
                of the file.
            npy_bf16: Whether elements '|V2' of a .npy file are bf16, as ml_dtypes saves them.
            rename: Rule(s) "OLD=NEW" for the names of the source before they are compared. A
                star in OLD stands for any text, a star in NEW for what it matched.
            strip_prefix: Prefix(es) that are taken away from the names of both sides.
            allow_dead: Whether a layer of zeros passes.
            accept_record: Accept layers that the file's own record leaves out.
            attestation: Path of a statement of `attest`, or of a DSSE envelope around one:
                every file and layer must be as it says. Its signature is not checked. The
                source is then a path.
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
        statement = _Statement(attestation=attestation)
        statement.check(source, against)
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
            experts=experts,
            transposed=transposed,
            bits=bits,
            config=config,
            rename=rename,
            strip_prefix=strip_prefix,
        )
        how = _How(kind, tolerance, npy_bf16, target_run, progress, timeout)
        return self._verified(source, against, options, how, statement)

    def attest(
        self,
        source: PathLike,
        out: PathLike,
        *,
        against: Optional[PathLike] = None,
        encoding: Optional[AnyEncoding] = None,
        group_size: Optional[int] = None,
        partial_group: Optional[AnyPartialGroup] = None,
        tolerance: Optional[float] = None,
        include: Patterns = None,
        exclude: Patterns = None,
        convolutions: bool = False,
        experts: Experts = None,
        transposed: Patterns = None,
        bits: Optional[int] = None,
        config: Config = None,
        npy_bf16: bool = False,
        rename: Patterns = None,
        strip_prefix: Patterns = None,
        allow_dead: bool = False,
        accept_record: bool = False,
        force: bool = False,
        progress: Optional[Progress] = None,
        timeout: Optional[float] = None,
    ) -> VerifyResult:
        """Verifies a checkpoint and writes what was found as a statement, to be signed.

        The statement is an in-toto Statement v1: the SHA-256 of every file, the digest of the
        trits and scales of every layer, the verdict, and the versions. It is written whatever
        the verdict. `verify` compares a checkpoint with it.

        Args:
            source: Path of the checkpoint.
            out: Path of the statement. It gets its name when it is complete.
            against: Path of the latents; their files are in the statement too.
            encoding: As for `verify`.
            group_size: As for `verify`.
            partial_group: As for `verify`.
            tolerance: As for `verify`.
            include: As for `verify`.
            exclude: As for `verify`.
            convolutions: As for `verify`.
            experts: As for `verify`.
            transposed: As for `verify`.
            bits: As for `verify`.
            config: As for `verify`.
            npy_bf16: As for `verify`.
            rename: As for `verify`.
            strip_prefix: As for `verify`.
            allow_dead: As for `verify`.
            accept_record: As for `verify`.
            force: Replace `out` if it exists; never the source.
            progress: As for `verify`.
            timeout: As for `verify`.

        Returns:
            What `verify` returns.

        Raises:
            InvalidArgument: As for `verify`; or the source or the latents are not a path.
            AlreadyExists: `out` exists, and `force` is not set.
            Aborted: A file changed meanwhile.

        Example:
            >>> _ = client.checkpoint.project("model.safetensors", "t.safetensors")
            >>> client.checkpoint.attest("t.safetensors", "statement.json").verdict
            'pass'
            >>> client.checkpoint.verify("t.safetensors", attestation="statement.json").passes
            True
        """
        timeout_ms(timeout)
        real(tolerance, "tolerance")
        flag(force, "force")
        statement = _Statement(out=out, replace=force)
        statement.check(source, against)
        options = Options(
            include,
            exclude,
            convolutions,
            None if encoding is None else member(Encoding, encoding, "encoding"),
            group_size,
            None
            if partial_group is None
            else member(PartialGroup, partial_group, "partial_group"),
            allow_dead=allow_dead,
            accept_record=accept_record,
            experts=experts,
            transposed=transposed,
            bits=bits,
            config=config,
            rename=rename,
            strip_prefix=strip_prefix,
        )
        how = _How(VerifyMode.TERNARY, tolerance, npy_bf16, run_of("", None), progress, timeout)
        return self._verified(source, against, options, how, statement)

    def _verified(
        self,
        source: Source,
        against: Optional[Source],
        options: Options,
        how: _How,
        statement: _Statement,
    ) -> VerifyResult:
        with (
            _opened(source, "source", how.npy_bf16, may_be_cut=True) as claim,
            _opened(
                {} if against is None else against, "against", how.npy_bf16, may_be_cut=True
            ) as latents,
        ):
            tracker = CheckpointProgress(how.progress, claim.total_bytes)
            other = None if against is None else latents.table
            verification = Verification(claim.table, other, options)
            calls = LayerCalls(self._client, how.run, tracker, how.timeout)
            verifying = _Verifying(verification, calls, claim, latents, how.mode, how.tolerance)
            steps = verification.steps()
            for name, tensor in claim.tensors.items():
                todo = steps.get(name)
                with tracker.tensor(tensor):
                    if todo is not None and todo["check"] == "bytes":
                        verifying.compare(todo, tracker)
                    elif todo is not None:
                        verifying.layer(todo)
            statement.use(verification, claim, latents)
            claim.check_unchanged()
            latents.check_unchanged()
            result = verification.result()
        return VerifyResult(
            verifying.reports,
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
        experts: Experts = None,
        transposed: Patterns = None,
        bits: Optional[int] = None,
        config: Config = None,
        npy_bf16: bool = False,
    ) -> CheckpointInfo:
        """Tells what is in a checkpoint. It makes no call to the daemon.

        Args:
            source: Path of a safetensors or .npy file, of a folder of shards or the index in
                one, or a state dict.
            include: Shell pattern(s) of tensor names: only tensors that match are layers,
                even if the rules keep them.
            exclude: Shell pattern(s) of tensor names that are not layers; overrides
                `include`.
            convolutions: Whether convolutions of rank 3 and 4 are layers too, as matrices
                [out, in * kernel].
            experts: Layout of a rank-3 tensor of experts: "out_in" for [experts, out, in],
                "in_out" for [experts, in, out]; None takes it from the architecture in
                config.json. If the layout is unknown, experts are kept.
            transposed: Shell pattern(s) of layers that are stored [in, out], besides those that
                config.json says.
            bits: Bits of weights that MLX packed (2 to 8), where neither config.json nor their
                shapes tell.
            config: The model's config.json, as text or object; None for the one in the folder
                of the file.
            npy_bf16: Whether elements '|V2' of a .npy file are bf16, as ml_dtypes saves them.

        Returns:
            The tensors, which of them are layers, and what each is in words.

        Raises:
            InvalidArgument: A pattern matches no tensor, or the file's record makes no sense.

        Example:
            >>> info = client.checkpoint.inspect("model.safetensors", exclude="head.*")
            >>> info.layers, info.descriptions["head.weight"]
            (('body.weight',), 'excluded by a pattern')
        """
        options = Options(
            include,
            exclude,
            convolutions,
            experts=experts,
            transposed=transposed,
            bits=bits,
            config=config,
        )
        with _opened(source, "source", npy_bf16) as opened:
            contents = opened.table.contents(options)
            tensors = contents["tensors"]
            return CheckpointInfo(
                opened.tensors,
                tuple(one["name"] for one in tensors if one["kind"] == "layer"),
                opened.metadata,
                encoding_of(contents) if contents["has_record"] else None,
                {one["name"]: one["what"] for one in tensors},
                contents["findings"],
            )


def _project_result(
    planned: Planned, reports: Dict[str, Report], tensors: Optional[Dict[str, Any]]
) -> ProjectResult:
    result, parameters = planned.plan.result(), planned.found["parameters"]
    return ProjectResult(
        reports,
        tensors,
        planned.findings + result["findings"],
        result["verdict"],
        parameters["ternary"],
        parameters["kept"],
        *gguf_of(planned.found),
    )


def _pack_result(
    planned: PlannedPack, target: PackTarget, rounded: int, tensors: Optional[Dict[str, Any]]
) -> PackResult:
    result, parameters = planned.plan.result(), planned.found["parameters"]
    return PackResult(
        tuple(planned.layers),
        Encoding(target.encoding),
        tensors,
        planned.findings + result["findings"],
        result["verdict"],
        rounded,
        parameters["ternary"],
        parameters["kept"],
        *gguf_of(planned.found),
    )


# ---- verify ------------------------------------------------------------------------------


def _is_large(matrix: Union[None, View, Matrix]) -> bool:
    return isinstance(matrix, Matrix) and not matrix.is_small


class _Verifying:
    """The steps of a verification, and the reports so far."""

    def __init__(
        self,
        verification: Verification,
        calls: LayerCalls,
        claim: _Source,
        latents: _Source,
        mode: VerifyMode,
        tolerance: Optional[float],
    ) -> None:
        self._verification, self._calls = verification, calls
        self._claim, self._latents = claim, latents
        self._mode, self._tolerance = mode, tolerance
        self.reports: Dict[str, Report] = {}

    def layer(self, step: Dict[str, Any]) -> None:
        """Verifies a layer, matrix by matrix."""
        for number in range(step["matrices"]):
            name = matrix_name(step["tensor"], number, step["matrices"])
            with named(name):
                self._matrix(step, number, name)

    def _matrix(self, step: Dict[str, Any], number: int, name: str) -> None:
        count = step["matrices"]
        shape = step["matrix"]
        data = self._open(self._claim, step, number, False)
        scales, biases = (
            self._claim.matrix(step[part]["name"], number, count) if part in step else None
            for part in ("scales", "biases")
        )
        if "packed_as" in step:
            if isinstance(data, View):
                values = np.empty(shape, STORAGE[ELEMENTS[step["dtype"]]])
                packed = Examined(ffi.NULL, data, scales, biases, None)
                self._verification.decode(step["tensor"], packed, values)
                data = view_of(values, name)._replace(dtype=ELEMENTS[step["dtype"]])
            scales, biases = None, None
        reference = None
        if step["check"] == "projection":
            reference = self._open(self._latents, step, number, True)
        if isinstance(data, Matrix) and data.is_small and not _is_large(reference):
            data = loaded(data)
        if isinstance(reference, Matrix) and reference.is_small and isinstance(data, View):
            reference = loaded(reference)
        report = self._calls.verify(
            name, data, step, scales, reference, self._mode, self._tolerance
        )
        examined = Examined(report, data, scales, biases, reference)
        self._verification.add_matrix(step["tensor"], examined)
        self.reports[name] = with_name(report_of(report), name)

    def _open(
        self, side: _Source, step: Dict[str, Any], number: int, latents: bool
    ) -> Union[View, Matrix]:
        """A matrix of a step, or of its latents."""
        how, name, count = step, step["tensor"], step["matrices"]
        heads = None
        if latents:
            how = step["latents"]
            name, heads = how["name"], how.get("heads")
        place = number
        if latents and "parts" in how:  # one tensor an expert
            name, place, count = how["parts"][number], 0, 1
        elif latents:  # an expert of a tensor with all of them, or the layer itself
            place, count = number + int(how["first"]), int(how["matrices"])
        if isinstance(side, File):
            dtype = side.tensors[name].dtype
            if "packed_as" in step and not latents:
                dtype = step["dtype"]
            element, tensor = ELEMENTS.get(dtype), step["tensor"]
            return self._verification.matrix(side.c, latents, tensor, number, element)
        turn = step["matrix"] if how["transposed"] else None
        return side.matrix(name, place, count, turn, heads)

    def compare(self, step: Dict[str, Any], progress: CheckpointProgress) -> None:
        """Compares a tensor with that of the latents."""
        name, theirs = step["tensor"], step["latents"]["name"]
        total, other = self._claim.tensors[name].nbytes, self._latents.tensors[theirs].nbytes
        heads = step["latents"].get("heads")
        whole = None
        if heads is not None:
            rows = self._latents.tensors[theirs].shape[0]
            whole = reordered(self._latents.read(theirs, 0, other), heads, rows)
        for at in range(0, total, COPY_BYTES):
            count = min(COPY_BYTES, total - at)
            # The types may differ, and with them the sizes of as many elements.
            start, end = at * other // total, (at + count) * other // total
            if whole is not None:
                latents = whole[start:end]
            else:
                latents = self._latents.read(theirs, start, end - start)
            self._verification.compare(name, latents, self._claim.read(name, at, count))
            progress(count)
