# SPDX-License-Identifier: Apache-2.0
"""GGUF files in Python: written, listed, verified and unpacked."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

gguf = pytest.importorskip("gguf")


@pytest.fixture
def weights(random):
    return {
        "a.weight": random.standard_normal((8, 512)).astype(np.float32),
        "norm.weight": np.ones(4, np.float32),
    }


@pytest.mark.parametrize("encoding", ["tq1_0", "tq2_0"])
def test_a_state_dict_becomes_gguf(client, tmp_path, weights, encoding):
    """ggml's own reader decodes what project writes to the dense projection in f16."""
    out = tmp_path / "out.gguf"
    client.checkpoint.project(weights, out, encoding=encoding, group_size=256)
    client.checkpoint.unpack(out, tmp_path / "dense.safetensors")
    dense = load_file(tmp_path / "dense.safetensors")["a.weight"]
    tensors = {one.name: one for one in gguf.GGUFReader(out).tensors}
    made = tensors["a.weight"]
    np.testing.assert_array_equal(gguf.quants.dequantize(made.data, made.tensor_type), dense)
    np.testing.assert_array_equal(tensors["norm.weight"].data, weights["norm.weight"])


@pytest.mark.parametrize("encoding", ["pq2_0", "q2_0", "ptq1_0", "tq2_0"])
def test_verifies_and_tells(client, tmp_path, weights, encoding):
    """verify judges a GGUF file, alone and against latents; inspect tells types."""
    size = 256 if encoding == "tq2_0" else 128
    save_file(weights, tmp_path / "in.safetensors")
    client.checkpoint.project(
        tmp_path / "in.safetensors", tmp_path / "out.gguf", encoding=encoding, group_size=size
    )
    info = client.checkpoint.inspect(tmp_path / "out.gguf")
    assert info.tensors["a.weight"].dtype == encoding.upper()
    assert tuple(info.tensors["a.weight"].shape) == (8, 512)
    assert client.checkpoint.verify(tmp_path / "out.gguf").verdict == "pass"
    result = client.checkpoint.verify(tmp_path / "out.gguf", against=tmp_path / "in.safetensors")
    assert result.verdict == "pass"
    weights["a.weight"].reshape(-1)[np.abs(weights["a.weight"]).argmax()] *= -1
    result = client.checkpoint.verify(tmp_path / "out.gguf", against=weights)
    assert result.verdict == "fail"
