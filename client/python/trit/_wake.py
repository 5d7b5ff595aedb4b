# SPDX-License-Identifier: Apache-2.0
"""How asyncio waits for a thread of this package without a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Callable, List


class Wakers:
    """Who is told that a thread has something new."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wakers: List[Callable[[], None]] = []

    def tell(self) -> None:
        """Wakes all that wait. Any thread may call it."""
        with self._lock:
            wakers = list(self._wakers)
        for wake in wakers:
            wake()

    async def wait(self, ready: Callable[[], bool]) -> None:
        """Waits until `ready`, which must come true before a call of `tell`."""
        loop, told = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(told.set)

        with self._lock:
            self._wakers.append(wake)
        try:
            while not ready():
                await told.wait()
                told.clear()
        finally:
            with self._lock:
                self._wakers.remove(wake)
