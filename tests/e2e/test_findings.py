# SPDX-License-Identifier: Apache-2.0
"""What a report finds, where, and which digest such a claim gets."""
import grpc
import numpy as np
import pytest

import claims
import reference as ref
from tritd import CALL_SECONDS, refused, tensor_pb2, ternary_pb2

INVALID = grpc.StatusCode.INVALID_ARGUMENT
STREAMED = pytest.mark.parametrize("verify", [claims.verify, claims.verify_stream],
                                   ids=["unary", "stream"])


def blocks(daemon, values):
    """PQ2_0 blocks of an exactly ternary tensor, [rows, blocks per row, 34]."""
    codes, scales = ref.project(values)
    return np.frombuffer(ref.pq2_0(codes, scales), np.uint8).reshape(
        values.shape[0], -1, 34).copy()


# ---- claims that are not ternary ---------------------------------------------------------

def nan_under_zero(values, codes):
    at = np.flatnonzero(codes == 0)[3]
    values.reshape(-1)[at] = np.nan
    return {"non_finite": (at, 1)}


def infinity(values, codes):
    at = np.flatnonzero(codes == 1)[0]
    values.reshape(-1)[at] = -np.inf
    return {"non_finite": (at, 1)}


def one_weight_at_nine_tenths(values, codes):
    at = np.flatnonzero(codes == 1)[5]
    values.reshape(-1)[at] *= np.float32(0.9)
    return {"not_ternary": (at, 1)}


def many_weights_at_nine_tenths(values, codes):
    at = np.flatnonzero(codes == -1)
    values.reshape(-1)[at] *= np.float32(0.9)
    # A group whose nonzeros are all -1 would stay ternary; there is none here.
    return {"not_ternary": (at[0], len(at))}


SPOILT = [nan_under_zero, infinity, one_weight_at_nine_tenths, many_weights_at_nine_tenths]


@STREAMED
@pytest.mark.parametrize("spoil", SPOILT, ids=lambda one: one.__name__)
def test_a_dense_claim_that_is_not_ternary_is_found(daemon, random, spoil, verify):
    values, codes, _ = claims.ternary(random)
    good = verify(daemon, values.tobytes(), values.shape)
    assert good.is_ternary and not good.findings
    expected = spoil(values, codes)
    report = verify(daemon, values.tobytes(), values.shape)
    assert not report.is_ternary and report.digest != good.digest
    found = claims.findings(report)
    assert {kind: (one.index, one.count) for kind, one in found.items()} == expected
    assert all(one.severity == "error" and one.hint for one in found.values())


def test_weights_changed_by_less_than_the_tolerance_have_another_digest(daemon, random):
    values, codes, _ = claims.ternary(random, rows=16, columns=512)
    good = claims.verify(daemon, values.tobytes(), values.shape)
    at = np.flatnonzero(codes == 1)[:1387]
    bits = values.reshape(-1).view(np.int32)
    bits[at] -= 40
    report = claims.verify(daemon, values.tobytes(), values.shape)
    assert report.is_ternary and report.fraction_valid == 1
    assert report.digest != good.digest
    assert not claims.verify(daemon, values.tobytes(), values.shape, tolerance=0).is_ternary


def test_a_changed_zero_sign_does_not_change_the_digest(daemon, random):
    values, codes, _ = claims.ternary(random)
    good = claims.verify(daemon, values.tobytes(), values.shape)
    values.reshape(-1)[np.flatnonzero(codes == 0)] = -0.0
    assert claims.verify(daemon, values.tobytes(), values.shape).digest == good.digest


def test_the_digest_of_an_inexact_claim_follows_every_byte(daemon, random):
    values = random.standard_normal((4, 256)).astype(np.float32)
    digests = {claims.verify(daemon, values.tobytes(), values.shape).digest}
    for at in (0, 127, 128, 1023):
        other = values.copy()
        other.reshape(-1).view(np.int32)[at] ^= 1
        digests.add(claims.verify(daemon, other.tobytes(), other.shape).digest)
        digests.add(claims.verify(daemon, other.tobytes(), other.shape).digest)
    assert len(digests) == 5
    same = claims.verify_stream(daemon, values.tobytes(), values.shape, chunk=777)
    assert same.digest in digests


