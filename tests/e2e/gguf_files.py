"""Writes GGUF files by the description of the format (ggml's docs/gguf.md), independently of the
code under test and of the gguf package."""

import struct

import numpy as np

F32, F16, Q4_0, Q8_0, TQ1_0, TQ2_0, BF16, Q2_0, PQ2_0, PTQ1_0 = 0, 1, 2, 8, 34, 35, 30, 42, 142, 143

ALIGNMENT = 32


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def value_of(value):
    """A value of a key: text, a list of texts, bool, int (u32) or float (f32)."""
    if isinstance(value, bytes):  # as it stands
        return value
    if isinstance(value, str):
        return struct.pack("<I", 8) + text(value)
    if isinstance(value, list):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(text(one) for one in value)
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    return struct.pack("<If", 6, value) if isinstance(value, float) else struct.pack("<II", 4, value)


def padding(length, alignment=ALIGNMENT):
    return bytes(-length % alignment)


def gguf(tensors, values=(), alignment=ALIGNMENT):
    """`tensors`: (name, type, shape as in torch, data) in order. Returns the bytes of a file."""
    values = dict(values)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values))
    for key, value in values.items():
        head += text(key) + value_of(value)
    data = b""
    for name, kind, shape, content in tensors:
        head += text(name) + struct.pack("<I", len(shape))
        head += b"".join(struct.pack("<Q", size) for size in reversed(shape))
        head += struct.pack("<IQ", kind, len(data))
        data += content + padding(len(content), alignment)
    return head + padding(len(head), alignment) + data


def pq2_0(codes, scales, group=128):
    """Blocks of `group` codes (-1, 0, 1): f16 scale, then four codes a byte, lowest bits first. With
    groups of 64 they are Q2_0's."""
    codes = np.asarray(codes, np.int8).reshape(-1, group)
    packed = (codes + 1).astype(np.uint8).reshape(len(codes), -1, 4)
    packed = packed[..., 0] | packed[..., 1] << 2 | packed[..., 2] << 4 | packed[..., 3] << 6
    scales = np.asarray(scales, "<f2").reshape(-1, 1).view(np.uint8)
    return np.concatenate([scales, packed], axis=1).tobytes()
