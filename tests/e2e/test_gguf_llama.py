# SPDX-License-Identifier: Apache-2.0
"""Folders of transformers as GGUF files for llama.cpp: names, order, types, keys and tokenizer, read by
ggml's own Python reader. test_llama_cpp.py computes with them."""
import json

import gguf
import numpy as np
import pytest

import reference as ref
import transformers_models as models
from checkpoints import bf16, load, save
from test_gguf_against import interleave
from tritd import cli

PARTS = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
         "self_attn.attn_sub_norm": "attn_sub_norm", "mlp.ffn_sub_norm": "ffn_sub_norm",
         "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
         "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "mlp.gate": "ffn_gate_inp"}
OUTER = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def place(name):
    """llama.cpp's name of a tensor that is no expert."""
    stem, leaf = name.rsplit(".", 1)
    if stem in OUTER:
        return f"{OUTER[stem]}.{leaf}"
    number, part = stem.removeprefix("model.layers.").split(".", 1)
    return f"blk.{number}.{PARTS[part]}.{leaf}"


def read(path):
    reader = gguf.GGUFReader(path)
    return {one.name: one for one in reader.tensors}, \
        {name: field.contents() for name, field in reader.fields.items()}


def values_of(tensor):
    return gguf.quants.dequantize(tensor.data, tensor.tensor_type)


def project(daemon, folder, out, *options):
    done = cli(daemon, "project", folder, "-o", out, *options)
    assert done.returncode == 0, done.stderr
    checked = cli(daemon, "verify", out, "--against", folder)
    assert checked.returncode == 0, checked.stdout
    return done.stdout


def projected(weights, group):
    """t*s with f16 scales."""
    codes, scales = ref.project(weights, group)
    scales = scales.astype(np.float16).astype(np.float32)
    return (codes.reshape(-1, group) * scales.reshape(-1, 1)).reshape(weights.shape)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "bitnet"])
def test_a_folder_becomes_a_model(daemon, random, tmp_path, kind):
    """Every tensor has llama.cpp's name, order of rows and type, and the file verifies against its folder."""
    tied = kind == "bitnet"
    tensors = models.weights(random, kind, tied)
    folder = models.folder(tmp_path / "m", tensors, models.config(kind, tie_word_embeddings=tied))
    said = project(daemon, folder, tmp_path / "o.gguf", "-e", "tq2_0", "-g", "256")
    assert f"a model for llama.cpp ({kind}): written without a tokenizer" in said
    found, keys = read(tmp_path / "o.gguf")
    assert set(found) == {place(name) for name in tensors}
    for name, value in tensors.items():
        if value.ndim == 2:
            value = projected(value, 256)
        if kind == "llama" and ("q_proj" in name or "k_proj" in name):
            value = interleave(value, models.HEADS if "q_proj" in name else models.KEY_HEADS)
        one = found[place(name)]
        assert one.tensor_type.name == ("TQ2_0" if value.ndim == 2 else "F32")
        np.testing.assert_array_equal(values_of(one).reshape(value.shape), value, err_msg=name)
    expected = {"general.architecture": kind, "general.file_type": 37, "general.quantization_version": 2,
                "general.name": "m", f"{kind}.block_count": 2, f"{kind}.context_length": 512,
                f"{kind}.embedding_length": 256, f"{kind}.feed_forward_length": 512,
                f"{kind}.attention.head_count": 4, f"{kind}.attention.head_count_kv": 2,
                f"{kind}.attention.key_length": 64, f"{kind}.rope.dimension_count": 64,
                f"{kind}.rope.freq_base": 10000, f"{kind}.vocab_size": 96, "tokenizer.ggml.model": "no_vocab"}
    assert {name: keys[name] for name in expected} == expected
    assert np.isclose(keys[f"{kind}.attention.layer_norm_rms_epsilon"], 1e-5)


