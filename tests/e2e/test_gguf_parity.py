# SPDX-License-Identifier: Apache-2.0
"""trit reads and refuses the same GGUF headers as the package gguf (llama.cpp's, in Python) from a
list of broken ones, except where it follows the stricter rules of ggml's reader in C."""
import struct

import numpy as np
import pytest

import parity
from gguf_files import F16, F32, Q4_0, TQ2_0, gguf as gguf_file, text
from tritd import SLOW

gguf = pytest.importorskip("gguf", reason="pip install gguf")

TENSORS = [("a.weight", F32, (2, 8), np.arange(16, dtype="<f4").tobytes()),
           ("b.weight", F16, (4,), bytes(8)), ("c.weight", Q4_0, (2, 32), bytes(36))]
VALUES = {"general.architecture": "llama", "n": 7, "list": ["x", "yz"], "f": 1.5, "flag": True}
GOOD = gguf_file(TENSORS, VALUES)

# What trit refuses and the package takes, by the beginning of the case's name: rules of ggml's
# gguf.cpp and of the description (docs/gguf.md).
STRICTER = {
    "offset": "offsets are the running sum of padded sizes",
    "an axis: 9": "the next offset is then another",
    "an axis: 0": "the next offset is then another",
    "alignment": "it decides the offsets, and is a u32 that is a power of two",
    "name": "a name has at most 63 bytes, is not empty and has no control characters",
    "an empty key": "a key is not empty",
}


def patched(blob, at, new):
    return blob[:at] + new + blob[at + len(new):]


def info_at(name, blob=GOOD):
    """Where the axes of a tensor begin in the header."""
    return blob.index(text(name)) + len(text(name))


def numbers():
    for name, at, size in (("version", 4, "<I"), ("tensors", 8, "<Q"), ("values", 16, "<Q"),
                           ("length of the first key", 24, "<Q")):
        good, = struct.unpack_from(size, GOOD, at)
        for value in (0, 1, 2, good - 1, good + 1, 999, 2 ** 31, 2 ** 32 - 1,
                      *((2 ** 32, 2 ** 62, 2 ** 63, 2 ** 64 - 1) if size == "<Q" else ())):
            if value != good:
                yield f"{name}: {value}", patched(GOOD, at, struct.pack(size, value))


def infos():
    at = info_at("a.weight")
    for value in (0, 1, 3, 4, 5, 9, 2 ** 31, 2 ** 32 - 1):
        yield f"dimensions: {value}", patched(GOOD, at, struct.pack("<I", value))
    for value in (0, 7, 9, 2 ** 31, 2 ** 61, 2 ** 62, 2 ** 63, 2 ** 64 - 1):
        yield f"an axis: {value}", patched(GOOD, at + 4, struct.pack("<Q", value))
    for value in (4, 5, 31, 36, 37, 38, 99, 1000, 2 ** 31, 2 ** 32 - 1):
        yield f"type: {value}", patched(GOOD, at + 20, struct.pack("<I", value))
    for value in (1, 31, 32, 64, 2 ** 20, 2 ** 63, 2 ** 64 - 32, 2 ** 64 - 1):
        yield f"offset: {value}", patched(GOOD, at + 24, struct.pack("<Q", value))
    yield "rows: half a block", gguf_file([("a", Q4_0, (2, 16), bytes(18))])
    yield "rows: of TQ2_0", gguf_file([("a", TQ2_0, (4, 64), bytes(66))])


def names():
    for name in ("x" * 63, "x" * 64, "x" * 300, "", "a\n", "a\0b", "\u00e9"):
        yield f"name: {len(name)} {name[:3]!r}", gguf_file([(name, F32, (8,), bytes(32))])
    yield "a tensor twice", gguf_file([("a", F32, (8,), bytes(32)), ("a", F32, (8,), bytes(32))])


