# SPDX-License-Identifier: Apache-2.0
"""A file and its latents with different tensor names."""

import numpy as np
import pytest

import schemas
from checkpoints import load, save
from tritd import cli


@pytest.fixture
def pair(daemon, tmp_path, random):
    """Latents of three layers and a norm, and their projection."""
    latents = {f"model.layers.{i}.mlp.up_proj.weight":
               (random.standard_normal((8, 256)) * .02).astype(np.float32) for i in range(3)}
    latents["model.norm.weight"] = np.ones(256, np.float32)
    save(tmp_path / "latents.safetensors", latents)
    done = cli(daemon, "project", tmp_path / "latents.safetensors", "-o",
               tmp_path / "out.safetensors")
    assert done.returncode == 0, done.stderr
    return latents, load(tmp_path / "out.safetensors")


def verify(daemon, folder, *words):
    done = cli(daemon, "verify", folder / "claim.safetensors", "--against",
               folder / "other.safetensors", "--json", *words)
    return done.returncode, schemas.read(done.stdout) if done.stdout else done.stderr


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "base_model.model."])
@pytest.mark.parametrize("side", ["claim", "latents"])
def test_prefix(daemon, tmp_path, pair, prefix, side):
    """A prefix on either side fails and is reported, and --strip-prefix removes it."""
    latents, out = pair
    if side == "claim":
        out = {prefix + name: tensor for name, tensor in out.items()}
    else:
        latents = {prefix + name: tensor for name, tensor in latents.items()}
    save(tmp_path / "claim.safetensors", out)
    save(tmp_path / "other.safetensors", latents)
    code, found = verify(daemon, tmp_path)
    assert code == 1
    renamed = [one for one in found["findings"] if one["kind"] == "renamed"]
    assert len(renamed) == 4 and all(f"--strip-prefix '{prefix}'" in one["hint"]
                                     for one in renamed)
    assert not [one for one in found["findings"] if one["kind"].startswith(("missing", "extra"))]
    code, found = verify(daemon, tmp_path, "--strip-prefix", prefix)
    assert code == 0, found


def test_rename(daemon, tmp_path, pair):
    """A star in OLD matches any text, and the same star in NEW inserts it."""
    latents, out = pair
    save(tmp_path / "claim.safetensors",
         {name.replace("model.", "h.", 1).replace("mlp.up_proj", "fc"): tensor
          for name, tensor in out.items()})
    save(tmp_path / "other.safetensors", latents)
    code, found = verify(daemon, tmp_path)
    assert code == 1
    rules = ("--rename", "h.layers.*.fc.weight=model.layers.*.mlp.up_proj.weight",
             "--rename", "h.norm.*=model.norm.*")
    code, found = verify(daemon, tmp_path, *rules)
    assert code == 0, found


def test_only_one_of_its_form(daemon, tmp_path, pair):
    """If one layer is missing and one of the same form is extra, the finding suggests the
    pair."""
    latents, out = pair
    name = "model.layers.1.mlp.up_proj.weight"
    out["fc.weight"] = out.pop(name)
    save(tmp_path / "claim.safetensors", out)
    save(tmp_path / "other.safetensors", latents)
    code, found = verify(daemon, tmp_path)
    one, = [one for one in found["findings"] if one["kind"] == "renamed"]
    assert code == 1 and one["layer"] == name and f"--rename 'fc.weight={name}'" in one["hint"]
    assert verify(daemon, tmp_path, "--rename", f"fc.weight={name}")[0] == 0


def test_missing_layer_stays_missing(daemon, tmp_path, pair):
    """A layer that the file lacks under every name is missing, and fails."""
    latents, out = pair
    name = "model.layers.1.mlp.up_proj.weight"
    del out[name]
    save(tmp_path / "claim.safetensors", out)
    save(tmp_path / "other.safetensors", latents)
    code, found = verify(daemon, tmp_path)
    assert code == 1
    assert [one["layer"] for one in found["findings"] if one["kind"] == "missing_layer"] == [name]


def test_swapped_layers(daemon, tmp_path, pair):
    """Layers with swapped names differ, and no rename is suggested."""
    latents, out = pair
    a, b = "model.layers.0.mlp.up_proj.weight", "model.layers.1.mlp.up_proj.weight"
    out[a], out[b] = out[b], out[a]
    save(tmp_path / "claim.safetensors", out)
    save(tmp_path / "other.safetensors", latents)
    code, found = verify(daemon, tmp_path)
    assert code == 1 and {one["layer"] for one in found["findings"]} >= {a, b}


@pytest.mark.parametrize("words", [
    ("--rename", "none.*=other.*"), ("--rename", "a=b=c"), ("--rename", "a"), ("--rename", "=b"),
    ("--rename", "a=*"), ("--strip-prefix", "none."),
    ("--rename", "model.layers.*.mlp.up_proj.weight=one.weight")])
def test_invalid_rules_are_refused(daemon, tmp_path, pair, words):
    """A rename that matches nothing, is malformed, or gives two tensors one name is refused."""
    latents, out = pair
    save(tmp_path / "claim.safetensors", out)
    save(tmp_path / "other.safetensors", latents)
    code, message = verify(daemon, tmp_path, *words)
    assert code in (2, 3) and message
