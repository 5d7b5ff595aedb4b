# SPDX-License-Identifier: Apache-2.0
"""trit verify: pass, fail and inconclusive for typical files. The tests create all their
files."""
import csv
import io
import json

import numpy as np
import pytest

import reference as ref
import schemas
from checkpoints import Raw, bf16, f8, header_of, load, save
from tritd import cli

NOBODY = {"TRITD_ADDRESS": "127.0.0.1:1"}  # answers need no daemon where this is given


@pytest.fixture
def files(tmp_path, random):
    """Latents of three layers with a norm and a bias, and their projection by trit."""
    return Files(tmp_path, random)


class Files:
    def __init__(self, folder, random):
        self.folder, self.random = folder, random
        self.latents = folder / "latents.safetensors"
        self.out = folder / "out.safetensors"
        self.tensors = {f"layers.{i}.fc.weight": self.normal(8, 256) for i in range(3)}
        self.tensors["layers.0.norm.weight"] = np.ones(256, np.float32)
        self.tensors["layers.0.fc.bias"] = self.normal(8)
        save(self.latents, self.tensors, {"format": "pt"})

    def normal(self, *shape):
        return (self.random.standard_normal(shape) * .02).astype(np.float32)

    def ternary(self, *shape):
        """Ternary in groups of 128, each with its own scale."""
        codes = self.random.integers(-1, 2, shape).astype(np.float32)
        scales = self.random.random((shape[0], shape[1] // 128)).astype(np.float32) + .01
        return codes * np.repeat(scales, 128, axis=1)

    def project(self, daemon, *words):
        done = cli(daemon, "project", self.latents, "-o", self.out, *words)
        assert done.returncode == 0, done.stderr
        return load(self.out)

    def save(self, tensors, record=None):
        """Writes the output file, with its previous record or the given one."""
        metadata = {"format": "pt", "trit": json.dumps(record or self.record())}
        save(self.out, tensors, metadata)

    def record(self):
        return json.loads(header_of(self.out)["__metadata__"]["trit"])


def verify(daemon, path, *words, **more):
    """The exit code, the JSON, and the findings by kind (a list for each)."""
    done = cli(daemon, "verify", path, *words, "--json", **more)
    assert done.returncode in (0, 1, 4), done.stderr
    found = schemas.read(done.stdout)
    assert found["verdict"] == {0: "pass", 1: "fail", 4: "inconclusive"}[done.returncode]
    kinds = {}
    for finding in found["findings"]:
        kinds.setdefault(finding["kind"], []).append(finding)
    return done.returncode, found, kinds


def plain(daemon, path, *words, **more):
    return cli(daemon, "verify", path, *words, **more)


# ---- against the latents: every tensor of either side ------------------------------------

@pytest.mark.parametrize("encoding", ["dense", "int8", "pq2_0", "q2_0", "ptq1_0", "hf_bitnet"])
def test_a_projection_passes_against_its_latents(daemon, files, encoding):
    files.project(daemon, "--encoding", encoding)
    code, found, kinds = verify(daemon, files.out, "--against", files.latents)
    assert code == 0 and not kinds, kinds
    assert found["examined"] == 3 * 8 * 256 and found["kept"] == 256 + 8
    assert found["share_examined"] == pytest.approx(6144 / (6144 + 264))
    assert [one["layer"] for one in found["layers"]] == sorted(
        name for name in files.tensors if "fc.weight" in name)
    done = plain(daemon, files.out, "--against", files.latents)
    assert done.returncode == 0 and "pass" in done.stdout
    assert "projection of their latents" in done.stdout


def test_a_layer_that_the_file_lacks_fails(daemon, files):
    tensors = files.project(daemon)
    record = files.record()
    del tensors["layers.1.fc.weight"]
    for listed in (True, False):
        if not listed:
            del record["layers"]["layers.1.fc.weight"]
        files.save(tensors, record)
        code, _, kinds = verify(daemon, files.out, "--against", files.latents)
        assert code == 1 and set(kinds) == {"missing_layer"}
        assert [one["layer"] for one in kinds["missing_layer"]] == ["layers.1.fc.weight"]
        assert kinds["missing_layer"][0]["expected"] == "F32 [8, 256]"
    # Without the latents the record names the missing layer.
    files.save(tensors, {**record, "layers": {**record["layers"], "gone": {
        "dtype": "F32", "shape": [4, 4]}}})
    code, _, kinds = verify(daemon, files.out)
    assert code == 1 and kinds["missing_layer"][0]["layer"] == "gone"


def test_a_layer_of_another_shape_is_missing(daemon, files):
    tensors = files.project(daemon)
    name = "layers.2.fc.weight"
    save(files.latents, {**files.tensors, name: files.normal(16, 128)})
    files.save(tensors)
    code, _, kinds = verify(daemon, files.out, "--against", files.latents)
    assert code == 1 and kinds["missing_layer"][0]["layer"] == name
    assert kinds["missing_layer"][0]["expected"] == "F32 [16, 128]"
    assert kinds["missing_layer"][0]["got"] == "F32 [8, 256]"


# The weights and their order are equal, but no model could load a layer of this shape.
@pytest.mark.parametrize("encoding", ["dense", "int8", "pq2_0"])
@pytest.mark.parametrize("shape", [(-1,), (16, -1), (8, 2, -1), (8, -1, 1)])
def test_a_recorded_layer_in_another_shape_fails(daemon, files, encoding, shape):
    tensors = files.project(daemon, "--encoding", encoding)
    name = "layers.2.fc.weight"
    files.save({**tensors, name: tensors[name].reshape(shape)})
    for words in ([], ["--against", files.latents]):
        code, _, kinds = verify(daemon, files.out, *words)
        assert code == 1 and kinds["missing_layer"][0]["layer"] == name, words


# The record has the shape of the file's layer, which is not that of the latents.
@pytest.mark.parametrize("encoding", ["dense", "int8"])
def test_a_record_of_another_shape_fails(daemon, files, encoding):
    tensors = files.project(daemon, "--encoding", encoding)
    name, record = "layers.2.fc.weight", files.record()
    record["layers"][name]["shape"] = [8, 256, 1]
    files.save({**tensors, name: tensors[name].reshape(8, 256, 1)}, record)
    code, _, kinds = verify(daemon, files.out, "--against", files.latents)
    assert code == 1 and kinds["missing_layer"][0]["got"] == "F32 [8, 256, 1]"


def test_another_tensor_that_differs_fails(daemon, files):
    tensors = files.project(daemon)
    norm = tensors["layers.0.norm.weight"].copy()
    norm[17] = 1e9
    files.save({**tensors, "layers.0.norm.weight": norm})
    assert verify(daemon, files.out)[0] == 0  # alone the file claims nothing of it
    code, _, kinds = verify(daemon, files.out, "--against", files.latents)
    (finding,) = kinds.pop("other_tensor_differs")
    assert code == 1 and not kinds
    assert finding["tensor"] == "layers.0.norm.weight" and "layer" not in finding
    assert finding["severity"] == "error"
    assert int(finding["index"]) == 17 and int(finding["count"]) == 1
    assert finding["expected"] == "1" and finding["got"] == "1e+09"
    done = plain(daemon, files.out, "--against", files.latents)
    (line,) = [one for one in done.stdout.splitlines() if "other_tensor_differs" in one]
    assert "layers.0.norm.weight" in line and "17" in line and "1e+09" in line


def test_another_tensor_of_another_type_differs(daemon, files):
    tensors = files.project(daemon)
    files.save({**tensors, "layers.0.norm.weight": bf16(np.ones(256))})
    code, _, kinds = verify(daemon, files.out, "--against", files.latents)
    (finding,) = kinds["other_tensor_differs"]
    assert code == 1 and (finding["expected"], finding["got"]) == ("F32 [256]", "BF16 [256]")


def test_a_deleted_bias_and_an_added_tensor_fail(daemon, files):
    tensors = files.project(daemon)
    bias = tensors.pop("layers.0.fc.bias")
    files.save(tensors)
    code, _, kinds = verify(daemon, files.out, "--against", files.latents)
    assert code == 1 and [one["tensor"] for one in kinds["missing_tensor"]] == ["layers.0.fc.bias"]
    files.save({**tensors, "layers.0.fc.bias": bias, "added": bias,
                "more.weight": files.ternary(4, 128)})
    code, _, kinds = verify(daemon, files.out, "--against", files.latents)
    assert code == 1
    assert [one["tensor"] for one in kinds["extra_tensor"]] == ["added"]
    assert [one["layer"] for one in kinds["extra_layer"]] == ["more.weight"]
    assert {one["severity"] for one in kinds["extra_tensor"] + kinds["extra_layer"]} == {"error"}


def test_changed_codes_and_scales_fail(daemon, files):
    tensors = files.project(daemon)
    name = "layers.1.fc.weight"
    flat = tensors[name].reshape(-1)
    flat[np.flatnonzero(flat)[3]] *= -1
    files.save(tensors)
    code, found, kinds = verify(daemon, files.out, "--against", files.latents)
    assert code == 1 and kinds["codes_differ"][0]["layer"] == name, kinds
    assert name in plain(daemon, files.out, "--against", files.latents).stdout
    tensors = files.project(daemon, "--force", "--encoding", "int8")
    tensors[name + ".scales"][2, 1] *= 2
    files.save(tensors)
    code, _, kinds = verify(daemon, files.out, "--against", files.latents)
    assert code == 1 and kinds["scales_differ"][0]["layer"] == name, kinds


# ---- the record never shortens the list -----------------------------------------------------

def test_a_record_of_one_layer_of_three_is_no_pass(daemon, files):
    tensors = files.project(daemon)
    record = files.record()
    record["layers"] = {"layers.0.fc.weight": record["layers"]["layers.0.fc.weight"]}
    files.save(tensors, record)
    code, found, kinds = verify(daemon, files.out)
    assert code == 4 and set(kinds) == {"kept_by_record"}
    assert [one["layer"] for one in kinds["kept_by_record"]] == [
        "layers.1.fc.weight", "layers.2.fc.weight"]
    assert found["examined"] == 2048
    for words in (["--accept-record"], ["--exclude", "layers.[12].fc.weight"],
                  ["--include", "layers.0.*"]):
        assert verify(daemon, files.out, *words)[0] == 0, words
    # Against the latents, layers that the record omits are compared as dense tensors.
    for words in ([], ["--accept-record"]):
        code, _, kinds = verify(daemon, files.out, "--against", files.latents, *words)
        assert code == 1
        assert [one["tensor"] for one in kinds["other_tensor_differs"]] == [
            "layers.1.fc.weight", "layers.2.fc.weight"]


def test_layers_that_were_kept_pass_if_unchanged(daemon, files):
    files.project(daemon, "--include", "layers.0.*")
    code, found, kinds = verify(daemon, files.out, "--against", files.latents)
    assert code == 0 and not kinds
    assert found["share_examined"] == pytest.approx(2048 / (6144 + 264))
    assert verify(daemon, files.out)[0] == 4


def test_a_tensor_that_the_record_names_is_examined_whatever_the_rules_say(daemon, files):
    files.tensors["layers.0.mlp.router.weight"] = files.normal(4, 256)
    save(files.latents, files.tensors)
    files.project(daemon, "--include", "*router*", "--include", "layers.*.fc.weight")
    code, found, _ = verify(daemon, files.out, "--against", files.latents)
    assert code == 0 and "layers.0.mlp.router.weight" in [
        one["layer"] for one in found["layers"]]
    # The record lists the tensor, but it is dense.
    tensors = load(files.out)
    tensors["layers.0.mlp.router.weight"] = files.tensors["layers.0.mlp.router.weight"]
    files.save(tensors)
    assert verify(daemon, files.out)[0] == 1


def test_layers_that_rules_keep_dense_pass(daemon, files):
    files.tensors["model.embed_tokens.weight"] = files.normal(32, 64)
    files.tensors["lm_head.weight"] = files.normal(32, 64)
    files.tensors["wpe.weight"] = files.normal(32, 64)
    save(files.latents, files.tensors)
    tensors = files.project(daemon, "--encoding", "hf_bitnet")
    assert tensors["lm_head.weight"].dtype == np.float32
    for words in ([], ["--against", files.latents]):
        assert verify(daemon, files.out, *words)[0] == 0, words
    # A layer that only a pattern left out makes the file inconclusive.
    files.project(daemon, "--force", "--exclude", "lm_head.weight")
    code, _, kinds = verify(daemon, files.out)
    assert code == 4 and [one["layer"] for one in kinds["kept_by_record"]] == ["lm_head.weight"]


def test_a_recorded_layer_in_another_form_fails(daemon, files):
    tensors = files.project(daemon, "--encoding", "pq2_0")
    name = "layers.0.fc.weight"
    files.save({**tensors, name: np.ascontiguousarray(tensors[name][:, :34])})
    code, _, kinds = verify(daemon, files.out)
    assert code == 1 and kinds["missing_layer"][0]["layer"] == name
    assert kinds["missing_layer"][0]["got"] == "U8 [8, 34]"


def test_scales_that_are_missing_fail(daemon, files):
    tensors = files.project(daemon, "--encoding", "int8")
    del tensors["layers.1.fc.weight.scales"]
    files.save(tensors)
    code, found, kinds = verify(daemon, files.out, "--against", files.latents)
    assert code == 1
    assert kinds["missing_tensor"][0]["tensor"] == "layers.1.fc.weight.scales"
    assert len(found["layers"]) == 2


# ---- nothing examined -----------------------------------------------------------------------

def test_a_file_without_layers_is_inconclusive(tmp_path):
    path = tmp_path / "f.safetensors"
    save(path, {"a.bias": np.ones(4096, np.float32),
                "model.layers.0.mlp.router.weight": np.ones((8, 64), np.float32)})
    for words in ([], ["--against", path]):
        code, found, kinds = verify(None, path, *words, env=NOBODY)
        assert code == 4 and set(kinds) == {"nothing_examined"}, words
        assert found["examined"] == 0 and found["share_examined"] == 0
        (other,) = found["others"]
        assert other["name"] == "model.layers.0.mlp.router.weight"
        assert other["what"] == "a router gate"
    done = plain(None, path, env=NOBODY)
    assert done.returncode == 4 and "inconclusive" in done.stdout
    assert "router.weight F32 [8, 64]: a router gate" in done.stdout
    empty = tmp_path / "empty.safetensors"
    save(empty, {}, {"format": "pt"})
    assert verify(None, empty, env=NOBODY)[0] == 4


# ---- packings of other programs ---------------------------------------------------------------

def packings(random):
    """By name: the tensors, the word that identifies the packing, and the tables that must be
    named."""
    u32 = random.integers(0, 2**32, (128, 16), dtype=np.uint32)
    i32 = random.integers(-2**31, 2**31 - 1, (32, 64), dtype=np.int32)
    u8 = random.integers(0, 255, (64, 64), dtype=np.uint8)
    i8 = random.integers(-127, 127, (64, 64)).astype(np.int8)
    float8 = f8(random, 64, 64)
    f16 = random.random((128, 2)).astype(np.float16)
    f32 = random.random((64, 2)).astype(np.float32)
    one = np.ones(1, np.float32)
    return {
        "mlx": ({"l.weight": u32, "l.scales": f16, "l.biases": -f16}, "MLX",
                ["l.scales", "l.biases"]),
        "mlx of equal scales": ({"l.weight": u32, "l.scales": np.full((128, 2), .02, np.float16),
                                 "l.biases": np.full((128, 2), -.02, np.float16)}, "MLX",
                                ["l.scales", "l.biases"]),
        "gptq": ({"l.qweight": i32, "l.qzeros": i32[:2, :8], "l.scales": f16[:2].repeat(
            32, 1), "l.g_idx": np.zeros(256, np.int32)}, "GPTQ",
                 ["l.qzeros", "l.scales", "l.g_idx"]),
        "awq": ({"l.qweight": i32, "l.qzeros": i32[:2], "l.scales": f16[:2].repeat(256, 1)},
                "AWQ", ["l.qzeros", "l.scales"]),
        "bitsandbytes 4 bit": ({"l.weight": u8.reshape(-1, 1), "l.weight.absmax": f32,
                                "l.weight.quant_map": np.ones(16, np.float32),
                                "l.weight.quant_state.bitsandbytes__nf4": u8[0]},
                               "bitsandbytes", ["l.weight.absmax", "l.weight.quant_map",
                                                "l.weight.quant_state.bitsandbytes__nf4"]),
        "compressed-tensors": ({"l.weight_packed": i32, "l.weight_scale": f16,
                                "l.weight_shape": np.array([32, 512])}, "compressed-tensors",
                               ["l.weight_scale", "l.weight_shape"]),
        "compressed-tensors of a zero point": (
            {"l.weight_packed": i32, "l.weight_scale": f16, "l.weight_zero_point": i32},
            "compressed-tensors", ["l.weight_scale", "l.weight_zero_point"]),
        "compressed-tensors int8 of a zero point": (
            {"l.weight": i8, "l.weight_scale": f32, "l.weight_zero_point": i8[:, :1].copy()},
            "compressed-tensors", ["l.weight_scale", "l.weight_zero_point"]),
        "fp8 of blocks": ({"l.weight": float8, "l.weight_scale_inv": f32}, "fp8",
                          ["l.weight_scale_inv"]),
        "torchao": ({"l._weight_qdata": i8, "l._weight_scale": f32}, "torchao",
                    ["l._weight_scale"]),
        "gpt-oss": ({"experts.gate_up_proj_blocks": u8.reshape(4, 16, 4, 16),
                     "experts.gate_up_proj_scales": u8[:16].reshape(4, 16, 16)}, "MXFP4",
                    ["experts.gate_up_proj_scales"]),
        "marlin": ({"l.B": i32, "l.s": f16}, "unknown packing", ["l.s"]),
        "exl3": ({"l.trellis": i32.astype(np.int16).reshape(4, 8, 64), "l.suh": f16[:, 0].copy(),
                  "l.svh": f16[:, 1].copy()}, "unknown packing", ["l.suh", "l.svh"]),
        "quip": ({"l.Qidxs": i32.astype(np.int16), "l.SU": f32[:, 0].copy(),
                  "l.SV": f32[:, 1].copy(), "l.Wscale": one}, "unknown packing",
                 ["l.SU", "l.SV", "l.Wscale"]),
        "vptq": ({"l.indices": i32, "l.centroids.weight": f32}, "unknown packing",
                 ["l.centroids.weight"]),
        "an unknown one": ({"l.weight": i8, "l.weight_scales": f32}, "unknown packing",
                           ["l.weight_scales"]),
    }


@pytest.mark.parametrize("name", packings(np.random.default_rng(0)))
def test_tables_of_a_packing_are_never_layers(tmp_path, random, name):
    tensors, packing, tables = packings(random)[name]
    path, out = tmp_path / "f.safetensors", tmp_path / "out.safetensors"
    save(path, tensors)
    weight = next(iter(tensors))
    for words in ([], ["--include", "*"], ["--against", path]):
        code, found, kinds = verify(None, path, *words, env=NOBODY)
        assert code == 4 and not found["layers"], (words, found)
        (finding,) = kinds["foreign_packing"]
        assert finding["tensor"] == weight and packing in finding["hint"]
        for table in tables:
            assert table in finding["hint"], (table, finding)
    done = cli(None, "project", path, "-o", out, env=NOBODY)
    assert done.returncode == 1 and not out.exists(), done.stderr
    for word in (weight, packing, *tables):
        assert word in done.stderr


def test_a_foreign_packing_in_a_ternary_file_is_inconclusive(daemon, files, tmp_path):
    path, out = tmp_path / "mixed.safetensors", tmp_path / "mixed_out.safetensors"
    float8 = f8(files.random, 64, 64)
    save(path, {"l.weight": float8, "l.weight_scale_inv": np.ones((1, 2), np.float32),
                "m.weight": files.ternary(8, 256)})
    code, found, kinds = verify(daemon, path)
    assert code == 4 and [one["layer"] for one in found["layers"]] == ["m.weight"]
    assert verify(daemon, path, "--exclude", "l.weight")[0] == 0
    # A failure outweighs an inconclusive finding.
    save(path, {"l.weight": float8, "l.weight_scale_inv": np.ones((1, 2), np.float32),
                "m.weight": files.normal(8, 256)})
    assert verify(daemon, path)[0] == 1
    assert cli(daemon, "project", path, "-o", out).returncode == 1 and not out.exists()
    done = cli(daemon, "project", path, "-o", out, "--exclude", "l.*")
    assert done.returncode == 0 and load(out)["l.weight_scale_inv"].tolist() == [[1, 1]]


@pytest.mark.parametrize("dtype", ["F64", "U8", "U32", "I32", "F8_E4M3"])
def test_a_weight_of_an_unsupported_type_is_inconclusive(daemon, files, dtype):
    path = files.folder / "odd.safetensors"
    width = {"F64": 8, "U32": 4, "I32": 4}.get(dtype, 1)
    odd = Raw(dtype, (4, 128), bytes(4 * 128 * width))
    save(path, {"m.weight": files.ternary(8, 256), "l.weight": odd})
    code, _, kinds = verify(daemon, path)
    assert code == 4 and kinds["unknown_dtype"][0]["tensor"] == "l.weight"
    assert verify(daemon, path, "--exclude", "l.weight")[0] == 0
    # So are a matrix of truth values, a vector, and a weight without elements.
    for name, one, word in (("l.weight", np.ones((4, 128), bool), "type that cannot be checked"),
                            ("q_proj.weight", files.ternary(1, 256)[0], "but a vector"),
                            ("q_proj.weight", np.zeros(0, np.float32), "ZeRO-3")):
        save(path, {"m.weight": files.ternary(8, 256), name: one})
        code, _, kinds = verify(daemon, path)
        assert code == 4 and word in kinds["unknown_dtype"][0]["hint"]
    done = cli(daemon, "project", path, "-o", files.folder / "never.safetensors", "--include", "q_proj*")
    assert done.returncode == 1 and "ZeRO-3" in done.stderr
    # Positions and masks are not weights.
    save(path, {"m.weight": files.ternary(8, 256), "position_ids": np.zeros((1, 9), np.int64),
                "attn.mask": np.ones((9, 9), bool), "relative_index": np.ones((9, 9), np.int32)})
    assert verify(daemon, path)[0] == 0


def test_with_a_record_unsupported_types_are_compared(daemon, files):
    files.tensors.update({"wide": np.ones((2, 2)), "odd": f8(files.random, 4, 128),
                          "empty": np.zeros((0, 128), np.float32), "flag": np.ones(1, bool),
                          "number": Raw("I64", (), bytes(8))})
    save(files.latents, files.tensors)
    tensors = files.project(daemon)
    code, _, kinds = verify(daemon, files.out, "--against", files.latents)
    assert code == 0 and not kinds
    assert verify(daemon, files.out)[0] == 4  # alone nobody knows what they hold
    assert verify(daemon, files.out, "--accept-record")[0] == 0
    files.save({**tensors, "wide": np.ones((2, 2)) * 2, "number": Raw("I64", (), bytes([7] * 8))})
    code, _, kinds = verify(daemon, files.out, "--against", files.latents)
    assert code == 1
    assert {one["tensor"] for one in kinds["other_tensor_differs"]} == {"wide", "number"}


def test_a_foreign_weight_in_a_layers_place_is_inconclusive(daemon, files):
    path = files.folder / "mlx.safetensors"
    packed = files.random.integers(0, 2**32, (8, 16), dtype=np.uint32)
    scales = files.random.random((8, 2)).astype(np.float16)
    save(path, {"l.weight": packed, "l.scales": scales, "l.biases": -scales})
    save(files.latents, {"l.weight": files.normal(8, 256)})
    code, _, kinds = verify(daemon, path, "--against", files.latents)
    assert code == 4 and set(kinds) == {"foreign_packing", "nothing_examined"}


# A single array has no name and no record.
def test_arrays_are_verified_against_arrays(daemon, files):
    for name, values in (("w", files.normal(4, 256)), ("other", files.normal(4, 256))):
        np.save(files.folder / f"{name}.npy", values)
    done = cli(daemon, "project", files.folder / "w.npy", "-o", files.folder / "out.npy")
    assert done.returncode == 0, done.stderr
    assert verify(daemon, files.folder / "out.npy")[0] == 0
    assert verify(daemon, files.folder / "out.npy", "--against", files.folder / "w.npy")[0] == 0
    assert verify(daemon, files.folder / "out.npy", "--against",
                  files.folder / "other.npy")[0] == 1
    assert verify(daemon, files.folder / "w.npy")[0] == 1
    assert verify(daemon, files.folder / "w.npy", "--mode", "latent")[0] == 0


# ---- layers that are ternary and yet fail ----------------------------------------------------

def test_a_layer_of_zeros_is_dead(daemon, files):
    path = files.folder / "dead.safetensors"
    save(path, {"a.weight": files.ternary(8, 256), "b.weight": bf16(np.zeros((8, 256)))})
    code, _, kinds = verify(daemon, path)
    assert code == 1 and [one["layer"] for one in kinds["dead_layer"]] == ["b.weight"]
    code, _, kinds = verify(daemon, path, "--allow-dead")
    assert code == 0 and kinds["dead_layer"][0]["severity"] == "warning"
    done = plain(daemon, path)
    assert "FAIL: dead_layer" in done.stdout and "error: b.weight: dead_layer" in done.stdout


def bitnet(random, rows, columns):
    """Latents, and what transformers stores of them: the weight, and the bits of its f32
    weight_scale."""
    latents = random.standard_normal((rows, columns)).astype(np.float32)
    codes, scale = ref.project(latents.reshape(1, -1), rows * columns)
    codes = (codes.reshape(rows, columns) + 1).astype(np.uint8)
    fourth = rows // 4
    packed = sum(codes[i * fourth:(i + 1) * fourth] << 2 * i for i in range(4)).astype(np.uint8)
    return latents, packed, scale.reshape(1)


@pytest.mark.parametrize("dtype", [ref.F32, ref.F16, ref.BF16], ids=["F32", "F16", "BF16"])
def test_a_genuine_bitnet_file_verifies_against_its_latents(daemon, tmp_path, random, dtype):
    latents, packed, scale = bitnet(random, 16, 192)
    left, right = tmp_path / "file.safetensors", tmp_path / "latents.safetensors"
    bits = np.frombuffer(ref.narrow(scale, dtype), np.uint32 if dtype == ref.F32 else np.uint16)
    name = {ref.F32: "F32", ref.F16: "F16", ref.BF16: "BF16"}[dtype]
    save(right, {"l.weight": latents})
    for step, expected in ((0, 0), (1, 1)):  # one step of its own type further is another scale
        save(left, {"l.weight": packed, "l.weight_scale": Raw(name, (1,), (bits + step).tobytes())})
        assert verify(daemon, left)[0] == 0  # ternary, whatever its scale means
        for words in ((), ("--encoding", "hf_bitnet")):
            code, _, kinds = verify(daemon, left, *words, "--against", right)
            # The scale belongs to the layer, so the latents need not have it.
            assert code == expected
            assert set(kinds) == ({"scales_differ"} if expected else set()), kinds


@pytest.mark.parametrize("value, kind", [
    (np.nan, "scale_non_finite"), (np.inf, "scale_non_finite"), (-.5, "scale_negative"),
    (0, "scale_zero_under_codes")])
def test_a_bad_scale_is_named(daemon, tmp_path, random, value, kind):
    _, packed, _ = bitnet(random, 16, 192)
    path = tmp_path / "f.safetensors"
    save(path, {"l.weight": packed, "l.weight_scale": np.array([value], np.float32)})
    code, _, kinds = verify(daemon, path, "--encoding", "hf_bitnet")
    assert code == 1 and kinds[kind][0]["layer"] == "l.weight", kinds


def test_code_3_is_named_by_its_position(daemon, files):
    tensors = files.project(daemon, "--encoding", "pq2_0")
    blocks = tensors["layers.0.fc.weight"]
    blocks[1, 2 + 5] |= 3 << 2  # row 1, element 21
    files.save(tensors)
    code, _, kinds = verify(daemon, files.out)
    (finding,) = kinds["code_out_of_range"]
    assert code == 1 and int(finding["index"]) == 256 + 21
    assert "277" in plain(daemon, files.out).stdout


# ---- patterns and files ----------------------------------------------------------------------

# A group of one weight is always ternary, so such groups are refused.
def test_groups_of_one_weight_are_refused(files):
    done = plain(None, files.latents, "-g", 1, env=NOBODY)
    assert done.returncode == 2 and "group of 1" in done.stderr
    record = {"encoding": "dense", "group_size": 1, "partial_group": "padded", "layers": {
        name: {"dtype": "F32", "shape": list(one.shape)}
        for name, one in files.tensors.items() if one.ndim == 2}}
    save(files.out, files.tensors, {"trit": json.dumps(record)})
    done = plain(None, files.out, env=NOBODY)
    assert done.returncode == 3 and "group_size makes no sense" in done.stderr


@pytest.mark.parametrize("tolerance", ["0.5", "1", "-1", "nan"])
def test_a_tolerance_that_accepts_everything_is_usage(files, tolerance):
    done = plain(None, files.latents, "--tolerance", tolerance, env=NOBODY)
    assert done.returncode == 2 and "below 0.5" in done.stderr


def test_a_pattern_that_matches_nothing_is_usage(daemon, files):
    files.project(daemon)
    for command in (["project", files.latents, "-o", files.folder / "x.safetensors"],
                    ["verify", files.latents], ["inspect", files.latents]):
        for option in ("--include", "--exclude"):
            done = cli(daemon, *command, option, "layers.*", option, "nothing.*.here")
            assert done.returncode == 2 and "nothing.*.here" in done.stderr, (command, option)
    # A pattern that matches only a tensor of the latents is accepted.
    tensors = load(files.out)
    del tensors["layers.0.fc.bias"]
    files.save(tensors)
    code, _, kinds = verify(daemon, files.out, "--against", files.latents, "--exclude", "*.bias")
    assert code == 1 and set(kinds) == {"missing_tensor"}


def test_a_file_that_cannot_be_read_is_3(daemon, files):
    broken = files.folder / "broken.safetensors"
    broken.write_bytes(files.latents.read_bytes()[:100])
    for words in ([broken], [files.latents, "--against", broken], [files.folder / "none"]):
        done = plain(daemon, *words)
        assert done.returncode == 3 and not done.stdout, words
    done = plain(None, files.latents, env=NOBODY)
    assert done.returncode == 3 and "UNAVAILABLE" in done.stderr


def test_findings_are_lines_that_name_layer_kind_and_hint(daemon, files):
    tensors = files.project(daemon)
    del tensors["layers.0.fc.bias"]
    tensors["layers.1.fc.weight"][3, 7] = np.nan
    files.save(tensors)
    done = plain(daemon, files.out, "--against", files.latents)
    lines = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert done.returncode == 1
    assert any(line.startswith("error: layers.1.fc.weight: non_finite at element 775")
               for line in lines), lines
    assert any(line.startswith("error: layers.0.fc.bias: missing_tensor") and
               "the latents have it" in line for line in lines), lines
    assert "fail:" in done.stdout.splitlines()[-1]


# ---- --report ------------------------------------------------------------------------


def test_report_files(daemon, files):
    """--report writes verdict, findings and every layer as Markdown, CSV and JSON."""
    files.project(daemon)
    tensors = load(files.out)
    tensors["layers.1.fc.weight"][0, 0] += 1
    files.save(tensors)
    for ending in ("md", "csv", "json"):
        path = files.folder / f"report.{ending}"
        done = cli(daemon, "verify", files.out, "--report", path)
        assert done.returncode == 1, done.stderr
        text = path.read_text()
        if ending == "json":
            found = schemas.read(text)
            assert found["verdict"] == "fail" and len(found["layers"]) == 3
        elif ending == "csv":
            rows = list(csv.DictReader(io.StringIO(text)))
            assert [row["layer_verdict"] for row in rows] == ["pass", "fail", "pass"]
            assert {row["verdict"] for row in rows} == {"fail"}
        else:
            assert text.startswith("# fail\n") and "layers.2.fc.weight" in text
            assert "not_ternary" in text
        done = cli(daemon, "verify", files.out, "--report", path)
        assert done.returncode == 2 and "--force" in done.stderr
        assert cli(daemon, "verify", files.out, "--report", path, "--force").returncode == 1


def test_report_of_deceptive_names(daemon, files):
    """A name cannot break a table's row or become a spreadsheet formula."""
    name = '=1|"x\u202e`.weight'
    save(files.latents, {name: files.normal(8, 256)})
    files.project(daemon)
    for ending in ("md", "csv"):
        path = files.folder / f"report.{ending}"
        assert cli(daemon, "verify", files.out, "--report", path).returncode == 0
        text = path.read_text()
        if ending == "csv":
            row, = csv.DictReader(io.StringIO(text))
            assert row["layer"] == "'" + name
        else:
            assert "\u202e" not in text and '=1\\|' in text


@pytest.mark.parametrize("name", ["report", "report.txt", "report.MD"])
def test_report_of_another_ending(daemon, files, name):
    """A report file with an unknown suffix is refused before any work."""
    done = cli(None, "verify", files.latents, "--report", files.folder / name, env=NOBODY)
    assert done.returncode == 2 and ".csv" in done.stderr


@pytest.mark.parametrize("name", ["m.scales", "m.weight.scales"])
def test_a_table_as_large_as_its_dense_weight_is_none(daemon, files, name):
    """It may hold weights, so it counts as unexamined unless it is excluded. One scale for each group
    is a table."""
    weight = files.ternary(8, 256)
    for large, *words in ((True,), (True, "--exclude", name), (False,)):
        save(files.out, {"m.weight": weight, name: files.normal(8, 256 if large else 2)})
        code, found, kinds = verify(daemon, files.out, *words)
        if large and not words:
            assert code == 4 and set(kinds) == {"unknown_dtype"}
            assert kinds["unknown_dtype"][0]["tensor"] == name
            assert found["share_examined"] == .5
        else:
            assert code == 0 and not kinds


def test_a_table_without_a_weight_is_none(daemon, files):
    """It is unknown_dtype where its module holds nothing that may be packed."""
    weight, scales = files.ternary(8, 256), files.normal(8, 2)
    for beside, code in (({}, 4), ({"m.bias": files.normal(8)}, 4),
                         ({"m.a.weight": weight}, 4), ({"m.codes": weight}, 0)):
        save(files.out, {"l.weight": weight, "m.scales": scales, **beside})
        found = verify(daemon, files.out)
        assert found[0] == code, beside
        if code:
            assert [f["tensor"] for f in found[2]["unknown_dtype"]] == ["m.scales"]
            assert found[1]["share_examined"] < 1


@pytest.mark.parametrize("encoding", ["dense", "pq2_0", "ptq1_0", "mlx_2bit", "int8"])
def test_an_excluded_layer_counts_its_weights(daemon, tmp_path, random, encoding):
    """Of two equal layers one is a half of the parameters, however many words hold it."""
    save(tmp_path / "in.safetensors",
         {name: random.standard_normal((8, 256)).astype(np.float32) for name in ("a.weight", "b.weight")})
    out = tmp_path / "out.safetensors"
    assert cli(daemon, "project", tmp_path / "in.safetensors", "-o", out, "-e", encoding).returncode == 0
    done = cli(daemon, "verify", out, "--exclude", "b.weight", "--json")
    found = schemas.read(done.stdout)
    assert done.returncode == 0 and found["examined"] == found["kept"] == 2048
    assert found["share_examined"] == 0.5
