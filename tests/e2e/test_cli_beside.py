# SPDX-License-Identifier: Apache-2.0
"""What lies beside a ternary tensor or file and is not examined, or changes what it means."""
import json

import numpy as np
import pytest

import schemas
from checkpoints import load, header_of, save
from folders import save_folder, shard_name
from tritd import cli


@pytest.fixture
def ternary(random):
    return lambda *shape: (random.integers(-1, 2, shape) * .5).astype(np.float32)


def verify(daemon, path, *words):
    done = cli(daemon, "verify", path, "--json", *words)
    assert done.returncode in (0, 1, 4), done.stderr
    return done.returncode, schemas.read(done.stdout)["findings"]


def test_one_shard_is_no_model(daemon, tmp_path, ternary):
    """A shard that is named alone is examined; that the others were not leaves the verdict
    undecided. As the latents of a comparison it is what was asked for."""
    save_folder(tmp_path, [{f"{name}.weight": ternary(4, 256)} for name in "abc"])
    shard = tmp_path / shard_name(1, 3)
    code, (one,) = verify(daemon, shard)
    assert code == 4 and (one["kind"], one["severity"], one["tensor"], one["count"]) == (
        "not_in_index", "undecided", shard_name(2, 3), 2), one
    assert f"{shard.name} is one of 3 shards" in one["hint"]
    assert verify(daemon, tmp_path)[0] == 0
    save(tmp_path / "latents-00001-of-00002.safetensors", load(shard))
    save(tmp_path / "claim.safetensors", load(shard))
    _, findings = verify(daemon, tmp_path / "claim.safetensors", "--against",
                         tmp_path / "latents-00001-of-00002.safetensors")
    assert [one["severity"] for one in findings if one["kind"] == "not_in_index"] == ["warning"]


def test_files_of_trainers_are_counted(daemon, tmp_path, ternary):
    """Checkpoints of ranks in the folder of a model are one warning for each kind, with its number."""
    save(tmp_path / "model.safetensors", {"l.weight": ternary(4, 256)})
    for name in ("mp_rank_00_model_states.pt", "mp_rank_01_model_states.pt", "__0_0.distcp"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "global_step9").mkdir()
    code, findings = verify(daemon, tmp_path)
    assert code == 0 and [(one["tensor"], one["count"], one["severity"]) for one in findings] == [
        ("mp_rank_00_model_states.pt", 2, "warning"), ("__0_0.distcp", 1, "warning"),
        ("global_step9", 1, "warning")]


def test_a_table_beside_a_recorded_layer(daemon, tmp_path, random):
    """A permutation that is added to a projection's output changes what its codes mean."""
    save(tmp_path / "in.safetensors", {"l.weight": random.standard_normal((4, 256)).astype(np.float32)})
    out = tmp_path / "out.safetensors"
    assert cli(daemon, "project", tmp_path / "in.safetensors", "-o", out, "-e", "int8").returncode == 0
    assert verify(daemon, out) == (0, [])
    save(out, load(out) | {"l.g_idx": np.arange(256, dtype=np.int32)}, header_of(out)["__metadata__"])
    code, findings = verify(daemon, out)
    assert code == 4 and findings[0]["kind"] == "foreign_packing" and "l.g_idx" in findings[0]["hint"]


def test_matrices_or_a_convolution(daemon, tmp_path, random, ternary):
    """A tensor of rank 3 that may be either is undecided until an option says what it is."""
    path = tmp_path / "m.safetensors"
    save(path, {"l.weight": ternary(4, 256), "m.weight": ternary(2, 32, 64)})
    code, (one,) = verify(daemon, path)
    assert code == 4 and one["got"] == "F32 [2, 32, 64]" and "--convolutions" in one["hint"]
    for words in (["--convolutions"], ["--experts", "out_in"], ["--exclude", "m.*"]):
        assert verify(daemon, path, *words) == (0, []), words


HQQ = ("group_size", "axis", "nbits", "encoded_state_dict", "offload_meta", "stores_quant_config",
       "channel_wise", "optimize", "round_zero", "view_as_float", "quant_scale", "quant_zero")


def test_a_layer_of_hqq_is_one_finding(tmp_path, random):
    """The tensors with the settings of an HQQ layer belong to its weight."""
    texts = {name: np.frombuffer(name.encode(), np.uint8) for name in ("packing", "compute_dtype",
                                                                      "unpack_view_dtype")}
    tensors = texts | {name: np.int32([1]) for name in HQQ} | {
        "shape": np.int32([64, 64]), "W_q": random.integers(0, 256, (32, 64)).astype(np.uint8),
        "scale": np.ones((64, 1), np.float16), "zero": np.ones((64, 1), np.float16)}
    save(tmp_path / "m.safetensors", {f"model.q_proj.{name}": one for name, one in tensors.items()})
    code, findings = verify(None, tmp_path / "m.safetensors")
    assert code == 4 and [one["kind"] for one in findings] == ["foreign_packing", "nothing_examined"]
    assert findings[0]["tensor"] == "model.q_proj.W_q" and "HQQLinear.dequantize" in findings[0]["hint"]


def test_hf_bitnet_has_no_form_for_experts(daemon, tmp_path, random):
    """hf_bitnet cannot hold experts. The output would be mostly dense, so it is written only on
    request."""
    (tmp_path / "m").mkdir()
    save(tmp_path / "m" / "model.safetensors", {
        "model.layers.0.mlp.experts.down_proj": random.standard_normal((2, 64, 64)).astype(np.float32),
        "model.layers.0.self_attn.q_proj.weight": random.standard_normal((64, 64)).astype(np.float32)})
    (tmp_path / "m" / "config.json").write_text(json.dumps({"model_type": "qwen3_moe"}))
    words = ["project", tmp_path / "m", "-o", tmp_path / "out", "-e", "hf_bitnet"]
    done = cli(daemon, *words)
    assert done.returncode == 1 and "experts.down_proj: experts of rank 3 have no form in hf_bitnet" in done.stderr
    assert cli(daemon, *words, "--exclude", "*experts*").returncode == 0
    assert verify(daemon, tmp_path / "out", "--exclude", "*experts*") == (0, [])
