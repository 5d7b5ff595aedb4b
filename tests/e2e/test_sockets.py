# SPDX-License-Identifier: Apache-2.0
"""Sockets that the daemon does not bind as host:port: Unix sockets and systemd's."""
import os
import re
import select
import signal
import socket
import stat
import subprocess

import grpc
import numpy as np
import pytest

import reference as ref
from tritd import BINARIES, CALL_SECONDS, RUNNER, START_SECONDS, Refused, ternary_pb2_grpc

VALUES = np.random.default_rng(7).standard_normal((8, 256)).astype(np.float32)


def project(address):
    with grpc.insecure_channel(address) as connection:
        return ternary_pb2_grpc.TernaryStub(connection).Project(
            ref.project_request(VALUES), timeout=CALL_SECONDS).report


@pytest.mark.parametrize("words,mode", [((), 0o660), (("--unix-mode", "0600"), 0o600),
                                        (("--unix-mode", "777"), 0o777)])
def test_the_mode_of_a_unix_socket(start, tmp_path, words, mode):
    start("--listen", f"unix:{tmp_path}/s", *words)
    assert stat.S_IMODE(os.stat(tmp_path / "s").st_mode) == mode


@pytest.mark.parametrize("mode", ["rw", "888", "01777", ""])
def test_a_mode_that_is_none_is_refused(start, mode):
    with pytest.raises(Refused, match="from 0000 to 0777"):
        start("--unix-mode", mode)


class Activated:
    """tritd, started as systemd does it: with sockets that are open already."""

    def __init__(self, sockets, *words, folder):
        # The shell gives them their numbers. preexec_fn would run Python in a forked process,
        # which gRPC's threads do not survive.
        copies = [os.dup2(one.fileno(), 100 + at) for at, one in enumerate(sockets)]
        moves = " ".join(f"{3 + at}<&{one} {one}<&-" for at, one in enumerate(copies))
        shell = f'exec {moves}; exec env LISTEN_PID=$$ LISTEN_FDS={len(copies)} "$@"'
        self.log = open(folder / "log", "wb")
        self.process = subprocess.Popen(
            ["bash", "-c", shell, "bash", *RUNNER, str(BINARIES / "tritd"), "--http", "off",
             *words],
            stdout=subprocess.PIPE, stderr=self.log, pass_fds=copies)
        for one in copies:
            os.close(one)
        self.line = b""
        while not self.line.endswith(b"\n"):
            assert select.select([self.process.stdout], [], [], START_SECONDS)[0]
            byte = os.read(self.process.stdout.fileno(), 1)
            if not byte:
                break
            self.line += byte

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(CALL_SECONDS)
        self.process.stdout.close()
        self.log.close()
        return code


def listening(address, family=socket.AF_INET):
    one = socket.socket(family)
    one.bind(address)
    one.listen()
    return one


@pytest.mark.parametrize("words", [(), ("--listen", "systemd")])
def test_sockets_of_systemd_are_served(tmp_path, words):
    """Both sockets answer; the ready line names them; the socket outlives the daemon."""
    with listening(("127.0.0.1", 0)) as tcp, listening(f"{tmp_path}/s", socket.AF_UNIX) as unix:
        port = tcp.getsockname()[1]
        for _ in range(2):  # a restart, on the same sockets
            own = Activated([tcp, unix], *words, folder=tmp_path)
            assert re.fullmatch(rf"tritd ready rpc=127.0.0.1:{port},unix:{tmp_path}/s http=off\n",
                                own.line.decode()), own.line
            assert project(f"127.0.0.1:{port}").elements == VALUES.size
            assert project(f"unix:{tmp_path}/s").elements == VALUES.size
            assert own.stop() == 0
        assert os.path.exists(tmp_path / "s")


def test_a_call_waits_while_the_daemon_restarts(tmp_path):
    with listening(("127.0.0.1", 0)) as tcp:
        address = f"127.0.0.1:{tcp.getsockname()[1]}"
        with grpc.insecure_channel(address) as connection:
            # gRPC gives up a connection that is silent for 20 s, which an emulated daemon
            # on a busy machine may need to start; then the call waits for the next.
            waiting = ternary_pb2_grpc.TernaryStub(connection).Project.future(
                ref.project_request(VALUES), timeout=CALL_SECONDS, wait_for_ready=True)
            own = Activated([tcp], folder=tmp_path)
            assert waiting.result().report.elements == VALUES.size
            assert own.stop() == 0


def test_a_public_socket_of_systemd_needs_insecure(tmp_path):
    with listening(("0.0.0.0", 0)) as tcp:
        own = Activated([tcp], folder=tmp_path)
        assert own.process.wait(CALL_SECONDS) == 2
        own.stop()
        assert "reachable from other machines" in (tmp_path / "log").read_text()


def test_systemd_without_sockets_is_refused(start):
    with pytest.raises(Refused, match="no socket was passed"):
        start("--listen", "systemd")


def test_too_many_sockets_of_systemd_are_refused(tmp_path):
    """Too many sockets of systemd are refused; the daemon does not serve the default address
    instead."""
    with listening(("127.0.0.1", 0)) as tcp:
        own = Activated([tcp] * 17, folder=tmp_path)
        assert own.process.wait(CALL_SECONDS) == 1
        own.stop()
        assert "17 sockets were passed" in (tmp_path / "log").read_text()
