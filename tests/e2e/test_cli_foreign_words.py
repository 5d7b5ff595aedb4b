# SPDX-License-Identifier: Apache-2.0
"""Ternary weights of compressed-tensors (pack-quantized) and gemlite: verified, unpacked and
packed. The files are made here; the owners' package, where it is installed, makes the same."""
import json

import numpy as np
import pytest

import schemas
from checkpoints import Raw, load, save
from tritd import cli

ROWS, COLUMNS = 24, 200  # rows that need padding at 2 bits: 200 * 2 / 32 = 12.5 words


def trits(random, groups):
    t = random.integers(-1, 2, (ROWS, COLUMNS)).astype(np.int8)
    scales = (random.integers(1, 99, (ROWS, groups)) / 64).astype(np.float32)
    return t, scales, (t * np.repeat(scales, COLUMNS // groups, axis=1)).astype(np.float32)


def words(codes, bits):
    """Codes [rows, columns] without gaps, the lowest bits first, rows filled up to 32 bits."""
    stream = (codes[..., None].astype(np.uint8) >> np.arange(bits) & 1).astype(np.uint8)
    stream = stream.reshape(len(codes), -1)
    stream = np.pad(stream, ((0, 0), (0, -stream.shape[1] % 32)))
    return np.packbits(stream, axis=1, bitorder="little").view(np.int32)


def compressed(t, scales, bits, name="l", shape=(ROWS, COLUMNS)):
    return {f"{name}.weight_packed": words(t.astype(np.int16) + (1 << bits - 1), bits),
            f"{name}.weight_scale": scales,
            f"{name}.weight_shape": Raw("I64", (2,), np.array(shape, np.int64).tobytes())}


def gemlite(t, scales, bits, mode, word=np.int32, channels=0, zero=1):
    """What GemLiteLinear's state dict holds: words of codes along the columns of [in, out]."""
    codes = t.T.astype(np.int64) + zero
    each = np.dtype(word).itemsize * 8 // bits
    packed = np.zeros((codes.shape[0] // each, codes.shape[1]), np.uint64)
    for j in range(each):
        packed |= codes[j::each].astype(np.uint64) << np.uint64(bits * j)
    unsigned = np.dtype(word).str.replace("i", "u")
    meta = [0, bits, COLUMNS // scales.shape[1], (1 << bits) - 1, each, 1, 1, 0, 1, channels, mode, 1]
    size = np.dtype(word).itemsize
    kinds = {1: "U8", 2: "I16", 4: "I32"}
    data = packed.astype(unsigned)
    zeros = np.ascontiguousarray(-scales.T * zero) if mode == 4 else np.array(zero, np.int32)
    return {"l.W_q": Raw(kinds[size], data.shape, data.tobytes()),
            "l.scales": np.ascontiguousarray(scales.T), "l.zeros": zeros,
            "l.metadata": np.array(meta, np.int32), "l.orig_shape": np.array([ROWS, COLUMNS], np.int32),
            "l.meta_scale": np.array(0, np.float32)}


def verify(daemon, path, *words_):
    done = cli(daemon, "verify", path, "--json", *words_)
    assert done.returncode in (0, 1, 4), done.stderr
    found = schemas.read(done.stdout)
    return done.returncode, found, {one["kind"] for one in found["findings"]}


CASES = {
    **{f"compressed-tensors {bits} bits, {groups} groups":
       (lambda t, s, bits=bits: compressed(t, s, bits), groups)
       for bits in (2, 4, 8) for groups in (1, 5)},
    **{f"gemlite {bits} bits, mode {mode}, {np.dtype(word).name}":
       (lambda t, s, bits=bits, mode=mode, word=word: gemlite(t, s, bits, mode, word), 5)
       for bits, mode, word in ((2, 3, np.int16), (2, 4, np.uint8), (4, 4, np.int32),
                                (8, 3, np.int32))},
    "gemlite of channels": (lambda t, s: gemlite(t, s, 2, 1, np.uint8, channels=1), 1),
}


def test_config_groups(daemon, tmp_path, random):
    """A layer of compressed-tensors that no group of config.json describes fails."""
    t, scales, _ = trits(random, 5)
    right = {"num_bits": 4, "group_size": 40, "symmetric": True, "type": "int", "strategy": "group"}
    for number, (weights, expected) in enumerate((
            (right, None), ({"num_bits": 4}, None), (right | {"actorder": "weight"}, None),
            (right | {"num_bits": 8}, "8 bits in groups of 40"),
            (right | {"group_size": 20}, "4 bits in groups of 20"),
            (right | {"strategy": "channel", "group_size": None}, "4 bits, a scale for each row"),
            *((right | change, "asymmetric, float or reordered weights")
              for change in ({"symmetric": False}, {"type": "float"}, {"actorder": "group"})))):
        path = tmp_path / str(number)
        path.mkdir()
        save(path / "model.safetensors", compressed(t, scales, 4))
        other = {"weights": right | {"num_bits": 3}}
        groups = {"group_1": {"weights": weights}} | ({} if expected else {"group_0": other, "none": {"weights": None}})
        (path / "config.json").write_text(json.dumps({"quantization_config": {
            "quant_method": "compressed-tensors", "config_groups": groups}}))
        code, found, kinds = verify(daemon, path)
        assert (code, kinds) == ((1, {"config_disagrees"}) if expected else (0, set())), weights
        assert [(one["expected"], one["got"]) for one in found["findings"]] == (
            [(expected, "4 bits in groups of 40")] if expected else [])


@pytest.mark.parametrize("name", CASES)
def test_ternary_weights(daemon, tmp_path, random, name):
    """They pass; they equal latents of the same values; unpacked they have these values, under the
    name of the dense weight; packed they verify."""
    make, groups = CASES[name]
    t, scales, values = trits(random, groups)
    path = tmp_path / "a.safetensors"
    save(path, {**make(t, scales), "norm.weight": np.ones(8, np.float32)})
    code, found, kinds = verify(daemon, path)
    assert code == 0 and not kinds, found["findings"]
    assert found["layers"][0]["shape"] == [ROWS, COLUMNS]
    done = cli(daemon, "unpack", path, "-o", tmp_path / "dense.safetensors", "--dtype", "f32")
    assert done.returncode == 0, done.stderr
    dense = load(tmp_path / "dense.safetensors")
    assert set(dense) == {"l.weight", "norm.weight"}
    np.testing.assert_array_equal(dense["l.weight"], values)
    assert cli(daemon, "diff", path, tmp_path / "dense.safetensors").returncode == 0
    done = cli(daemon, "pack", path, "-o", tmp_path / "b.safetensors", "-e", "int8", "-g",
               COLUMNS // groups)
    assert done.returncode == 0, done.stderr
    assert load(tmp_path / "b.safetensors")["l.weight"].dtype == np.int8
    assert verify(daemon, tmp_path / "b.safetensors")[0] == 0


@pytest.mark.parametrize("name", ["compressed-tensors 4 bits, 5 groups", "gemlite 4 bits, mode 4, int32"])
def test_weights_that_are_not_ternary(daemon, tmp_path, random, name):
    """The first weight that is not is named, and packing is refused with its group."""
    make, groups = CASES[name]
    t, scales, _ = trits(random, groups)
    t[7, 130], t[7, 131] = 2, 1
    path = tmp_path / "a.safetensors"
    save(path, make(t, scales))
    code, found, kinds = verify(daemon, path)
    assert code == 1 and kinds == {"not_ternary"}
    assert 7 * COLUMNS + 120 <= found["findings"][0]["index"] < 7 * COLUMNS + 160
    done = cli(daemon, "pack", path, "-o", tmp_path / "b.safetensors", "-e", "int8", "-g", 40)
    assert done.returncode == 1 and "group 38" in done.stderr, done.stderr
    assert not (tmp_path / "b.safetensors").exists()


@pytest.mark.parametrize("name", ["compressed-tensors 2 bits, 5 groups", "gemlite 2 bits, mode 3, int16",
                                  "gemlite 4 bits, mode 4, int32", "gemlite of channels"])
def test_a_scale_of_0_under_codes(daemon, tmp_path, random, name):
    """Its values are zeros, so the claim fails; under codes of 0 it does not."""
    make, groups = CASES[name]
    t, scales, _ = trits(random, groups)
    width = COLUMNS // groups
    scales[7, groups - 1], scales[9, 0] = 0, -0.0
    t[9, :width] = 0
    path = tmp_path / "a.safetensors"
    save(path, make(t, scales))
    code, found, kinds = verify(daemon, path)
    assert code == 1 and kinds == {"scale_zero_under_codes"}
    assert (found["findings"][0]["group"], found["findings"][0]["count"]) == (8 * groups - 1, 1)
    done = cli(daemon, "pack", path, "-o", tmp_path / "b.safetensors", "-e", "int8", "-g", width)
    assert done.returncode == 1 and "has the scale 0, but nonzero codes" in done.stderr
    assert not (tmp_path / "b.safetensors").exists()
    t[7, -width:] = 0
    save(path, make(t, scales))
    assert verify(daemon, path)[0] == 0


@pytest.mark.parametrize("scale, kind", [(-.5, "scale_negative"), (np.nan, "scale_non_finite"), (np.inf, "scale_non_finite")])
@pytest.mark.parametrize("name", ["compressed-tensors 2 bits, 1 groups", "gemlite 2 bits, mode 3, int16"])
def test_a_wrong_scale(daemon, tmp_path, random, name, scale, kind):
    """A negative scale flips every sign of its group, and no number comes from a NaN or an infinity:
    the claim fails and is not packed, as of this project's encodings. Unpacked it is the negative
    values, or nothing."""
    make, groups = CASES[name]
    t, scales, values = trits(random, groups)
    width = COLUMNS // groups
    scales[7, groups - 1] = scales[9, 0] = scale
    path, out = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save(path, make(t, scales))
    code, found, kinds = verify(daemon, path)
    assert code == 1 and kind in kinds
    first = next(one for one in found["findings"] if one["kind"] == kind)
    assert (first["group"], first["count"]) == (8 * groups - 1, 2)
    assert first["got"] == str(scale)
    done = cli(daemon, "pack", path, "-o", out, "-e", "int8", "-g", width)
    assert done.returncode == 1 and f"group {8 * groups - 1} has the scale {scale}" in done.stderr
    done = cli(daemon, "unpack", path, "-o", out)
    if scale < 0:
        values[7, -width:], values[9, :width] = t[7, -width:] * scale, t[9, :width] * scale
        np.testing.assert_array_equal(load(out)["l.weight"], values)
    else:
        assert done.returncode == 1 and f"group {8 * groups - 1} has the scale {scale}" in done.stderr
        assert not out.exists()


def test_against_latents(daemon, tmp_path, random):
    """The dense weight's latents are found by name; a flipped code is named."""
    latents = (random.standard_normal((ROWS, COLUMNS)) * .02).astype(np.float32)
    groups = latents.reshape(ROWS, 5, 40)
    scales = np.abs(groups).mean(2, dtype=np.float64).astype(np.float32)
    t = np.clip(np.rint(groups / scales[..., None]), -1, 1).astype(np.int8).reshape(ROWS, COLUMNS)
    save(tmp_path / "latents.safetensors", {"l.weight": latents})
    path = tmp_path / "a.safetensors"
    for make in (lambda: compressed(t, scales, 2), lambda: gemlite(t, scales, 2, 3, np.uint8)):
        save(path, make())
        code, found, kinds = verify(daemon, path, "--against", tmp_path / "latents.safetensors")
        assert code == 0 and not kinds, found["findings"]
        kept, t[3, 7] = t[3, 7], 0 if t[3, 7] else 1
        save(path, make())
        code, found, kinds = verify(daemon, path, "--against", tmp_path / "latents.safetensors")
        assert code == 1 and "codes_differ" in kinds and found["findings"][0]["index"] == 3 * COLUMNS + 7
        t[3, 7] = kept


def test_an_excluded_layer_counts_its_weights(daemon, tmp_path, random):
    """An excluded layer counts its weights, not its words, which hold several weights each."""
    t, scales, _ = trits(random, 5)
    save(tmp_path / "a.safetensors", {**compressed(t, scales, 2), **compressed(t, scales, 2, "m")})
    code, found, _ = verify(daemon, tmp_path / "a.safetensors", "--exclude", "m.*")
    assert code == 0 and found["examined"] == found["kept"] == t.size


def test_unknown_forms_are_inconclusive(daemon, tmp_path, random):
    """Zero points, permutations, shapes and metadata that do not fit leave the verdict open."""
    t, scales, _ = trits(random, 5)
    good, other = compressed(t, scales, 4), gemlite(t, scales, 2, 3, np.uint8)
    def numbers(name, values, kind=np.int32):
        return {name: np.array(values, kind)}
    meta = list(other["l.metadata"])
    for tensors in (
            {**good, "l.weight_zero_point": np.zeros((3, 5), np.int32)},
            {**good, "l.weight_g_idx": np.zeros(COLUMNS, np.int32)},
            {**good, **numbers("l.weight_shape", [ROWS, COLUMNS + 8])},
            {**good, **numbers("l.weight_shape", [ROWS + 1, COLUMNS])},
            {**good, **numbers("l.weight_shape", [ROWS, -COLUMNS])},
            {**good, **numbers("l.weight_shape", [ROWS])},
            {**other, **numbers("l.orig_shape", [COLUMNS, ROWS])},
            {**other, **numbers("l.orig_shape", [-ROWS, -COLUMNS])},
            {**other, **numbers("l.metadata", meta[:3])},
            {**other, **numbers("l.metadata", meta[:1] + [3] + meta[2:])},
            {**other, **numbers("l.metadata", meta[:4] + [-4] + meta[5:])},
            {**other, **numbers("l.metadata", meta[:10] + [7] + meta[11:])},
            {**other, **numbers("l.metadata", meta[:2] + [20] + meta[3:])},  # groups of 20, scales of 40
            {**other, **numbers("l.metadata", meta[:9] + [1, 1] + meta[11:])},  # by row, five scales a row
            {**other, **numbers("l.metadata", meta[:9] + [5] + meta[10:])},
            {**other, **numbers("l.metadata", meta[:5] + [17] + meta[6:])}):  # MXFP4
        save(tmp_path / "a.safetensors", tensors)
        code, _, kinds = verify(daemon, tmp_path / "a.safetensors")
        assert code == 4 and kinds == {"foreign_packing", "nothing_examined"}, tensors.keys()


def test_the_owners_package_packs_the_same(random):
    """compressed-tensors' own packer writes the words that these tests write."""
    torch = pytest.importorskip("torch", reason="pip install torch compressed-tensors")
    helpers = pytest.importorskip("compressed_tensors.compressors.pack_quantized.helpers",
                                  reason="pip install torch compressed-tensors")
    t, _, _ = trits(random, 1)
    for bits in (2, 4, 8):
        theirs = helpers.pack_to_int32(torch.from_numpy(t), bits).numpy()
        np.testing.assert_array_equal(theirs, words(t.astype(np.int16) + (1 << bits - 1), bits))
