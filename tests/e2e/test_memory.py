# SPDX-License-Identifier: Apache-2.0
"""The daemon's memory does not grow with the tensor."""
import grpc
import numpy as np
import pytest

import reference as ref
from tritd import SLOW, tensor_pb2, ternary_pb2

MIB = 1 << 20
PEAK_MIB_MAX = 128


def generated(total_bytes, chunk_bytes, layer=None, **options):
    """A tensor of rows of 4096 floats whose chunks repeat one random block."""
    block = np.random.default_rng(3).standard_normal(chunk_bytes // 4).astype(np.float32).tobytes()
    yield ternary_pb2.ProjectStreamRequest(start=ternary_pb2.ProjectStart(
        options=ref.options(**options), dtype=ref.F32, shape=[total_bytes // 16384, 4096]))
    for offset in range(0, total_bytes, chunk_bytes):
        yield ternary_pb2.ProjectStreamRequest(chunk=tensor_pb2.TensorChunk(
            offset=offset, data=block))


@pytest.mark.skipif(SLOW, reason="sanitizers and emulators have memory of their own")
@pytest.mark.parametrize("encoding, reply_bytes", [
    (tensor_pb2.ENCODING_PQ2_0, 1024 * MIB // 512 * 34),
    (tensor_pb2.ENCODING_DENSE, 1024 * MIB)], ids=["pq2_0", "dense"])
def test_a_gibibyte_streams_in_constant_memory(start, encoding, reply_bytes):
    own = start()
    received = 0
    for reply in own.ternary.ProjectStream(generated(1024 * MIB, MIB, encoding=encoding),
                                           timeout=300):
        if reply.WhichOneof("message") == "chunk":
            assert reply.chunk.offset == received
            received += len(reply.chunk.data)
        else:
            report = reply.report
    assert received == reply_bytes and report.elements == 256 * MIB
    assert own.memory_kib() < PEAK_MIB_MAX * 1024


@pytest.mark.skipif(SLOW, reason="sanitizers and emulators have memory of their own")
def test_a_client_that_does_not_read_is_held_back(start):
    """Replies do not pile up if the client sends without reading."""
    own = start()
    call = own.ternary.ProjectStream(generated(512 * MIB, MIB), timeout=8)
    try:
        next(call)
        call.result()  # never reads on: runs into its deadline
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert own.memory_kib() < PEAK_MIB_MAX * 1024


@pytest.mark.skipif(SLOW, reason="sanitizers and emulators have memory of their own")
def test_many_calls_leave_nothing_behind(start, random):
    own = start()
    request = ref.project_request(random.standard_normal((64, 1024)))

    def burst():
        for _ in range(500):
            own.ternary.Project(request, timeout=30)
        return own.memory_kib("VmRSS")

    burst()
    settled = burst()
    assert burst() - settled < 8 * 1024
