# SPDX-License-Identifier: Apache-2.0
"""trit.torch.convert: which modules become ternary, which do not, and where a converted layer
shows latents or ternary weights."""

import copy
import io
import logging
import pickle

import pytest

torch = pytest.importorskip("torch")
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

import trit  # noqa: E402
import trit.torch as tt  # noqa: E402


def drawn(*shape, seed=1, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def same(a, b):
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b)


def materialized(model):
    """A model of ordinary layers that hold the ternary weights of a converted one."""
    made = copy.deepcopy(model)
    with torch.no_grad():
        for module in made.modules():
            if isinstance(module, (tt.TernaryLinear, tt.TernaryEmbedding)):
                module.weight.copy_(tt.project_local(module.weight, module.group_size))
                module.__class__ = type(module).__mro__[2]
                module._parameters["weight"] = nn.Parameter(
                    module._parameters["weight"].detach().clone()
                )
    assert not any("Ternary" in type(one).__name__ for one in made.modules())
    return made


def slowly(encoder, *args, **options):
    """An encoder's output without torch's fast paths, which are disabled with gradients."""
    with torch.enable_grad():
        return encoder(*args, **options).detach()


# ---- functions of torch that read the weight -------------------------------------------


# In eval without gradients, where torch's fast path would read linear1.weight itself, an
# encoder layer computes with ternary weights, as a layer that holds them does slowly.
@pytest.mark.parametrize("by_rpc", [False, True])
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_an_encoder_layer_in_eval_is_ternary(client, by_rpc, norm_first, activation):
    torch.manual_seed(3)
    plain = nn.TransformerEncoderLayer(
        128, 4, 200, batch_first=True, norm_first=norm_first, activation=activation
    ).eval()
    layer = tt.convert(copy.deepcopy(plain), client=client if by_rpc else None)
    assert layer.trit_conversion.converted == ("linear1", "linear2")
    expected, x = slowly(materialized(layer), drawn(2, 7, 128)), drawn(2, 7, 128)
    assert same(slowly(layer, x), expected)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            made = layer(x)
            assert torch.allclose(made, expected, atol=1e-5)
            assert not torch.allclose(plain(x), expected, atol=1e-2)
            tt.set_client(layer, None)
            assert same(layer(x), made)


# The same holds for a stack of them with padding, which torch would turn into nested
# tensors, and if only one linear layer is converted.
@pytest.mark.parametrize("include", [None, "layers.*.linear2", "layers.1.linear1"])
def test_an_encoder_with_padding_is_ternary(include):
    torch.manual_seed(4)
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 2, 96, batch_first=True), 2)
    tt.convert(encoder.eval(), include)
    x, padded = drawn(3, 5, 64), torch.zeros(3, 5, dtype=torch.bool)
    padded[1, 3:], padded[2, 1:] = True, True
    expected = slowly(materialized(encoder), x, src_key_padding_mask=padded)
    with torch.no_grad():
        made = encoder(x, src_key_padding_mask=padded)
        assert torch.allclose(made[~padded], expected[~padded], atol=1e-5)
        assert torch.allclose(encoder(x), slowly(materialized(encoder), x), atol=1e-5)


# An nn.Transformer uses the same weights in training and inference.
def test_a_transformer_is_ternary():
    torch.manual_seed(5)
    model = tt.convert(nn.Transformer(64, 2, 1, 1, 96, batch_first=True)).eval()
    assert len(model.trit_conversion.converted) == 4
    source, target = drawn(2, 4, 64), drawn(2, 3, 64, seed=2)
    with torch.no_grad():
        assert torch.allclose(
            model(source, target), slowly(materialized(model), source, target), atol=1e-5
        )


