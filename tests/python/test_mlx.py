# SPDX-License-Identifier: Apache-2.0
"""trit.mlx against the real daemon, the golden file, and its own local results."""

import copy
import gc
import logging
import pickle

import numpy as np
import pytest

mx = pytest.importorskip("mlx.core")
import mlx.nn as nn  # noqa: E402
import mlx.optimizers as optim  # noqa: E402
from mlx.utils import tree_flatten  # noqa: E402

import trit  # noqa: E402
import trit.mlx as tm  # noqa: E402
from wide_groups import wide_groups  # noqa: E402

KINDS = [mx.float32, mx.float16, mx.bfloat16]


def bits(array):
    return np.asarray(memoryview(array.reshape(-1).view(mx.uint8))).tobytes()


def normal(*shape, seed=1, dtype=mx.float32):
    return mx.random.normal(shape, key=mx.random.key(seed)).astype(dtype)


def near(made, expected):
    made = np.asarray(memoryview(made))
    return np.abs(made - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("dtype", KINDS, ids=str)
@pytest.mark.parametrize("shape", [(8, 256), (7, 200), (3, 4, 129), (300,)], ids=str)
def test_projection_by_rpc_and_local_agree(client, dtype, shape):
    w = normal(*shape, dtype=dtype)
    made = client.project(w)
    assert made.data.dtype == dtype and made.data.shape == w.shape
    assert bits(made.data) == bits(tm.project_local(w))
    assert bits(client.backward(w)) == bits(w)


# Where the order of a group's additions decides about the scale, it is the daemon's.
@pytest.mark.parametrize("columns", [16, 64, 128, 1024])
def test_sums_in_mlx_have_the_daemons_order(client, columns):
    w = mx.array(wide_groups(columns))
    made = client.project(w, group_size=columns)
    assert bits(made.data) == bits(tm.project_local(w, columns))


def test_a_group_larger_than_a_row_takes_no_more_memory():
    """2^31 weights in f64 would be 16 GiB for each row."""
    made = tm.project_local(mx.ones((2, 8)), group_size=2**31)
    assert bits(made) == bits(mx.full((2, 8), 8 / 2**31))


# MLX itself can dequantize and multiply by the MLX encoding, in groups of both sizes, from a
# projection and from a held layer.
@pytest.mark.parametrize("group_size", [64, 128])
def test_mlx_encoding_is_mlx_own(client, group_size):
    w, x = normal(8, 256) * 0.02, normal(3, 256, seed=2)
    packed = client.project(w, encoding="mlx_2bit", group_size=group_size)
    assert packed.data.dtype == mx.uint32 and packed.scales.dtype == mx.float16
    assert packed.scales.shape == (8, 256 // group_size)
    own = {"group_size": group_size, "bits": 2}
    back = mx.dequantize(packed.data, packed.scales, packed.biases, **own)
    assert bits(back.astype(mx.float32) + 0) == bits(client.unpack(packed) + 0)
    name = f"mlx/{group_size}"
    client.layers.load(name, w, group_size=group_size)
    held = client.layers.get(name, encoding="mlx_2bit", like=w)
    assert bits(held.weight) == bits(packed.data) and bits(held.scales) == bits(packed.scales)
    y = mx.quantized_matmul(x.astype(mx.float16), held.weight, held.scales, -held.scales, **own)
    exact = client.layers.forward(name, x)
    assert mx.abs(y - exact).max() <= 5e-3 * mx.abs(exact).max()


@pytest.mark.parametrize("by_rpc", [True, False])
@pytest.mark.parametrize("case", ["linear_256_96", "linear_200_40"])
def test_linear_layers_of_the_golden_file(client, golden, case, by_rpc):
    out_features, in_features = golden[case + ".weight"].shape
    layer = tm.TernaryLinear(
        in_features, out_features, case + ".bias" in golden, client=client if by_rpc else None
    )
    layer.weight = mx.array(golden[case + ".weight"])
    if "bias" in layer:
        layer.bias = mx.array(golden[case + ".bias"])
    x, g = mx.array(golden[case + ".x"]), mx.array(golden[case + ".grad_output"])

    def loss(weight, x):
        layer.weight = weight
        return (layer(x) * g).sum()

    weight = mx.array(golden[case + ".weight"])
    grad_weight, grad_input = mx.grad(loss, argnums=(0, 1))(weight, x)
    layer.weight = weight
    assert near(layer(x), golden[case + ".y"])
    assert near(grad_weight, golden[case + ".grad_weight"])
    assert near(grad_input, golden[case + ".grad_input"])


def test_embedding_of_the_golden_file(client, golden):
    layer = tm.TernaryEmbedding(50, 192, client=client)
    layer.weight = mx.array(golden["embedding_50_192.weight"])
    assert near(layer(mx.array(golden["embedding_50_192.ids"])), golden["embedding_50_192.rows"])
    logits = layer.as_linear(mx.array(golden["embedding_50_192.x"]))
    assert near(logits, golden["embedding_50_192.logits"])


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(64, 128)
        self.blocks = [
            nn.Sequential(nn.Linear(128, 96), nn.ReLU(), nn.Linear(96, 128, bias=False))
            for _ in range(2)
        ]
        self.head = nn.Linear(128, 64, bias=False)

    def __call__(self, ids):
        x = self.embed(ids)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


# Layers are converted by name, value_and_grad works by RPC, and all verify.
def test_a_model_is_converted_trained_and_verified(client, run):
    model = tm.convert(Model(), exclude="blocks.1.*", client=client)
    assert isinstance(model.blocks[0].layers[0], tm.TernaryLinear)
    assert type(model.blocks[1].layers[0]) is nn.Linear
    ids = mx.arange(12).reshape(3, 4)

    def loss(model):
        return nn.losses.cross_entropy(model(ids), ids, reduction="mean")

    by_rpc, gradients = nn.value_and_grad(model, loss)(model)
    tm.set_client(model, None)
    locally, same = nn.value_and_grad(model, loss)(model)
    assert by_rpc.item() == locally.item()
    assert bits(gradients["embed"]["weight"]) == bits(same["embed"]["weight"])
    assert mx.abs(gradients["embed"]["weight"]).max() > 0

    found = tm.verify_ternary_weights(model, client)
    assert set(found) == {"embed", "head", "blocks.0.layers.0", "blocks.0.layers.2"}
    for one in found.values():
        assert one["is_ternary"] and one["fraction_valid"] == 1 and one["max_round_error"] == 0
    after_step = tm.verify_every(model, run, every=2, client=client)
    assert after_step(1) is None and set(after_step(2)) == set(found)
    assert client.reports.get(run, "head").step == 2


# Frozen layers stay frozen and shared ones shared; a single layer is a model too.
def test_convert_keeps_what_layers_are(client):
    model = Model().eval()
    model.blocks[1] = model.blocks[0]
    model.blocks[0].layers[0].freeze(keys="weight")
    kept = model.embed.weight
    tm.convert(model, include=["embed", "blocks.*"])
    first = model.blocks[0].layers[0]
    assert first is model.blocks[1].layers[0] and isinstance(first, tm.TernaryLinear)
    assert not first.training and set(first.trainable_parameters()) == {"bias"}
    assert set(model.blocks[0].layers[2].trainable_parameters()) == {"weight"}
    assert isinstance(model.embed, tm.TernaryEmbedding) and model.embed.weight is kept
    assert type(model.head) is nn.Linear
    alone = tm.convert(nn.Linear(128, 8, bias=False), client=client)
    assert isinstance(alone, tm.TernaryLinear) and "bias" not in alone


class Mine(nn.Linear):
    """A layer that may use its weight in its own way."""


class Lora(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(128, 8)
        self.lora_a, self.lora_b = mx.zeros((128, 2)), mx.zeros((2, 8))


class Zoo(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.norm, self.mine = nn.Linear(128, 8), nn.LayerNorm(128), Mine(128, 8)
        self.conv, self.lora = nn.Conv1d(8, 8, 3), Lora()
        self.packed = nn.QuantizedLinear(128, 8, group_size=64, bits=4)
        self.attention = nn.MultiHeadAttention(128, 2)


# The model has what was converted, what was skipped and why, and it is logged once; a module
# and its attributes stay the same.
def test_a_conversion_is_recorded(caplog):
    caplog.set_level(logging.INFO, "trit")
    model = Zoo()
    linear = model.linear
    linear.note = "mine"
    assert tm.convert(model, exclude="attention.*_proj") is model
    assert (
        model.linear is linear and isinstance(linear, tm.TernaryLinear) and linear.note == "mine"
    )
    record = model.trit_conversion
    assert record.converted == ("linear", "lora.linear")
    reasons = {
        "mine": "Mine is a subclass",
        "conv": "Conv1d holds weight itself",
        "lora": "LoRA factor",
        "packed": "QuantizedLinear",
        **{
            f"attention.{one}_proj": "excluded by pattern 'attention.*_proj'"
            for one in ("query", "key", "value", "out")
        },
    }
    assert set(record.skipped) == set(reasons)
    for name, reason in reasons.items():
        assert reason in record.skipped[name], name
    levels = [(one.name, one.levelno) for one in caplog.records]
    assert levels == [("trit", logging.INFO), ("trit", logging.INFO), ("trit", logging.WARNING)]
    assert "conv (" in caplog.records[2].getMessage()
    assert "attention.key_proj (" in caplog.records[1].getMessage()
    assert repr(record).startswith("Conversion: 2 converted, 8 skipped\n")
    tm.convert(model)
    assert len(model.trit_conversion.converted) == 4
    assert model.trit_conversion.skipped["linear"] == "it is ternary already"


# A pattern that matches no module is an error that names it, and nothing is converted.
@pytest.mark.parametrize(
    "field,pattern", [("include", "layers.*"), ("exclude", ["head", "heads"]), ("exclude", "")]
)
def test_a_pattern_that_matches_nothing_is_refused(field, pattern):
    model = Model()
    with pytest.raises(trit.InvalidArgument) as refused:
        tm.convert(model, **{field: pattern})
    assert refused.value.field == field
    assert repr(pattern if isinstance(pattern, str) else pattern[-1]) in str(refused.value)
    assert type(model.head) is nn.Linear


# Training by RPC and without a daemon has the same bits, for any width.
@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16], ids=str)
@pytest.mark.parametrize("group_size", [128, 64, 96])
@pytest.mark.parametrize("width", [64, 100, 128, 192, 300])
def test_rpc_and_local_train_to_the_same_bits(client, width, group_size, dtype):
    def trained(client):
        mx.random.seed(width)
        model = nn.Sequential(
            nn.Embedding(40, width),
            nn.Linear(width, 150),
            nn.ReLU(),
            nn.Linear(150, width, bias=False),
            nn.Linear(width, 40),
        )
        model.set_dtype(dtype)
        tm.convert(model, group_size=group_size, client=client)
        optimizer, seen = optim.AdamW(0.01), []
        step = nn.value_and_grad(
            model,
            lambda ids: nn.losses.cross_entropy(
                model(ids).astype(mx.float32), ids, reduction="mean"
            ),
        )
        for i in range(4):
            loss, gradients = step(mx.arange(12).reshape(3, 4) + i)
            optimizer.update(model, gradients)
            for tree in (gradients, model.parameters()):
                seen += [(name, bits(one)) for name, one in tree_flatten(tree)]
            seen.append(("loss", loss.item()))
        return seen

    for one, other in zip(trained(client), trained(None)):
        assert one == other, one[0]


@pytest.mark.parametrize("every", [0, -1, 1.5, "2", True, None])
def test_verify_every_refuses_an_invalid_number_of_steps(every):
    with pytest.raises(trit.InvalidArgument, match="every: ") as refused:
        tm.verify_every(Model(), "run", every=every)
    assert refused.value.field == "every"


# The gradient of a loss by the latents equals its numerical slope at the ternary weights,
# with a constant scale.
@pytest.mark.parametrize("by_rpc", [True, False])
def test_straight_through_estimator(client, by_rpc):
    latent, weights = normal(6, 256), normal(6, 256, seed=2)

    def project(w):
        return tm.ternary_projection(w, client if by_rpc else None)

    ternary = project(latent)
    gradient = mx.grad(lambda w: (project(w) ** 2 * weights).sum())(latent)
    assert bits(gradient) == bits(2 * ternary * weights)
    t, w = (np.asarray(memoryview(one), np.float64) for one in (ternary, weights))
    for at in [(0, 0), (3, 77), (5, 255)]:
        step = np.zeros_like(t)
        step[at] = 1e-6
        slope = (((t + step) ** 2 - (t - step) ** 2) * w).sum() / 2e-6
        assert abs(slope - gradient[at].item()) < 1e-4


# All layers of the golden model are ternary.
def test_the_golden_model_is_ternary(client, golden):
    for name in ("embed", "block.up", "block.down", "head"):
        report = client.verify(mx.array(golden[f"model.{name}.weight"]), mode="latent")
        assert report.is_ternary and report.max_round_error == 0, name


# ---- without a daemon ------------------------------------------------------------------

WIDE = np.float32(2.0) ** np.random.default_rng(3).integers(-120, 120, (5, 512))


# The sum of a group whose exponents lie far apart has the daemon's order, in any group size.
@pytest.mark.parametrize("partial_group", ["padded", "exact"])
@pytest.mark.parametrize("group_size", [1, 7, 16, 64, 100, 128, 500, 512, 600])
def test_local_projection_has_the_daemons_bits_for_any_weights(client, group_size, partial_group):
    signs = np.random.default_rng(4).choice([-1, 1], WIDE.shape).astype(np.float32)
    w = mx.array(WIDE * signs * np.random.default_rng(5).random(WIDE.shape, np.float32))
    w[0, :7] = mx.array([0.0, -0.0, 1e-45, -1e-45, 3e38, -3e38, 1e-39])
    options = dict(group_size=group_size, partial_group=partial_group)
    exact = client.project(w, report="none", **options).data
    assert bits(tm.project_local(w, **options)) == bits(exact)
    if (group_size, partial_group) == (100, "exact"):  # a compiler runs for each kernel
        compiled = mx.compile(lambda w: tm.project_local(w, **options))
        assert bits(compiled(w)) == bits(exact)


# mx.compile, mx.grad and both together give what they give uncompiled, without a client.
@pytest.mark.parametrize("dtype", KINDS, ids=str)
def test_local_layers_compile_with_gradients(dtype):
    layer, x = tm.TernaryLinear(200, 16, bias=True), normal(3, 200, seed=2, dtype=dtype)
    layer.set_dtype(dtype)
    kept = layer.weight
    assert bits(mx.compile(tm.ternary_projection)(kept)) == bits(tm.project_local(kept))

    def step(weight):
        layer.weight = weight
        return layer(x).sum()

    plain = mx.value_and_grad(step)(kept)
    compiled = mx.compile(mx.value_and_grad(step))(kept)
    assert bits(plain[0]) == bits(compiled[0]) and bits(plain[1]) == bits(compiled[1])
    assert bits(plain[1]) == bits(mx.broadcast_to(x.sum(0), kept.shape))


# A layer that projects by RPC says what to do inside of mx.compile, which has no values.
def test_a_projection_by_rpc_inside_of_compile_is_refused(client):
    layer = tm.TernaryLinear(128, 8, client=client)
    step = mx.compile(lambda x: layer(x), inputs=layer.state)
    with pytest.raises(trit.FailedPrecondition, match=r"set_client\(model, None\)"):
        step(mx.ones((1, 128)))


# mx.compile of an old MLX computes something else, so a layer refuses it.
def test_an_old_mlx_does_not_compile(monkeypatch):
    layer, x = tm.TernaryLinear(128, 8), mx.ones((1, 128))
    monkeypatch.setattr(mx, "__version__", "0.31.1")
    assert layer(x).shape == (1, 8)
    layer.weight = layer.weight + 1
    with pytest.raises(trit.FailedPrecondition, match=r"needs mlx 0\.31\.2.*this is 0\.31\.1"):
        mx.compile(lambda x: layer(x), inputs=layer.state)(x)


# Verification without a daemon has the figures of the daemon's, by any way to name the tolerance.
@pytest.mark.parametrize("dtype", KINDS, ids=str)
@pytest.mark.parametrize("case", ["normal", "zero row", "dead", "not finite"])
def test_verification_without_a_daemon_has_the_daemons_figures(client, case, dtype):
    model = tm.convert(Model(), group_size=96)
    model.set_dtype(dtype)
    weight = model.head.weight
    if case == "zero row":
        weight[3] = 0
    elif case == "dead":
        model.head.weight = mx.zeros_like(weight)
    elif case == "not finite":
        weight[1, 5], weight[9, 9], weight[9, 11] = float("nan"), float("inf"), -float("inf")
    local, stated = tm.verify_ternary_weights(model), tm.verify_ternary_weights(model, client)
    assert list(local) == list(stated) and list(local)[0] == "embed" and len(local) == 6
    for name, one in local.items():
        for field, value in one.items():
            known = stated[name][field]
            same = pytest.approx(known, rel=1e-12) if field == "scale_mean" else known
            assert value == same, (name, field)
    assert local["head"]["is_ternary"] == (case != "not finite")
    assert local["head"]["verdict"] == ("pass" if case in ("normal", "zero row") else "fail")
    assert local["head"]["non_finite"] == (3 if case == "not finite" else 0)
    assert tm.verify_ternary_weights(model, 1e-5) == local
    assert tm.verify_ternary_weights(model, tol=1e-5) == local
    assert tm.verify_ternary_weights(model, tolerance=0) == local


def test_verification_without_a_daemon_refuses_what_needs_one(client):
    layer = nn.Sequential(tm.TernaryLinear(128, 8))
    for options in (dict(mode="ternary"), dict(run="run", step=1)):
        with pytest.raises(trit.FailedPrecondition, match="no client to verify with"):
            tm.verify_ternary_weights(layer, **options)
    for options in (dict(tol=0.5), dict(tol=-1), dict(tol=float("nan")), dict(tol=1, tolerance=1)):
        with pytest.raises(trit.InvalidArgument):
            tm.verify_ternary_weights(layer, **options)
    with pytest.raises(trit.InvalidArgument):
        tm.verify_ternary_weights(layer, 0.1, tol=0.1)
    with pytest.raises(trit.InvalidType):
        tm.verify_ternary_weights(layer, "127.0.0.1:6561")


# ---- attributes -------------------------------------------------------------------------


# Layers have their sizes and a bias or None, made new or converted.
def test_layers_have_their_sizes():
    made = tm.TernaryLinear(200, 8)
    assert (made.in_features, made.out_features, made.bias, made.group_size) == (200, 8, None, 128)
    assert tm.TernaryLinear(200, 8, True).bias.shape == (8,)
    converted = tm.convert(nn.Linear(200, 8, bias=False))
    assert (converted.in_features, converted.out_features, converted.bias) == (200, 8, None)
    assert tm.convert(nn.Linear(200, 8)).bias.shape == (8,)
    embeds = [
        tm.TernaryEmbedding(num_embeddings=5, embedding_dim=96),
        tm.convert(nn.Embedding(5, 96)),
    ]
    for embed in embeds:
        assert (embed.num_embeddings, embed.embedding_dim) == (5, 96)


# ---- readers of a weight -----------------------------------------------------------------


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.body, self.head = nn.Embedding(8, 64), nn.Linear(64, 64), nn.Linear(64, 8)

    def __call__(self, ids):
        x = self.body(self.embed(ids).astype(self.head.weight.dtype))
        return self.logits(x) + self.head(x)

    def logits(self, x):
        table = self.embed
        return x @ table.weight.T

    def norm_of_latents(self):
        return mx.linalg.norm(self.body.weight)


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Tied()

    def __call__(self, x):
        return x @ self.inner.head.weight


# A layer whose weight the model itself multiplies by would compute with latents, so convert
# refuses it by name; dtypes, and methods that no forward pass calls, may be read.
def test_convert_refuses_a_layer_whose_weight_is_read():
    model = Tied()
    with pytest.raises(trit.InvalidArgument, match=r"embed: Tied\.logits reads.*as_linear\(x\)"):
        tm.convert(model)
    assert type(model.embed) is nn.Embedding and type(model.body) is nn.Linear
    tm.convert(model, exclude="embed")
    assert model.trit_conversion.converted == ("body", "head")
    with pytest.raises(trit.InvalidArgument, match=r"inner\.head: Outer\.__call__ reads"):
        tm.convert(Outer(), exclude="inner.embed")


class Hidden(nn.Module):
    """Reads weights in ways that no search of its bytecode finds."""

    def __init__(self):
        super().__init__()
        self.embed, self.parts, self.way = nn.Embedding(8, 64), [nn.Linear(64, 64)], "dtype"

    def __call__(self, ids):
        name = "weight"
        x = self.embed(ids).astype(getattr(self.parts[0], name).dtype)
        if self.way == "getattr":
            return x @ getattr(self.embed, name).T
        if self.way == "list":
            return [x @ one.weight.T for one in self.parts][0]
        if self.way == "helper":
            return tied_logits(self.embed, x)
        return self.parts[0](x)


def tied_logits(embed, x):
    table = embed.weight
    return x @ table.T


# What the search at the conversion cannot find raises when it happens: a read of a converted
# layer's weight in a forward pass. Reading its dtype is allowed, and so is reading the weight
# outside of a forward pass.
@pytest.mark.parametrize("way", ["getattr", "list", "helper"])
def test_a_read_in_a_forward_pass_is_refused(way):
    model, ids = tm.convert(Hidden()), mx.array([1, 2])
    assert model(ids).shape == (2, 64)
    model.way = way
    name = "parts.0" if way == "list" else "embed"
    message = rf"^{name}\.weight: Hidden\.__call__ reads the latents .*ternary_weight\(\)"
    for forward in (model, mx.compile(model), nn.Sequential(model)):
        with pytest.raises(trit.InvalidArgument, match=message):
            forward(ids)
    assert tied_logits(model.embed, mx.ones((2, 64))).shape == (2, 8)
    model.embed.weight = model.embed.weight * 0.5
    grad = nn.value_and_grad(model, lambda: (model.embed.weight**2).sum())()[1]
    assert bits(grad["embed"]["weight"]) == bits(model.embed["weight"] * 2)


# The weight of a converted layer is the latents for every reader, in parameters and files too.
def test_the_weight_is_the_latents(tmp_path):
    layer = nn.Linear(128, 8)
    latents = layer.weight
    tm.convert(layer)
    assert layer.weight is latents and layer.parameters()["weight"] is latents
    layer.save_weights(str(tmp_path / "layer.safetensors"))
    assert bits(mx.load(str(tmp_path / "layer.safetensors"))["weight"]) == bits(latents)
    assert bits(layer.ternary_weight()) == bits(tm.project_local(latents))


# ---- not finite --------------------------------------------------------------------------


# A NaN or infinity raises with the layer's name, the count and the first index.
@pytest.mark.parametrize("by_rpc", [True, False])
@pytest.mark.parametrize("dtype", KINDS, ids=str)
def test_a_nan_raises_with_the_layers_name(client, by_rpc, dtype):
    model = Model()
    model.set_dtype(dtype)
    tm.convert(model, client=client if by_rpc else None)
    ids = mx.arange(4)
    assert mx.isfinite(model(ids)).all()
    weight = model.blocks[1].layers[2].weight
    weight[0, 40], weight[3, 3] = float("nan"), -float("inf")
    message = (
        r"blocks\.1\.layers\.2\.weight: 2 of 12288 latents are NaN or infinite, "
        r"the first at flat index 40"
    )
    with pytest.raises(trit.InvalidArgument, match=message) as refused:
        model(ids)
    assert refused.value.field == "weight"
    with pytest.raises(trit.InvalidArgument, match=message):
        nn.value_and_grad(model, lambda ids: model(ids).astype(mx.float32).sum())(ids)


# With nan="warn" it warns, and the groups concerned are NaN.
@pytest.mark.parametrize("by_rpc", [True, False])
def test_a_nan_warns_if_wanted(client, by_rpc):
    layer = nn.Sequential(nn.Linear(256, 4))
    tm.convert(layer, client=client if by_rpc else None, nan="warn")
    layer.layers[0].weight[2, 200] = float("nan")
    with pytest.warns(RuntimeWarning, match=r"layers\.0\.weight: 1 of 1024 latents .* index 712"):
        y = layer(mx.ones((1, 256)))
    assert mx.isnan(y).tolist() == [[False, False, True, False]]
    found = mx.isnan(layer.layers[0].ternary_weight())
    assert found.sum().item() == 128 and found[2, 128:].all()
    with pytest.raises(trit.InvalidArgument, match="nan: 'ignore' is not one of raise, warn"):
        tm.convert(Model(), nan="ignore")


# mx.compile has no values while it traces: there the result is NaN.
def test_a_nan_goes_through_mx_compile():
    layer = tm.TernaryLinear(128, 2)
    layer.weight[1, 1] = float("inf")
    y = mx.compile(lambda x: layer(x), inputs=layer.state)(mx.ones((1, 128)))
    assert mx.isnan(y).tolist() == [[False, True]]


# ---- projections are kept -----------------------------------------------------------------


class Counting:
    """Counts the tensors that are projected by RPC, or with `calls` the calls."""

    def __init__(self, monkeypatch, calls=False):
        self.count = 0
        single, batch = trit.Client.project, trit.Client.project_batch

        def project(*args, **options):
            self.count += 1
            return single(*args, **options)

        def project_batch(client, tensors, **options):
            self.count += 1 if calls else len(tensors)
            return batch(client, tensors, **options)

        monkeypatch.setattr(trit.Client, "project", project)
        monkeypatch.setattr(trit.Client, "project_batch", project_batch)

    def __call__(self):
        count, self.count = self.count, 0
        return count


# A layer projects once, and again where its latents are replaced or written to.
@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16], ids=str)
def test_unchanged_latents_are_projected_once(client, monkeypatch, dtype):
    model = Model()
    model.set_dtype(dtype)
    tm.convert(model, client=client).eval()
    projections, ids = Counting(monkeypatch), mx.arange(4)
    first = model(ids)
    assert projections() == 6
    assert bits(model(ids)) == bits(first) and projections() == 0
    model.head.weight = mx.array(model.head.weight)
    assert bits(model(ids)) == bits(first) and projections() == 1
    for _ in range(3):
        model.embed.weight[1, 2] = model.embed.weight[1, 2] + 5
        before, first = first, model(ids)
        assert bits(first) != bits(before) and projections() == 1
    model.embed.weight += 1
    model(ids)
    assert projections() == 1
    model.head.group_size = 64
    model(ids)
    assert projections() == 1
    for other in (copy.deepcopy(model.head), pickle.loads(pickle.dumps(model.head._projected))):
        assert getattr(other, "_projected", other)._kept is None or other is not model.head


