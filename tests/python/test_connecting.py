# SPDX-License-Identifier: Apache-2.0
"""Calls to peers that never answer end by a deadline, a Ctrl-C, a cancellation or close."""

import asyncio
import os
import signal
import socket
import threading

import pytest

import trit

SILENCES = ["unix backlog", "tcp backlog", "tls", "http2"]


def _listen(silence, tmp_path):
    """A listener, and the client's address. A full backlog has one connection."""
    full = silence.endswith("backlog")
    family = socket.AF_UNIX if silence.startswith("unix") else socket.AF_INET
    listener = socket.socket(family)
    listener.bind(str(tmp_path / "s") if family == socket.AF_UNIX else ("127.0.0.1", 0))
    listener.listen(0 if full else 16)
    name = listener.getsockname()
    filler = socket.socket(family)
    if full:
        filler.connect(name)
    return listener, filler, f"unix:{name}" if family == socket.AF_UNIX else f"127.0.0.1:{name[1]}"


@pytest.fixture(params=SILENCES)
def silent(request, tmp_path):
    """The address of each kind of silent peer, and whether the client uses TLS."""
    listener, filler, address = _listen(request.param, tmp_path)
    yield address, request.param == "tls"
    listener.close()
    filler.close()


@pytest.fixture
def handshake(tmp_path):
    """A peer that accepts, and does not answer the TLS handshake."""
    listener, filler, address = _listen("tls", tmp_path)
    yield listener, address
    listener.close()
    filler.close()


# A deadline ends a call while it connects to a silent peer.
def test_a_deadline_ends_connecting(silent):
    address, tls = silent
    with trit.Client(address, tls=tls) as client, pytest.raises(trit.DeadlineExceeded):
        client.ping(timeout=0.05)


# Ctrl-C ends a call while its peer does not answer the handshake, and close does not wait.
def test_ctrl_c_ends_connecting(handshake):
    listener, address = handshake

    def interrupt():
        peer, _ = listener.accept()
        os.kill(os.getpid(), signal.SIGINT)
        accepted.append(peer)

    accepted = []
    thread = threading.Thread(target=interrupt)
    client = trit.Client(address, tls=True)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        client.ping()
        thread.join()
    thread.join()
    signal.signal(signal.SIGINT, before)
    client.close()
    accepted[0].close()


# close ends a call of another thread that connects, also one that waits for the daemon.
@pytest.mark.parametrize("waits", [False, True])
def test_close_ends_connecting(handshake, waits):
    listener, address = handshake
    raised = []

    def call():
        with pytest.raises(trit.Cancelled) as caught:
            client.ping()
        raised.append(str(caught.value))

    client = trit.Client(address, tls=True, wait_for_ready=waits)
    thread = threading.Thread(target=call)
    thread.start()
    peer, _ = listener.accept()
    client.close()
    thread.join()
    assert raised == ["the client was closed while the call waited for a connection"]
    peer.close()


# close of an asyncio client ends a call that connects; so does the cancellation of its task.
@pytest.mark.parametrize("cancels", [False, True])
def test_asyncio_ends_connecting(handshake, cancels):
    listener, address = handshake

    async def run():
        client = trit.aio.Client(address, tls=True)
        task = asyncio.create_task(client.ping())
        peer, _ = await asyncio.get_running_loop().run_in_executor(None, listener.accept)
        if cancels:
            task.cancel()
        await client.close()
        with pytest.raises(asyncio.CancelledError if cancels else trit.Cancelled):
            await task
        peer.close()

    asyncio.run(run())
