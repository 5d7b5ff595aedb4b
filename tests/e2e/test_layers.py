"""Layers held by the daemon: made, loaded, used, verified, found again after a
restart; and each kind of wrong request."""
import grpc
import numpy as np
import pytest
from safetensors.numpy import load_file

import reference as ref
from tritd import CALL_SECONDS, DATA, refused, tensor_pb2, ternary_pb2

from trit.v1 import layers_pb2, layers_pb2_grpc

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
F32, F16, BF16 = tensor_pb2.DTYPE_F32, tensor_pb2.DTYPE_F16, tensor_pb2.DTYPE_BF16
EMBEDDING = layers_pb2.LAYER_EMBEDDING
TERNARY, LATENTS, SPEC = (layers_pb2.LAYER_PART_TERNARY, layers_pb2.LAYER_PART_LATENTS,
                          layers_pb2.LAYER_PART_SPEC)
GOLDEN = load_file(DATA / "mlx_ternary_golden.safetensors")


class Service:
    """The Layers stub of a daemon: every method with a deadline."""

    def __init__(self, daemon):
        self.stub = layers_pb2_grpc.LayersStub(daemon.channel)

    def __getattr__(self, method):
        request = getattr(layers_pb2, f"Layer{method}Request")
        call = getattr(self.stub, method)
        return lambda **fields: call(request(**fields), timeout=CALL_SECONDS)


@pytest.fixture
def layers(daemon):
    return Service(daemon)


@pytest.fixture
def name(request):
    return "e2e/" + request.node.name


def spec(name, rows, columns, **fields):
    return layers_pb2.LayerSpec(name=name, in_features=columns, out_features=rows, **fields)


def load(layers, name, weight, bias=None, dtype=F32, **fields):
    return layers.Load(spec=spec(name, *weight.shape, bias=bias is not None, **fields),
                       weight=ref.tensor(weight, dtype),
                       bias=None if bias is None else ref.tensor(bias)).spec


def array(tensor):
    return ref.widen(tensor.data, tensor.dtype).reshape(tensor.shape)


def ternary(weight, group_size=128):
    """t*s in float64."""
    codes, scales = ref.project(weight, group_size)
    s = np.repeat(scales.astype(np.float64), group_size, axis=1)[:, :weight.shape[-1]]
    return codes * s


def normal(random, *shape):
    return random.standard_normal(shape).astype(np.float32)


def close(found, expected, relative=1e-5):
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= relative * np.abs(expected).max()


def golden(case):
    return {key[len(case) + 1:]: value for key, value in GOLDEN.items()
            if key.startswith(case + ".")}


# ---- golden ---------------------------------------------------------------------


@pytest.mark.parametrize("case", ["linear_256_96", "linear_200_40"])
def test_linear_layers_do_what_the_mlx_layers_do(layers, name, case):
    case = golden(case)
    weight, x, g = case["weight"], case["x"], case["grad_output"]
    load(layers, name, weight, case.get("bias"))
    y = array(layers.Forward(name=name, x=ref.tensor(x)).y)
    close(y, x.astype(np.float64) @ ternary(weight).T + case.get("bias", 0))
    close(y, case["y"])
    grads = layers.Backward(name=name, x=ref.tensor(x), grad_output=ref.tensor(g))
    close(array(grads.grad_input), case["grad_input"])
    close(array(grads.grad_input), g.astype(np.float64) @ ternary(weight))
    close(array(grads.grad_weight), case["grad_weight"])
    assert grads.HasField("grad_bias") == ("bias" in case)
    if "bias" in case:
        close(array(grads.grad_bias), g.astype(np.float64).sum(axis=0))


def test_embeddings_do_what_the_mlx_embeddings_do(layers, name):
    case = golden("embedding_50_192")
    weight = case["weight"]
    load(layers, name, weight, kind=EMBEDDING)
    rows = layers.Embed(name=name, ids=case["ids"].tolist()).rows
    assert (array(rows) == ternary(weight).astype(np.float32)[case["ids"]]).all()
    close(array(rows), case["rows"])
    logits = array(layers.AsLinear(name=name, x=ref.tensor(case["x"])).logits)
    close(logits, case["x"].astype(np.float64) @ ternary(weight).T)
    close(logits, case["logits"])


