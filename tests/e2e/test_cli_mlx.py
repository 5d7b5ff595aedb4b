# SPDX-License-Identifier: Apache-2.0
"""mlx_2bit in files: U32 codes with separate f16 scales and biases, as mlx-lm stores them."""
import json

import numpy as np
import pytest

import schemas
from checkpoints import header_of, load, save
from tritd import cli


@pytest.fixture
def model(daemon, tmp_path, random):
    """Latents of one layer, and their projection with its record."""
    latents = {"l.weight": (random.standard_normal((16, 256)) * .02).astype(np.float32),
               "norm.weight": np.ones(256, np.float32)}
    save(tmp_path / "latents.safetensors", latents)
    done = cli(daemon, "project", tmp_path / "latents.safetensors", "-o",
               tmp_path / "out.safetensors", "-e", "mlx_2bit")
    assert done.returncode == 0, done.stderr
    return latents, load(tmp_path / "out.safetensors")


def dequantized(tensors, group=128):
    """scale * code + bias, as mlx.core.dequantize computes it, in f32."""
    words = tensors["l.weight"]
    codes = np.stack([words >> np.uint32(2 * i) & 3 for i in range(16)], -1)
    codes = codes.reshape(words.shape[0], -1).astype(np.float32)
    scales, biases = (np.repeat(tensors[name].astype(np.float32), group, 1)
                      for name in ("l.scales", "l.biases"))
    return codes * scales + biases


def verify(daemon, folder, tensors, *words, record=None, config=None):
    metadata = {"format": "mlx"}
    if record:
        metadata["trit"] = json.dumps(record)
    save(folder / "claim.safetensors", tensors, metadata)
    if config:
        (folder / "config.json").write_text(json.dumps(config))
    done = cli(daemon, "verify", folder / "claim.safetensors", "--json", *words)
    assert done.stdout, done.stderr
    return done.returncode, schemas.read(done.stdout)


def test_layout(daemon, tmp_path, model):
    """The tensors have mlx-lm's names, types and shapes, and dequantize to t.f16(s)."""
    latents, out = model
    assert out["l.weight"].dtype == np.uint32 and out["l.weight"].shape == (16, 16)
    assert out["l.scales"].dtype == np.float16 and out["l.scales"].shape == (16, 2)
    np.testing.assert_array_equal(out["l.biases"], -out["l.scales"])
    means = np.abs(latents["l.weight"].reshape(16, 2, 128)).astype(np.float64).mean(2)
    scales = means.astype(np.float32)
    wide = np.repeat(scales, 128, 1)
    trits = np.where(2 * np.abs(latents["l.weight"]) > wide, np.sign(latents["l.weight"]), 0)
    expected = trits * np.repeat(scales.astype(np.float16).astype(np.float32), 128, 1)
    np.testing.assert_array_equal(dequantized(out), expected)


@pytest.mark.parametrize("group", [64, 128])
def test_groups(daemon, tmp_path, model, group):
    """Both of MLX's group sizes verify, by their record and against the latents; other sizes
    are refused before anything is sent."""
    out = tmp_path / f"{group}.safetensors"
    done = cli(daemon, "project", tmp_path / "latents.safetensors", "-o", out, "-e", "mlx_2bit",
               "-g", group)
    assert done.returncode == 0, done.stderr
    done = cli(daemon, "verify", out, "--against", tmp_path / "latents.safetensors")
    assert done.returncode == 0, done.stdout
    done = cli(None, "project", tmp_path / "latents.safetensors", "-n", "-e", "mlx_2bit", "-g", "32")
    assert done.returncode == 2 and "64 or 128" in done.stderr


def test_config_says_how(daemon, tmp_path, model):
    """Without a record, config.json's quantization says how layers are packed; without either
    the file is not judged."""
    _, out = model
    code, found = verify(daemon, tmp_path, out)
    assert code == 4 and found["findings"][0]["kind"] == "foreign_packing"
    code, found = verify(daemon, tmp_path, out, "-e", "mlx_2bit")
    assert code == 0 and len(found["layers"]) == 1
    config = {"quantization": {"group_size": 128, "bits": 2}}
    code, found = verify(daemon, tmp_path, out, config=config)
    assert code == 0 and found["encoding"] == "mlx_2bit" and len(found["layers"]) == 1
    config = {"quantization": {"group_size": 64, "bits": 4}}
    code, found = verify(daemon, tmp_path, out, config=config)  # codes of 4 bits: not ternary
    assert code == 1 and found["findings"][0]["kind"] == "not_ternary"


def test_biases_that_are_not_minus_scales(daemon, tmp_path, model):
    """A group whose bias is not -scale is not ternary, and fails."""
    _, out = model
    out["l.biases"][3, 1] = 0
    record = json.loads(header_of(tmp_path / "out.safetensors")["__metadata__"]["trit"])
    code, found = verify(daemon, tmp_path, out, record=record)
    one, = found["findings"]
    assert code == 1 and one["kind"] == "not_ternary" and int(one["group"]) == 7
    assert one["layer"] == "l.weight" and int(one["count"]) == 1


@pytest.mark.parametrize("part", ["scales", "biases"])
def test_missing_parts(daemon, tmp_path, model, part):
    """A layer without its scales or biases fails, and the missing tensor is named."""
    _, out = model
    del out[f"l.{part}"]
    record = json.loads(header_of(tmp_path / "out.safetensors")["__metadata__"]["trit"])
    code, found = verify(daemon, tmp_path, out, record=record)
    assert code == 1 and found["findings"][0]["kind"] == "missing_tensor"
    assert found["findings"][0]["tensor"] == f"l.{part}"


def test_code_3(daemon, tmp_path, model):
    """A code 3 means 2s, which is not a ternary weight."""
    _, out = model
    out["l.weight"][1, 2] |= np.uint32(3)
    code, found = verify(daemon, tmp_path, out, "-e", "mlx_2bit")
    one, = found["findings"]
    assert code == 1 and one["kind"] == "code_out_of_range" and int(one["index"]) == 256 + 32
