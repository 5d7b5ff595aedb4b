# SPDX-License-Identifier: Apache-2.0
"""trit pack and trit unpack change the encoding of weights that are already ternary."""
import json

import numpy as np
import pytest

import schemas
from checkpoints import Raw, bf16, header_of, load, save
from folders import load_folder, save_folder
from tritd import cli

PACKED = ["int8", "pq2_0", "q2_0", "ptq1_0", "tq1_0", "tq2_0", "mlx_2bit", "hf_bitnet"]


def scaled(random, rows, columns, group, scales=None):
    """Ternary weights whose scales are exact in f16; one group is all zero."""
    codes = random.integers(-1, 2, (rows, columns)).astype(np.float32)
    codes[0, :group] = 0
    if scales is None:
        scales = random.integers(1, 2048, (rows, columns // group)).astype(np.float32) / 4096
    return codes * np.repeat(scales, group, 1)


@pytest.fixture
def ternary(tmp_path, random):
    """A file of one ternary layer in groups of 256, with a norm."""
    tensors = {"l.weight": scaled(random, 8, 512, 256), "norm.weight": np.ones(512, np.float32)}
    save(tmp_path / "ternary.safetensors", tensors, {"format": "pt"})
    return tensors


def run(daemon, command, source, out, *words):
    return cli(daemon, command, source, "-o", out, *words)


@pytest.mark.parametrize("encoding", [one for one in PACKED if one != "hf_bitnet"])
def test_there_and_back(daemon, tmp_path, ternary, encoding):
    """Packing and unpacking give the same weights, bit for bit except for the sign of zero;
    nothing else changes."""
    group = ("-g", "256") if encoding.startswith("tq") else ()
    packed, back = tmp_path / "packed.safetensors", tmp_path / "back.safetensors"
    done = run(daemon, "pack", tmp_path / "ternary.safetensors", packed, "-e", encoding, *group)
    assert done.returncode == 0, done.stderr
    done = cli(daemon, "verify", packed)
    assert done.returncode == 0, done.stdout
    done = run(daemon, "unpack", packed, back)
    assert done.returncode == 0, done.stderr
    for name, tensor in load(back).items():
        np.testing.assert_array_equal(tensor, ternary[name])
    done = cli(None, "diff", tmp_path / "ternary.safetensors", packed)
    assert done.returncode == 0, done.stdout


def test_one_scale_for_the_tensor(daemon, tmp_path, random):
    """hf_bitnet holds a tensor with one scale; one with several is refused, naming the first
    group that differs."""
    weight = scaled(random, 8, 256, 256, np.full((8, 1), .375, np.float32))
    save(tmp_path / "in.safetensors", {"l.weight": weight})
    out = tmp_path / "out.safetensors"
    done = run(daemon, "pack", tmp_path / "in.safetensors", out, "-e", "hf_bitnet")
    assert done.returncode == 0, done.stderr
    assert load(out)["l.weight_scale"] == np.float32(.375)
    done = run(daemon, "unpack", out, tmp_path / "back.safetensors")
    np.testing.assert_array_equal(load(tmp_path / "back.safetensors")["l.weight"], weight)
    weight[5] *= 2
    save(tmp_path / "in.safetensors", {"l.weight": weight})
    done = run(daemon, "pack", tmp_path / "in.safetensors", tmp_path / "2.safetensors", "-e",
               "hf_bitnet")
    assert done.returncode == 1 and "l.weight" in done.stderr
    assert not (tmp_path / "2.safetensors").exists()


def test_a_large_matrix_names_its_first_misfit(daemon, tmp_path, random):
    """hf_bitnet is packed some rows of each quarter at a time; the message counts in the
    matrix."""
    t = random.integers(-1, 2, (2048, 2048)).astype(np.int8)
    t[700, 5 * 128] = 1
    scales = np.full((2048, 16), np.float32(.375))
    scales[700, 5] = .75
    dense = (t * np.repeat(scales, 128, axis=1)).astype(np.float32)
    save(tmp_path / "in.safetensors", {"l.weight": dense})
    done = run(daemon, "pack", tmp_path / "in.safetensors", tmp_path / "a.safetensors", "-e", "hf_bitnet")
    assert done.returncode == 1
    assert f"0.375 and 0.75, which element {700 * 2048 + 640} is the first" in done.stderr
    save(tmp_path / "in.safetensors", {"l.weight": t, "l.weight.scales": scales})
    done = run(daemon, "pack", tmp_path / "in.safetensors", tmp_path / "a.safetensors", "-e", "hf_bitnet",
               "--from-encoding", "int8")
    assert done.returncode == 1
    assert f"group {700 * 16 + 5} (elements {700 * 2048 + 640} to" in done.stderr
    assert "row 700) needs one scale in hf_bitnet" in done.stderr
    assert not (tmp_path / "a.safetensors").exists()


@pytest.mark.parametrize("encoding", ["tq1_0", "tq2_0"])
def test_blocks_without_a_record(daemon, tmp_path, ternary, encoding):
    """A file that does not say that its rows are blocks of 256 is read by --from-encoding, or
    -e of verify, without a group size."""
    packed, bare = tmp_path / "packed.safetensors", tmp_path / "bare.safetensors"
    done = run(daemon, "pack", tmp_path / "ternary.safetensors", packed, "-e", encoding)
    assert done.returncode == 0, done.stderr
    save(bare, {"l.weight": load(packed)["l.weight"], "norm.weight": ternary["norm.weight"]})
    done = cli(daemon, "verify", bare, "-e", encoding, "--json")
    assert done.returncode == 0, done.stderr
    assert schemas.read(done.stdout)["layers"][0]["group_size"] == 256
    out = tmp_path / "dense.safetensors"
    done = run(daemon, "unpack", bare, out, "--from-encoding", encoding)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(load(out)["l.weight"], ternary["l.weight"])
    done = run(daemon, "pack", bare, tmp_path / "o.safetensors", "--from-encoding", encoding, "-e",
               "pq2_0")
    assert done.returncode == 0, done.stderr


def test_what_projection_would_shrink(daemon, tmp_path, ternary):
    """project refuses a ternary file and suggests pack, which keeps the scales."""
    out = tmp_path / "out.safetensors"
    done = run(daemon, "project", tmp_path / "ternary.safetensors", out)
    assert done.returncode == 1 and "trit pack" in done.stderr
    done = run(daemon, "pack", tmp_path / "ternary.safetensors", out, "-e", "pq2_0")
    assert done.returncode == 0, done.stderr
    assert cli(None, "diff", tmp_path / "ternary.safetensors", out).returncode == 0


def test_smaller_blocks(daemon, tmp_path, random):
    """q2_0 in groups of 64 is read in groups of 128 where nothing says otherwise. The refusal names the
    option that reads it, or the blocks that cannot hold it."""
    t = scaled(random, 8, 256, 64)
    save(tmp_path / "dense.safetensors", {"l.weight": t})
    packed, out = tmp_path / "packed.safetensors", tmp_path / "out.safetensors"
    assert run(daemon, "pack", tmp_path / "dense.safetensors", packed, "-e", "q2_0", "-g", 64).returncode == 0
    save(packed, load(packed))
    words = "--from-encoding", "q2_0", "-e"
    done = run(daemon, "pack", packed, out, *words, "int8")
    assert done.returncode == 1 and "use --group-size 64" in done.stderr
    done = run(daemon, "pack", packed, out, *words, "pq2_0")
    assert done.returncode == 1 and "a block of pq2_0 has one scale for 128 weights" in done.stderr
    assert run(daemon, "pack", packed, out, *words, "int8", "-g", 64).returncode == 0


def test_not_ternary(daemon, tmp_path, ternary, random):
    """A layer that is not ternary is refused with its first bad group, and nothing is
    written."""
    ternary["l.weight"][3, 300] = 7
    save(tmp_path / "in.safetensors", ternary)
    done = run(daemon, "pack", tmp_path / "in.safetensors", tmp_path / "o.safetensors", "-e", "pq2_0")
    assert done.returncode == 1 and "l.weight" in done.stderr and "group 14" in done.stderr
    assert "check --group-size" in done.stderr and "options." not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.safetensors",
                                                                "ternary.safetensors"]


def test_scales_that_do_not_fit(daemon, tmp_path, random):
    """A scale that is not exact in the encoding's type is refused; --round-scales rounds
    it."""
    weight = scaled(random, 4, 256, 128, np.float32(1) / np.arange(3, 11, dtype=np.float32).reshape(4, 2))
    save(tmp_path / "in.safetensors", {"l.weight": weight})
    out = tmp_path / "out.safetensors"
    done = run(daemon, "pack", tmp_path / "in.safetensors", out, "-e", "pq2_0")
    assert done.returncode == 1 and "l.weight" in done.stderr
    assert "use --round-scales" in done.stderr and "options." not in done.stderr
    assert run(daemon, "pack", tmp_path / "in.safetensors", out, "-e", "int8").returncode == 0
    done = run(daemon, "pack", tmp_path / "in.safetensors", out, "-e", "pq2_0", "--force",
               "--round-scales", "--json")
    assert done.returncode == 0, done.stderr
    assert schemas.read(done.stdout)["scales_rounded"] > 0


@pytest.mark.parametrize("source", [one for one in PACKED if one != "hf_bitnet"])
@pytest.mark.parametrize("target", [one for one in PACKED if one != "hf_bitnet"])
def test_transcode(daemon, tmp_path, ternary, source, target):
    """Repacking a packed file gives the same bytes as packing the dense file."""
    group = ("-g", "256") if "tq1_0" in (source, target) or "tq2_0" in (source, target) else ()
    if group and "mlx_2bit" in (source, target):
        pytest.skip("mlx_2bit holds groups of 64 and 128, tq groups of 256")
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    direct = tmp_path / "direct.safetensors"
    for path, words in ((first, (source,)), (direct, (target,))):
        done = run(daemon, "pack", tmp_path / "ternary.safetensors", path, "-e", *words, *group)
        assert done.returncode == 0, done.stderr
    done = run(daemon, "pack", first, second, "-e", target)
    assert done.returncode == 0, done.stderr
    expected = load(direct)
    for name, tensor in load(second).items():
        np.testing.assert_array_equal(tensor, expected[name])


def test_experts_and_folders(daemon, tmp_path, random):
    """The experts of a folder are packed matrix by matrix, and unpacking restores them."""
    experts = np.stack([scaled(random, 8, 256, 128) for _ in range(3)])
    tensors = [{"m.experts.up_proj": experts}, {"m.fc.weight": scaled(random, 8, 256, 128)}]
    save_folder(tmp_path / "model", tensors, {"model_type": "qwen3_moe"})
    done = run(daemon, "pack", tmp_path / "model", tmp_path / "packed", "-e", "q2_0")
    assert done.returncode == 0, done.stderr
    assert load_folder(tmp_path / "packed")["m.experts.up_proj"].shape == (3, 8, 72)
    done = run(daemon, "unpack", tmp_path / "packed", tmp_path / "back")
    assert done.returncode == 0, done.stderr
    for name, tensor in load_folder(tmp_path / "back").items():
        np.testing.assert_array_equal(tensor, {**tensors[0], **tensors[1]}[name])


def test_unpack_to_another_type(daemon, tmp_path, ternary):
    """--dtype sets the type of unpacked layers; a value that it cannot represent is
    refused."""
    packed = tmp_path / "packed.safetensors"
    assert run(daemon, "pack", tmp_path / "ternary.safetensors", packed, "-e", "int8").returncode == 0
    done = run(daemon, "unpack", packed, tmp_path / "half.safetensors", "--dtype", "f16")
    assert done.returncode == 0, done.stderr
    half = load(tmp_path / "half.safetensors")["l.weight"]
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half.astype(np.float32), ternary["l.weight"])


