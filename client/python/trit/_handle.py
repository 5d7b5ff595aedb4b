# SPDX-License-Identifier: Apache-2.0
"""libtrit's client, owned."""
from __future__ import annotations

import os
import threading
import weakref
from typing import Any, Optional

from ._call import text, timeout_ms
from ._native import ffi, lib, new
from .errors import FailedPrecondition, error_of


class Handle:
    """A `struct trit_client`, closed once and never under a running call.

    A forked child shares the parent's sockets, and perhaps a lock that some
    thread of the parent held: it starts with a lock of its own, connects anew
    and leaves the copy alone, for to close it would say goodbye on the parent's
    connections.
    """

    def __init__(self, address: Optional[str], timeout: Optional[float], connections: int,
                 stream_bytes_min: int, message_bytes_max: int) -> None:
        self._address = None if address is None else text(address, "address")
        self._options = new("struct trit_connect_options *", {
            "address": ffi.NULL if self._address is None else self._address,
            "timeout_ms": timeout_ms(timeout), "connections": connections,
            "stream_bytes_min": stream_bytes_min, "message_bytes_max": message_bytes_max})
        self._open = True
        self._forked()
        self._connect()
        _handles.add(self)

    def _forked(self) -> None:
        self._changed = threading.Condition()
        self._running = 0
        self._client = ffi.NULL

    def _connect(self) -> None:
        made, error = ffi.new("struct trit_client **"), new("struct trit_error *")
        status = lib.trit_connect(made, self._options, error)
        if status != lib.TRIT_OK:
            raise error_of(status, ffi.string(error.message).decode(),
                           ffi.string(error.field).decode())
        self._client = made[0]

    def __enter__(self) -> Any:
        with self._changed:
            if not self._open:
                raise FailedPrecondition("the client is closed")
            if self._client == ffi.NULL:
                self._connect()
            self._running += 1
            return self._client

    def __exit__(self, *_: Any) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def close(self) -> None:
        """Waits for running calls. Twice is harmless."""
        with self._changed:
            self._open = False
            while self._running:
                self._changed.wait()
            lib.trit_close(self._client)
            self._client = ffi.NULL


_handles: "weakref.WeakSet[Handle]" = weakref.WeakSet()


def _after_fork() -> None:
    for handle in list(_handles):
        handle._forked()


os.register_at_fork(after_in_child=_after_fork)
