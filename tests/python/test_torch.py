# SPDX-License-Identifier: Apache-2.0
"""trit.torch against the real daemon, the golden file, and its own local results."""

import copy
import io

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import trit  # noqa: E402
import trit.torch as tt  # noqa: E402
from wide_groups import wide_groups  # noqa: E402

KINDS = [torch.float32, torch.float16, torch.bfloat16]


def bits(tensor):
    wide = {torch.bfloat16: torch.int16}.get(tensor.dtype)
    tensor = tensor.detach().contiguous()
    return (tensor.view(wide) if wide else tensor).numpy().tobytes()


def normal(*shape, seed=1, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def near(made, expected):
    expected = torch.from_numpy(np.array(expected))
    return (made - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_a_negated_view_has_the_signs_that_it_shows(client):
    """torch keeps the sign of such a view in a flag; its memory has the others."""
    w = normal(4, 128)
    negated = torch._neg_view(w)
    assert negated.is_neg() and torch.equal(negated, -w)
    assert bits(client.project(negated).data) == bits(client.project(-w).data)


def test_a_conjugated_view_has_the_numbers_that_it_shows(client, tmp_path):
    """Like the sign of a negated view, torch keeps it in a flag; the file has what it shows."""
    waves = torch.view_as_complex(normal(4, 8, 2))
    state = {"w.weight": normal(4, 128), "waves": waves.conj()}
    shown = state["waves"].resolve_conj().numpy().tobytes()
    assert state["waves"].is_conj() and shown != waves.numpy().tobytes()
    client.checkpoint.project(state, tmp_path / "o.safetensors", include=["w.weight"])
    assert shown in (tmp_path / "o.safetensors").read_bytes()


class Wrapper(torch.Tensor):
    """Without memory of its own, as DTensor and the packed tensors of torchao and quanto are."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return cls(function(args[0].inner, *args[1:], **(kwargs or {})))


class Distributed(Wrapper):
    def full_tensor(self):
        return self.inner


TENSORS_WITHOUT_MEMORY = {
    "it is a Wrapper, which has no memory": Wrapper,
    "full_tensor": Distributed,
    "no shape yet": lambda w: torch.nn.UninitializedParameter(),
    "nested tensor": lambda w: getattr(torch, "nested", torch).nested_tensor([w, w[:2]]),
    "to_dense": lambda w: w.to_sparse(),
    "layout is torch._mkldnn": lambda w: w.to_mkldnn(),
    "dequantize": lambda w: torch.quantize_per_tensor(w, 0.1, 0, torch.qint8),
    "device meta": lambda w: w.to("meta"),
}


@pytest.mark.parametrize("words", TENSORS_WITHOUT_MEMORY)
def test_a_tensor_without_plain_memory_is_refused_by_name(client, words):
    """It says what to do; torch's own errors name neither the tensor nor a way out."""
    tensor = TENSORS_WITHOUT_MEMORY[words](normal(4, 128))
    with pytest.raises(trit.InvalidArgument, match=f"fc.weight: .*{words}"):
        client.checkpoint.verify({"fc.weight": tensor})
    with pytest.raises(trit.InvalidArgument, match=f"tensor: .*{words}"):
        client.project(tensor)


# A tensor of each dtype comes back as a tensor of that dtype, with the bits of the
# local projection.
@pytest.mark.parametrize("dtype", KINDS, ids=str)
@pytest.mark.parametrize("shape", [(8, 256), (7, 200), (3, 4, 129), (300,)], ids=str)
def test_projection_by_rpc_and_in_torch_agree(client, dtype, shape):
    w = normal(*shape, dtype=dtype)
    made = client.project(w)
    assert made.data.dtype == dtype and made.data.shape == w.shape
    assert bits(made.data) == bits(tt.project_local(w))
    exact = client.project(w, partial_group="exact").data
    assert bits(exact) == bits(tt.project_local(w, partial_group="exact"))


# Where the order of a group's additions decides about the scale, it is the daemon's.
@pytest.mark.parametrize("columns", [16, 64, 128, 1024])
def test_sums_in_torch_have_the_daemons_order(client, columns):
    w = torch.from_numpy(wide_groups(columns))
    made = client.project(w, group_size=columns)
    assert bits(made.data) == bits(tt.project_local(w, columns))


def test_a_group_larger_than_a_row_takes_no_more_memory():
    """2^31 weights in f64 would be 16 GiB for each row."""
    made = tt.project_local(torch.ones(2, 8), group_size=2**31)
    assert bits(made) == bits(torch.full((2, 8), 8 / 2**31))


def test_golden_cases_in_torch(golden):
    for name in golden:
        if name.endswith(".input"):
            made = tt.project_local(torch.from_numpy(golden[name].copy()))
            assert bits(made) == golden[name[:-6] + ".projected"].tobytes(), name


# Tensors are borrowed without a copy; strided ones and slices have their values.
def test_strided_tensors_and_packed_ones(client):
    w = normal(256, 16).t()
    assert bits(client.project(w).data) == bits(tt.project_local(w))
    packed = client.project(w.contiguous(), encoding="int8")
    assert packed.data.dtype == torch.int8 and packed.scales.dtype == torch.float32
    assert client.unpack(packed, dtype="bf16").dtype == torch.bfloat16
    codes = client.project(w.contiguous(), encoding="mlx_2bit", group_size=128)
    assert codes.data.dtype == torch.int32 and codes.scales.dtype == torch.float16
    assert client.verify(codes).is_ternary
    assert torch.equal(client.unpack(codes).sign(), packed.data.float())
    g = normal(5, 7, dtype=torch.bfloat16)
    assert bits(client.backward(g)) == bits(g)


# Forward is the projection, backward the identity, by RPC and locally; the gradient equals
# the numerical gradient of the loss at the ternary weights.
@pytest.mark.parametrize("by_rpc", [True, False])
def test_straight_through_estimator(client, by_rpc):
    latent = normal(6, 256).requires_grad_()
    weights = normal(6, 256, seed=2)
    made = tt.ternary_projection(latent, client if by_rpc else None)
    assert bits(made) == bits(tt.project_local(latent))
    (made * made * weights).sum().backward()
    assert torch.equal(latent.grad, (2 * made * weights).detach())
    ternary, h = made.detach().double(), 1e-6
    for i, j in [(0, 0), (3, 77), (5, 255)]:
        up, down = ternary.clone(), ternary.clone()
        up[i, j] += h
        down[i, j] -= h
        slope = ((up * up - down * down) * weights).sum() / (2 * h)
        assert abs(slope - latent.grad[i, j]) < 1e-4


@pytest.mark.parametrize("case", ["linear_256_96", "linear_200_40"])
def test_linear_layers_of_the_golden_file(client, golden, case):
    has_bias = case + ".bias" in golden
    out_features, in_features = golden[case + ".weight"].shape
    layer = tt.TernaryLinear(in_features, out_features, has_bias, client=client)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(golden[case + ".weight"].copy()))
        if has_bias:
            layer.bias.copy_(torch.from_numpy(golden[case + ".bias"].copy()))
    x = torch.from_numpy(golden[case + ".x"].copy()).requires_grad_()
    y = layer(x)
    y.backward(torch.from_numpy(golden[case + ".grad_output"].copy()))
    assert near(y, golden[case + ".y"])
    assert near(layer.weight.grad, golden[case + ".grad_weight"])
    assert near(x.grad, golden[case + ".grad_input"])


def test_embedding_of_the_golden_file(client, golden):
    layer = tt.TernaryEmbedding(50, 192, client=client)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(golden["embedding_50_192.weight"].copy()))
    ids = torch.from_numpy(golden["embedding_50_192.ids"].copy())
    assert near(layer(ids), golden["embedding_50_192.rows"])
    x = torch.from_numpy(golden["embedding_50_192.x"].copy())
    assert near(layer.as_linear(x), golden["embedding_50_192.logits"])


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(64, 128, padding_idx=0)
        self.block = torch.nn.Sequential(
            torch.nn.Linear(128, 96), torch.nn.ReLU(), torch.nn.Linear(96, 128, bias=False)
        )
        self.norm = torch.nn.LayerNorm(128)
        self.head = torch.nn.Linear(128, 64, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        return self.head(self.norm(self.block(self.embed(ids))))


# In torch 2 a compiled model and functional gradients give the same results, by RPC and
# locally.
@pytest.mark.skipif(not hasattr(torch, "compiler"), reason="torch before 2.1")
@pytest.mark.parametrize("by_rpc", [True, False])
def test_compiled_models_and_functional_gradients(client, by_rpc):
    model = tt.convert(Model(), client=client if by_rpc else None)
    ids = torch.arange(12).reshape(3, 4)
    expected = model(ids)
    expected.square().sum().backward()
    gradients = {name: one.grad.clone() for name, one in model.named_parameters()}
    model.zero_grad(set_to_none=True)

    torch._dynamo.reset()
    made = torch.compile(model, backend="aot_eager")(ids)
    made.square().sum().backward()
    assert torch.equal(made, expected)
    for name, one in model.named_parameters():
        assert torch.allclose(one.grad, gradients[name], rtol=1e-5, atol=1e-6), name

    parameters = dict(model.named_parameters())
    functional = torch.func.grad(
        lambda these: torch.func.functional_call(model, these, (ids,)).square().sum()
    )(parameters)
    for name, one in functional.items():
        assert torch.allclose(one, gradients[name], rtol=1e-5, atol=1e-6), name


# Layers are converted in place, by name; parameters stay the same objects, tied ones too.
def test_convert_keeps_parameters(client):
    model = Model().eval()
    kept = dict(model.named_parameters())
    state = torch.random.get_rng_state()
    assert (
        tt.convert(model, include=["block.*", "embed", "head"], exclude="block.2", client=client)
        is model
    )
    assert torch.equal(state, torch.random.get_rng_state())
    assert isinstance(model.block[0], tt.TernaryLinear) and not model.block[0].training
    assert type(model.block[2]) is torch.nn.Linear
    assert isinstance(model.embed, tt.TernaryEmbedding) and model.embed.padding_idx == 0
    assert model.head.weight is model.embed.weight
    assert all(kept[name] is one for name, one in model.named_parameters())
    ids = torch.arange(12).reshape(3, 4)
    by_rpc = model(ids)
    again = copy.deepcopy(model)
    tt.set_client(again, None)
    assert bits(again(ids)) == bits(by_rpc)
    stored = io.BytesIO()
    torch.save(model, stored)
    assert bits(torch.load(io.BytesIO(stored.getvalue()), weights_only=False)(ids)) == bits(by_rpc)


def test_convert_refuses_modules_without_a_ternary_form():
    with pytest.raises(ValueError, match="max_norm"):
        tt.convert(torch.nn.Sequential(torch.nn.Embedding(4, 8, max_norm=1.0)))


# All layers are ternary after projection, none before; the fields are those of the report.
def test_verify_ternary_weights(client, golden):
    model = tt.convert(Model())
    found = tt.verify_ternary_weights(model, client)
    assert set(found) == {"embed", "block.0", "block.2", "head"}
    for one in found.values():
        assert one["is_ternary"] and one["fraction_valid"] == 1
        assert one["max_round_error"] == 0 and set(one["sample_values"]) <= {-1, 0, 1}
    assert found["block.0"]["shape"] == (96, 128)
    latents = tt.verify_ternary_weights(model, client, mode="ternary")
    assert not any(one["is_ternary"] for one in latents.values())
    with torch.no_grad():
        for one in model.parameters():
            if one.ndim == 2:
                one.copy_(tt.project_local(one))
    ternary = tt.verify_ternary_weights(model, client, mode="ternary", tolerance=0)
    assert all(one["is_ternary"] for one in ternary.values())
    with pytest.raises(trit.FailedPrecondition):
        tt.verify_ternary_weights(model)


# `every` is a number of steps.
@pytest.mark.parametrize("every", [0, -1, 1.5, "2", True, None, float("nan")])
def test_verify_every_refuses_an_invalid_number_of_steps(every):
    with pytest.raises(trit.InvalidArgument, match="every: ") as refused:
        tt.verify_every(tt.convert(Model()), "run", every=every)
    assert refused.value.field == "every" and repr(every) in str(refused.value)
    assert tt.verify_every(tt.convert(Model()), "run", every=np.int64(2))(1) is None


# Every N-th step is stored under its run, with flips; a replica that differs raises AlreadyExists.
def test_verify_every_files_reports(client, run):
    model = tt.convert(Model(), client=client)
    seen = []
    after_step = tt.verify_every(model, run, every=2, callback=lambda step, _: seen.append(step))
    for step in range(5):
        assert (after_step(step) is None) == bool(step % 2)
        with torch.no_grad():
            model.block[0].weight.mul_(-1)
            model.block[0].weight[0].mul_(-1)
    assert seen == [0, 2, 4] == sorted(after_step.history)
    reports = client.reports.list(run, "block.0")
    assert [one.step for one in reports] == [0, 2, 4]
    assert reports[1].flips == 0 and reports[1].previous_step == 0
    astray = copy.deepcopy(model)
    with torch.no_grad():
        astray.head.weight.neg_()
    with pytest.raises(trit.AlreadyExists):
        tt.verify_every(astray, run, every=2, strict=True)(4)


# A tensor whose memory was freed, as FSDP does, is refused.
def test_freed_memory_is_refused(client):
    tensor = torch.ones(4, 128)
    storage = tensor.untyped_storage() if hasattr(tensor, "untyped_storage") else tensor.storage()
    view = tensor[1:]
    storage.resize_(0)
    for call in (client.project, client.verify, lambda one: client.project_batch([one])):
        with pytest.raises(trit.InvalidArgument, match="its memory was freed"):
            call(view)
