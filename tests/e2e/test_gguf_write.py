# SPDX-License-Identifier: Apache-2.0
"""GGUF files that project, pack and unpack write, read by ggml's own Python reader."""
import json

import gguf
import numpy as np
import pytest

import reference as ref
import schemas
from checkpoints import bf16, load, save
from gguf_files import F32, PQ2_0, Q4_0, pq2_0, value_of
from gguf_files import gguf as gguf_file
from tritd import cli

ROWS, COLUMNS = 24, 512
# Types that gguf-py does not know: PrismML's, and mainline's Q2_0.
SIZES = {"pq2_0": (142, 128, 34), "q2_0": (42, 64, 18), "ptq1_0": (143, 128, 28)}


@pytest.fixture(autouse=True)
def types(monkeypatch):
    """gguf-py with the types that it lacks."""
    known = gguf.GGMLQuantizationType
    for name, (number, values, size) in SIZES.items():
        if number in known._value2member_map_:
            continue
        member = int.__new__(known, number)
        member._name_, member._value_ = name.upper(), number
        monkeypatch.setitem(known._value2member_map_, number, member)
        monkeypatch.setitem(gguf.constants.GGML_QUANT_SIZES, member, (values, size))


@pytest.fixture
def latents(random, tmp_path):
    weights = {"a.weight": (random.standard_normal((ROWS, COLUMNS)) * .02).astype(np.float32),
               "b.weight": (random.standard_normal((8, COLUMNS)) * .02).astype(np.float32),
               "norm.weight": np.ones(COLUMNS, np.float32),
               "position_ids": np.arange(7, dtype=np.int64)}
    save(tmp_path / "in.safetensors", {**weights, "norm.weight": bf16(weights["norm.weight"])},
         {"format": "pt", "note": "kept"})
    return weights


def read(path):
    reader = gguf.GGUFReader(path)
    return reader, {one.name: one for one in reader.tensors}


@pytest.mark.parametrize("encoding,group", [("pq2_0", 128), ("q2_0", 128), ("q2_0", 64), ("ptq1_0", 128),
                                            ("tq1_0", 256), ("tq2_0", 256)])
