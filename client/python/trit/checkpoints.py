# SPDX-License-Identifier: Apache-2.0
"""Checkpoints on the daemon's own disk: `client.checkpoints`.

The daemon reads and writes files below the directory that `tritd --checkpoint-root` names. It
does what `client.checkpoint` does, with the same rules, bits and results, but no tensor is
sent. Each call starts a job and gives its progress. Paths are relative to that directory.

`client.checkpoints` needs a daemon with `--checkpoint-root`; otherwise its calls raise
FailedPrecondition.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Dict, Generic, Iterator, List, Optional, TypeVar, Union, cast

from ._arguments import PathLike, c_text, flag, given, member, member_or_none, path_of, real
from ._call import Call, called_back, interrupted
from ._checkpoint_calls import with_name
from ._checkpoint_results import CheckpointInfo, ProjectPlan, ProjectResult, VerifyResult
from ._handle import Handle
from ._job_results import (
    DiffResult,
    JobPackResult,
    LayerDifference,
    any_result,
    diff_result,
    info_result,
    pack_result,
    plan_result,
    projection_result,
    verification_result,
)
from ._job_stream import JobStream
from ._native import ffi, lib, new
from ._rules import Options
from ._selection import Patterns
from ._visit import Visit
from .checkpoint import Experts
from .errors import Error, error_of
from .reports import Report, Verdict, report_of
from .types import (
    AnyEncoding,
    AnyPartialGroup,
    AnyReportDetail,
    AnyVerifyMode,
    DType,
    Encoding,
    FloatName,
    PartialGroup,
    ReportDetail,
    VerifyMode,
)

__all__ = [
    "Checkpoints",
    "DiffResult",
    "Job",
    "JobInfo",
    "JobPackResult",
    "JobProgress",
    "LayerDifference",
]

_Result = TypeVar("_Result")


def _text(c: Any) -> str:
    text: str = ffi.string(c).decode("utf-8", "replace")
    return text


@dataclasses.dataclass(frozen=True)
class JobProgress:
    """What became of a job so far.

    Attributes:
        job: Name of the job.
        state: "waiting", "running" or "done".
        layer: That of the report; else the tensor that began last.
        tensors_done: Number of tensors that were examined, written or compared.
        tensors_total: Number of tensors that will be; 0 before the job knows.
        tensors_reused: How many of `tensors_done` were done before the daemon restarted.
        bytes_done: Bytes of the input that were dealt with.
        bytes_total: Bytes of the input; 0 before the job knows.
        bytes_per_second: Mean rate since the job began to run.
        seconds_left: Estimated seconds until the end; None if not known.
        report: Report of a layer that is done, else None.
        verdict: "pass", "fail" or "inconclusive" at the end, before that None.

    Example:
        >>> seen = list(client.checkpoints.verify("model.safetensors", mode="latent"))
        >>> [one.layer for one in seen if one.report is not None]
        ['body.weight', 'head.weight']
        >>> seen[-1].verdict, seen[-1].tensors_done
        ('pass', 2)
    """

    job: str
    state: str
    layer: str
    tensors_done: int
    tensors_total: int
    tensors_reused: int
    bytes_done: int
    bytes_total: int
    bytes_per_second: float
    seconds_left: Optional[float] = None
    report: Optional[Report] = None
    verdict: Optional[Verdict] = None


@dataclasses.dataclass(frozen=True)
class JobInfo:
    """A job that waits, runs, or has ended and is still kept.

    Attributes:
        job: Name of the job.
        method: What it does: "Inspect", "Plan", "Verify", "Project", "Pack", "Diff".
        path: Path of the input below the daemon's root.
        against: Path of the latents; "" without any.
        out: Path of the output; "" without one.
        state: "waiting", "running", "done", "failed", "cancelled" or "interrupted".
        detach: Whether it goes on without its client.
        created_unix_ns: When it was accepted, in nanoseconds since 1970.
        started_unix_ns: When it began to run; None while it waits.
        ended_unix_ns: When it ended; None before that.
        tensors_done: Number of tensors that were examined, written or compared.
        tensors_total: Number of tensors that will be; 0 before the job knows.
        tensors_reused: How many of `tensors_done` were done before the daemon restarted.
        bytes_done: Bytes of the input that were dealt with.
        bytes_total: Bytes of the input; 0 before the job knows.
        verdict: "pass", "fail" or "inconclusive" of a job that is done, else None.
        error: Why it failed or was cancelled, else None.

    Example:
        >>> job = client.checkpoints.inspect("model.safetensors")
        >>> _ = job.result()
        >>> info = next(one for one in client.checkpoints.jobs() if one.job == job.job)
        >>> info.method, info.path, info.state, info.verdict
        ('Inspect', 'model.safetensors', 'done', 'pass')
    """

    job: str
    method: str
    path: str
    against: str
    out: str
    state: str
    detach: bool
    created_unix_ns: int
    started_unix_ns: Optional[int]
    ended_unix_ns: Optional[int]
    tensors_done: int
    tensors_total: int
    tensors_reused: int
    bytes_done: int
    bytes_total: int
    verdict: Optional[Verdict] = None
    error: Optional[Error] = None


class Job(Iterator[JobProgress], Generic[_Result]):
    """A job: iterate for its progress, then take its `result`.

    The iteration ends with the job. A job that failed or was cancelled ends it with its
    exception, such as NotFound or Cancelled. When the object is dropped or closed before the
    end, the daemon cancels the job, unless it was started with `detach` or comes from
    `attach`.

    Attributes:
        job: Name of the job, for `Checkpoints.attach` and `cancel`.

    Example:
        >>> with client.checkpoints.verify("model.safetensors", mode="latent") as job:
        ...     for progress in job:
        ...         done = progress.bytes_done
        ...     result = job.result()
        >>> result.verdict, result.layers
        ('pass', ('body.weight', 'head.weight'))
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        stream: JobStream[JobProgress],
        read: Callable[[Any, Dict[str, Report]], _Result],
    ) -> None:
        """Made by the methods of `Checkpoints`.

        Args:
            checkpoints: Whose job it is.
            stream: Its progress.
            read: Makes the result of its JSON and the reports of layers.

        Raises:
            Error: The daemon did not accept the job.

        Example:
            >>> job = client.checkpoints.inspect("model.safetensors")
            >>> len(job.job)
            16
        """
        self._checkpoints, self._stream, self._read = checkpoints, stream, read
        self._reports: Dict[str, Report] = {}
        self.job = stream.started()

    def __next__(self) -> JobProgress:
        progress = self._stream.next()
        if progress is None:
            raise StopIteration
        return self._seen(progress)

    def _seen(self, progress: JobProgress) -> JobProgress:
        if progress.report is not None:
            self._reports[progress.layer] = progress.report
        return progress

    def __enter__(self) -> Job[_Result]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_stream"):
            self._stream.abandon()

    def result(self) -> _Result:
        """Waits for the end of the job.

        Returns:
            What the method of the same name of `client.checkpoint` returns. A projection
            has its output below the daemon's root, so `tensors` is None.

        Raises:
            Error: Why the job failed: any exception of this package.
            Cancelled: It was cancelled, or `close` was called before its end.
            InvalidArgument: The plan of a projection refuses tensors; the message names them.

        Example:
            >>> client.checkpoints.plan("model.safetensors").result().layers
            ('body.weight', 'head.weight')
        """
        for _ in self:
            pass
        return self._read(self._stream.result(), self._reports)

    def cancel(self, *, timeout: Optional[float] = None) -> None:
        """Has the daemon cancel the job, detached or not.

        Args:
            timeout: Seconds for the call; None for the client's, math.inf for no limit.

        Raises:
            NotFound: The job ended and is no longer kept.

        Example:
            >>> job = client.checkpoints.verify("model.safetensors", detach=True)
            >>> job.cancel()
        """
        self._checkpoints.cancel(self.job, timeout=timeout)

    def close(self) -> None:
        """Ends the call; the iteration ends, too.

        Example:
            >>> job = client.checkpoints.verify("model.safetensors")
            >>> job.close()
            >>> list(job)
            []
        """
        self._stream.close()