# Tied weights are projected once a step, under value_and_grad too, with the whole gradient.
def test_tied_weights_are_projected_once(client, monkeypatch):
    embed = tm.TernaryEmbedding(16, 128, client=client)
    ids = mx.arange(6)

    def loss(ids):
        return (embed.as_linear(embed(ids)) ** 2).sum()

    projections = Counting(monkeypatch)
    value, gradient = nn.value_and_grad(embed, loss)(ids)
    assert projections() == 1

    def untied(weight):
        return ((weight[ids] @ weight.T) ** 2).sum()

    ternary = tm.project_local(embed.weight)
    expected = mx.value_and_grad(untied)(ternary)
    assert value.item() == expected[0].item() and bits(gradient["weight"]) == bits(expected[1])


# What is kept goes with the latents, so training does not grow.
def test_a_kept_projection_goes_with_its_latents():
    layer, optimizer = tm.TernaryLinear(128, 8), optim.SGD(0.1)
    layer(mx.ones((1, 128)))
    for _ in range(3):
        assert layer._projected._kept is not None
        _, gradients = nn.value_and_grad(layer, lambda x: layer(x).sum())(mx.ones((1, 128)))
        optimizer.update(layer, gradients)
        gc.collect()
        assert layer._projected._kept is None
        before = layer(mx.ones((1, 128)))
        assert bits(before) == bits(mx.ones((1, 128)) @ tm.project_local(layer.weight).T)


