# SPDX-License-Identifier: Apache-2.0
"""Verdicts over models as transformers, llama.cpp and Flax save them, whole and with a part changed."""
import json

import numpy as np
import pytest

import gguf_files as gguf
import schemas
from checkpoints import bf16, load, save
from folders import save_folder
from tritd import cli

BLOCKS, HIDDEN, INNER = 3, 128, 256
SHAPES = {"self_attn.q_proj": (HIDDEN, HIDDEN), "self_attn.o_proj": (HIDDEN, HIDDEN),
          "mlp.up_proj": (INNER, HIDDEN), "mlp.down_proj": (HIDDEN, INNER)}
LOST = "model.layers.1.mlp.down_proj.weight"


def verify(daemon, path, *words):
    """The exit code, and (kind, severity, layer, tensor) of each finding."""
    done = cli(daemon, "verify", path, "--json", *words)
    assert done.returncode in (0, 1, 4), done.stderr
    return done.returncode, [(one["kind"], one["severity"], one.get("layer"), one.get("tensor"))
                             for one in schemas.read(done.stdout)["findings"]]


def hints(daemon, path, *words):
    return {one["hint"] for one in schemas.read(cli(daemon, "verify", path, "--json", *words).stdout)["findings"]}


def config(linear_class="autobitlinear", mode="offline", model_type="bitnet"):
    return {"model_type": model_type, "num_hidden_layers": BLOCKS, "tie_word_embeddings": True,
            "quantization_config": {"quant_method": "bitnet", "linear_class": linear_class,
                                    "quantization_mode": mode}}


def quarters(t):
    byte = (t + 1).astype(np.uint8).reshape(4, -1, t.shape[1])
    return byte[0] | byte[1] << 2 | byte[2] << 4 | byte[3] << 6


@pytest.fixture
def model():
    """Tensors of one model: "packed" as it is published; "loaded" as AutoBitLinear has it in memory,
    and save_pretrained writes it; "latents"."""
    def make(form):
        random = np.random.default_rng(7)
        out = {"model.embed_tokens.weight": bf16(random.standard_normal((320, HIDDEN)).astype(np.float32)),
               "model.norm.weight": bf16(np.ones(HIDDEN, np.float32))}
        for block in range(BLOCKS):
            out[f"model.layers.{block}.input_layernorm.weight"] = bf16(np.ones(HIDDEN, np.float32))
            for name, shape in SHAPES.items():
                name = f"model.layers.{block}.{name}.weight"
                w = (random.standard_normal(shape) * .02).astype(np.float32)
                scale = np.abs(w).mean(keepdims=True).reshape(1)
                t = np.clip(np.rint(w / scale), -1, 1)
                out[name] = {"packed": quarters, "loaded": bf16, "latents": lambda _: bf16(w)}[form](t)
                if form != "latents":
                    out[name + "_scale"] = bf16(scale)
        return out
    return make


def put(path, tensors, settings):
    save_folder(path, [tensors], settings, index=False)
    (path / "model-00001-of-00001.safetensors").rename(path / "model.safetensors")
    return path


@pytest.mark.parametrize("model_type", ["bitnet", "llama"])
def test_a_layer_that_a_block_lacks(daemon, tmp_path, model, model_type):
    """A model passes; without one of its layers, or a norm, it fails, although all others are ternary."""
    tensors, settings = model("packed"), config(model_type=model_type)
    assert verify(daemon, put(tmp_path / "a", tensors, settings)) == (0, [])
    norm = "model.layers.2.input_layernorm.weight"
    less = {name: one for name, one in tensors.items() if not name.startswith(LOST)}
    assert verify(daemon, put(tmp_path / "b", less, settings)) == (1, [("missing_layer", "error", LOST, None)])
    less = {name: one for name, one in tensors.items() if name != norm}
    assert verify(daemon, put(tmp_path / "c", less, settings)) == (1, [("missing_tensor", "error", None, norm)])
    assert verify(daemon, tmp_path / "b", "--exclude", "model.layers.1.*") == (0, [])


@pytest.mark.parametrize("lost, found", [
    ("mlp.up_proj", ("missing_layer", "error", "model.layers.0.mlp.up_proj.weight", None)),
    ("input_layernorm", ("missing_tensor", "error", None, "model.layers.0.input_layernorm.weight")),
    ("model.embed_tokens", ("missing_tensor", "error", None, "model.embed_tokens.weight"))])
