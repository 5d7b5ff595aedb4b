# SPDX-License-Identifier: Apache-2.0
"""Reports as they are filed: a thread waits for them in libtrit, and an iterator gives them."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import Any, Callable, Optional, Union

from ._call import Call, called_back, cancelled_by
from ._native import ffi, lib, new
from ._wake import Bell, Flag, Wakers
from .errors import Cancelled, DeadlineExceeded

# Reports that the iterator has not taken yet; when they are so many, the thread waits.
WAITING_MAX = 256
# How long the thread waits for a place before it looks whether the watch was closed.
_PLACE_SECONDS = 0.1


class _End:
    """What the thread leaves last: how the watch ended."""

    def __init__(self, raised: Optional[BaseException]) -> None:
        self.raised = raised


class Watching:
    """One watch: its thread, and what it has received."""

    def __init__(
        self, handle: Any, options: Any, read: Callable[[Any, str], Any], timeout: float
    ) -> None:
        self._options, self._read, self._timeout = options, read, timeout
        self._client = handle
        self.borrowed: Any = None  # what the options point to
        self._closed = Flag()
        self._received: queue.SimpleQueue[Union[Any, _End]] = queue.SimpleQueue()
        self._room = Bell()
        self._end: Optional[_End] = None
        self._wakers = Wakers()
        self._is_over = False  # the thread makes no call any more
        self._handle = ffi.new_handle(self)
        self._thread = threading.Thread(target=self._run, name="trit-watch", daemon=True)
        handle.watches.add(self)
        self._thread.start()

    def _run(self) -> None:
        end = _End(None)
        try:
            with cancelled_by(self._closed):
                self._watch()
        except (Cancelled, DeadlineExceeded) as ended:
            # Its own time is over, or `close` ended it.
            if not self._closed.is_set() and not isinstance(ended, DeadlineExceeded):
                end = _End(ended)
        except BaseException as raised:
            end = _End(raised)
        self._received.put(end)
        self._is_over = True
        self._wakers.tell()

    def _watch(self) -> None:
        call, report = Call(self._timeout), new("struct trit_report *")
        call.fill(self._options.call)
        call.check(
            lib.trit_reports_watch(
                self._client.client(), self._options, report, _on_filed, self._handle, call.error
            )
        )

    def _put(self, item: Any) -> None:
        while not self._closed.is_set():
            if self._received.qsize() < WAITING_MAX:
                self._received.put(item)
                self._wakers.tell()
                return
            self._room.wait(_PLACE_SECONDS)

    def filed(self, report: Any, cursor: str) -> int:
        """Takes a report from libtrit. Nonzero ends the watch."""
        self._put(self._read(report, cursor))
        return int(self._closed.is_set())

    def take(self) -> Any:
        """The next report; None at the end."""
        if self._end is None:
            item = self._received.get()
            self._room.ring()
            if not isinstance(item, _End):
                return item
            self._end = item
        raised, self._end.raised = self._end.raised, None
        if raised is not None:
            raise raised
        return None

    async def wait_ready(self) -> None:
        """Waits, in asyncio, until `take` will not wait."""
        await self._wakers.wait(lambda: self._end is not None or not self._received.empty())

    def abandon(self) -> None:
        """Ends the watch. Its remaining reports are dropped."""
        self._closed.set()

    def close(self) -> None:
        """Ends the watch and wakes `take`."""
        self._leave_end()
        if threading.current_thread() is not self._thread:
            with contextlib.suppress(RuntimeError):  # a Ctrl-C came before its start
                self._thread.join()

    async def wait_closed(self) -> None:
        """`close`, in asyncio."""
        self._leave_end()
        await self._wakers.wait(lambda: self._is_over)

    def _leave_end(self) -> None:
        self._closed.set()
        self._received.put(_End(None))
        self._wakers.tell()


@ffi.callback(  # type: ignore[untyped-decorator]
    "int(void *, const struct trit_report *, const char *)", error=1
)
@called_back
def _on_filed(arg: Any, report: Any, cursor: Any) -> Any:
    return ffi.from_handle(arg).filed(report, ffi.string(cursor).decode())
