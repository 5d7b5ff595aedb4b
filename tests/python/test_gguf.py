# SPDX-License-Identifier: Apache-2.0
"""GGUF files in Python: written, listed, verified and unpacked."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from checkpoints import command

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


# ---- compared with checkpoints of transformers ----------------------------------------------


def interleaved(rows, heads):
    """The order in which llama.cpp's converter stores the rows of llama's q and k."""
    return rows.reshape(heads, 2, -1, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)


@pytest.fixture
def llama(random, tmp_path):
    """A llama in GGUF, of 4 heads and 2 key heads, and its latents by transformers' names."""
    latents = {
        f"model.layers.0.self_attn.{name}_proj.weight": random.standard_normal(
            (rows, 256), np.float32
        )
        for name, rows in (("q", 32), ("k", 16), ("v", 16))
    }
    latents["model.norm.weight"] = 1 + random.standard_normal(256).astype(np.float16)
    stored = {
        "blk.0.attn_q.weight": interleaved(latents["model.layers.0.self_attn.q_proj.weight"], 4),
        "blk.0.attn_k.weight": interleaved(latents["model.layers.0.self_attn.k_proj.weight"], 2),
        "blk.0.attn_v.weight": latents["model.layers.0.self_attn.v_proj.weight"],
    }
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    kind = gguf.GGMLQuantizationType.TQ2_0
    for name, value in stored.items():
        groups = value.reshape(-1, 256)
        scale = np.abs(groups.astype(np.float64)).mean(axis=1, keepdims=True).astype(np.float32)
        codes = (2 * groups > scale).astype(np.float32) - (-2 * groups > scale)
        blocks = gguf.quants.quantize((codes * scale).reshape(value.shape), kind)
        writer.add_tensor(name, blocks, raw_dtype=kind)
    writer.add_tensor("output_norm.weight", latents["model.norm.weight"].astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tmp_path / "m.gguf", latents


@pytest.mark.parametrize("kept", ["dict", "file"])
def test_llama_against_transformers(client, tmp_path, llama, kept):
    """Names, the order of q and k, and the types of norms are accounted for, as by trit."""
    path, latents = llama
    if kept == "file":
        save_file(latents, tmp_path / "latents.safetensors")
    against = latents if kept == "dict" else tmp_path / "latents.safetensors"
    result = client.checkpoint.verify(path, against=against, group_size=256)
    assert result.verdict == "pass", result.findings
    assert len(result.reports) == 3


def test_a_changed_norm_of_another_type_is_found(client, llama):
    """A norm is compared after rounding to the file's type."""
    path, latents = llama
    latents["model.norm.weight"][9] += 1
    result = client.checkpoint.verify(path, against=latents, group_size=256)
    assert result.verdict == "fail"
    assert [(one.kind, one.index) for one in result.findings] == [("other_tensor_differs", 9)]


@pytest.mark.parametrize("rows", [8, 20000])
def test_i2_s_is_read(daemon, client, tmp_path, random, rows):
    """A matrix with its one scale behind its codes is verified, unpacked and packed as by trit,
    also one that other encodings read piece by piece."""
    codes = random.integers(-1, 2, (rows, 1024)).astype(np.float32)
    save_file({"a.weight": codes * np.float32(0.375)}, tmp_path / "in.safetensors")
    command(daemon, "pack", tmp_path / "in.safetensors", "-o", tmp_path / "a.gguf", "-e", "i2_s")
    assert client.checkpoint.verify(tmp_path / "a.gguf").verdict == "pass"
    client.checkpoint.unpack(tmp_path / "a.gguf", tmp_path / "dense.safetensors")
    dense = load_file(tmp_path / "dense.safetensors")["a.weight"]
    np.testing.assert_array_equal(dense, codes * np.float32(0.375))
    client.checkpoint.pack(tmp_path / "a.gguf", tmp_path / "b.gguf", encoding="pq2_0")
    client.checkpoint.unpack(tmp_path / "b.gguf", tmp_path / "again.safetensors")
    np.testing.assert_array_equal(load_file(tmp_path / "again.safetensors")["a.weight"], dense)
