# SPDX-License-Identifier: Apache-2.0
"""GGUF files compared with the checkpoints of transformers that they were made from."""
import json
import struct

import numpy as np
import pytest

import reference as ref
import schemas
from checkpoints import Raw, save
from gguf_files import F16, F32, PQ2_0, Q2_0, gguf, pq2_0
from tritd import cli

HEADS, KEY_HEADS, HEAD, HIDDEN = 4, 2, 8, 128
LLAMA = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
BLOCK = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
         "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
         "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
         "ffn_down": "mlp.down_proj"}
ROWS = {"attn_q": HEADS * HEAD, "attn_k": KEY_HEADS * HEAD, "attn_v": KEY_HEADS * HEAD,
        "attn_output": 24, "ffn_gate": 40, "ffn_up": 40, "ffn_down": 24}


def interleave(rows, heads):
    """The order in which llama.cpp's converter stores the rows of llama's q and k."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def to_blocks(weights, group=128):
    codes, scales = ref.project(weights, 128)
    return pq2_0(codes.reshape(-1, 128), scales) if group == 128 else \
        pq2_0(codes.reshape(-1, 64), scales.reshape(-1).repeat(2), 64)


@pytest.fixture
def model(random, tmp_path):
    """A llama of two blocks: (latents by transformers' names, a function that writes its GGUF)."""
    def normal(*shape):
        return (random.standard_normal(shape) * .05).astype(np.float32)

    latents = {"model.embed_tokens.weight": normal(16, HIDDEN), "lm_head.weight": normal(16, HIDDEN),
               "model.norm.weight": 1 + normal(HIDDEN)}
    for block in range(2):
        for name, rows in ROWS.items():
            latents[f"model.layers.{block}.{BLOCK[name]}.weight"] = normal(rows, HIDDEN)
        for name in ("attn_norm", "ffn_norm"):
            latents[f"model.layers.{block}.{BLOCK[name]}.weight"] = 1 + normal(HIDDEN)
    # Norms and embeddings as bf16, as checkpoints have them.
    narrow = {name: ref.widen(ref.narrow(value, 3), 3).reshape(value.shape) for name, value in latents.items()
              if "norm" in name or "embed" in name or "head" in name}
    latents.update(narrow)
    save(tmp_path / "latents.safetensors",
         {name: Raw("BF16", value.shape, ref.narrow(value, 3)) if name in narrow else value
          for name, value in latents.items()})

    def write(architecture="llama", change=None, group=128, head_dense=False):
        tensors = []
        for ours, theirs in LLAMA.items():
            value = latents[f"{theirs}.weight"]
            if ours == "output_norm":
                tensors.append((f"{ours}.weight", F32, value.shape, value.tobytes()))
            elif ours == "output" and not head_dense:
                tensors.append((f"{ours}.weight", PQ2_0, value.shape, to_blocks(value)))
            else:
                tensors.append((f"{ours}.weight", F16, value.shape, value.astype("<f2").tobytes()))
        for block in range(2):
            for ours, theirs in BLOCK.items():
                value = latents[f"model.layers.{block}.{theirs}.weight"]
                if "norm" in ours:
                    tensors.append((f"blk.{block}.{ours}.weight", F32, value.shape, value.tobytes()))
                    continue
                if architecture == "llama" and ours in ("attn_q", "attn_k"):
                    value = interleave(value, HEADS if ours == "attn_q" else KEY_HEADS)
                kind = PQ2_0 if group == 128 else Q2_0
                tensors.append((f"blk.{block}.{ours}.weight", kind, value.shape, to_blocks(value, group)))
        if change:
            tensors = change(tensors)
        path = tmp_path / "m.gguf"
        path.write_bytes(gguf(tensors, {"general.architecture": architecture,
                                        f"{architecture}.attention.head_count": HEADS,
                                        f"{architecture}.attention.head_count_kv": KEY_HEADS}))
        return path

    return tmp_path / "latents.safetensors", write


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3", "bitnet"])
def test_passes_against_its_latents(daemon, model, architecture):
    """Names, the order of llama's q and k, and the types of norms and embeddings are accounted for."""
    latents, write = model
    done = cli(daemon, "verify", write(architecture), "--against", latents, "--json")
    assert done.returncode == 0, done.stdout
    found = json.loads(done.stdout)
    assert found["verdict"] == "pass" and len(found["layers"]) == 15


def test_q_in_the_wrong_order_fails(daemon, model):
    """A llama whose q rows are in transformers' order is not what llama.cpp computes with."""
    latents, write = model
    file = write("qwen2")
    file.write_bytes(file.read_bytes().replace(b"qwen2", b"llama"))
    done = cli(daemon, "verify", file, "--against", latents)
    assert done.returncode == 1
    assert "blk.0.attn_q.weight" in done.stdout and "blk.0.attn_v.weight: " not in done.stdout


def disagreements(daemon, file, latents):
    """Exit code, and severity, expected and got of what the keys contradict."""
    done = cli(daemon, "verify", file, "--against", latents, "--json")
    return done.returncode, [(one["severity"], one["expected"], one["got"])
                             for one in json.loads(done.stdout)["findings"]
                             if one["kind"] == "config_disagrees"]


def test_keys_that_contradict_the_latents_config_fail(daemon, model, tmp_path):
    """With another number of heads llama.cpp computes another model, and q and k would be compared
    in an order that is not the model's."""
    latents, write = model
    file, folder = write(), tmp_path / "hf"
    folder.mkdir()
    latents.rename(folder / "model.safetensors")
    config = {"model_type": "llama", "num_hidden_layers": 2, "hidden_size": HIDDEN,
              "intermediate_size": 40, "num_attention_heads": HEADS, "head_dim": HEAD,
              "num_key_value_heads": KEY_HEADS, "max_position_embeddings": 64, "vocab_size": 16}
    (folder / "config.json").write_text(json.dumps(config))
    assert disagreements(daemon, file, folder) == (0, [])
    (folder / "config.json").write_text(json.dumps(dict(config, num_attention_heads=8)))
    assert disagreements(daemon, file, folder) == (1, [("error", "8", "4")])
    (folder / "config.json").write_text(json.dumps(dict(config, model_type="qwen2")))
    assert disagreements(daemon, file, folder)[1] == []  # of another model


def test_keys_that_contradict_latents_in_gguf(daemon, tmp_path, random):
    """They are compared too; numbers that leave the shapes alone are warnings."""
    signs = np.sign(random.standard_normal((4, 128)) + 9).astype("<f4")
    for name, base, blocks in (("a", 10000.0, 1), ("b", 500000.0, 1), ("c", 10000.0, 2)):
        (tmp_path / f"{name}.gguf").write_bytes(
            gguf([("blk.0.attn_v.weight", F32, signs.shape, signs.tobytes())],
                 {"general.architecture": "llama", "llama.rope.freq_base": base,
                  "llama.block_count": blocks}))
    assert disagreements(daemon, tmp_path / "a.gguf", tmp_path / "a.gguf") == (0, [])
    assert disagreements(daemon, tmp_path / "b.gguf", tmp_path / "a.gguf") == (
        0, [("warning", "10000", "500000")])
    assert disagreements(daemon, tmp_path / "c.gguf", tmp_path / "a.gguf") == (
        1, [("error", "1", "2")])


def test_diff_compares_what_gives_weights_their_meaning(daemon, tmp_path):
    """GGUF files with other hyperparameters, or with weights in another basis, are not equal; a number of
    another type, names and tokenizers make no difference."""
    base = {"general.architecture": "llama", "general.name": "a", "llama.attention.head_count": 4,
            "prism.hadamard.weight_names": ["blk.0.attn_v.weight"]}

    def write(values):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.gguf"
        path.write_bytes(gguf([("blk.0.attn_v.weight", F32, (2, 128), np.ones((2, 128), "<f4").tobytes())], values))
        return path

    first = write(base)
    for values, keys in (
            ({**base, "general.name": "b", "tokenizer.ggml.model": "gpt2", "llama.vocab_size": 9}, []),
            ({**base, "llama.attention.head_count": struct.pack("<Ii", 5, 4)}, []),
            ({**base, "llama.attention.head_count": 8},
             [{"key": "llama.attention.head_count", "a": "4", "b": "8"}]),
            ({**base, "prism.hadamard.weight_names": ["blk.0.attn_w.weight"]},
             [{"key": "prism.hadamard.weight_names", "a": "[string x 1]", "b": "[string x 1]"}]),
            ({**base, "prism.hadamard.block_size": 128}, [{"key": "prism.hadamard.block_size", "b": "128"}]),
            ({**base, "general.architecture": "qwen2"},
             [{"key": "general.architecture", "a": "llama", "b": "qwen2"}])):
        second = write(values)
        done = cli(daemon, "diff", first, second, "--json")
        found = schemas.read(done.stdout)
        assert (found["keys"], found["equal"], done.returncode) == (keys, not keys, 1 if keys else 0)
        shown = cli(daemon, "diff", first, second)
        assert shown.returncode == done.returncode and (not keys or "; 1 keys differ" in shown.stdout)


def test_an_unknown_architecture_has_no_names(daemon, model):
    """Without a known architecture nothing is mapped, and every layer lacks its counterpart."""
    latents, write = model
    done = cli(daemon, "verify", write("strange"), "--against", latents)
    assert done.returncode == 1 and "blk.0.attn_v.weight" in done.stdout


def test_a_changed_norm_is_found(daemon, model):
    """A norm that is stored in another type than the latents' is compared value for value."""
    latents, write = model

    def change(tensors):
        name, kind, shape, data = tensors[1]
        assert name == "output_norm.weight"
        values = np.frombuffer(data, "<f4").copy()
        values[7] += 1
        tensors[1] = (name, kind, shape, values.tobytes())
        return tensors

    done = cli(daemon, "verify", write(change=change), "--against", latents, "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)["findings"]
    assert [(one["tensor"], one["kind"], one["index"]) for one in found] == \
        [("output_norm.weight", "other_tensor_differs", "7")]


def test_a_changed_code_is_found(daemon, model):
    """A code of llama's q that differs is found at its place in the file."""
    latents, write = model

    def change(tensors):
        at = [name for name, *_ in tensors].index("blk.1.attn_q.weight")
        name, kind, shape, data = tensors[at]
        data = bytearray(data)
        byte = 34 * 5 + 2  # row 5, its first weight
        data[byte] = data[byte] & ~3 | (1 if data[byte] & 3 != 1 else 2)
        tensors[at] = (name, kind, shape, bytes(data))
        return tensors

    done = cli(daemon, "verify", write(change=change), "--against", latents, "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)["findings"]
    assert {(one["layer"], one["index"]) for one in found} == {("blk.1.attn_q.weight", str(5 * HIDDEN))}


def test_groups_of_64_hold_groups_of_128(daemon, model):
    """Q2_0 with each scale twice passes against latents that were projected in groups of 128."""
    latents, write = model
    done = cli(daemon, "verify", write(group=64), "--against", latents, "-g", "128")
    assert done.returncode == 0, done.stdout


def test_a_dense_head_is_kept(daemon, model):
    """Embeddings and head that are not in blocks are kept, and compared with the latents."""
    latents, write = model
    done = cli(daemon, "verify", write(head_dense=True), "--against", latents, "--json")
    assert done.returncode == 0, done.stdout
    assert len(json.loads(done.stdout)["layers"]) == 14


@pytest.mark.parametrize("order", [("m.gguf", "projected"), ("projected", "m.gguf")])
def test_diff_knows_names_and_orders(daemon, model, order, tmp_path):
    """diff of a GGUF file and the projection in safetensors finds no difference, either way round."""
    latents, write = model
    write(head_dense=True)
    assert cli(daemon, "project", latents, "-o", tmp_path / "projected", "-e", "pq2_0",
               "--exclude", "*embed*", "--exclude", "lm_head*").returncode == 0
    done = cli(daemon, "diff", tmp_path / order[0], tmp_path / order[1], "--json")
    assert done.returncode == 0, done.stdout
    found = json.loads(done.stdout)
    assert len(found["layers"]) == 14 and found["equal"]


def test_renames_apply_to_mapped_names(daemon, model, tmp_path):
    """A prefix that transformers' names have is stripped from the mapped names too."""
    latents, write = model
    from checkpoints import load
    save(tmp_path / "base.safetensors", {name.removeprefix("model."): value for name, value in load(latents).items()})
    file = write()
    done = cli(daemon, "verify", file, "--against", tmp_path / "base.safetensors", "--strip-prefix", "model.")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("stacked", [False, True])
def test_experts_against_their_latents(daemon, random, tmp_path, stacked):
    """Experts that llama.cpp stores as one tensor are compared with one tensor each, or with one for all."""
    experts = {name: (random.standard_normal((4, 8, HIDDEN)) * .05).astype(np.float32)
               for name in ("gate_proj", "up_proj", "down_proj")}
    router = (random.standard_normal((4, HIDDEN)) * .05).astype(np.float32)
    prefix = "model.layers.0.mlp."
    latents = {prefix + "gate.weight": router}
    for name, value in experts.items():
        if stacked:
            latents[f"{prefix}experts.{name}.weight"] = value
        else:
            latents.update({f"{prefix}experts.{i}.{name}.weight": value[i] for i in range(4)})
    save(tmp_path / "latents.safetensors", latents)
    names = {"gate_proj": "ffn_gate_exps", "up_proj": "ffn_up_exps", "down_proj": "ffn_down_exps"}

    def write(spoil=False):
        tensors = [("blk.0.ffn_gate_inp.weight", F32, router.shape, router.tobytes())]
        for name, ours in names.items():
            blocks = bytearray(to_blocks(experts[name].reshape(-1, HIDDEN)))
            if spoil and name == "up_proj":
                at = 34 * 8 * 2 + 2  # expert 2, its first weight
                blocks[at] = blocks[at] & ~3 | (1 if blocks[at] & 3 != 1 else 2)
            tensors.append((f"blk.0.{ours}.weight", PQ2_0, (4, 8, HIDDEN), bytes(blocks)))
        path = tmp_path / "m.gguf"
        path.write_bytes(gguf(tensors, {"general.architecture": "qwen3moe"}))
        return path

    words = ["--experts", "out_in"] if stacked else []
    done = cli(daemon, "verify", write(), "--against", tmp_path / "latents.safetensors", "--json", *words)
    assert done.returncode == 0, done.stdout
    assert len(json.loads(done.stdout)["layers"]) == 12
    done = cli(daemon, "verify", write(spoil=True), "--against", tmp_path / "latents.safetensors", "--json", *words)
    assert done.returncode == 1
    assert [(one["layer"], one["index"]) for one in json.loads(done.stdout)["findings"]
            if one["severity"] == "error"] == [("blk.0.ffn_up_exps.weight[2]", "0")]


def test_a_missing_expert_is_found(daemon, random, tmp_path):
    """If the latents lack an expert, the file's tensor has no counterpart, and every expert is missing."""
    experts = (random.standard_normal((4, 8, HIDDEN)) * .05).astype(np.float32)
    save(tmp_path / "latents.safetensors",
         {f"model.layers.0.mlp.experts.{i}.up_proj.weight": experts[i] for i in range(3)})
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf([("blk.0.ffn_up_exps.weight", PQ2_0, (4, 8, HIDDEN),
                            to_blocks(experts.reshape(-1, HIDDEN)))], {"general.architecture": "qwen3moe"}))
    done = cli(daemon, "verify", path, "--against", tmp_path / "latents.safetensors")
    assert done.returncode == 1 and "experts.0.up_proj.weight" in done.stdout
