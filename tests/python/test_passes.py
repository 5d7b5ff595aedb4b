# SPDX-License-Identifier: Apache-2.0
"""How often the layers of trit.torch project, what they keep, and what a NaN does."""

import copy
import io
import pickle
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

import trit  # noqa: E402
import trit.torch as tt  # noqa: E402
from trit import _torch_projection  # noqa: E402


class Counting(trit.Client):
    """Notes how many tensors each call projects."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.calls = []

    def project(self, *args, **options):
        self.calls.append(1)
        return super().project(*args, **options)

    def project_batch(self, tensors, **options):
        self.calls.append(len(tensors))
        return super().project_batch(tensors, **options)

    def since(self):
        """The calls since the last time."""
        seen, self.calls = self.calls, []
        return seen


@pytest.fixture
def counting(daemon):
    with Counting(daemon.rpc, timeout=60) as subject:
        yield subject


class Tied(nn.Module):
    """Layers of widths that are no multiple of the group, a tied head, one layer used twice."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 100)
        self.up = nn.Linear(100, 192)
        self.down = nn.Linear(192, 100, bias=False)
        self.head = nn.Linear(100, 20, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        x = self.embed(ids)
        x = x + self.down(self.up(x).relu())
        return self.head(x + self.down(self.up(x).relu()))


IDS = torch.arange(12).reshape(3, 4)


def made(client=None, **options):
    torch.manual_seed(7)
    return tt.convert(Tied(), client=client, **options)


def step(model):
    """The output and all gradients of one step."""
    model.zero_grad(set_to_none=True)
    y = model(IDS)
    y.square().sum().backward()
    return [y.detach(), *(one.grad for one in model.parameters())]


def same(a, b):
    return len(a) == len(b) and all(map(torch.equal, a, b))


# ---- a training step ---------------------------------------------------------------------


# A training step projects all layers by one call, a tied weight once and a layer that is used
# twice once. Outputs and gradients have the bits of the local projection.
@pytest.mark.parametrize("group_size", [128, 64, 96])
def test_a_step_is_one_call(counting, group_size):
    by_rpc, local = made(counting, group_size=group_size), made(group_size=group_size)
    for _ in range(3):
        assert same(step(by_rpc), step(local))
        assert counting.since() == [3]
        with torch.no_grad():
            for model in (by_rpc, local):
                for one in model.parameters():
                    one.data.mul_(0.9)  # not counted by torch, and nevertheless seen


class Recomputed(Tied):
    """Its middle is computed again in the backward pass."""

    reentrant = False

    def forward(self, ids):
        x = checkpoint(self.middle, self.embed(ids), use_reentrant=self.reentrant)
        return self.head(checkpoint(self.middle, x, use_reentrant=self.reentrant))

    def middle(self, x):
        return x + self.down(self.up(x).relu())


# With gradient checkpoints the layers that are computed again are projected together, once for
# a whole backward pass.
@pytest.mark.parametrize("reentrant", [True, False])
def test_a_step_with_checkpoints_is_two_calls(counting, reentrant):
    def model(client):
        torch.manual_seed(7)
        found = tt.convert(Recomputed(), client=client)
        found.reentrant = reentrant
        return found

    by_rpc, local, plain = model(counting), model(None), made()
    calls = []
    for _ in range(3):
        assert same(step(by_rpc), step(local)) and same(step(by_rpc), step(plain))
        calls += counting.since()
        with torch.no_grad():
            for one in (by_rpc, local, plain):
                for latents in one.parameters():
                    latents.data.mul_(0.9)
    # The first step finds out which layers these are.
    assert calls[:3] == [3, 1, 1] and calls[3:] == [3, 2] * 5
    by_rpc.up(torch.ones(100)).sum().backward()  # no pass is left behind
    assert counting.since() == [1]


# Layers of different clients, dtypes and group sizes have calls of their own; so have layers
# that are called alone. A copy and a pickle of a model work as it does.
def test_what_a_call_takes_together(counting, client):
    expected = step(made())
    for model in (copy.deepcopy(made(counting)), pickle.loads(pickle.dumps(made(counting)))):
        for layer in (model.embed, model.up, model.down, model.head):
            layer.client = counting  # a pickled client is a new one
        assert same(step(model), expected) and counting.since() == [3]
        model.down.client = client
        assert same(step(model), expected) and counting.since() == [2]
        model.up.group_size = 50
        step(model)
        assert sorted(counting.since()) == [1, 1]
        model.up(torch.ones(100))
        assert counting.since() == [1]


# A layer or model that is built of trit's layers has the same once set_client knows it.
def test_models_built_of_ternary_layers(counting):
    torch.manual_seed(1)
    model = nn.Sequential(tt.TernaryLinear(100, 64), nn.ReLU(), tt.TernaryLinear(64, 5))
    expected = model(torch.ones(3, 100))
    tt.set_client(model, counting)
    tt.set_client(model, counting)
    assert torch.equal(model(torch.ones(3, 100)), expected) and counting.since() == [2]


# While the daemon cannot be reached, layers project in torch if the client or `convert` says so.
@pytest.mark.parametrize("options", [({"fallback": "local"}, {}), ({}, {"fallback": "local"})])
@pytest.mark.filterwarnings("ignore:the daemon cannot be reached")
def test_a_step_goes_on_without_a_daemon(options):
    with trit.Client("127.0.0.1:1", timeout=60, **options[0]) as nobody:
        model = made(nobody, **options[1])
        assert same(step(model), step(made()))
        with torch.no_grad():
            assert torch.equal(model(IDS), made()(IDS))
    with trit.Client("127.0.0.1:1", timeout=60) as nobody, pytest.raises(trit.Unavailable):
        made(nobody)(IDS)
    with pytest.raises(trit.InvalidArgument, match="fallback"):
        made(fallback="remote")


class Failing(nn.Module):
    def forward(self, x):
        raise RuntimeError("the user's own")


# After a pass that failed in the middle, layers project again.
def test_a_pass_that_fails_leaves_nothing(counting):
    model = tt.convert(
        nn.Sequential(nn.Linear(64, 8), nn.Linear(8, 8), Failing()), client=counting
    )
    for _ in range(2):
        with pytest.raises(RuntimeError, match="the user's own"):
            model(torch.ones(64))
        assert counting.since() == [2]
    model[2] = nn.Identity()
    model(torch.ones(64))
    assert counting.since() == [2]


# ---- without gradients -------------------------------------------------------------------


# Without gradients a layer projects once, until its latents change.
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("by_rpc", [True, False])
def test_a_projection_is_kept_without_gradients(counting, monkeypatch, by_rpc, mode):
    model, plain = made(counting if by_rpc else None), made()
    local = []
    project = _torch_projection.project

    def counted(*args):
        local.append(1)
        return project(*args)

    monkeypatch.setattr(_torch_projection, "project", counted)

    def projected():
        calls, here = counting.since(), len(local)
        local.clear()
        return calls if by_rpc else here

    with mode():
        expected = plain(IDS)
        local.clear()
        assert torch.equal(model(IDS), expected)
        assert projected() == ([3] if by_rpc else 3)
        for _ in range(3):
            assert torch.equal(model(IDS), expected)
        assert model.embed.as_linear(torch.ones(100)).shape == (20,) and not projected()
    for change in (
        lambda: model.up.weight.mul_(-1),
        lambda: model.up.load_state_dict(model.up.state_dict()),
        lambda: setattr(model.up, "weight", nn.Parameter(-model.up.weight)),
        lambda: setattr(model.up.weight, "data", -model.up.weight.data),
        lambda: setattr(model.up, "group_size", 50),
    ):
        with torch.no_grad():
            change()
            copy.deepcopy(model).load_state_dict(model.state_dict())
        with mode():
            model(IDS)
            assert projected() == ([1] if by_rpc else 1)
            model(IDS)
            assert not projected()


# Training does not use what was kept, and evaluation does not use what a step projected.
def test_training_and_evaluation_alternate(counting):
    model, local = made(counting), made()
    optimizers = [torch.optim.SGD(one.parameters(), 1e-7) for one in (model, local)]
    for _ in range(3):
        assert same(step(model), step(local)) and counting.since() == [3]
        [one.step() for one in optimizers]
        with torch.no_grad():
            for _ in range(2):
                assert torch.equal(model(IDS), local(IDS))
        assert counting.since() == [3]


# A frozen layer keeps its projection while others train.
def test_a_frozen_layer_keeps_its_projection(counting):
    model = made(counting)
    model.embed.requires_grad_(False)
    model.up.requires_grad_(False)
    model(IDS).sum().backward()
    assert counting.since() == [3]
    model(IDS).sum().backward()
    assert counting.since() == [1]


# What is written through .data is not counted: `invalidate` says so.
@pytest.mark.parametrize("by_rpc", [True, False])
def test_invalidate(client, by_rpc):
    model = tt.convert(nn.Linear(64, 8, bias=False), client=client if by_rpc else None)
    with torch.no_grad():
        before = model(torch.ones(64))
        model.weight.data.neg_()
        assert torch.equal(model(torch.ones(64)), before)
        tt.invalidate(model)
        assert torch.equal(model(torch.ones(64)), -before)
    with pytest.raises(trit.InvalidType):
        tt.invalidate("model")


# Whoever changes ternary weights that he got changes no layer; nothing that is kept gets into
# a file or a copy.
def test_what_is_kept_is_nobody_elses():
    layer = tt.TernaryLinear(64, 8, bias=False)
    with torch.no_grad():
        expected = layer(torch.ones(64))
        layer.ternary_weight().mul_(2)
        assert torch.equal(layer(torch.ones(64)), expected)
    sizes = []
    for _ in range(2):
        stored = io.BytesIO()
        torch.save([layer, layer.state_dict(), layer.weight], stored)
        sizes.append(stored.tell())
        tt.invalidate(layer)
    assert sizes[0] == sizes[1]
    assert not hasattr(copy.deepcopy(layer).weight, "_kept")


# ---- many tensors in one call ------------------------------------------------------------


# project_batch gives each tensor the bits of project, in its library, dtype and shape.
@pytest.mark.parametrize("group_size", [None, 64, 100])
def test_a_batch_has_the_bits_of_single_calls(client, random, group_size):
    draw = torch.Generator().manual_seed(3)
    tensors = [
        random.standard_normal((7, 200), np.float32),
        torch.randn(3, 4, 129, generator=draw).bfloat16(),
        torch.randn(300, generator=draw),
        random.standard_normal((40, 3)).astype(np.float16).T,
        np.full((2, 130), -0.0, np.float32),
        torch.randn(1024, 2048, generator=draw),
        torch.randn(1, 1, generator=draw),
    ]
    made = client.project_batch(tensors, group_size=group_size)
    for one, projected in zip(tensors, made):
        expected = client.project(one, group_size=group_size, report="none").data
        assert type(projected) is type(expected) and projected.dtype == expected.dtype
        assert projected.shape == expected.shape == one.shape
        if isinstance(one, torch.Tensor):
            assert projected.is_contiguous() and projected.data_ptr() % 64 == 0
            projected, expected = (x.float().numpy() for x in (projected, expected))
        assert projected.tobytes() == expected.tobytes()
    assert client.project_batch([]) == []


# The memory of a batch is used again when no array uses a part of it, and not before.
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_batches_do_not_share_memory(daemon, random, kind):
    steps = [[random.standard_normal((64, 128), np.float32) for _ in range(3)] for _ in range(3)]
    if kind == "torch":
        steps = [[torch.from_numpy(one) for one in step] for step in steps]
    with trit.Client(daemon.rpc, timeout=60) as client:

        def address(step):
            made = client.project_batch(step)
            return made[0].ctypes.data if kind == "numpy" else made[0].data_ptr()

        first = client.project_batch(steps[0])
        kept = first[1][3:5]
        expected = bytes(np.asarray(kept).tobytes())
        del first
        again = address(steps[1])
        assert np.asarray(kept).tobytes() == expected  # a part is still in use
        assert address(steps[2]) == again
        assert np.asarray(kept).tobytes() == expected


# A tensor that is not finite is named by its place, with the count and the first index.
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_a_batch_names_the_tensor_that_is_not_finite(client, dtype):
    wrong = torch.ones(3, 50, dtype=dtype)
    wrong[1, 7], wrong[2, 0] = float("nan"), -float("inf")
    with pytest.raises(trit.InvalidArgument) as refused:
        client.project_batch([torch.ones(2, 128, dtype=dtype), wrong])
    assert refused.value.field == "tensors[1]"
    assert "2 values" in str(refused.value) and "flat index 57" in str(refused.value)
    for tensors in (
        np.ones((2, 2), np.float32),
        [np.ones(3, np.int32)],
        [3],
        [np.zeros((0, 5), np.float32)],
    ):
        with pytest.raises(trit.InvalidArgument):
            client.project_batch(tensors)
    with pytest.raises(trit.InvalidArgument, match="group_size"):
        client.project_batch([np.ones(3, np.float32)], group_size=0)


# ---- latents that are not finite ---------------------------------------------------------


# A NaN raises with the layer's dotted name, the count and the first flat index, with a daemon
# and without, with gradients and without, each time.
@pytest.mark.parametrize("by_rpc", [True, False])
@pytest.mark.parametrize("gradients", [True, False])
def test_a_nan_raises_with_its_place(client, by_rpc, gradients):
    model = made(client if by_rpc else None)
    with torch.no_grad():
        model.down.weight[2, 5] = float("nan")
        model.down.weight[9, 0] = float("inf")
    for _ in range(2):
        with torch.set_grad_enabled(gradients), pytest.raises(trit.InvalidArgument) as refused:
            model(IDS)
        assert str(refused.value) == (
            "down.weight: 2 of 19200 latents are NaN or infinite, the first at flat index 389"
        )
        assert refused.value.field == "weight"
    with torch.no_grad():
        model.down.weight.nan_to_num_(0, 0)
    assert torch.isfinite(model(IDS)).all()


# With nan="warn" it warns, and the groups at fault are NaN; other weights are as ever.
@pytest.mark.parametrize("by_rpc", [True, False])
def test_a_nan_warns_if_asked(client, by_rpc):
    model = nn.Sequential(nn.Linear(256, 3, bias=False), nn.ReLU(), nn.Linear(3, 2))
    tt.convert(model, client=client if by_rpc else None, nan="warn")
    expected = tt.project_local(model[0].weight)
    with torch.no_grad():
        model[0].weight[1, 130] = float("nan")
    with pytest.warns(RuntimeWarning, match=r"^0\.weight: 1 of 768 latents .* flat index 386"):
        ternary = model[0].ternary_weight().detach().clone()
    assert torch.isnan(ternary[1, 128:]).all()
    expected[1, 128:] = ternary[1, 128:] = 0
    assert torch.equal(ternary, expected)
    with pytest.warns(RuntimeWarning):
        assert torch.isnan(model(torch.ones(256))).any()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        model[0].weight.nan_to_num_()
        model(torch.ones(256))
    with pytest.raises(trit.InvalidArgument, match="nan: 'ignore'"):
        tt.convert(nn.Linear(4, 4), nan="ignore")


# A layer without a model is named by its class.
def test_a_nan_in_a_layer_without_a_name():
    layer = tt.TernaryEmbedding(4, 8, nan="raise")
    with torch.no_grad():
        layer.weight[1, 1] = float("nan")
    with pytest.raises(trit.InvalidArgument, match=r"^TernaryEmbedding\.weight: 1 of 32 "):
        layer(torch.tensor([0]))
