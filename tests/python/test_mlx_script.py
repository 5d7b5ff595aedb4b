# SPDX-License-Identifier: Apache-2.0
"""A script that was written for a plain MLX layer runs with trit.mlx."""

import contextlib
import io
import re

import pytest
from daemon import ROOT

mx = pytest.importorskip("mlx.core")

SCRIPT = ROOT / "tests/python/plain_mlx_script.py"
IMPORT = "import plain_mlx_layer as ternary"
NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]?\d+)?|-?\d+e[+-]?\d+")


def run(source, save):
    """What a script prints, and its names."""
    names = {"__name__": "__main__", "SAVE": str(save)}
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(source, str(SCRIPT), "exec"), names)
    return out.getvalue(), names


def assert_alike(one, other):
    """The words are equal, and the numbers up to what a last bit of a scale makes of them."""
    assert NUMBER.sub("#", one) == NUMBER.sub("#", other)
    a, b = (list(map(float, NUMBER.findall(text))) for text in (one, other))
    assert len(a) > 1000
    assert a == pytest.approx(b, rel=1e-3, abs=1e-5)


# Whatever the script prints is the same: attributes, gradients, losses of plain and compiled
# training, verification without a daemon. Each loads the weights that the other saved.
def test_a_script_for_a_plain_layer_runs_with_trit_mlx(tmp_path):
    script = SCRIPT.read_text()
    assert script.count(IMPORT) == 1
    kinds = {"plain": script, "ours": script.replace(IMPORT, "import trit.mlx as ternary")}
    files = {kind: tmp_path / (kind + ".safetensors") for kind in kinds}
    printed, names = zip(*(run(source, files[kind]) for kind, source in kinds.items()))
    assert_alike(*printed)
    for path in files.values():
        for one in names:
            one["model"].load_weights(str(path))
        outputs = [one["model"](one["ids"]) for one in names]
        assert mx.allclose(*outputs, rtol=1e-3, atol=1e-5)
