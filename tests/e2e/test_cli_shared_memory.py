# SPDX-License-Identifier: Apache-2.0
"""`trit` on the daemon's machine moves tensors through shared memory by itself; the files, the
reports and the verdicts are those of the socket."""
import json
import os
import re
import urllib.request

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tritd import CALL_SECONDS, SLOW, cli

SHAPE = (1100, 3200)  # 14 MB of f32, several rings; tiles end inside rows
RECEIVED = re.compile(r"^tritd_received_bytes_total (\d+)", re.M)


@pytest.fixture
def local(start, tmp_path):
    daemon = start("--listen", f"unix:{tmp_path}/s")
    daemon.local = f"unix:{tmp_path}/s"
    return daemon


@pytest.fixture(scope="module", params=["float32", "float16"])
def latents(request, tmp_path_factory):
    random = np.random.default_rng(3)
    path = tmp_path_factory.mktemp("latents") / "model.safetensors"
    save_file({f"layers.{i}.weight": random.standard_normal(SHAPE).astype(request.param)
               for i in range(1 if SLOW else 3)} | {"norm.weight": np.ones(7, np.float32)}, path)
    return path


def received(daemon):
    with urllib.request.urlopen(f"http://{daemon.http}/metrics", timeout=CALL_SECONDS) as got:
        return int(RECEIVED.search(got.read().decode())[1])


def run(daemon, *words, memory=True, code=0):
    """What the command printed as JSON, and how many bytes the daemon received by sockets."""
    before = received(daemon)
    done = cli(None, *words, "--json", env={
        "TRITD_ADDRESS": daemon.local, "TRIT_SHARED_MEMORY": "on" if memory else "off"})
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout), received(daemon) - before


def timeless(result):
    for report in result["layers"]:
        report.pop("time_unix_ns")
    result.pop("output", None)
    result.pop("file", None)
    return result


@pytest.mark.parametrize("filed", [False, True])
@pytest.mark.parametrize("encoding", ["dense", "int8", "q2_0", "pq2_0", "mlx_2bit"])
def test_a_projection_through_memory_writes_the_same_file(local, latents, tmp_path, encoding, filed):
    sent = os.path.getsize(latents)
    results = {}
    for memory in (True, False):
        out = tmp_path / f"{memory}.safetensors"
        words = ["--run", f"r{memory}"] if filed else []
        result, moved = run(local, "project", latents, "-o", out, "-e", encoding, *words, memory=memory)
        for report in result["layers"]:
            report.pop("run", None)
        results[memory] = timeless(result), out.read_bytes()
        assert moved < sent / 10 if memory else moved > sent * .9
    assert results[True] == results[False]


@pytest.mark.parametrize("against", [False, True])
def test_a_verification_through_memory_finds_the_same(local, latents, tmp_path, against):
    out = tmp_path / "out.safetensors"
    run(local, "project", latents, "-o", out, "-e", "int8")
    words = ["verify", out, *(("--against", latents) if against else ())]
    with_memory, moved = run(local, *words)
    without, sent = run(local, *words, memory=False)
    assert timeless(with_memory) == timeless(without)
    assert with_memory["verdict"] == "pass"
    assert moved < sent / 10
    tensors = load_file(out)
    tensors["layers.0.weight"][700, 5] = 7
    save_file(tensors, out)
    with_memory, _ = run(local, *words, code=1)
    without, _ = run(local, *words, memory=False, code=1)
    assert timeless(with_memory) == timeless(without)


@pytest.mark.parametrize("encoding", ["pq2_0", "mlx_2bit"])
def test_a_packed_claim_is_verified_through_memory(local, latents, tmp_path, encoding):
    """A chunk of it covers more latents than the shared memory has room for."""
    out = tmp_path / "out.safetensors"
    run(local, "project", latents, "-o", out, "-e", encoding)
    for code in (0, 1):
        with_memory, moved = run(local, "verify", out, "--against", latents, code=code)
        without, sent = run(local, "verify", out, "--against", latents, memory=False, code=code)
        assert timeless(with_memory) == timeless(without)
        assert with_memory["verdict"] == ("pass", "fail")[code]
        assert moved < sent / 10
        with open(out, "r+b") as file:  # four codes of the last matrix
            file.seek(-600000, os.SEEK_END)
            byte = file.read(1)[0]
            file.seek(-600000, os.SEEK_END)
            file.write(bytes([byte ^ 0x55]))


def test_latents_that_come_twice_go_through_memory_too(local, latents, tmp_path):
    """hf_bitnet has one scale for the tensor, so its latents are sent twice."""
    files = []
    for memory in ("on", "off"):
        out = tmp_path / f"{memory}.safetensors"
        env = {"TRITD_ADDRESS": local.local, "TRIT_SHARED_MEMORY": memory}
        before = received(local)
        done = cli(None, "project", latents, "-o", out, "-e", "hf_bitnet", env=env)
        assert done.returncode == 0, done.stderr
        done = cli(None, "verify", out, "--against", latents, env=env)
        assert done.returncode == 0, done.stdout
        assert (received(local) - before < os.path.getsize(latents)) == (memory == "on")
        files.append(out.read_bytes())
    assert files[0] == files[1]


def test_a_tensor_with_a_nan_is_refused_with_the_same_words(local, tmp_path):
    values = np.random.default_rng(4).standard_normal(SHAPE).astype(np.float32)
    values[1050, 17] = np.nan
    path = tmp_path / "nan.safetensors"
    save_file({"layers.0.weight": values}, path)
    errors = []
    for memory in ("on", "off"):
        done = cli(None, "project", path, "-o", tmp_path / "out.safetensors", env={
            "TRITD_ADDRESS": local.local, "TRIT_SHARED_MEMORY": memory})
        assert done.returncode == 3 and "NaN" in done.stderr
        errors.append(done.stderr)
    assert errors[0] == errors[1]
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize("words", [("--memory-buffers-max", "0"),
                                   ("--memory-buffer-bytes-max", "4096")])
def test_where_nothing_can_be_shared_the_socket_serves(start, latents, tmp_path, words):
    """No memory socket, or one that refuses: the command works, and says nothing of it."""
    daemon = start("--listen", f"unix:{tmp_path}/s", *words)
    done = cli(None, "project", latents, "-o", tmp_path / "out.safetensors",
               env={"TRITD_ADDRESS": f"unix:{tmp_path}/s"})
    assert done.returncode == 0 and not done.stderr
    assert received(daemon) > os.path.getsize(latents) * .9
