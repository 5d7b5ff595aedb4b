# SPDX-License-Identifier: Apache-2.0
"""trit layers against the daemon: each command, its JSON, its exit codes."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import reference as ref
import schemas
from held import GOLDEN, forge, normal
from tritd import cli


@pytest.fixture
def name(request):
    return "cli/" + request.node.name


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.safetensors"


def good(daemon, *words):
    done = cli(daemon, "layers", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def as_json(daemon, *words):
    return schemas.read(good(daemon, *words, "--json"))


@pytest.fixture
def weights(tmp_path, random):
    """A file with a layer's latents, its bias, and a tensor that is no layer."""
    tensors = {"fc.weight": normal(random, 24, 256), "fc.bias": normal(random, 24),
               "other": normal(random, 2, 3, 4)}
    path = tmp_path / "in.safetensors"
    save_file(tensors, path)
    return path, tensors


def test_create_list_and_delete(daemon, name):
    made = as_json(daemon, "create", name + "/a", "--in-features", 256, "--out-features", 40,
                   "--bias", "--seed", 3)
    assert made == {"name": name + "/a", "kind": "linear", "in_features": 256,
                    "out_features": 40, "bias": True, "group_size": 128, "keep_latents": False}
    assert "embedding [50, 64]" in good(daemon, "create", name + "/b", "--kind", "embedding",
                                        "--in-features", 64, "--out-features", 50,
                                        "--group-size", 64)
    listed = as_json(daemon, "list", name)["layers"]
    assert listed[0] == made and listed[1]["kind"] == "embedding"
    assert listed[1]["group_size"] == 64
    table = good(daemon, "list", name)
    assert name + "/a" in table and "[40, 256]" in table and "embedding" in table
    assert name + "/b" in good(daemon, "list")
    assert as_json(daemon, "delete", name + "/a") == {"deleted": name + "/a"}
    assert "deleted" in good(daemon, "delete", name + "/b")
    assert "no layers" in good(daemon, "list", name)
    assert as_json(daemon, "list", name) == {"layers": []}


def test_a_layer_goes_in_and_comes_out_of_a_file(daemon, name, weights, out):
    path, tensors = weights
    made = as_json(daemon, "load", name, path, "--tensor", "fc.weight", "--bias-tensor",
                   "fc.bias", "--keep-latents")
    assert made["bias"] and made["keep_latents"]
    assert (made["out_features"], made["in_features"]) == (24, 256)
    assert "[24, 256]" in good(daemon, "get", name)
    assert "seed" not in as_json(daemon, "get", name)

    got = as_json(daemon, "get", name, "-o", out, "--encoding", "int8")
    assert got["output"] == str(out) and got["encoding"] == "int8"
    codes, scales = ref.project(tensors["fc.weight"])
    found = load_file(out)
    assert set(found) == {name, name + ".scales", name + ".bias"}
    assert found[name].tobytes() == codes.tobytes() and found[name].shape == (24, 256)
    assert found[name + ".scales"].tobytes() == scales.tobytes()
    assert found[name + ".bias"].tobytes() == tensors["fc.bias"].tobytes()
    assert cli(daemon, "verify", out).returncode == 0

    good(daemon, "get", name, "-o", out, "--force", "--part", "latents")
    assert load_file(out)[name].tobytes() == tensors["fc.weight"].tobytes()
    for words in (["--dtype", "bf16"], ["--encoding", "pq2_0"], []):
        good(daemon, "get", name, "-o", out, "--force", *words)
        assert cli(daemon, "verify", out).returncode == 0, words


def test_load_finds_the_tensor_by_the_layers_name_or_alone(daemon, name, tmp_path):
    weight = GOLDEN["linear_256_96.weight"]
    both, alone = tmp_path / "both.safetensors", tmp_path / "alone.npy"
    save_file({name: weight, "x": np.ones(3, np.float32)}, both)
    np.save(alone, weight)
    good(daemon, "load", name, both)
    good(daemon, "load", name + "2", alone, "--kind", "embedding")
    reports = as_json(daemon, "verify", name)["layers"]
    assert [one["layer"] for one in reports] == [name, name + "2"]
    assert reports[0]["digest"] == reports[1]["digest"]


def test_seeds_are_shown_whole(daemon, name):
    good(daemon, "create", name, "--in-features", 64, "--out-features", 2, "--seed", 2**64 - 1)
    assert as_json(daemon, "get", name)["seed"] == 2**64 - 1


def test_verify_reports_every_layer(daemon, name):
    for number in range(3):
        good(daemon, "create", f"{name}/{number}", "--in-features", 200, "--out-features", 9)
    found = as_json(daemon, "verify", name + "/", "--tolerance", 0)
    assert found["is_ternary"] and len(found["layers"]) == 3
    for report in found["layers"]:
        assert report["is_ternary"] and report["max_round_error"] == 0
        assert report["shape"] == [9, 200] and report["run"] == ""
    table = good(daemon, "verify", name + "/")
    assert table.count("ternary") == 3 and f"{name}/2" in table
    none = cli(daemon, "layers", "verify", name + "/none")  # a typing error is no success
    assert none.returncode == 4 and "nothing was verified" in none.stdout


