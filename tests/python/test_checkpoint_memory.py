# SPDX-License-Identifier: Apache-2.0
"""client.checkpoint has no large matrix of a file in memory."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import trit
from checkpoints import command, f32, same_as_the_command, write
from checkpoints import drawn  # noqa: F401 (a fixture)

MIB = 1 << 20
PEAK_MIB_MAX = 256
ROWS, COLUMNS = 20480, 4096  # 335 MB of f32
ODD = (1501, 1792)  # 10.8 MB of f32, whose rows no piece ends with
FOURS = (1500, 1792)
RUN = """
import re, sys, trit
address, source, out, what = sys.argv[1:]
with trit.Client(address) as client:
    checkpoint = client.checkpoint
    if what == "pack":
        checkpoint.pack(source, out, encoding="pq2_0")
    elif what == "transposed":
        checkpoint.project(source, out, encoding="int8", again=True, transposed="*")
    elif what.startswith("verify"):
        latents = source if what == "verify against" else None
        found = checkpoint.verify(source, against=latents)
        # It is not its own projection: that is explained, from the first mismatch on.
        assert found.verdict == ("pass" if latents is None else "fail"), found
    elif what == "unpack":
        checkpoint.unpack(source, out, dtype="bf16")
    else:
        checkpoint.project(source, out, encoding=what, again=True)
# Not ru_maxrss: that would be at least what the tests' own process has.
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) // 1024)
"""


def peak(daemon, source, out, what):
    """MiB that a process of its own needs."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, daemon.rpc, source, out, what],
        capture_output=True,
        text=True,
        env=dict(os.environ, OPENBLAS_NUM_THREADS="1"),
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


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


@pytest.mark.parametrize(
    "what", ["dense", "pq2_0", "hf_bitnet", "pack", "transposed", "verify", "verify against"]
)
def test_a_large_layer_needs_little_memory(daemon, large, tmp_path, what):
    assert peak(daemon, large, tmp_path / "out.safetensors", what) < PEAK_MIB_MAX


@pytest.mark.parametrize("encoding", ["int8", "hf_bitnet"])
def test_unpacking_needs_little_memory(daemon, large, tmp_path, encoding):
    packed = tmp_path / "packed.safetensors"
    peak(daemon, large, packed, encoding)
    assert peak(daemon, packed, tmp_path / "out.safetensors", "unpack") < PEAK_MIB_MAX
    assert peak(daemon, packed, "", "verify") < PEAK_MIB_MAX


def files(tmp_path, *names):
    return [tmp_path / f"{name}.safetensors" for name in names]


def same_bytes(daemon, ours, theirs, *words):
    """The command with these words writes to `theirs` what is in `ours`."""
    done = command(daemon, *words, "-o", theirs)
    assert done.returncode == 0, done.stderr
    assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize("encoding", ["int8", "dense"])
@pytest.mark.parametrize("transposed", [False, True])
def test_large_matrices_become_what_the_command_makes(
    daemon,
    client,
    drawn,  # noqa: F811
    tmp_path,
    encoding,
    transposed,
):
    """Stored as [in, out] or not: projected, unpacked and verified against their latents."""
    source, ours, theirs, back = files(tmp_path, "in", "ours", "theirs", "back")
    write(source, {"l.weight": f32(drawn(*ODD))})
    words = ["--transposed", "l.*"] if transposed else []
    options = {"transposed": "l.*"} if transposed else {}
    client.checkpoint.project(source, ours, encoding=encoding, **options)
    same_bytes(daemon, ours, theirs, "project", source, "-e", encoding, *words)
    client.checkpoint.unpack(ours, back, dtype="bf16")
    words_back = "unpack", ours, "--dtype", "bf16"
    same_bytes(daemon, back, tmp_path / "their_back.safetensors", *words_back)
    found = client.checkpoint.verify(ours, against=source, **options)
    assert found.passes
    same_as_the_command(daemon, found, ours, "--against", source, *words)


@pytest.mark.parametrize("other", ["int8", "pq2_0", "dense"])
def test_one_scale_and_several(daemon, client, drawn, tmp_path, other):  # noqa: F811
    """hf_bitnet to another encoding and back, as the command does it, byte for byte."""
    source, bitnet, ours, back = files(tmp_path, "in", "bitnet", "ours", "back")
    theirs, their_back = files(tmp_path, "theirs", "their_back")
    write(source, {"l.weight": f32(drawn(*FOURS))})
    client.checkpoint.project(source, bitnet, encoding="hf_bitnet")
    found = client.checkpoint.verify(bitnet, against=source)
    assert found.passes
    same_as_the_command(daemon, found, bitnet, "--against", source)
    if other == "dense":
        client.checkpoint.unpack(bitnet, ours, dtype="f32")
        same_bytes(daemon, ours, theirs, "unpack", bitnet, "--dtype", "f32")
    else:
        made = client.checkpoint.pack(bitnet, ours, encoding=other, allow_rounded_scales=True)
        assert (made.scales_rounded > 0) == (other == "pq2_0")
        same_bytes(daemon, ours, theirs, "pack", bitnet, "-e", other, "--round-scales")
    client.checkpoint.pack(ours, back, encoding="hf_bitnet")
    same_bytes(daemon, back, their_back, "pack", ours, "-e", "hf_bitnet")


def test_several_scales_do_not_become_one(client, tmp_path):
    """Also where calls of some rows each have one; nothing is written then."""
    source, ours, out = files(tmp_path, "in", "ours", "out")
    weight = np.full(FOURS, 0.5, np.float32)
    weight[FOURS[0] // 4 - 1] = 0.25  # the last row of the first quarter
    write(source, {"l.weight": f32(weight)})
    with pytest.raises(trit.InvalidArgument, match="l.weight: group 0 .* magnitudes 0.5 and 0.25"):
        client.checkpoint.pack(source, out, encoding="hf_bitnet")
    assert not out.exists()
    weight[: FOURS[0] // 4] = 0  # rows of zeros fit any scale
    write(source, {"l.weight": f32(weight)})
    client.checkpoint.pack(source, ours, encoding="hf_bitnet")
    assert client.checkpoint.verify(ours).passes


@pytest.mark.parametrize("encoding", ["int8", "hf_bitnet"])
def test_a_large_mismatch_is_explained_as_by_the_command(
    daemon,
    client,
    drawn,  # noqa: F811
    tmp_path,
    encoding,
):
    source, other, ours = files(tmp_path, "in", "other", "ours")
    weight = drawn(*FOURS)
    write(source, {"l.weight": f32(weight)})
    client.checkpoint.project(source, ours, encoding=encoding)
    weight[700, 3] *= -40
    write(other, {"l.weight": f32(weight)})
    found = client.checkpoint.verify(ours, against=other)
    assert found.verdict == "fail"
    same_as_the_command(daemon, found, ours, "--against", other)
    state = client.checkpoint.verify(ours, against={"l.weight": weight})
    assert [one.kind for one in state.findings] == [one.kind for one in found.findings]


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
    run_plan = trit.checkpoint.run_plan

    def cut(*args, **options):
        os.truncate(source, 100000)
        return run_plan(*args, **options)

    monkeypatch.setattr(trit.checkpoint, "run_plan", cut)
    with pytest.raises(trit.Aborted, match="became shorter"):
        client.checkpoint.project(source, out, encoding="pq2_0", again=True)
    assert not out.exists()