def test_a_whole_model_verifies_as_projecting_it_says(daemon, layers, name):
    digests = {}
    for key, weight in golden("model").items():
        load(layers, f"{name}/{key}", weight)
        digests[f"{name}/{key}"] = daemon.ternary.Project(
            ref.project_request(weight), timeout=CALL_SECONDS).report.digest
    reports = layers.Verify(prefix=name + "/").reports
    assert [report.layer for report in reports] == sorted(digests)
    for report in reports:
        assert report.is_ternary and report.max_round_error == 0
        assert report.fraction_valid == 1 and set(report.sample_values) == {-1, 0, 1}
        assert report.digest == digests[report.layer] and report.run == ""


def test_a_short_last_group_verifies_as_its_dense_weights_do(daemon, layers, name, random):
    load(layers, name, normal(random, 30, 300))
    dense = tensor_pb2.Tensor(dtype=F32, shape=[30, 300], data=layers.Get(name=name).data)
    own = layers.Verify(prefix=name).reports[0]
    other = daemon.ternary.Verify(ternary_pb2.VerifyRequest(tensor=dense),
                                  timeout=CALL_SECONDS).report
    for report in (own, other):
        report.time_unix_ns, report.layer = 0, ""
    assert own == other and own.is_ternary


# ---- streams ---------------------------------------------------------------------------


def load_messages(name, weight, chunk_bytes, bias=None, dtype=F32, crc=True, **fields):
    Request = layers_pb2.LayerLoadStreamRequest
    yield Request(start=layers_pb2.LayerLoadStart(
        spec=spec(name, *weight.shape, bias=bias is not None, **fields), dtype=dtype,
        bias=None if bias is None else ref.tensor(bias)))
    data = ref.narrow(weight, dtype)
    for offset in range(0, len(data), chunk_bytes):
        piece = data[offset:offset + chunk_bytes]
        yield Request(chunk=tensor_pb2.TensorChunk(
            offset=offset, data=piece, crc32c=ref.crc32c(piece) if crc else None))


def load_stream(layers, messages):
    return layers.stub.LoadStream(iter(messages), timeout=CALL_SECONDS).spec


@pytest.mark.parametrize("chunk_bytes", [7, 1000, 1 << 20])
@pytest.mark.parametrize("dtype", [F32, BF16], ids=["f32", "bf16"])
def test_a_streamed_load_makes_the_same_layer(layers, name, random, chunk_bytes, dtype):
    weight, bias = normal(random, 30, 300), normal(random, 30)
    load(layers, name, weight, bias, dtype)
    made = load_stream(layers, load_messages(name + "s", weight, chunk_bytes, bias, dtype,
                                             keep_latents=True))
    assert made.name == name + "s" and made.group_size == 128
    one, other = layers.Get(name=name), layers.Get(name=name + "s")
    assert one.data == other.data and one.bias == other.bias == bias.tobytes()
    assert layers.Get(name=name + "s", part=LATENTS).data == ref.narrow(weight, dtype)


def test_a_streamed_load_takes_little_more_memory_than_the_layer(start):
    own = start("--memory-max", 48 << 20)
    weight = np.ones((4096, 8192), np.float32)  # 128 MiB
    load_stream(Service(own), load_messages("large", weight, 1 << 20, crc=False))
    assert own.memory_kib() < 160 << 10
    assert Service(own).Verify().reports[0].positives == weight.size


def chunk(offset, data, **more):
    return layers_pb2.LayerLoadStreamRequest(
        chunk=tensor_pb2.TensorChunk(offset=offset, data=data, **more))


def begin(name):
    return next(load_messages(name, np.ones((2, 64)), 1))