def test_a_layer_that_every_block_lacks(daemon, tmp_path, model, lost, found):
    """A model that lacks a layer in every block, or its embedding, fails by the class in config.json;
    without one it passes, because nothing tells that the model is meant to have it."""
    tensors = model("packed") | {"model.layers.%d.post_attention_layernorm.weight" % block: bf16(
        np.ones(HIDDEN, np.float32)) for block in range(BLOCKS)}
    for name in [name for name in tensors if "up_proj" in name or "q_proj" in name]:
        for other in {"up": ["gate"], "q_": ["k", "v"]}["up" if "up_proj" in name else "q_"]:
            tensors[name.replace("up_proj", other + "_proj").replace("q_proj", other + "_proj")] = tensors[name]
    known = config(model_type="llama") | {"architectures": ["LlamaForCausalLM"]}
    assert verify(daemon, put(tmp_path / "a", tensors, known)) == (0, [])
    less = {name: one for name, one in tensors.items() if lost not in name}
    assert verify(daemon, put(tmp_path / "b", less, known)) == (1, [found])
    assert verify(daemon, put(tmp_path / "c", less, config(model_type="llama"))) == (0, [])


def test_a_part_of_a_layer(daemon, tmp_path, random):
    """A layer with half of its rows, as one rank of several has it, fails by config.json's sizes."""
    known = config(model_type="llama") | {"architectures": ["LlamaForCausalLM"], "num_hidden_layers": 0,
                                          "hidden_size": 128, "intermediate_size": 64}
    layer = "model.layers.0.mlp.up_proj.weight"
    for rows, found in ((64, []), (32, [("config_disagrees", "error", layer, None)])):
        tensors = {layer: random.integers(-1, 2, (rows, 128)).astype(np.float32)}
        assert verify(daemon, put(tmp_path / str(rows), tensors, known)) == (1 if found else 0, found)


def test_a_pattern_for_a_missing_shard(daemon, tmp_path, random):
    """A pattern that matches nothing because a shard is missing names the shard, too."""
    t = random.integers(-1, 2, (64, 128)).astype(np.float32)
    save_folder(tmp_path / "a", [{"embed.weight": t}, {"up.weight": t}])
    (tmp_path / "a" / "model-00001-of-00002.safetensors").unlink()
    done = cli(daemon, "verify", tmp_path / "a", "--exclude", "embed.*")
    assert done.returncode == 2 and "in which model-00001-of-00002.safetensors is missing" in done.stderr


def test_a_layer_in_another_form(daemon, tmp_path, random):
    """A layer that was flattened in one block is undecided, not missing."""
    tensors = {f"model.layers.{block}.mlp.up_proj.weight": random.integers(-1, 2, (64, 128)).astype(np.float32)
               for block in range(3)}
    layer = "model.layers.1.mlp.up_proj.weight"
    tensors[layer] = tensors[layer].reshape(-1)
    assert verify(daemon, put(tmp_path / "a", tensors, config(model_type="llama"))) == (
        4, [("unknown_dtype", "undecided", None, layer)])


def test_a_packed_head(daemon, tmp_path, model, random):
    """A head or embedding of a bitnet model that is packed like its layers is examined, and packs
    into other encodings; dense ones are kept."""
    codes = random.integers(-1, 2, (320, HIDDEN))
    scale = bf16(np.array([.02], np.float32))
    tensors = model("packed")
    for name in ("lm_head.weight", "model.embed_tokens.weight"):
        whole = tensors | {name: quarters(codes), name + "_scale": scale}
        path = put(tmp_path / name, whole, config())
        assert verify(daemon, path) == (0, [])
        wrong = whole | {name: quarters(codes) | np.uint8(3)}
        assert verify(daemon, put(tmp_path / "wrong", wrong, config())) == (
            1, [("code_out_of_range", "error", name, None)])
        done = cli(daemon, "unpack", path, "-o", tmp_path / ("dense" + name))
        assert done.returncode == 0, done.stderr
        dense = load(tmp_path / ("dense" + name) / "model.safetensors")[name]
        assert dense.shape == codes.shape


@pytest.mark.parametrize("name, words", [
    ("ema_model.layers.0.up.weight", "an average of the weights"),
    ("layers.0.up.parametrizations.weight.original", "the latents from which"),
    ("layers.0.up.latent_weight", "the latents from which")])
def test_copies_of_the_weights(daemon, tmp_path, random, name, words):
    """Averages and latents beside a ternary layer are not ternary; the finding says what they are."""
    path = put(tmp_path / "a", {"layers.0.up.weight": random.integers(-1, 2, (64, 128)).astype(np.float32),
                                name: random.standard_normal((64, 128)).astype(np.float32)}, {})
    assert verify(daemon, path) == (1, [("not_ternary", "error", name, None)])
    assert words in hints(daemon, path).pop()


def test_a_config_that_a_link_does_not_reach(daemon, tmp_path, model):
    """A folder whose config.json is a link to no file is refused, because that says how the weights
    are to be read."""
    path = put(tmp_path / "a", model("packed"), config())
    (path / "config.json").unlink()
    (path / "config.json").symlink_to("nowhere")
    done = cli(daemon, "verify", path)
    assert done.returncode == 3 and "config.json is a link to a file that does not exist" in done.stderr


