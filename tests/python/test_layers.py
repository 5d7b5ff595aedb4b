# SPDX-License-Identifier: Apache-2.0
"""client.layers against the real daemon with NumPy, and with torch and MLX if they are
installed."""

import asyncio
import socket
import sys
import time
from functools import partial

import numpy as np
import pytest

import trit
import trit.aio
from daemon import Daemon
from trit import local


@pytest.fixture
def layers(client):
    return client.layers


@pytest.fixture
def name(request):
    return "python/" + request.node.name


def bits(array):
    return np.asarray(array).tobytes()


def close(found, expected, relative=1e-5):
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= relative * np.abs(expected).max()


def normal(random, *shape, dtype=np.float32):
    return random.standard_normal(shape).astype(dtype)


def of(golden, case):
    return {
        key[len(case) + 1 :]: value for key, value in golden.items() if key.startswith(case + ".")
    }


# ---- the golden file -------------------------------------------------------------------


# y and all gradients equal those of the MLX layer, and of the ternary weights in float64.
@pytest.mark.parametrize("case", ["linear_256_96", "linear_200_40"])
def test_linear_layers_of_the_golden_file(layers, name, golden, case):
    case = of(golden, case)
    w, x, g = case["weight"], case["x"], case["grad_output"]
    spec = layers.load(name, w, case.get("bias"))
    assert spec == trit.LayerSpec(
        name, trit.LayerKind.LINEAR, w.shape[1], w.shape[0], "bias" in case, 128, False
    )
    wide = local.project(w).astype(np.float64)
    y = layers.forward(name, x)
    close(y, x @ wide.T + case.get("bias", 0))
    close(y, case["y"])
    grads = layers.backward(name, x, g)
    close(grads.input, g @ wide)
    close(grads.input, case["grad_input"])
    close(grads.weight, case["grad_weight"])
    assert (grads.bias is not None) == ("bias" in case)
    if grads.bias is not None:
        close(grads.bias, g.astype(np.float64).sum(axis=0))


# Rows and logits equal those of the MLX embedding.
def test_embeddings_of_the_golden_file(layers, name, golden):
    case = of(golden, "embedding_50_192")
    assert layers.load(name, case["weight"], kind="embedding").kind == trit.LayerKind.EMBEDDING
    rows = layers.embed(name, case["ids"])
    assert rows.dtype == np.float32 and rows.shape == case["rows"].shape
    assert (rows == local.project(case["weight"])[case["ids"]]).all()
    close(rows, case["rows"])
    close(layers.as_linear(name, case["x"]), case["logits"])


# A whole model verifies in one call, with the digests of its projections.
def test_a_model_of_the_golden_file_verifies(client, name, golden):
    expected = {}
    for key, w in of(golden, "model").items():
        client.layers.load(f"{name}/{key}", w)
        expected[f"{name}/{key}"] = client.project(w).report.digest
    reports = client.layers.verify(name + "/", tolerance=0)
    assert list(reports) == sorted(expected)
    for key, report in reports.items():
        assert report.is_ternary and report.max_round_error == 0
        assert report.digest == expected[key] and report.run == ""


# ---- arrays in and out -----------------------------------------------------------------


