# SPDX-License-Identifier: Apache-2.0
"""Held layers: created, read, listed, deleted, verified, and found again after a restart."""
import grpc
import numpy as np
import pytest

import reference as ref
from held import (BF16, DATA_LOSS, EMBEDDING, EXHAUSTED, F16, F32, INVALID, LATENTS, NOT_FOUND,
                  PRECONDITION, SPEC, TERNARY, Service, array, close, forge, golden, load, normal, spec, ternary)
from test_layers_load import load_messages, load_stream
from tritd import CALL_SECONDS, refused, tensor_pb2, ternary_pb2

# ---- creating, reading, listing, deleting ---------------------------------------------------


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
GROUP_SIZES = {tensor_pb2.ENCODING_TQ1_0: [256], tensor_pb2.ENCODING_TQ2_0: [256],
               tensor_pb2.ENCODING_Q2_0: [64, 128], tensor_pb2.ENCODING_MLX_2BIT: [64, 128]}


@pytest.mark.parametrize("encoding, group_size", [
    (encoding, size) for encoding in ENCODINGS for size in GROUP_SIZES.get(encoding, [128])],
    ids=lambda one: str(one) if one > 16 else tensor_pb2.Encoding.Name(one))
def test_get_gives_what_projecting_the_latents_gives(daemon, layers, name, random, encoding,
                                                     group_size):
    weight = normal(random, 40, 768)
    weight[5, 256:512] = 0
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


@pytest.mark.parametrize("dtype, magnitude", [(F16, 1e-10), (F16, 1e38), (BF16, 3.4e38)])
def test_get_refuses_dense_weights_whose_scale_the_dtype_loses(layers, name, dtype, magnitude):
    weight = np.ones((4, 256), np.float32)
    weight[3, 128:] = magnitude
    load(layers, name, weight)
    refused(lambda: layers.Get(name=name, dtype=dtype), INVALID, "dtype", "group 7")
    got = layers.Get(name=name, dtype=F32)
    assert (np.frombuffer(got.data, "<f4") == weight.ravel()).all()


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


# ---- verifying ---------------------------------------------------------------------------------


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


def test_a_damaged_file_is_moved_aside_and_the_others_serve(start):
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


def test_damaged_latents_are_reported_and_the_layer_serves(start, random):
    own = start()
    weight = normal(random, 20, 64)
    load(Service(own), "l", weight, keep_latents=True)
    path = own.folder / "data/layers/latents/l"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    refused(lambda: Service(own).Get(name="l", part=LATENTS), DATA_LOSS, "latents", "CRC")
    held = np.frombuffer(Service(own).Get(name="l").data, "<f4").reshape(weight.shape)
    assert (held == ternary(weight)).all()


def test_without_a_data_directory_layers_live_as_long_as_the_daemon(start, random):
    own = start(durable=False)
    one, weight = Service(own), normal(random, 20, 64)
    load(one, "loaded", weight)
    assert one.Create(spec=spec("drawn", 20, 64, keep_latents=True), seed=3).spec.keep_latents
    assert one.Get(name="drawn", part=LATENTS).seed == 3
    for call in (lambda: load(one, "kept", weight, keep_latents=True),
                 lambda: load_stream(one, load_messages("kept", weight, 512, keep_latents=True))):
        refused(call, PRECONDITION, "keep_latents", "--data-dir")
    assert [layer.name for layer in one.List().layers] == ["drawn", "loaded"]
    assert own.stop() == 0
    assert not Service(start(durable=False)).List().layers


@pytest.mark.parametrize("encoding", [tensor_pb2.ENCODING_INT8, tensor_pb2.ENCODING_Q2_0],
                         ids=tensor_pb2.Encoding.Name)
def test_a_layer_that_is_not_ternary_is_reported_and_not_packed(start, encoding):
    own = start()
    for name in ("good", "bad"):
        Service(own).Create(spec=spec(name, 16, 64, group_size=64))
    assert own.stop() == 0
    forge(own.folder / "data/layers/held/bad")
    again = Service(start())
    bad, good = again.Verify().reports
    assert good.is_ternary and not bad.is_ternary and 0.5 in bad.sample_values  # of 2 s
    assert 0 < bad.fraction_valid < 1 and bad.layer == "bad"
    refused(lambda: again.Get(name="bad", encoding=encoding), DATA_LOSS, "bad", "not ternary")
    again.Get(name="good", encoding=encoding)


def test_layers_count_against_the_memory_budget(start):
    one = Service(start("--memory-max", 16 << 20))
    one.Create(spec=spec("a", 4096, 4096))
    refused(lambda: [one.Create(spec=spec(f"b{i}", 4096, 4096)) for i in range(4)], EXHAUSTED,
            "budget")
    one.Delete(name="a")
    one.Create(spec=spec("c", 4096, 4096))