STREAMS = {
    "no start": (lambda name: [chunk(0, bytes(512))], INVALID, ["start"]),
    "nothing": (lambda name: [], INVALID, ["start"]),
    "two starts": (lambda name: [begin(name), begin(name)], INVALID, ["start", "twice"]),
    "an empty message": (lambda name: [begin(name), layers_pb2.LayerLoadStreamRequest()],
                         INVALID, ["message"]),
    "a hole": (lambda name: [begin(name), chunk(4, bytes(508))], INVALID, ["chunk.offset", 4, 0]),
    "too many bytes": (lambda name: [begin(name), chunk(0, bytes(516))], INVALID, [516, 512]),
    "too few bytes": (lambda name: [begin(name), chunk(0, bytes(508))], INVALID, [508, 512]),
    "a wrong CRC": (lambda name: [begin(name), chunk(0, bytes(512), crc32c=1)],
                    grpc.StatusCode.DATA_LOSS, ["crc32c"]),
    "a chunk above 4 MiB": (lambda name: [begin(name), chunk(0, bytes((4 << 20) + 1))], INVALID,
                            [(4 << 20) + 1]),
    "NaN": (lambda name: [begin(name), chunk(0, np.full(128, np.nan, "<f4").tobytes())], INVALID,
            [128, 0]),
}


@pytest.mark.parametrize("wrong", STREAMS)
def test_a_streamed_load_refuses(layers, name, wrong):
    messages, status, words = STREAMS[wrong]
    refused(lambda: load_stream(layers, messages(name)), status, *words)
    refused(lambda: layers.Get(name=name), NOT_FOUND)
    load_stream(layers, [begin(name), chunk(0, bytes(512))])


# ---- products ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [F32, F16, BF16], ids=["f32", "f16", "bf16"])
@pytest.mark.parametrize("shape", [(256,), (1, 256), (3, 5, 256), (2, 1, 70, 256)], ids=str)
def test_x_has_any_rank_and_y_its_dtype_rounded_once(layers, name, random, shape, dtype):
    weight, bias = normal(random, 100, 256), normal(random, 100)
    load(layers, name, weight, bias)
    x = ref.widen(ref.narrow(normal(random, *shape), dtype), dtype).reshape(shape)
    y = layers.Forward(name=name, x=ref.tensor(x, dtype)).y
    assert list(y.shape) == [*shape[:-1], 100] and y.dtype == dtype
    full = array(layers.Forward(name=name, x=ref.tensor(x)).y)
    close(full, x.astype(np.float64) @ ternary(weight).T + bias)
    assert y.data == ref.narrow(full, dtype)


@pytest.mark.parametrize("dtype", [F32, BF16], ids=["f32", "bf16"])
def test_int8_activations_are_exact_in_integers(layers, name, random, dtype):
    weight = normal(random, 90, 300)
    load(layers, name, weight)
    x = ref.widen(ref.narrow(normal(random, 70, 300), dtype), dtype).reshape(70, 300).copy()
    x[3] = 0
    y = array(layers.Forward(name=name, activations=layers_pb2.ACTIVATIONS_INT8,
                             x=ref.tensor(x, dtype)).y)
    absmax = np.abs(x).max(axis=1, keepdims=True)
    factor = (np.float32(127) / np.where(absmax == 0, 1, absmax)).astype(np.float32)
    quantized = np.rint(x * factor).astype(np.float64)
    close(y, quantized @ ternary(weight).T * absmax / 127, 1e-5 if dtype == F32 else 4e-3)
    assert (y[3] == 0).all()
    exact = x.astype(np.float64) @ ternary(weight).T
    assert np.linalg.norm(y - exact) < 0.02 * np.linalg.norm(exact)


INT8 = layers_pb2.ACTIVATIONS_INT8


@pytest.mark.parametrize("rows, columns, batch", [(1, 16, 1), (500, 300, 7), (40, 4100, 130)])
def test_int8_activations_tell_their_error_against_f32(layers, name, random, rows, columns, batch):
    load(layers, name, normal(random, rows, columns), normal(random, rows))
    x = ref.tensor(normal(random, batch, columns))
    expected = array(layers.Forward(name=name, x=x).y).astype(np.float64)
    plain = layers.Forward(name=name, activations=INT8, x=x)
    told = layers.Forward(name=name, activations=INT8, report_error=True, x=x)
    assert told.y == plain.y and not plain.HasField("max_error")
    error = np.abs(array(told.y).astype(np.float64) - expected).max()
    assert error > 0 and told.max_error == np.float32(error)
    assert told.relative_error == np.float32(error / np.abs(expected).max())
    assert told.relative_error < 0.02


