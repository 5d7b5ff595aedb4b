# SPDX-License-Identifier: Apache-2.0
"""trit.mlx against the real daemon, the golden file, and its own local results."""

import logging

import numpy as np
import pytest

mx = pytest.importorskip("mlx.core")
import mlx.nn as nn  # noqa: E402
import mlx.optimizers as optim  # noqa: E402
from mlx.utils import tree_flatten  # noqa: E402

import trit  # noqa: E402
import trit.mlx as tm  # noqa: E402

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
    with pytest.raises(trit.FailedPrecondition):
        tm.verify_ternary_weights(model)


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
