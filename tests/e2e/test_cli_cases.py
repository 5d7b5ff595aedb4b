# SPDX-License-Identifier: Apache-2.0
"""trit with checkpoints as users have them."""
import io
import json
import struct
import zipfile

import numpy as np
import pytest

import schemas
from checkpoints import Raw, header_of, load, save
from folders import save_folder, shard_name
from tritd import cli


@pytest.fixture
def normal(random):
    return lambda *shape: (random.standard_normal(shape) * .02).astype(np.float32)


def kinds(done):
    return {one["kind"]: one for one in schemas.read(done.stdout)["findings"]}


def test_fused_experts(daemon, tmp_path, normal):
    """Experts of rank 3 are left out with their share reported, or each is projected
    separately."""
    experts = normal(4, 64, 320)
    save(tmp_path / "moe.safetensors", {"m.mlp.experts.down_proj": experts,
                                        "m.mlp.gate.weight": normal(4, 320),
                                        "m.q_proj.weight": normal(64, 320)})
    save(tmp_path / "split.safetensors",
         {f"m.mlp.experts.{e}.down_proj.weight": experts[e] for e in range(4)})
    done = cli(daemon, "project", tmp_path / "moe.safetensors", "-o", tmp_path / "a.safetensors")
    assert done.returncode == 0 and "kept: 1, 81920 parameters (79.0 %): experts" in done.stdout
    for name, words in (("moe", ("--experts", "out_in")), ("split", ())):
        done = cli(daemon, "project", tmp_path / f"{name}.safetensors", "-o",
                   tmp_path / f"{name}.out.safetensors", *words)
        assert done.returncode == 0, done.stderr
    whole, split = (load(tmp_path / f"{name}.out.safetensors") for name in ("moe", "split"))
    for e in range(4):
        np.testing.assert_array_equal(whole["m.mlp.experts.down_proj"][e],
                                      split[f"m.mlp.experts.{e}.down_proj.weight"])
    np.testing.assert_array_equal(whole["m.mlp.gate.weight"],
                                  load(tmp_path / "moe.safetensors")["m.mlp.gate.weight"])


def test_conv1d(daemon, tmp_path, normal):
    """A layer stored [in, out] gets a warning, and --transposed gives the codes of [out,
    in]."""
    weight = normal(256, 384)
    save(tmp_path / "in_out.safetensors", {"h.0.attn.c_attn.weight": weight})
    save(tmp_path / "out_in.safetensors",
         {"h.0.attn.c_attn.weight": np.ascontiguousarray(weight.T)})
    done = cli(daemon, "project", tmp_path / "in_out.safetensors", "-o", tmp_path / "x.safetensors")
    assert done.returncode == 0 and "--transposed" in done.stderr
    (tmp_path / "config.json").write_text("{}")  # tells no architecture
    done = cli(None, "project", tmp_path / "in_out.safetensors", "-n", "--json")
    warned, = schemas.read(done.stdout)["tensors"]
    assert "GPT-2" in warned["warning"] and "--transposed" in warned["warning"]
    for name in ("mlp.wi.kernel", "params/mlp/wi/kernel"):
        save(tmp_path / "flax.safetensors", {name: weight[:, :256].copy()})
        done = cli(None, "project", tmp_path / "flax.safetensors", "-n", "--json")
        assert "Flax" in schemas.read(done.stdout)["tensors"][0]["warning"]
    for name, words in (("in_out", ("--transposed", "*c_attn*")), ("out_in", ())):
        cli(daemon, "project", tmp_path / f"{name}.safetensors", "-o",
            tmp_path / f"{name}.out.safetensors", *words)
    a, b = (load(tmp_path / f"{name}.out.safetensors")["h.0.attn.c_attn.weight"]
            for name in ("in_out", "out_in"))
    np.testing.assert_array_equal(a.T, b)


def archive():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
    return data.getvalue()


