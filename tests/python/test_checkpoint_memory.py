# SPDX-License-Identifier: Apache-2.0
"""client.checkpoint.project and pack move large matrices in pieces."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import trit
from checkpoints import command, f32, read, write  # noqa: F401
from checkpoints import drawn  # noqa: F401 (a fixture)

MIB = 1 << 20
PEAK_MIB_MAX = 256
ROWS, COLUMNS = 20480, 4096  # 335 MB of f32
ODD = (1501, 1792)  # 10.8 MB of f32, whose rows no piece ends with
FOURS = (1500, 1792)
RUN = """
import re, sys, trit
address, source, out, encoding = sys.argv[1:]
with trit.Client(address) as client:
    if encoding == "pack":
        client.checkpoint.pack(source, out, encoding="pq2_0")
    else:
        client.checkpoint.project(source, out, encoding=encoding, again=True)
# Not ru_maxrss: that would be at least what the tests' own process has.
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) // 1024)
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """One layer that is ternary in groups of 128; most of its file is a hole."""
    path = tmp_path_factory.mktemp("large") / "in.safetensors"
    size = ROWS * COLUMNS * 4
    text = json.dumps(
        {"l.weight": {"dtype": "F32", "shape": [ROWS, COLUMNS], "data_offsets": [0, size]}}
    ).encode()
    text += b" " * (-len(text) % 8)
    run = np.resize(np.float32([0.5, 0, -0.5, 0.5]), 65536).tobytes()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for at in range(0, size, 16 * MIB):
            file.seek(8 + len(text) + at)
            file.write(run)
        file.truncate(8 + len(text) + size)
    return path


@pytest.mark.parametrize("encoding", ["pq2_0", "dense", "hf_bitnet", "pack"])
def test_a_large_layer_needs_little_memory(daemon, large, tmp_path, encoding):
    done = subprocess.run(
        [sys.executable, "-c", RUN, daemon.rpc, large, tmp_path / "out.safetensors", encoding],
        capture_output=True,
        text=True,
        env=dict(os.environ, OPENBLAS_NUM_THREADS="1"),
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < PEAK_MIB_MAX


@pytest.mark.parametrize("encoding", ["dense", "int8", "pq2_0", "mlx_2bit", "hf_bitnet"])
def test_the_output_is_that_of_the_command(daemon, client, drawn, tmp_path, encoding):  # noqa: F811
    shape = FOURS if encoding == "hf_bitnet" else ODD
    source, ours, theirs = (tmp_path / f"{name}.safetensors" for name in ("in", "ours", "theirs"))
    write(source, {"l.weight": f32(drawn(*shape)), "norm.weight": f32(drawn(7))})
    made = client.checkpoint.project(source, ours, encoding=encoding)
    done = command(daemon, "project", source, "-o", theirs, "-e", encoding)
    assert done.returncode == 0, done.stderr
    assert ours.read_bytes() == theirs.read_bytes()
    assert made.reports["l.weight"].elements == np.prod(shape)


@pytest.mark.parametrize("encoding", ["int8", "pq2_0", "mlx_2bit"])
def test_packed_it_is_that_of_the_command(
    daemon,
    client,
    drawn,
    tmp_path,
    encoding,  # noqa: F811
):
    names = ("in", "dense", "ours", "theirs", "back")
    source, dense, ours, theirs, back = (tmp_path / f"{name}.safetensors" for name in names)
    write(source, {"l.weight": f32(drawn(*ODD))})
    client.checkpoint.project(source, dense)
    client.checkpoint.pack(dense, ours, encoding=encoding, allow_rounded_scales=True)
    done = command(daemon, "pack", dense, "-o", theirs, "-e", encoding, "--round-scales")
    assert done.returncode == 0, done.stderr
    assert ours.read_bytes() == theirs.read_bytes()
    other = "pq2_0" if encoding != "pq2_0" else "q2_0"
    client.checkpoint.pack(ours, back, encoding=other, allow_rounded_scales=True)
    assert client.checkpoint.verify(back).verdict == "pass"


def test_a_matrix_that_is_not_finite_or_not_ternary_is_named(client, drawn, tmp_path):  # noqa: F811
    """Also where it is read piece by piece; nothing is written."""
    source, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    weight = drawn(*ODD)
    weight[1400, 3] = np.nan
    write(source, {"l.weight": f32(weight)})
    with pytest.raises(trit.InvalidArgument, match="l.weight.*first at index 2508803"):
        client.checkpoint.project(source, out, encoding="pq2_0")
    with pytest.raises(trit.InvalidArgument, match="l.weight.*group 0"):
        client.checkpoint.pack(source, out, encoding="pq2_0")
    assert not out.exists()


def test_a_file_that_becomes_shorter_says_so(client, drawn, tmp_path, monkeypatch):  # noqa: F811
    """The error is that of the file, not of the call that it ended."""
    source, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    write(source, {"l.weight": f32(drawn(*ODD))})
    read_pieces = trit._sources.File.pieces

    def cut(self, *args):
        os.truncate(source, 100000)
        return read_pieces(self, *args)

    monkeypatch.setattr(trit._sources.File, "pieces", cut)
    with pytest.raises(trit.Aborted, match="became shorter"):
        client.checkpoint.project(source, out, encoding="pq2_0", again=True)
    assert not out.exists()
