# SPDX-License-Identifier: Apache-2.0
"""trit diff: compares two checkpoints in any two encodings, without a daemon."""

import numpy as np
import pytest

import schemas
from checkpoints import header_of, load, save
from gguf_files import PQ2_0, gguf, pq2_0
from tritd import cli

ENCODINGS = ["int8", "pq2_0", "q2_0", "ptq1_0", "tq1_0", "tq2_0"]


@pytest.fixture
def latents(tmp_path, random):
    """Two layers whose scales are exact in f16, and a norm."""
    tensors = {f"layers.{i}.fc.weight": (random.standard_normal((16, 512)) * .02)
               .astype(np.float32) for i in range(2)}
    tensors["norm.weight"] = np.ones(512, np.float32)
    save(tmp_path / "latents.safetensors", tensors)
    return tensors


def project(daemon, folder, encoding, *words, source="latents"):
    out = folder / f"{source}-{encoding}.safetensors"
    done = cli(daemon, "project", folder / f"{source}.safetensors", "-o", out, "-e", encoding,
               *words)
    assert done.returncode == 0, done.stderr
    return out


def diff(a, b, *words):
    done = cli(None, "diff", a, b, "--json", *words, env={"TRITD_ADDRESS": "127.0.0.1:1"})
    assert done.returncode in (0, 1), done.stderr
    found = schemas.read(done.stdout)
    assert found["equal"] == (done.returncode == 0)
    return found


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encodings_have_equal_codes(daemon, tmp_path, latents, encoding):
    """The same projection has equal codes in every encoding; scales differ by the rounding of
    their type at most."""
    group = ("-g", "256") if encoding.startswith("tq") else ()
    found = diff(project(daemon, tmp_path, "dense", *group),
                 project(daemon, tmp_path, encoding, *group))
    assert [one["codes_differing"] for one in found["layers"]] == [0, 0]
    assert all(one["scale_ratio_max"] <= 1 + 2 ** -11 for one in found["layers"])
    assert all(one["equal"] for one in found["tensors"])


def test_hf_bitnet(daemon, tmp_path, latents):
    """The rows of hf_bitnet, four in a byte, are read in order."""
    packed = project(daemon, tmp_path, "hf_bitnet")
    tensors = load(packed)
    rows = tensors["layers.0.fc.weight"].shape[0]
    codes = np.concatenate([tensors["layers.0.fc.weight"] >> 2 * k & 3 for k in range(4)])
    scale = np.float32(tensors["layers.0.fc.weight_scale"][0])
    assert rows * 4 == 16
    save(tmp_path / "dense.safetensors",
         {**latents, "layers.0.fc.weight": (codes.astype(np.float32) - 1) * scale})
    found = diff(packed, tmp_path / "dense.safetensors")
    first = [one for one in found["layers"] if one["layer"] == "layers.0.fc.weight"]
    assert first[0]["equal"]


def test_counts(daemon, tmp_path, latents):
    """Flipped codes and a scaled group are counted, with positions and the ratio."""
    out = project(daemon, tmp_path, "dense")
    tensors = load(out)
    weight = tensors["layers.1.fc.weight"]
    places = np.argwhere(weight[3] > 0)[:3, 0]
    weight[3, places] = 0
    weight[5, 128:256] *= 2
    save(tmp_path / "other.safetensors", tensors)
    found = diff(out, tmp_path / "other.safetensors")
    equal, other = found["layers"]
    assert equal["equal"] and not other["equal"] and not found["equal"]
    assert other["codes_differing"] == 3 and other["first"] == 3 * 512 + places[0]
    assert other["transitions"][2 * 3 + 1] == 3 and sum(other["transitions"]) == 16 * 512
    assert other["scale_ratio_max"] == 2
    done = cli(None, "diff", out, tmp_path / "other.safetensors")
    assert done.returncode == 1 and "layers.1.fc.weight" in done.stdout
    assert "layers.0.fc.weight" not in done.stdout