def test_the_error_is_that_of_y_before_it_is_rounded_to_its_dtype(layers, name, random):
    load(layers, name, normal(random, 60, 256))
    x = ref.widen(ref.narrow(normal(random, 5, 256), BF16), BF16).reshape(5, 256)
    full, half = (layers.Forward(name=name, activations=INT8, report_error=True,
                                 x=ref.tensor(x, dtype)) for dtype in (F32, BF16))
    assert full.max_error == half.max_error > 0
    assert full.relative_error == half.relative_error


def test_the_error_of_f32_activations_and_of_zeros_is_0(layers, name, random):
    load(layers, name, normal(random, 60, 256))
    x = ref.tensor(normal(random, 5, 256))
    zeros = ref.tensor(np.zeros((5, 256)))
    for reply in (layers.Forward(name=name, report_error=True, x=x),
                  layers.Forward(name=name, activations=INT8, report_error=True, x=zeros)):
        assert reply.HasField("max_error") and reply.HasField("relative_error")
        assert reply.max_error == reply.relative_error == 0


def test_the_error_is_not_finite_where_a_product_is_not(layers, name):
    load(layers, name, np.full((2, 64), 1e30))
    reply = layers.Forward(name=name, activations=INT8, report_error=True,
                           x=ref.tensor(np.full((1, 64), 1e30)))
    assert not np.isfinite(reply.max_error) and not np.isfinite(reply.relative_error)


@pytest.mark.parametrize("dtype", [F16, BF16], ids=["f16", "bf16"])
def test_gradients_have_the_dtypes_of_what_they_are_made_of(layers, name, random, dtype):
    load(layers, name, normal(random, 48, 144), np.zeros(48, np.float32), group_size=16)
    x, g = normal(random, 2, 9, 144), normal(random, 2, 9, 48)
    g = ref.widen(ref.narrow(g, dtype), dtype).reshape(g.shape)
    half = layers.Backward(name=name, x=ref.tensor(x), grad_output=ref.tensor(g, dtype))
    full = layers.Backward(name=name, x=ref.tensor(x), grad_output=ref.tensor(g))
    assert half.grad_input == full.grad_input and half.grad_input.dtype == F32
    for field in ("grad_weight", "grad_bias"):
        one, other = getattr(half, field), getattr(full, field)
        assert one.dtype == dtype and one.data == ref.narrow(array(other), dtype)


def test_gradients_are_those_of_the_loss_by_the_ternary_weights(layers, name, random):
    """The estimator's definition, numerically: d(sum(g*y)) by a weight, by an input."""
    weight, x, g = normal(random, 6, 32), normal(random, 4, 32), normal(random, 4, 6)
    load(layers, name, weight, np.zeros(6, np.float32), group_size=16)
    grads = layers.Backward(name=name, x=ref.tensor(x), grad_output=ref.tensor(g))
    w, x = ternary(weight, 16), x.astype(np.float64)

    def slope(at, index, loss):
        step = np.zeros_like(at)
        step[index] = 1e-4
        return (loss(at + step) - loss(at - step)) / 2e-4

    for index in [(0, 0), (5, 31), (2, 17)]:
        close(array(grads.grad_weight)[index],
              slope(w, index, lambda at: (g * (x @ at.T)).sum()), 1e-4)
    for index in [(0, 0), (3, 31), (1, 17)]:
        close(array(grads.grad_input)[index],
              slope(x, index, lambda at: (g * (at @ w.T)).sum()), 1e-4)


