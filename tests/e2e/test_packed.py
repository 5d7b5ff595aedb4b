"""Packed encodings whose groups span several blocks, against NumPy."""
import grpc
import numpy as np
import pytest

import reference as ref
from tritd import CALL_SECONDS, refused, tensor_pb2, ternary_pb2

INVALID = grpc.StatusCode.INVALID_ARGUMENT
F32 = tensor_pb2.DTYPE_F32
Q2_0, PQ2_0, PTQ1_0, TQ1_0, TQ2_0, MLX_2BIT = (
    tensor_pb2.ENCODING_Q2_0, tensor_pb2.ENCODING_PQ2_0, tensor_pb2.ENCODING_PTQ1_0,
    tensor_pb2.ENCODING_TQ1_0, tensor_pb2.ENCODING_TQ2_0, tensor_pb2.ENCODING_MLX_2BIT)

# encoding, group size, columns: block elements, block bytes, where d stands in a block
LONGER = {"q2_0 in 128": (Q2_0, 128, 384, 64, 18, 0),
          "q2_0 in 128, a short last group": (Q2_0, 128, 320, 64, 18, 0),
          "pq2_0 in 256": (PQ2_0, 256, 512, 128, 34, 0),
          "ptq1_0 in 384": (PTQ1_0, 384, 768, 128, 28, 26),
          "tq1_0 in 512": (TQ1_0, 512, 512, 256, 54, 52),
          "tq2_0 in 512": (TQ2_0, 512, 1024, 256, 66, 64)}


def project(daemon, weight, encoding, group_size):
    return daemon.ternary.Project(ref.project_request(
        weight, encoding=encoding, group_size=group_size), timeout=CALL_SECONDS)


def verify(daemon, data, shape, encoding, group_size, reference=None):
    return daemon.ternary.Verify(ternary_pb2.VerifyRequest(
        options=ternary_pb2.VerifyOptions(encoding=encoding, group_size=group_size),
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
    (TQ2_0, 128, [128, 256, "tq2_0"]), (MLX_2BIT, 256, [256, 128, "mlx_2bit"])])
def test_a_group_that_blocks_do_not_fill_is_refused(daemon, encoding, group_size, words):
    refused(lambda: project(daemon, np.ones((2, 768), np.float32), encoding, group_size), INVALID,
            "group_size", *words)
