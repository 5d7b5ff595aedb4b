"""The training demo, shorter: what it claims is checked in full, but for the
perplexity, which takes longer to reach."""
import json
import os
import pathlib
import subprocess
import sys

import pytest

pytest.importorskip("torch")

DEMO = pathlib.Path(__file__).resolve().parents[1] / "demo" / "train.py"


# Three workers train by RPC; with local projection every loss and weight is the same.
@pytest.mark.skipif(not os.path.isdir("/usr/share/common-licenses"), reason="no text to learn")
def test_a_cluster_trains_by_rpc_as_it_does_alone(tmp_path):
    figures = tmp_path / "figures.json"
    done = subprocess.run([sys.executable, str(DEMO), "--steps", "40", "--every", "10",
                           "--layers", "1", "--batch", "2", "--short", "--json", str(figures)],
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    found = json.loads(figures.read_text())
    assert len(found["losses"]) == 40 and all(found["claims"].values())
    assert 0 < found["rpc_share"] < 1
