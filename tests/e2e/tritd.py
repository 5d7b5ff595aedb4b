# SPDX-License-Identifier: Apache-2.0
"""Runs the real daemon and command line for tests. TRIT_O is the folder with the binaries,
TRIT_RUNNER a command to put before each of them (an emulator), TRIT_VARIANT how they were
built, TRIT_STUBS where the Python stubs are. `make e2e` sets all four."""
import os
import pathlib
import platform
import re
import resource
import select
import signal
import subprocess
import sys
import time

import grpc

import schemas

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
BINARIES = pathlib.Path(os.environ.get("TRIT_O", ROOT / "build" / "release"))
RUNNER = os.environ.get("TRIT_RUNNER", "").split()
VARIANT = os.environ.get("TRIT_VARIANT", "release")
MACHINE = "aarch64" if VARIANT == "arm64" else platform.machine()
SLOW = VARIANT not in ("release", "cov")  # sanitizers and emulators
START_SECONDS = 60 if SLOW else 15
CALL_SECONDS = 120 if SLOW else 30

sys.path.insert(0, os.environ.get("TRIT_STUBS", str(ROOT / "build" / "stubs")))

from trit.v1 import report_pb2, report_pb2_grpc  # noqa: E402,F401
from trit.v1 import tensor_pb2  # noqa: E402,F401
from trit.v1 import ternary_pb2, ternary_pb2_grpc  # noqa: E402,F401

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Refused(Exception):
    """The daemon did not start; has its exit code and log."""

    def __init__(self, code, log):
        super().__init__(f"tritd left with {code}: {log[-2000:]}")
        self.code, self.log = code, log


class Daemon:
    """One tritd process on loopback ports that it chooses; without `durable` it has no data
    directory."""

    def __init__(self, folder, *words, env=None, durable=True):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log_path = self.folder / "tritd.log"
        self._log = open(self.log_path, "ab")
        self._channel = None
        data = ["--data-dir", str(self.folder / "data")] if durable else []
        command = [*RUNNER, str(BINARIES / "tritd"), "--listen", "127.0.0.1:0", "--http",
                   "127.0.0.1:0", *data, *map(str, words)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self._log,
                                        env=dict(os.environ, **(env or {})))
        try:
            self._wait_ready()
        except BaseException:
            self.kill()
            raise

    def _wait_ready(self):
        deadline = time.monotonic() + START_SECONDS
        line = b""
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"not ready after {START_SECONDS} s: {self.log()[-2000:]}")
            if select.select([self.process.stdout], [], [], left)[0]:
                byte = os.read(self.process.stdout.fileno(), 1)
                if not byte:
                    raise Refused(self.process.wait(START_SECONDS), self.log())
                line += byte
        found = re.fullmatch(r"tritd ready rpc=(\S+) http=(\S+)\n", line.decode())
        assert found, f"unexpected ready line {line!r}"
        self.ready_line = line.decode()
        self.rpc = found.group(1).split(",")[0]
        self.http = found.group(2)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_log(self, *words, times=1):
        """Waits until this many lines of the log have all words."""
        deadline = time.monotonic() + CALL_SECONDS
        while sum(all(word in line for word in words)
                  for line in self.log().splitlines()) < times:
            assert time.monotonic() < deadline, self.log()[-2000:]
            time.sleep(0.01)

    @property
    def channel(self):
        if self._channel is None:
            self._channel = self.connect()
        return self._channel

    def connect(self):
        """A channel with a connection of its own."""
        return grpc.insecure_channel(self.rpc, options=UNLIMITED +
                                     [("grpc.use_local_subchannel_pool", 1)])

    @property
    def ternary(self):
        return ternary_pb2_grpc.TernaryStub(self.channel)

    @property
    def reports(self):
        return report_pb2_grpc.ReportsStub(self.channel)

    def memory_kib(self, field="VmHWM"):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise KeyError(field)

    def _close(self):
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self._log.close()
        self.process.stdout.close()

    def stop(self, how=signal.SIGTERM, seconds=40):
        """Sends the signal and returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self._close()
        return code

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._close()


def cpu_seconds(pid):
    """The CPU time that a process has used, in ticks of the kernel."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children_cpu_seconds():
    """The CPU time of all processes that this one has started and that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def cli(daemon, *words, env=None, seconds=CALL_SECONDS, **more):
    """Runs trit against the daemon (None: no address given). JSON output must follow its
    schema."""
    environ = dict(os.environ, **(env or {}))
    if daemon is not None:
        environ["TRITD_ADDRESS"] = daemon.rpc
    done = subprocess.run([*RUNNER, str(BINARIES / "trit"), *map(str, words)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=seconds, env=environ, **more)
    schemas.check(words, done.stdout)
    return done


def refused(call, status, *words):
    """The call must fail with the status and with every word in its message."""
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == status, f"{error.code()}: {error.details()}"
        for word in words:
            assert str(word) in error.details(), f"{word!r} not in {error.details()!r}"
        return error.details()
    raise AssertionError(f"not refused, {status} was due")