def test_an_inexact_digest_is_the_same_for_every_isa_and_thread_count(start, random):
    values, codes, _ = claims.ternary(random, rows=600, columns=640)
    nan_under_zero(values, codes)
    many_weights_at_nine_tenths(values, codes)
    digests = set()
    for isa, threads in (("portable", 1), ("auto", 4)):
        daemon = start("--isa", isa, "--threads", str(threads), name=isa)
        digests.add(claims.verify(daemon, values.tobytes(), values.shape).digest)
        digests.add(claims.verify_stream(daemon, values.tobytes(), values.shape,
                                         chunk=100_001).digest)
    assert len(digests) == 1


def test_code_3_is_found_and_changes_the_digest(daemon, random):
    values, _, _ = claims.ternary(random)
    packed = blocks(daemon, values)
    good = claims.verify(daemon, packed.tobytes(), values.shape, encoding=claims.PQ2_0)
    packed[1, 0, 2 + 5] |= 3  # element 20 of row 1
    report = claims.verify(daemon, packed.tobytes(), values.shape, encoding=claims.PQ2_0)
    found = claims.findings(report)
    assert set(found) == {"code_out_of_range"} and not report.is_ternary
    assert (found["code_out_of_range"].index, found["code_out_of_range"].count) == (276, 1)
    assert found["code_out_of_range"].got == "2"
    assert report.digest != good.digest


@pytest.mark.parametrize("kind, bits", [
    ("scale_non_finite", 0x7E00), ("scale_non_finite", 0x7C00), ("scale_negative", 0xB000),
    ("scale_zero_under_codes", 0x0000), ("scale_zero_under_codes", 0x8000)])
@STREAMED
def test_a_bad_stored_scale_is_found(daemon, random, kind, bits, verify):
    values, _, _ = claims.ternary(random)
    packed = blocks(daemon, values)
    good = verify(daemon, packed.tobytes(), values.shape, encoding=claims.PQ2_0)
    packed[1, 1, :2] = np.array([bits], "<u2").view(np.uint8)
    report = verify(daemon, packed.tobytes(), values.shape, encoding=claims.PQ2_0)
    found = claims.findings(report)
    assert set(found) == {kind} and not report.is_ternary
    assert (found[kind].group, found[kind].count) == (3, 1)
    assert report.digest != good.digest and np.isfinite(report.scale_mean)


@pytest.mark.parametrize("kind, scale", [
    ("scale_non_finite", np.nan), ("scale_negative", -0.5), ("scale_zero_under_codes", 0.0)])
@pytest.mark.parametrize("encoding", [claims.INT8, claims.MLX_2BIT, claims.HF_BITNET],
                         ids=lambda e: claims.NAMES[e])
def test_a_bad_separate_scale_is_found(daemon, random, kind, scale, encoding):
    weight = random.standard_normal((8, 256)).astype(np.float32)
    made = claims.project(daemon, weight, encoding=encoding)
    scales = np.frombuffer(made.scales, "<f2" if encoding == claims.MLX_2BIT else "<f4").copy()
    scales[-1] = scale
    report = claims.verify(daemon, made.data, weight.shape, encoding=encoding,
                           scales=scales.tobytes())
    found = claims.findings(report)
    assert kind in found and found[kind].group == len(scales) - 1 and not report.is_ternary


