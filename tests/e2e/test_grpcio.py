# SPDX-License-Identifier: Apache-2.0
"""A standard grpcio client with stubs generated from proto/ calls every method."""
import concurrent.futures
import time

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import reference as ref
from streams import VALUES, HalfSent
from tritd import CALL_SECONDS, refused, tensor_pb2, ternary_pb2

INT8, PQ2_0 = tensor_pb2.ENCODING_INT8, tensor_pb2.ENCODING_PQ2_0


@pytest.fixture
def values(random):
    return random.standard_normal((24, 256)).astype(np.float32)


def test_project(daemon, values):
    """The projection, its counts, scales and errors equal NumPy's."""
    reply = daemon.ternary.Project(ref.project_request(values), timeout=CALL_SECONDS)
    codes, scales = ref.project(values)
    report = reply.report
    assert reply.data == ref.dense(values, codes, scales)
    assert report.is_ternary and list(report.shape) == [24, 256]
    assert (report.elements, report.groups, report.group_size) == (values.size, 48, 128)
    assert report.negatives == (codes == -1).sum()
    assert report.zeros == (codes == 0).sum()
    assert report.positives == (codes == 1).sum()
    assert report.scale_min == scales.min() and report.scale_max == scales.max()
    assert report.scale_mean == pytest.approx(scales.astype(np.float64).mean(), rel=1e-12)
    w, p = values.astype(np.float64).ravel(), np.frombuffer(reply.data, "<f4").astype(np.float64)
    assert report.mse == pytest.approx(((w - p) ** 2).mean(), rel=1e-9)
    assert report.cosine == pytest.approx(w @ p / np.sqrt((w @ w) * (p @ p)), rel=1e-9)
    assert report.sqnr_db == pytest.approx(10 * np.log10((w @ w) / ((w - p) ** 2).sum()), rel=1e-9)
    assert len(report.digest) == 32 and report.version and report.kernel


@pytest.mark.parametrize("encoding", [tensor_pb2.ENCODING_DENSE, INT8, PQ2_0])
def test_verify_and_unpack_take_what_project_made(daemon, values, encoding):
    made = daemon.ternary.Project(ref.project_request(values, encoding=encoding),
                                  timeout=CALL_SECONDS)
    tensor = tensor_pb2.Tensor(dtype=made.dtype, shape=made.shape, data=made.data)
    report = daemon.ternary.Verify(ternary_pb2.VerifyRequest(
        options=ternary_pb2.VerifyOptions(encoding=encoding, scales=made.scales),
        tensor=tensor), timeout=CALL_SECONDS).report
    assert report.is_ternary and report.fraction_valid == 1 and report.non_finite == 0
    codes, scales = ref.project(values)
    assert (report.negatives, report.zeros, report.positives) == tuple(
        (codes == t).sum() for t in (-1, 0, 1))
    if encoding == tensor_pb2.ENCODING_DENSE:
        return
    back = daemon.ternary.Unpack(ternary_pb2.UnpackRequest(
        encoding=encoding, dtype=ref.F32, shape=made.shape, scales=made.scales, data=made.data),
        timeout=CALL_SECONDS)
    if encoding == PQ2_0:
        scales = scales.astype(np.float16).astype(np.float32)
    expected = codes.astype(np.float32) * np.repeat(scales, 128, axis=1)
    assert (np.frombuffer(back.data, "<f4").reshape(values.shape) == expected).all()
    assert back.dtype == ref.F32 and list(back.shape) == [24, 256]


def test_verify_finds_what_is_not_ternary(daemon, values):
    report = daemon.ternary.Verify(ternary_pb2.VerifyRequest(tensor=ref.tensor(values)),
                                   timeout=CALL_SECONDS).report
    assert not report.is_ternary and report.fraction_valid < 1 and report.max_round_error > 0
    assert 0 < len(report.sample_values) <= 8