# The layers of a model project by one call a step, to the bits of single calls. Those of other
# clients, other group sizes and copies of the model have calls of their own.
@pytest.mark.parametrize("dtype", KINDS, ids=str)
def test_the_layers_of_a_model_project_by_one_call(client, daemon, monkeypatch, dtype):
    model, optimizer = Model(), optim.SGD(0.1)
    model.set_dtype(dtype)
    tm.convert(model, client=client)
    ids = mx.arange(12).reshape(3, 4)
    step = nn.value_and_grad(model, lambda ids: model(ids).astype(mx.float32).square().mean())
    calls = Counting(monkeypatch, calls=True)
    for _ in range(3):
        loss, gradients = step(ids)
        assert calls() == 1
        tm.set_client(model, None)
        tm.invalidate(model)
        alone, same = step(ids)
        tm.set_client(model, client)
        assert loss.item() == alone.item()
        for (name, one), (_, other) in zip(tree_flatten(gradients), tree_flatten(same)):
            assert bits(one) == bits(other), name
        optimizer.update(model, gradients)
    model.head.group_size = 64
    with trit.Client(daemon.rpc) as other:
        model.embed.client = other
        model(ids)
        assert calls() == 3
        twin = copy.deepcopy(model.blocks[0].layers[0])
        twin.weight = twin.weight + 1
        twin(mx.ones((1, 128)))
        assert calls() == 1
        model(ids)
        assert calls() == 0
    assert tm.convert(nn.Sequential(model.blocks[0])).trit_conversion.converted == ()


