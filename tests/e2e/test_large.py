# SPDX-License-Identifier: Apache-2.0
"""Checkpoints larger than the memory that trit and tritd may use. The files are sparse, with
some rows of weights. `make test-large` runs the commands on 6 GB. `make test` uses one layer and
compares the results of reading in pieces with NumPy."""
import json
import os

import numpy as np
import pytest

import reference as ref
import schemas
from checkpoints import bf16, save
from test_memory_cli import PEAK_MIB_MAX, run_small
from tritd import SLOW, cli

MEASURED = pytest.mark.skipif(SLOW, reason="sanitizers and emulators have memory of their own")
LARGE = pytest.mark.skipif(os.environ.get("TRIT_LARGE") != "1", reason="make test-large")

EMBEDDING = ("model.embed_tokens.weight", (151936, 4096))     # 1.24 GB of bf16
LAYERS = [(f"model.layers.{i}.mlp.up_proj.weight", (18432, 16384)) for i in range(8)]  # 0.6 GB each
APART = 64 << 20  # bytes from one run of random rows to the next
RUN_ROWS = 8


def write_sparse(path, shapes, random):
    """Writes bf16 tensors; returns the number of weights outside of holes."""
    header, end, written = {}, 0, 0
    for name, (rows, columns) in shapes:
        header[name] = {"dtype": "BF16", "shape": [rows, columns],
                        "data_offsets": [end, end + 2 * rows * columns]}
        end += 2 * rows * columns
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, (rows, columns) in shapes:
            data = ref.narrow(random.standard_normal((RUN_ROWS, columns)) * .02, ref.BF16)
            begin, stop = header[name]["data_offsets"]
            for at in range(0, stop - begin - len(data), APART):
                file.seek(8 + len(text) + begin + at)
                file.write(data)
                written += len(data) // 2
        file.truncate(8 + len(text) + end)
    return written


def parameters(shapes):
    return sum(rows * columns for _, (rows, columns) in shapes)


@LARGE
@MEASURED
def test_six_gigabytes_need_little_memory(start, tmp_path, random):
    """project, verify, verify --against, inspect, diff, pack and unpack need at most 256 MiB in
    trit and in tritd."""
    own, shapes = start(), [EMBEDDING, *LAYERS]
    latents, packed, mlx = (tmp_path / f"{name}.safetensors" for name in ("in", "pq2_0", "mlx"))
    written, count = write_sparse(latents, shapes, random), parameters(shapes)
    assert latents.stat().st_size > 6e9
    for out, encoding in ((packed, "pq2_0"), (mlx, "mlx_2bit")):
        said = run_small(own, "project", latents, "-o", out, "-e", encoding)
        assert said["ternary"] == count and len(said["layers"]) == len(shapes)
        nonzero = sum(one["negatives"] + one["positives"] for one in said["layers"])
        assert .6 * written < nonzero < .8 * written
    for words in ((), ("--against", latents)):
        said = run_small(own, "verify", packed, *words)
        assert (said["verdict"], said["examined"]) == ("pass", count)
    said = run_small(own, "inspect", latents)
    assert sum(int(np.prod(one["shape"])) for one in said["tensors"]) == count
    said = run_small(own, "diff", packed, mlx)
    assert said["equal"] and sum(one["elements"] for one in said["layers"]) == count
    mlx.unlink()
    again, dense = tmp_path / "q2_0.safetensors", tmp_path / "dense.safetensors"
    said = run_small(own, "pack", packed, "-o", again, "-e", "q2_0")
    assert said["layers"] == len(shapes)
    said = run_small(own, "unpack", packed, "-o", dense, "--include", "*embed*",
                     "--dtype", "f32")
    assert said["layers"] == 1 and dense.stat().st_size > 4 * parameters([EMBEDDING])
    for path in (again, dense):
        assert run_small(own, "diff", packed, path)["equal"]
    assert own.memory_kib() < PEAK_MIB_MAX * 1024


@MEASURED
def test_inspect_and_diff_need_little_memory(daemon, tmp_path, random):
    """A layer of 0.6 GB is compared some rows at a time."""
    path = tmp_path / "in.safetensors"
    write_sparse(path, LAYERS[:1], random)
    said = run_small(daemon, "inspect", path)
    assert said["tensors"][0]["shape"] == list(LAYERS[0][1])
    said = run_small(daemon, "diff", path, path)
    assert said["equal"] and said["layers"][0]["elements"] == parameters(LAYERS[:1])


ROWS, COLUMNS = 1300, 1024  # more than diff has in memory
NAME = "h.0.mlp.c_fc.weight"


@pytest.mark.parametrize("turned", [False, True], ids=["out_in", "in_out"])
@pytest.mark.parametrize("encoding", ["int8", "pq2_0", "mlx_2bit", "hf_bitnet"])
def test_diff_of_pieces(daemon, tmp_path, random, encoding, turned):
    """Rows are compared with the same rows in any layout; differences after the first piece are
    counted, and the first one is reported."""
    dense, packed = tmp_path / "dense.safetensors", tmp_path / "packed.safetensors"
    codes = random.integers(-1, 2, (ROWS, COLUMNS)).astype(np.float32)
    words = ("--transposed", "*c_fc*") if turned else ()
    save(dense, {NAME: bf16(codes.T / 4 if turned else codes / 4)})
    done = cli(daemon, "pack", dense, "-o", packed, "-e", encoding, *words)
    assert done.returncode == 0, done.stderr
    done = cli(None, "diff", dense, packed, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    places = [(1100, 900), (1250, 3), (ROWS - 1, COLUMNS - 1)]
    changed, table = codes.copy(), np.diag([int((codes == t).sum()) for t in (-1, 0, 1)])
    for at in places:
        old = int(codes[at])
        changed[at] = new = (old + 2) % 3 - 1
        table[new + 1, old + 1] += 1
        table[old + 1, old + 1] -= 1
    save(dense, {NAME: bf16(changed.T / 4 if turned else changed / 4)})
    done = cli(None, "diff", dense, packed, *words, "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    one, = schemas.read(done.stdout)["layers"]
    assert (one["elements"], one["codes_differing"]) == (codes.size, len(places))
    assert one["first"] == places[0][0] * COLUMNS + places[0][1]
    assert one["transitions"] == table.ravel().tolist()