def test_modules_that_are_not_packed(daemon, tmp_path, model):
    """A layer that config.json lists among the modules that are not packed must be dense: packed, it
    does not load and fails; dense latents in its place fail with a hint that says so."""
    listed = config()
    listed["quantization_config"]["modules_to_not_convert"] = ["lm_head", "model.layers.1.mlp.down_proj"]
    assert verify(daemon, put(tmp_path / "a", model("packed"), listed)) == (
        1, [("config_disagrees", "error", LOST, None)])
    tensors = {name: one for name, one in model("packed").items() if not name.startswith(LOST)}
    path = put(tmp_path / "b", tensors | {LOST: model("latents")[LOST]}, listed)
    assert verify(daemon, path) == (1, [("not_ternary", "error", LOST, None)])
    assert "says that this layer is not packed" in hints(daemon, path).pop()
    assert verify(daemon, path, "--exclude", LOST) == (0, [])


def test_a_layer_that_a_block_of_a_gguf_file_lacks(daemon, tmp_path, random):
    """A GGUF model fails without one of its layers."""
    def put_gguf(name, lost=None):
        tensors = [("token_embd.weight", gguf.F16, (32, 128), bytes(32 * 128 * 2))]
        for block in range(3):
            for leaf in ("attn_q", "ffn_up"):
                layer = f"blk.{block}.{leaf}.weight"
                if layer != lost:
                    tensors.append((layer, gguf.PQ2_0, (32, 128), gguf.pq2_0(
                        random.integers(-1, 2, (32, 128)), np.full(32, .02))))
        (tmp_path / name).write_bytes(gguf.gguf(tensors, {
            "general.architecture": "llama", "llama.block_count": 3}))
        return tmp_path / name
    assert verify(daemon, put_gguf("a.gguf")) == (0, [])
    layer = "blk.1.ffn_up.weight"
    assert verify(daemon, put_gguf("b.gguf", layer)) == (1, [("missing_layer", "error", layer, None)])


def test_a_model_that_was_loaded_and_saved(daemon, tmp_path, model):
    """transformers keeps and saves t and its scale apart: both are judged. Against latents it is
    undecided, and it is not packed, because that would lose the scales."""
    tensors, settings = model("loaded"), config()
    path = put(tmp_path / "a", tensors, settings)
    assert verify(daemon, path) == (0, [])
    for scale, kind in ((np.nan, "scale_non_finite"), (-.5, "scale_negative"), (0, "scale_zero_under_codes")):
        wrong = tensors | {LOST + "_scale": bf16(np.array([scale], np.float32))}
        assert verify(daemon, put(tmp_path / kind, wrong, settings)) == (1, [(kind, "error", LOST, LOST + "_scale")])
        done = cli(None, "diff", path, tmp_path / kind, "--json")
        assert done.returncode == 1 and [one["tensor"] for one in schemas.read(done.stdout)["tensors"]
                                         if not one["equal"]] == [LOST + "_scale"]
    columns = tensors | {LOST + "_scale": bf16(np.ones((1, INNER), np.float32))}
    assert verify(daemon, put(tmp_path / "b", columns, settings)) == (
        4, [("foreign_packing", "undecided", None, LOST)])
    latents = put(tmp_path / "latents", model("latents"), config(mode="online"))
    code, found = verify(daemon, path, "--against", latents)
    assert code == 4 and {one[0] for one in found} == {"foreign_packing", "nothing_examined"}
    done = cli(daemon, "pack", path, "-o", tmp_path / "out", "-e", "pq2_0")
    assert done.returncode == 1 and "would be lost" in done.stderr


def test_latents_of_an_online_model(daemon, tmp_path, model):
    """Latents are not ternary, also where config.json says that they are made so while the model
    runs: the finding says what to do, and --mode latent does it."""
    path = put(tmp_path / "a", model("latents"), config(mode="online"))
    code, found = verify(daemon, path)
    assert code == 1 and {one[0] for one in found} == {"not_ternary"}
    assert all("quantization_mode online" in one and "--mode latent" in one for one in hints(daemon, path))
    assert verify(daemon, path, "--mode", "latent") == (0, [])
    done = cli(daemon, "verify", path, "--mode", "latent", "-e", "hf_bitnet")
    assert done.returncode == 3 and "latents are dense, not hf_bitnet" in done.stderr


def test_dense_embeddings(daemon, tmp_path, random):
    """The finding about a dense embedding or head names --exclude, with which the model passes."""
    t = random.integers(-1, 2, (64, 128)).astype(np.float32)
    dense = random.standard_normal((64, 128)).astype(np.float32)
    path = put(tmp_path / "a", {"model.embed_tokens.weight": dense, "lm_head.weight": dense,
                                "model.layers.0.mlp.up_proj.weight": t}, {})
    code, found = verify(daemon, path)
    assert code == 1 and {one[2] for one in found} == {"model.embed_tokens.weight", "lm_head.weight"}
    assert all("--exclude leaves it out" in one for one in hints(daemon, path))
    assert verify(daemon, path, "--exclude", "model.embed_tokens.weight", "--exclude", "lm_head.weight") == (0, [])


