# SPDX-License-Identifier: Apache-2.0
"""Runs trit with one failing system call (failing_calls.c), and reads the folder afterwards."""
import os
import pathlib
import subprocess
from typing import NamedTuple

from tritd import BINARIES, CALL_SECONDS

LIBRARY = BINARIES / "tests" / "e2e" / "failing_calls.so"

# System calls whose failure could leave a partial file.
CHANGES = ("create", "write", "fsync", "link", "rename", "mkdir", "unlink", "chmod", "close")
NAMING = ("link", "rename")


class Run(NamedTuple):
    code: int
    error: str
    calls: list    # names of the calls that counted, in order; the failed ones with a "!"

    @property
    def hit(self):
        return any(call.startswith("!") for call in self.calls)

    @property
    def failed(self):
        """The first call that failed, and those before it."""
        at = next(i for i, call in enumerate(self.calls) if call.startswith("!"))
        return self.calls[at][1:], self.calls[:at]


def run(daemon, folder, *words, calls=CHANGES, nth=0, how="errno 5", lacks=()):
    """Runs trit in `folder`; the nth of the calls fails. The log is next to the folder."""
    log = pathlib.Path(folder).with_suffix(".calls")
    log.unlink(missing_ok=True)
    done = subprocess.run(
        [str(BINARIES / "trit"), *map(str, words)], cwd=folder, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=CALL_SECONDS,
        env=dict(os.environ, TRITD_ADDRESS=daemon.rpc, LD_PRELOAD=str(LIBRARY),
                 FAILING_CALLS=",".join(calls), FAILING_NTH=str(nth), FAILING_HOW=how,
                 FAILING_LACKS=",".join(lacks), FAILING_LOG=str(log)))
    return Run(done.returncode, done.stderr, log.read_text().split() if log.exists() else [])


def tree(path):
    """The bytes of a file, or of each file of a folder; None if it does not exist."""
    if not os.path.lexists(path):
        return None
    if path.is_dir() and not path.is_symlink():
        return {child.name: tree(child) for child in path.iterdir()}
    return path.read_bytes()


def leftovers(folder):
    """Temporary files and folders, and folders that were moved aside."""
    return sorted(path for path in folder.iterdir()
                  if ".trit-" in path.name or ".old-" in path.name)
