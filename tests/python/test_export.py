# SPDX-License-Identifier: Apache-2.0
"""Models of trit.torch as files, back from files, and as models of ordinary layers."""

import io
import json

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn.utils import prune  # noqa: E402

import trit  # noqa: E402
import trit.torch as tt  # noqa: E402


class Model(nn.Module):
    """Embedding and tied head, positions that no converter takes, a layer that is excluded,
    a buffer, a short last group."""

    def __init__(self, width=192):
        super().__init__()
        self.embed = nn.Embedding(20, width)
        self.positions = nn.Embedding(4, width)
        self.up = nn.Linear(width, 256)
        self.down = nn.Linear(256, width, bias=False)
        self.norm = nn.LayerNorm(width)
        self.classifier = nn.Linear(width, 6)
        self.head = nn.Linear(width, 20, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("table", torch.arange(12.0).reshape(3, 4))

    def forward(self, ids):
        x = self.embed(ids) + self.positions(torch.arange(ids.shape[-1]))
        x = self.norm(x + self.down(torch.relu(self.up(x))))
        return self.head(x), self.classifier(x)


IDS = torch.arange(12).reshape(3, 4)
TERNARY = {"embed.weight", "up.weight", "down.weight", "head.weight"}


def plain(seed=3, dtype=torch.float32, width=192):
    torch.manual_seed(seed)
    return Model(width).to(dtype).eval()


def converted(client=None, seed=3, dtype=torch.float32, width=192, **options):
    model = plain(seed, dtype, width)
    return tt.convert(model, exclude=["positions", "classifier"], client=client, **options)


def outputs(model):
    with torch.no_grad():
        return model(IDS)


def same(a, b):
    return all(x.dtype == y.dtype and torch.equal(x, y) for x, y in zip(a, b))


def record(path):
    raw = path.read_bytes()
    head = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    return json.loads(head["__metadata__"]["trit"])


# Exactly the converted layers become ternary, tied names too; the record names them, and all
# else is as it was. With a daemon and without the files are the same.
@pytest.mark.parametrize("encoding", ["dense", "int8"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_exactly_the_converted_layers_are_exported(client, tmp_path, encoding, dtype):
    model = converted(dtype=dtype)
    files = [tmp_path / f"{one}.safetensors" for one in ("local", "own", "given", "project")]
    tt.export(model, files[0], encoding=encoding)
    tt.export(converted(client, dtype=dtype), files[1], encoding=encoding)
    tt.export(model, files[2], encoding=encoding, client=client)
    made = client.checkpoint.project(model, files[3], encoding=encoding)
    assert set(made.reports) == TERNARY
    assert len({one.read_bytes() for one in files}) == 1
    assert set(record(files[0])["layers"]) == TERNARY
    checked = client.checkpoint.verify(files[0], accept_record=True, against=model.state_dict())
    assert checked.verdict == "pass" and set(checked.reports) >= TERNARY
    with pytest.raises(trit.AlreadyExists):
        tt.export(model, files[0])
    tt.export(model, files[0], force=True)


# A state dict of a model has ternary tensors in the same places; a plan says so before.
def test_a_model_in_place_of_a_state_dict(client):
    model = converted()
    assert set(client.checkpoint.plan(model).layers) == TERNARY
    made = client.checkpoint.project(model).tensors
    for name, one in model.state_dict().items():
        expected = tt.project_local(one) if name in TERNARY else one
        assert torch.equal(made[name], expected), name
    for options in ({"include": "up.*"}, {"exclude": "up.*"}, {"group_size": 64}):
        with pytest.raises(trit.InvalidArgument, match="leave it out"):
            client.checkpoint.project(model, **options)


# A model, plain or converted, that loads a file gives the outputs of the model that was
# exported, bit for bit, from dense and int8 files, with a daemon and without.
@pytest.mark.parametrize("encoding", ["dense", "int8"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("group_size", [128, 64, 96])
def test_a_file_gives_the_same_outputs(client, tmp_path, encoding, dtype, group_size):
    if dtype == torch.float16 and not hasattr(torch, "compiler"):
        pytest.skip("torch before 2 has no products of float16 on the CPU")
    path = tmp_path / "model.safetensors"
    model = converted(dtype=dtype, group_size=group_size)
    tt.export(model, path, encoding=encoding)
    expected = outputs(model)
    assert same(outputs(tt.load(plain(8, dtype), path)), expected)
    for one in (None, client):
        again = converted(one, 9, dtype)
        assert tt.load(again, path) is again and same(outputs(again), expected)
        assert again.up.group_size == group_size
    # And so does what that model exports.
    tt.export(again, path, force=True)
    assert same(outputs(tt.load(plain(8, dtype), path)), expected)


# From the other encodings the weights are t * s with the scale that the format holds.
@pytest.mark.parametrize("encoding", ["pq2_0", "q2_0", "ptq1_0", "mlx_2bit", "hf_bitnet", "tq2_0"])
def test_other_encodings_give_the_scale_of_the_format(client, tmp_path, encoding):
    path, dense = tmp_path / "model.safetensors", tmp_path / "dense.safetensors"
    size = {"q2_0": 64, "tq2_0": 256}.get(encoding, 128)
    model = converted(client, width=256, group_size=size)
    tt.export(model, path, encoding=encoding)
    client.checkpoint.unpack(path, dense)
    expected = plain(4, width=256)
    expected.load_state_dict(tt._export._read(str(dense), None, "")[0])
    assert same(outputs(tt.load(plain(8, width=256), path, client=client)), outputs(expected))
    assert same(outputs(tt.load(converted(client, 9, width=256), path)), outputs(expected))
    local = converted(width=256, group_size=size)
    for call in (
        lambda: tt.load(plain(8, width=256), path),
        lambda: tt.export(local, tmp_path / "x.safetensors", encoding=encoding),
    ):
        with pytest.raises(trit.FailedPrecondition, match=f"{encoding}.*give a client"):
            call()


# A model that loaded a file trains on: its latents move the ternary weights.
def test_training_goes_on_from_a_file(tmp_path):
    path = tmp_path / "model.safetensors"
    tt.export(converted(), path)
    model = tt.load(converted(seed=9), path)
    before = model.up.ternary_weight().detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    sum(one.square().mean() for one in model(IDS)).backward()
    optimizer.step()
    assert not torch.equal(model.up.ternary_weight(), before)


# Any ternary weights have latents: any number of nonzero weights in a group, any scale.
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("size", [128, 64, 96, 7, 2])
def test_any_ternary_weights_have_latents(dtype, size):
    draw = torch.Generator().manual_seed(size)
    columns = size * 2 + size // 2
    rows = []
    for count in range(size + 1):
        codes = torch.zeros(columns)
        for begin in range(0, columns, size):
            width = min(size, columns - begin)
            places = begin + torch.randperm(width, generator=draw)[: min(count, width)]
            codes[places] = torch.randint(0, 2, places.shape, generator=draw) * 2.0 - 1
        rows.append(codes)
    codes = torch.stack(rows)
    groups = -(-columns // size)
    scales = (torch.rand(len(rows), groups, generator=draw) + 0.01).to(dtype).float()
    ternary = (codes * scales.repeat_interleave(size, -1)[:, :columns]).to(dtype)
    latents = tt._export.latents_of(ternary, size, "w", tt.project_local)
    assert torch.equal(tt.project_local(latents, size), ternary) and latents.dtype == dtype


# Files and models that do not belong together are refused by name, and nothing is loaded.
def test_what_does_not_fit_is_refused(client, tmp_path):
    path = tmp_path / "model.safetensors"
    tt.export(converted(), path)
    small = nn.Sequential(nn.Linear(4, 4))
    before = small[0].weight.detach().clone()
    with pytest.raises(trit.InvalidArgument, match=r"lacks 0\.bias, 0\.weight; has.*classifier"):
        tt.load(small, path)
    assert torch.equal(small[0].weight, before)
    with pytest.raises(trit.InvalidArgument, match=r"positions\.weight: the file keeps it"):
        tt.load(tt.convert(plain(), exclude="classifier"), path)
    with pytest.raises(trit.InvalidArgument, match="size mismatch"):
        tt.load(plain(width=128), path)
    with pytest.raises(trit.InvalidArgument, match="convert it first"):
        tt.export(plain(), tmp_path / "x.safetensors")
    with pytest.raises(trit.InvalidArgument, match="convert it first"):
        client.checkpoint.project(plain())
    mixed = converted()
    mixed.up.group_size = 64
    with pytest.raises(trit.InvalidArgument, match="group sizes 64, 128"):
        tt.export(mixed, tmp_path / "x.safetensors")
    pruned = converted()
    prune.l1_unstructured(pruned.up, "weight", 0.5)
    for call in (
        lambda: tt.export(pruned, tmp_path / "x.safetensors"),
        lambda: tt.materialize(pruned),
    ):
        with pytest.raises(trit.InvalidArgument, match=r"^up: .*pruning"):
            call()
    wrong = converted()
    with torch.no_grad():
        wrong.down.weight[0, 3] = float("nan")
    for encoding in ("dense", "int8"):
        with pytest.raises(trit.InvalidArgument, match=r"down\.weight: 1 of"):
            tt.export(wrong, tmp_path / "x.safetensors", encoding=encoding)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["model.safetensors"]


# ---- ordinary layers -----------------------------------------------------------------------


# A materialized model has ordinary layers, tied as before, and the same outputs bit for bit;
# the model that was trained stays as it is.
@pytest.mark.parametrize("by_rpc", [True, False])
def test_materialize(client, by_rpc):
    model = converted(client if by_rpc else None)
    expected = outputs(model)
    made = tt.materialize(model)
    assert [type(one) for one in made.modules()] == [type(one) for one in plain().modules()]
    assert made.head.weight is made.embed.weight and type(made.up.weight) is nn.Parameter
    assert list(made.state_dict()) == list(model.state_dict())
    assert made.up.weight.requires_grad and not made.training
    assert not made._forward_hooks and not made._forward_pre_hooks
    assert not hasattr(made, "trit_conversion") and not hasattr(made.up, "group_size")
    stored = io.BytesIO()
    torch.save(made, stored)
    assert b"trit" not in stored.getvalue().replace(b"attribute", b"")
    assert same(outputs(made), expected) and same(outputs(model), expected)
    assert isinstance(model.up, tt.TernaryLinear) and model.trit_conversion.converted
    with torch.no_grad():
        made.up.weight.zero_()
    assert same(outputs(model), expected)


# A transformer's fast path computes with the ternary weights.
def test_a_materialized_transformer(client):
    torch.manual_seed(2)
    layer = nn.TransformerEncoderLayer(64, 2, 96, batch_first=True)
    model = tt.convert(nn.TransformerEncoder(layer, 2)).eval()
    x = torch.randn(2, 5, 64)
    with torch.no_grad():
        assert torch.allclose(tt.materialize(model)(x), model(x), atol=1e-5)


# torch.jit compiles and traces it; both give the same bits, also after a round trip.
def test_torch_jit_takes_a_materialized_model():
    model = tt.convert(nn.Sequential(nn.Embedding(20, 100), nn.Linear(100, 8), nn.ReLU())).eval()
    expected = model(IDS).detach()
    made = tt.materialize(model)
    for scripted in (torch.jit.script(made), torch.jit.trace(made, (IDS,))):
        stored = io.BytesIO()
        torch.jit.save(scripted, stored)
        stored.seek(0)
        assert torch.equal(torch.jit.load(stored)(IDS), expected)


# ONNX export gives ordinary weights.
def test_onnx_export_takes_a_materialized_model(tmp_path):
    if hasattr(torch, "compiler"):
        pytest.importorskip("onnxscript")
    model = tt.convert(nn.Sequential(nn.Linear(100, 8), nn.ReLU())).eval()
    torch.onnx.export(tt.materialize(model), (torch.ones(2, 100),), str(tmp_path / "model.onnx"))
    raw = (tmp_path / "model.onnx").read_bytes()
    assert model[0].ternary_weight().detach().numpy().tobytes() in raw


# What has no ordinary equal is refused by name.
def test_what_cannot_be_materialized():
    class Mine(tt.TernaryLinear):
        pass

    with pytest.raises(trit.InvalidArgument, match=r"^0: Mine is a subclass"):
        tt.materialize(nn.Sequential(Mine(8, 8)))
    with pytest.raises(trit.InvalidArgument, match="convert it first"):
        tt.materialize(plain())
