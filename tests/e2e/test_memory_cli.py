# SPDX-License-Identifier: Apache-2.0
"""trit project and trit verify move large matrices in pieces: neither process grows with the
tensor, and the results are the same."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pytest

import reference as ref
import schemas
from checkpoints import load, save
from claims import DENSE, INT8, MLX_2BIT, NAMES, WHOLE, project, verify
from tritd import BINARIES, RUNNER, SLOW, cli, tensor_pb2

PEAK = pathlib.Path(__file__).resolve().parents[1] / "lib" / "peak.py"
MIB = 1 << 20
PEAK_MIB_MAX = 256
COLUMNS, ROWS = 4096, 26112  # 428 MB of f32
BLOCK_BYTES = 34             # 128 weights of pq2_0
APART = 16 * MIB             # from one run of random rows to the next; between them are zeros
ODD = (1501, 1792)           # 10.8 MB of f32, whose rows no chunk ends with
FOURS = (1500, 1792)         # the same for encodings that need a multiple of 4 rows


def run_small(daemon, *words, code=0):
    """Runs trit, checks its exit code and peak memory; returns its output."""
    with tempfile.NamedTemporaryFile("r") as peak:
        done = subprocess.run([sys.executable, str(PEAK), peak.name, *RUNNER,
                               str(BINARIES / "trit"), *map(str, words), "--json"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              env=dict(os.environ, TRITD_ADDRESS=daemon.rpc))
        assert done.returncode == code, done.stdout
        assert int(peak.read().split()[0]) < PEAK_MIB_MAX * 1024
    return schemas.read(done.stdout)


def write_layer(path, random):
    """One layer; most of it is a hole in a sparse file."""
    size = ROWS * COLUMNS * 4
    text = json.dumps({"l.weight": {"dtype": "F32", "shape": [ROWS, COLUMNS],
                                    "data_offsets": [0, size]}}).encode()
    text += b" " * (-len(text) % 8)
    rows = random.standard_normal((64, COLUMNS)).astype(np.float32).tobytes()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for at in range(0, size, APART):
            file.seek(8 + len(text) + at)
            file.write(rows)
        file.truncate(8 + len(text) + size)


def damage(path, row):
    """Changes four codes of a row's first block of pq2_0."""
    with open(path, "r+b") as file:
        start = 8 + int.from_bytes(file.read(8), "little")
        file.seek(start + row * (COLUMNS // 128 * BLOCK_BYTES) + 20)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([sum(((byte >> at & 3) + 1) % 3 << at for at in range(0, 8, 2))]))


@pytest.mark.skipif(SLOW, reason="sanitizers and emulators have memory of their own")
@pytest.mark.parametrize("encoding", ["pq2_0", "dense", "hf_bitnet"])
def test_a_large_layer_needs_little_memory(start, tmp_path, random, encoding):
    own, latents, out = start(), tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    write_layer(latents, random)
    run_small(own, "project", latents, "-o", out, "-e", encoding)
    result = run_small(own, "verify", out, "--against", latents)
    assert result["verdict"] == "pass" and result["examined"] == ROWS * COLUMNS
    if encoding == "pq2_0":
        row = 20 * APART // (4 * COLUMNS) + 3
        damage(out, row)
        result = run_small(own, "verify", out, "--against", latents, code=1)
        found = {one["kind"]: one for one in result["findings"]}["codes_differ"]
        assert f"in rows {row} to " in found["hint"], found
    assert own.memory_kib() < PEAK_MIB_MAX * 1024


def filled(path, shape):
    """One ternary layer whose scales any type holds; most of it is a hole in the file."""
    size = int(np.prod(shape)) * 4
    text = json.dumps({"l.weight": {"dtype": "F32", "shape": shape,
                                    "data_offsets": [0, size]}}).encode()
    text += b" " * (-len(text) % 8)
    run = np.resize(np.float32([.5, 0, -.5, .5]), 65536).tobytes()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for at in range(0, size, APART):
            file.seek(8 + len(text) + at)
            file.write(run)
        file.truncate(8 + len(text) + size)


@pytest.mark.skipif(SLOW, reason="sanitizers and emulators have memory of their own")
@pytest.mark.parametrize("words", [("pq2_0",), ("hf_bitnet",),
                                   ("int8", "--transposed", "l.weight")],
                         ids=["pq2_0", "hf_bitnet", "transposed"])
def test_a_large_layer_is_packed_and_unpacked_in_little_memory(start, tmp_path, words):
    """Memory stays small also for a layer that is stored [in, out] and keeps that layout."""
    own, latents = start(), tmp_path / "in.safetensors"
    packed, dense = tmp_path / "packed.safetensors", tmp_path / "dense.safetensors"
    filled(latents, (COLUMNS, ROWS) if "--transposed" in words else (ROWS, COLUMNS))
    run_small(own, "pack", latents, "-o", packed, "-e", *words)
    run_small(own, "unpack", packed, "-o", dense)
    result = run_small(own, "verify", packed)
    assert result["verdict"] == "pass" and result["examined"] == ROWS * COLUMNS
    with open(latents, "rb") as one, open(dense, "rb") as other:
        for file in (one, other):
            file.seek(8 + int.from_bytes(file.read(8), "little"))
        while piece := one.read(16 * MIB):
            assert other.read(len(piece)) == piece
        assert not other.read(1)
    assert own.memory_kib() < PEAK_MIB_MAX * 1024


@pytest.mark.skipif(SLOW, reason="sanitizers and emulators have memory of their own")
def test_a_large_transposed_layer_needs_little_memory(start, tmp_path, random):
    """Projected and verified as GPT-2 stores it, it is that of the turned file."""
    own, latents, out = start(), tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    filled(latents, (COLUMNS, ROWS))
    words = ("--transposed", "l.weight")
    run_small(own, "project", latents, "-o", out, "-e", "int8", "--again", *words)
    result = run_small(own, "verify", out, "--against", latents, *words)
    assert result["verdict"] == "pass" and result["examined"] == ROWS * COLUMNS
    assert own.memory_kib() < PEAK_MIB_MAX * 1024


@pytest.mark.skipif(SLOW, reason="sanitizers and emulators have memory of their own")
def test_a_large_layer_is_loaded_in_little_memory(start, tmp_path, random):
    """trit reads the weight while it sends it; the daemon holds codes, not latents."""
    own, latents = start(), tmp_path / "in.safetensors"
    write_layer(latents, random)
    result = run_small(own, "layers", "load", "l", latents, "--tensor", "l.weight")
    assert result["out_features"] == ROWS


@pytest.mark.parametrize("encoding", ["int8", "dense", "pq2_0"])
def test_a_transposed_layer_of_many_blocks_has_the_bits_of_the_turned_one(
        daemon, tmp_path, random, encoding):
    """Rows that no block of the file ends with, in every direction."""
    rows, columns = 1501, 1792
    weight = (random.standard_normal((rows, columns)) * .02).astype(np.float32)
    found = []
    for name, stored, words in (("a", weight, ()), ("b", weight.T, ("--transposed", "l.*"))):
        latents, out = tmp_path / f"{name}.safetensors", tmp_path / f"{name}-out.safetensors"
        save(latents, {"l.weight": np.ascontiguousarray(stored)})
        done = cli(daemon, "project", latents, "-o", out, "-e", encoding, *words)
        assert done.returncode == 0, done.stderr
        done = cli(daemon, "verify", out, "--against", latents, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        data = load(out)["l.weight"]
        found.append(data.T if words and encoding != "pq2_0" else data)
    assert np.array_equal(*found)


TYPES = {DENSE: ref.F32, INT8: tensor_pb2.DTYPE_I8, MLX_2BIT: ref.F32}  # others: U8


IN_FILES = [number for number, name in enumerate(NAMES) if name != "i2_s"]  # has no form there


def filed_at(run, step):
    return tensor_pb2.LayerRef(run=run, layer="l.weight", step=step)


@pytest.mark.parametrize("encoding", IN_FILES, ids=[NAMES[number] for number in IN_FILES])
def test_bits_and_reports_are_those_of_one_message(daemon, run, tmp_path, random, encoding):
    """The daemon would refuse a report that differs from the stored one."""
    latents, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    shape = FOURS if encoding in WHOLE else ODD
    weight = (random.standard_normal(shape) * .02).astype(np.float32)
    save(latents, {"l.weight": weight})
    size = 0 if encoding in WHOLE else 256 if NAMES[encoding].startswith("tq") else 128
    words = ("-e", NAMES[encoding], *(("--group-size", size) if size else ()))
    done = cli(daemon, "project", latents, "-o", out, *words, "--run", run)
    assert done.returncode == 0, done.stderr
    whole = project(daemon, weight, layer=filed_at(run, 0), encoding=encoding, group_size=size)
    found = load(out)
    assert found["l.weight"].tobytes() == whole.data
    scales = [found[name] for name in ("l.weight.scales", "l.scales", "l.weight_scale")
              if name in found]
    assert b"".join(one.tobytes() for one in scales) == whole.scales

    done = cli(daemon, "verify", out, "--against", latents, "--run", run, "--step", 1)
    assert done.returncode == 0, done.stdout + done.stderr
    verify(daemon, whole.data, shape, dtype=TYPES.get(encoding, tensor_pb2.DTYPE_U8),
           encoding=encoding, group_size=size, scales=whole.scales,
           reference=ref.tensor(weight), layer=filed_at(run, 1))


def quarters(codes):
    """Codes packed as transformers' pack_weights does."""
    rows = codes.shape[0] // 4
    parts = [(codes[i * rows:(i + 1) * rows] + 1).astype(np.uint8) << (2 * i) for i in range(4)]
    return np.bitwise_or.reduce(parts)


def test_one_scale_is_packed_in_pieces(daemon, tmp_path, random):
    """A matrix of several calls becomes hf_bitnet, and what hf_bitnet becomes is equal."""
    files = {name: tmp_path / f"{name}.safetensors" for name in (
        "dense", "hf", "int8", "pq2_0", "mlx_2bit", "back", "again")}
    codes = random.integers(-1, 2, FOURS)
    codes[:300] = 0  # rows of zeros fit any scale
    save(files["dense"], {"l.weight": codes.astype(np.float32) / 4})
    for words in (("pack", files["dense"], "-o", files["hf"], "-e", "hf_bitnet"),
                  *(("pack", files["hf"], "-o", files[name], "-e", name)
                    for name in ("int8", "pq2_0", "mlx_2bit")),
                  ("pack", files["int8"], "-o", files["again"], "-e", "hf_bitnet"),
                  ("unpack", files["hf"], "-o", files["back"])):
        done = cli(daemon, *words)
        assert done.returncode == 0, (words, done.stderr)
    found = load(files["hf"])
    assert np.array_equal(found["l.weight"], quarters(codes)) and found["l.weight_scale"] == .25
    assert files["again"].read_bytes() == files["hf"].read_bytes()
    for name in files:
        if name != "hf":
            done = cli(None, "diff", files["hf"], files[name])
            assert done.returncode == 0, (name, done.stdout)
    last_call = np.arange(FOURS[0]) % (FOURS[0] // 4) >= 292  # of three
    for rows in (last_call, 1100):
        dense = codes.astype(np.float32) / 4
        dense[rows] *= 2
        save(files["dense"], {"l.weight": dense})
        done = cli(daemon, "pack", files["dense"], "-o", files["hf"], "-e", "hf_bitnet", "--force")
        found = np.abs(dense.ravel())[np.flatnonzero(dense)]
        other = np.flatnonzero(dense)[np.argmax(found != found[0])]
        assert done.returncode == 1, done.stderr
        assert f"element {other} is the first" in done.stderr, done.stderr
        assert load(files["hf"])["l.weight_scale"] == .25


def test_an_output_that_cannot_be_written_says_why(daemon, tmp_path, random):
    """The message gives the file's error, not the status of the call that it ended."""
    latents, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    save(latents, {"l.weight": random.standard_normal(ODD).astype(np.float32)})
    done = subprocess.run(
        ["bash", "-c", 'trap "" XFSZ; ulimit -f 2048; exec "$@"', "bash", *RUNNER,
         str(BINARIES / "trit"), "project", str(latents), "-o", str(out)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=dict(os.environ, TRITD_ADDRESS=daemon.rpc))
    assert done.returncode == 3
    assert "File too large" in done.stderr and "ABORTED" not in done.stderr
    assert not out.exists()