def test_missing_and_other_tensors(daemon, tmp_path, latents):
    """A tensor that one side lacks and another tensor that differs are named; renames and
    prefixes apply."""
    out = project(daemon, tmp_path, "dense")
    tensors = load(out)
    tensors["norm.weight"][7] = 2
    tensors["extra.bias"] = np.zeros(4, np.float32)
    prefixed = {"module." + name: tensor for name, tensor in tensors.items()}
    save(tmp_path / "other.safetensors", prefixed)
    found = diff(tmp_path / "other.safetensors", out, "--strip-prefix", "module.")
    what = {one["tensor"]: one.get("what") for one in found["tensors"]}
    assert what == {"norm.weight": "1 elements differ", "extra.bias": "only in the first"}
    assert all(one["equal"] for one in found["layers"])
    found = diff(tmp_path / "other.safetensors", out, "--rename", "module.*=*")
    assert all(one["equal"] for one in found["layers"])


def test_another_shape(tmp_path, random):
    """A layer of another shape is reported as such."""
    weight = random.standard_normal((8, 256)).astype(np.float32)
    save(tmp_path / "a.safetensors", {"fc.weight": weight})
    save(tmp_path / "b.safetensors", {"fc.weight": weight.reshape(16, 128)})
    found = diff(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    assert found["tensors"] == [{"tensor": "fc.weight", "equal": False, "what": "another shape"}]


def test_nan_equals_itself(tmp_path, random):
    """A layer with NaN does not differ from the same layer."""
    weight = random.standard_normal((8, 256)).astype(np.float32)
    weight[3, 7] = np.nan
    save(tmp_path / "a.safetensors", {"fc.weight": weight})
    assert diff(tmp_path / "a.safetensors", tmp_path / "a.safetensors")["layers"][0]["equal"]


def test_nan_is_no_zero(daemon, tmp_path, random):
    """Neither a NaN, nor a group of zeros whose scale is NaN or infinite, equals zeros."""
    t = random.integers(-1, 2, (4, 256)).astype(np.int8)
    t[2, 128:] = 0
    scales = np.full((4, 2), .5, np.float32)
    weight = t * scales.repeat(128, 1)
    save(tmp_path / "a.safetensors", {"fc.weight": weight})
    for bad in (np.nan, np.inf):
        scales[2, 1] = bad
        (tmp_path / "b.gguf").write_bytes(gguf([("fc.weight", PQ2_0, (4, 256), pq2_0(t, scales))]))
        save(tmp_path / "c.safetensors", {"fc.weight": t, "fc.weight.scales": scales})
        weight[2, 128:] = np.nan
        save(tmp_path / "d.safetensors", {"fc.weight": weight})
        for other in ("b.gguf", "c.safetensors", "d.safetensors"):
            layer, = diff(tmp_path / "a.safetensors", tmp_path / other)["layers"]
            assert (layer["first"], layer["magnitudes_differing"]) == (640, 128)
            assert diff(tmp_path / "d.safetensors", tmp_path / other)["equal"]


def test_nothing_to_compare(tmp_path):
    """Two files without a tensor are not called equal."""
    for name in "ab":
        save(tmp_path / f"{name}.safetensors", {})
    done = cli(None, "diff", tmp_path / "a.safetensors", tmp_path / "b.safetensors", "--json")
    assert done.returncode == 3 and "nothing to compare" in done.stderr and not done.stdout


def test_layers_that_are_not_ternary(daemon, tmp_path, random):
    """A layer with code 3, or with biases that are not -scales, is compared byte for byte."""
    scales = (random.random((4, 2)) + .1).astype(np.float16)
    layer = {"l.weight": random.integers(0, 2**32, (4, 16), dtype=np.uint32), "l.scales": scales,
             "l.biases": -scales}
    odd = layer | {"l.weight": np.zeros((4, 16), np.uint32), "l.biases": scales}
    for name, tensors in (("a", layer), ("b", layer), ("c", odd), ("d", odd)):
        save(tmp_path / f"{name}.safetensors", tensors)
    words = ("-e", "mlx_2bit", "-g", "128", "--json")
    for a, b, code, what in (("a", "b", 0, None), ("c", "d", 0, None),
                             ("a", "c", 1, "its bytes differ; ")):
        done = cli(daemon, "diff", tmp_path / f"{a}.safetensors", tmp_path / f"{b}.safetensors", *words)
        found = schemas.read(done.stdout)
        assert done.returncode == code and found["layers"] == []
        one, = found["tensors"]
        assert one["tensor"] == "l.weight" and one.get("what", "").startswith(what or "")
    done = cli(daemon, "pack", tmp_path / "c.safetensors", "-o", tmp_path / "out.safetensors",
               "--from-encoding", "mlx_2bit", "-e", "int8")
    assert done.returncode == 1 and "a bias must be -scale" in done.stderr
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize("layout", ["out_in", "in_out"])
@pytest.mark.parametrize("name, each", [
    ("m.experts.up_proj", "m.experts.{}.up_proj.weight"),
    ("m.experts.up_proj.weight", "m.experts.{}.up_proj.weight"),
    ("m.switch_mlp.up_proj.weight", "m.experts.{}.up_proj.weight")])
def test_experts_in_one_tensor_or_one_each(daemon, tmp_path, random, layout, name, each):
    """Experts are compared one by one, whichever side has them in one tensor, and what differs
    is told as of that tensor. Without all experts they are different tensors."""
    experts = (random.standard_normal((3, 8, 256)) * .02).astype(np.float32)
    stacked = experts if layout == "out_in" else experts.transpose(0, 2, 1).copy()
    save(tmp_path / "one.safetensors", {name: stacked, "norm.weight": np.ones(4, np.float32)})
    save(tmp_path / "each.safetensors", {"norm.weight": np.ones(4, np.float32), **{
        each.format(i): experts[i] for i in range(3)}})
    words = ("--experts", layout)
    one = project(daemon, tmp_path, "dense", *words, source="one")
    packed = project(daemon, tmp_path, "int8", source="each")
    for a, b in ((one, packed), (packed, one)):
        found = diff(a, b, *words)
        assert [(layer["layer"], layer["elements"]) for layer in found["layers"]] == [
            (name, experts.size)]
        assert found["equal"] and [other["tensor"] for other in found["tensors"]] == ["norm.weight"]
    for claim, latents in (("one-dense", "each"), ("each-int8", "one")):
        done = cli(daemon, "verify", tmp_path / f"{claim}.safetensors", "--against",
                   tmp_path / f"{latents}.safetensors", *words)
        assert done.returncode == 0 and "pass: all 3 layers" in done.stdout, done.stdout
    tensors = load(packed)
    save(tmp_path / "more.safetensors", tensors | {each.format(3): experts[0]})
    done = cli(daemon, "verify", tmp_path / "more.safetensors", "--against", tmp_path / "one.safetensors", *words)
    assert done.returncode == 1 and f"{each.format(3)}: extra_layer" in done.stdout, done.stderr
    codes = tensors[each.format(2)]
    codes[5, 7] = 1 if codes[5, 7] < 1 else 0
    save(tmp_path / "other.safetensors", tensors, header_of(packed)["__metadata__"])
    found = diff(one, tmp_path / "other.safetensors", *words)
    layer, = found["layers"]
    assert (layer["codes_differing"], layer["first"]) == (1, 2 * 2048 + 5 * 256 + 7)
    del tensors[each.format(1)], tensors[each.format(1).replace("weight", "weight.scales")]
    save(tmp_path / "fewer.safetensors", tensors)
    done = cli(daemon, "verify", tmp_path / "fewer.safetensors", "--against",
               tmp_path / "one.safetensors", *words)
    assert done.returncode == 1 and "missing_layer" in done.stdout
    done = cli(daemon, "verify", tmp_path / "other.safetensors", "--against",
               tmp_path / "one.safetensors", *words)
    assert done.returncode == 1 and f"{each.format(2)}: codes_differ at element {5 * 256 + 7}" in \
        done.stdout
    found = diff(one, tmp_path / "fewer.safetensors", *words)
    what = {other["tensor"]: other.get("what") for other in found["tensors"]}
    assert what[name] == "only in the first" and what[each.format(2)] == "only in the second"
