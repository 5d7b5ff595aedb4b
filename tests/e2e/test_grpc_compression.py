# SPDX-License-Identifier: Apache-2.0
"""Compressed requests and replies, by grpcio."""
import gzip
import os
import zlib

import grpc
import numpy as np
import pytest

import reference as ref
from raw import RawConnection, message
from tritd import CALL_SECONDS, report_pb2, tensor_pb2, ternary_pb2

CODINGS = [grpc.Compression.Gzip, grpc.Compression.Deflate]
VALUES = np.random.default_rng(3).standard_normal((512, 1024)).astype(np.float32)


@pytest.mark.parametrize("coding", CODINGS, ids=["gzip", "deflate"])
def test_a_compressed_request_gives_the_same_bytes(daemon, coding):
    plain = daemon.ternary.Project(ref.project_request(VALUES), timeout=CALL_SECONDS)
    packed = daemon.ternary.Project(ref.project_request(VALUES), timeout=CALL_SECONDS,
                                    compression=coding)
    assert packed.data == plain.data and packed.report.digest == plain.report.digest


@pytest.mark.parametrize("coding", CODINGS, ids=["gzip", "deflate"])
def test_a_compressed_stream_gives_the_same_bytes(daemon, coding):
    data = VALUES.tobytes()

    def upload():
        yield ternary_pb2.ProjectStreamRequest(start=ternary_pb2.ProjectStart(
            dtype=ref.F32, shape=VALUES.shape))
        for offset in range(0, len(data), 100_000):
            yield ternary_pb2.ProjectStreamRequest(chunk=tensor_pb2.TensorChunk(
                offset=offset, data=data[offset:offset + 100_000]))

    replies = list(daemon.ternary.ProjectStream(upload(), timeout=CALL_SECONDS,
                                                compression=coding))
    got = b"".join(reply.chunk.data for reply in replies if reply.HasField("chunk"))
    assert got == ref.dense(VALUES, *ref.project(VALUES))


def test_a_large_tensor_of_zeros_is_decompressed(daemon):
    """100 MiB come as 100 KiB."""
    zeros = np.zeros((25600, 1024), np.float32)
    reply = daemon.ternary.Verify(ternary_pb2.VerifyRequest(tensor=ref.tensor(zeros)),
                                  timeout=CALL_SECONDS, compression=grpc.Compression.Gzip)
    assert reply.report.zeros == zeros.size


def resident(daemon):
    with open(f"/proc/{daemon.process.pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def bomb(megabytes):
    """A VerifyRequest with a tensor of zeros, compressed to a thousandth."""
    size = megabytes << 20
    tensor = tensor_pb2.Tensor(dtype=ref.F32, shape=[size >> 12, 1 << 10]).SerializeToString()
    data = b"\x7a" + varint(size)  # field 15
    head = b"\x7a" + varint(len(tensor) + len(data) + size) + tensor + data  # field 15
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return packer.compress(head) + b"".join(
        packer.compress(bytes(1 << 20)) for _ in range(megabytes)) + packer.flush()


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def test_a_bomb_stops_at_the_limit(start):
    """512 MiB in 512 KiB are refused at message_bytes_max. Memory does not grow with them,
    and another call is answered while they are decompressed."""
    own = start()
    small = ref.project_request(np.ones((1, 128), np.float32))
    own.ternary.Project(small, timeout=CALL_SECONDS)
    before = resident(own)
    with RawConnection(own.rpc) as raw:
        stream = raw.headers("/trit.v1.Ternary/Verify", [("grpc-encoding", "gzip")])
        raw.send(stream, message(bomb(512), 1), end=True)
        own.ternary.Project(small, timeout=CALL_SECONDS)
        reply = raw.wait(stream)
    assert reply.status == "8", reply.headers
    assert "message_bytes_max" in reply.headers["grpc-message"]
    assert resident(own) - before < 96 << 20


def test_an_unknown_encoding_is_unimplemented_and_names_those_that_are_known(daemon):
    with RawConnection(daemon.rpc) as raw:
        reply = raw.call("/trit.v1.Ternary/Project", b"", [("grpc-encoding", "snappy")])
        assert reply.status == "12" and "snappy" in reply.headers["grpc-message"]
        assert reply.headers["grpc-accept-encoding"] == "identity,gzip,deflate"


def test_a_compressed_flag_without_an_encoding_is_internal(daemon):
    with RawConnection(daemon.rpc) as raw:
        assert raw.call("/trit.v1.Ternary/Project", b"x", flag=1).status == "13"
        assert raw.call("/trit.v1.Ternary/Project", b"x", [("grpc-encoding", "gzip")],
                        flag=1).status == "13"


def test_large_lists_come_compressed_and_tensors_do_not(daemon, run):
    """A client that accepts gzip gets a page of reports compressed."""
    for step in range(20):
        daemon.ternary.Verify(ternary_pb2.VerifyRequest(
            tensor=ref.tensor(np.zeros((2, 128), np.float32)),
            layer=tensor_pb2.LayerRef(run=run, layer="l", step=step)), timeout=CALL_SECONDS)
    request = report_pb2.ReportsListRequest(run=run).SerializeToString()
    project = ref.project_request(VALUES).SerializeToString()
    accept = [("grpc-accept-encoding", "identity, deflate, gzip")]
    with RawConnection(daemon.rpc) as raw:
        plain = raw.call("/trit.v1.Reports/List", request)
        packed = raw.call("/trit.v1.Reports/List", request, accept)
        tensor = raw.call("/trit.v1.Ternary/Project", project, accept)
    assert plain.data[0] == 0 and "grpc-encoding" not in plain.headers
    assert packed.data[0] == 1 and packed.headers["grpc-encoding"] == "gzip"
    assert gzip.decompress(packed.data[5:]) == plain.data[5:]
    assert len(packed.data) < len(plain.data) / 2
    assert tensor.data[0] == 0 and "grpc-encoding" not in tensor.headers