@pytest.mark.parametrize("data,words", [
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 +
     b"\nsize 988097824\n", "Git LFS pointer to 988097824 bytes"),
    (b"", "it is empty"),
    (b"<!DOCTYPE html><html></html>", "HTML page"),
    (archive(), "pickle archive, which is not opened because"),
    (b"GGUF" + struct.pack("<IQQ", 4, 0, 0) + bytes(8), "GGUF version 4 is not 2 or 3"),
    (bytes(4096) + b"x" * 4096, "starts with 4096 zero bytes"),
])
def test_no_weights(daemon, tmp_path, data, words):
    """A file without weights is refused, and the message says what it is."""
    (tmp_path / "model.safetensors").write_bytes(data)
    for command in (("inspect",), ("verify",), ("project", "-o", tmp_path / "out.safetensors")):
        done = cli(daemon, command[0], tmp_path / "model.safetensors", *command[1:])
        assert done.returncode == 3 and words in done.stderr


def test_trailing_bytes(daemon, tmp_path, normal):
    """Bytes after the last tensor are refused, and the message has their number."""
    save(tmp_path / "a.safetensors", {"l.weight": normal(4, 128)})
    with open(tmp_path / "a.safetensors", "ab") as file:
        file.write(bytes(16))
    done = cli(daemon, "verify", tmp_path / "a.safetensors")
    assert done.returncode == 3 and "16 bytes follow the last tensor" in done.stderr


def test_index_points_at_nothing(daemon, tmp_path, normal):
    """A missing shard or tensor is refused by name; an unlisted tensor is a warning."""
    def shards():
        return [{f"l.{i}.weight": normal(4, 128)} for i in range(3)]

    def project(name):
        return cli(daemon, "project", tmp_path / name, "-o", tmp_path / f"{name}.safetensors")
    for name in ("shard", "tensor", "unlisted"):
        save_folder(tmp_path / name, shards())
    (tmp_path / "shard" / shard_name(2, 3)).unlink()
    done = project("shard")
    assert done.returncode == 1 and shard_name(2, 3) in done.stderr
    path = tmp_path / "tensor" / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["mtp.fc.weight"] = shard_name(3, 3)
    path.write_text(json.dumps(index))
    done = project("tensor")
    assert done.returncode == 1 and "mtp.fc.weight" in done.stderr
    assert shard_name(3, 3) in done.stderr
    path = tmp_path / "unlisted" / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    del index["weight_map"]["l.1.weight"]
    path.write_text(json.dumps(index))
    done = project("unlisted")
    assert done.returncode == 0 and "warning: l.1.weight: not_in_index" in done.stderr
    assert not (tmp_path / "shard.safetensors").exists()


def test_in_place(daemon, tmp_path, normal):
    """The input is never overwritten, and writing to a link leaves the link's target
    unchanged."""
    blob = tmp_path / "4f6b9c0d"
    save(blob, {"a.weight": normal(4, 128)})
    link = tmp_path / "model.safetensors"
    link.symlink_to(blob)
    before = blob.read_bytes()
    for source in (blob, link):
        done = cli(daemon, "project", source, "-o", link, "--force")
        assert done.returncode == 2 and "the input itself" in done.stderr
    save(tmp_path / "other.safetensors", {"a.weight": normal(4, 128)})
    done = cli(daemon, "project", tmp_path / "other.safetensors", "-o", link, "--force")
    assert done.returncode == 0, done.stderr
    assert blob.read_bytes() == before and not link.is_symlink()


@pytest.mark.parametrize("scale,kind", [
    (np.nan, "scale_non_finite"), (np.inf, "scale_non_finite"), (-.5, "scale_negative"),
    (0., "scale_zero_under_codes")])
def test_bad_scale(daemon, tmp_path, random, scale, kind):
    """A bad scale fails and is named, whether or not the encoding is given."""
    codes = random.choice(np.array([0x15, 0x46, 0x91, 0x2a, 0x64], np.uint8), (64, 256))
    save(tmp_path / "a.safetensors", {"up_proj.weight": codes,
                                      "up_proj.weight_scale": np.array([scale], np.float32)})
    for words in ((), ("-e", "hf_bitnet")):
        done = cli(daemon, "verify", tmp_path / "a.safetensors", *words, "--json")
        assert done.returncode == 1 and kinds(done)[kind]["group"] == 0


