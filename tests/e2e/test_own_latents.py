# SPDX-License-Identifier: Apache-2.0
"""A projection passes against the latents that it was made from: every encoding, element type,
partial group and group size, unary and streamed."""
import numpy as np
import pytest

import claims
import reference as ref
from tritd import tensor_pb2

# encoding: group sizes that it supports, columns that fit them
SIZES = {
    claims.DENSE: [(0, 320), (128, 320), (100, 320), (64, 192), (1, 7), (4096, 300)],
    claims.INT8: [(0, 320), (128, 320), (100, 320), (64, 192), (1, 7), (4096, 300)],
    claims.PQ2_0: [(0, 384), (128, 384), (256, 384), (384, 768)],
    claims.PTQ1_0: [(0, 384), (128, 384), (256, 384)],
    claims.Q2_0: [(64, 192), (128, 192), (0, 320), (192, 384)],
    claims.TQ1_0: [(256, 512), (512, 768)],
    claims.TQ2_0: [(256, 512), (512, 768)],
    claims.MLX_2BIT: [(64, 192), (128, 384), (0, 256)],
    claims.I2_S: [(0, 256)],
    claims.HF_BITNET: [(0, 96)],
}
CASES = [(encoding, group, columns) for encoding, sizes in SIZES.items()
         for group, columns in sizes]
DTYPES = pytest.mark.parametrize("dtype", [ref.F32, ref.F16, ref.BF16], ids=["f32", "f16", "bf16"])
PARTIAL = pytest.mark.parametrize("partial", [0, 1], ids=["padded", "exact"])


def check_own(report, projected):
    assert report.is_ternary and report.reference_mismatches == 0
    assert not report.HasField("first_mismatch")
    assert report.digest == projected.digest
    assert not report.findings, report.findings


@PARTIAL
@DTYPES
@pytest.mark.parametrize("encoding, group, columns", CASES,
                         ids=[f"{claims.NAMES[e]}-{g}x{c}" for e, g, c in CASES])
def test_a_projection_is_that_of_its_latents(daemon, random, encoding, group, columns, dtype,
                                             partial):
    weight = ref.widen(ref.narrow(random.standard_normal((12, columns)) * 0.02, dtype),
                       dtype).reshape(12, columns)
    options = dict(encoding=encoding, group_size=group, partial_group=partial)
    made = claims.project(daemon, weight, dtype, **options)
    latents = ref.tensor(weight, dtype)
    element = dtype if encoding == claims.DENSE else ref.F32
    for call in (claims.verify, claims.verify_stream):
        report = call(daemon, made.data, weight.shape, dtype=element, scales=made.scales,
                      reference=latents, **options)
        check_own(report, made.report)


@pytest.mark.parametrize("scales_dtype", [ref.F16, ref.BF16], ids=["f16", "bf16"])
@pytest.mark.parametrize("encoding", [claims.INT8, claims.HF_BITNET], ids=["int8", "hf_bitnet"])
def test_scales_in_a_narrower_type_are_compared_after_that_rounding(daemon, random, encoding,
                                                                    scales_dtype):
    weight = (random.standard_normal((8, 256)) * 0.02).astype(np.float32)
    made = claims.project(daemon, weight, encoding=encoding)
    narrow = ref.narrow(np.frombuffer(made.scales, "<f4"), scales_dtype)
    ask = dict(encoding=encoding, reference=ref.tensor(weight))
    report = claims.verify(daemon, made.data, weight.shape, scales=narrow,
                           scales_dtype=scales_dtype, **ask)
    assert report.reference_mismatches == 0 and not report.findings
    # The same scales widened to f32 are not the projection's f32 scales.
    wide = ref.widen(narrow, scales_dtype).astype("<f4").tobytes()
    report = claims.verify(daemon, made.data, weight.shape, scales=wide, **ask)
    assert claims.kinds(report) == {"scales_differ"}
    # A scale that is wrong by one step of its type is found.
    bits = np.frombuffer(narrow, "<u2").copy()
    bits[0] += 1
    report = claims.verify(daemon, made.data, weight.shape, scales=bits.tobytes(),
                           scales_dtype=scales_dtype, **ask)
    found = claims.findings(report)
    assert set(found) == {"scales_differ"} and found["scales_differ"].group == 0
    assert found["scales_differ"].count == 1


def test_a_differing_code_and_a_differing_scale_are_told_apart(daemon, random):
    weight = random.standard_normal((4, 256)).astype(np.float32)
    codes, scales = ref.project(weight)
    latents = ref.tensor(weight)
    spoiled = codes.copy()
    spoiled[2, 17] = {1: 0, 0: -1, -1: 1}[int(codes[2, 17])]
    report = claims.verify(daemon, spoiled.tobytes(), weight.shape, encoding=claims.INT8,
                           scales=scales.tobytes(), reference=latents)
    found = claims.findings(report)
    assert set(found) == {"codes_differ"}
    assert (found["codes_differ"].index, found["codes_differ"].count) == (2 * 256 + 17, 1)
    assert found["codes_differ"].expected == str(codes[2, 17])
    assert found["codes_differ"].got == str(spoiled[2, 17])
    assert report.reference_mismatches == 1 and report.first_mismatch == 2 * 256 + 17
    other = scales.copy()
    other[3, 1] = np.nextafter(other[3, 1], np.float32(9))
    report = claims.verify(daemon, codes.tobytes(), weight.shape, encoding=claims.INT8,
                           scales=other.tobytes(), reference=latents)
    found = claims.findings(report)
    assert set(found) == {"scales_differ"} and found["scales_differ"].group == 7
    assert np.float32(found["scales_differ"].expected) == scales[3, 1]
    assert np.float32(found["scales_differ"].got) == other[3, 1]
    assert report.reference_mismatches == (codes[3, 128:] != 0).sum()


def test_unpack_reads_scales_of_the_type_that_is_named(daemon, random):
    weight = random.standard_normal((2, 128)).astype(np.float32)
    made = claims.project(daemon, weight, encoding=claims.INT8)
    from tritd import CALL_SECONDS, ternary_pb2
    for kind in (ref.F16, ref.BF16):
        narrow = ref.narrow(np.frombuffer(made.scales, "<f4"), kind)
        dense = daemon.ternary.Unpack(ternary_pb2.UnpackRequest(
            encoding=claims.INT8, dtype=tensor_pb2.DTYPE_F32, shape=weight.shape, data=made.data,
            scales=narrow, scales_dtype=kind), timeout=CALL_SECONDS)
        held = ref.widen(narrow, kind).reshape(2, 1)
        codes, _ = ref.project(weight)
        assert (np.frombuffer(dense.data, "<f4").reshape(2, 128) == codes * held).all()