def test_unpack_is_the_projection(daemon, tmp_path, random):
    """Unpacking an int8 projection of bf16 latents gives the dense projection, bit for bit."""
    latents = (random.standard_normal((8, 256)) * .02).astype(np.float32)
    save(tmp_path / "latents.safetensors", {"l.weight": bf16(latents)})
    paths = {}
    for encoding in ("dense", "int8"):
        paths[encoding] = tmp_path / f"{encoding}.safetensors"
        done = run(daemon, "project", tmp_path / "latents.safetensors", paths[encoding], "-e", encoding)
        assert done.returncode == 0, done.stderr
    done = run(daemon, "unpack", paths["int8"], tmp_path / "back.safetensors")
    assert done.returncode == 0, done.stderr
    assert "trits as they were" in done.stdout and "16 scales were rounded" in done.stdout
    found, expected = (load(path)["l.weight"] for path in (tmp_path / "back.safetensors",
                                                           paths["dense"]))
    assert isinstance(found, Raw) and found.dtype == "BF16"
    values = [np.frombuffer(one.data, np.uint16) for one in (found, expected)]
    np.testing.assert_array_equal(*[np.where(one == 0x8000, 0, one) for one in values])


def test_dry_run_and_refusals(tmp_path, random):
    """--dry-run shows the plan without a daemon; every layer that does not fit is named."""
    save(tmp_path / "in.safetensors", {f"l{width}.weight": scaled(random, 4, width, width)
                                       for width in (100, 128, 130)})
    done = cli(None, "pack", tmp_path / "in.safetensors", "-n", "--json", "-e", "pq2_0",
               env={"TRITD_ADDRESS": "127.0.0.1:1"})
    plan = schemas.read(done.stdout)
    assert done.returncode == 1
    assert {one["name"]: one["action"] for one in plan["tensors"]} == {
        "l100.weight": "refuse", "l128.weight": "pack", "l130.weight": "refuse"}
    done = cli(None, "pack", tmp_path / "in.safetensors", "-o", tmp_path / "o.safetensors")
    assert done.returncode == 2 and "-e" in done.stderr