# nn.MultiheadAttention is skipped by name and computes as before, also on its fast path.
def test_attention_is_left_by_name(caplog):
    caplog.set_level(logging.INFO, "trit")
    model = nn.Sequential(
        nn.Linear(64, 64),
        nn.MultiheadAttention(64, 2, batch_first=True),
        nn.MultiheadAttention(64, 2, kdim=32, vdim=32),
    ).eval()
    x = drawn(2, 3, 64)
    with torch.no_grad():
        expected = model[1](x, x, x)[0]
        tt.convert(model)
        assert same(model[1](x, x, x)[0], expected)
    left = model.trit_conversion.skipped
    assert set(left) == {"1", "1.out_proj", "2", "2.out_proj"}
    assert "in_proj_weight" in left["1"] and "q_proj_weight, k_proj_weight" in left["2"]
    assert "nn.MultiheadAttention" in left["1.out_proj"] and "nn.Linear" in left["1.out_proj"]
    (warned,) = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert "skipped 4 modules" in warned.getMessage() and "1.out_proj (" in warned.getMessage()


# ---- other readers of the weight -------------------------------------------------------

READERS = {
    "linear": lambda x, w: F.linear(x, w),
    "T": lambda x, w: x @ w.T,
    "t": lambda x, w: torch.mm(x, w.t()),
    "transpose": lambda x, w: torch.matmul(x, w.transpose(0, 1)),
    "mT": lambda x, w: x.matmul(w.mT),
    "reversed": lambda x, w: (w @ x.T).T,
    "addmm": lambda x, w: torch.addmm(torch.ones(4), x, w.T),
    "in place": lambda x, w: torch.ones(3, 4).addmm_(x, w.T) if not w.requires_grad else x @ w.T,
    "out": lambda x, w: torch.matmul(x.detach(), w.detach().T, out=torch.empty(3, 4)),
    "bmm": lambda x, w: torch.bmm(x[None], w.T[None]),
    "einsum": lambda x, w: torch.einsum("bi,oi->bo", x, w),
    "tensordot": lambda x, w: torch.tensordot(x, w, dims=([1], [1])),
    "cast": lambda x, w: F.linear(x.double(), w.double()),
    "to": lambda x, w: F.linear(x.bfloat16(), w.to(torch.bfloat16)),
    "detach": lambda x, w: F.linear(x, w.detach()),
    "data": lambda x, w: F.linear(x, w.data),
    "clone": lambda x, w: F.linear(x, w.clone()),
    "named": lambda x, w: F.linear(input=x, weight=w),
    "cat": lambda x, w: F.linear(x, torch.cat([w, w * 2])),
    "stack": lambda x, w: torch.einsum("bi,koi->bko", x, torch.stack([w, -w])),
    "slice": lambda x, w: F.linear(x, w[1:3]),
    "row": lambda x, w: torch.mv(x, w[2]),
    "chunk": lambda x, w: F.linear(x, w.chunk(2)[1]),
    "split and view": lambda x, w: F.linear(x, torch.split(w, 2, 0)[0].reshape(2, -1)),
    "scaled": lambda x, w: F.linear(x, 0.5 * w),
    "shifted": lambda x, w: F.linear(x, w + torch.ones(4, 1) / w.shape[1]),
    "convolution": lambda x, w: F.conv1d(x[:, :, None], w[:, :, None]),
    "embedding": lambda x, w: F.embedding(torch.tensor([[3, 1]]), w),
    "rows": lambda x, w: w[torch.tensor([3, 1])],
    "rows of a list": lambda x, w: w[[3, 1]],
    "index_select": lambda x, w: w.index_select(0, torch.tensor([2])),
    "gather": lambda x, w: w.gather(0, torch.zeros(1, 192, dtype=torch.int64)),
}


