# SPDX-License-Identifier: Apache-2.0
"""Ternary kernels of Keras 3: a model that Keras itself saved (tests/gen/keras_ternary.py)."""
import shutil
import zipfile

import numpy as np
import pytest

import schemas
from checkpoints import load
from tritd import ROOT, cli

MODEL = ROOT / "tests/data/keras_ternary.keras"
VALUES = load(ROOT / "tests/data/keras_ternary.safetensors")


def verify(daemon, path, *words):
    done = cli(daemon, "verify", path, "--json", *words)
    assert done.returncode in (0, 1, 4), done.stderr
    return done.returncode, schemas.read(done.stdout)


def changed(path, old, new, count=1):
    """A copy of the model with bytes replaced; zip's checksums are not checked."""
    data = MODEL.read_bytes()
    assert data.count(old) >= count and len(old) == len(new)
    path.write_bytes(data.replace(old, new, count))
    return path


def test_values_are_those_of_keras(daemon, tmp_path):
    """verify passes with the shapes [units, inputs]; unpack gives t * scale as Keras computes it, and
    pack what verifies."""
    code, found = verify(daemon, MODEL)
    assert code == 0 and not found["findings"]
    assert {one["layer"]: tuple(one["shape"]) for one in found["layers"]} == {
        name: value.shape for name, value in VALUES.items()}
    done = cli(daemon, "unpack", MODEL, "-o", tmp_path / "dense.safetensors")
    assert done.returncode == 0, done.stderr
    dense = load(tmp_path / "dense.safetensors")
    for name, value in VALUES.items():
        np.testing.assert_array_equal(dense[name], value)
    assert "layers/dense/vars/2" not in dense and dense["layers/dense/vars/1"].shape == (10,)
    done = cli(daemon, "pack", MODEL, "-o", tmp_path / "packed.safetensors", "-e", "int8")
    assert done.returncode == 0, done.stderr
    assert verify(daemon, tmp_path / "packed.safetensors")[0] == 0
    assert cli(daemon, "diff", MODEL, tmp_path / "packed.safetensors").returncode == 0


def test_inspect(daemon):
    done = cli(daemon, "inspect", MODEL, "--json")
    assert done.returncode == 0, done.stderr
    found = schemas.read(done.stdout)
    assert found["format"] == "keras" and len(found["tensors"]) == 12


def test_weights_without_config_are_undecided(daemon, tmp_path):
    """Nothing in them tells how many of the last byte's weights are padding."""
    with zipfile.ZipFile(MODEL) as archive:
        archive.extract("model.weights.h5", tmp_path)
    code, found = verify(daemon, tmp_path / "model.weights.h5")
    assert code == 4
    assert {one["kind"] for one in found["findings"]} == {"foreign_packing", "nothing_examined"}
    assert "number of its inputs" in found["findings"][0]["hint"]


@pytest.mark.parametrize("words", [("project", "-e", "pq2_0"), ("verify",), ("pack", "-e", "int8")])
def test_broken_files_are_refused(daemon, tmp_path, words):
    """One rule of HDF5 broken: every command names it, and writes nothing."""
    path = changed(tmp_path / "m.keras", b"SNOD\x01", b"SNOD\x02")
    output = [] if words[0] == "verify" else ["-o", tmp_path / "out.safetensors"]
    done = cli(daemon, words[0], path, *words[1:], *output)
    assert done.returncode == 3 and "a node of symbols is malformed" in done.stderr
    assert not (tmp_path / "out.safetensors").exists()


def test_scale_that_is_not_finite(daemon, tmp_path):
    """The kernel with a threshold has the scale 1.0; as NaN it is found."""
    data = bytearray(MODEL.read_bytes())
    done = cli(daemon, "inspect", MODEL, "--json")
    place = data.rfind(np.float32(1).tobytes())
    assert done.returncode == 0 and place > 0
    data[place:place + 4] = np.float32(np.nan).tobytes()
    path = tmp_path / "m.keras"
    path.write_bytes(data)
    code, found = verify(daemon, path)
    assert code == 1 and "non_finite" in {one["kind"] for one in found["findings"]}


def test_keras_is_never_written(daemon, tmp_path):
    """Names of Keras's files are refused as outputs."""
    shutil.copy(MODEL, tmp_path / "in.keras")
    for name in ("out.keras", "out.h5"):
        done = cli(daemon, "unpack", tmp_path / "in.keras", "-o", tmp_path / name)
        assert done.returncode != 0 and not (tmp_path / name).exists()