def test_bad_blocks(daemon, tmp_path):
    """Bad scales and codes 3 in blocks are reported with the first position of each."""
    blocks = np.zeros((4, 2, 34), np.uint8)
    blocks[..., 2:] = 0x15
    scales = np.full((4, 2), .031, np.float16)
    scales[1, 1], scales[2, 0], scales[3, 1] = np.nan, np.inf, -.031
    blocks[..., :2] = scales[..., None].view(np.uint8)
    blocks[0, 1, 7] = 0x75
    save(tmp_path / "a.safetensors", {"down_proj.weight": blocks.reshape(4, 68)})
    done = cli(daemon, "verify", tmp_path / "a.safetensors", "-e", "pq2_0", "--json")
    found = kinds(done)
    assert done.returncode == 1
    assert found["scale_non_finite"]["group"] == 3 and found["scale_non_finite"]["count"] == 2
    assert found["scale_negative"]["group"] == 7
    assert found["code_out_of_range"]["index"] == 128 + 22
    done = cli(daemon, "verify", tmp_path / "a.safetensors", "--json")
    assert done.returncode == 4
    assert "whole blocks of pq2_0" in kinds(done)["unknown_dtype"]["hint"]


@pytest.mark.parametrize("tensors,words", [
    ({"l.weight": ("U32", (128, 16), 4), "l.scales": ("F16", (128, 2), 2),
      "l.biases": ("F16", (128, 2), 2)}, ("l.weight", "MLX", "--encoding mlx_2bit")),
    ({"l.weight_packed": ("I32", (128, 32), 4), "l.weight_scale": ("F16", (128, 2), 2)},
     ("l.weight_packed", "compressed-tensors")),
    ({"l.weight": ("F8_E4M3", (128, 256), 1), "l.weight_scale": ("F32", (7,), 4)},
     ("l.weight", "F8_E4M3")),
    ({"l.weight": ("F64", (128, 256), 8)}, ("l.weight", "F64")),
    ({"flat_param": ("F32", (131072,), 4)}, ("flat_param", "FSDP's flat parameters")),
])
def test_unknown_packing(daemon, tmp_path, tensors, words):
    """A file in which nothing can be examined does not pass; the message says what it
    holds."""
    save(tmp_path / "a.safetensors", {name: Raw(dtype, shape, bytes(int(np.prod(shape)) * width))
                                      for name, (dtype, shape, width) in tensors.items()})
    done = cli(daemon, "verify", tmp_path / "a.safetensors")
    assert done.returncode == 4 and "nothing_examined" in done.stdout
    for word in words:
        assert word in done.stdout
    done = cli(daemon, "project", tmp_path / "a.safetensors", "-o", tmp_path / "b.safetensors")
    assert done.returncode == 1 and words[0] in done.stdout + done.stderr


def test_odd_columns(daemon, tmp_path, normal):
    """One run lists every layer whose width does not fit the packing."""
    widths = (4304, 5460, 3420, 8640)
    save(tmp_path / "a.safetensors", {"ok.weight": normal(4, 1152), **{
        f"w{width}.weight": normal(4, width) for width in widths}})
    done = cli(daemon, "project", tmp_path / "a.safetensors", "-e", "pq2_0", "-o",
               tmp_path / "b.safetensors")
    assert done.returncode == 1 and "ok.weight" not in done.stderr
    for width in widths:
        assert f"w{width}.weight: pq2_0 needs rows of a multiple of 128 weights, " \
            f"these have {width}" in done.stderr
    for encoding in ("dense", "int8"):
        done = cli(daemon, "project", tmp_path / "a.safetensors", "-e", encoding, "-o",
                   tmp_path / f"{encoding}.safetensors")
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("metadata", [False, {}, None, {"format": "pt", "note": "é世"}])
def test_metadata(daemon, tmp_path, normal, metadata):
    """Metadata is copied, and the output's metadata always has a format."""
    data = normal(4, 128).tobytes()
    header = {"l.weight": {"dtype": "F32", "shape": [4, 128], "data_offsets": [0, len(data)]}}
    if metadata is not False:
        header["__metadata__"] = metadata
    text = json.dumps(header).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    done = cli(daemon, "project", tmp_path / "a.safetensors", "-o", tmp_path / "b.safetensors")
    assert done.returncode == 0, done.stderr
    out = header_of(tmp_path / "b.safetensors")["__metadata__"]
    assert out["format"] == "pt" and out.get("note") == (metadata or {}).get("note")


