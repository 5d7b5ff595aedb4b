# SPDX-License-Identifier: Apache-2.0
"""Packed blocks from implementations that are not ours: TQ1_0 and TQ2_0 by the gguf
package's quantizers, the others straight from the formats' description.

    python tests/gen/packed_vectors.py tests/data/packed_vectors.safetensors

Needs numpy and gguf (pip install gguf). The file: latents `input`, and per format
<name>.bytes, <name>.scales (f32) and <name>.codes (t as int8); of hf_bitnet, whose planes
begin anywhere, several shapes over the first latents, <name>_<out>x<in>.
"""
import json
import struct
import sys

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf.quants import quantize

ELEMENTS = 1536


def project(w, group):
    rows = w.reshape(-1, group).astype(np.float64)
    s = (np.abs(rows).sum(axis=1) / group).astype(np.float32)
    t = np.clip(np.rint(w.reshape(-1, group) / np.where(s == 0, 1, s)[:, None]), -1, 1)
    return t.astype(np.int8), s


def d16(s):
    return struct.pack("<e", s)


def lsb(t):
    """Element i in byte i/4, bits 2 (i%4)."""
    out = bytearray(len(t) // 4)
    for i, v in enumerate(t):
        out[i // 4] |= (int(v) + 1) << (2 * (i % 4))
    return bytes(out)


def base3(t, stages):
    """stages: (first element, bytes, digits); digit n of byte m is element n*bytes+m."""
    out = bytearray()
    for begin, count, digits in stages:
        for m in range(count):
            q = sum((int(t[begin + n * count + m]) + 1) * 3 ** (4 - n) for n in range(digits))
            out.append(-(-256 * q // 243))
    return bytes(out)


def i2_s(t):
    out = bytearray(len(t) // 4)
    for i, v in enumerate(t):
        out[32 * (i // 128) + i % 32] |= (int(v) + 1) << (6 - 2 * ((i % 128) // 32))
    return bytes(out)


def hf_bitnet(t):
    """Of [out, in], as transformers packs it: row r of plane i over rows i R.. of t."""
    rows = t.shape[0] // 4
    packed = np.zeros((rows, t.shape[1]), np.uint8)
    for i in range(4):
        packed |= (t[i * rows:(i + 1) * rows] + 1).astype(np.uint8) << np.uint8(2 * i)
    return packed.tobytes()


def blocks(t, s, pack):
    return b"".join(pack(row, scale) for row, scale in zip(t, s))


def by_gguf(kind):
    def pack(t, s):
        return quantize((t * s).astype(np.float32).reshape(1, -1), kind).tobytes()
    return pack


PTQ1_0 = ((0, 16, 5), (80, 8, 5), (120, 2, 4))
FORMATS = {
    "q2_0": (64, lambda t, s: d16(s) + lsb(t)),
    "pq2_0": (128, lambda t, s: d16(s) + lsb(t)),
    "ptq1_0": (128, lambda t, s: base3(t, PTQ1_0) + d16(s)),
    "tq1_0": (256, by_gguf(Type.TQ1_0)),
    "tq2_0": (256, by_gguf(Type.TQ2_0)),
    "mlx_2bit": (128, lambda t, s: lsb(t)),
    "i2_s": (ELEMENTS, lambda t, s: i2_s(t)),
}
BITNETS = ((4, 1), (4, 3), (12, 128), (8, 129), (4, 383), (508, 3))


def main():
    random = np.random.default_rng(20)
    w = (random.normal(size=ELEMENTS) * 0.02).astype(np.float32)
    w[::97] = 0
    w[512:768] = np.where(random.random(256) < 0.5, 0.25, -0.25)  # no zero code at all
    tensors = {"vectors.input": ("F32", w.shape, w.tobytes())}
    for name, (group, pack) in FORMATS.items():
        t, s = project(w, group)
        data = blocks(t, s, pack)
        tensors[f"{name}.bytes"] = ("U8", (len(data),), data)
        tensors[f"{name}.scales"] = ("F32", s.shape, s.tobytes())
        tensors[f"{name}.codes"] = ("I8", (ELEMENTS,), t.tobytes())
    for rows, columns in BITNETS:
        t, s = project(w[:rows * columns], rows * columns)
        name, data = f"hf_bitnet_{rows}x{columns}", hf_bitnet(t.reshape(rows, columns))
        tensors[f"{name}.bytes"] = ("U8", (len(data),), data)
        tensors[f"{name}.scales"] = ("F32", s.shape, s.tobytes())
        tensors[f"{name}.codes"] = ("I8", (rows * columns,), t.tobytes())
    header, body = {}, b""
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape),
                        "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(sys.argv[1], "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)


main()