def test_experts_become_one_tensor(daemon, random, tmp_path):
    """The experts of a block are one tensor of three axes, in their order; the router is F32."""
    tensors = models.weights(random, "qwen3_moe")
    narrow = {name: bf16(value) if "mlp.gate." in name else value for name, value in tensors.items()}
    folder = models.folder(tmp_path / "m", narrow, models.config("qwen3_moe"))
    project(daemon, folder, tmp_path / "whole.gguf", "-e", "tq2_0", "-g", "256")
    done = cli(daemon, "project", folder, "-o", tmp_path / "o.gguf", "-e", "tq2_0", "-g", "256",
               "--exclude", "*.up_proj.*")
    assert done.returncode == 0, done.stderr
    found, keys = read(tmp_path / "o.gguf")
    for part, kind in (("gate", "TQ2_0"), ("up", "F32"), ("down", "TQ2_0")):
        one = found[f"blk.1.ffn_{part}_exps.weight"]
        assert one.tensor_type.name == kind and list(one.shape) == [256, 256, 4]
        for expert in range(models.EXPERTS):
            value = tensors[f"model.layers.1.mlp.experts.{expert}.{part}_proj.weight"]
            np.testing.assert_array_equal(values_of(one)[expert], value if part == "up" else projected(value, 256))
    assert found["blk.0.ffn_gate_inp.weight"].tensor_type.name == "F32"
    assert (keys["qwen3moe.expert_count"], keys["qwen3moe.expert_used_count"],
            keys["qwen3moe.expert_feed_forward_length"]) == (4, 2, 256)


def test_dense_tensors_are_kept_in_order(daemon, random, tmp_path):
    """bf16 layers that are left out keep their type and get llama.cpp's order, as do the biases of q."""
    tensors = models.weights(random, "llama")
    tensors |= {f"model.layers.0.self_attn.{part}_proj.bias": random.standard_normal(64 * heads).astype(np.float32)
                for part, heads in (("q", models.HEADS), ("k", models.KEY_HEADS), ("v", models.KEY_HEADS))}
    folder = models.folder(tmp_path / "m", {name: bf16(value) for name, value in tensors.items()},
                           models.config(tie_word_embeddings=True))
    project(daemon, folder, tmp_path / "o.gguf", "--exclude", "*q_proj*", "--exclude", "*embed*")
    found, _ = read(tmp_path / "o.gguf")
    assert "output.weight" not in found
    for part in ("weight", "bias"):
        value = bf16(tensors[f"model.layers.0.self_attn.q_proj.{part}"])
        wide = interleave(ref.widen(np.frombuffer(value.data, np.uint16), ref.BF16).reshape(value.shape), 4)
        one = found[f"blk.0.attn_q.{part}"]
        assert one.tensor_type.name == ("BF16" if part == "weight" else "F32")
        np.testing.assert_array_equal(values_of(one).reshape(wide.shape), wide)


@pytest.mark.parametrize("encoding", ["dense", "tq2_0"])
def test_gpt2_is_turned(daemon, random, tmp_path, encoding):
    """GPT-2's Conv1D matrices become [out, in], packed, dense or left out; its buffers are left out."""
    def normal(*shape):
        return random.standard_normal(shape).astype(np.float32)

    tensors = {"wte.weight": normal(9, 256), "wpe.weight": normal(64, 256), "ln_f.weight": normal(256),
               "ln_f.bias": normal(256), "h.0.attn.bias": np.ones((1, 1, 64, 64), np.float32)}
    shapes = {"attn.c_attn": (256, 768), "attn.c_proj": (256, 256), "mlp.c_fc": (256, 1024), "mlp.c_proj": (1024, 256)}
    for name, (rows, columns) in shapes.items():
        tensors |= {f"h.0.{name}.weight": normal(rows, columns), f"h.0.{name}.bias": normal(columns)}
    tensors |= {f"h.0.{name}.{leaf}": normal(256) for name in ("ln_1", "ln_2") for leaf in ("weight", "bias")}
    folder = models.folder(tmp_path / "m", tensors, {
        "model_type": "gpt2", "n_layer": 1, "n_ctx": 64, "n_embd": 256, "n_head": 4, "vocab_size": 9})
    done = cli(daemon, "project", folder, "-o", tmp_path / "o.gguf", "-e", encoding, "-g", "256",
               "--exclude", "*.mlp.c_fc.*")
    assert done.returncode == 0 and "a model for llama.cpp (gpt2)" in done.stdout, done.stderr
    found, keys = read(tmp_path / "o.gguf")
    assert len(found) == len(tensors) - 1 and found["position_embd.weight"].tensor_type.name == "F32"
    np.testing.assert_array_equal(values_of(found["blk.0.ffn_up.weight"]), tensors["h.0.mlp.c_fc.weight"].T)
    codes, scales = ref.project(np.ascontiguousarray(tensors["h.0.attn.c_attn.weight"].T), 256)
    if encoding == "tq2_0":
        scales = scales.astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(values_of(found["blk.0.attn_qkv.weight"]), codes * scales.reshape(-1, 1))
    assert keys["gpt2.attention.head_count"] == 4 and "gpt2.rope.freq_base" not in keys