def test_a_layer_that_is_not_ternary_is_1(start):
    own = start()
    for name in ("a/good", "a/bad"):
        good(own, "create", name, "--in-features", 64, "--out-features", 16)
    assert own.stop() == 0
    forge(own.folder / "data/layers/held/a%2Fbad")
    again = start()
    done = cli(again, "layers", "verify")
    assert done.returncode == 1 and not done.stderr
    rows = {row.split()[0]: row for row in done.stdout.splitlines()}
    assert "NOT TERNARY" in rows["a/bad"] and "NOT" not in rows["a/good"]
    done = cli(again, "layers", "verify", "--json")
    found = schemas.read(done.stdout)
    assert done.returncode == 1 and not found["is_ternary"]
    assert [one["is_ternary"] for one in found["layers"]] == [False, True]
    assert cli(again, "layers", "verify", "a/good").returncode == 0


def test_a_failed_call_or_file_is_3(daemon, name, weights, out, tmp_path):
    path, _ = weights
    good(daemon, "create", name, "--in-features", 64, "--out-features", 2)
    sick = tmp_path / "nan.npy"
    np.save(sick, np.full((2, 64), np.nan, np.float32))
    for words, part in [
            (["create", name, "--in-features", 64, "--out-features", 2], "ALREADY_EXISTS"),
            (["create", name + "x", "--in-features", 0, "--out-features", 2], "--in-features"),
            (["load", name, path, "--tensor", "fc.weight"], "ALREADY_EXISTS"),
            (["load", name + "x", path], name + "x"),
            (["load", name + "x", path, "--tensor", "nothing"], "nothing"),
            (["load", name + "x", path, "--tensor", "other"], "rank 3"),
            (["load", name + "x", path, "--tensor", "fc.weight", "--bias-tensor", "no"], "no"),
            (["load", name + "x", tmp_path / "missing.npy"], "missing.npy"),
            (["load", name + "x", sick], "128"),
            (["get", "none"], "NOT_FOUND"),
            (["get", "none", "-o", out], "NOT_FOUND"),
            (["get", name, "-o", tmp_path / "no" / "such" / "file"], "no/such/file"),
            (["get", name, "-o", out, "--encoding", "pq2_0"], "64"),
            (["delete", "none"], "NOT_FOUND")]:
        done = cli(daemon, "layers", *words)
        assert done.returncode == 3 and part in done.stderr, (words, done.stderr)
        assert not done.stdout
    assert not out.exists()
    assert cli(None, "layers", "list", env={"TRITD_ADDRESS": "127.0.0.1:1"}).returncode == 3


def test_a_layer_is_not_made_from_codes(daemon, name, weights, tmp_path):
    path, _ = weights
    gguf, codes = tmp_path / "packed.gguf", tmp_path / "codes.safetensors"
    assert cli(daemon, "project", path, "-o", gguf, "-e", "pq2_0").returncode == 0
    save_file({"fc.weight": np.zeros((2, 64), np.float32), "codes": np.zeros((2, 64), np.int8),
               "bias": np.zeros(2, np.int8)}, codes)
    for words, message in [
            ([gguf, "--tensor", "fc.weight"], f"{gguf}: fc.weight is PQ2_0"),
            ([codes, "--tensor", "codes"], f"{codes}: codes is I8"),
            ([codes, "--tensor", "fc.weight", "--bias-tensor", "bias"], f"{codes}: bias is I8")]:
        done = cli(daemon, "layers", "load", name, *words)
        assert done.returncode == 3
        assert done.stderr == f"trit: {message}, a layer is made from F32, F16 or BF16\n"


def test_usage_is_2_and_help_is_0(daemon, out):
    for words in ([], ["nonsense"], ["create"], ["create", "x"], ["load", "x"], ["get"],
                  ["delete"], ["create", "x", "--in-features", 64],
                  ["create", "x", "--in-features", "many", "--out-features", 1],
                  ["create", "x", "--in-features", 1, "--out-features", 1, "--kind", "conv"],
                  ["create", "n" * 256, "--in-features", 64, "--out-features", 1],
                  ["get", "x", "--encoding", "int8"], ["get", "x", "--part", "all", "-o", out],
                  ["get", "x", "-o", out, "--part", "latents", "--dtype", "f16"],
                  ["list", "--seed", 1], ["list", "a", "b"]):
        done = cli(daemon, "layers", *words)
        assert done.returncode == 2 and done.stderr and not done.stdout, words
    for words in (["--help"], ["help"], *([one, "--help"] for one in (
            "list", "create", "load", "get", "verify", "delete"))):
        done = cli(None, "layers", *words)
        assert done.returncode == 0 and done.stdout, words
    assert "layers" in cli(None, "--help").stdout
