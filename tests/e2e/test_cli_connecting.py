# SPDX-License-Identifier: Apache-2.0
"""trit and peers that never answer: a deadline and a signal end it while it connects."""
import os
import signal
import socket
import subprocess

import numpy as np
import pytest

from checkpoints import save
from tritd import BINARIES, CALL_SECONDS, RUNNER, cli

SILENCES = ["unix backlog", "tcp backlog", "tls", "http2"]


@pytest.fixture
def listen(tmp_path):
    """Starts a silent peer; gives its listener and trit's options. A full backlog has one
    connection."""
    sockets = []

    def start(silence):
        family = socket.AF_UNIX if silence.startswith("unix") else socket.AF_INET
        listener = socket.socket(family)
        listener.bind(str(tmp_path / "s") if family == socket.AF_UNIX else ("127.0.0.1", 0))
        name = listener.getsockname()
        sockets.append(listener)
        listener.listen(0 if "backlog" in silence else 16)
        if "backlog" in silence:
            sockets.append(socket.socket(family))
            sockets[-1].connect(name)
        address = f"unix:{name}" if family == socket.AF_UNIX else f"127.0.0.1:{name[1]}"
        return listener, ["--server", address, *(["--tls"] if silence == "tls" else [])]

    yield start
    for each in sockets:
        each.close()


@pytest.mark.parametrize("silence", SILENCES)
def test_a_deadline_ends_it(listen, silence):
    done = cli(None, "ping", *listen(silence)[1], "-t", "0.1")
    assert done.returncode == 3 and "trit: DEADLINE_EXCEEDED: " in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_projection_that_connects(listen, tmp_path, number):
    """The process ends by the signal, and leaves no output."""
    listener, server = listen("tls")
    save(tmp_path / "in.safetensors", {"fc.weight": np.ones((4, 128), np.float32)})
    before = sorted(os.listdir(tmp_path))
    command = subprocess.Popen(
        [*RUNNER, str(BINARIES / "trit"), "project", "in.safetensors", "-o", "out.safetensors",
         *server], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True)
    peer, _ = listener.accept()
    command.send_signal(number)
    error = command.communicate(timeout=CALL_SECONDS)[1]
    assert command.returncode == -number and "handshake" not in error
    assert sorted(os.listdir(tmp_path)) == before
    peer.close()