def test_packed_folders_become_models(daemon, random, tmp_path):
    """pack takes an MLX folder to llama.cpp's blocks: q's rows and their scales change places together."""
    tensors = models.weights(random)
    folder = models.folder(tmp_path / "m", tensors, models.config())
    assert cli(daemon, "project", folder, "-o", tmp_path / "mlx", "-e", "mlx_2bit").returncode == 0
    done = cli(daemon, "pack", tmp_path / "mlx", "-o", tmp_path / "o.gguf", "-e", "pq2_0")
    assert done.returncode == 0 and "a model for llama.cpp (llama)" in done.stdout, done.stderr
    checked = cli(daemon, "verify", tmp_path / "o.gguf", "--against", folder)
    assert checked.returncode == 0, checked.stdout
    done = cli(daemon, "unpack", tmp_path / "o.gguf", "-o", tmp_path / "back.safetensors")
    assert done.returncode == 0, done.stderr
    back = load(tmp_path / "back.safetensors")
    assert set(back) == set(tensors)
    for name, value in tensors.items():
        np.testing.assert_array_equal(back[name], projected(value, 128) if value.ndim == 2 else value)
    done = cli(daemon, "unpack", tmp_path / "o.gguf", "-o", tmp_path / "kept.safetensors", "--keep-names")
    assert done.returncode == 0, done.stderr
    kept = load(tmp_path / "kept.safetensors")
    name = "model.layers.1.self_attn.k_proj.weight"
    np.testing.assert_array_equal(kept[place(name)], interleave(projected(tensors[name], 128), models.KEY_HEADS))
    np.testing.assert_array_equal(kept["token_embd.weight"], back["model.embed_tokens.weight"])


