# SPDX-License-Identifier: Apache-2.0
"""safetensors files of every type, written and read without the safetensors package."""
import json
from typing import NamedTuple

import numpy as np

import reference as ref

NAMES = {"f4": "F32", "f2": "F16", "f8": "F64", "i1": "I8", "u1": "U8", "i2": "I16", "u2": "U16",
         "i4": "I32", "u4": "U32", "i8": "I64", "u8": "U64", "b1": "BOOL"}
TYPES = {name: np.dtype("<" + code) for code, name in NAMES.items()}


class Raw(NamedTuple):
    """A tensor of a type that NumPy lacks."""

    dtype: str
    shape: tuple
    data: bytes


def bf16(values):
    return Raw("BF16", tuple(values.shape), ref.narrow(values, ref.BF16))


def f8(random, *shape, dtype="F8_E4M3"):
    return Raw(dtype, shape, random.integers(0, 120, int(np.prod(shape)), np.uint8).tobytes())


def raw(tensor):
    if isinstance(tensor, Raw):
        return tensor
    tensor = np.ascontiguousarray(tensor)
    return Raw(NAMES[tensor.dtype.str[1:]], tensor.shape, tensor.tobytes())


def save(path, tensors, metadata=None):
    """Arrays and Raws by name."""
    header, data = {}, b""
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, tensor in tensors.items():
        tensor = raw(tensor)
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(tensor.data)]}
        data += tensor.data
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def header_of(path):
    blob = path.read_bytes()
    return json.loads(blob[8:8 + int.from_bytes(blob[:8], "little")])


def load(path):
    """Arrays by name, Raws for the types that NumPy lacks."""
    blob, header = path.read_bytes(), header_of(path)
    data = blob[8 + int.from_bytes(blob[:8], "little"):]
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        piece = data[slice(*entry["data_offsets"])]
        if entry["dtype"] in TYPES:
            tensors[name] = np.frombuffer(piece, TYPES[entry["dtype"]]).reshape(
                entry["shape"]).copy()
        else:
            tensors[name] = Raw(entry["dtype"], tuple(entry["shape"]), piece)
    return tensors
