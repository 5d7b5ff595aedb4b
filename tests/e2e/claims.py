# SPDX-License-Identifier: Apache-2.0
"""Verifies claims of every encoding by unary and streamed calls."""
import numpy as np

import reference as ref
from tritd import CALL_SECONDS, tensor_pb2, ternary_pb2

DENSE, INT8, PQ2_0, Q2_0, PTQ1_0, TQ1_0, TQ2_0, MLX_2BIT, I2_S, HF_BITNET = range(10)
NAMES = ["dense", "int8", "pq2_0", "q2_0", "ptq1_0", "tq1_0", "tq2_0", "mlx_2bit", "i2_s",
         "hf_bitnet"]
WHOLE = (I2_S, HF_BITNET)  # one scale for the tensor: in a stream the latents come twice


def _options(encoding, scales, **fields):
    return ternary_pb2.VerifyOptions(encoding=encoding, scales=scales, **fields)


def verify(daemon, data, shape, *, dtype=ref.F32, encoding=DENSE, scales=b"", reference=None,
           layer=None, **fields):
    """The report of a unary Verify."""
    return daemon.ternary.Verify(ternary_pb2.VerifyRequest(
        options=_options(encoding, scales, **fields), layer=layer, reference=reference,
        tensor=tensor_pb2.Tensor(dtype=dtype, shape=shape, data=data)),
        timeout=CALL_SECONDS).report


def _chunks(field, data, size):
    for at in range(0, len(data), size):
        yield ternary_pb2.VerifyStreamRequest(
            **{field: tensor_pb2.TensorChunk(offset=at, data=data[at:at + size])})


def verify_stream(daemon, data, shape, *, dtype=ref.F32, encoding=DENSE, scales=b"",
                  reference=None, layer=None, chunk=1000, **fields):
    """The report of a VerifyStream cut every `chunk` bytes."""
    def requests():
        yield ternary_pb2.VerifyStreamRequest(start=ternary_pb2.VerifyStart(
            options=_options(encoding, scales, **fields), layer=layer, dtype=dtype, shape=shape,
            reference_dtype=reference.dtype if reference is not None else 0))
        if encoding in WHOLE:
            yield from _chunks("chunk", data, chunk)
        if reference is not None:
            times = 2 if encoding in WHOLE else 1
            yield from _chunks("reference", reference.data * times, chunk)
        if encoding not in WHOLE:
            yield from _chunks("chunk", data, chunk)
    replies = list(daemon.ternary.VerifyStream(requests(), timeout=CALL_SECONDS))
    return replies[-1].report


def project(daemon, weight, dtype=ref.F32, layer=None, **options):
    return daemon.ternary.Project(ref.project_request(weight, dtype=dtype, layer=layer, **options),
                                  timeout=CALL_SECONDS)


def project_stream(daemon, weight, dtype=ref.F32, layer=None, chunk=1000, **options):
    """data, scales and report of a ProjectStream."""
    times = 2 if options.get("encoding") in WHOLE else 1
    return ref.gather(daemon.ternary.ProjectStream(
        ref.stream_requests(ref.narrow(weight, dtype), weight.shape, chunk, layer=layer,
                            dtype=dtype, times=times, **options), timeout=CALL_SECONDS))


def findings(report):
    """Findings by kind; each kind occurs once."""
    found = {finding.kind: finding for finding in report.findings}
    assert len(found) == len(report.findings)
    return found


def kinds(report):
    return set(findings(report))


def ternary(random, rows=8, columns=256, group_size=128):
    """An exactly ternary f32 tensor, with its codes and scales."""
    weight = random.standard_normal((rows, columns)).astype(np.float32)
    codes, scales = ref.project(weight, group_size)
    values = codes * np.repeat(scales, group_size, axis=1)[:, :columns]
    return values.astype(np.float32), codes, scales
