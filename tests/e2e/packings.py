# SPDX-License-Identifier: Apache-2.0
"""The packed encodings in NumPy (kernels/FORMATS.md), computed from codes and scales.
Independent of the C code."""
import numpy as np

import claims

# encoding: elements of a block that has its own scale
BLOCKS = {claims.PQ2_0: 128, claims.Q2_0: 64, claims.PTQ1_0: 128, claims.TQ1_0: 256,
          claims.TQ2_0: 256}


def _in_sequence(codes):
    """[.., n] codes t+1, four in a byte, least significant first."""
    c = codes.reshape(*codes.shape[:-1], -1, 4)
    return c[..., 0] | c[..., 1] << 2 | c[..., 2] << 4 | c[..., 3] << 6


def _in_planes(codes, first_is_lowest):
    """[.., 128 k] codes; the four codes of a byte are 32 elements apart."""
    c = codes.reshape(*codes.shape[:-1], -1, 4, 32)
    order = range(4) if first_is_lowest else range(3, -1, -1)
    packed = sum(c[..., plane, :].astype(np.uint8) << (2 * at) for at, plane in enumerate(order))
    return packed.astype(np.uint8).reshape(*codes.shape[:-1], -1)


def _base3(codes, stages):
    """[.., n] codes in base 3; a stage is (bytes, digits per byte)."""
    out, at = [], 0
    for count, digits in stages:
        q = np.zeros(codes.shape[:-1] + (count,), np.uint32)
        for n in range(5):
            q *= 3
            if n < digits:
                q += codes[..., at + n * count:at + (n + 1) * count]
        at += count * digits
        out.append((q * 256 + 242) // 243)
    assert at == codes.shape[-1]
    return np.concatenate(out, axis=-1).astype(np.uint8)


def _block(encoding, codes, d):
    d = d[..., None].astype("<f2").view(np.uint8)
    if encoding in (claims.PQ2_0, claims.Q2_0):
        return np.concatenate([d, _in_sequence(codes)], axis=-1)
    if encoding == claims.TQ2_0:
        return np.concatenate([_in_planes(codes, True), d], axis=-1)
    stages = [(32, 5), (16, 5), (4, 4)] if encoding == claims.TQ1_0 else [(16, 5), (8, 5), (2, 4)]
    return np.concatenate([_base3(codes, stages), d], axis=-1)


def encode(encoding, t, scales, group_size=128):
    """data and scales of trits [rows, columns] with scales [rows, groups]."""
    codes = (t + 1).astype(np.uint8)
    if encoding == claims.INT8:
        return t.astype(np.int8).tobytes(), scales.astype("<f4").tobytes()
    if encoding == claims.MLX_2BIT:
        return _in_sequence(codes).tobytes(), scales.astype("<f2").tobytes()
    if encoding == claims.I2_S:
        tail = np.zeros(8, "<f4")
        tail[0] = scales.flat[0]
        return _in_planes(codes.reshape(-1), False).tobytes() + tail.tobytes(), b""
    if encoding == claims.HF_BITNET:
        c = codes.reshape(4, -1)
        return ((c[0] | c[1] << 2 | c[2] << 4 | c[3] << 6).astype(np.uint8).tobytes(),
                scales.astype("<f4").reshape(-1)[:1].tobytes())
    elements = BLOCKS[encoding]
    blocks = codes.reshape(len(t), -1, elements)
    starts = np.arange(blocks.shape[1]) * elements // group_size
    return _block(encoding, blocks, scales[:, starts]).tobytes(), b""
