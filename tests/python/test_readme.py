# SPDX-License-Identifier: Apache-2.0
"""The Python code of client/python/README.md runs."""

import re

import numpy as np
import pytest
from checkpoints import write
from daemon import ROOT

CODE = re.findall(
    r"^```python\n(.*?)^```", (ROOT / "client/python/README.md").read_text(), re.M | re.S
)


@pytest.mark.parametrize("code", CODE, ids=range(len(CODE)))
def test_the_readme_runs(daemon, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    latents = np.ones((4, 128), "<f4")
    latents[:, ::3] = -0.25
    write(daemon.root / "model.safetensors", {"fc.weight": ("F32", [4, 128], latents.tobytes())})
    if "torch" in code:
        pytest.importorskip("torch")
    if "mlx" in code:
        pytest.importorskip("mlx.core")
    if "plot" in code:
        pytest.importorskip("matplotlib").use("Agg")
    assert "127.0.0.1:6561" in code
    exec(compile(code.replace("127.0.0.1:6561", daemon.rpc), "README.md", "exec"), {})
