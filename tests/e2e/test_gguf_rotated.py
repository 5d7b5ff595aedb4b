# SPDX-License-Identifier: Apache-2.0
"""GGUF files in the rotated basis of PrismML's builds, compared with latents that are not."""
import struct

import numpy as np
import pytest

import reference as ref
import schemas
from checkpoints import Raw, save
from gguf_files import F16, PQ2_0, gguf, pq2_0
from tritd import cli

BLOCK, WIDTH, ROWS = 64, 256, 24
DOWN, UP, PLAIN = "blk.0.ffn_down.weight", "blk.0.ffn_up.weight", "blk.0.ffn_gate.weight"
NAMES = {DOWN: "model.layers.0.mlp.down_proj.weight", UP: "model.layers.0.mlp.up_proj.weight",
         PLAIN: "model.layers.0.mlp.gate_proj.weight"}


def array(kind, code, values):
    return struct.pack("<IIQ", 9, code, len(values)) + np.asarray(values, kind).tobytes()


def hadamard(count):
    """Entry (i, j) is -1 where i and j have an odd number of ones in common."""
    index = np.arange(count)
    ones = np.array([bin(value).count("1") for value in range(count)])
    return 1 - 2 * (ones[index[:, None] & index[None, :]] & 1)


def rotated(weights, signs, dtype=np.float64):
    """Each block of a row times the signs, times the normalized matrix."""
    blocks = (weights.astype(dtype) * signs.astype(dtype)).reshape(len(weights), -1, BLOCK)
    return (blocks @ hadamard(BLOCK).astype(dtype) / dtype(BLOCK ** .5)).reshape(weights.shape)


def blocks_of(weights):
    codes, scales = ref.project(weights.astype(np.float32), 128)
    return codes.reshape(-1, 128).copy(), scales.reshape(-1).copy()


class Model:
    """A file of three layers, two of them rotated, and their latents."""

    def __init__(self, folder, random):
        self.path, self.latents = folder / "m.gguf", folder / "latents.safetensors"
        self.signs = random.choice([-1, 1], WIDTH)
        self.weights = {name: (random.standard_normal((ROWS, WIDTH)) * .05).astype(np.float32)
                        for name in NAMES}
        self.stored = {name: rotated(value, self.signs) if name != PLAIN else value
                       for name, value in self.weights.items()}
        self.keys = {"version": 1, "block_size": BLOCK, "sign_mode": "explicit",
                     "transform": "normalized-sylvester-walsh-hadamard", "axis": "input-last-dimension",
                     "sign_widths": array("<u4", 4, [512, WIDTH]),
                     "sign_values": array("i1", 1, [1] * 512 + list(self.signs)),
                     "weight_names": [DOWN], "inverse_weight_names": [UP]}
        save(self.latents, {theirs: self.weights[ours] for ours, theirs in NAMES.items()})

    def verify(self, daemon, change=None, others=(), *words):
        tensors = list(others)
        for name, value in self.stored.items():
            codes, scales = blocks_of(value)
            if change:
                change(name, codes, scales)
            tensors.append((name, PQ2_0, value.shape, pq2_0(codes, scales)))
        values = {f"prism.hadamard.{key}": value for key, value in self.keys.items()}
        self.path.write_bytes(gguf(tensors, {"general.architecture": "qwen3", **values}))
        done = cli(daemon, "verify", self.path, "--against", self.latents, "--json", *words)
        assert done.returncode in (0, 1, 4), done.stderr
        found = schemas.read(done.stdout)["findings"]
        return done.returncode, {(one.get("layer", one.get("tensor")), one["kind"]): one for one in found}


@pytest.fixture
def model(tmp_path, random):
    return Model(tmp_path, random)


def note(found):
    one, = [one for (_, kind), one in found.items() if kind == "rotated_basis"]
    return one


def test_passes_in_the_file_s_basis(daemon, model):
    """Listed layers are compared with the rotated latents, others with the latents as they are."""
    code, found = model.verify(daemon)
    assert code == 0, found
    assert "rotated for the comparison" in note(found)["hint"]
    model.keys["weight_names"], model.keys["inverse_weight_names"] = [], [UP, DOWN]
    assert model.verify(daemon)[0] == 0


def test_signs_may_be_identity(daemon, model):
    for name in (DOWN, UP):
        model.stored[name] = rotated(model.weights[name], np.ones(WIDTH))
    model.keys["sign_mode"] = "identity"
    del model.keys["sign_widths"], model.keys["sign_values"]
    assert model.verify(daemon)[0] == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_code_or_scale_fails(daemon, model, name):
    """Away from the threshold it is an error, in rotated layers and in others."""
    def codes(other, codes, scales):
        if other == name:
            codes[5, 7] = -1 if codes[5, 7] > 0 else codes[5, 7] + 1
            away = abs(abs(model.stored[name].reshape(-1, 128)[5, 7]) / scales[5] - .5)
            codes[5, 7] = codes[5, 7] if away > .05 else 3

    def scales(other, codes, scales):
        if other == name:
            scales[3] *= np.float32(1.1)

    code, found = model.verify(daemon, scales)
    assert code == 1 and found[name, "scales_differ"]["severity"] == "error"
    code, found = model.verify(daemon, codes)
    assert code == 1


@pytest.mark.parametrize("scale", [-1, np.nan, 0])
def test_a_scale_that_is_not_positive_is_not_close(daemon, model, scale):
    def change(other, codes, scales):
        if other == DOWN:
            scales[3] *= np.float32(scale)

    code, found = model.verify(daemon, change)
    assert code == 1 and found[DOWN, "scales_differ"]["severity"] == "error"


