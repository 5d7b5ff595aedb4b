# SPDX-License-Identifier: Apache-2.0
"""Tensors with one scale in streams: the latents come twice, and everything equals the unary
call."""
import grpc
import numpy as np
import pytest

import claims
import reference as ref
from claims import HF_BITNET, I2_S
from tritd import CALL_SECONDS, refused, tensor_pb2, ternary_pb2

INVALID = grpc.StatusCode.INVALID_ARGUMENT

ENCODINGS = pytest.mark.parametrize("encoding", [I2_S, HF_BITNET], ids=["i2_s", "hf_bitnet"])
DTYPES = pytest.mark.parametrize("dtype", [ref.F32, ref.F16, ref.BF16], ids=["f32", "f16", "bf16"])
SHAPES = [(4, 32), (12, 128), (4, 16384), (8, 3, 5504), (300, 1024)]  # one piece, and many
TIMED = ("time_unix_ns",)


def latents(random, shape, dtype):
    weight = random.standard_normal(shape) * np.exp2(random.integers(-9, 3, shape))
    return ref.widen(ref.narrow(weight, dtype), dtype).reshape(shape).copy()


def same(one, other):
    for report in (one, other):
        for field in TIMED:
            report.ClearField(field)
    assert one == other


@ENCODINGS
@DTYPES
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("chunk", [1000, 1 << 20])
def test_a_projection_has_the_bits_and_the_report_of_one_message(daemon, random, encoding, dtype,
                                                                 shape, chunk):
    weight = latents(random, shape, dtype)
    whole = claims.project(daemon, weight, dtype, encoding=encoding)
    data, scales, report = claims.project_stream(daemon, weight, dtype, chunk=chunk,
                                                 encoding=encoding)
    assert bytes(data) == whole.data and bytes(scales) == whole.scales
    same(report, whole.report)


@ENCODINGS
@pytest.mark.parametrize("detail", [1, 2], ids=["summary", "none"])
def test_a_projection_with_another_report(daemon, random, encoding, detail):
    weight = latents(random, (300, 1024), ref.F32)
    whole = claims.project(daemon, weight, encoding=encoding, report=detail)
    data, scales, report = claims.project_stream(daemon, weight, encoding=encoding, report=detail,
                                                 chunk=100000)
    assert bytes(data) == whole.data and bytes(scales) == whole.scales
    if detail == 1:
        same(report, whole.report)


def damaged(random, made, encoding, shape, how):
    """Data and scales of a claim that is wrong."""
    data = bytearray(made.data)
    scale = np.frombuffer(made.scales or made.data[-32:-28], "<f4").copy()
    codes = int(np.prod(shape)) // 4
    if how == "codes":
        for at in random.integers(0, codes, 9):
            data[at] = 0x55  # zeros
    if how == "code 3":
        data[codes // 2] |= 3
        data[codes - 1] |= 0xc0
    scale[:] = {"other scale": 1.5 * scale[0], "nan": np.nan, "infinite": np.inf,
                "negative": -scale[0], "zero": 0}.get(how, scale[0])
    if encoding == HF_BITNET:
        return bytes(data), scale.tobytes()
    data[-32:-28] = scale.tobytes()
    return bytes(data), b""


@ENCODINGS
@DTYPES
@pytest.mark.parametrize("how", ["sound", "codes", "code 3", "other scale", "nan", "infinite",
                                 "negative", "zero"])
@pytest.mark.parametrize("shape", [(12, 128), (300, 1024)], ids=str)
def test_a_verification_has_the_report_of_one_message(daemon, random, encoding, dtype, how, shape):
    weight = latents(random, shape, dtype)
    data, scales = damaged(random, claims.project(daemon, weight, dtype, encoding=encoding),
                           encoding, shape, how)
    for reference in (None, ref.tensor(weight, dtype)):
        asked = dict(encoding=encoding, scales=scales, reference=reference)
        whole = claims.verify(daemon, data, shape, **asked)
        for chunk in (7777, 1 << 20):
            same(claims.verify_stream(daemon, data, shape, chunk=chunk, **asked), whole)
        assert whole.is_ternary == (how in ("sound", "codes", "other scale"))


@ENCODINGS
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0, 1e-44])
def test_latents_that_are_not_finite_and_latents_of_zeros(daemon, random, encoding, value):
    weight = latents(random, (300, 1024), ref.F32)
    made = claims.project(daemon, weight, encoding=encoding)
    weight[200, 7] = value
    if np.isfinite(value):
        weight[:] = value  # 1e-44: not all zeros, but half of the threshold is
    asked = dict(encoding=encoding, scales=made.scales, reference=ref.tensor(weight))
    same(claims.verify_stream(daemon, made.data, weight.shape, chunk=1 << 19, **asked),
         claims.verify(daemon, made.data, weight.shape, **asked))
    if not np.isfinite(value):
        refused(lambda: claims.project_stream(daemon, weight, encoding=encoding), INVALID,
                "1 values are NaN or infinite", 200 * 1024 + 7)
        return
    data, scales, report = claims.project_stream(daemon, weight, encoding=encoding, chunk=1 << 19)
    whole = claims.project(daemon, weight, encoding=encoding)
    assert bytes(data) == whole.data and bytes(scales) == whole.scales
    same(report, whole.report)


