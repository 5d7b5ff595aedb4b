# SPDX-License-Identifier: Apache-2.0
"""Verdicts over layers of which a file holds only a part: the weight, its scales, or the first bytes."""
import json

import numpy as np
import pytest

import claims
import gguf_files as gguf
import packings
import schemas
from checkpoints import header_of, load, save
from folders import save_folder, shard_name
from tritd import cli

BITNET = {"quantization_config": {"quant_method": "bitnet"}}
MLX = {"quantization": {"group_size": 128, "bits": 2}}


def verify(daemon, path, *words):
    """The exit code, and (kind, severity, layer, tensor) of each finding."""
    done = cli(daemon, "verify", path, "--json", *words)
    assert done.returncode in (0, 1, 4), done.stderr
    return done.returncode, [(one["kind"], one["severity"], one.get("layer"), one.get("tensor"))
                             for one in schemas.read(done.stdout)["findings"]]


@pytest.fixture
def packed(random):
    """The tensors of a ternary layer [64, 256] in an encoding, and a config.json that tells it."""
    def make(encoding, name):
        codes = random.integers(0, 3, (64, 256))
        scales = (random.random((64, 2)) * .03 + .01).astype(np.float16)
        if encoding == "mlx_2bit":
            words = (codes.astype(np.uint32).reshape(64, 16, 16) << 2 * np.arange(16, dtype=np.uint32)).sum(
                -1, dtype=np.uint32)
            return {f"{name}.weight": words, f"{name}.scales": scales, f"{name}.biases": -scales}
        if encoding == "hf_bitnet":
            quarters = codes.astype(np.uint8).reshape(4, 16, 256)
            byte = quarters[0] | quarters[1] << 2 | quarters[2] << 4 | quarters[3] << 6
            return {f"{name}.weight": byte, f"{name}.weight_scale": np.array([.02], np.float32)}
        return {f"{name}.weight": (codes - 1).astype(np.int8),
                f"{name}.weight.scales": scales.astype(np.float32)}
    return make


CONFIGS = {"mlx_2bit": MLX, "hf_bitnet": BITNET, "int8": {}}


def folder(path, tensors, config):
    path.mkdir(exist_ok=True)
    save(path / "model.safetensors", tensors, {"format": "pt"})
    (path / "config.json").write_text(json.dumps(config))
    return path


@pytest.mark.parametrize("encoding", CONFIGS)
def test_scales_without_their_weight(daemon, tmp_path, packed, encoding):
    """A layer whose weight is lost is missing, by the scales that are left of it; it can be excluded."""
    tensors = packed(encoding, "a.q_proj") | packed(encoding, "b.q_proj")
    model = folder(tmp_path / "model", tensors, CONFIGS[encoding])
    assert verify(daemon, model) == (0, [])
    del tensors["b.q_proj.weight"]
    folder(model, tensors, CONFIGS[encoding])
    assert verify(daemon, model) == (1, [("missing_layer", "error", "b.q_proj.weight", None)])
    assert verify(daemon, model, "--exclude", "b.*") == (0, [])


@pytest.mark.parametrize("lost", [["scales"], ["scales", "biases"]])
@pytest.mark.parametrize("bits", [2, 4])
def test_mlx_without_scales(daemon, tmp_path, packed, lost, bits):
    """Where config.json says that MLX packed a layer, its scales are missing, with or without biases
    and whatever the bits."""
    tensors = packed("mlx_2bit", "a.q_proj")
    for leaf in lost:
        del tensors[f"a.q_proj.{leaf}"]
    model = folder(tmp_path / "model", tensors, {"quantization": {"group_size": 128, "bits": bits}})
    assert verify(daemon, model) == (1, [
        ("missing_tensor", "error", "a.q_proj.weight", "a.q_proj.scales"),
        ("nothing_examined", "undecided", None, None)])


