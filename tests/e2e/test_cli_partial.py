# SPDX-License-Identifier: Apache-2.0
"""Layers that --exclude leaves packed stay readable: config.json and the record still say how."""
import json
import struct

import numpy as np
import pytest

import schemas
from checkpoints import header_of, load
from folders import save_folder
from test_cli_foreign import folder, mlx
from tritd import cli

MODULES = [f"model.layers.{i}.mlp.up_proj" for i in range(3)]
KEPT = MODULES[1]


@pytest.fixture
def model(random, tmp_path):
    save_folder(tmp_path / "model", [
        {f"{name}.weight": (random.standard_normal((64, 256)) * .02).astype(np.float16)
         for name in MODULES}], {"model_type": "qwen3"})
    return tmp_path / "model"


def without_record(path):
    raw, header = path.read_bytes(), header_of(path)
    end = 8 + int.from_bytes(raw[:8], "little")
    del header["__metadata__"]["trit"]
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[end:])


def config_of(path):
    return json.loads((path / "config.json").read_text())


@pytest.mark.parametrize("has_record", [True, False])
@pytest.mark.parametrize("command", [("unpack",), ("pack", "-e", "int8")])
@pytest.mark.parametrize("encoding", ["mlx_2bit", "hf_bitnet"])
def test_a_layer_that_stays_packed(daemon, tmp_path, model, encoding, command, has_record):
    packed, out = tmp_path / "packed", tmp_path / "out"
    done = cli(daemon, "project", model, "-o", packed, "-e", encoding)
    assert done.returncode == 0, done.stderr
    if not has_record:
        without_record(packed / "model.safetensors")
    before = config_of(packed)
    done = cli(daemon, *command, packed, "-o", out, "-x", f"{KEPT}*")
    assert done.returncode == 0, done.stderr
    config = config_of(out)
    if encoding == "mlx_2bit":
        assert config == before
    else:
        block = config["quantization_config"]
        assert sorted(block.pop("modules_to_not_convert")) == [MODULES[0], MODULES[2]]
        assert block.items() <= before["quantization_config"].items()
    done = cli(daemon, "verify", out, "--json")
    found = schemas.read(done.stdout)
    assert done.returncode == 0 and not found["findings"], found["findings"]
    assert len(found["layers"]) == 3
    a, b = load(packed / "model.safetensors"), load(out / "model.safetensors")
    np.testing.assert_array_equal(a[f"{KEPT}.weight"], b[f"{KEPT}.weight"])
    # Nothing stays packed: the block is gone.
    whole = tmp_path / "whole"
    assert cli(daemon, *command, packed, "-o", whole).returncode == 0
    assert config_of(whole) == {"model_type": "qwen3"}


def test_layers_of_other_bits_keep_theirs(daemon, tmp_path, random):
    """In a model of several bits the layers that stay are still read by their own; what is said of
    the others is dropped, and mlx_2bit gets its block."""
    tensors = {}
    for name, bits in (("a", 4), ("b", 4), ("c", 8)):
        one, _, _ = mlx(random, bits, True)
        tensors |= {key.replace("l.", f"{name}."): value for key, value in one.items()}
    block = {"group_size": 64, "bits": 4, "c": {"group_size": 64, "bits": 8},
             "b": {"group_size": 64, "bits": 4}}
    source = folder(tmp_path / "in", tensors, {"quantization": block, "quantization_config": block})
    done = cli(daemon, "unpack", source, "-o", tmp_path / "dense", "-x", "c.*")
    assert done.returncode == 0, done.stderr
    left = {"group_size": 64, "bits": 4, "c": {"group_size": 64, "bits": 8}}
    assert config_of(tmp_path / "dense") == {"quantization": left, "quantization_config": left}
    done = cli(daemon, "pack", source, "-o", tmp_path / "two", "-e", "mlx_2bit", "-x", "c.*", "-x",
               "b.*", "-g", "64")
    assert done.returncode == 0, done.stderr
    both = {"group_size": 64, "bits": 2, "b": {"group_size": 64, "bits": 4},
            "c": {"group_size": 64, "bits": 8}}
    assert config_of(tmp_path / "two") == {"quantization": both, "quantization_config": both}
    for out, words in (("dense", ("-g", "64")), ("two", ())):
        done = cli(daemon, "verify", tmp_path / out, *words)
        assert done.returncode == 0, done.stdout


def test_bits_by_an_option(daemon, tmp_path, random):
    """Where several widths fit the shapes and no config.json tells, --bits does; the finding names
    the widths and the option."""
    tensors, values, _ = mlx(random, 4, True)
    source = folder(tmp_path / "in", tensors)
    done = cli(daemon, "verify", source, "--json")
    assert done.returncode == 4
    hint = schemas.read(done.stdout)["findings"][0]["hint"]
    assert "2 or 4 or 8 bits: say which with --bits (2: --encoding mlx_2bit)" in hint
    assert cli(daemon, "verify", source, "--bits", "4").returncode == 0
    assert cli(daemon, "verify", source, "--bits", "8").returncode == 1
    done = cli(daemon, "unpack", source, "-o", tmp_path / "out", "--bits", "4")
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(load(tmp_path / "out" / "model.safetensors")["l.weight"], values)
    assert cli(None, "inspect", source, "--bits", "4").returncode == 0
    done = cli(None, "verify", source, "--bits", "7")
    assert done.returncode == 2 and "'7' is not one of 2, 3, 4, 5, 6, 8" in done.stderr