def test_projection(daemon, tmp_path, latents, encoding, group):
    """A projection has the blocks that safetensors would have, under GGUF's type and shape."""
    for name in ("out.gguf", "out.safetensors"):
        done = cli(daemon, "project", tmp_path / "in.safetensors", "-o", tmp_path / name, "-e", encoding,
                   "-g", str(group))
        assert done.returncode == 0, done.stderr
    reader, tensors = read(tmp_path / "out.gguf")
    blocks = load(tmp_path / "out.safetensors")
    for name in ("a.weight", "b.weight"):
        assert tensors[name].tensor_type.name.lower() == encoding
        assert list(tensors[name].shape) == [COLUMNS, len(latents[name])]
        assert bytes(tensors[name].data) == blocks[name].tobytes()
    assert tensors["norm.weight"].tensor_type.name == "BF16"
    np.testing.assert_array_equal(tensors["position_ids"].data, np.arange(7))
    assert reader.get_field("general.architecture").contents() == "trit"
    assert reader.get_field("general.quantization_version").contents() == 2
    assert reader.get_field("note").contents() == "kept"
    done = cli(daemon, "verify", tmp_path / "out.gguf", "--against", tmp_path / "in.safetensors", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["verdict"] == "pass"


@pytest.mark.parametrize("encoding", ["tq1_0", "tq2_0"])
def test_values_are_those_that_ggml_reads(daemon, tmp_path, latents, encoding):
    """gguf-py's own dequantizer gives the trits times the scales."""
    assert cli(daemon, "project", tmp_path / "in.safetensors", "-o", tmp_path / "out.gguf", "-e", encoding,
               "-g", "256").returncode == 0
    tensor = read(tmp_path / "out.gguf")[1]["a.weight"]
    codes, scales = ref.project(latents["a.weight"], 256)
    expected = codes.reshape(-1, 256) * scales.astype(np.float16).astype(np.float32).reshape(-1, 1)
    np.testing.assert_array_equal(gguf.quants.dequantize(tensor.data, tensor.tensor_type),
                                  expected.reshape(ROWS, COLUMNS))


def test_dense_projection(daemon, tmp_path, latents):
    """A dense projection is stored as F32, and its values are those of safetensors."""
    for name in ("out.gguf", "out.safetensors"):
        assert cli(daemon, "project", tmp_path / "in.safetensors", "-o", tmp_path / name).returncode == 0
    tensor = read(tmp_path / "out.gguf")[1]["a.weight"]
    assert tensor.tensor_type.name == "F32"
    np.testing.assert_array_equal(tensor.data, load(tmp_path / "out.safetensors")["a.weight"])


@pytest.mark.parametrize("encoding", ["int8", "mlx_2bit", "hf_bitnet"])
def test_encodings_without_a_type_are_refused(daemon, tmp_path, latents, encoding):
    """An encoding that GGUF has no type for is refused, and nothing is written."""
    done = cli(daemon, "project", tmp_path / "in.safetensors", "-o", tmp_path / "out.gguf", "-e", encoding)
    assert done.returncode != 0 and f"GGUF has no type for {encoding}" in done.stderr
    assert not (tmp_path / "out.gguf").exists()


def test_the_plan_refuses_what_gguf_has_no_place_for(daemon, tmp_path, random):
    """A name of 64 bytes or more, a type that GGUF lacks, five axes: all are named before anything is
    written, also by --dry-run, which listed them as kept."""
    name = "x" * 57 + ".weight"
    save(tmp_path / "in.safetensors", {
        name: random.standard_normal((2, 128)).astype(np.float32), "mask": np.ones(3, bool),
        "fc.weight": random.standard_normal((2, 128)).astype(np.float32), "table": np.ones((1,) * 5, np.float32)})
    refused = {name: "its name has 64 bytes, GGUF allows 63", "mask": "GGUF has no type BOOL",
               "table": "it has 5 axes, GGUF allows 4"}
    for words in (("--dry-run",), ()):
        done = cli(daemon, "project", tmp_path / "in.safetensors", "-o", tmp_path / "out.gguf", "--json", *words)
        assert done.returncode == 1 and not (tmp_path / "out.gguf").exists()
        if words:
            plan = schemas.read(done.stdout)
            found = {one["name"]: one["reason"] for one in plan["tensors"] if one["action"] == "refuse"}
            assert plan["refused"] == 3 and plan["parameters"] == {"ternary": 256, "kept": 260}
        for one, why in refused.items():
            assert why in found[one] and (words or f"{one}: {why}" in done.stderr)


@pytest.fixture
def packed(random, tmp_path):
    """A GGUF file with values of every kind, a layer in PQ2_0 and a tensor in Q4_0."""
    codes, scales = ref.project(random.standard_normal((ROWS, COLUMNS)).astype(np.float32), 256)
    scales = scales.astype(np.float16).astype(np.float32)
    values = {"general.architecture": "llama", "general.file_type": 128, "llama.block_count": 3, "eps": 1e-5,
              "flag": True, "tokenizer.ggml.tokens": ["a", "", "\u00e9"], "general.alignment": 64,
              "split.no": 0, "merges": value_of(["x y"])}
    (tmp_path / "m.gguf").write_bytes(gguf_file(
        [("blk.0.ffn_up.weight", PQ2_0, (ROWS, COLUMNS), pq2_0(codes.reshape(-1, 128), scales.reshape(-1).repeat(2))),
         ("odd.weight", Q4_0, (3, 32), bytes(range(54))),
         ("norm.weight", F32, (3,), np.arange(3, dtype="<f4").tobytes())], values, 64))
    return codes, scales


@pytest.mark.parametrize("encoding", ["tq2_0", "ptq1_0", "q2_0", "pq2_0"])
def test_transcoding_keeps_everything_else(daemon, tmp_path, packed, encoding):
    """pack from GGUF to GGUF keeps trits, scales, values and the bytes of all other tensors."""
    group = [] if encoding == "ptq1_0" else ["-g", "256"] if encoding == "tq2_0" else []
    done = cli(daemon, "pack", tmp_path / "m.gguf", "-o", tmp_path / "out.gguf", "-e", encoding, *group,
               "--exclude", "odd.weight")
    assert done.returncode == 0, done.stderr
    old, new = read(tmp_path / "m.gguf")[0], read(tmp_path / "out.gguf")
    for key in ("general.architecture", "llama.block_count", "eps", "flag", "tokenizer.ggml.tokens", "merges"):
        assert new[0].get_field(key).contents() == old.get_field(key).contents()
    assert new[0].get_field("split.no") is None and new[0].get_field("general.alignment") is None
    assert new[0].get_field("general.file_type").contents() == \
        {"tq2_0": 37, "ptq1_0": 129, "q2_0": 41, "pq2_0": 128}[encoding]
    assert bytes(new[1]["odd.weight"].data) == bytes(range(54))
    assert new[1]["odd.weight"].tensor_type.name == "Q4_0"
    np.testing.assert_array_equal(new[1]["norm.weight"].data, np.arange(3))
    assert cli(daemon, "diff", tmp_path / "m.gguf", tmp_path / "out.gguf").returncode == 0


def test_transcoding_that_would_lose_is_refused(daemon, tmp_path, random):
    """Scales that differ within a block of the other type are refused, with the group."""
    codes, scales = ref.project(random.standard_normal((ROWS, COLUMNS)).astype(np.float32), 128)
    (tmp_path / "m.gguf").write_bytes(gguf_file([("l.weight", PQ2_0, (ROWS, COLUMNS),
                                                  pq2_0(codes.reshape(-1, 128), scales))]))
    done = cli(daemon, "pack", tmp_path / "m.gguf", "-o", tmp_path / "out.gguf", "-e", "tq2_0")
    assert done.returncode == 1 and "l.weight" in done.stderr and "group" in done.stderr
    assert not (tmp_path / "out.gguf").exists()