def test_record_of_the_output(daemon, tmp_path, ternary):
    """The output's record gives the encoding and the original form of each layer."""
    out = tmp_path / "out.safetensors"
    assert run(daemon, "pack", tmp_path / "ternary.safetensors", out, "-e", "q2_0").returncode == 0
    record = json.loads(header_of(out)["__metadata__"]["trit"])
    assert record["encoding"] == "q2_0" and record["group_size"] == 128
    assert record["layers"]["l.weight"] == {"dtype": "F32", "shape": [8, 512]}


def test_blocks_of_256_from_equal_scales(daemon, tmp_path, random):
    """tq1_0 and tq2_0 hold layers whose scales are equal over 256 weights, without -g."""
    weight = (random.integers(-1, 2, (4, 512)) * np.float32(.5)).astype(np.float32)
    save(tmp_path / "a.safetensors", {"l.weight": weight})
    for encoding in ("tq1_0", "tq2_0"):
        out = tmp_path / f"{encoding}.safetensors"
        done = cli(daemon, "pack", tmp_path / "a.safetensors", "-o", out, "-e", encoding)
        assert done.returncode == 0, done.stderr
        assert cli(daemon, "diff", tmp_path / "a.safetensors", out).returncode == 0
    for source in ("mlx_2bit", "int8", "hf_bitnet"):  # whose scales are a tensor of their own
        out = tmp_path / f"{source}.safetensors"
        assert cli(daemon, "pack", tmp_path / "a.safetensors", "-o", out, "-e", source).returncode == 0
        done = cli(daemon, "pack", out, "-o", tmp_path / f"{source}.gguf", "-e", "tq2_0")
        assert done.returncode == 0, done.stderr
        assert cli(daemon, "diff", tmp_path / "a.safetensors", tmp_path / f"{source}.gguf").returncode == 0
    weight[2, 128:256] *= 2
    save(tmp_path / "a.safetensors", {"l.weight": weight})
    done = cli(daemon, "pack", tmp_path / "a.safetensors", "-o", tmp_path / "b.safetensors", "-e",
               "tq1_0")
    assert done.returncode == 1 and "group 4" in done.stderr and "0.5 and 1" in done.stderr


