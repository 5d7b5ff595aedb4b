# SPDX-License-Identifier: Apache-2.0
"""How threads of this package, their readers and asyncio tell each other of something.

A KeyboardInterrupt in a method of threading.Event, threading.Condition or queue.Queue can leave
its lock locked for ever, and a handler of a signal cannot call a method of the one that it
interrupts. What is here has neither fault: it needs no lock that a statement holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Callable, List


class Flag:
    """Is set once, by any thread. Nothing waits for it."""

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """Sets it."""
        self._is_set = True

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._is_set


class Bell:
    """Wakes one thread that waits, or else the next one that will."""

    def __init__(self) -> None:
        self._silent = threading.Lock()

    def ring(self) -> None:
        """Ends a wait. Any thread may call it."""
        with contextlib.suppress(RuntimeError):  # it has rung already
            self._silent.release()

    def wait(self, seconds: float) -> None:
        """Returns after a ring or after the time. It can return without a ring."""
        self._silent.acquire(timeout=seconds)


class Wakers:
    """Who is told that a thread has something new."""

    def __init__(self) -> None:
        self._wakers: List[Callable[[], None]] = []  # only by methods that are atomic

    def tell(self) -> None:
        """Wakes all that wait. Any thread may call it."""
        for wake in list(self._wakers):
            wake()

    async def wait(self, ready: Callable[[], bool]) -> None:
        """Waits until `ready`, which must come true before a call of `tell`."""
        loop, told = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(told.set)

        self._wakers.append(wake)
        try:
            while not ready():
                await told.wait()
                told.clear()
        finally:
            self._wakers.remove(wake)