@pytest.mark.parametrize("dot", [".", "/"])
def test_flax(daemon, tmp_path, random, dot):
    """Names of Flax, with dots or slashes: position tables and norms are kept, kernels are layers."""
    tensors = {"Embed_0.embedding": random.integers(-1, 2, (64, 128)).astype(np.float32),
               "wpe.embedding": random.standard_normal((16, 128)).astype(np.float32)}
    for block in range(4):
        for name in ("attention.query", "mlp.wi", "mlp.wo"):
            tensors[f"router_model.layers_{block}.{name}.kernel"] = random.integers(
                -1, 2, (128, 128)).astype(np.float32)
        tensors[f"router_model.layers_{block}.mlp_norm.scale"] = np.ones(128, np.float32)

    def put_flax(name, values):
        save(tmp_path / name, {one.replace(".", dot): value for one, value in values.items()})
        return tmp_path / name
    assert verify(daemon, put_flax("a.safetensors", tensors)) == (0, [])
    layer = "router_model.layers_2.mlp.wo.kernel"
    wrong = tensors | {layer: tensors[layer] + np.float32(.25) * (np.arange(128) == 7)}
    code, found = verify(daemon, put_flax("b.safetensors", wrong))
    assert code == 1 and [one[2] for one in found] == [layer.replace(".", dot)]
    del wrong[layer]
    assert verify(daemon, put_flax("c.safetensors", wrong)) == (
        0, [("missing_layer", "warning", layer.replace(".", dot), None)])


def test_an_optimizer_beside_the_weights(daemon, tmp_path, random):
    """Moments and copies of an optimizer are no layers, and no weights that were not examined."""
    moments = random.standard_normal((64, 128)).astype(np.float32)
    save(tmp_path / "a.safetensors", {
        "model.up_proj.weight": random.integers(-1, 2, (64, 128)).astype(np.float32),
        "optimizer.state.0.exp_avg": moments, "optimizer.state.exp_avg_sq.model.up_proj.weight": moments,
        "optimizer.state.fp32_param.model.up_proj.weight": moments,
        "optimizer.state.1.flat": np.zeros(300000, np.float32)})
    assert verify(daemon, tmp_path / "a.safetensors") == (0, [])


def test_convolutions_that_a_pattern_asks_for(daemon, tmp_path, random):
    """A convolution that --include matches is examined with --convolutions, and undecided without."""
    t = random.integers(-1, 2, (64, 128)).astype(np.float32)
    save(tmp_path / "a.safetensors", {"up.weight": t, "conv.weight": t.reshape(64, 32, 4)})
    words = ("--include", "up.*", "--include", "conv.*")
    assert verify(daemon, tmp_path / "a.safetensors", *words) == (
        4, [("unknown_dtype", "undecided", None, "conv.weight")])
    assert "--convolutions" in hints(daemon, tmp_path / "a.safetensors", *words).pop()
    assert verify(daemon, tmp_path / "a.safetensors", *words, "--convolutions") == (0, [])
    done = cli(daemon, "project", tmp_path / "a.safetensors", "-o", tmp_path / "out.safetensors", *words)
    assert done.returncode == 1 and "--convolutions" in done.stderr


@pytest.mark.parametrize("tables", [
    {"l.qweight": ((8, 256), np.int32), "l.qzeros": ((2, 16), np.int32), "l.scales": ((2, 256), np.float16)},
    {"l._weight_qdata": ((256, 128), np.int8), "l._weight_scale": ((256, 1), np.float32),
     "l._weight_zero_point": ((256, 1), np.int8)},
    {"l.weight._data": ((64, 256), np.int8), "l.weight._scale": ((64, 1), np.float32)},
    {"l.weight": ((64, 16), np.uint32), "l.scales": ((64, 4), np.uint8)}],
    ids=["GPTQ", "torchao", "quanto", "MLX mxfp4"])
def test_packings_that_are_not_read(daemon, tmp_path, tables):
    """The finding about a packing that is not read says what to do."""
    save(tmp_path / "a.safetensors", {name: np.ones(shape, kind) for name, (shape, kind) in tables.items()})
    code, found = verify(daemon, tmp_path / "a.safetensors")
    assert code == 4 and {one[0] for one in found} == {"foreign_packing", "nothing_examined"}
    assert any("save the model with dense weights" in one and "--exclude leaves it out" in one
               for one in hints(daemon, tmp_path / "a.safetensors"))
