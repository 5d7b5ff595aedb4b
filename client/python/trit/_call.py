# SPDX-License-Identifier: Apache-2.0
"""One call into libtrit: its options, its progress and its exception.

libtrit reports progress from the calling thread, at least every 100 ms. Its progress
callback is also where a call can be stopped: by Ctrl-C in the main thread, by a cancelled
asyncio task, or by an exception of the caller's own callback. The callback then returns
nonzero, libtrit resets the stream, and the call ends with CANCELLED.
"""

from __future__ import annotations

import contextlib
import numbers
import sys
import threading
import time
from typing import Any, Callable, Iterator, NamedTuple, Optional, Protocol, Set, TypeVar, Union

import numpy as np

from ._arguments import wrong_type
from ._native import ffi, lib, new
from ._wake import Flag
from .errors import DeadlineExceeded, InvalidArgument, error_of


class Bar(Protocol):
    """A progress bar of tqdm, or an object like it."""

    total: Any

    def update(self, n: int) -> Any:
        """Adds `n` to the bar's count."""


# Called with the number of bytes done since the last call, as `bar.update` is.
Progress = Union[Callable[[int], Any], Bar]


def check_progress(progress: Optional[Progress]) -> None:
    """Refuses an object that cannot show progress."""
    if progress is not None and not callable(getattr(progress, "update", progress)):
        raise wrong_type("progress", "a function or a tqdm bar", progress)


# ---- cancellation ------------------------------------------------------------------------

_thread = threading.local()


@contextlib.contextmanager
def cancelled_by(flag: Flag) -> Iterator[None]:
    """Calls of this thread end with CANCELLED once `flag` is set."""
    _thread.cancelled = flag
    try:
        yield
    finally:
        _thread.cancelled = None


def cancellation() -> Optional[Flag]:
    """The flag that cancels this thread's calls; None if nothing does."""
    flag: Optional[Flag] = getattr(_thread, "cancelled", None)
    return flag


NO_LIMIT_MS = 2**52 * 1000

# ---- deadlines ---------------------------------------------------------------------------


class Deadline(NamedTuple):
    """When the call of an asyncio task ends, also if it still waits for a thread."""

    at: float  # time.monotonic()
    timeout_ms: int

    def left(self) -> float:
        """The seconds until then."""
        return max(0.0, self.at - time.monotonic())

    def missed(self) -> DeadlineExceeded:
        """The exception of a call that no thread has begun; the caller raises it."""
        return DeadlineExceeded(
            f"no complete reply within {self.timeout_ms} ms: all threads of the client were busy; "
            "trit.aio.Client(threads=...) has more"
        )


def deadline_after(timeout: Optional[float]) -> Optional[Deadline]:
    """The deadline of a call that begins now; None without a limit."""
    count = timeout_ms(timeout)
    if count in (0, NO_LIMIT_MS):
        return None
    return Deadline(time.monotonic() + count / 1000, count)


@contextlib.contextmanager
def ends_at(deadline: Optional[Deadline]) -> Iterator[None]:
    """The first call of this thread has the time that is left now, whatever its timeout."""
    _thread.left = None if deadline is None else deadline.left()
    try:
        yield
    finally:
        _thread.left = None


def _time_left() -> Optional[float]:
    left: Optional[float] = getattr(_thread, "left", None)
    _thread.left = None
    return left


# ---- progress ----------------------------------------------------------------------------


class Watch:
    """What one call's progress callback does. `raised` is what the caller's raised."""

    def __init__(self, progress: Optional[Progress], cancelled: Optional[Flag]) -> None:
        self._bar: Any = progress if hasattr(progress, "update") else None
        self._update: Any = progress if self._bar is None else self._bar.update
        self._cancelled = cancelled
        self._reported = 0
        self.raised: Optional[BaseException] = None

    def __call__(self, done: int, total: int) -> int:
        try:
            if self._cancelled is not None and self._cancelled.is_set():
                return 1
            if self._update is not None and done > self._reported:
                if self._bar is not None and getattr(self._bar, "total", None) != total:
                    self._bar.total = total
                step, self._reported = done - self._reported, done
                self._update(step)
        except BaseException as raised:
            self.raised = raised
            return 1
        return 0