def test_no_tensors(daemon, tmp_path):
    """A file without tensors is not projected and does not pass."""
    text = b'{"__metadata__":{"format":"pt"}}'
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    assert cli(daemon, "verify", tmp_path / "a.safetensors").returncode == 4
    done = cli(daemon, "project", tmp_path / "a.safetensors", "-o", tmp_path / "b.safetensors")
    assert done.returncode == 1 and "none of its tensors is a layer" in done.stderr


def test_compiled_prefix(daemon, tmp_path, normal):
    """A prefix on one side is reported and can be stripped; a missing layer is named."""
    plain = {f"l.{i}.up_proj.weight": normal(8, 256) for i in range(3)}
    save(tmp_path / "plain.safetensors", plain)
    save(tmp_path / "compiled.safetensors", {f"_orig_mod.{n}": t for n, t in plain.items()})
    save(tmp_path / "missing.safetensors",
         {n: t for n, t in plain.items() if n != "l.1.up_proj.weight"})
    for name in ("plain", "missing"):
        cli(daemon, "project", tmp_path / f"{name}.safetensors", "-o", tmp_path / f"{name}.out")

    def verify(claim, latents, *words):
        return cli(daemon, "verify", tmp_path / f"{claim}.out", "--against",
                   tmp_path / f"{latents}.safetensors", "--json", *words)
    done = verify("plain", "compiled")
    assert done.returncode == 1 and "--strip-prefix '_orig_mod.'" in kinds(done)["renamed"]["hint"]
    assert verify("plain", "compiled", "--strip-prefix", "_orig_mod.").returncode == 0
    done = verify("plain", "missing")
    assert done.returncode == 1 and kinds(done)["extra_layer"]["layer"] == "l.1.up_proj.weight"
    done = verify("missing", "plain")
    assert done.returncode == 1 and kinds(done)["missing_layer"]["layer"] == "l.1.up_proj.weight"


def test_npy(daemon, tmp_path, normal):
    """Each kind of .npy is read correctly or refused with its own reason."""
    weights = normal(16, 256)

    def put(name, array, version=None):
        with open(tmp_path / f"{name}.npy", "wb") as file:
            np.lib.format.write_array(file, array, version=version)
    put("c", weights)
    put("v2", weights, (2, 0))
    put("v3", weights, (3, 0))
    put("fortran", np.asfortranarray(weights))
    put("view", np.ascontiguousarray(weights.T).T)
    put("big", weights.astype(">f4"))
    put("f64", weights.astype(np.float64))
    put("object", np.array([{"a": 1}], dtype=object))
    put("scalar", np.float32(1))
    put("vector", weights[0])
    put("empty", np.zeros((0, 128), np.float32))
    put("bf16", (weights.view(np.uint32) >> 16).astype(np.uint16).view("V2"))

    def project(name, *words):
        done = cli(daemon, "project", tmp_path / f"{name}.npy", "-o", tmp_path / f"{name}.out.npy",
                   *words)
        return done.returncode, done.stdout + done.stderr
    for name in ("c", "v2", "v3"):
        assert project(name)[0] == 0
        np.testing.assert_array_equal(np.load(tmp_path / f"{name}.out.npy"),
                                      np.load(tmp_path / "c.out.npy"))
    for name, code, words in (("fortran", 3, "Fortran order"), ("view", 3, "Fortran order"),
                              ("big", 3, "big-endian"), ("f64", 3, "'<f8'"),
                              ("object", 3, "'|O'"), ("scalar", 1, "a scalar"),
                              ("vector", 1, "a vector"), ("empty", 1, "empty"),
                              ("bf16", 3, "--npy-bf16")):
        found, text = project(name)
        assert found == code and words in text, name
        assert not (tmp_path / f"{name}.out.npy").exists()
    assert project("bf16", "--npy-bf16")[0] == 0