def test_unpack_of_dense_layers(daemon, tmp_path, random):
    """Layers that are dense already get the type that is asked for, rounded and counted as those
    of a packed file; a weight that becomes 0 or infinite is refused."""
    weight = (random.integers(-1, 2, (4, 256)) * np.float32(.1)).astype(np.float16)
    save(tmp_path / "a.safetensors", {"l.weight": weight})
    done = cli(daemon, "unpack", tmp_path / "a.safetensors", "-o", tmp_path / "b.safetensors")
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(load(tmp_path / "b.safetensors")["l.weight"],
                                  weight.astype(np.float32))
    done = cli(daemon, "unpack", tmp_path / "a.safetensors", "-o", tmp_path / "c.safetensors",
               "--dtype", "bf16", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["scales_rounded"] == "8"
    packed, dense = tmp_path / "p.safetensors", tmp_path / "d.safetensors"
    for words in (("pack", tmp_path / "a.safetensors", "-o", packed, "-e", "int8"),
                  ("unpack", packed, "-o", dense, "--dtype", "bf16", "--json")):
        done = cli(daemon, *words)
        assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["scales_rounded"] == "8"
    ours, theirs = (load(path)["l.weight"] for path in (tmp_path / "c.safetensors", dense))
    assert ours.data == theirs.data
    save(tmp_path / "e.safetensors", {"l.weight": (weight != 0).astype(np.float32) * 1e-9})
    done = cli(daemon, "unpack", tmp_path / "e.safetensors", "-o", tmp_path / "f.safetensors",
               "--dtype", "f16")
    assert done.returncode == 1 and "F16 rounds element" in done.stderr
    assert not (tmp_path / "f.safetensors").exists()


@pytest.mark.parametrize("encoding", ["pq2_0", "int8", "mlx_2bit", "hf_bitnet"])
def test_layers_that_are_not_unpacked_stay_layers(daemon, tmp_path, random, encoding):
    """The record of a partial unpack, or pack, says how each layer is encoded."""
    files = {name: tmp_path / f"{name}.safetensors" for name in ("in", "all", "part", "rest", "int8")}
    save(files["in"], {f"{name}.weight": (random.standard_normal((8, 256)) * .02).astype(np.float32)
                       for name in "abc"})
    for words in (("project", files["in"], "-o", files["all"], "-e", encoding),
                  ("unpack", files["all"], "-o", files["part"], "--include", "b.*"),
                  ("unpack", files["part"], "-o", files["rest"]),
                  ("pack", files["part"], "-o", files["int8"], "-e", "int8", "--exclude", "[ac].*")):
        done = cli(daemon, *words)
        assert done.returncode == 0, (words, done.stderr)
    for name in ("part", "rest", "int8"):
        done = cli(daemon, "verify", files[name], "--json")
        assert done.returncode == 0, (name, done.stdout)
        assert len(json.loads(done.stdout)["layers"]) == 3
        assert cli(daemon, "diff", files["all"], files[name]).returncode == 0
    done = cli(daemon, "verify", files["part"], "--against", files["in"])
    # A dense layer has groups of 128, and its scales are not those of a narrower type.
    assert done.returncode == (0 if encoding == "int8" else 1), done.stdout


@pytest.mark.parametrize("option", ["--include", "--exclude", "--transposed"])
def test_a_pattern_that_matches_nothing(daemon, tmp_path, option):
    """A pattern that matches no tensor is an error of usage, as in project and verify."""
    path, out = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save(path, {"l.weight": np.ones((4, 256), np.float32)})
    commands = [("pack", path, "-o", out, "-e", "int8"), ("unpack", path, "-o", out)]
    if option == "--transposed":
        commands.append(("diff", path, path))
    for words in commands:
        done = cli(daemon, *words, option, "none.*")
        assert done.returncode == 2 and "'none.*' matches no tensor" in done.stderr
    assert not out.exists()