def hf_bitnet(codes):
    """Byte row r holds row r of each quarter of the rows."""
    quarters = (codes + 1).astype(np.uint8).reshape(4, len(codes) // 4, -1)
    return sum(quarters[i] << 2 * i for i in range(4)).astype(np.uint8)


def bitnet_folder(path, random, tensors):
    """A llama whose layers are hf_bitnet, with one scale each: (values, folder)."""
    values, stored = {}, {}
    for name, value in tensors.items():
        if "proj" not in name:
            values[name] = stored[name] = value
            continue
        codes, scale = random.integers(-1, 2, value.shape).astype(np.int8), np.float32(random.integers(1, 9) / 64)
        values[name] = codes * scale
        stored[name], stored[f"{name}_scale"] = hf_bitnet(codes), np.array([scale])
    config = models.config(quantization_config={"quant_method": "bitnet", "linear_class": "autobitlinear",
                                                "quantization_mode": "offline"})
    return values, models.folder(path, stored, config)


@pytest.mark.parametrize("encoding,kind", [("tq2_0", "TQ2_0"), ("i2_s", None), ("pq2_0", None)])
def test_bitnet_folders_become_models(daemon, random, tmp_path, encoding, kind):
    """The codes of q's and k's rows change places within hf_bitnet's bytes; and come back."""
    tensors = models.weights(random)
    values, folder = bitnet_folder(tmp_path / "m", random, tensors)
    done = cli(daemon, "pack", folder, "-o", tmp_path / "o.gguf", "-e", encoding)
    assert done.returncode == 0 and "a model for llama.cpp (llama)" in done.stdout, done.stderr
    if kind:
        found, _ = read(tmp_path / "o.gguf")
        for part, heads in (("q", models.HEADS), ("k", models.KEY_HEADS)):
            name = f"model.layers.1.self_attn.{part}_proj.weight"
            assert found[place(name)].tensor_type.name == kind
            np.testing.assert_array_equal(values_of(found[place(name)]), interleave(values[name], heads))
    done = cli(daemon, "unpack", tmp_path / "o.gguf", "-o", tmp_path / "back.safetensors")
    assert done.returncode == 0, done.stderr
    back = load(tmp_path / "back.safetensors")
    for name, value in values.items():
        if "proj" in name or encoding == "i2_s":
            np.testing.assert_array_equal(back[name], value, err_msg=name)


def test_large_bitnet_matrices(daemon, random, tmp_path):
    """A matrix that is read piece by piece has its rows in order too."""
    rows, columns = 4096, 5120  # codes of 5 MiB
    codes = random.integers(-1, 2, (rows, columns)).astype(np.int8)
    small = models.config(num_hidden_layers=1, hidden_size=columns, head_dim=128, num_attention_heads=32,
                          num_key_value_heads=32, vocab_size=4, intermediate_size=8, tie_word_embeddings=True,
                          quantization_config={"quant_method": "bitnet", "linear_class": "autobitlinear"})
    name = "model.layers.0.self_attn.q_proj.weight"
    folder = models.folder(tmp_path / "m", {name: hf_bitnet(codes), f"{name}_scale": np.float32([.25]),
                                            "model.embed_tokens.weight": np.zeros((4, columns), np.float32)}, small)
    done = cli(daemon, "pack", folder, "-o", tmp_path / "o.gguf", "-e", "tq2_0")
    assert done.returncode == 0 and "a model for llama.cpp (llama)" in done.stdout, done.stderr
    found, _ = read(tmp_path / "o.gguf")
    np.testing.assert_array_equal(values_of(found["blk.0.attn_q.weight"]),
                                  interleave(codes * np.float32(.25), 32))


def test_mixtral(daemon, random, tmp_path):
    """Mixtral's w1, w2 and w3 are gate, down and up of one tensor each; verify finds them again."""
    tensors = models.weights(random, "mixtral")
    folder = models.folder(tmp_path / "m", tensors, models.config("mixtral"))
    assert "a model for llama.cpp (llama)" in project(daemon, folder, tmp_path / "o.gguf", "-e", "tq2_0", "-g", "256")
    found, keys = read(tmp_path / "o.gguf")
    for number, part in ((1, "gate"), (2, "down"), (3, "up")):
        for expert in range(models.EXPERTS):
            value = tensors[f"model.layers.1.block_sparse_moe.experts.{expert}.w{number}.weight"]
            np.testing.assert_array_equal(values_of(found[f"blk.1.ffn_{part}_exps.weight"])[expert],
                                          projected(value, 256))
    assert (keys["llama.expert_count"], keys["llama.expert_used_count"]) == (4, 2)
    assert "llama.expert_feed_forward_length" not in keys
    assert found["blk.0.ffn_gate_inp.weight"].tensor_type.name == "F32"


def test_yarn(daemon, random, tmp_path):
    """The keys of yarn are those of config.json; a factor of attention is not one that llama.cpp has."""
    scaling = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128, "beta_fast": 8}
    folder = models.folder(tmp_path / "m", models.weights(random), models.config(rope_scaling=scaling))
    assert "--yarn-beta-fast" in project(daemon, folder, tmp_path / "o.gguf")
    _, keys = read(tmp_path / "o.gguf")
    expected = {"type": "yarn", "factor": 4, "original_context_length": 128, "yarn_beta_fast": 8}
    assert {name: keys[f"llama.rope.scaling.{name}"] for name in expected} == expected
    assert "llama.rope.scaling.yarn_beta_slow" not in keys


@pytest.mark.parametrize("change,why", [
    ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "attention_factor": 1.5}}, "yarn with attention_factor"),
    ({"model_type": "mamba"}, "config.json says mamba"), ({"vocab_size": 97}, "vocab_size is 97"),
    ({"num_hidden_layers": 1}, "has no tensor for model.layers.1."), ({"rms_norm_eps": "x"}, "rms_norm_eps"),
    ({"num_attention_heads": 3}, "not whole heads")])
