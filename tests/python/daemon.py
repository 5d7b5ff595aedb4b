# SPDX-License-Identifier: Apache-2.0
"""Starts the real daemon for tests that use libtrit only. (tests/e2e/tritd.py needs grpcio and
the stubs, which the environments of torch and MLX do not have.) TRIT_O is the folder of
tritd."""

import os
import pathlib
import re
import select
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = pathlib.Path(os.environ.get("TRIT_O", ROOT / "build" / "release"))
START_SECONDS = 30


class Daemon:
    """One tritd; `rpc` is its address. Its log is at `folder`/tritd.log. `data`: whether it has a
    data directory."""

    def __init__(self, folder, *words, data=True):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "tritd.log", "ab") as log:
            self.process = subprocess.Popen(
                [
                    str(BINARIES / "tritd"),
                    "--listen",
                    "127.0.0.1:0",
                    "--http",
                    "127.0.0.1:0",
                    *(["--data-dir", str(self.folder / "data")] if data else []),
                    *words,
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        try:
            self.rpc, self.http = self._ready()
        except BaseException:
            self.kill()
            raise

    def _ready(self):
        deadline, line = time.monotonic() + START_SECONDS, b""
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self.process.stdout], [], [], left)[0], self.log()
            byte = os.read(self.process.stdout.fileno(), 1)
            assert byte, f"tritd left with {self.process.wait()}: {self.log()}"
            line += byte
        found = re.fullmatch(r"tritd ready rpc=(\S+) http=(\S+)\n", line.decode())
        assert found, line
        return found.group(1), found.group(2)

    def log(self):
        return (self.folder / "tritd.log").read_text(errors="replace")[-4000:]

    def stop(self):
        """Stops it; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(40)
        self.process.stdout.close()
        return code

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
