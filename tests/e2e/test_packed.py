# SPDX-License-Identifier: Apache-2.0
"""Packed encodings whose groups span several blocks or the whole tensor, compared with
NumPy."""
import grpc
import numpy as np
import pytest

import reference as ref
from held import load
from tritd import CALL_SECONDS, refused, report_pb2, tensor_pb2, ternary_pb2

INVALID = grpc.StatusCode.INVALID_ARGUMENT
F32 = tensor_pb2.DTYPE_F32
Q2_0, PQ2_0, PTQ1_0, TQ1_0, TQ2_0, MLX_2BIT, I2_S, HF_BITNET = (
    tensor_pb2.ENCODING_Q2_0, tensor_pb2.ENCODING_PQ2_0, tensor_pb2.ENCODING_PTQ1_0,
    tensor_pb2.ENCODING_TQ1_0, tensor_pb2.ENCODING_TQ2_0, tensor_pb2.ENCODING_MLX_2BIT,
    tensor_pb2.ENCODING_I2_S, tensor_pb2.ENCODING_HF_BITNET)

# encoding, group size, columns, block elements, block bytes, offset of d in a block
LONGER = {"q2_0 in 128": (Q2_0, 128, 384, 64, 18, 0),
          "q2_0 in 128, a short last group": (Q2_0, 128, 320, 64, 18, 0),
          "pq2_0 in 256": (PQ2_0, 256, 512, 128, 34, 0),
          "ptq1_0 in 384": (PTQ1_0, 384, 768, 128, 28, 26),
          "tq1_0 in 512": (TQ1_0, 512, 512, 256, 54, 52),
          "tq2_0 in 512": (TQ2_0, 512, 1024, 256, 66, 64)}


def project(daemon, weight, encoding, group_size):
    return daemon.ternary.Project(ref.project_request(
        weight, encoding=encoding, group_size=group_size), timeout=CALL_SECONDS)


def verify(daemon, data, shape, encoding, group_size, reference=None, scales=b""):
    return daemon.ternary.Verify(ternary_pb2.VerifyRequest(
        options=ternary_pb2.VerifyOptions(encoding=encoding, group_size=group_size,
                                          scales=scales),
        reference=reference, tensor=tensor_pb2.Tensor(
            dtype=F32, shape=shape, data=data)), timeout=CALL_SECONDS).report