# A NaN in one layer costs the others nothing but one more call, and is found in its layer.
def test_a_nan_in_one_layer_lets_the_others_project(client, monkeypatch):
    model = tm.convert(Model(), client=client, nan="warn")
    model.head.weight[0, 0] = float("nan")
    tensors = Counting(monkeypatch)
    with pytest.warns(RuntimeWarning, match=r"head\.weight: 1 of 8192") as warned:
        y = model(mx.arange(4))
    assert len(warned) == 1 and tensors() <= 6 + 5 + 2
    assert mx.isnan(y).sum().item() == 4


# What is written through a NumPy view is seen after invalidate.
def test_invalidate_projects_anew(client):
    model = nn.Sequential(tm.TernaryLinear(128, 4, client=client))
    x = mx.ones((1, 128))
    before = model(x)
    np.asarray(memoryview(model.layers[0].weight))[:] *= -1
    assert bits(model(x)) == bits(before)
    tm.invalidate(model)
    assert bits(model(x)) == bits(-before)
    with pytest.raises(trit.InvalidType):
        tm.invalidate(None)


# While the daemon cannot be reached, layers with a fallback project in MLX to the same bits, and
# warn.
def test_layers_fall_back_to_mlx(tmp_path, monkeypatch):
    from daemon import Daemon

    subject = Daemon(tmp_path, "--listen", f"unix:{tmp_path}/socket")
    with trit.Client(f"unix:{tmp_path}/socket", timeout=600) as client:
        layer = tm.convert(nn.Linear(128, 4), client=client, fallback="local")
        expected, x = tm.project_local(layer.weight), mx.ones((1, 128))
        assert bits(layer.ternary_weight()) == bits(expected)
        subject.kill()
        tm.invalidate(layer)
        with pytest.warns(RuntimeWarning, match="layers project locally"):
            assert bits(layer.ternary_weight()) == bits(expected)
        layer.fallback = None
        tm.invalidate(layer)
        with pytest.raises(trit.Unavailable):
            layer(x)