@pytest.mark.parametrize("scale", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("encoding", [claims.INT8, claims.PQ2_0, claims.TQ1_0, claims.MLX_2BIT, claims.I2_S,
                                      claims.HF_BITNET], ids=lambda e: claims.NAMES[e])
def test_a_scale_that_is_not_finite_is_not_unpacked(daemon, random, encoding, scale):
    """No weight comes from it, whatever its codes are; the message has group, row and value."""
    weight = random.standard_normal((8, 256)).astype(np.float32)
    whole = encoding in claims.WHOLE
    size = 0 if whole else 256 if encoding == claims.TQ1_0 else 128
    made = claims.project(daemon, weight, encoding=encoding, group_size=size)
    data, scales = bytearray(made.data), bytearray(made.scales)
    kind = "<f4" if encoding in (claims.INT8, claims.I2_S, claims.HF_BITNET) else "<f2"
    held = np.array([scale], kind).tobytes()
    if scales:
        scales[-len(held):] = held
    else:
        at = {claims.PQ2_0: -34, claims.TQ1_0: -2, claims.I2_S: -32}[encoding]
        data[at:at + len(held) or None] = held
    group, row = (0, 0) if whole else (2048 // size - 1, 7)
    refused(lambda: daemon.ternary.Unpack(ternary_pb2.UnpackRequest(
        encoding=encoding, dtype=ref.BF16, shape=weight.shape, group_size=size, scales=bytes(scales),
        data=bytes(data)), timeout=CALL_SECONDS), grpc.StatusCode.INVALID_ARGUMENT,
        f"group {group} (row {row}) has the scale {scale}; it must be finite")


def test_scales_without_a_finite_one_are_absent(daemon, random):
    weight = random.standard_normal((4, 128)).astype(np.float32)
    made = claims.project(daemon, weight, encoding=claims.INT8)
    report = claims.verify(daemon, made.data, weight.shape, encoding=claims.INT8,
                           scales=np.full(4, np.nan, "<f4").tobytes())
    assert not any(report.HasField(name) for name in ("scale_min", "scale_mean", "scale_max"))


# ---- dead layers --------------------------------------------------------------------------

def test_a_layer_of_zeros_is_dead_and_one_of_mostly_zero_groups_is_warned(daemon, random):
    values, _, _ = claims.ternary(random, rows=4)
    report = claims.verify(daemon, np.zeros_like(values).tobytes(), values.shape)
    found = claims.findings(report)
    assert set(found) == {"dead_layer"} and found["dead_layer"].severity == "error"
    assert found["dead_layer"].count == 8
    values[:2] = 0
    assert not claims.verify(daemon, values.tobytes(), values.shape).findings  # half of them
    values[2, :128] = 0
    found = claims.findings(claims.verify(daemon, values.tobytes(), values.shape))
    assert set(found) == {"dead_groups"} and found["dead_groups"].severity == "warning"
    assert found["dead_groups"].count == 5
    assert claims.kinds(claims.project(daemon, np.zeros((2, 256), np.float32)).report) == {
        "dead_layer"}


# NaN does not count as zero; weights whose mean rounds to 0 are zeros in the projection.
@STREAMED
def test_nan_is_not_dead_but_a_layer_of_lost_means_is(daemon, verify):
    found = claims.findings(verify(daemon, np.full((2, 256), np.nan, "<f4").tobytes(), [2, 256]))
    assert set(found) == {"non_finite"} and found["non_finite"].count == 512
    tiny = np.zeros((2, 256), np.float32)
    tiny[:, ::5] = 1e-45
    for made in (claims.project(daemon, tiny).report, claims.project_stream(daemon, tiny)[2]):
        found = claims.findings(made)
        assert set(found) == {"dead_layer", "scale_lost"} and found["dead_layer"].count == 4


# ---- lost scales ---------------------------------------------------------------------------

def tiny_group(random, dtype, magnitude):
    """Latents whose second group is so small that its scale is lost in `dtype`."""
    weight = random.standard_normal((2, 256)).astype(np.float32)
    weight[0, 128:] = 0
    weight[0, 130:133] = magnitude
    return ref.widen(ref.narrow(weight, dtype), dtype).reshape(2, 256)


@pytest.mark.parametrize("dtype, magnitude", [(ref.F16, 6e-8), (ref.BF16, 1e-40)],
                         ids=["f16", "bf16"])
def test_a_dense_output_that_loses_a_group_says_so_and_counts_it_as_zeros(daemon, random, dtype,
                                                                          magnitude):
    weight = tiny_group(random, dtype, magnitude)
    assert (weight[0, 130:133] != 0).all()
    made = claims.project(daemon, weight, dtype)
    data, _, streamed = claims.project_stream(daemon, weight, dtype)
    assert data == made.data
    for report in (made.report, streamed):
        found = claims.findings(report)
        assert set(found) == {"scale_lost"} and not report.is_ternary
        assert (found["scale_lost"].group, found["scale_lost"].count) == (1, 1)
        codes, _ = ref.project(weight)
        codes[0, 128:] = 0
        assert (report.negatives, report.zeros, report.positives) == tuple(
            (codes == t).sum() for t in (-1, 0, 1))
        assert report.zero_groups == 1
    # The digest is that of the output.
    assert claims.verify(daemon, made.data, weight.shape, dtype=dtype).digest == made.report.digest
    against = claims.verify(daemon, made.data, weight.shape, dtype=dtype,
                            reference=ref.tensor(weight, dtype))
    assert "scale_lost" in claims.kinds(against) and against.reference_mismatches == 3


def test_a_group_whose_mean_f32_rounds_to_0_is_lost(daemon, random):
    weight = random.standard_normal((4, 128)).astype(np.float32)
    weight[0] = 0
    weight[1] = 0
    weight[1, 5] = 1e-45
    report = claims.project(daemon, weight).report
    found = claims.findings(report)
    assert set(found) == {"scale_lost"} and not report.is_ternary
    assert (found["scale_lost"].group, found["scale_lost"].count) == (1, 1)
    assert report.zero_groups == 2
    for encoding in (claims.PQ2_0, claims.INT8):
        refused(lambda: claims.project(daemon, weight, encoding=encoding), INVALID, "group 1",
                "f32 rounds", claims.NAMES[encoding])
        made = claims.project(daemon, weight, encoding=encoding, allow_lost_scales=True)
        assert claims.kinds(made.report) == {"scale_lost"} and made.report.zero_groups == 2
        check = claims.verify(daemon, made.data, weight.shape, encoding=encoding,
                              scales=made.scales)
        assert check.digest == made.report.digest and check.zero_groups == 2


@pytest.mark.parametrize("magnitude", [1e-10, 1e38], ids=["zero", "infinity"])
@pytest.mark.parametrize("encoding, group", [
    (claims.PQ2_0, 128), (claims.Q2_0, 64), (claims.PTQ1_0, 128), (claims.TQ1_0, 256),
    (claims.TQ2_0, 256), (claims.MLX_2BIT, 128)], ids=lambda v: str(v))
def test_a_packed_output_that_loses_a_group_is_refused_unless_allowed(daemon, random, magnitude,
                                                                      encoding, group):
    weight = random.standard_normal((2, 256)).astype(np.float32)
    weight[1] *= np.float32(magnitude)
    options = dict(encoding=encoding, group_size=group)
    refused(lambda: claims.project(daemon, weight, **options), INVALID, "tensor.data",
            f"group {256 // group}", "allow_lost_scales")
    refused(lambda: claims.project_stream(daemon, weight, **options), INVALID,
            f"group {256 // group}")
    made = claims.project(daemon, weight, allow_lost_scales=True, **options)
    found = claims.findings(made.report)
    assert set(found) == {"scale_lost"} and found["scale_lost"].count == 256 // group
    check = claims.verify(daemon, made.data, weight.shape, scales=made.scales, **options)
    assert not check.is_ternary and check.digest == made.report.digest
    assert claims.kinds(check) == {
        "scale_zero_under_codes" if magnitude < 1 else "scale_non_finite"}


def test_blocks_without_scales_are_no_projection_of_tiny_latents(daemon, random):
    weight = (random.standard_normal((2, 256)) * 1e-10).astype(np.float32)
    codes, scales = ref.project(weight)
    packed = ref.pq2_0(codes, np.zeros_like(scales))
    report = claims.verify(daemon, packed, weight.shape, encoding=claims.PQ2_0,
                           reference=ref.tensor(weight))
    assert report.reference_mismatches == (codes != 0).sum()
    assert {"scale_zero_under_codes", "scale_lost", "scales_differ"} <= claims.kinds(report)


@pytest.mark.parametrize("dtype, scale, fits", [
    (ref.F16, 1e-10, False), (ref.F16, 1e38, False), (ref.F16, 65504, True),
    (ref.F16, 65520, False), (ref.BF16, 3.4e38, False), (ref.BF16, 1e38, True),
    (ref.F32, 1e-45, True), (ref.F16, 6e-8, True), (ref.F16, 2.9e-8, False)])
def test_unpack_refuses_values_that_its_dtype_cannot_hold(daemon, dtype, scale, fits):
    codes = np.zeros(256, np.int8)
    codes[130] = -1

    def unpack(scales):
        return daemon.ternary.Unpack(ternary_pb2.UnpackRequest(
            encoding=claims.INT8, dtype=dtype, shape=[256], data=codes.tobytes(),
            scales=np.array(scales, "<f4").tobytes()), timeout=CALL_SECONDS)
    if fits:
        held = ref.widen(unpack([1, scale]).data, dtype)
        assert held[130] < 0 and np.isfinite(held).all()
    else:
        refused(lambda: unpack([1, scale]), INVALID, "dtype", "element 130")
    unpack([scale, 1])  # a group of zeros loses nothing


# ---- fields ----------------------------------------------------------------------------------

def test_a_reference_that_is_not_finite_leaves_the_errors_absent(daemon, random):
    weight = random.standard_normal((4, 256)).astype(np.float32)
    made = claims.project(daemon, weight)
    for bad in (np.nan, np.inf):
        latents = weight.copy()
        latents[1, 7] = bad
        report = claims.verify(daemon, made.data, weight.shape, reference=ref.tensor(latents))
        assert not any(report.HasField(name) for name in ("mse", "cosine", "sqnr_db"))
        found = claims.findings(report)
        assert found["non_finite"].index == 256 + 7 and found["non_finite"].count == 1
        assert report.reference_mismatches == 128


def test_errors_that_say_nothing_are_absent_one_by_one(daemon, random):
    values, codes, _ = claims.ternary(random)
    perfect = np.sign(values) * np.float32(0.5)  # its own projection where no zero is
    perfect[perfect == 0] = 0.5
    report = claims.project(daemon, perfect).report
    assert report.mse == 0 and report.cosine == 1 and not report.HasField("sqnr_db")
    report = claims.project(daemon, np.zeros((2, 128), np.float32)).report
    assert report.mse == 0 and not report.HasField("cosine") and not report.HasField("sqnr_db")


def test_the_cosine_is_at_most_1(daemon, random):
    for _ in range(40):
        weight = np.where(random.random((3, 128)) < 0.5, -1, 1).astype(np.float32)
        weight *= np.float32(random.random())
        assert claims.project(daemon, weight).report.cosine <= 1
        assert claims.project(daemon, -weight).report.cosine <= 1


@pytest.mark.parametrize("values, expected", [
    ([1, -0.7], [-0.7, 1]),
    ([1, 0, 0, 1], [0, 1]),
    ([-2, -2], [-1]),
    ([1, np.nan], [1]),
    ([-0.5, 0.5, 0.25, 0], [0.5, -1, 0, 1]),
    ([0, 0], [0]),
    ([1, -0.999999], [1, -0.999999]),
])
def test_sample_values_are_values_that_occur(daemon, values, expected):
    array = np.array(values, np.float32)
    report = claims.verify(daemon, array.tobytes(), array.shape)
    assert list(report.sample_values) == [np.float32(one) for one in expected]


def test_sample_values_of_codes_are_codes_that_occur(daemon):
    codes = np.array([2, 1, 1, -5], np.int8)
    report = claims.verify(daemon, codes.tobytes(), codes.shape, encoding=claims.INT8,
                           scales=np.array([0.5], "<f4").tobytes())
    assert list(report.sample_values) == [2, -5, 1]


# ---- latents -----------------------------------------------------------------------------------

LATENT = ternary_pb2.VERIFY_LATENT


@STREAMED
def test_latents_are_verified_as_their_projection(daemon, random, verify):
    weight = random.standard_normal((8, 320)).astype(np.float32)
    report = verify(daemon, weight.tobytes(), weight.shape, mode=LATENT)
    made = claims.project(daemon, weight).report
    assert report.is_ternary and not report.findings and report.digest == made.digest
    assert (report.mse, report.cosine, report.sqnr_db) == (made.mse, made.cosine, made.sqnr_db)


@STREAMED
def test_latents_that_are_not_finite_are_found_and_their_digests_differ(daemon, random, verify):
    weight = random.standard_normal((8, 320)).astype(np.float32)
    digests = {verify(daemon, weight.tobytes(), weight.shape, mode=LATENT).digest}
    for value in (np.nan, np.inf, -np.inf):
        for at in (5, 6, 2559):
            spoilt = weight.copy()
            spoilt.reshape(-1)[at] = value
            report = verify(daemon, spoilt.tobytes(), spoilt.shape, mode=LATENT)
            found = claims.findings(report)
            assert set(found) == {"non_finite"} and not report.is_ternary
            assert (found["non_finite"].index, found["non_finite"].count) == (at, 1)
            assert not report.HasField("mse")
            digests.add(report.digest)
    assert len(digests) == 10


def test_latents_that_lose_a_scale_are_found(daemon, random):
    weight = tiny_group(random, ref.F16, 6e-8)
    report = claims.verify(daemon, ref.narrow(weight, ref.F16), weight.shape, dtype=ref.F16,
                           mode=LATENT)
    assert claims.kinds(report) == {"scale_lost"} and not report.is_ternary
    assert report.digest == claims.project(daemon, weight, ref.F16).report.digest


# ---- how a claim is stored ----------------------------------------------------------------

@STREAMED
def test_subnormal_scales_are_found(daemon, random, verify):
    """A scale below the smallest normal number of its type is a warning with its group."""
    values, codes, _ = claims.ternary(random)
    packed = blocks(daemon, values)
    packed[1, 1, :2] = np.array([2 ** -15], np.float16).view(np.uint8)
    report = verify(daemon, packed.tobytes(), values.shape, encoding=claims.PQ2_0)
    found = claims.findings(report)
    assert set(found) == {"scale_subnormal"} and found["scale_subnormal"].severity == "warning"
    assert (found["scale_subnormal"].group, found["scale_subnormal"].count) == (3, 1)
    values[2, :128] = np.sign(values[2, :128]) * np.float32(1e-40)
    report = verify(daemon, values.tobytes(), values.shape)
    found = claims.findings(report)
    assert set(found) == {"scale_subnormal"} and found["scale_subnormal"].group == 4
    assert report.is_ternary


@STREAMED
@pytest.mark.parametrize("encoding,group,place", [
    (claims.PTQ1_0, 128, 3), (claims.PTQ1_0, 128, 25), (claims.TQ1_0, 256, 40),
    (claims.TQ1_0, 256, 49)])
def test_bytes_that_no_encoder_writes_are_found(daemon, random, verify, encoding, group, place):
    """A base-3 byte that decodes to the same digits as another is a warning; the weights are
    ternary and the digest is the same."""
    values, _, _ = claims.ternary(random, columns=512, group_size=group)
    reply = claims.project(daemon, values, encoding=encoding, group_size=group)
    good = verify(daemon, reply.data, values.shape, encoding=encoding, group_size=group)
    assert not good.findings
    size = {claims.PTQ1_0: 28, claims.TQ1_0: 54}[encoding]
    packed = np.frombuffer(reply.data, np.uint8).reshape(-1, size).copy()

    def digits(byte, count):
        return [((byte * 3 ** n & 255) * 3) >> 8 for n in range(count)]

    count = 4 if place >= (24 if encoding == claims.PTQ1_0 else 48) else 5
    byte, other = next(
        (a, b) for a in range(256) for b in range(256)
        if digits(a, count) == digits(b, count) and -(-256 * sum(
            d * 3 ** (4 - n) for n, d in enumerate(digits(a, count))) // 243) == a != b)
    packed[1, place] = byte
    good = verify(daemon, packed.tobytes(), values.shape, encoding=encoding, group_size=group)
    packed[1, place] = other
    report = verify(daemon, packed.tobytes(), values.shape, encoding=encoding, group_size=group)
    found = claims.findings(report)
    assert not good.findings and report.is_ternary and report.digest == good.digest
    assert set(found) == {"base3_non_canonical"}
    one = found["base3_non_canonical"]
    assert (one.group, one.count, one.severity) == (1, 1, "warning")
    assert one.got == f"byte 0x{other:02x}"