# ---- C structs ---------------------------------------------------------------------------


def _progress_of(c: Any) -> JobProgress:
    layer, verdict = _text(c.layer), _text(c.verdict)
    return JobProgress(
        job=_text(c.job),
        state=_text(c.state),
        layer=layer,
        tensors_done=c.tensors_done,
        tensors_total=c.tensors_total,
        tensors_reused=c.tensors_reused,
        bytes_done=c.bytes_done,
        bytes_total=c.bytes_total,
        bytes_per_second=c.bytes_per_second,
        seconds_left=c.seconds_left or None,
        report=with_name(report_of(c.report), layer) if c.has_report else None,
        verdict=_verdict_of(verdict),
    )


def _verdict_of(text: str) -> Optional[Verdict]:
    return cast("Verdict", text) if text else None


def _info_of(c: Any) -> JobInfo:
    message = _text(c.message)
    return JobInfo(
        job=_text(c.job),
        method=_text(c.method),
        path=_text(c.path),
        against=_text(c.against),
        out=_text(c.output),
        state=_text(c.state),
        detach=bool(c.detach),
        created_unix_ns=c.created_unix_ns,
        started_unix_ns=c.started_unix_ns or None,
        ended_unix_ns=c.ended_unix_ns or None,
        tensors_done=c.tensors_done,
        tensors_total=c.tensors_total,
        tensors_reused=c.tensors_reused,
        bytes_done=c.bytes_done,
        bytes_total=c.bytes_total,
        verdict=_verdict_of(_text(c.verdict)),
        error=error_of(c.status, message, "") if c.status != lib.TRIT_OK else None,
    )