@pytest.mark.parametrize("name", ["层.0.权重", "a b/c%2Fd.weight", "../../etc/w", "__metadata",
                                  "<script>alert(1)</script>.weight", "trailing ",
                                  "emoji\U0001f600.weight"])
def test_odd_names(daemon, tmp_path, normal, name):
    """A report is found under the exact name of its tensor."""
    save(tmp_path / "a.safetensors", {name: normal(8, 128)})
    done = cli(daemon, "project", tmp_path / "a.safetensors", "-o", tmp_path / "b.safetensors",
               "--run", name)
    assert done.returncode == 0, done.stderr
    assert list(load(tmp_path / "b.safetensors")) == [name]
    done = cli(daemon, "reports", "--run", name, "--json")
    assert done.returncode == 0 and schemas.read(done.stdout)["reports"][0]["layer"] == name


@pytest.mark.parametrize("name,words", [
    ("x" * 2000, "2000 bytes, at most 1024"), ("bell\x07\x1b[31mred", "control character"),
    ("w" * 300, "300 bytes are more than 255"), ("", "must not be empty")])
def test_refused_names(daemon, tmp_path, normal, name, words):
    """A name that is too long is refused with the limit, and nothing is written."""
    save(tmp_path / "a.safetensors", {name: normal(8, 128)})
    done = cli(daemon, "project", tmp_path / "a.safetensors", "-o", tmp_path / "b.safetensors",
               "--run", "r")
    assert done.returncode == 3 and words in done.stderr and "\x1b" not in done.stderr
    assert not (tmp_path / "b.safetensors").exists()


def test_names_of_files_that_are_no_utf8(daemon, tmp_path, normal):
    """JSON shows such a name with escapes. It was "out of memory", after the output was written."""
    latents, out = tmp_path / "\udcff.safetensors", tmp_path / "\udcfe.safetensors"
    save(latents, {"a.weight": normal(4, 128)})
    for words in (["project", latents, "-o", out], ["verify", out, "--against", latents],
                  ["diff", out, out], ["inspect", out]):
        done = cli(daemon, *words, "--json")
        assert done.returncode == 0, done.stderr
        shown = schemas.read(done.stdout)
        assert any(str(value).endswith("/\\xfe.safetensors") for value in shown.values())


def test_names_are_checked_before_anything_is_sent(daemon, tmp_path, normal):
    """A name that reports cannot have is refused at the start; without --run it is fine."""
    save(tmp_path / "a.safetensors", {"a.weight": normal(8, 128), "w" * 300: normal(8, 128)})
    for words in (("project", tmp_path / "a.safetensors", "-o", tmp_path / "b.safetensors"),
                  ("verify", tmp_path / "b.safetensors")):
        done = cli(daemon, *words, "--run", "names")
        assert done.returncode == 3 and "more than 255" in done.stderr
        done = cli(daemon, *words)
        assert done.returncode == 0, done.stderr
    assert cli(daemon, "reports", "--run", "names", "--json").stdout.count('"layer"') == 0


def test_a_damaged_record(daemon, tmp_path, normal):
    """inspect lists a file whose record is damaged, and says so; verify refuses it."""
    save(tmp_path / "a.safetensors", {"a.weight": normal(8, 128)}, {"trit": "hello"})
    done = cli(daemon, "inspect", tmp_path / "a.safetensors", "--json")
    assert done.returncode == 1 and '"trit" metadata' in done.stderr
    assert len(schemas.read(done.stdout)["tensors"]) == 1
    assert cli(daemon, "verify", tmp_path / "a.safetensors").returncode == 3