# x may have any rank; y has its dtype; int8 activations give nearly the same result.
@pytest.mark.parametrize("shape", [(96,), (1, 96), (2, 3, 96)], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_forward_of_any_rank_and_dtype(layers, name, random, shape, dtype):
    w, x = normal(random, 40, 96), normal(random, *shape, dtype=dtype)
    layers.load(name, w)
    y = layers.forward(name, x)
    assert y.shape == (*shape[:-1], 40) and y.dtype == dtype
    exact = x.astype(np.float64) @ local.project(w).astype(np.float64).T
    close(y, exact, 1e-5 if dtype == np.float32 else 1e-3)
    near = layers.forward(name, x, activations="int8")
    assert near.shape == y.shape and near.dtype == dtype
    assert np.linalg.norm(near - exact) < 0.03 * np.linalg.norm(exact)


# The error of int8 activations is reported on request.
def test_forward_reports_its_error(layers, name, random):
    layers.load(name, normal(random, 40, 96))
    x = normal(random, 7, 96)
    y, most, relative = layers.forward_with_error(name, x)
    exact = layers.forward(name, x)
    assert bits(y) == bits(layers.forward(name, x, activations="int8"))
    assert most == pytest.approx(np.abs(y - exact).max(), rel=1e-5) and most > 0
    assert relative == pytest.approx(most / np.abs(exact).max(), rel=1e-5)
    same = layers.forward_with_error(name, x, activations="f32")
    assert bits(same.y) == bits(exact) and same.max_error == same.relative_error == 0


# ids may have any shape and any integer type, and may be lists.
def test_embed_takes_ids_of_any_shape(layers, name, random):
    w = normal(random, 300, 32)
    layers.load(name, w, kind="embedding")
    dense = local.project(w) + 0.0  # codes know no sign of zero
    ids = np.array([[0, 299, 128], [7, 7, 1]])
    for kind in (np.int64, np.int32, np.uint32, np.int16):
        assert bits(layers.embed(name, ids.astype(kind))) == bits(dense[ids])
    assert bits(layers.embed(name, ids.T)) == bits(dense[ids.T])
    assert bits(layers.embed(name, [5, 6])) == bits(dense[[5, 6]])
    assert bits(layers.embed(name, 5)) == bits(dense[5])


# Latents, y and dense weights may be bfloat16.
def test_bfloat16_in_and_out(layers, name, random):
    bf16 = pytest.importorskip("ml_dtypes").bfloat16
    w, x = normal(random, 16, 128).astype(bf16), normal(random, 3, 128).astype(bf16)
    layers.load(name, w, keep_latents=True)
    y = layers.forward(name, x)
    assert y.dtype == bf16
    assert bits(y) == bits(layers.forward(name, x.astype(np.float32)).astype(bf16))
    assert bits(layers.get(name, "latents").weight) == bits(w)
    dense = layers.get(name, dtype="bf16").weight
    assert bits(dense) == bits((local.project(w.astype(np.float32)) + 0.0).astype(bf16))


# ids of floating point are refused in every family.
def test_ids_that_are_no_integers_are_refused(layers, name):
    layers.create(name, 64, 4, kind="embedding")
    kinds = [np.ones(2, np.float32)]
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        kinds += [torch.ones(2), torch.ones(2, dtype=torch.bfloat16), torch.ones(2) > 0]
    if "mlx.core" in sys.modules:
        kinds += [sys.modules["mlx.core"].ones(2)]
    for ids in kinds:
        with pytest.raises(trit.InvalidArgument) as refused:
            layers.embed(name, ids)
        assert refused.value.field == "ids"


# torch tensors give torch tensors, the same numbers as NumPy's.
def test_torch_tensors_in_and_out(layers, name, random):
    torch = pytest.importorskip("torch")
    w, x, g = normal(random, 24, 64), normal(random, 2, 5, 64), normal(random, 2, 5, 24)
    layers.load(name, torch.from_numpy(w), torch.zeros(24, dtype=torch.bfloat16))
    y = layers.forward(name, torch.from_numpy(x).requires_grad_())
    assert isinstance(y, torch.Tensor) and bits(y) == bits(layers.forward(name, x))
    half = layers.forward(name, torch.from_numpy(x).to(torch.bfloat16))
    assert half.dtype == torch.bfloat16 and half.shape == (2, 5, 24)
    grads = layers.backward(name, torch.from_numpy(x), torch.from_numpy(g))
    for one, other in zip(grads, layers.backward(name, x, g)):
        assert isinstance(one, torch.Tensor) and bits(one) == bits(other)
    layers.load(name + "e", w, kind="embedding")
    rows = layers.embed(name + "e", torch.tensor([[1, 2], [3, 23]]))
    assert isinstance(rows, torch.Tensor) and rows.shape == (2, 2, 64)
    assert isinstance(layers.get(name, like=rows).weight, torch.Tensor)


# mlx arrays give mlx arrays, the same numbers as NumPy's.
def test_mlx_arrays_in_and_out(layers, name, random):
    mx = pytest.importorskip("mlx.core")
    w, x, g = normal(random, 24, 128), normal(random, 5, 128), normal(random, 5, 24)
    layers.load(name, mx.array(w))
    y = layers.forward(name, mx.array(x))
    assert isinstance(y, mx.array)
    assert bits(memoryview(y)) == bits(layers.forward(name, x))
    assert layers.forward(name, mx.array(x).astype(mx.bfloat16)).dtype == mx.bfloat16
    grads = layers.backward(name, mx.array(x), mx.array(g))
    assert grads.bias is None
    assert bits(memoryview(grads.weight)) == bits(layers.backward(name, x, g).weight)
    layers.load(name + "e", mx.array(w), kind="embedding")
    assert layers.embed(name + "e", mx.array([[1, 2], [3, 23]])).shape == (2, 2, 128)
    held = layers.get(name, encoding="mlx_2bit", like=y)
    assert held.weight.dtype == mx.uint32 and held.scales.shape == (24, 1)


# ---- creating, reading, listing ----------------------------------------------------------


# The same seed draws the same latents. They can be read back, and verify and unpack accept
# the result of get.
def test_create_and_get(layers, name):
    spec = layers.create(name, 256, 40, bias=True, seed=2**64 - 1)
    assert (spec.in_features, spec.out_features, spec.group_size) == (256, 40, 128)
    latents = layers.get(name, "latents")
    assert latents.seed == 2**64 - 1 and latents.weight.shape == (40, 256)
    assert abs(latents.weight.std() - 1 / 16) < 0.005
    held = layers.get(name)
    assert bits(held.weight + 0.0) == bits(local.project(latents.weight) + 0.0)
    assert held.spec == spec and bits(held.bias) == bytes(160) and held.scales is None
    layers.create(name + "2", 256, 40, seed=2**64 - 1)
    assert bits(layers.get(name + "2", "latents").weight) == bits(latents.weight)
    bare = layers.get(name, trit.LayerPart.SPEC)
    assert bare.weight is None and bare.bias is None and bare.spec == spec


@pytest.mark.parametrize(
    "encoding",
    [one for one in trit.Encoding if one not in (trit.Encoding.I2_S, trit.Encoding.HF_BITNET)],
    ids=lambda one: one.name,
)
def test_get_in_every_encoding_unpacks_and_verifies(client, layers, name, random, encoding):
    w = normal(random, 8, 512) * 0.02
    group_size = {trit.Encoding.Q2_0: 64, trit.Encoding.TQ1_0: 256, trit.Encoding.TQ2_0: 256}.get(
        encoding, 128
    )
    layers.load(name, w, group_size=group_size)
    held = layers.get(name, encoding=encoding)
    packed = client.project(w, encoding=encoding, group_size=group_size)
    # Codes have no sign of zero, a dense projection keeps it.
    assert bits(held.weight) == bits(packed.data + 0)
    assert held.seed is None and held.encoding == encoding
    assert np.asarray(held.weight).shape == packed.data.shape
    assert bits(client.unpack(held.projection)) == bits(client.unpack(packed) + 0.0)
    report = client.verify(held.projection)
    assert report.is_ternary and report.digest == packed.report.digest


# A load above stream_bytes_min is streamed, reports progress, and makes the same layer.
def test_a_streamed_load_makes_the_same_layer(daemon, layers, name, random):
    w, bias, progress_steps = normal(random, 1024, 1024), normal(random, 1024), []
    layers.load(name, w[:512], bias[:512])
    with trit.Client(daemon.rpc, stream_bytes_min=65536) as streaming:
        streaming.layers.load(name + "s", w[:512], bias[:512])
        streaming.layers.load(name + "p", w, progress=progress_steps.append)
    one, other = layers.get(name), layers.get(name + "s")
    assert bits(one.weight) == bits(other.weight) and bits(other.bias) == bits(bias[:512])
    assert sum(progress_steps) == w.nbytes


def test_list_and_delete(layers, name):
    for i in range(3):
        layers.create(f"{name}/{i}", 64, 2, kind="embedding" if i else "linear")
    assert [one.name for one in layers.list(name + "/")] == [f"{name}/{i}" for i in range(3)]
    assert [one.kind.name for one in layers.list(name + "/")] == ["LINEAR"] + 2 * ["EMBEDDING"]
    layers.delete(f"{name}/1")
    assert [one.name for one in layers.list(name + "/")] == [f"{name}/0", f"{name}/2"]
    assert {one.name for one in layers.list()} > {f"{name}/0"}
    assert layers.list(name + "/none") == [] and layers.verify(name + "/none") == {}


# Layers and their latents survive a restart; deleted layers stay deleted.
def test_layers_survive_a_restart(tmp_path, random):
    w, x = normal(random, 12, 96), normal(random, 2, 96)

    def answers(client):
        return [
            bits(client.layers.forward("loaded", x)),
            bits(client.layers.get("loaded", "latents").weight),
            bits(client.layers.get("drawn", "latents").weight),
            [one.name for one in client.layers.list()],
        ]

    first = Daemon(tmp_path)
    with trit.Client(first.rpc) as client:
        client.layers.load("loaded", w, keep_latents=True)
        client.layers.create("drawn", 96, 7, seed=5)
        client.layers.create("gone", 96, 7)
        client.layers.delete("gone")
        before = answers(client)
    assert first.stop() == 0
    second = Daemon(tmp_path)
    with trit.Client(second.rpc) as client:
        assert answers(client) == before
        assert before[3] == ["drawn", "loaded"] and before[1] == bits(w)
    assert second.stop() == 0


# ---- what is refused -------------------------------------------------------------------


def test_names_are_unique_and_unknown_names_are_errors(layers, name):
    layers.create(name, 64, 2)
    for again in (
        lambda: layers.create(name, 64, 2),
        lambda: layers.load(name, np.ones((2, 64), np.float32)),
    ):
        with pytest.raises(trit.AlreadyExists) as taken:
            again()
        assert name in str(taken.value)
    x = np.ones((1, 64), np.float32)
    for call in (
        lambda: layers.forward("none", x),
        lambda: layers.as_linear("none", x),
        lambda: layers.backward("none", x, x),
        lambda: layers.embed("none", [0]),
        lambda: layers.get("none"),
        lambda: layers.delete("none"),
    ):
        with pytest.raises(trit.NotFound) as unknown:
            call()
        assert unknown.value.field == "name"


def test_the_other_kind_is_a_failed_precondition(layers, name):
    layers.create(name, 64, 2)
    layers.create(name + "e", 64, 2, kind="embedding")
    x = np.ones((1, 64), np.float32)
    for call in (
        lambda: layers.forward(name + "e", x),
        lambda: layers.as_linear(name, x),
        lambda: layers.embed(name, [0]),
    ):
        with pytest.raises(trit.FailedPrecondition):
            call()
    layers.load(name + "l", np.ones((2, 64), np.float32))
    with pytest.raises(trit.FailedPrecondition) as refused:
        layers.get(name + "l", "latents")
    assert refused.value.field == "part"


# Errors name their field, whether the package, libtrit or the daemon finds them.
def test_errors_name_their_field(layers, name):
    layers.create(name, 64, 2)
    layers.create(name + "e", 64, 2, kind="embedding")
    x, w = np.ones((1, 64), np.float32), np.ones((2, 64), np.float32)
    for refused, field in [
        (lambda: layers.create("", 64, 2), "spec.name"),
        (lambda: layers.create("a\0b", 64, 2), "spec.name"),
        (lambda: layers.create("ä" * 128, 64, 2), "spec.name"),
        (lambda: layers.create("x", 0, 2), "spec.in_features"),
        (lambda: layers.create("x", 64, -2), "spec.out_features"),
        (lambda: layers.create("x", 64, 2, group_size=17), "spec.group_size"),
        (lambda: layers.create("x", 64, 2, kind="conv"), "spec.kind"),
        (lambda: layers.create("x", 64, 2, seed=-1), "seed"),
        (lambda: layers.create("x", 64, 2, kind="embedding", bias=True), "spec.bias"),
        (lambda: layers.load("x", w[0]), "weight.shape"),
        (lambda: layers.load("x", w.astype(np.float64)), "weight.dtype"),
        (lambda: layers.load("x", w, w), "bias.shape"),
        (lambda: layers.load("x", w * np.nan), "weight.data"),
        (lambda: layers.forward(name, x[:, :63]), "x.shape"),
        (lambda: layers.forward(name, x.astype(int)), "x.dtype"),
        (lambda: layers.forward(name, x, activations="int4"), "activations"),
        (lambda: layers.forward("n" * 256, x), "name"),
        (lambda: layers.backward(name, x, np.ones((2, 2), np.float32)), "grad_output.shape"),
        (lambda: layers.embed(name + "e", [0, 2]), "ids"),
        (lambda: layers.embed(name + "e", [-1]), "ids"),
        (lambda: layers.embed(name + "e", [2**32]), "ids"),
        (lambda: layers.embed(name + "e", []), "ids"),
        (lambda: layers.embed(name + "e", [0.5]), "ids"),
        (lambda: layers.get(name, "weights"), "part"),
        (lambda: layers.get(name, encoding="zip"), "encoding"),
        (lambda: layers.get(name, dtype="i8"), "dtype"),
        (lambda: layers.verify(tolerance=-1), "tolerance"),
        (lambda: layers.list("p\0"), "prefix"),
    ]:
        with pytest.raises(trit.InvalidArgument) as error:
            refused()
        assert error.value.field == field, error.value


# The error of an id out of range has the id and its index.
def test_an_id_out_of_range_is_named(layers, name):
    layers.create(name, 16, 50, kind="embedding")
    for ids, words in [([1, 50], "50.*index 1"), ([[0], [-3]], "-3.*index 1")]:
        with pytest.raises(trit.InvalidArgument, match=words):
            layers.embed(name, ids)


# Every method ends at its deadline if nothing answers.
def test_every_call_has_a_deadline():
    x = np.ones((1, 64), np.float32)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with trit.Client("127.0.0.1:%d" % listener.getsockname()[1]) as mute:
            layers = mute.layers
            for call in (
                partial(layers.create, "l", 64, 2),
                partial(layers.load, "l", x),
                partial(layers.forward, "l", x),
                partial(layers.backward, "l", x, x),
                partial(layers.forward_with_error, "l", x),
                partial(layers.embed, "l", [0]),
                partial(layers.as_linear, "l", x),
                partial(layers.get, "l"),
                layers.list,
                partial(layers.delete, "l"),
                layers.verify,
            ):
                began = time.monotonic()
                with pytest.raises(trit.DeadlineExceeded):
                    call(timeout=0.05)
                assert time.monotonic() - began < 5


# ---- asyncio ---------------------------------------------------------------------------


def test_all_calls_can_be_awaited(daemon, name, random):
    w, x = normal(random, 24, 64), normal(random, 3, 64)

    async def inside():
        async with trit.aio.Client(daemon.rpc, timeout=30) as client:
            layers = client.layers
            await asyncio.gather(
                layers.load(name + "l", w),
                layers.create(name + "c", 64, 9),
                layers.load(name + "e", w, kind="embedding"),
            )
            y, same = await asyncio.gather(*(layers.forward(name + "l", x) for _ in range(2)))
            assert bits(y) == bits(same)
            assert (await layers.forward_with_error(name + "l", x)).relative_error < 0.05
            assert (await layers.backward(name + "l", x, y)).input.shape == x.shape
            assert (await layers.embed(name + "e", [3])).shape == (1, 64)
            assert bits(await layers.as_linear(name + "e", x)) == bits(y)
            assert (await layers.get(name + "c", "spec")).spec.out_features == 9
            assert len(await layers.verify(name)) == len(await layers.list(name)) == 3
            await layers.delete(name + "c")
            with pytest.raises(trit.NotFound):
                await layers.get(name + "c")

    asyncio.run(asyncio.wait_for(inside(), 60))