@ffi.callback(  # type: ignore[untyped-decorator]
    "int(void *, const struct trit_job *)", error=1, onerror=interrupted
)
@called_back
def _on_job(arg: Any, job: Any) -> Any:
    return ffi.from_handle(arg)(job)


# ---- the calls ---------------------------------------------------------------------------


class Checkpoints:
    """`client.checkpoints`: jobs over checkpoints on the daemon's disk.

    Example:
        >>> result = client.checkpoints.verify("model.safetensors", mode="latent").result()
        >>> result.verdict
        'pass'
    """

    def __init__(self, handle: Handle) -> None:
        """Made by the client.

        Args:
            handle: The client's connection.

        Raises:
            Nothing.

        Example:
            >>> jobs = client.checkpoints.jobs()
        """
        self._client = handle

    def _started(
        self,
        method: int,
        path: PathLike,
        options: Options,
        detach: bool,
        timeout: Optional[float],
        read: Callable[[Any, Dict[str, Report]], _Result],
        out: Optional[PathLike] = None,
        against: Optional[PathLike] = None,
        **members: Any,
    ) -> Job[_Result]:
        paths = {"path": c_text(path_of(path, "path"), "path")}
        if out is not None:
            paths["output"] = c_text(path_of(out, "out"), "out")
        if against is not None:
            paths["against"] = c_text(path_of(against, "against"), "against")
        c, borrowed = options.c()
        request = new(
            "struct trit_job_request *",
            {
                "method": method,
                "detach": flag(detach, "detach"),
                "options": c,
                **paths,
                **members,
            },
        )

        def begin(handle: Handle, call: Call, progress: Any, visit: Any, arg: Any) -> int:
            call.fill(request.call)
            status: int = lib.trit_job_run(
                handle.client(), request, progress, visit, arg, call.error
            )
            return status

        borrowed += [paths, c, members]  # until the call has ended
        stream = JobStream(self._client, begin, _progress_of, timeout, borrowed)
        return Job(self, stream, read)

    def inspect(
        self,
        path: PathLike,
        *,
        include: Patterns = None,
        exclude: Patterns = None,
        convolutions: bool = False,
        experts: Experts = None,
        transposed: Patterns = None,
        bits: Optional[int] = None,
        npy_bf16: bool = False,
        detach: bool = False,
        timeout: Optional[float] = None,
    ) -> Job[CheckpointInfo]:
        """Starts a job that tells what is in a checkpoint.

        Args:
            path: A file, a folder or an index below the daemon's root.
            include: As for `client.checkpoint.inspect`.
            exclude: As for `client.checkpoint.inspect`.
            convolutions: As for `client.checkpoint.inspect`.
            experts: As for `client.checkpoint.inspect`.
            transposed: As for `client.checkpoint.inspect`.
            bits: As for `client.checkpoint.inspect`.
            npy_bf16: As for `client.checkpoint.inspect`.
            detach: Whether the job goes on when this client goes.
            timeout: Seconds for the whole job; None for the client's, math.inf for no limit.

        Returns:
            The job; its result is a CheckpointInfo.

        Raises:
            FailedPrecondition: The daemon runs without --checkpoint-root.
            ResourceExhausted: Too many jobs wait already, or 48 watches and jobs of the client
                run.
            InvalidArgument: An argument has no valid value. What is wrong with the path or
                the file is raised by the job's iteration and its `result`.

        Example:
            >>> job = client.checkpoints.inspect("model.safetensors")
            >>> info = job.result()
            >>> info.layers, info.tensors["head.weight"].shape
            (('body.weight', 'head.weight'), (10, 256))
        """
        options = Options(
            include,
            exclude,
            convolutions,
            experts=experts,
            transposed=transposed,
            bits=bits,
        )
        return self._started(
            lib.TRIT_JOB_INSPECT,
            path,
            options,
            detach,
            timeout,
            info_result,
            npy_bf16=flag(npy_bf16, "npy_bf16"),
        )

    def plan(
        self,
        path: PathLike,
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
        npy_bf16: bool = False,
        keep_names: bool = False,
        again: bool = False,
        detach: bool = False,
        timeout: Optional[float] = None,
    ) -> Job[ProjectPlan]:
        """Starts a job that tells what a projection would do.

        Args:
            path: A file, a folder or an index below the daemon's root.
            out: Path of the output, which need not exist; None: it is not known.
            encoding: How the layers would lie in memory.
            group_size: Weights of a row that share a scale; None for the encoding's default.
            partial_group: What the scale of a row's short last group divides by.
            include: As for `client.checkpoint.plan`.
            exclude: As for `client.checkpoint.plan`.
            convolutions: As for `client.checkpoint.plan`.
            experts: As for `client.checkpoint.plan`.
            transposed: As for `client.checkpoint.plan`.
            npy_bf16: As for `client.checkpoint.plan`.
            keep_names: Whether a GGUF file that is written in another format keeps llama.cpp's
                names and order of rows.
            again: Project layers that are ternary already.
            detach: Whether the job goes on when this client goes.
            timeout: Seconds for the whole job; None for the client's, math.inf for no limit.

        Returns:
            The job; its result is a ProjectPlan.

        Raises:
            FailedPrecondition: The daemon runs without --checkpoint-root.
            ResourceExhausted: Too many jobs wait already, or 48 watches and jobs of the client
                run.
            InvalidArgument: An argument has no valid value. What is wrong with the path or
                the file is raised by the job's iteration and its `result`.

        Example:
            >>> job = client.checkpoints.plan("model.safetensors", exclude="head.*")
            >>> plan = job.result()
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
        )
        return self._started(
            lib.TRIT_JOB_PLAN,
            path,
            options,
            detach,
            timeout,
            plan_result,
            out,
            npy_bf16=flag(npy_bf16, "npy_bf16"),
            keep_names=flag(keep_names, "keep_names"),
        )

    def verify(
        self,
        path: PathLike,
        *,
        against: Optional[PathLike] = None,
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
        npy_bf16: bool = False,
        rename: Patterns = None,
        strip_prefix: Patterns = None,
        allow_dead: bool = False,
        accept_record: bool = False,
        report: AnyReportDetail = ReportDetail.FULL,
        detach: bool = False,
        timeout: Optional[float] = None,
    ) -> Job[VerifyResult]:
        """Starts a job that verifies every layer of a checkpoint.

        Args:
            path: A file, a folder or an index below the daemon's root.
            against: Path of the latents below the daemon's root.
            mode: TERNARY: the layers claim to be ternary. LATENT: they are latents; project
                them, then verify the projection.
            encoding: How the layers lie in memory; None for what the record says, else DENSE.
            group_size: Weights of a row that share a scale; None for what the record says,
                else the encoding's default.
            partial_group: What the scale of a row's short last group divides by; None for
                what the record says, else PADDED.
            tolerance: The largest |w/s - t| of a ternary weight; None for 1e-5.
            include: As for `client.checkpoint.verify`.
            exclude: As for `client.checkpoint.verify`.
            convolutions: As for `client.checkpoint.verify`.
            experts: As for `client.checkpoint.verify`.
            transposed: As for `client.checkpoint.verify`.
            bits: As for `client.checkpoint.verify`.
            npy_bf16: As for `client.checkpoint.verify`.
            rename: As for `client.checkpoint.verify`.
            strip_prefix: As for `client.checkpoint.verify`.
            allow_dead: Whether a layer of zeros passes.
            accept_record: Accept layers that the file's own record leaves out.
            report: FULL or BRIEF for a report of each layer; NONE for none and no digests, which
                is faster.
            detach: Whether the job goes on when this client goes.
            timeout: Seconds for the whole job; None for the client's, math.inf for no limit.

        Returns:
            The job; its result is a VerifyResult.

        Raises:
            FailedPrecondition: The daemon runs without --checkpoint-root.
            ResourceExhausted: Too many jobs wait already, or 48 watches and jobs of the client
                run.
            InvalidArgument: An argument has no valid value. What is wrong with the path or
                the file is raised by the job's iteration and its `result`.

        Example:
            >>> job = client.checkpoints.verify("model.safetensors")
            >>> job.result().verdict  # latents are not ternary
            'fail'
        """
        options = Options(
            include,
            exclude,
            convolutions,
            None if encoding is None else member(Encoding, encoding, "encoding"),
            group_size,
            None
            if partial_group is None
            else member(PartialGroup, partial_group, "partial_group"),
            member(VerifyMode, mode, "mode"),
            allow_dead=allow_dead,
            accept_record=accept_record,
            experts=experts,
            transposed=transposed,
            bits=bits,
            rename=rename,
            strip_prefix=strip_prefix,
        )
        return self._started(
            lib.TRIT_JOB_VERIFY,
            path,
            options,
            detach,
            timeout,
            verification_result,
            against=against,
            report=member(ReportDetail, report, "report"),
            npy_bf16=flag(npy_bf16, "npy_bf16"),
            has_tolerance=tolerance is not None,
            tolerance=real(tolerance, "tolerance"),
        )

    def project(
        self,
        path: PathLike,
        out: PathLike,
        *,
        encoding: AnyEncoding = Encoding.DENSE,
        group_size: Optional[int] = None,
        partial_group: AnyPartialGroup = PartialGroup.PADDED,
        include: Patterns = None,
        exclude: Patterns = None,
        convolutions: bool = False,
        experts: Experts = None,
        transposed: Patterns = None,
        npy_bf16: bool = False,
        keep_names: bool = False,
        shard_bytes: Optional[int] = None,
        force: bool = False,
        again: bool = False,
        allow_lost: bool = False,
        report: AnyReportDetail = ReportDetail.FULL,
        detach: bool = False,
        timeout: Optional[float] = None,
    ) -> Job[ProjectResult]:
        """Starts a job that writes a checkpoint whose layers are ternary.

        The output gets its name when it is complete and on the disk.

        Args:
            path: A file, a folder or an index below the daemon's root.
            out: Path of the output below the daemon's root: a file (.safetensors, .npy,
                .gguf), or a folder if `path` is one. The folder that it lies in exists.
            encoding: How the layers lie in memory.
            group_size: Weights of a row that share a scale; None for the encoding's default.
            partial_group: What the scale of a row's short last group divides by.
            include: As for `client.checkpoint.project`.
            exclude: As for `client.checkpoint.project`.
            convolutions: As for `client.checkpoint.project`.
            experts: As for `client.checkpoint.project`.
            transposed: As for `client.checkpoint.project`.
            npy_bf16: As for `client.checkpoint.project`.
            keep_names: Whether a GGUF file that is written in another format keeps llama.cpp's
                names and order of rows.
            shard_bytes: The most bytes of tensors in one file of a folder; None for 5 GB.
            force: Replace `out` if it exists; never the input.
            again: Project layers that are ternary already. Their scales shrink.
            allow_lost: Write groups whose scale rounds to 0 or infinity.
            report: FULL or BRIEF for a report of each layer; NONE for none and no digests, which
                is faster.
            detach: Whether the job goes on when this client goes.
            timeout: Seconds for the whole job; None for the client's, math.inf for no limit.

        Returns:
            The job; its result is a ProjectResult.

        Raises:
            FailedPrecondition: The daemon runs without --checkpoint-root.
            ResourceExhausted: Too many jobs wait already, or 48 watches and jobs of the client
                run.
            InvalidArgument: An argument has no valid value. What is wrong with the paths or
                the file, an output that exists for example (AlreadyExists), is raised by the
                job's iteration and its `result`.

        Example:
            >>> job = client.checkpoints.project(
            ...     "model.safetensors", "ternary.gguf", encoding="pq2_0", force=True
            ... )
            >>> job.result().layers
            ('body.weight', 'head.weight')
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
        )
        return self._started(
            lib.TRIT_JOB_PROJECT,
            path,
            options,
            detach,
            timeout,
            projection_result,
            out,
            report=member(ReportDetail, report, "report"),
            npy_bf16=flag(npy_bf16, "npy_bf16"),
            keep_names=flag(keep_names, "keep_names"),
            shard_bytes=given(shard_bytes, "shard_bytes", 2**64, "5 GB"),
            force=flag(force, "force"),
            allow_lost_scales=flag(allow_lost, "allow_lost"),
        )

    def pack(
        self,
        path: PathLike,
        out: PathLike,
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
        npy_bf16: bool = False,
        keep_names: bool = False,
        shard_bytes: Optional[int] = None,
        force: bool = False,
        report: AnyReportDetail = ReportDetail.FULL,
        detach: bool = False,
        timeout: Optional[float] = None,
    ) -> Job[JobPackResult]:
        """Starts a job that packs layers that are ternary already, losslessly.

        Args:
            path: A file, a folder or an index below the daemon's root.
            out: Path of the output, as for `project`.
            encoding: How the layers lie in memory; DENSE unpacks them, see `unpack`.
            group_size: Weights of a row that share a scale; None for those of the input.
            from_encoding: How the layers of the input lie in memory; None for what its record,
                its config.json or its tables say, else DENSE.
            allow_rounded_scales: Round scales that the encoding's type does not hold.
            include: As for `client.checkpoint.pack`.
            exclude: As for `client.checkpoint.pack`.
            convolutions: As for `client.checkpoint.pack`.
            experts: As for `client.checkpoint.pack`.
            transposed: As for `client.checkpoint.pack`.
            bits: As for `client.checkpoint.pack`.
            npy_bf16: As for `client.checkpoint.pack`.
            keep_names: Whether a GGUF file that is written in another format keeps llama.cpp's
                names and order of rows.
            shard_bytes: The most bytes of tensors in one file of a folder; None for 5 GB.
            force: Replace `out` if it exists; never the input.
            report: FULL or BRIEF for a report of each layer; NONE for none and no digests, which
                is faster.
            detach: Whether the job goes on when this client goes.
            timeout: Seconds for the whole job; None for the client's, math.inf for no limit.

        Returns:
            The job; its result is a JobPackResult.

        Raises:
            FailedPrecondition: The daemon runs without --checkpoint-root.
            ResourceExhausted: Too many jobs wait already, or 48 watches and jobs of the client
                run.
            InvalidArgument: An argument has no valid value. What is wrong with the paths or
                the file, a layer that is not ternary for example, is raised by the job's
                iteration and its `result`.

        Example:
            >>> job = client.checkpoints.project("model.safetensors", "t.safetensors", force=True)
            >>> _ = job.result()
            >>> job = client.checkpoints.pack(
            ...     "t.safetensors", "packed.safetensors", encoding="int8", force=True
            ... )
            >>> job.result().layers
            2
        """
        return self._packed(
            path,
            out,
            {
                "encoding": member(Encoding, encoding, "encoding"),
                "group_size": given(group_size, "group_size", 2**32, "that of the input"),
            },
            Options(
                include,
                exclude,
                convolutions,
                member_or_none(Encoding, from_encoding, "from_encoding"),
                experts=experts,
                transposed=transposed,
                bits=bits,
            ),
            detach,
            timeout,
            npy_bf16=flag(npy_bf16, "npy_bf16"),
            keep_names=flag(keep_names, "keep_names"),
            shard_bytes=given(shard_bytes, "shard_bytes", 2**64, "5 GB"),
            force=flag(force, "force"),
            report=member(ReportDetail, report, "report"),
            allow_rounded_scales=flag(allow_rounded_scales, "allow_rounded_scales"),
        )

    def unpack(
        self,
        path: PathLike,
        out: PathLike,
        *,
        dtype: Union[None, DType, FloatName] = None,
        from_encoding: Optional[AnyEncoding] = None,
        include: Patterns = None,
        exclude: Patterns = None,
        convolutions: bool = False,
        experts: Experts = None,
        transposed: Patterns = None,
        bits: Optional[int] = None,
        npy_bf16: bool = False,
        keep_names: bool = False,
        shard_bytes: Optional[int] = None,
        force: bool = False,
        detach: bool = False,
        timeout: Optional[float] = None,
    ) -> Job[JobPackResult]:
        """Starts a job that makes the layers of a packed checkpoint dense: t * s.

        Args:
            path: A file, a folder or an index below the daemon's root.
            out: Path of the output, as for `project`.
            dtype: F32, F16 or BF16; None for what the record of the input says, else F32.
            from_encoding: As for `pack`.
            include: As for `client.checkpoint.unpack`.
            exclude: As for `client.checkpoint.unpack`.
            convolutions: As for `client.checkpoint.unpack`.
            experts: As for `client.checkpoint.unpack`.
            transposed: As for `client.checkpoint.unpack`.
            bits: As for `client.checkpoint.unpack`.
            npy_bf16: As for `client.checkpoint.unpack`.
            keep_names: Whether a GGUF file that is written in another format keeps llama.cpp's
                names and order of rows.
            shard_bytes: The most bytes of tensors in one file of a folder; None for 5 GB.
            force: Replace `out` if it exists; never the input.
            detach: Whether the job goes on when this client goes.
            timeout: Seconds for the whole job; None for the client's, math.inf for no limit.

        Returns:
            The job; its result is a JobPackResult without reports.

        Raises:
            FailedPrecondition: The daemon runs without --checkpoint-root.
            ResourceExhausted: Too many jobs wait already, or 48 watches and jobs of the client
                run.
            InvalidArgument: An argument has no valid value. What is wrong with the paths or
                the file is raised by the job's iteration and its `result`.

        Example:
            >>> job = client.checkpoints.project(
            ...     "model.safetensors", "int8.safetensors", encoding="int8", force=True
            ... )
            >>> _ = job.result()
            >>> job = client.checkpoints.unpack("int8.safetensors", "f32.safetensors", force=True)
            >>> job.result().encoding.name
            'DENSE'
        """
        return self._packed(
            path,
            out,
            {"dtype": 0 if dtype is None else member(DType, dtype, "dtype")},
            Options(
                include,
                exclude,
                convolutions,
                member_or_none(Encoding, from_encoding, "from_encoding"),
                experts=experts,
                transposed=transposed,
                bits=bits,
            ),
            detach,
            timeout,
            npy_bf16=flag(npy_bf16, "npy_bf16"),
            keep_names=flag(keep_names, "keep_names"),
            shard_bytes=given(shard_bytes, "shard_bytes", 2**64, "5 GB"),
            force=flag(force, "force"),
        )

    def _packed(
        self,
        path: PathLike,
        out: PathLike,
        target: Dict[str, int],
        options: Options,
        detach: bool,
        timeout: Optional[float],
        **members: Any,
    ) -> Job[JobPackResult]:
        c = new("struct trit_pack_target *", target)
        return self._started(
            lib.TRIT_JOB_PACK,
            path,
            options,
            detach,
            timeout,
            pack_result,
            out,
            target=c,
            **members,
        )

    def diff(
        self,
        path: PathLike,
        against: PathLike,
        *,
        include: Patterns = None,
        exclude: Patterns = None,
        convolutions: bool = False,
        experts: Experts = None,
        transposed: Patterns = None,
        bits: Optional[int] = None,
        npy_bf16: bool = False,
        rename: Patterns = None,
        strip_prefix: Patterns = None,
        detach: bool = False,
        timeout: Optional[float] = None,
    ) -> Job[DiffResult]:
        """Starts a job that compares two checkpoints.

        Each is read as its own record says. Layers are compared by codes and scales, other
        tensors byte for byte.

        Args:
            path: A file, a folder or an index below the daemon's root.
            against: The second one.
            include: Shell pattern(s) of tensor names: only tensors that match are layers.
            exclude: Shell pattern(s) of tensor names that are not layers; overrides
                `include`.
            convolutions: Whether convolutions of rank 3 and 4 are layers too.
            experts: As for `client.checkpoint.verify`.
            transposed: As for `client.checkpoint.verify`.
            bits: As for `client.checkpoint.verify`.
            npy_bf16: As for `client.checkpoint.verify`.
            rename: Rule(s) "OLD=NEW" for the names of `path` before they are compared.
            strip_prefix: Prefix(es) that are taken away from the names of both sides.
            detach: Whether the job goes on when this client goes.
            timeout: Seconds for the whole job; None for the client's, math.inf for no limit.

        Returns:
            The job; its result is a DiffResult.

        Raises:
            FailedPrecondition: The daemon runs without --checkpoint-root.
            ResourceExhausted: Too many jobs wait already, or 48 watches and jobs of the client
                run.
            InvalidArgument: An argument has no valid value. What is wrong with the paths or
                the files is raised by the job's iteration and its `result`.

        Example:
            >>> job = client.checkpoints.diff("model.safetensors", "model.safetensors")
            >>> job.result().equal
            True
        """
        options = Options(
            include,
            exclude,
            convolutions,
            experts=experts,
            transposed=transposed,
            bits=bits,
            rename=rename,
            strip_prefix=strip_prefix,
        )
        return self._started(
            lib.TRIT_JOB_DIFF,
            path,
            options,
            detach,
            timeout,
            diff_result,
            against=path_of(against, "against"),
            npy_bf16=flag(npy_bf16, "npy_bf16"),
        )

    # ---- jobs that were started before -----------------------------------------------------

    def jobs(self, *, timeout: Optional[float] = None) -> List[JobInfo]:
        """The jobs that wait, run, or have ended and are still kept.

        Args:
            timeout: Seconds for the call; None for the client's, math.inf for no limit.

        Returns:
            The jobs of all clients, the newest first.

        Raises:
            FailedPrecondition: The daemon runs without --checkpoint-root.

        Example:
            >>> job = client.checkpoints.plan("model.safetensors")
            >>> _ = job.result()
            >>> client.checkpoints.jobs()[0].method
            'Plan'
        """
        call = Call(timeout)
        options, job = new("struct trit_call_options *"), new("struct trit_job *")
        call.fill(options)
        visit = Visit(_info_of)
        status = lib.trit_job_list(
            self._client.client(), options, job, _on_job, visit.handle, call.error
        )
        jobs = visit.all()
        call.check(status)
        return jobs

    def attach(self, job: str, *, timeout: Optional[float] = None) -> Job[Any]:
        """Watches a job that was started before, from its first message on.

        To leave does not cancel the job.

        Args:
            job: Name of the job.
            timeout: Seconds for the rest of the job; None for the client's, math.inf for no
                limit.

        Returns:
            The job; its result is that of the method that started it.

        Raises:
            NotFound: There is no such job, or it ended and is no longer kept.
            FailedPrecondition: The daemon runs without --checkpoint-root.
            ResourceExhausted: 48 watches and jobs of the client run already.

        Example:
            >>> begun = client.checkpoints.verify("model.safetensors", detach=True)
            >>> job = client.checkpoints.attach(begun.job)
            >>> job.result().verdict
            'fail'
        """
        name = c_text(job, "job")
        options = new("struct trit_call_options *")

        def begin(handle: Handle, call: Call, progress: Any, visit: Any, arg: Any) -> int:
            call.fill(options)
            status: int = lib.trit_job_attach(
                handle.client(), name, options, progress, visit, arg, call.error
            )
            return status

        return Job(self, JobStream(self._client, begin, _progress_of, timeout), any_result)

    def cancel(self, job: str, *, timeout: Optional[float] = None) -> None:
        """Cancels a job that waits or runs. A job that has ended stays as it is.

        Args:
            job: Name of the job.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.

        Raises:
            NotFound: There is no such job, or it ended and is no longer kept.
            FailedPrecondition: The daemon runs without --checkpoint-root.

        Example:
            >>> job = client.checkpoints.verify("model.safetensors", detach=True)
            >>> client.checkpoints.cancel(job.job)
        """
        call, options = Call(timeout), new("struct trit_call_options *")
        call.fill(options)
        name = c_text(job, "job")
        call.check(lib.trit_job_cancel(self._client.client(), name, options, call.error))
