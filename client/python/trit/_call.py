# SPDX-License-Identifier: Apache-2.0
"""One call into libtrit: options, progress, the exception of its status.

libtrit tells its progress from the thread that calls, at least every 100 ms. A
call that anybody may want to stop (by Ctrl-C in the main thread, by cancelling
a task, by an exception in the caller's own callback) is stopped there: the
callback returns nonzero, libtrit resets the stream and answers CANCELLED.
"""
from __future__ import annotations

import numbers
import threading
from typing import Any, Callable, Optional, Protocol, Union

from ._native import ffi, lib, new
from .errors import InvalidArgument, error_of


class Bar(Protocol):
    """A tqdm bar, or what looks like one; its total is set."""

    total: Any

    def update(self, n: int) -> Any: ...


# Told the number of bytes sent since it was last told, as `bar.update` is.
Progress = Union[Callable[[int], Any], Bar]


class Watch:
    """What one call's progress callback serves."""

    def __init__(self, progress: Optional[Progress], cancelled: Optional[threading.Event]):
        self._bar: Any = progress if hasattr(progress, "update") else None
        self._update: Any = progress if self._bar is None else self._bar.update
        self._cancelled = cancelled
        self._told = 0
        self.raised: Optional[BaseException] = None

    def __call__(self, done: int, total: int) -> int:
        try:
            if self._cancelled is not None and self._cancelled.is_set():
                return 1
            if self._update is not None and done > self._told:
                if self._bar is not None and getattr(self._bar, "total", None) != total:
                    self._bar.total = total
                step, self._told = done - self._told, done
                self._update(step)
        except BaseException as raised:
            self.raised = raised
            return 1
        return 0


def _interrupted(exception, value, traceback):
    """Ctrl-C struck between C and Watch.__call__: the call's thread is told here."""
    _pending.raised = value
    return 1


_pending = threading.local()


@ffi.callback("int(void *, uint64_t, uint64_t)", error=1, onerror=_interrupted)
def _on_progress(arg, done, total):
    return ffi.from_handle(arg)(done, total)


class Call:
    """A call's options, filled in, and what must outlive it."""

    def __init__(self, timeout: Optional[float], progress: Optional[Progress],
                 cancelled: Optional[threading.Event]):
        self.watch: Optional[Watch] = None
        self._handle = None
        self._timeout_ms = timeout_ms(timeout)
        self.error = new("struct trit_error *")
        main = threading.current_thread() is threading.main_thread()
        if progress is not None or cancelled is not None or main:
            self.watch = Watch(progress, cancelled)
            self._handle = ffi.new_handle(self.watch)

    def fill(self, options: Any) -> None:
        options.timeout_ms = self._timeout_ms
        if self._handle is not None:
            options.progress = _on_progress
            options.progress_arg = self._handle

    def check(self, status: int) -> None:
        """Raises what went wrong: the callback's own exception before CANCELLED."""
        if status == lib.TRIT_OK:
            return
        raised = self.watch.raised if self.watch is not None else None
        raised = raised or getattr(_pending, "raised", None)
        _pending.raised = None
        if raised is not None:
            raise raised
        raise error_of(status, ffi.string(self.error.message).decode("utf-8", "replace"),
                       ffi.string(self.error.field).decode("utf-8", "replace"))


def timeout_ms(seconds: Optional[float]) -> int:
    """Seconds as libtrit's milliseconds: at least 1, for 0 means none there; what is far
    off, infinity too, is no limit there."""
    if seconds is None:
        return 0
    if isinstance(seconds, bool) or not isinstance(seconds, numbers.Real) or not seconds >= 0:
        raise InvalidArgument(f"timeout: {seconds!r} is no number of seconds from 0 on; None is "
                              "the default, math.inf no limit", "timeout")
    return max(1, int(min(seconds, 2**52) * 1000))


def text(value: str, field: str) -> Any:
    """A string for C, where it would end at a NUL."""
    if "\0" in value:
        raise InvalidArgument(f"{field}: {value!r} has a NUL character", field)
    return ffi.new("char[]", value.encode())


def unsigned(value: int, limit: int, field: str) -> int:
    """A count below a limit."""
    if not 0 <= value < limit:
        raise InvalidArgument(f"{field}: {value} is not in 0 to {limit - 1}", field)
    return value