def flip_closest(name, model, count):
    """Turns the codes closest to the threshold to the other side of it."""
    def change(other, codes, scales):
        if other != name:
            return
        ratio = np.abs(model.stored[name]).reshape(-1, 128) / scales[:, None]
        for at in np.argsort(np.abs(ratio - .5), axis=None)[:count]:
            block, place = divmod(int(at), 128)
            sign = np.sign(model.stored[name].reshape(-1, 128)[block, place])
            codes[block, place] = 0 if codes[block, place] else sign
    return change


def test_ties_are_no_difference(daemon, model):
    """A weight within rounding of half of its scale may have either code; one that is only close
    leaves the verdict open, because the maker may have rounded rotated weights to 16 bits."""
    w = model.stored[DOWN]
    group = w[0, :128]
    # A weight of the first group at half of its mean: the mean of the others, halved.
    rest = np.abs(group[1:]).sum()
    group[0] = .5 * rest / 127.5
    model.weights[DOWN] = (rotated(w, np.ones(WIDTH)) * model.signs).astype(np.float32)
    save(model.latents, {theirs: model.weights[ours] for ours, theirs in NAMES.items()})
    # One of the two codes is the one that we compute.
    both = [model.verify(daemon, flip_closest(DOWN, model, count)) for count in (0, 1)]
    assert [code for code, _ in both] == [0, 0], both
    other, = [found[DOWN, "codes_differ"] for _, found in both if (DOWN, "codes_differ") in found]
    assert other["severity"] == "note" and "2^-16" in other["hint"]
    code, found = model.verify(daemon, flip_closest(DOWN, model, 20))
    assert code == 4 and found[DOWN, "codes_differ"]["severity"] == "undecided"
    code, found = model.verify(daemon, flip_closest(DOWN, model, 1000))
    assert code == 1


BROKEN = {
    "another version": {"version": 2},
    "a block that is no power of two": {"block_size": 96},
    "another transform": {"transform": "fourier"},
    "another axis": {"axis": "output"},
    "another sign mode": {"sign_mode": "random"},
    "a sign of 2": {"sign_values": array("i1", 1, [2] * 768)},
    "too few signs": {"sign_values": array("i1", 1, [1] * 767)},
    "no signs": {"sign_values": None},
    "names that are numbers": {"weight_names": array("<u4", 4, [1])},
    "no names": {"weight_names": None},
    "a key that is not known": {"seed": 7},
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_rotation_that_is_not_given_is_undecided(daemon, model, case):
    """The note says what is not known; layers that differ are neither passed nor failed."""
    model.keys.update(BROKEN[case])
    model.keys = {key: value for key, value in model.keys.items() if value is not None}
    code, found = model.verify(daemon)
    assert code == 4 and found[DOWN, "codes_differ"]["severity"] == "undecided", found
    assert "not applied: prism.hadamard" in note(found)["hint"] or "its signs" in note(found)["hint"]


def test_widths_without_signs_are_undecided(daemon, model):
    model.keys["sign_widths"] = array("<u4", 4, [768])
    code, found = model.verify(daemon)
    assert code == 4 and found[DOWN, "codes_differ"]["severity"] == "undecided"
    assert (PLAIN, "codes_differ") not in found


def test_dense_tensors_in_the_basis_are_undecided(daemon, model, random):
    """An embedding that is listed but no layer is not rotated, and not failed."""
    embedding = (random.standard_normal((16, WIDTH)) * .05).astype(np.float32)
    stored = rotated(embedding, model.signs).astype("<f2")
    model.keys["inverse_weight_names"] = [UP, "token_embd.weight"]
    save(model.latents, {**{theirs: model.weights[ours] for ours, theirs in NAMES.items()},
                         "model.embed_tokens.weight": embedding})
    others = [("token_embd.weight", F16, stored.shape, stored.tobytes())]
    code, found = model.verify(daemon, None, others)
    assert code == 4 and found["token_embd.weight", "other_tensor_differs"]["severity"] == "undecided"
    model.keys["inverse_weight_names"] = [UP]
    code, found = model.verify(daemon, None, others)
    assert code == 1 and found["token_embd.weight", "other_tensor_differs"]["severity"] == "error"


def test_bf16_latents_and_large_rows(daemon, tmp_path, random):
    """Latents of another type, and more rows than are read at once, are rotated too."""
    weights = (random.standard_normal((1500, 1024)) * .05).astype(np.float32)
    narrow = ref.narrow(weights, 3)
    wide = ref.widen(narrow, 3).reshape(weights.shape)
    values = {"prism.hadamard.version": 1, "prism.hadamard.block_size": 1024,
              "prism.hadamard.transform": "normalized-sylvester-walsh-hadamard",
              "prism.hadamard.axis": "input-last-dimension", "prism.hadamard.sign_mode": "identity",
              "prism.hadamard.weight_names": ["a.weight"], "general.architecture": "x"}
    stored = (wide.astype(np.float64) @ hadamard(1024) / 32)
    codes, scales = blocks_of(stored)
    (tmp_path / "m.gguf").write_bytes(gguf([("a.weight", PQ2_0, weights.shape, pq2_0(codes, scales))], values))
    save(tmp_path / "l.safetensors", {"a.weight": Raw("BF16", weights.shape, narrow)})
    done = cli(daemon, "verify", tmp_path / "m.gguf", "--against", tmp_path / "l.safetensors", "--json")
    assert done.returncode == 0, done.stdout
