# SPDX-License-Identifier: Apache-2.0
"""libtrit's client, owned by a Python object."""

from __future__ import annotations

import os
import queue
import threading
import weakref
from typing import Any, Callable, Optional

from ._arguments import PathLike, c_secret, c_text, path_of, unsigned
from ._call import in_callback, timeout_ms
from ._memory import Reused
from ._native import ffi, lib, new
from ._retry import RetryPolicy, c_policy, c_wait
from ._secure import AnyTLS, tls_options
from .errors import FailedPrecondition, InvalidArgument, error_of

CONNECTIONS_MAX = 16


class Handle:
    """A `struct trit_client` that is closed once and never under a running call.

    A forked child shares the parent's sockets, and perhaps a lock that a thread of the
    parent held. The child therefore starts with a new lock, connects again and does not
    close the parent's client, because that would end the parent's connections.
    """

    def __init__(
        self,
        address: Optional[str],
        timeout: Optional[float],
        connections: int,
        stream_bytes_min: int,
        message_bytes_max: int,
        token: Optional[str],
        token_file: Optional[PathLike],
        tls: AnyTLS,
        wait_for_ready: bool,
        retry: Optional[RetryPolicy],
    ) -> None:
        self._address = ffi.NULL if address is None else c_text(address, "address")
        self._token = ffi.NULL if token is None else c_secret(token, "token")
        self._token_file = ffi.NULL
        if token_file is not None:
            self._token_file = c_text(path_of(token_file, "token_file"), "token_file")
            if self._token_file[0] == b"\0":
                raise InvalidArgument("token_file: '' is not the path of a file", "token_file")
        tls_members, self._tls = tls_options(tls)
        self._retry = c_policy(retry)
        self._options = new(
            "struct trit_connect_options *",
            {
                "address": self._address,
                "timeout_ms": timeout_ms(timeout),
                "connections": unsigned(connections, CONNECTIONS_MAX + 1, "connections"),
                "stream_bytes_min": unsigned(stream_bytes_min, 2**64, "stream_bytes_min"),
                "message_bytes_max": unsigned(message_bytes_max, 2**64, "message_bytes_max"),
                "token": self._token,
                "token_file": self._token_file,
                "wait_for_ready": c_wait(wait_for_ready),
                "retry": self._retry,
                **tls_members,
            },
        )
        self._open = True
        self.memory = Reused()
        self._forked()
        self._connect()
        _handles.add(self)

    def __reduce__(self) -> Any:
        raise TypeError(
            "a part of a trit.Client cannot be pickled or copied by itself: take the client, and "
            "its attribute (client.reports, client.layers, client.checkpoints) from the copy"
        )

    def _forked(self) -> None:
        self.watches: weakref.WeakSet[Any] = weakref.WeakSet()  # `close` ends them
        self._lock = threading.RLock()  # garbage of the thread that holds it may free a buffer
        self._pointer = ffi.NULL  # for `trit_close`
        self._lent: Any = None  # the same pointer, for calls
        self._calls: Callable[[], Any] = lambda: None  # a weak reference to `_lent`
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def _connect(self) -> None:
        client, error = ffi.new("struct trit_client **"), new("struct trit_error *")
        status = lib.trit_connect(client, self._options, error)
        if status != lib.TRIT_OK:
            raise error_of(
                status, ffi.string(error.message).decode(), ffi.string(error.field).decode()
            )
        self._pointer = client[0]
        self._lent = ffi.cast("struct trit_client *", client[0])

    def client(self) -> Any:
        """The `struct trit_client *`, to be written as an argument of the call that gets it.

        `close` waits while anything refers to it. An argument's reference goes with the call,
        also where a Ctrl-C is raised; one of a variable would stay in the traceback.
        """
        return self._lent or self._connected()

    def _connected(self) -> Any:
        with self._lock:
            if not self._open:
                raise FailedPrecondition("the client is closed")
            if self._lent is None:
                self._connect()
            return self._lent

    def free_buffer(self, buffer: Any) -> None:
        """Frees a `struct trit_buffer *` of this client, which may be closed."""
        with self._lock:
            lib.trit_buffer_free(buffer)

    def close_begin(self) -> None:
        """Ends calls that wait for a connection, a second later."""
        with self._lock:
            lib.trit_close_begin(self._pointer)

    def close(self) -> None:
        """Ends watches and calls without a connection, waits for running calls, then closes.

        A second close does nothing.
        """
        watches = list(self.watches)
        for watch in watches:  # their threads end side by side
            watch.abandon()
        for watch in watches:
            watch.close()
        self.close_begin()
        with self._lock:
            self._open = False
            self.memory = Reused()
            if self._lent is not None:
                self._calls = weakref.ref(self._lent, self._ended.put)
                self._lent = None
        while self._calls() is not None:
            if in_callback():
                raise FailedPrecondition(
                    "close: a callback or a handler of a signal cannot wait for the call that it "
                    "interrupts; close the client again after the call"
                )
            self._ended.put(self._ended.get())  # another `close` may wait too
        with self._lock:
            pointer, self._pointer = self._pointer, ffi.NULL
            lib.trit_close(pointer)


_handles: weakref.WeakSet[Handle] = weakref.WeakSet()


def _after_fork() -> None:
    for handle in list(_handles):
        handle._forked()


os.register_at_fork(after_in_child=_after_fork)
