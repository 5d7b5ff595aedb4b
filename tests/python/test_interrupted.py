# SPDX-License-Identifier: Apache-2.0
"""client.checkpoint leaves no partial output: if any call that changes files fails or is
interrupted by Ctrl-C, the output folder is the old one or the new one, and nothing is left under
a temporary name. tests/e2e has the same for `trit`, with SIGKILL."""

import os
import subprocess
import sys

import numpy as np
import pytest

from checkpoints import contents_of, drawn, f32, write_folder  # noqa: F401 (fixtures)
from daemon import BINARIES

LIBRARY = BINARIES / "tests" / "e2e" / "failing_calls.so"
CALLS = "create,write,fsync,link,rename,mkdir,unlink,chmod,close"

pytestmark = pytest.mark.skipif(not LIBRARY.exists(), reason="make e2e builds the library")

# Fails the nth call of the nth projection until none fails; prints what came of each.
SCRIPT = """
import os, pathlib, shutil, sys
import trit

address, folder, how = sys.argv[1:]
folder, log = pathlib.Path(folder), pathlib.Path(os.environ["FAILING_LOG"])

def contents(path):
    return {one.name: one.read_bytes() for one in path.iterdir()}

with trit.Client(address, timeout=30) as client:
    old, new = contents(folder / "old"), None
    for nth in range(1000):
        shutil.rmtree(folder / "out", ignore_errors=True)
        shutil.copytree(folder / "old", folder / "out")
        before = len(log.read_text().split()) if log.exists() else 0
        os.environ["FAILING_HOW"] = how
        os.environ["FAILING_NTH"] = str(before + nth if nth else 0)
        try:
            client.checkpoint.project(folder / "model", folder / "out", encoding="int8",
                                      force=True)
            said = "done"
        except KeyboardInterrupt:
            said = "interrupted"
        except trit.Error as error:
            said = "refused" if os.strerror(5) in str(error) else repr(error)
        os.environ["FAILING_NTH"] = "0"
        found = contents(folder / "out")
        new = found if nth == 0 else new
        state = "old" if found == old else "new" if found == new else "half"
        calls = log.read_text().split()[before:]
        stayed = [one.name for one in folder.iterdir() if ".trit-" in one.name]
        for name in stayed:
            shutil.rmtree(folder / name)
        hit = [call for call in calls if call.startswith("!")]
        print(said, state, *hit, len(stayed))
        if nth and not hit:
            break
"""


@pytest.fixture
def model(tmp_path, drawn):  # noqa: F811
    shards = [
        {f"model.layers.{i}.mlp.up_proj.weight": f32(drawn(16, 256)) for i in (k, k + 1)}
        for k in (0, 2)
    ]
    folder = write_folder(tmp_path / "model", shards, {"model_type": "llama"})
    (folder / "tokenizer.json").write_text("{}")
    write_folder(tmp_path / "old", [{"old.weight": f32(np.zeros(3))}])
    return tmp_path


def outcomes(daemon, folder, how):
    """For each call that failed: the caller's exception, the folder's state, the call, and the
    files left."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, daemon.rpc, str(folder), how],
        capture_output=True,
        text=True,
        timeout=120,
        env=dict(
            os.environ,
            LD_PRELOAD=str(LIBRARY),
            FAILING_CALLS=CALLS,
            FAILING_LOG=str(folder / "calls"),
            PYTHONDONTWRITEBYTECODE="1",
        ),
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == lines[-1] == ["done", "new", "0"]
    return lines[1:-1]


def test_a_failing_call_leaves_old_or_new(daemon, model):
    found = outcomes(daemon, model, "errno 5")
    calls = [call for _, _, call, _ in found]
    assert len(found) > 20 and {"!mkdir", "!create", "!write", "!fsync", "!rename"} <= set(calls)
    named = calls.index("!rename")
    for at, (said, state, call, stayed) in enumerate(found):
        if call == "!unlink":  # the old folder cannot be removed
            assert state == "new" and at > named
        else:
            assert (said, state) == ("refused", "old" if at <= named else "new"), (at, call)
        assert stayed == "0" or at > named


def test_ctrl_c_leaves_old_or_new(daemon, model):
    found = outcomes(daemon, model, "signal 2")
    assert len(found) > 20
    for said, state, call, stayed in found:
        # A signal to the process may reach Python when the work is done.
        assert said == "interrupted" or (said, state) == ("done", "new"), call
        assert state in ("old", "new"), call
        assert stayed == "0", call
    assert [state for _, state, _, _ in found].count("old") > 10
