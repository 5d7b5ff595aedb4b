# SPDX-License-Identifier: Apache-2.0
"""GGUF files in Python: written, listed, verified and unpacked."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import trit
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
    weights = random.integers(-1, 2, (rows, 1024), np.int8) * np.float32(0.375)
    save_file({"a.weight": weights}, tmp_path / "in.safetensors")
    command(daemon, "pack", tmp_path / "in.safetensors", "-o", tmp_path / "a.gguf", "-e", "i2_s")
    assert client.checkpoint.verify(tmp_path / "a.gguf").verdict == "pass"
    client.checkpoint.unpack(tmp_path / "a.gguf", tmp_path / "dense.safetensors")
    assert (load_file(tmp_path / "dense.safetensors")["a.weight"] == weights).all()
    client.checkpoint.pack(tmp_path / "a.gguf", tmp_path / "b.gguf", encoding="pq2_0")
    client.checkpoint.unpack(tmp_path / "b.gguf", tmp_path / "again.safetensors")
    assert (load_file(tmp_path / "again.safetensors")["a.weight"] == weights).all()


# ---- models for llama.cpp ----------------------------------------------------------------------

SMALL = {
    "model_type": "llama",
    "hidden_size": 256,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 256,
    "vocab_size": 96,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
}
EXPERTS = {
    **SMALL,
    "model_type": "qwen3_moe",
    "head_dim": 64,
    "num_experts": 2,
    "num_experts_per_tok": 1,
    "moe_intermediate_size": 256,
    "norm_topk_prob": True,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
}


def model(folder, random, config, ternary=False):
    """A folder as transformers saves it, of a model with one block."""
    rows = {"q": 256, "k": 128, "v": 128, "o": 256}
    shapes = {f"self_attn.{name}_proj.weight": (rows[name], 256) for name in rows}
    shapes["input_layernorm.weight"] = shapes["post_attention_layernorm.weight"] = (256,)
    parts = [f"{name}_proj.weight" for name in ("gate", "up", "down")]
    if config is EXPERTS:
        shapes["mlp.gate.weight"] = (2, 256)
        shapes["self_attn.q_norm.weight"] = shapes["self_attn.k_norm.weight"] = (64,)
        parts = [f"experts.{one}.{name}" for one in (0, 1) for name in parts]
    shapes.update({f"mlp.{name}": (256, 256) for name in parts})
    shapes = {f"model.layers.0.{name}": shape for name, shape in shapes.items()}
    shapes["model.embed_tokens.weight"] = shapes["lm_head.weight"] = (96, 256)
    shapes["model.norm.weight"] = (256,)
    weights = {name: random.standard_normal(shape, np.float32) for name, shape in shapes.items()}
    if ternary:
        weights = {
            name: np.sign(one) * np.float32(0.375) if one.ndim == 2 else one
            for name, one in weights.items()
        }
    folder.mkdir()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    vocabulary = {f"token{number}": number for number in range(96)}
    tokenizer = {"model": {"type": "BPE", "vocab": vocabulary, "merges": []}}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder


def both(daemon, call, source, out, *words, **options):
    """What Python writes has the bytes of the command's."""
    ours = out.with_name("ours-" + out.name)
    done = command(daemon, call.__name__, source, "-o", out, *words)
    assert done.returncode == 0, done.stderr
    result = call(source, ours, **options)
    assert ours.read_bytes() == out.read_bytes()
    return result


@pytest.mark.parametrize("config", [SMALL, EXPERTS], ids=["llama", "qwen3moe"])
def test_a_folder_becomes_a_model_for_llama_cpp(daemon, client, tmp_path, random, config):
    """Names, the order of q and k, experts, keys and tokenizer are those of trit."""
    folder, out = model(tmp_path / "m", random, config), tmp_path / "out.gguf"
    words, how = ["-e", "tq2_0", "-g", 256], {"encoding": "tq2_0", "group_size": 256}
    done = both(daemon, client.checkpoint.project, folder, out, *words, **how)
    architecture = "llama" if config is SMALL else "qwen3moe"
    assert done.architecture == architecture
    assert len(done.reports) == 2 + 4 + (3 if config is SMALL else 6)
    read = gguf.GGUFReader(out)
    assert read.fields["general.architecture"].contents() == architecture
    assert "blk.0.attn_q.weight" in {one.name for one in read.tensors}
    assert client.checkpoint.verify(out, against=folder).verdict == "pass"
    plan = client.checkpoint.plan(folder, "other.gguf", **how)
    assert (plan.architecture, list(plan.tensors["lm_head.weight"].outputs)) == (
        architecture,
        ["output.weight"],
    )
    both(daemon, client.checkpoint.unpack, out, tmp_path / "back.safetensors")
    assert "lm_head.weight" in load_file(tmp_path / "back.safetensors")
    kept = tmp_path / "kept.safetensors"
    both(daemon, client.checkpoint.unpack, out, kept, "--keep-names", keep_names=True)
    assert "output.weight" in load_file(kept)


@pytest.mark.parametrize("encoding", ["i2_s", "tq2_0"])
def test_a_packed_folder_becomes_a_model(daemon, client, tmp_path, random, encoding):
    """From hf_bitnet, whose rows share bytes; I2_S has one scale, too."""
    folder = model(tmp_path / "m", random, SMALL, ternary=True)
    packed = tmp_path / "packed"
    client.checkpoint.pack(folder, packed, encoding="hf_bitnet")
    out = tmp_path / "out.gguf"
    result = both(daemon, client.checkpoint.pack, packed, out, "-e", encoding, encoding=encoding)
    assert (result.architecture, result.scales_rounded) == ("llama", 0)
    types = {one.name: one.dtype for one in client.checkpoint.inspect(out).tensors.values()}
    assert types["blk.0.attn_q.weight"] == encoding.upper()
    assert client.checkpoint.verify(out).verdict != "fail"


def test_what_is_no_model_becomes_an_archive_that_says_why(client, tmp_path, random):
    folder = model(tmp_path / "m", random, {**SMALL, "model_type": "unknown"})
    result = client.checkpoint.project(folder, tmp_path / "a.gguf", encoding="pq2_0")
    assert result.architecture is None and "unknown" in result.remark
    assert "lm_head.weight" in client.checkpoint.inspect(tmp_path / "a.gguf").tensors
    with pytest.raises(trit.InvalidArgument, match="GGUF has no type for int8"):
        client.checkpoint.project(folder, tmp_path / "b.gguf", encoding="int8")
    lossy = {"a.weight": np.float32([[0.1, 0.2] * 128])}
    with pytest.raises(trit.InvalidArgument, match="a.weight"):
        client.checkpoint.pack(lossy, tmp_path / "b.gguf", encoding="i2_s")
    assert not (tmp_path / "b.gguf").exists()
