"""libtrit's client, owned."""
from __future__ import annotations

import os
import threading
from typing import Any

from ._call import timeout_ms
from ._native import ffi, lib
from .errors import FailedPrecondition, error_of


class Handle:
    """A `struct trit_client`, closed once and never under a running call.

    After a fork the child's copy shares sockets with the parent, so the child
    connects anew and leaves the copy alone: to close it would say goodbye on
    the parent's connections.
    """

    def __init__(self, options: dict):
        self._options = options
        self._changed = threading.Condition()
        self._running = 0
        self._open = True
        self._pid = 0
        self._client = ffi.NULL
        with self._changed:
            self._connect()

    def _connect(self) -> None:
        given = self._options
        address = given["address"]
        kept = ffi.NULL if address is None else ffi.new("char[]", address.encode())
        options = ffi.new("struct trit_connect_options *", {
            "address": kept, "timeout_ms": timeout_ms(given["timeout"]),
            "connections": given["connections"],
            "stream_bytes_min": given["stream_bytes_min"],
            "message_bytes_max": given["message_bytes_max"]})
        made, error = ffi.new("struct trit_client **"), ffi.new("struct trit_error *")
        status = lib.trit_connect(made, options, error)
        if status != lib.TRIT_OK:
            raise error_of(status, ffi.string(error.message).decode(),
                           ffi.string(error.field).decode())
        self._client, self._pid = made[0], os.getpid()

    def __enter__(self) -> Any:
        if self._pid != os.getpid():
            self._changed, self._running = threading.Condition(), 0
        with self._changed:
            if not self._open:
                raise FailedPrecondition("the client is closed")
            if self._pid != os.getpid():
                self._connect()
            self._running += 1
            return self._client

    def __exit__(self, *_: Any) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._open = False
            while self._running:
                self._changed.wait()
            if self._pid == os.getpid():
                lib.trit_close(self._client)
            self._client, self._pid = ffi.NULL, 0
