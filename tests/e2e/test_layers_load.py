# SPDX-License-Identifier: Apache-2.0
"""Layers loaded by a stream of chunks."""
import grpc
import numpy as np
import pytest

import reference as ref
from held import BF16, F32, INVALID, LATENTS, NOT_FOUND, Service, load, normal, spec
from tritd import CALL_SECONDS, refused, tensor_pb2

from trit.v1 import layers_pb2


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
    """A bad stream is refused, leaves no layer, and its name can be loaded afterwards."""
    messages, status, words = STREAMS[wrong]
    refused(lambda: load_stream(layers, messages(name)), status, *words)
    refused(lambda: layers.Get(name=name), NOT_FOUND)
    load_stream(layers, [begin(name), chunk(0, bytes(512))])


def test_a_chunk_whose_crc_comes_after_its_data_is_refused(daemon, layers, name):
    """The daemon checks the CRC while the data arrives, so it must come first."""
    data, crc = bytes(512), (1).to_bytes(4, "little")
    late = b"\x7a\x80\x04" + data + b"\x15" + crc  # data = 15, crc32c = 2
    raw = b"\x7a" + bytes([len(late) % 128 | 128, len(late) // 128]) + late  # chunk = 15
    stream = daemon.channel.stream_unary(
        "/trit.v1.Layers/LoadStream", request_serializer=bytes,
        response_deserializer=layers_pb2.LayerLoadStreamResponse.FromString)
    refused(lambda: stream(iter([begin(name).SerializeToString(), raw]), timeout=CALL_SECONDS),
            INVALID, "chunk.data", "after all other fields")
    refused(lambda: layers.Get(name=name), NOT_FOUND)