def values():
    for kind in (*range(9), *range(10, 14), 99, 2 ** 32 - 1):
        raw = {"k": struct.pack("<I", kind) + bytes(8)}
        yield f"a value of type {kind}, 8 bytes", gguf_file(TENSORS, raw)
    # The package reads as many elements as an array has, whether they are there or not.
    for kind, count in ((4, 4), (4, 99), (8, 2), (8, 99), (9, 1), (13, 1), (0, 16), (7, 16)):
        raw = {"k": struct.pack("<IIQ", 9, kind, count) + bytes(16)}
        title = "an array of arrays" if kind == 9 else "an array"
        yield f"{title}: {count} of type {kind}", gguf_file(TENSORS, raw)
    yield "an empty key", gguf_file(TENSORS, {"": 1})
    head = bytearray(gguf_file(TENSORS, {"n": 1, "m": 1}))
    yield "a key twice", bytes(head).replace(text("m"), text("n"), 1)
    for value in (0, 1, 3, 8, 16, 33, 64, 2 ** 31):
        yield f"alignment: {value} of a file of 32", gguf_file(TENSORS, {"general.alignment": value})
    yield "alignment: 64 of a file of 64", gguf_file(TENSORS, {"general.alignment": 64}, 64)
    yield "alignment: text", gguf_file(TENSORS, {"general.alignment": "32"})


def ends():
    for count in (0, 3, 4, 8, 23, 24, 40, len(GOOD) // 2, len(GOOD) - 65, len(GOOD) - 29):
        yield f"cut at {count}", GOOD[:count]
    yield "no padding at the end", GOOD[:-(-36 % 32)]
    yield "bytes behind: 32", GOOD + bytes(32)
    yield "other magic", b"GGML" + GOOD[4:]
    yield "good", GOOD
    yield "no tensors", gguf_file([], VALUES)


CASES = {name: blob for source in (numbers, infos, names, values, ends) for name, blob in source()}


def theirs(path):
    """Names, types and shapes by the package; None if it refuses the file or fails in it."""
    try:
        return {one.name: (one.tensor_type.name, [int(size) for size in reversed(one.shape)])
                for one in gguf.GGUFReader(path).tensors}
    except Exception:  # it has no error of its own
        return None


def reason(name):
    return next((why for start, why in STRICTER.items() if name.startswith(start)), None)


def test_headers_are_read_and_refused_as_by_the_reference_reader(tmp_path):
    """trit refuses each header that the package refuses, and reads the others with the same names,
    types and shapes, except those in STRICTER."""
    chosen = list(CASES)[::5 if SLOW else 1]
    blobs = [CASES[name] for name in chosen]
    answers = dict(zip(chosen, parity.answers(tmp_path, ".gguf", blobs, theirs)))
    differing = {name: answer for name, answer in answers.items() if answer[0] != answer[1]}
    others = [name for name in differing if not reason(name)]
    assert others == []
    assert [name for name, (mine, _) in differing.items() if mine is not None] == []
    if not SLOW:
        used = {start for start in STRICTER for name in differing if name.startswith(start)}
        assert used == set(STRICTER)  # a difference that is none any more is taken off the list
        assert sum(their is not None for _, their in answers.values()) > 30


def test_random_changes_are_not_read_against_the_reference_reader(tmp_path, random):
    """Of headers with one to three bytes changed at random, trit reads none that the package refuses,
    and the others with the same names, types and shapes."""
    end = len(GOOD) - 128
    cases = []
    for _ in range(30 if SLOW else 240):
        blob = bytearray(GOOD)
        for at in random.integers(4, end, random.integers(1, 4)):
            blob[at] = random.choice([0, 1, blob[at] ^ 1 << random.integers(8), 255])
        cases.append(bytes(blob))
    answers = parity.answers(tmp_path, ".gguf", cases, theirs, refused=False)
    assert [cases[i] for i, (mine, their) in enumerate(answers) if mine != their] == []
    assert SLOW or sum(mine is not None for mine, _ in answers) > 10