def test_all_is_the_same_for_every_isa_and_thread_count(start, random):
    weight, x, g = normal(random, 500, 700), normal(random, 66, 700), normal(random, 66, 500)
    answers = []
    for number, words in enumerate([["--isa", "portable", "--threads", 1], ["--threads", 3]]):
        own = start(*words, name=f"own{number}")
        one = Service(own)
        load(one, "l", weight)
        one.Create(spec=spec("c", 33, 1000), seed=7)
        grads = one.Backward(name="l", x=ref.tensor(x), grad_output=ref.tensor(g))
        answers.append([
            one.Forward(name="l", x=ref.tensor(x)).y.data,
            one.Forward(name="l", x=ref.tensor(x), activations=INT8,
                        report_error=True).SerializeToString(deterministic=True),
            grads.grad_input.data, grads.grad_weight.data,
            one.Get(name="c").data, one.Get(name="c", part=LATENTS).data,
            [report.digest for report in one.Verify().reports]])
        assert own.stop() == 0
    assert answers[0] == answers[1]


# ---- making, getting, listing, deleting ---------------------------------------------------


def test_create_draws_latents_that_can_be_drawn_again(layers, name):
    made = layers.Create(spec=spec(name, 64, 400, bias=True), seed=11).spec
    assert made == spec(name, 64, 400, bias=True, group_size=128)
    got = layers.Get(name=name, part=LATENTS)
    assert got.seed == 11 and got.dtype == F32 and list(got.shape) == [64, 400]
    latents = np.frombuffer(got.data, "<f4").reshape(64, 400)
    assert abs(latents.mean()) < 4 * 0.05 / np.sqrt(latents.size)
    assert abs(latents.std() - 0.05) < 0.001
    held = layers.Get(name=name, encoding=tensor_pb2.ENCODING_INT8)
    codes, scales = ref.project(latents)
    assert held.data == codes.tobytes() and held.scales == scales.tobytes()
    assert held.bias == bytes(4 * 64) and held.spec == made
    layers.Create(spec=spec(name + "2", 64, 400), seed=12)
    assert layers.Get(name=name + "2", part=LATENTS).data != got.data


ENCODINGS = [encoding for encoding in tensor_pb2.Encoding.values()
             if encoding not in (tensor_pb2.ENCODING_I2_S, tensor_pb2.ENCODING_HF_BITNET)]
GROUP_SIZES = {tensor_pb2.ENCODING_Q2_0: 64, tensor_pb2.ENCODING_TQ1_0: 256,
               tensor_pb2.ENCODING_TQ2_0: 256}


@pytest.mark.parametrize("encoding", ENCODINGS, ids=tensor_pb2.Encoding.Name)
def test_get_gives_what_projecting_the_latents_gives(daemon, layers, name, random, encoding):
    weight = normal(random, 40, 768)
    weight[5, 256:512] = 0
    group_size = GROUP_SIZES.get(encoding, 128)
    load(layers, name, weight, group_size=group_size)
    got = layers.Get(name=name, encoding=encoding)
    projected = daemon.ternary.Project(ref.project_request(
        weight, encoding=encoding, group_size=group_size), timeout=CALL_SECONDS)
    assert (got.dtype, got.encoding, list(got.shape)) == (projected.dtype, encoding, [40, 768])
    assert got.scales == projected.scales
    if encoding == tensor_pb2.ENCODING_DENSE:  # a projection keeps the sign of zero
        assert (np.frombuffer(got.data, "<f4") == np.frombuffer(projected.data, "<f4")).all()
    else:
        assert got.data == projected.data


@pytest.mark.parametrize("dtype", [F16, BF16], ids=["f16", "bf16"])
def test_get_gives_dense_weights_in_other_dtypes(layers, name, random, dtype):
    weight = normal(random, 40, 200)
    load(layers, name, weight)
    got = layers.Get(name=name, dtype=dtype)
    assert got.dtype == dtype
    assert (ref.widen(got.data, dtype) ==
            ref.widen(ref.narrow(ternary(weight).astype(np.float32), dtype), dtype).ravel()).all()


def test_list_gives_specs_by_name_in_pages(layers, name):
    names = sorted(f"{name}/{i}" for i in range(7))
    for one in names:
        layers.Create(spec=spec(one, 2, 16, kind=EMBEDDING))
    found, token = [], ""
    for _ in range(4):
        page = layers.List(prefix=name + "/", page_size=2, page_token=token)
        found += page.layers
        token = page.next_page_token
    assert [one.name for one in found] == names and token == ""
    assert found[0] == spec(names[0], 2, 16, kind=EMBEDDING, group_size=128)
    assert len(layers.List(prefix=name).layers) == 7


