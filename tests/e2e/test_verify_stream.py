# SPDX-License-Identifier: Apache-2.0
"""VerifyStream against latents that are many times larger than the tensor."""
import numpy as np
import pytest

import claims
import reference as ref
from tritd import CALL_SECONDS, refused, tensor_pb2, ternary_pb2

import grpc

ROWS, COLUMNS = 4096, 2048  # 32 MiB of f32 latents


def chunks(kind, data, size=1 << 20):
    for at in range(0, len(data), size):
        yield at / len(data), ternary_pb2.VerifyStreamRequest(
            **{kind: tensor_pb2.TensorChunk(offset=at, data=data[at:at + size])})


def start(encoding):
    return ternary_pb2.VerifyStreamRequest(start=ternary_pb2.VerifyStart(
        options=ternary_pb2.VerifyOptions(encoding=encoding), dtype=tensor_pb2.DTYPE_F32,
        shape=[ROWS, COLUMNS], reference_dtype=tensor_pb2.DTYPE_F32))


@pytest.fixture(scope="module")
def latents():
    return np.random.default_rng(5).standard_normal((ROWS, COLUMNS)).astype(np.float32).tobytes()


@pytest.fixture
def packed(daemon, latents):
    """The latents' projection in PQ2_0, a fifteenth of their size."""
    requests = ref.stream_requests(latents, (ROWS, COLUMNS), 1 << 20,
                                   encoding=tensor_pb2.ENCODING_PQ2_0)
    data, _, _ = ref.gather(daemon.ternary.ProjectStream(iter(requests), timeout=CALL_SECONDS))
    return data


def test_a_packed_tensor_streams_with_its_latents(daemon, latents, packed):
    """Tensor and latents are interleaved in proportion to their sizes."""
    both = sorted([*chunks("reference", latents), *chunks("chunk", packed)], key=lambda c: c[0])
    reply = list(daemon.ternary.VerifyStream(
        iter([start(tensor_pb2.ENCODING_PQ2_0), *(message for _, message in both)]),
        timeout=CALL_SECONDS))
    assert len(reply) == 1
    report = reply[0].report
    assert report.is_ternary and report.elements == ROWS * COLUMNS
    # f16 scales differ from the projection's f32 scales: t is the same, t*s is not
    assert report.negatives + report.zeros + report.positives == ROWS * COLUMNS


def test_latents_far_ahead_are_refused(daemon, latents, packed):
    """The daemon would have to hold latents that arrive long before the tensor."""
    requests = [start(tensor_pb2.ENCODING_PQ2_0),
                *(message for _, message in chunks("reference", latents)),
                *(message for _, message in chunks("chunk", packed))]
    refused(lambda: list(daemon.ternary.VerifyStream(iter(requests), timeout=CALL_SECONDS)),
            grpc.StatusCode.INVALID_ARGUMENT, "reference", "interleave")


def test_scales_beyond_a_chunk(daemon, random):
    """The first message holds all scales of the tensor. For an embedding of 150,000 rows they
    are larger than a chunk may be."""
    shape = (600_000, 4)
    codes = random.integers(-1, 2, shape).astype(np.int8)
    scales = random.random((shape[0], 2)).astype(np.float32) + .5
    report = claims.verify_stream(daemon, codes.tobytes(), shape, encoding=claims.INT8,
                                  scales=scales.tobytes(), group_size=2, chunk=1 << 20)
    assert report.is_ternary and report.groups == 2 * shape[0] and scales.nbytes > 4 << 20
