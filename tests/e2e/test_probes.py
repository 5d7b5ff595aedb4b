# SPDX-License-Identifier: Apache-2.0
"""The place of each weight in each packed format: rows with a single +1, one for each place of a
block. The places are those of the formats' descriptions; a round trip would not see a wrong one."""
import struct

import numpy as np
import pytest

from checkpoints import load, save
from gguf_files import F32, gguf
from tritd import cli

WIDTH = 256
ONE, NONE = struct.pack("<e", 1), struct.pack("<e", 0)


def pairs(index, places, bits):
    """Bytes of codes of 2 bits that are 1 (a zero) but for one, which is 2."""
    codes = bytearray(b"\x55" * places)
    if index is not None:
        place, shift = bits(index)
        codes[place] += 1 << shift
    return bytes(codes)


def base3(digits):
    """Five digits in a byte, the first one highest; four are followed by a 0."""
    value = sum(digit * 3 ** (4 - place) for place, digit in enumerate(digits))
    return -(-256 * value // 243)


def trits(index, places, place_of):
    """Bytes in base 3: all digits 1 but for one, which is 2. `places`: how many bytes have how many."""
    digits = [[1] * count for count, bytes_ in places for _ in range(bytes_)]
    if index is not None:
        place, digit = place_of(index)
        digits[place][digit] = 2
    return bytes(base3(one) for one in digits)


def row_of_four(i):  # element i in byte i/4
    return i // 4, 2 * (i % 4)


def ptq1_0(i):
    if i < 80:
        return i % 16, i // 16
    return (16 + (i - 80) % 8, (i - 80) // 8) if i < 120 else (24 + (i - 120) % 2, (i - 120) // 2)


def tq1_0(i):
    if i < 160:
        return i % 32, i // 32
    return (32 + (i - 160) % 16, (i - 160) // 16) if i < 240 else (48 + (i - 240) % 4, (i - 240) // 4)


# encoding: weights in a block, and its bytes from the place of the +1 (None: there is none).
BLOCKS = {
    "pq2_0": (128, lambda i, d: d + pairs(i, 32, row_of_four)),
    "q2_0": (64, lambda i, d: d + pairs(i, 16, row_of_four)),
    "ptq1_0": (128, lambda i, d: trits(i, [(5, 24), (4, 2)], ptq1_0) + d),
    "tq1_0": (256, lambda i, d: trits(i, [(5, 48), (4, 4)], tq1_0) + d),
    "tq2_0": (256, lambda i, d: pairs(i, 64, lambda j: (32 * (j // 128) + j % 32, 2 * (j % 128 // 32))) + d),
}


def packed(daemon, tmp_path, weights, encoding, ending, *words):
    save(tmp_path / "in.safetensors", {"a.weight": weights})
    out = tmp_path / f"out.{ending}"
    done = cli(daemon, "pack", tmp_path / "in.safetensors", "-o", out, "-e", encoding, *words)
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.parametrize("ending", ["safetensors", "gguf"])
@pytest.mark.parametrize("encoding", BLOCKS)
def test_blocks(daemon, tmp_path, encoding, ending):
    """Row i has its +1 at i; the block that has it has the scale 1, the others 0."""
    size, block = BLOCKS[encoding]
    group = max(size, 128)
    out = packed(daemon, tmp_path, np.eye(WIDTH, dtype=np.float32), encoding, ending, "-g", group)
    expected = b""
    for row in range(WIDTH):
        for first in range(0, WIDTH, size):
            inside = row - first if first <= row < first + size else None
            shared = first // group == row // group  # of one group, in two blocks
            expected += block(inside, ONE if shared else NONE)
    found = out.read_bytes()[-len(expected):] if ending == "gguf" else load(out)["a.weight"].tobytes()
    assert found == expected


def test_mlx(daemon, tmp_path):
    out = packed(daemon, tmp_path, np.eye(WIDTH, dtype=np.float32), "mlx_2bit", "safetensors", "-g", 128)
    found = load(out)
    words = np.frombuffer(found["a.weight"].tobytes(), np.uint8).reshape(WIDTH, WIDTH // 4)
    for row in range(WIDTH):
        assert words[row].tobytes() == pairs(row, WIDTH // 4, row_of_four)
    np.testing.assert_array_equal(found["a.scales"], np.eye(WIDTH).reshape(WIDTH, 2, 128).sum(2))
    np.testing.assert_array_equal(found["a.biases"], -found["a.scales"])


@pytest.mark.parametrize("rows", [4, 16, 256])
def test_hf_bitnet(daemon, tmp_path, rows):
    """Row r is in byte row r % R, at bits 2 (r / R), where R is a quarter of the rows."""
    weights = np.zeros((rows, 64), np.float32)
    weights[np.arange(rows), np.arange(rows) * 7 % 64] = 1
    found = load(packed(daemon, tmp_path, weights, "hf_bitnet", "safetensors"))["a.weight"]
    expected = np.full((rows // 4, 64), 0x55, np.uint8)
    for row in range(rows):
        expected[row % (rows // 4), row * 7 % 64] += 1 << 2 * (row // (rows // 4))
    np.testing.assert_array_equal(found, expected)


def test_i2_s(daemon, tmp_path):
    """Element i of the tensor: byte 32 (i / 128) + i % 32, bits 6 - 2 (i % 128 / 32); then the scale."""
    weights = np.zeros((130, 256), np.float32)
    places = np.arange(130) * 256 + np.arange(130) * 11 % 256
    weights.reshape(-1)[places] = 1
    found = packed(daemon, tmp_path, weights, "i2_s", "gguf").read_bytes()
    expected = bytearray(b"\x55" * (weights.size // 4))
    for place in places:
        expected[32 * (place // 128) + place % 32] += 1 << 6 - 2 * (place % 128 // 32)
    assert found.endswith(bytes(expected) + struct.pack("<f", 1) + bytes(28))


def test_the_reverse(daemon, tmp_path):
    """Blocks made here unpack to the same rows, so that reading is not only the reverse of writing."""
    kinds = {"pq2_0": 142, "q2_0": 42, "ptq1_0": 143, "tq1_0": 34, "tq2_0": 35}
    tensors = [("n", F32, (1,), bytes(4))]
    for encoding, (size, block) in BLOCKS.items():
        data = b"".join(block(row - first if first <= row < first + size else None, ONE)
                        for row in range(WIDTH) for first in range(0, WIDTH, size))
        tensors.append((f"{encoding}.weight", kinds[encoding], (WIDTH, WIDTH), data))
    (tmp_path / "in.gguf").write_bytes(gguf(tensors, {"general.architecture": "x"}))
    done = cli(daemon, "unpack", tmp_path / "in.gguf", "-o", tmp_path / "out.safetensors")
    assert done.returncode == 0, done.stderr
    found = load(tmp_path / "out.safetensors")
    for encoding in BLOCKS:
        np.testing.assert_array_equal(found[f"{encoding}.weight"], np.eye(WIDTH, dtype=np.float32))
