# SPDX-License-Identifier: Apache-2.0
"""mlx-lm loads folders that trit writes as mlx_2bit, and computes what NumPy computes with t*s.
`make test-llama` installs it and runs this; elsewhere it is skipped."""
import pathlib

import numpy as np
import pytest

import transformers_models as models
from tritd import cli

mx = pytest.importorskip("mlx.core", reason="mlx is not installed (make test-llama)")
utils = pytest.importorskip("mlx_lm.utils", reason="mlx-lm is not installed (make test-llama)")


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_logits(daemon, random, tmp_path, kind):
    """The folder loads, and its logits are within 1 % of their range of NumPy's over t*f16(s)."""
    values = models.config(kind)
    tensors = models.weights(random, kind)
    folder = models.folder(tmp_path / "m", tensors, values)
    done = cli(daemon, "project", folder, "-o", tmp_path / "mlx", "-e", "mlx_2bit")
    assert done.returncode == 0, done.stderr
    model, config = utils.load_model(pathlib.Path(tmp_path / "mlx"))
    assert config["quantization"]["bits"] == 2
    got = np.array(model(mx.array([models.TOKENS])).astype(mx.float32))[0]
    expected = models.logits(models.projected(tensors, 128, True), values, models.TOKENS)
    assert np.abs(got - expected).max() < .01 * np.ptp(expected)
