# SPDX-License-Identifier: Apache-2.0
"""The progress of a job: a thread has libtrit receive it, and an iterator gives it."""

from __future__ import annotations

import collections
import contextlib
import json
import threading
from typing import Any, Callable, Deque, Generic, List, Optional, TypeVar

from ._call import Call, called_back, cancellation
from ._handle import Handle
from ._native import ffi, new
from ._rules import with_findings, with_integers
from ._wake import Bell, Flag, Wakers
from .errors import Cancelled, Error

# The most messages that wait for the reader. Then the thread that receives them waits.
WAITING_MAX = 256
# How long a wait lasts before it looks again, also whether it was cancelled.
_LOOK_SECONDS = 0.1

_Progress = TypeVar("_Progress")


class JobStream(Generic[_Progress]):
    """One call that streams the progress of a job.

    `begin(handle, call, progress, visit, arg)` makes the call and returns its status. `read`
    makes what the iterator gives from a `struct trit_job_progress`. `borrowed` outlives the
    call.
    """

    def __init__(
        self,
        handle: Handle,
        begin: Callable[[Handle, Call, Any, Any, Any], int],
        read: Callable[[Any], _Progress],
        timeout: Optional[float],
        borrowed: Optional[List[Any]] = None,
    ) -> None:
        self._client, self._begin, self._read = handle, begin, read
        self._borrowed = borrowed
        self._closed = Flag()
        self._call = Call(timeout, cancelled=self._closed)
        self._news, self._room = Bell(), Bell()
        self._waiting: Deque[_Progress] = collections.deque()
        self._ended = False
        self._raised: Optional[BaseException] = None
        self._text: List[str] = []
        self._finished = False
        self.job: Optional[str] = None
        self._wakers = Wakers()
        self._handle = ffi.new_handle(self)
        self._thread = threading.Thread(target=self._run, name="trit-job", daemon=True)
        handle.watches.add(self)
        self._thread.start()

    # ---- on the thread -------------------------------------------------------------------

    def _run(self) -> None:
        raised: Optional[BaseException] = None
        try:
            call, progress = self._call, new("struct trit_job_progress *")
            call.check(self._begin(self._client, call, progress, _on_progress, self._handle))
        except Error as error:
            field = error.field.replace("request.", "").replace("options.", "")
            raised = type(error)(error.message, field)
        except BaseException as error:
            raised = error
        self._raised = self._raised or raised
        self._ended = True
        self._tell()

    def _tell(self) -> None:
        self._news.ring()
        self._wakers.tell()

    def take(self, c: Any) -> int:
        """Takes a message from libtrit. Nonzero ends the call."""
        try:
            self._keep(c)
        except BaseException as raised:
            self._raised = raised
            return 1
        return int(self._closed.is_set())

    def _keep(self, c: Any) -> None:
        part, finished = ffi.string(c.result).decode(), c.verdict[0] != b"\0"
        if part:
            self._text.append(part)
        progress = self._read(c)
        while len(self._waiting) >= WAITING_MAX and not self._closed.is_set():
            self._room.wait(_LOOK_SECONDS)
        self.job = ffi.string(c.job).decode()
        self._finished = finished
        if finished or not part:
            self._waiting.append(progress)
        self._tell()

    # ---- for the caller ------------------------------------------------------------------

    def _wait(self, ready: Callable[[], bool]) -> None:
        """Waits until `ready` or the end."""
        cancelled = cancellation()
        while not ready() and not self._ended:
            self._news.wait(_LOOK_SECONDS)
            if cancelled is not None and cancelled.is_set():
                self._closed.set()
                raise Cancelled("the call was cancelled")

    def started(self) -> str:
        """Waits for the daemon to accept the job; returns its name."""
        self._wait(lambda: self.job is not None)
        if self.job is None:
            self._check()
        return self.job or ""

    async def wait_ready(self) -> None:
        """Waits, in asyncio, until `next` will not wait."""
        await self._wakers.wait(lambda: self._ended or bool(self._waiting))

    def next(self) -> Optional[_Progress]:
        """The next message; None at the end of a job that came to a result."""
        ended = False
        while not ended:
            self._wait(lambda: bool(self._waiting))
            ended = self._ended
            with contextlib.suppress(IndexError):  # another thread took it
                progress = self._waiting.popleft()
                self._room.ring()
                return progress
        if not self._closed.is_set():
            self._check()
        return None

    def _check(self) -> None:
        if self._raised is not None:
            raise self._raised
        if not self._finished:
            raise Cancelled("the job is not watched any more; `attach` watches it again")

    def result(self) -> Any:
        """The result as `trit --json` prints it, once the stream has ended."""
        self._check()
        result = json.loads("".join(self._text))
        result.setdefault("findings", [])  # a list of tensors has none
        return with_findings(with_integers(result))

    def abandon(self) -> None:
        """Ends the call soon. The daemon then cancels the job, unless it is detached."""
        self._closed.set()

    def close(self) -> None:
        """Ends the call and waits until it has ended. Messages that were not read are dropped."""
        self._closed.set()
        if threading.current_thread() is not self._thread:
            with contextlib.suppress(RuntimeError):  # a Ctrl-C came before its start
                self._thread.join()
        self._waiting.clear()

    async def wait_closed(self) -> None:
        """`close`, in asyncio."""
        self._closed.set()
        await self._wakers.wait(lambda: self._ended)
        self._waiting.clear()


@ffi.callback("int(void *, const struct trit_job_progress *)", error=1)  # type: ignore[untyped-decorator]
@called_back
def _on_progress(arg: Any, progress: Any) -> Any:
    return ffi.from_handle(arg).take(progress)