def test_a_deleted_layer_is_gone_and_its_name_free(layers, name):
    layers.Create(spec=spec(name, 2, 16))
    refused(lambda: layers.Create(spec=spec(name, 3, 16)), grpc.StatusCode.ALREADY_EXISTS, name)
    layers.Delete(name=name)
    for call in (lambda: layers.Get(name=name), lambda: layers.Delete(name=name),
                 lambda: layers.Forward(name=name, x=ref.tensor(np.ones(16)))):
        refused(call, NOT_FOUND, name)
    assert layers.Create(spec=spec(name, 3, 16)).spec.out_features == 3


# ---- on disk --------------------------------------------------------------------------------


def test_layers_are_found_again_after_a_kill(start, random):
    weight, bias = normal(random, 50, 300), normal(random, 50)
    own = start()
    one = Service(own)
    load(one, "a/b %é", weight, bias, keep_latents=True)
    load(one, "half", weight, dtype=BF16, keep_latents=True)
    one.Create(spec=spec(".hidden", 20, 64, group_size=16), seed=5)
    one.Create(spec=spec("deleted", 20, 64), seed=5)
    one.Delete(name="deleted")
    asked = [(name, part) for name in ("a/b %é", "half", ".hidden")
             for part in (TERNARY, LATENTS, SPEC)]
    before = [one.Get(name=name, part=part) for name, part in asked]
    assert before[1].data == weight.tobytes() and before[4].data == ref.narrow(weight, BF16)
    own.kill()
    again = Service(start())
    assert [one.name for one in again.List().layers] == [".hidden", "a/b %é", "half"]
    assert [again.Get(name=name, part=part) for name, part in asked] == before
    y = array(again.Forward(name="a/b %é", x=ref.tensor(weight[:3])).y)
    close(y, weight[:3].astype(np.float64) @ ternary(weight).T + bias)
    again.Delete(name="a/b %é")
    assert [path.name for path in (own.folder / "data/layers/latents").iterdir()] == ["half"]


def test_a_damaged_file_is_put_aside_and_the_others_serve(start):
    own = start()
    one = Service(own)
    for name in ("good", "bad", "short"):
        one.Create(spec=spec(name, 20, 64))
    assert own.stop() == 0
    held = own.folder / "data/layers/held"
    content = bytearray((held / "bad").read_bytes())
    content[-20] ^= 1
    (held / "bad").write_bytes(content)
    (held / "short").write_bytes((held / "short").read_bytes()[:500])
    own = start()
    again = Service(own)
    assert [one.name for one in again.List().layers] == ["good"]
    assert sorted(path.name for path in (held.parent / "damaged").iterdir()) == ["bad", "short"]
    assert own.log().count("layer_damaged") == 2
    again.Create(spec=spec("bad", 20, 64))


def test_layers_count_against_the_memory_budget(start):
    one = Service(start("--memory-max", 64 << 20))
    one.Create(spec=spec("a", 8192, 8192))
    refused(lambda: [one.Create(spec=spec(f"b{i}", 8192, 8192)) for i in range(4)], EXHAUSTED,
            "budget")
    one.Delete(name="a")
    one.Create(spec=spec("c", 8192, 8192))


# ---- what is wrong ------------------------------------------------------------------------------

ROWS = np.ones((2, 64), np.float32)
CREATES = {
    "no name": (dict(name=""), ["name"]),
    "a control character": (dict(name="a\nb"), ["name", "control"]),
    "a name too long for a file": (dict(name="/" * 90), ["name"]),
    "an unknown kind": (dict(kind=9), ["kind", 9]),
    "no in_features": (dict(in_features=0), ["in_features", 0]),
    "no out_features": (dict(out_features=0), ["out_features", 0]),
    "too many weights": (dict(in_features=1 << 40, out_features=1 << 40),
                         ["out_features", 1 << 40]),
    "an embedding with bias": (dict(kind=EMBEDDING, bias=True), ["bias"]),
    "a group size of 24": (dict(group_size=24), ["group_size", 24]),
    "a group size above the bound": (dict(group_size=65552), ["group_size", 65552]),
}