# A product with a converted layer's weight uses the ternary weights, also through views
# and casts of it, with gradients and without; so does the gradient.
@pytest.mark.parametrize("name", READERS)
def test_products_see_ternary_weights(name):
    read = READERS[name]
    layer = tt.convert(nn.Linear(192, 4))
    ternary = tt.project_local(layer.weight).requires_grad_()
    x = drawn(3, 192)
    with torch.no_grad():
        expected = read(x, ternary)
        made = read(x, layer.weight)
        assert type(made) is torch.Tensor and same(made, expected)
        assert not torch.equal(expected, read(x, torch.Tensor(layer.weight.tolist())))
    made = read(x, layer.weight)
    assert type(made) is torch.Tensor and same(made.detach(), expected)
    if made.requires_grad:
        made.square().sum().backward()
        read(x, ternary).square().sum().backward()
        assert same(layer.weight.grad, ternary.grad) and type(layer.weight.grad) is torch.Tensor


# The same by RPC, and with the layer's own group size.
def test_products_project_as_the_layer_does(client):
    layer = tt.convert(nn.Linear(192, 4, bias=False), group_size=64, client=client)
    x = drawn(3, 192)
    assert same(F.linear(x, layer.weight), layer(x))
    assert same(F.linear(x, layer.weight), F.linear(x, tt.project_local(layer.weight, 64)))


# All other functions see latents: those that change, measure or copy them.
def test_everything_else_sees_latents():
    layer = nn.Linear(192, 4, bias=False)
    latent, before = layer.weight, layer.weight.detach().clone()
    assert tt.convert(layer).weight is latent and isinstance(latent, nn.Parameter)
    assert latent.is_leaf and latent.requires_grad and latent.shape == (4, 192)
    assert latent.tolist() == before.tolist() and (latent.detach().numpy() == before.numpy()).all()
    assert torch.equal(latent.norm(), before.norm()) and torch.equal(latent, before)
    assert torch.equal(latent.square().mean(), before.square().mean())
    assert torch.equal(nn.utils.parameters_to_vector(layer.parameters()), before.reshape(-1))
    with torch.no_grad():
        latent.mul_(2)
        latent[0].neg_()
        latent.data[1] = 7
        latent[2, :5] = latent[2, :5] * 0
        before.mul_(2)
        before[0].neg_()
        before[1] = 7
        before[2, :5] = 0
        assert torch.equal(latent, before)
        assert torch.equal(torch.empty(4, 192).copy_(latent), before)
        nn.init.ones_(latent)
    assert (latent == 1).all() and "Parameter containing" in repr(latent)
    layer.double()
    assert layer.weight is latent and latent.dtype == torch.float64


# Copies are ordinary tensors: state dicts, pickles, deep copies, nn.Parameter() of the weight.
def test_copies_of_the_weight_are_ordinary():
    layer = tt.convert(nn.Linear(192, 4))
    for one in (
        layer.state_dict()["weight"],
        pickle.loads(pickle.dumps(layer.weight.detach().T)).T,
        pickle.loads(pickle.dumps(layer.weight.data)),
    ):
        assert same(one, layer.weight) and not hasattr(one, "_again")
    stored = io.BytesIO()
    torch.save(layer.state_dict(), stored)
    back = torch.load(io.BytesIO(stored.getvalue()))
    assert type(back["weight"]) is torch.Tensor and same(back["weight"], layer.weight)
    x = drawn(3, 192)
    for one in (
        nn.Parameter(layer.weight),
        nn.Parameter(layer.weight.data),
        nn.Parameter(layer.weight.clone()),
        copy.deepcopy(layer.weight),
        pickle.loads(pickle.dumps(layer.weight)),
    ):
        assert type(one) is nn.Parameter and one.is_leaf and same(one, layer.weight)
        assert same(F.linear(x, one), F.linear(x, torch.tensor(layer.weight.tolist())))
    again = copy.deepcopy(layer)
    again.load_state_dict(layer.state_dict())
    assert again.weight is not layer.weight and same(again(x), layer(x))
    assert same(F.linear(x, again.weight, again.bias), layer(x))
    fresh = tt.TernaryLinear(192, 4)
    fresh.load_state_dict(back)
    assert same(fresh(x), layer(x))