def test_rotated_basis(daemon, tmp_path):
    """Metadata that names a Hadamard basis is noted, and does not change the verdict."""
    save(tmp_path / "a.safetensors", {"a.weight": np.tile(np.float32([.5, -.5]), (4, 64))},
         {"prism.hadamard.block": "128"})
    done = cli(daemon, "verify", tmp_path / "a.safetensors", "--json")
    one, = schemas.read(done.stdout)["findings"]
    assert done.returncode == 0 and one["kind"] == "rotated_basis" and one["severity"] == "note"


def test_rotated_basis_against_latents(daemon, tmp_path, normal):
    """Latents in another basis do not decide about layers that differ; latents in the same basis
    do, and layers that are equal pass."""
    rotated, words = {"prism.hadamard.block_size": "128"}, ["verify", tmp_path / "a.safetensors",
                                                             "--against", tmp_path / "l.safetensors", "--json"]
    weight = np.tile(np.float32([.5, -.5]), (4, 64))
    save(tmp_path / "a.safetensors", {"a.weight": weight}, rotated)
    for latents, metadata, code in ((-weight, {}, 4), (-weight, rotated, 1), (weight, {}, 0)):
        save(tmp_path / "l.safetensors", {"a.weight": latents}, metadata)
        done = cli(daemon, *words)
        found = schemas.read(done.stdout)["findings"]
        assert done.returncode == code, found
        severities = {one["severity"] for one in found if one["kind"] == "codes_differ"}
        assert severities == {4: {"undecided"}, 1: {"error"}, 0: set()}[code]
        if code == 4:
            assert "rotated basis" in next(one["hint"] for one in found if one["kind"] == "codes_differ")


@pytest.mark.parametrize("words", [(), ("--experts", "out_in"), ("--accept-record",)])
def test_experts_of_unknown_layout(daemon, tmp_path, normal, words):
    """A verification that leaves experts out does not pass; the finding says what to do."""
    experts = np.sign(normal(4, 64, 128))
    save(tmp_path / "a.safetensors", {"a.weight": np.sign(normal(8, 128)),
                                      "m.experts.down_proj": experts})
    done = cli(daemon, "verify", tmp_path / "a.safetensors", "--json", *words)
    found = schemas.read(done.stdout)
    assert done.returncode == (0 if words else 4)
    assert len(found["layers"]) == (5 if "--experts" in words else 1)
    if not words:
        one, = found["findings"]
        assert one["tensor"] == "m.experts.down_proj" and "--experts out_in" in one["hint"]
    # With latents they are compared byte for byte.
    done = cli(daemon, "verify", tmp_path / "a.safetensors", "--mode", "latent", "--exclude",
               "a.*", "--json")
    assert done.returncode == 4


@pytest.mark.parametrize("size", [8, 16, 100, 300])
def test_ternary_in_other_groups(daemon, tmp_path, random, size):
    """What is ternary in groups of any size is not projected again, but packed."""
    scales = np.repeat(random.random((16, 600)) + .1, size, axis=1)[:, :600]
    weight = (random.integers(-1, 2, (16, 600)) * scales).astype(np.float32)
    save(tmp_path / "a.safetensors", {"l.weight": weight})
    done = cli(daemon, "project", tmp_path / "a.safetensors", "-o", tmp_path / "b.safetensors")
    assert done.returncode == 1 and not (tmp_path / "b.safetensors").exists()
    assert f"in groups of {size}," in done.stderr and "trit pack" in done.stderr
    done = cli(daemon, "pack", tmp_path / "a.safetensors", "-o", tmp_path / "b.safetensors", "-e",
               "int8", "-g", size)
    assert done.returncode == 0, done.stderr
    assert cli(daemon, "diff", tmp_path / "a.safetensors", tmp_path / "b.safetensors").returncode == 0
    weight[3, 1:3] = .5, .75
    save(tmp_path / "a.safetensors", {"l.weight": weight})
    done = cli(daemon, "project", tmp_path / "a.safetensors", "-o", tmp_path / "c.safetensors")
    assert done.returncode == 0, done.stderr