@ENCODINGS
def test_reports_are_filed_as_those_of_one_message(daemon, random, run, encoding):
    """The daemon would refuse a report, or latents, that differ from the stored ones."""
    weight = latents(random, (300, 1024), ref.F32)
    filed = [tensor_pb2.LayerRef(run=run, layer="l", step=step) for step in (1, 2)]
    made = claims.project(daemon, weight, encoding=encoding, layer=filed[0])
    claims.project_stream(daemon, weight, encoding=encoding, layer=filed[0], chunk=1 << 20)
    asked = dict(encoding=encoding, scales=made.scales, reference=ref.tensor(weight),
                 layer=filed[1])
    claims.verify_stream(daemon, made.data, weight.shape, chunk=1 << 20, **asked)
    report = claims.verify(daemon, made.data, weight.shape, **asked)
    assert report.flips == 0 and report.previous_step == 1


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
def test_a_large_layer_is_filed_with_its_codes(daemon, random, run, stream):
    """Its codes are more than wait for the store at a time; flips are counted."""
    rows = (1 << 17) + 512
    data = np.full(rows * 32 + 32, 0x55, np.uint8)
    data[-32:] = 0
    verify = claims.verify_stream if stream else claims.verify
    options = dict(chunk=1 << 20) if stream else {}
    for step, flips in ((1, 0), (2, 3)):
        data[:flips] = 0x59  # one zero of four becomes +1
        data[-32:-28] = np.frombuffer(np.float32(.5).tobytes(), np.uint8)
        report = verify(daemon, data.tobytes(), (rows, 128), encoding=I2_S, layer=tensor_pb2.LayerRef(
            run=run, layer="l", step=step), **options)
        assert report.elements == rows * 128 > 1 << 24
        assert report.flips == flips and report.positives == flips
    assert report.previous_step == 1


def test_a_stream_in_another_order_is_refused(daemon, random):
    """Bytes that come once only, and a reference before the claim."""
    weight = latents(random, (8, 128), ref.F32)
    requests = ref.stream_requests(weight.tobytes(), weight.shape, 512, encoding=I2_S)
    refused(lambda: list(daemon.ternary.ProjectStream(requests, timeout=CALL_SECONDS)), INVALID,
            "4096 of 8192", "needs all bytes twice")
    made = claims.project(daemon, weight, encoding=HF_BITNET)
    start = ternary_pb2.VerifyStreamRequest(start=ternary_pb2.VerifyStart(
        options=ternary_pb2.VerifyOptions(encoding=HF_BITNET, scales=made.scales), dtype=ref.F32,
        shape=weight.shape, reference_dtype=ref.F32))
    first = ternary_pb2.VerifyStreamRequest(reference=tensor_pb2.TensorChunk(data=weight.tobytes()))
    refused(lambda: list(daemon.ternary.VerifyStream(iter([start, first]), timeout=CALL_SECONDS)),
            INVALID, "reference", "send the tensor first", "hf_bitnet")


def test_latents_take_no_memory_of_the_budget(start, random):
    """Of 2^24 weights the daemon keeps codes and output, 8 MiB; one message of as many is
    refused."""
    own = start("--memory-max", "32M")
    weight = np.zeros((4096, 4096), np.float32)
    weight[:, :64] = random.standard_normal((4096, 64))
    data, _, report = claims.project_stream(own, weight, encoding=HF_BITNET, chunk=1 << 20)
    assert len(data) == weight.size // 4 and report.elements == weight.size
    refused(lambda: claims.project(own, weight, encoding=HF_BITNET),
            grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert own.stop() == 0