# A deep copy of a model has as many weights of its own. (What a memo knows by its id must live
# as long as the memo, or a later tensor gets that id, and the copy with it.)
def test_no_two_weights_become_one_copy():
    model = tt.convert(nn.ModuleList([nn.Linear(4, 2 + i % 7) for i in range(500)]))
    for _ in range(3):
        again = copy.deepcopy(model)
        assert len(list(again.parameters())) == 1000
        assert all(same(a, b) for a, b in zip(again.parameters(), model.parameters()))
    for one in (model[0].weight, model[0].weight.detach().T):
        memo = {}
        copy.deepcopy(one, memo)
        kept = {id(one), id(memo), *map(id, memo[id(memo)])}
        assert {key for key, value in memo.items() if isinstance(value, torch.Tensor)} <= kept


# A tensor computed from the latents keeps its values when they change.
def test_a_snapshot_stays_what_it_was():
    layer = tt.convert(nn.Linear(192, 4, bias=False))
    before, x = layer.weight.detach().clone(), drawn(3, 192)
    snapshot, changed = layer.weight.detach().clone(), layer.weight.detach().clone()
    with torch.no_grad():
        changed.mul_(2)
        layer.weight.add_(1)
    assert same(F.linear(x, changed), F.linear(x, torch.tensor(before.tolist()) * 2))
    assert same(F.linear(x, snapshot), F.linear(x, torch.tensor(before.tolist())))
    assert same(F.linear(x, layer.weight), F.linear(x, tt.project_local(layer.weight)))


# Optimizers change the latents bit for bit as they change any parameter.
@pytest.mark.parametrize(
    "make",
    [
        lambda these: torch.optim.SGD(these, 0.1, momentum=0.9, weight_decay=0.1),
        lambda these: torch.optim.AdamW(these, 0.1),
        lambda these: torch.optim.Adam(these, 0.1),
        lambda these: torch.optim.RMSprop(these, 0.01),
    ],
    ids=["sgd", "adamw", "adam", "rmsprop"],
)
def test_optimizers_step_as_ever(make):
    layer = tt.convert(nn.Linear(192, 4, bias=False))
    plain = nn.Parameter(torch.tensor(layer.weight.tolist()))
    steps = make([layer.weight]), make([plain])
    for step in range(4):
        grad = drawn(4, 192, seed=step)
        layer.weight.grad, plain.grad = grad.clone(), grad.clone()
        [one.step() for one in steps]
        assert same(layer.weight.detach(), plain.detach())