# ---- callbacks ---------------------------------------------------------------------------

_Function = TypeVar("_Function", bound=Callable[..., Any])
_callbacks: Set[Any] = set()  # code objects of the functions that libtrit calls


def called_back(function: _Function) -> _Function:
    """Marks a function that libtrit calls; it stands below each `ffi.callback`."""
    _callbacks.add(function.__code__)
    return function


def in_callback() -> bool:
    """Whether this thread is in a callback of libtrit, and so in a call.

    It looks at the frames. A handler of a signal can run before the callback's first line, where
    the callback could not have set a flag yet.
    """
    frame: Any = sys._getframe()
    while frame is not None:
        if frame.f_code in _callbacks:
            return True
        frame = frame.f_back
    return False


@called_back
def interrupted(exception: Any, value: BaseException, traceback: Any) -> int:
    """Is `onerror` of a callback: keeps a Ctrl-C that came before its `try` for the call."""
    _thread.raised = value
    return 1


@called_back
def interrupted_void(exception: Any, value: BaseException, traceback: Any) -> None:
    """The same for a callback without a result, which cannot end the call."""
    _thread.raised = value


@ffi.callback("int(void *, uint64_t, uint64_t)", error=1, onerror=interrupted)  # type: ignore[untyped-decorator]
@called_back
def _on_progress(arg: Any, done: int, total: int) -> Any:
    return ffi.from_handle(arg)(done, total)


# ---- the call ----------------------------------------------------------------------------


class Call:
    """The options of one call, and the memory that must outlive it.

    A `probe` fails immediately if the daemon cannot be reached, whatever the client's options.
    `cancelled` ends the call in place of what cancels calls of this thread.
    """

    def __init__(
        self,
        timeout: Optional[float],
        progress: Optional[Progress] = None,
        probe: bool = False,
        cancelled: Optional[Flag] = None,
    ) -> None:
        self._timeout_ms = timeout_ms(timeout)
        left = _time_left()
        if left is not None:
            self._timeout_ms = timeout_ms(left)
        self._probe = probe
        check_progress(progress)
        self.watch: Optional[Watch] = None
        self._handle: Any = None
        self.error = new("struct trit_error *")
        cancelled = cancelled or cancellation()
        main = threading.current_thread() is threading.main_thread()
        if progress is not None or cancelled is not None or main:
            self.watch = Watch(progress, cancelled)
            self._handle = ffi.new_handle(self.watch)

    def fill(self, options: Any) -> None:
        """Fills a struct trit_call_options."""
        options.timeout_ms = self._timeout_ms
        if self._probe:
            options.wait_for_ready, options.no_retry = lib.TRIT_WAIT_OFF, True
        if self._handle is not None:
            options.progress = _on_progress
            options.progress_arg = self._handle

    def check(self, status: int) -> None:
        """Raises the exception of a status; that of the caller's callback comes first.

        A list that a callback ends is no failure for libtrit, but a Ctrl-C in it is.
        """
        raised: Optional[BaseException] = getattr(_thread, "raised", None)
        _thread.raised = None
        if status == lib.TRIT_OK and raised is None:
            return
        if self.watch is not None and self.watch.raised is not None:
            raised = self.watch.raised
        if raised is not None:
            raise raised
        raise error_of(
            status,
            ffi.string(self.error.message).decode("utf-8", "replace"),
            ffi.string(self.error.field).decode("utf-8", "replace"),
        )


def timeout_ms(seconds: Optional[float]) -> int:
    """Seconds as libtrit's milliseconds, where 0 means the default.

    A timeout is therefore at least 1 ms. libtrit takes very long ones, infinity too, for no
    limit.
    """
    if seconds is None:
        return 0
    if isinstance(seconds, (bool, np.bool_)) or not isinstance(seconds, numbers.Real):
        raise wrong_type("timeout", "a number of seconds, None or math.inf", seconds)
    if not seconds >= 0:  # also NaN
        raise InvalidArgument(
            f"timeout: {seconds!r} is not a number of seconds from 0 on; None is the default, "
            "math.inf is no limit",
            "timeout",
        )
    return max(1, int(min(seconds, 2**52) * 1000))  # at most NO_LIMIT_MS
