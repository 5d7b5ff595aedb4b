# SPDX-License-Identifier: Apache-2.0
"""Helpers for tests of held layers: the stub, specs, conversion of arrays, and the projection
in NumPy."""
import grpc
import numpy as np
from safetensors.numpy import load_file

import reference as ref
from tritd import CALL_SECONDS, DATA, tensor_pb2

from trit.v1 import layers_pb2, layers_pb2_grpc

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
DATA_LOSS = grpc.StatusCode.DATA_LOSS
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
F32, F16, BF16 = tensor_pb2.DTYPE_F32, tensor_pb2.DTYPE_F16, tensor_pb2.DTYPE_BF16
INT8 = layers_pb2.ACTIVATIONS_INT8
EMBEDDING = layers_pb2.LAYER_EMBEDDING
TERNARY, LATENTS, SPEC = (layers_pb2.LAYER_PART_TERNARY, layers_pb2.LAYER_PART_LATENTS,
                          layers_pb2.LAYER_PART_SPEC)
GOLDEN = load_file(DATA / "mlx_ternary_golden.safetensors")


class Service:
    """The Layers stub of a daemon; every method gets a deadline."""

    def __init__(self, daemon):
        self.stub = layers_pb2_grpc.LayersStub(daemon.channel)

    def __getattr__(self, method):
        request = getattr(layers_pb2, f"Layer{method}Request")
        call = getattr(self.stub, method)
        return lambda **fields: call(request(**fields), timeout=CALL_SECONDS)


def spec(name, rows, columns, **fields):
    return layers_pb2.LayerSpec(name=name, in_features=columns, out_features=rows, **fields)


def load(layers, name, weight, bias=None, dtype=F32, **fields):
    return layers.Load(spec=spec(name, *weight.shape, bias=bias is not None, **fields),
                       weight=ref.tensor(weight, dtype),
                       bias=None if bias is None else ref.tensor(bias)).spec


def array(tensor):
    return ref.widen(tensor.data, tensor.dtype).reshape(tensor.shape)


def ternary(weight, group_size=128):
    """t*s in float64."""
    codes, scales = ref.project(weight, group_size)
    s = np.repeat(scales.astype(np.float64), group_size, axis=1)[:, :weight.shape[-1]]
    return codes * s


def normal(random, *shape):
    return random.standard_normal(shape).astype(np.float32)


def close(found, expected, relative=1e-5):
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= relative * np.abs(expected).max()


def forge(path):
    """Sets 16 weights to +2 in the file of a layer of 16 rows, with a valid CRC, while the
    daemon is down. The file stays readable, but the layer is not ternary."""
    content = bytearray(path.read_bytes())
    content[-20:-16] = b"\xff" * 4
    content[-4:] = ref.crc32c(bytes(content[384:-4])).to_bytes(4, "little")
    path.write_bytes(content)


def golden(case):
    return {key[len(case) + 1:]: value for key, value in GOLDEN.items()
            if key.startswith(case + ".")}
