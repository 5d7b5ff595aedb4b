# SPDX-License-Identifier: Apache-2.0
"""A shorter training demo, checked in full except for the final perplexity, which takes longer
to reach."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

pytest.importorskip("torch")

DEMO = pathlib.Path(__file__).resolve().parents[1] / "demo" / "train.py"


# Three workers train by RPC; with local projection every loss and weight is the same.
@pytest.mark.skipif(not os.path.isdir("/usr/share/common-licenses"), reason="no text to learn")
def test_a_cluster_trains_by_rpc_as_it_does_alone(tmp_path):
    figures = tmp_path / "figures.json"
    done = subprocess.run(
        [
            sys.executable,
            str(DEMO),
            "--steps",
            "40",
            "--every",
            "10",
            "--layers",
            "1",
            "--batch",
            "2",
            "--short",
            "--json",
            str(figures),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    found = json.loads(figures.read_text())
    assert len(found["losses"]) == 40 and all(found["claims"].values())
    assert 0 < found["rpc_share"] < 1
    # The output has the loss curve with flips, the last verification, and the time share of RPC.
    curve = re.findall(r"step +(\d+)  loss \d\.\d{4}  flips 0\.\d{4}", done.stdout)
    assert curve == ["10", "20", "30", "40"]
    verified = re.findall(r"^  (\S+) +\d+x\d+ True +1\.000 +0\.0e\+00", done.stdout, re.M)
    assert len(verified) > 5 and re.search(r"step time \d+ ms, \d+\.\d% of it in RPC", done.stdout)


# The baseline is a probability model: its probabilities add up to 1, for seen and unseen contexts.
def test_the_order_two_model_is_a_distribution():
    sys.path.insert(0, str(DEMO.parent))
    from text import OrderTwo

    model = OrderTwo([0, 1, 2, 0, 1, 3, 0, 1, 2], 5)
    for context in ([], [0], [0, 1], [3, 3], [4, 1], [4, 4]):
        total = sum(model.probability(context, symbol) for symbol in range(5))
        assert abs(total - 1) < 1e-12, context
    assert model.probability([0, 1], 2) > model.probability([0, 1], 3)