@pytest.mark.parametrize("wrong", CREATES)
def test_create_refuses(layers, name, wrong):
    fields, words = CREATES[wrong]
    fields = {**dict(name=name, in_features=64, out_features=2), **fields}
    refused(lambda: layers.Create(spec=layers_pb2.LayerSpec(**fields)), INVALID, *words)


def test_create_takes_a_name_of_255_bytes_and_no_more(layers):
    layers.Create(spec=spec("n" * 255, 2, 16))
    refused(lambda: layers.Create(spec=spec("n" * 256, 2, 16)), INVALID, "name", 255)


def test_create_refuses_a_layer_that_no_memory_holds(layers, name):
    refused(lambda: layers.Create(spec=spec(name, 1 << 24, 1 << 24)), EXHAUSTED, "budget")
    refused(lambda: layers.Get(name=name), NOT_FOUND)


def tensor(shape, dtype=F32, count=None):
    """Zeros, `count` bytes of them."""
    count = int(np.prod(shape)) * ref.WIDTH.get(dtype, 1) if count is None else count
    return tensor_pb2.Tensor(dtype=dtype, shape=shape, data=bytes(count))


LOADS = {
    "another shape": (dict(weight=tensor([2, 65])), ["weight.shape", 65, 64]),
    "another rank": (dict(weight=tensor([128])), ["weight.shape", 128]),
    "no weight": (dict(), ["weight"]),
    "a dtype of codes": (dict(weight=tensor([2, 64], tensor_pb2.DTYPE_I8)), ["weight.dtype", 4]),
    "too few bytes": (dict(weight=tensor([2, 64], count=508)), ["weight.data", 508, 512]),
    "a bias that the spec has not": (dict(weight=tensor([2, 64]), bias=tensor([2])), ["bias"]),
}


@pytest.mark.parametrize("wrong", LOADS)
def test_load_refuses(layers, name, wrong):
    fields, words = LOADS[wrong]
    refused(lambda: layers.Load(spec=spec(name, 2, 64), **fields), INVALID, *words)
    refused(lambda: layers.Get(name=name), NOT_FOUND)


@pytest.mark.parametrize("bias", [None, tensor([3]), tensor([1, 2]), tensor([2], count=4)],
                         ids=["missing", "long", "of rank 2", "short"])
def test_load_refuses_a_bias_that_is(layers, name, bias):
    refused(lambda: layers.Load(spec=spec(name, 2, 64, bias=True), weight=tensor([2, 64]),
                                bias=bias), INVALID, "bias")
    refused(lambda: layers.Get(name=name), NOT_FOUND)


def test_load_names_count_and_first_index_of_non_finite_values(layers, name, random):
    weight = normal(random, 300, 700)
    weight.reshape(-1)[[123456, 123457, 209999]] = np.nan
    refused(lambda: load(layers, name, weight), INVALID, 3, 123456)
    load(layers, name, np.nan_to_num(weight))


def test_latents_that_were_not_kept_cannot_be_had(layers, name, random):
    load(layers, name, normal(random, 2, 64))
    refused(lambda: layers.Get(name=name, part=LATENTS), PRECONDITION, "keep_latents")


XS = {
    "another last axis": (tensor([3, 63]), ["x.shape", 63, 64]),
    "rank 0": (tensor([], count=4), ["x.shape", "rank 0"]),
    "an axis of 0": (tensor([0, 64]), ["x.shape", 0]),
    "a shape that overflows": (tensor([1 << 40, 1 << 40, 64], count=4), ["x.shape", 1 << 40]),
    "too many bytes": (tensor([1, 64], count=260), ["x.data", 260, 256]),
    "a dtype of codes": (tensor([1, 64], tensor_pb2.DTYPE_U8), ["x.dtype", 5]),
    "nothing": (None, ["x.dtype"]),
}