@pytest.mark.parametrize("encoding", CONFIGS)
def test_a_layer_over_two_shards(daemon, tmp_path, packed, encoding):
    """A ternary model whose layer lies in two shards passes; one shard alone is undecided, because the
    other one may hold what it lacks."""
    parts = list((packed(encoding, "a.q_proj") | packed(encoding, "b.q_proj")).items())
    most = 1 if encoding == "mlx_2bit" else 2
    for at in range(len(parts) // 2 + 1, len(parts)):
        model = tmp_path / f"model{at}"
        save_folder(model, [dict(parts[:at]), dict(parts[at:])], CONFIGS[encoding])
        assert verify(daemon, model) == (0, [])
        code, found = verify(daemon, model / shard_name(1, 2))
        assert code == 4 and [one[0] for one in found] == ["not_in_index", "missing_tensor"], found
        code, found = verify(daemon, model / shard_name(2, 2))
        assert code == 4 and {one[1] for one in found} == {"undecided"} and len(found) > most, found


def test_a_record_of_all_shards_in_each(daemon, tmp_path, random):
    """Where another program copied the record of a file into each of its shards, the folder passes, and one
    shard alone is undecided."""
    made, model = tmp_path / "made.safetensors", tmp_path / "model"
    save(tmp_path / "in.safetensors", {name: random.standard_normal((64, 256)).astype(np.float32)
                                       for name in ("a.weight", "b.weight")})
    assert cli(daemon, "project", tmp_path / "in.safetensors", "-o", made, "-e", "pq2_0").returncode == 0
    tensors, record = load(made), header_of(made)["__metadata__"]
    model.mkdir()
    for number, (name, data) in enumerate(tensors.items(), 1):
        save(model / shard_name(number, 2), {name: data}, record)
    assert verify(daemon, model) == (0, [])
    code, found = verify(daemon, model / shard_name(1, 2))
    assert code == 4 and [one[:2] for one in found] == [("not_in_index", "undecided"),
                                                        ("missing_layer", "undecided")]


def test_a_file_that_ends_before_its_packed_layers(daemon, tmp_path, random, packed):
    """Of a file that is cut, the header tells the encoding: its dense embedding is not judged."""
    embedding = random.standard_normal((128, 256)).astype(np.float16)
    blocks = gguf.pq2_0(random.integers(-1, 2, (64, 256)), np.full(128, .02))
    whole = gguf.gguf([("token_embd.weight", gguf.F16, (128, 256), embedding.tobytes()),
                       ("blk.0.ffn_up.weight", gguf.PQ2_0, (64, 256), blocks)])
    path = tmp_path / "cut.gguf"
    for length in (len(whole) - 1, len(whole) - len(blocks)):
        path.write_bytes(whole[:length])
        assert verify(daemon, path) == (1, [("truncated", "error", None, "blk.0.ffn_up.weight"),
                                            ("nothing_examined", "undecided", None, None)])
    layer = packed("hf_bitnet", "a.q_proj")
    tensors = {"model.embed_tokens.weight": embedding,
               **{name: layer[name] for name in sorted(layer, reverse=True)}}
    shards = tmp_path / "shards"
    save_folder(shards, [{"model.embed_tokens.weight": embedding},
                         {name: tensors[name] for name in list(tensors)[1:]}])
    save(tmp_path / "cut.safetensors", tensors)
    for cut, name in ((tmp_path / "cut.safetensors", tmp_path / "cut.safetensors"),
                      (shards / shard_name(2, 2), shards)):
        cut.write_bytes(cut.read_bytes()[:-10])
        assert verify(daemon, name) == (1, [("truncated", "error", None, "a.q_proj.weight"),
                                            ("nothing_examined", "undecided", None, None)])


def test_bytes_that_config_json_contradicts(daemon, tmp_path, packed):
    """hf_bitnet's bytes under another quant_method are undecided; the finding names both ways out."""
    model = folder(tmp_path / "model", packed("hf_bitnet", "a.q_proj"),
                   {"quantization_config": {"quant_method": "gptq", "bits": 2}})
    done = cli(daemon, "verify", model, "--json")
    assert done.returncode == 4
    hint = schemas.read(done.stdout)["findings"][0]["hint"]
    assert "--encoding hf_bitnet" in hint and "quant_method is gptq" in hint
    assert verify(daemon, model, "--encoding", "hf_bitnet") == (0, [])


@pytest.mark.parametrize("name, code", [("a.fc.weight", 4), ("a.norm.weight", 0), ("a.fc.bias", 0)])
def test_placeholders_of_zero3(daemon, tmp_path, random, name, code):
    """An empty vector in the place of a weight was not examined, whatever the weight's name."""
    save(tmp_path / "a.safetensors", {
        "a.q_proj.weight": (random.integers(-1, 2, (64, 256)) * .5).astype(np.float32),
        name: np.zeros(0, np.float32)})
    assert verify(daemon, tmp_path / "a.safetensors")[0] == code


@pytest.mark.parametrize("name", [
    "rotary_attn.to_q.weight", "rope.encoder.fc1.weight", "lora_layers.0.q_proj.weight",
    "router_model.layers.0.self_attn.q_proj.weight", "router_model.layers.0.mlp.fc1.weight",
    "lora_layers.0.attn.to_q.weight", "rotary_attn.in_proj_weight"])
def test_layers_of_models_with_such_names(daemon, tmp_path, random, name):
    """A latent weight in a module whose prefix speaks of rotary tables, routers or LoRA fails."""
    ternary = (random.integers(-1, 2, (64, 256)) * .5).astype(np.float32)
    latent = random.standard_normal((64, 256)).astype(np.float32)
    path = tmp_path / "a.safetensors"
    save(path, {"a.q_proj.weight": ternary, name: latent})
    assert verify(daemon, path) == (1, [("not_ternary", "error", name, None)])
    save(path, {**load(path), name: ternary})
    assert verify(daemon, path) == (0, [])


@pytest.mark.parametrize("layers", ["pq2_0", "i2_s"])
def test_embedding_and_head_of_llama_quantize(daemon, tmp_path, random, layers):
    """Next to ternary layers, an embedding and a head in llama-quantize's own blocks are kept; any other
    matrix in such blocks is undecided, and so are all of them against latents."""
    q6_k, path = 14, tmp_path / "a.gguf"
    codes = random.integers(-1, 2, (4, 256))
    layer = {"pq2_0": (gguf.PQ2_0, (4, 256), gguf.pq2_0(codes, np.full(8, .02))),
             "i2_s": (36, (4, 256), packings.encode(claims.I2_S, codes, np.full((1, 1), .02, np.float32))[0])}[layers]

    def write(name):
        path.write_bytes(gguf.gguf([
            ("token_embd.weight", q6_k, (4, 256), bytes(4 * 210)), ("output.weight", q6_k, (4, 256), bytes(4 * 210)),
            (name, q6_k, (4, 256), bytes(4 * 210)),
            ("blk.0.ffn_up.weight", *layer)]))
    write("output_norm.weight")
    assert verify(daemon, path, "--exclude", "output_norm.weight") == (0, [])
    _, found = verify(daemon, path, "--exclude", "output_norm.weight", "--against", path)
    assert {(one[0], one[3]) for one in found} >= {("foreign_packing", "token_embd.weight"),
                                                   ("foreign_packing", "output.weight")}
    write("blk.0.ffn_down.weight")
    assert verify(daemon, path) == (4, [("foreign_packing", "undecided", None, "blk.0.ffn_down.weight")])


@pytest.mark.parametrize("name", ["token_embd.weight", "output.weight", "blk.0.ffn_gate_inp.weight"])
def test_what_is_asked_for_in_unreadable_blocks(daemon, tmp_path, random, name):
    """What the rules keep in blocks that cannot be read is undecided where a pattern includes it, alone or
    with the ternary layers beside it."""
    path = tmp_path / "a.gguf"
    codes = random.integers(-1, 2, (4, 256))
    path.write_bytes(gguf.gguf([(name, 14, (4, 256), bytes(4 * 210)),
                                ("blk.0.ffn_up.weight", gguf.PQ2_0, (4, 256), gguf.pq2_0(codes, np.full(8, .02)))]))
    assert verify(daemon, path) == (0, [])
    undecided = ("foreign_packing", "undecided", None, name)
    assert undecided in verify(daemon, path, "--include", name)[1]
    for words in (["--include", name, "--include", "*ffn_up*"], ["--include", "*"]):
        assert verify(daemon, path, *words) == (4, [undecided])
    assert verify(daemon, path, "--include", "*ffn_up*") == (0, [])


def test_weight_norms_and_masks_stay(daemon, tmp_path, random):
    """A projection leaves the magnitudes of a weight norm and the mask of a pruned layer as they are, also
    in a module whose name is a product's."""
    tensors = {"a.q_proj.weight_v": random.standard_normal((64, 256)).astype(np.float32),
               "a.q_proj.weight_g": random.random((64, 1)).astype(np.float32),
               "b.q_proj.weight_orig": random.standard_normal((64, 256)).astype(np.float32),
               "b.q_proj.weight_mask": random.integers(0, 2, (64, 256)).astype(np.float32)}
    save(tmp_path / "in.safetensors", tensors)
    out = tmp_path / "out.safetensors"
    assert cli(daemon, "project", tmp_path / "in.safetensors", "-o", out).returncode == 0
    for name in ("a.q_proj.weight_g", "b.q_proj.weight_mask"):
        np.testing.assert_array_equal(load(out)[name], tensors[name])


@pytest.mark.parametrize("encoding", CONFIGS)
def test_pack_refuses_what_lost_its_weight(daemon, tmp_path, packed, encoding):
    """A packing names the layer whose weight is lost, instead of an output that does not show that it is missing."""
    tensors = packed(encoding, "a.q_proj") | packed(encoding, "b.q_proj")
    del tensors["b.q_proj.weight"]
    model = folder(tmp_path / "model", tensors, CONFIGS[encoding])
    words = ["unpack", model, "-o", tmp_path / "out"]
    done = cli(daemon, *words)
    assert done.returncode == 1 and "belongs to b.q_proj.weight, which the input lacks" in done.stderr
    assert not (tmp_path / "out").exists()
    assert cli(daemon, *words, "--exclude", "b.*").returncode == 0


def test_pack_refuses_what_lost_a_recorded_layer(daemon, tmp_path, random):
    """What fails because its record names a layer that it lacks cannot be packed into what passes."""
    inputs, made = tmp_path / "in.safetensors", tmp_path / "made.safetensors"
    save(inputs, {name: random.standard_normal((64, 256)).astype(np.float32) for name in ("a.weight", "b.weight")})
    assert cli(daemon, "project", inputs, "-o", made, "-e", "pq2_0").returncode == 0
    tensors, record = load(made), header_of(made)["__metadata__"]
    del tensors["b.weight"]
    save(made, tensors, record)
    assert verify(daemon, made) == (1, [("missing_layer", "error", "b.weight", None)])
    words = ["pack", made, "-o", tmp_path / "out.safetensors", "-e", "q2_0"]
    for more in ([], ["--dry-run"]):
        done = cli(daemon, *words, *more)
        assert done.returncode == 1 and "b.weight: the file's record names it" in done.stderr, done.stderr
    assert not (tmp_path / "out.safetensors").exists()


def test_pack_names_all_recorded_layers_that_are_lost(daemon, tmp_path, random):
    """A packing lists the layers of the record that the input lacks, and counts those for which the message has
    no room; those that a pattern excludes are left out."""
    inputs, made = tmp_path / "in.safetensors", tmp_path / "made.safetensors"
    names = [f"{letter * 200}.weight" for letter in "abcdefg"]
    save(inputs, {"e.bias": np.ones(2, np.float32),
                  **{name: random.standard_normal((2, 256)).astype(np.float32) for name in ["kept.weight", *names]}})
    assert cli(daemon, "project", inputs, "-o", made, "-e", "pq2_0").returncode == 0
    save(made, {name: load(made)[name] for name in ("kept.weight", "e.bias")}, header_of(made)["__metadata__"])
    words = ["pack", made, "-o", tmp_path / "out.safetensors", "-e", "q2_0"]
    done = cli(daemon, *words)
    assert done.returncode == 1
    assert f"{', '.join(names[:3])} and 4 more: the file's record names them" in done.stderr
    assert "the output would not show that they are missing" in done.stderr
    done = cli(daemon, *words, "--exclude", "[a-e]*")
    assert done.returncode == 1 and f": {names[5]}, {names[6]}: the file's record names them" in done.stderr
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize("name, library", [("h.0.attn.c_attn.weight", "GPT-2"), ("h.0.q_proj.kernel", "Flax")])
def test_a_layer_that_may_be_stored_as_in_out(daemon, tmp_path, random, name, library):
    """Where the name is one that a library stores as [in, out], the finding says how to have it read so."""
    path = tmp_path / "a.safetensors"
    scales = np.repeat(random.random((64, 2)) + .5, 128, axis=1)
    save(path, {name: np.ascontiguousarray((random.integers(-1, 2, (64, 256)) * scales).astype(np.float32).T)})
    done = cli(daemon, "verify", path, "--json")
    assert done.returncode == 1
    hint = schemas.read(done.stdout)["findings"][0]["hint"]
    assert library in hint and "use --transposed if this file does" in hint
    assert verify(daemon, path, "--transposed", "*") == (0, [])