@pytest.mark.parametrize("case", LONGER)
def test_the_blocks_of_a_longer_group_repeat_its_scale(daemon, random, case):
    encoding, group_size, columns, elements, block, at = LONGER[case]
    weight = random.standard_normal((6, columns)).astype(np.float32)
    codes, scales = ref.project(weight, group_size)
    packed = project(daemon, weight, encoding, group_size)
    blocks = np.frombuffer(packed.data, np.uint8).reshape(6, columns // elements, block)
    held = np.repeat(scales.astype("<f2"), group_size // elements, axis=1)
    held = np.ascontiguousarray(held[:, :columns // elements])
    assert (blocks[:, :, at:at + 2] == held.view(np.uint8).reshape(6, -1, 2)).all()
    dense = daemon.ternary.Unpack(ternary_pb2.UnpackRequest(
        encoding=encoding, dtype=F32, shape=weight.shape, group_size=group_size,
        data=packed.data), timeout=CALL_SECONDS)
    values = codes * np.repeat(held.astype(np.float32), elements, axis=1)
    assert (np.frombuffer(dense.data, "<f4").reshape(6, columns) == values).all()
    report = verify(daemon, packed.data, weight.shape, encoding, group_size, ref.tensor(weight))
    assert report.is_ternary and report.digest == packed.report.digest
    assert report.group_size == group_size and report.groups == scales.size


def test_blocks_of_a_group_that_differ_in_scale_are_refused_by_verify(daemon, random):
    weight = random.standard_normal((40, 384)).astype(np.float32)
    packed = project(daemon, weight, Q2_0, 64).data
    assert verify(daemon, packed, weight.shape, Q2_0, 64).is_ternary
    refused(lambda: verify(daemon, packed, weight.shape, Q2_0, 128), INVALID, "tensor.data", "q2_0",
            "group 0", 128, 64)
    whole = bytearray(project(daemon, weight, Q2_0, 128).data)
    whole[18 * (2 * 77 + 1)] ^= 1
    refused(lambda: verify(daemon, bytes(whole), weight.shape, Q2_0, 128), INVALID, "group 77")


@pytest.mark.parametrize("encoding, group_size, words", [
    (Q2_0, 96, [96, 64, "q2_0"]), (PQ2_0, 64, [64, 128, "pq2_0"]), (TQ1_0, 0, [128, 256, "tq1_0"]),
    (TQ2_0, 128, [128, 256, "tq2_0"]), (MLX_2BIT, 256, [256, 64, 128, "mlx_2bit"]),
    (MLX_2BIT, 32, [32, 64, 128, "mlx_2bit"]), (MLX_2BIT, 96, [96, 64, 128, "mlx_2bit"])])
def test_a_group_that_blocks_do_not_fill_is_refused(daemon, encoding, group_size, words):
    refused(lambda: project(daemon, np.ones((2, 768), np.float32), encoding, group_size), INVALID,
            "group_size", *words)


# ---- I2_S: one scale for the tensor ---------------------------------------------------


def i2_s(codes, scale):
    """128 elements in 32 bytes; byte p holds elements p, 32+p, 64+p and 96+p, from the highest
    bits on."""
    c = (codes.reshape(-1, 4, 32) + 1).astype(np.uint8)
    packed = c[:, 0] << 6 | c[:, 1] << 4 | c[:, 2] << 2 | c[:, 3]
    return packed.tobytes() + np.float32(scale).tobytes() + bytes(28)


def fractions(random, *shape):
    """Weights whose sum is exact in any order."""
    return (random.integers(-4000, 4001, shape) / 1024).astype(np.float32)


DTYPES = pytest.mark.parametrize("dtype", [ref.F32, ref.F16, ref.BF16],
                                 ids=["f32", "f16", "bf16"])
WHOLES = pytest.mark.parametrize("encoding", [I2_S, HF_BITNET], ids=["i2_s", "hf_bitnet"])


@DTYPES
@pytest.mark.parametrize("shape", [(1, 128), (32, 4), (3, 5, 256), (1031, 1280)], ids=str)
def test_i2_s_holds_the_flattened_tensor_and_its_one_scale(daemon, random, shape, dtype):
    weight = ref.widen(ref.narrow(fractions(random, *shape), dtype), dtype).reshape(shape)
    codes, scales = ref.project(weight.reshape(1, -1), weight.size)
    packed = daemon.ternary.Project(ref.project_request(weight, dtype=dtype, encoding=I2_S),
                                    timeout=CALL_SECONDS)
    assert packed.data == i2_s(codes, scales[0, 0]) and not packed.scales
    assert list(packed.shape) == list(shape) and packed.report.groups == 1
    assert packed.report.group_size == weight.size and packed.report.is_ternary
    report = verify(daemon, packed.data, shape, I2_S, 0, ref.tensor(weight, dtype))
    assert report.is_ternary and report.digest == packed.report.digest
    assert report.reference_mismatches == 0
    dense = daemon.ternary.Unpack(ternary_pb2.UnpackRequest(
        encoding=I2_S, dtype=F32, shape=shape, data=packed.data), timeout=CALL_SECONDS)
    assert (np.frombuffer(dense.data, "<f4") == (codes * scales[0, 0]).ravel()).all()


@WHOLES
def test_a_tensor_of_one_scale_is_the_same_for_every_isa(start, random, encoding):
    weight = random.standard_normal((700, 1024)).astype(np.float32)
    replies = []
    for words in (["--isa", "portable"], ["--threads", "1"], []):
        own = start(*words, name="own" + "".join(words))
        reply = own.ternary.Project(ref.project_request(weight, encoding=encoding),
                                    timeout=CALL_SECONDS)
        report = verify(own, reply.data, weight.shape, encoding, 0, ref.tensor(weight),
                        reply.scales)
        replies.append((reply.data, reply.scales, reply.report.digest, reply.report.negatives,
                        reply.report.near_threshold_fraction, reply.report.cosine,
                        report.digest, report.mse))
        assert own.stop() == 0
    assert replies[0] == replies[1] == replies[2]


@pytest.mark.parametrize("encoding, rows, columns", [
    (I2_S, 64, 256), (HF_BITNET, 64, 256), (HF_BITNET, 256, 3)])
def test_reports_of_one_scale_are_filed_and_flips_counted(daemon, random, run, encoding, rows,
                                                          columns):
    weight = fractions(random, rows, columns)
    for step in (1, 2):
        report = daemon.ternary.Project(ref.project_request(
            weight * (3 - 2 * step), encoding=encoding, layer=tensor_pb2.LayerRef(
                run=run, layer="l", step=step)), timeout=CALL_SECONDS).report
    assert report.previous_step == 1 and report.flips == report.negatives + report.positives
    kept = daemon.reports.Get(report_pb2.ReportsGetRequest(run=run, layer="l"),
                              timeout=CALL_SECONDS).report
    assert kept.digest == report.digest and kept.flips == report.flips


def test_i2_s_refuses_more_than_one_scale(daemon, layers, name, random):
    weight = fractions(random, 2, 128)
    refused(lambda: project(daemon, weight, I2_S, 128), INVALID, "options.group_size", 128, "i2_s")
    refused(lambda: project(daemon, weight[:, :100], I2_S, 0), INVALID, "tensor.shape", 200, 128)
    load(layers, name, weight)
    refused(lambda: layers.Get(name=name, encoding=I2_S), INVALID, "encoding", "i2_s", "one scale")


def test_i2_s_of_a_nan_and_of_an_illegal_code_is_refused(daemon, random):
    weight = fractions(random, 8, 128)
    packed = bytearray(project(daemon, weight, I2_S, 0).data)
    packed[40] |= 0xc0  # element 136
    refused(lambda: daemon.ternary.Unpack(ternary_pb2.UnpackRequest(
        encoding=I2_S, dtype=F32, shape=[8, 128], data=bytes(packed)), timeout=CALL_SECONDS),
        INVALID, "data", 136)
    report = verify(daemon, bytes(packed), [8, 128], I2_S, 0)
    assert not report.is_ternary and 2 in report.sample_values
    weight[3, 5] = np.nan
    refused(lambda: project(daemon, weight, I2_S, 0), INVALID, 389)


# ---- HF_BITNET: rows far apart share a byte --------------------------------------------


def hf_bitnet(codes):
    """Codes [rows, columns] packed as transformers' pack_weights does: each two bits of the
    bytes hold a plane of rows / 4 rows."""
    rows = codes.shape[0] // 4
    packed = np.zeros((rows, codes.shape[1]), np.uint8)
    for i in range(4):
        packed |= (codes[i * rows:(i + 1) * rows] + 1).astype(np.uint8) << np.uint8(2 * i)
    return packed.tobytes()


def unpack(daemon, data, scales, shape, dtype=F32):
    return daemon.ternary.Unpack(ternary_pb2.UnpackRequest(
        encoding=HF_BITNET, dtype=dtype, shape=shape, scales=scales, data=data),
        timeout=CALL_SECONDS).data


@DTYPES
@pytest.mark.parametrize("shape", [
    (4, 1), (4, 3), (8, 129), (4, 383), (12, 128), (2, 2, 7), (3, 4, 5, 6), (1028, 1031)], ids=str)
def test_hf_bitnet_holds_a_plane_of_rows_at_each_two_bits(daemon, random, shape, dtype):
    weight = ref.widen(ref.narrow(fractions(random, *shape), dtype), dtype).reshape(shape)
    codes, scales = ref.project(weight.reshape(1, -1), weight.size)
    packed = daemon.ternary.Project(ref.project_request(weight, dtype=dtype, encoding=HF_BITNET),
                                    timeout=CALL_SECONDS)
    assert packed.data == hf_bitnet(codes.reshape(-1, shape[-1]))
    assert packed.scales == scales.astype("<f4").tobytes()
    assert list(packed.shape) == list(shape) and packed.dtype == tensor_pb2.DTYPE_U8
    assert packed.report.groups == 1 and packed.report.group_size == weight.size
    assert packed.report.is_ternary and packed.report.zeros == (codes == 0).sum()
    for reference in (ref.tensor(weight, dtype), None):
        report = verify(daemon, packed.data, shape, HF_BITNET, 0, reference, packed.scales)
        assert report.is_ternary and report.digest == packed.report.digest
        assert report.reference_mismatches == 0 and report.negatives == (codes == -1).sum()
    assert (np.frombuffer(unpack(daemon, packed.data, packed.scales, shape), "<f4")
            == (codes * scales[0, 0]).ravel()).all()


def test_hf_bitnet_needs_rows_in_fours(daemon, layers, name, random):
    weight = fractions(random, 6, 128)
    refused(lambda: project(daemon, weight, HF_BITNET, 0), INVALID, "tensor.shape", "[6, 128]",
            "hf_bitnet", 4)
    refused(lambda: project(daemon, weight[0], HF_BITNET, 0), INVALID, "tensor.shape", "[128]", 4)
    refused(lambda: project(daemon, weight[:4], HF_BITNET, 512), INVALID, "options.group_size",
            512, "hf_bitnet")
    refused(lambda: verify(daemon, bytes(192), [6, 128], HF_BITNET, 0, scales=bytes(4)), INVALID,
            "tensor.shape", "[6, 128]", 4)
    refused(lambda: unpack(daemon, bytes(192), bytes(4), [2, 3, 128]), INVALID, "tensor.shape", 6, 4)
    refused(lambda: unpack(daemon, bytes(128), b"", [4, 128]), INVALID, "scales", 0, 4)
    refused(lambda: unpack(daemon, bytes(127), bytes(4), [4, 128]), INVALID, "data", 127, 128)


def test_hf_bitnet_is_not_the_encoding_of_a_held_layer(layers, name, random):
    weight = fractions(random, 4, 128)
    load(layers, name, weight)
    refused(lambda: layers.Get(name=name, encoding=HF_BITNET), INVALID, "encoding", "hf_bitnet",
            "one scale")


def test_hf_bitnet_of_a_nan_and_of_an_illegal_code_is_refused(daemon, random):
    weight = fractions(random, 8, 33)
    packed = project(daemon, weight, HF_BITNET, 0)
    data = bytearray(packed.data)
    data[40] |= 0x0c  # plane 1 of 66 elements: element 106
    data[7] |= 0xc0  # plane 3: element 205
    refused(lambda: unpack(daemon, bytes(data), packed.scales, [8, 33]), INVALID, "data", 106)
    report = verify(daemon, bytes(data), [8, 33], HF_BITNET, 0, scales=packed.scales)
    assert not report.is_ternary and 2 in report.sample_values
    assert report.fraction_valid == 262 / 264
    report = verify(daemon, bytes(data), [8, 33], HF_BITNET, 0, ref.tensor(weight), packed.scales)
    assert report.reference_mismatches == 2 and report.first_mismatch == 106
    report = verify(daemon, packed.data, [8, 33], HF_BITNET, 0,
                    scales=np.float32(np.inf).tobytes())
    assert not report.is_ternary and report.non_finite == 264
    weight[3, 5] = np.nan
    refused(lambda: project(daemon, weight, HF_BITNET, 0), INVALID, 104)