@pytest.mark.parametrize("wrong", XS)
def test_products_refuse_an_x_of(layers, name, wrong):
    x, words = XS[wrong]
    load(layers, name, ROWS)
    load(layers, name + "e", ROWS, kind=EMBEDDING)
    refused(lambda: layers.Forward(name=name, x=x), INVALID, *words)
    refused(lambda: layers.AsLinear(name=name + "e", x=x), INVALID, *words)
    refused(lambda: layers.Backward(name=name, x=x, grad_output=tensor([1, 2])), INVALID, *words)


def test_forward_refuses_unknown_activations_and_int8_of_nan(layers, name):
    load(layers, name, ROWS)
    refused(lambda: layers.Forward(name=name, activations=5, x=tensor([1, 64])), INVALID,
            "activations", 5)
    x = np.ones((3, 64), np.float32)
    x[1, 7] = np.nan
    refused(lambda: layers.Forward(name=name, activations=1, x=ref.tensor(x)), INVALID, "x", 1)
    assert np.isnan(array(layers.Forward(name=name, x=ref.tensor(x)).y)[1]).all()


def test_backward_refuses_gradients_that_do_not_match(layers, name):
    load(layers, name, ROWS)
    for grad, words in [(tensor([4, 2]), ["grad_output.shape", 4, 3]),
                        (tensor([1, 3, 2]), ["grad_output.shape"]),
                        (tensor([3, 64]), ["grad_output.shape", 64, 2]), (None, ["grad_output"])]:
        refused(lambda: layers.Backward(name=name, x=tensor([3, 64]), grad_output=grad), INVALID,
                *words)


def test_embed_names_the_id_that_is_out_of_range(layers, name):
    load(layers, name, ROWS, kind=EMBEDDING)
    refused(lambda: layers.Embed(name=name, ids=[0, 1, 2]), INVALID, "ids", 2, "index 2")
    refused(lambda: layers.Embed(name=name, ids=[1, 4294967295]), INVALID, 4294967295)
    refused(lambda: layers.Embed(name=name), INVALID, "ids")
    ids = [i % 2 for i in range(200000)]  # more than the small fields of a message may hold
    assert array(layers.Embed(name=name, ids=ids).rows).shape == (200000, 64)


def test_a_layer_of_the_other_kind_is_refused(layers, name):
    load(layers, name, ROWS)
    load(layers, name + "e", ROWS, kind=EMBEDDING)
    refused(lambda: layers.Embed(name=name, ids=[0]), PRECONDITION, name)
    refused(lambda: layers.AsLinear(name=name, x=tensor([1, 64])), PRECONDITION, name)
    refused(lambda: layers.Forward(name=name + "e", x=tensor([1, 64])), PRECONDITION, name)


def test_unknown_names_are_not_found(layers, name):
    for call in (lambda: layers.Get(name=name), lambda: layers.Embed(name=name, ids=[0]),
                 lambda: layers.AsLinear(name=name, x=tensor([1, 64])),
                 lambda: layers.Backward(name=name, x=tensor([1]), grad_output=tensor([1]))):
        refused(call, NOT_FOUND, name)
    assert not layers.Verify(prefix=name).reports


def test_get_refuses_what_it_cannot_give(layers, name):
    load(layers, name, np.ones((2, 200), np.float32))
    for fields, words in [(dict(encoding=77), ["encoding", 77]), (dict(part=3), ["part", 3]),
                          (dict(dtype=tensor_pb2.DTYPE_I8), ["dtype", 4]),
                          (dict(encoding=tensor_pb2.ENCODING_PQ2_0), [200, 128])]:
        refused(lambda: layers.Get(name=name, **fields), INVALID, *words)


def test_verify_refuses_a_wrong_tolerance(layers):
    refused(lambda: layers.Verify(tolerance=0.6), INVALID, "tolerance", 0.6)


def test_a_reply_above_the_message_limit_is_refused(layers, name):
    layers.Create(spec=spec(name, 1 << 20, 16))
    refused(lambda: layers.Forward(name=name, x=tensor([300, 16])), EXHAUSTED,
            "message_bytes_max")