def test_other_folders_are_archives(daemon, random, tmp_path, change, why):
    """A folder that llama.cpp would not load is written as an archive, and plan and summary say why."""
    folder = models.folder(tmp_path / "m", models.weights(random), models.config(**change))
    planned = cli(daemon, "project", folder, "-o", tmp_path / "o.gguf", "--dry-run", "--json")
    assert why in json.loads(planned.stdout)["gguf"]["remark"]
    done = cli(daemon, "project", folder, "-o", tmp_path / "o.gguf")
    assert done.returncode == 0, done.stderr
    assert "an archive of tensors, which llama.cpp does not load: " in done.stdout and why in done.stdout
    found, keys = read(tmp_path / "o.gguf")
    assert keys["general.architecture"] == "trit" and "model.norm.weight" in found


def test_a_model_without_its_head_is_an_archive(daemon, random, tmp_path):
    """llama.cpp would take the embeddings for the head, but config.json says that they are not tied."""
    folder = models.folder(tmp_path / "m", models.weights(random, tied=True),
                           models.config(tie_word_embeddings=False))
    planned = cli(daemon, "project", folder, "-o", tmp_path / "o.gguf", "--dry-run", "--json")
    assert "lm_head.weight is missing" in json.loads(planned.stdout)["gguf"]["remark"]


def test_rotary_factors_are_a_tensor(daemon, random, tmp_path):
    """llama3's scaling becomes rope_freqs.weight, the quotient of the turns without and with it."""
    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 64}
    values = models.config(rope_scaling=scaling)
    folder = models.folder(tmp_path / "m", models.weights(random), values)
    project(daemon, folder, tmp_path / "o.gguf")
    found, _ = read(tmp_path / "o.gguf")
    expected = models.frequencies(models.config()) / models.frequencies(values)
    np.testing.assert_allclose(found["rope_freqs.weight"].data, expected, rtol=1e-5)


def test_a_tokenizer_is_carried(daemon, random, tmp_path):
    """Tokens, types, merges, special tokens and the chat template are those of the tokenizer's files."""
    tokenizer = {"added_tokens": [{"id": 3, "content": "<|end|>", "special": True}],
                 "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
                 "post_processor": {"type": "ByteLevel"},
                 "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}
    folder = models.folder(tmp_path / "m", models.weights(random), models.config(), tokenizer=tokenizer,
                           tokenizer_config={"eos_token": "<|end|>", "chat_template": "{{ x }}"})
    said = project(daemon, folder, tmp_path / "o.gguf")
    assert "a model for llama.cpp (llama)\n" in said
    _, keys = read(tmp_path / "o.gguf")
    assert keys["tokenizer.ggml.model"] == "gpt2" and keys["tokenizer.ggml.pre"] == "gpt-2"
    assert keys["tokenizer.ggml.tokens"][:5] == ["a", "b", "ab", "<|end|>", "[PAD4]"]
    assert len(keys["tokenizer.ggml.tokens"]) == models.VOCABULARY
    assert keys["tokenizer.ggml.token_type"][:5] == [1, 1, 1, 3, 5] and keys["tokenizer.ggml.merges"] == ["a b"]
    assert keys["tokenizer.ggml.eos_token_id"] == 3 and keys["tokenizer.ggml.bos_token_id"] == 1
    assert keys["tokenizer.ggml.add_bos_token"] is False and keys["tokenizer.chat_template"] == "{{ x }}"


def test_experts_that_lack_one_are_an_archive(daemon, random, tmp_path):
    """A block whose experts are not all there has no place in llama.cpp."""
    tensors = models.weights(random, "qwen3_moe")
    del tensors["model.layers.0.mlp.experts.2.up_proj.weight"]
    folder = models.folder(tmp_path / "m", tensors, models.config("qwen3_moe"))
    save(folder / "model.safetensors", tensors)
    done = cli(daemon, "project", folder, "-o", tmp_path / "o.gguf", "--dry-run")
    assert "blk.0.ffn_up_exps.weight would have 3 experts, config.json says 4" in done.stdout