def test_verify_against_the_latents_counts_mismatches(daemon, values):
    codes, scales = ref.project(values)
    dense = np.frombuffer(ref.dense(values, codes, scales), "<f4").copy()
    dense[1000] = -dense[1000] or scales[3, 1]

    def verify(tensor):
        return daemon.ternary.Verify(ternary_pb2.VerifyRequest(
            reference=ref.tensor(values), tensor=ref.tensor(tensor.reshape(values.shape))),
            timeout=CALL_SECONDS).report
    report = verify(dense)
    assert report.reference_mismatches == 1 and report.first_mismatch == 1000
    assert verify(np.frombuffer(ref.dense(values, codes, scales), "<f4")).reference_mismatches == 0


def test_project_stream_answers_before_the_upload_ends(daemon):
    report = HalfSent(daemon).finish()
    assert report.is_ternary and report.elements == VALUES.size


def test_verify_stream(daemon, values):
    """A streamed verification is the same with and without its latents."""
    dense = ref.dense(values, *ref.project(values))

    def upload(with_reference):
        start = ternary_pb2.VerifyStart(dtype=ref.F32, shape=values.shape)
        if with_reference:
            start.reference_dtype = ref.F32
        yield ternary_pb2.VerifyStreamRequest(start=start)
        for offset in range(0, len(dense), 1000):
            cut = slice(offset, offset + 1000)
            yield ternary_pb2.VerifyStreamRequest(chunk=tensor_pb2.TensorChunk(
                offset=offset, data=dense[cut]))
            if with_reference:
                yield ternary_pb2.VerifyStreamRequest(reference=tensor_pb2.TensorChunk(
                    offset=offset, data=values.tobytes()[cut]))

    (alone,) = daemon.ternary.VerifyStream(upload(False), timeout=CALL_SECONDS)
    assert alone.report.is_ternary and alone.report.elements == values.size
    (beside,) = daemon.ternary.VerifyStream(upload(True), timeout=CALL_SECONDS)
    assert beside.report.reference_mismatches == 0 and beside.report.HasField("mse")
    assert beside.report.digest == alone.report.digest


def test_backward_is_the_identity(daemon, values):
    reply = daemon.ternary.Backward(ternary_pb2.BackwardRequest(grad_ternary=ref.tensor(values)),
                                    timeout=CALL_SECONDS)
    assert reply.grad_latent == ref.tensor(values)


def test_health(daemon):
    """The standard health service answers for each service, and NOT_FOUND for others."""
    health = health_pb2_grpc.HealthStub(daemon.channel)
    for service in ("", "trit.v1.Ternary", "trit.v1.Reports"):
        reply = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=CALL_SECONDS)
        assert reply.status == health_pb2.HealthCheckResponse.SERVING, service
    refused(lambda: health.Check(health_pb2.HealthCheckRequest(service="none.such"),
                                 timeout=CALL_SECONDS), grpc.StatusCode.NOT_FOUND, "none.such")


def test_streams_of_one_connection_run_side_by_side(daemon, values):
    """A stream that waits for its client does not delay other streams."""
    waiting = HalfSent(daemon)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(daemon.ternary.Project, ref.project_request(values),
                             timeout=CALL_SECONDS) for _ in range(32)]
        expected = ref.dense(values, *ref.project(values))
        assert all(call.result().data == expected for call in calls)
    waiting.finish()


def test_a_deadline_ends_a_call(daemon):
    started = time.monotonic()
    stream = HalfSent(daemon, timeout=2)
    refused(lambda: list(stream.call), grpc.StatusCode.DEADLINE_EXCEEDED)
    stream.abandon()
    assert time.monotonic() - started < CALL_SECONDS / 2


def test_a_cancelled_call_leaves_the_connection_whole(daemon, values):
    stream = HalfSent(daemon)
    stream.call.cancel()
    stream.abandon()
    reply = daemon.ternary.Project(ref.project_request(values), timeout=CALL_SECONDS)
    assert reply.data == ref.dense(values, *ref.project(values))