class Tied(nn.Module):
    """A language model whose head multiplies by the embedding's weight."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 200)
        self.up = nn.Linear(200, 200)

    def forward(self, ids):
        return self.up(self.embed(ids)) @ self.embed.weight.t()


# A head that reads the embedding's weight computes with the ternary weights, in training
# and in eval.
def test_a_head_tied_by_hand_is_ternary():
    model = tt.convert(Tied())
    ids = torch.arange(6)[None]
    expected = model.embed.as_linear(model.up(model.embed(ids)))
    assert same(model(ids).detach(), expected.detach())
    expected.square().sum().backward()
    gradient = model.embed.weight.grad.clone()
    model.zero_grad()
    model(ids).square().sum().backward()
    assert same(model.embed.weight.grad, gradient)
    with torch.no_grad():
        assert same(model(ids), expected)


# A weight that is set or tied after the conversion is ternary, too.
def test_a_weight_set_later_is_ternary():
    layer, head, x = tt.convert(nn.Linear(128, 8, bias=False)), nn.Linear(128, 8), drawn(3, 128)
    layer.weight = nn.Parameter(drawn(8, 128, seed=7))
    assert same(F.linear(x, layer.weight), layer(x))
    assert same(layer(x), F.linear(x, tt.project_local(drawn(8, 128, seed=7))))
    head.weight, head.bias = layer.weight, None
    assert head.weight is layer.weight and same(head(x), layer(x))
    assert len(list(nn.ModuleList([layer, head]).parameters())) == 1
    layer.weight = nn.Parameter(drawn(8, 128, seed=8))
    assert same(head(x), F.linear(x, drawn(8, 128, seed=7)))  # its layer has another weight now


# A module that shares a converted layer's weight multiplies by the ternary weights even if
# a pattern excluded it, and the conversion says so.
def test_a_shared_weight_is_ternary_for_all(caplog):
    caplog.set_level(logging.INFO, "trit")
    model = nn.ModuleDict({"embed": nn.Embedding(50, 128), "head": nn.Linear(128, 50, bias=False)})
    model.head.weight = model.embed.weight
    tt.convert(model, exclude="head")
    x = drawn(3, 128)
    assert type(model.head) is nn.Linear and model.head.weight is model.embed.weight
    assert same(model.head(x), model.embed.as_linear(x))
    assert model.trit_conversion.skipped["head"] == (
        "excluded by pattern 'head'; its weight is that of embed, so it multiplies by the ternary "
        "weights"
    )
    assert any(
        one.levelno == logging.WARNING and "that of embed" in one.getMessage()
        for one in caplog.records
    )


# torch.compile and torch.func see the same, if torch has them.
@pytest.mark.skipif(not hasattr(torch, "compiler"), reason="torch before 2.1")
@pytest.mark.parametrize("gradients", [True, False])
def test_compiled_readers_are_ternary(gradients):
    encoder = nn.TransformerEncoderLayer(64, 2, 96, batch_first=True).eval()
    for model, x in (
        (tt.convert(Tied()), torch.arange(6)[None]),
        (tt.convert(encoder), drawn(2, 5, 64)),
    ):
        torch._dynamo.reset()
        with torch.set_grad_enabled(gradients):
            expected = model(x)
            made = torch.compile(model, backend="aot_eager")(x)
            assert torch.allclose(made, expected, atol=1e-6)
    tied = tt.convert(Tied())
    ids, these = torch.arange(6)[None], dict(tied.named_parameters())
    found = torch.func.grad(
        lambda some: torch.func.functional_call(tied, some, (ids,)).square().sum()
    )(these)
    tied(ids).square().sum().backward()
    for name, one in these.items():
        assert torch.allclose(found[name], one.grad, rtol=1e-5, atol=1e-6), name


# ---- what is converted, and what is skipped --------------------------------------------


# Hooks, attributes and the module itself survive.
def test_hooks_and_attributes_survive():
    model = nn.Sequential(nn.Linear(128, 8), nn.Embedding(8, 128))
    linear, seen = model[0], []
    linear.note, linear.register_buffer = "mine", linear.register_buffer
    nn.Module.register_buffer(linear, "steps", torch.zeros(1))
    linear.register_forward_hook(lambda module, args, y: seen.append(module))
    linear.register_forward_pre_hook(lambda module, args: seen.append("before"))
    linear.register_full_backward_hook(lambda module, *_: seen.append("backward"))
    model[1].requires_grad_(False)
    names = list(model.state_dict())
    tt.convert(model)
    assert model[0] is linear and isinstance(linear, tt.TernaryLinear) and linear.note == "mine"
    linear(drawn(2, 128).requires_grad_()).sum().backward()
    assert seen == ["before", linear, "backward"] and list(model.state_dict()) == names
    assert not model[1].weight.requires_grad and model[1].embedding_dim == 128


class Mine(nn.Linear):
    """A layer with its own forward."""


class Raw(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(3, 4))


def zoo():
    """Modules with a weight matrix, and modules without one."""

    def replaced():
        layer = nn.Linear(128, 8)
        layer.forward = lambda x: x
        return layer

    return nn.ModuleDict(
        {
            "linear": nn.Linear(128, 8),
            "embedding": nn.Embedding(8, 128),
            "norm": nn.LayerNorm(128),
            "drop": nn.Dropout(),
            "mine": Mine(128, 8),
            "conv": nn.Conv1d(128, 8, 3),
            "bilinear": nn.Bilinear(4, 4, 4),
            "bag": nn.EmbeddingBag(8, 128),
            "raw": Raw(),
            "rnn": nn.GRU(128, 8),
            "lazy": nn.LazyLinear(8),
            "wide": nn.Linear(128, 8).double(),
            "replaced": replaced(),
            "normed": nn.utils.weight_norm(nn.Linear(128, 8)),
            "spectral": nn.utils.spectral_norm(nn.Linear(128, 8)),
            "parametrized": nn.utils.parametrizations.orthogonal(nn.Linear(128, 8)),
            "lora": nn.ModuleDict(
                {
                    "base_layer": nn.Linear(128, 8),
                    "lora_A": nn.ModuleDict({"default": nn.Linear(128, 2)}),
                    "lora_B": nn.ModuleDict({"default": nn.Linear(2, 8)}),
                }
            ),
        }
    )


# Each module with a matrix of weights is converted, or listed with a reason that says what
# to do; skipped modules compute as before.
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_skipped_modules_are_listed_by_name(caplog):
    caplog.set_level(logging.INFO, "trit")
    model = zoo().eval()
    before = {
        name: getattr(model, name)(drawn(2, 128))
        for name in ("mine", "normed", "spectral", "parametrized", "replaced")
    }
    assert tt.convert(model) is model
    record = model.trit_conversion
    assert record.converted == ("linear", "embedding", "lora.base_layer")
    reasons = {
        "mine": "Mine is a subclass of nn.Linear",
        "conv": "Conv1d holds weight itself",
        "bilinear": "Bilinear holds weight itself",
        "bag": "EmbeddingBag holds weight itself",
        "raw": "Raw holds table itself",
        "rnn": "GRU holds weight_ih_l0, weight_hh_l0 itself",
        "lazy": "run the model once",
        "wide": "torch.float64",
        "replaced": "forward was replaced",
        "normed": "remove that first",
        "spectral": "remove that first",
        "parametrized": "remove that first",
        "lora.lora_A.default": "LoRA factor",
        "lora.lora_B.default": "LoRA factor",
    }
    assert set(record.skipped) == set(reasons)
    for name, reason in reasons.items():
        assert reason in record.skipped[name], name
    for name, expected in before.items():
        assert torch.equal(getattr(model, name)(drawn(2, 128)), expected), name
    converted, warned = caplog.records
    assert (converted.levelno, converted.name) == (logging.INFO, "trit")
    assert "3 layers" in converted.getMessage() and "lora.base_layer" in converted.getMessage()
    assert warned.levelno == logging.WARNING
    assert all(f"{name} (" in warned.getMessage() for name in reasons)
    shown = repr(record)
    assert shown.startswith("Conversion: 3 converted, 14 skipped\n")
    assert "linear, embedding, lora.base_layer" in shown and "skipped    conv: Conv1d" in shown
    with pytest.raises(AttributeError):
        record.converted = ()


class Packed(nn.Module):
    """Like a layer of GPTQ: the weight is a buffer of integers."""

    def __init__(self):
        super().__init__()
        self.register_buffer("qweight", torch.zeros(4, 8, dtype=torch.int32))
        self.register_buffer("scales", torch.ones(8))


# Quantized layers have no Parameter, and are listed like all others.
def test_quantized_layers_are_listed(caplog):
    quantized = torch.quantization.quantize_dynamic(
        nn.Sequential(nn.Linear(128, 8)), {nn.Linear}, dtype=torch.qint8
    )
    model = nn.Sequential(nn.Linear(128, 8), quantized, Packed(), nn.BatchNorm1d(8))
    left = tt.convert(model).trit_conversion.skipped
    assert set(left) == {"1.0", "2"}
    assert all("quantized: convert the model before" in why for why in left.values())
    assert "1.0 (" in caplog.text and "2 (" in caplog.text


# What the patterns skip is logged as INFO; a second conversion finds the first one's layers.
def test_modules_skipped_by_pattern_are_no_warning(caplog):
    caplog.set_level(logging.INFO, "trit")
    model = nn.Sequential(nn.Linear(128, 8), nn.ReLU(), nn.Linear(8, 8), nn.Conv1d(8, 8, 1))
    tt.convert(model, include=(one for one in ["0", "2"]), exclude=["2"])
    assert model.trit_conversion == tt.Conversion(
        ("0",), {"2": "excluded by pattern '2'", "3": "no include pattern matches it"}
    )
    assert [one.levelno for one in caplog.records] == [logging.INFO] * 2
    tt.convert(model, include=["0", "2"], group_size=64)
    assert model.trit_conversion.converted == ("2",)
    assert model.trit_conversion.skipped["0"] == "it is ternary already"
    assert (model[0].group_size, model[2].group_size) == (128, 64)
    assert all(one.levelno == logging.INFO for one in caplog.records)


# A pattern that matches no module is an error that names it, and nothing is converted.
@pytest.mark.parametrize(
    "field,pattern",
    [
        ("include", "blocks.*"),
        ("exclude", "head"),
        ("include", ["0", "7"]),
        ("exclude", ("0", "")),
        ("exclude", "0.weight"),
    ],
)
def test_a_pattern_that_matches_nothing_is_refused(field, pattern):
    model = nn.Sequential(nn.Linear(128, 8), nn.Linear(8, 8))
    with pytest.raises(trit.InvalidArgument) as refused:
        tt.convert(model, **{field: pattern})
    assert refused.value.field == field
    assert repr(pattern if isinstance(pattern, str) else pattern[-1]) in str(refused.value)
    assert type(model[0]) is nn.Linear and not hasattr(model, "trit_conversion")


# A model that is one layer has the name "". A module without a ternary form is refused by
# name before anything is converted, unless it is excluded.
def test_single_layers_and_refusals():
    layer = nn.Linear(128, 8)
    assert tt.convert(layer) is layer and isinstance(layer, tt.TernaryLinear)
    assert layer.trit_conversion == tt.Conversion(("",), {})
    model = nn.Sequential(nn.Linear(8, 8), nn.Embedding(4, 8, max_norm=1.0))
    with pytest.raises(trit.InvalidArgument, match="^1: .*max_norm.*exclude it"):
        tt.convert(model)
    assert type(model[0]) is nn.Linear
    tt.convert(model, exclude="1")
    assert model.trit_conversion.converted == ("0",) and type(model[1]) is nn.Embedding


# Copies and pickles of a model keep the record of its conversion.
def test_the_record_of_a_conversion_is_copied_with_the_model():
    model = tt.convert(nn.Sequential(nn.Linear(128, 8), nn.Conv1d(8, 8, 1)))
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert again.trit_conversion == model.trit_conversion
        assert same(
            F.linear(drawn(2, 128), again[0].weight), F.linear(drawn(2, 128), model[0].weight)
        )


# Changes of a layer after its conversion work on its latents: pruning masks them,
# a parametrization computes them, and both are projected after that.
def test_pruning_and_parametrizing_come_before_the_projection():
    from torch.nn.utils import parametrize, prune

    x = drawn(3, 128)
    layer = tt.convert(nn.Linear(128, 8, bias=False))
    latent = torch.tensor(layer.weight.tolist())
    prune.l1_unstructured(layer, "weight", 0.5)
    expected = F.linear(x, tt.project_local(latent * layer.weight_mask))
    assert same(layer(x).detach(), expected) and same(F.linear(x, layer.weight).detach(), expected)
    prune.remove(layer, "weight")
    assert same(layer(x).detach(), expected)

    class Centred(nn.Module):
        def forward(self, w):
            return w - w.mean(1, keepdim=True)

    layer = tt.convert(nn.Linear(128, 8, bias=False))
    latent = torch.tensor(layer.weight.tolist())
    parametrize.register_parametrization(layer, "weight", Centred())
    assert same(
        layer(x).detach(), F.linear(x, tt.project_local(latent - latent.mean(1, keepdim=True)))
    )
