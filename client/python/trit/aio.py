# SPDX-License-Identifier: Apache-2.0
"""The same client for asyncio.

Each call runs on a thread of the client's own, so the loop is never blocked. Cancelling the
task cancels the call. Methods have the parameters of their blocking twins, and type checkers
see them.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import re
from typing import (
    TYPE_CHECKING,
    Any,
    AsyncIterator,
    Callable,
    Coroutine,
    Generic,
    Optional,
    TypeVar,
)

from . import checkpoint as _checkpoint
from . import checkpoints as _checkpoints
from . import client as _client
from . import layers as _layers
from . import reports as _reports
from ._arguments import PathLike, positive
from ._call import cancelled_by, deadline_after, ends_at
from ._retry import RetryPolicy
from ._secure import AnyTLS
from ._wake import Flag
from .errors import FailedPrecondition

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec

    _Parameters = ParamSpec("_Parameters")

__all__ = ["Checkpoint", "Checkpoints", "Client", "Job", "Layers", "Reports"]

THREADS = 8

_Result = TypeVar("_Result")


class _Threads(concurrent.futures.ThreadPoolExecutor):
    """The threads of a client, until it is closed."""

    _closed = False

    def submit_call(self, call: Callable[[], Any]) -> concurrent.futures.Future[Any]:
        """Has a thread make a call."""
        try:
            return self.submit(call)
        except RuntimeError:  # also if no thread can be started
            if not self._closed:
                raise
            raise FailedPrecondition("the client is closed") from None

    def close(self) -> None:
        """Waits for the calls."""
        self._closed = True
        self.shutdown()


class _Twin:
    """An object whose blocking twin does the work, on threads of an executor.

    `timeout` is that of calls that bring none.
    """

    def __init__(
        self,
        twin: Any,
        executor: _Threads,
        timeout: Optional[float],
    ) -> None:
        self._twin, self._executor, self._timeout = twin, executor, timeout

    async def _run(self, call: Callable[[], Any], timeout: Optional[float] = None) -> Any:
        cancelled = Flag()
        deadline = deadline_after(self._timeout if timeout is None else timeout)

        def on_thread() -> Any:
            with cancelled_by(cancelled), ends_at(deadline):
                return call()

        submitted = self._executor.submit_call(on_thread)
        running = asyncio.wrap_future(submitted)
        try:
            if deadline is not None:
                await asyncio.wait([running], timeout=deadline.left())
                if not running.done() and submitted.cancel():
                    raise deadline.missed()
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if submitted.cancel():  # it was still waiting for a thread
                raise
            # The arrays are borrowed until the call is over: wait for that, at most a tenth
            # of a second, then leave.
            cancelled.set()
            await asyncio.wait([running])
            running.exception()
            raise


def _awaited(
    method: Callable[Concatenate[Any, _Parameters], _Result],
) -> Callable[Concatenate[_Twin, _Parameters], Coroutine[Any, Any, _Result]]:
    """A method of a twin class that runs a blocking method on a thread."""

    @functools.wraps(method)
    async def awaited(
        self: _Twin, /, *args: _Parameters.args, **kwargs: _Parameters.kwargs
    ) -> _Result:
        timeout: Any = kwargs.get("timeout")
        call = functools.partial(method, self._twin, *args, **kwargs)
        result: _Result = await self._run(call, timeout)
        return result

    awaited.__doc__ = _with_await(method.__doc__ or "")
    awaited.__module__ = __name__
    return awaited


def _with_await(doc: str) -> str:
    """A docstring whose example awaits each call of `client` and results of jobs."""
    text, example, code = doc.partition("Example:\n")
    begin = 0
    while True:
        call = re.compile(r"\bclient\.(?:\w+\.)?\w+\(").search(code, begin)
        if call is None:
            code = code.replace("job.result()", "(await job.result())")
            return text + example + code
        end, depth = call.end(), 1
        while depth:
            depth += {"(": 1, ")": -1}.get(code[end], 0)
            end += 1
        awaited = f"await {code[call.start() : end]}"
        if code[end : end + 1] in (".", "["):
            awaited = f"({awaited})"
        code = code[: call.start()] + awaited + code[end:]
        begin = call.start() + len("(await client.")


class Reports(_Twin):
    """`client.reports`: `trit.reports.Reports`, awaited.

    Example:
        >>> projection = await client.project(weights, layer=("run-7", "fc", 20))
        >>> (await client.reports.get("run-7", "fc")).step
        20
    """

    get = _awaited(_reports.Reports.get)
    list = _awaited(_reports.Reports.list)
    latest = _awaited(_reports.Reports.latest)
    compare = _awaited(_reports.Reports.compare)

    async def watch(
        self, run: str = "", *, cursor: str = "", timeout: Optional[float] = None
    ) -> AsyncIterator[_reports.FiledReport]:
        """The reports as they are filed, from now on or from a cursor on.

        Args:
            run: Name of the run; "" for all.
            cursor: That of the last report seen; "0" for all that are kept, as one beyond the
                newest (the daemon has lost its data); "" for those that are filed from now on.
            timeout: Seconds after which the watch ends; None for no limit.

        Returns:
            An asynchronous iterator. It holds a connection and a thread of its own until it is
            closed.

        Raises:
            InvalidArgument: `run` or `cursor` is invalid.
            ResourceExhausted: 48 watches and jobs of the client run already.

        Example:
            >>> projection = await client.project(weights, layer=("async", "fc", 20))
            >>> async for filed in client.reports.watch("async", cursor="0"):
            ...     print(filed.report.step)
            ...     break
            20
        """
        watch = self._twin.watch(run, cursor=cursor, timeout=timeout)
        try:
            while True:
                await watch._watching.wait_ready()
                filed = next(watch, None)
                if filed is None:
                    return
                yield filed
        finally:
            await watch._watching.wait_closed()

    rewind = _awaited(_reports.Reports.rewind)
    fork = _awaited(_reports.Reports.fork)
    delete = _awaited(_reports.Reports.delete)


class Checkpoint(_Twin):
    """`client.checkpoint`: `trit.checkpoint.Checkpoint`, awaited; each call on one thread.

    Example:
        >>> result = await client.checkpoint.project({"fc.weight": weights})
        >>> list(result.tensors)
        ['fc.weight']
    """

    plan = _awaited(_checkpoint.Checkpoint.plan)
    project = _awaited(_checkpoint.Checkpoint.project)
    pack = _awaited(_checkpoint.Checkpoint.pack)
    unpack = _awaited(_checkpoint.Checkpoint.unpack)
    verify = _awaited(_checkpoint.Checkpoint.verify)
    attest = _awaited(_checkpoint.Checkpoint.attest)
    inspect = _awaited(_checkpoint.Checkpoint.inspect)


class Job(AsyncIterator[_checkpoints.JobProgress], Generic[_Result]):
    """`trit.Job` for asyncio: `async for`, then `await job.result()`.

    When it is dropped or closed before the end, the daemon cancels the job, unless it was
    started with `detach` or comes from `attach`. A cancelled task that waits for it leaves it
    as it is.

    Attributes:
        job: Name of the job.

    Example:
        >>> job = await client.checkpoints.verify("model.safetensors", mode="latent")
        >>> layers = [one.layer async for one in job if one.report is not None]
        >>> layers, (await job.result()).verdict
        (['body.weight', 'head.weight'], 'pass')
    """

    def __init__(self, job: _checkpoints.Job[_Result], owner: _Twin) -> None:
        """Made by the methods of `Checkpoints`.

        Args:
            job: The blocking job.
            owner: What runs its calls on threads.

        Raises:
            Nothing.

        Example:
            >>> job = await client.checkpoints.inspect("model.safetensors")
        """
        self._job, self._owner = job, owner
        self.job = job.job

    async def __anext__(self) -> _checkpoints.JobProgress:
        await self._job._stream.wait_ready()
        try:
            return next(self._job)
        except StopIteration:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Job[_Result]:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def result(self) -> _Result:
        """Waits for the end of the job.

        Returns:
            As `trit.Job.result`.

        Raises:
            Error: As `trit.Job.result`.

        Example:
            >>> job = await client.checkpoints.plan("model.safetensors")
            >>> (await job.result()).layers
            ('body.weight', 'head.weight')
        """
        async for _ in self:
            pass
        return self._job.result()

    async def cancel(self, *, timeout: Optional[float] = None) -> None:
        """Has the daemon cancel the job, detached or not.

        Args:
            timeout: Seconds for the call; None for the client's, math.inf for no limit.

        Raises:
            NotFound: The job ended and is no longer kept.

        Example:
            >>> job = await client.checkpoints.verify("model.safetensors", detach=True)
            >>> await job.cancel()
        """
        await self._owner._run(functools.partial(self._job.cancel, timeout=timeout), timeout)

    async def close(self) -> None:
        """Ends the call; the iteration ends, too.

        Example:
            >>> job = await client.checkpoints.verify("model.safetensors")
            >>> await job.close()
        """
        await self._job._stream.wait_closed()


def _job_of(
    method: Callable[Concatenate[Any, _Parameters], _checkpoints.Job[_Result]],
) -> Callable[Concatenate[_Twin, _Parameters], Coroutine[Any, Any, Job[_Result]]]:
    """A method of a twin class whose blocking twin gives a job."""
    blocking = _awaited(method)

    @functools.wraps(blocking)
    async def started(
        self: _Twin, /, *args: _Parameters.args, **kwargs: _Parameters.kwargs
    ) -> Job[_Result]:
        return Job(await blocking(self, *args, **kwargs), self)

    return started


class Checkpoints(_Twin):
    """`client.checkpoints`: `trit.checkpoints.Checkpoints`, awaited.

    Example:
        >>> job = await client.checkpoints.verify("model.safetensors", mode="latent")
        >>> (await job.result()).verdict
        'pass'
    """

    inspect = _job_of(_checkpoints.Checkpoints.inspect)
    plan = _job_of(_checkpoints.Checkpoints.plan)
    verify = _job_of(_checkpoints.Checkpoints.verify)
    project = _job_of(_checkpoints.Checkpoints.project)
    pack = _job_of(_checkpoints.Checkpoints.pack)
    unpack = _job_of(_checkpoints.Checkpoints.unpack)
    diff = _job_of(_checkpoints.Checkpoints.diff)
    jobs = _awaited(_checkpoints.Checkpoints.jobs)
    attach = _job_of(_checkpoints.Checkpoints.attach)
    cancel = _awaited(_checkpoints.Checkpoints.cancel)


class Layers(_Twin):
    """`client.layers`: `trit.layers.Layers`, awaited.

    Example:
        >>> spec = await client.layers.load("fc", weights)
        >>> (await client.layers.forward("fc", weights)).shape
        (256, 256)
        >>> await client.layers.delete("fc")
    """

    create = _awaited(_layers.Layers.create)
    load = _awaited(_layers.Layers.load)
    forward = _awaited(_layers.Layers.forward)
    forward_with_error = _awaited(_layers.Layers.forward_with_error)
    backward = _awaited(_layers.Layers.backward)
    embed = _awaited(_layers.Layers.embed)
    as_linear = _awaited(_layers.Layers.as_linear)
    get = _awaited(_layers.Layers.get)
    list = _awaited(_layers.Layers.list)
    delete = _awaited(_layers.Layers.delete)
    verify = _awaited(_layers.Layers.verify)


class Client(_Twin):
    """`trit.Client`, awaited.

    Up to `threads` calls run at once; more wait for their turn, and a call's timeout counts
    while it waits. A progress callback runs on
    its call's thread.

    Attributes:
        reports: The stored reports.
        checkpoint: Calls over whole checkpoints.
        layers: The layers that the daemon holds.
        checkpoints: Jobs over checkpoints on the daemon's disk.

    Example:
        >>> async with trit.aio.Client(address, timeout=30) as client:
        ...     projection = await client.project(weights, encoding="pq2_0")
        ...     report = await client.verify(projection)
        >>> report.is_ternary
        True
    """

    def __init__(
        self,
        address: Optional[str] = None,
        *,
        threads: int = THREADS,
        timeout: Optional[float] = None,
        connections: int = 0,
        stream_bytes_min: int = 0,
        message_bytes_max: int = 0,
        token: Optional[str] = None,
        token_file: Optional[PathLike] = None,
        tls: AnyTLS = None,
        wait_for_ready: bool = False,
        retry: Optional[RetryPolicy] = None,
    ) -> None:
        """Makes a client; it connects at its first call.

        Args:
            address: "host:port" or "unix:/path"; None for the environment variable
                TRITD_ADDRESS, else 127.0.0.1:6561.
            threads: How many calls may run at once.
            timeout: Seconds for each call that brings no timeout of its own; None or
                math.inf for no limit.
            connections: Connections, 1 to 16, that one streamed projection without a report
                is spread over; 0 for 2.
            stream_bytes_min: Tensors of this many bytes and more are streamed; 0 for 4 MiB.
            message_bytes_max: Largest reply message accepted, in bytes; 0 for 1 GiB.
            token: The token that says who calls. None, and no token_file: the environment
                variables TRIT_TOKEN and TRIT_TOKEN_FILE. A pickled client has it in it.
            token_file: A file with the token in one line, read again when it changes.
            tls: True for TLS, a path for TLS with these authorities (a PEM file), or a
                trit.TLS; False for a plain connection; None for what the environment says
                (TRIT_TLS, TRIT_TLS_CA and so on). A Unix socket is always plain.
            wait_for_ready: Whether a call to a daemon that cannot be reached waits for it until
                the call's timeout; else it raises Unavailable.
            retry: How failed calls are tried again. None: only those that the daemon did not
                begin, and those on a kept connection that turns out to be dead.

        Raises:
            InvalidArgument: The address or another argument has no valid value.
            InvalidType: An argument has the wrong type.

        Example:
            >>> client = trit.aio.Client(address)
            >>> await client.ping()
            True
            >>> await client.close()
        """
        client = _client.Client(
            address,
            timeout=timeout,
            connections=connections,
            stream_bytes_min=stream_bytes_min,
            message_bytes_max=message_bytes_max,
            token=token,
            token_file=token_file,
            tls=tls,
            wait_for_ready=wait_for_ready,
            retry=retry,
        )
        executor = _Threads(positive(threads, "threads", 2**31), "trit")
        super().__init__(client, executor, timeout)
        self.reports = Reports(client.reports, executor, timeout)
        self.checkpoint = Checkpoint(client.checkpoint, executor, timeout)
        self.layers = Layers(client.layers, executor, timeout)
        self.checkpoints = Checkpoints(client.checkpoints, executor, timeout)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Waits for running calls, then disconnects.

        Calls that wait for a connection raise Cancelled a second later.

        Example:
            >>> client = trit.aio.Client(address)
            >>> await client.close()
        """
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    def _close(self) -> None:
        self._twin._handle.close_begin()
        self._executor.close()
        self._twin.close()

    ping = _awaited(_client.Client.ping)
    project = _awaited(_client.Client.project)
    project_batch = _awaited(_client.Client.project_batch)
    buffer = _awaited(_client.Client.buffer)
    verify = _awaited(_client.Client.verify)
    pack = _awaited(_client.Client.pack)
    unpack = _awaited(_client.Client.unpack)
    backward = _awaited(_client.Client.backward)
