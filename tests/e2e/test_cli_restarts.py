# SPDX-License-Identifier: Apache-2.0
"""trit waits for a daemon, and repeats calls, if it is told to (docs/retry.md)."""
import os
import subprocess

import pytest

from tritd import BINARIES, CALL_SECONDS, RUNNER, cli


def nowhere(tmp_path):
    return f"unix:{tmp_path}/rpc"


def test_without_a_daemon_it_fails_unless_it_waits(tmp_path):
    done = cli(None, "ping", "--server", nowhere(tmp_path))
    assert done.returncode == 3 and "UNAVAILABLE" in done.stderr
    done = cli(None, "ping", "--server", nowhere(tmp_path), "--wait-for-ready", "-t", "0.2")
    assert done.returncode == 3
    assert "trit: DEADLINE_EXCEEDED: " in done.stderr
    done = cli(None, "ping", "--server", nowhere(tmp_path), "--max-attempts", "2")
    assert done.returncode == 3 and "(attempt 2 of 2)" in done.stderr


@pytest.mark.parametrize("number", ["0", "1001", "-1", "two", "1.5"])
def test_attempts_are_1_to_1000(number):
    done = cli(None, "ping", "--max-attempts", number)
    assert done.returncode == 2 and "a whole number from 1 to 1000" in done.stderr


def test_it_waits_for_a_daemon_that_starts(start, tmp_path):
    waiting = subprocess.Popen(
        [*RUNNER, str(BINARIES / "trit"), "ping", "--server", nowhere(tmp_path),
         "--wait-for-ready", "-t", str(CALL_SECONDS)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=dict(os.environ))
    start("--listen", nowhere(tmp_path))
    out, error = waiting.communicate(timeout=2 * CALL_SECONDS)
    assert waiting.returncode == 0, out + error