def test_kept_by_role(daemon, tmp_path, normal):
    """Routers, tables and LoRA factors stay dense, with hf_bitnet also embedding and head; the
    plan says so."""
    names = ["lm_head", "model.embed_tokens", "l.mlp.router", "l.q_proj", "l.q_proj.lora_A", "wpe"]
    save(tmp_path / "a.safetensors", {f"{name}.weight": normal(64, 256) for name in names})
    for encoding, ternary, share in (("dense", {"lm_head", "model.embed_tokens", "l.q_proj"}, "50"),
                                     ("hf_bitnet", {"l.q_proj"}, "16.7")):
        words = ("project", tmp_path / "a.safetensors", "-e", encoding, "--dry-run")
        done = cli(daemon, *words, "--json")
        assert {t["name"][:-7] for t in schemas.read(done.stdout)["tensors"]
                if t["action"] == "ternarize"} == ternary
        assert f"{share}" in cli(daemon, *words).stdout


def test_ternary_already(daemon, tmp_path, random):
    """A ternary file is not projected again, because every scale would shrink."""
    codes = random.choice(np.array([-1, 0, 1], np.float32), (64, 512))
    scales = np.repeat((random.random((64, 4)) * .03 + .01).astype(np.float32), 128, axis=1)
    save(tmp_path / "groups.safetensors", {"l.weight": codes * scales})
    save(tmp_path / "one.safetensors", {"l.weight": codes * np.float32(.0117)})
    for name in ("groups", "one"):
        for encoding in ("dense", "pq2_0"):
            words = ("project", tmp_path / f"{name}.safetensors", "-e", encoding, "-o",
                     tmp_path / f"{name}.{encoding}.safetensors")
            done = cli(daemon, *words)
            assert done.returncode == 1 and "ternary already" in done.stderr
        assert cli(daemon, *words, "--again").returncode == 0


def test_rows_of_one_weight(daemon, tmp_path, normal):
    """A single weight is always ternary. So a matrix with one column counts as examined only
    against its latents, and a file with nothing else is inconclusive without them."""
    column = normal(64, 1)
    save(tmp_path / "in.safetensors", {"value_head.weight": column})
    done = cli(daemon, "verify", tmp_path / "in.safetensors", "--json")
    assert done.returncode == 4 and list(kinds(done)) == ["nothing_examined"]
    assert schemas.read(done.stdout)["examined"] == 0
    done = cli(daemon, "project", tmp_path / "in.safetensors", "-o", tmp_path / "out.safetensors")
    assert done.returncode == 0
    against = "verify", tmp_path / "out.safetensors", "--json", "--against"
    done = cli(daemon, *against, tmp_path / "in.safetensors")
    assert done.returncode == 0 and schemas.read(done.stdout)["examined"] == 64
    save(tmp_path / "in.safetensors", {"value_head.weight": -column})
    assert cli(daemon, *against, tmp_path / "in.safetensors").returncode == 1


def test_dbrx(daemon, tmp_path, normal):
    """DBRX keeps the experts of a block in one matrix each; of w2 the input is the first axis."""
    experts = {f"blocks.0.ffn.experts.mlp.{name}": normal(512, 256) for name in ("w1", "v1", "w2")}
    save_folder(tmp_path / "in", [experts], {"model_type": "dbrx"})
    turned = {name: np.ascontiguousarray(one.T) if name.endswith("w2") else one
              for name, one in experts.items()}
    save_folder(tmp_path / "turned", [turned])
    for name in ("in", "turned"):
        done = cli(daemon, "project", tmp_path / name, "-o", tmp_path / f"{name}.out")
        assert done.returncode == 0, done.stderr
    found, expected = (load(tmp_path / f"{name}.out" / "model.safetensors")
                       for name in ("in", "turned"))
    for name, one in expected.items():
        np.testing.assert_array_equal(found[name], one.T if name.endswith("w2") else one)
