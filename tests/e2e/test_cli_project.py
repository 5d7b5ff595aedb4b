# SPDX-License-Identifier: Apache-2.0
"""trit project: which tensors become ternary, what is refused before anything is written, and
where the output may be. The tests create all their files."""
import json
import os
import subprocess

import numpy as np
import pytest

import reference as ref
import schemas
from checkpoints import Raw, bf16, f8, header_of, load, save
from tritd import BINARIES, RUNNER, VARIANT, cli

NOBODY = {"TRITD_ADDRESS": "127.0.0.1:1"}  # refused before anything is sent


@pytest.fixture
def normal(random):
    return lambda *shape: (random.standard_normal(shape) * .02).astype(np.float32)


@pytest.fixture
def source(tmp_path):
    return tmp_path / "in.safetensors"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.safetensors"


def project(daemon, source, out, *words, code=0, **more):
    done = cli(daemon, "project", source, "-o", out, *words, **more)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def changed(before, after):
    """Names of the tensors whose bytes, type or shape changed."""
    return {name for name in before if name not in after or
            not same(before[name], after[name])}


def same(a, b):
    if isinstance(a, Raw) or isinstance(b, Raw):
        return a == b
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


# ---- which tensors are layers ---------------------------------------------------------------

LAYERS = ["model.embed_tokens.weight", "lm_head.weight", "model.layers.0.self_attn.q_proj.weight",
          "classifier.weight", "score.weight", "bert.embeddings.token_type_embeddings.weight",
          "transformer.wte.weight", "output.weight", "embed_out.weight", "tok_embeddings.weight",
          "model.layers.0.mlp.gate_proj.weight", "model.layers.0.mlp.experts.3.w1.weight",
          "lstm.weight_hh_l0", "attn.in_proj_weight", "pos_proj.weight", "europe.weight"]
KEPT = ["model.layers.0.mlp.gate.weight", "model.layers.0.mlp.router.weight",
        "model.layers.0.mlp.shared_expert_gate.weight", "model.layers.0.ffn.router.layer.weight",
        "blk.0.ffn_gate_inp.weight", "model.layers.0.self_attn.rotary_emb.cos_cached",
        "freqs_cis", "wpe.weight", "bert.embeddings.position_embeddings.weight",
        "decoder.embed_positions.weight", "vit.pos_embed",
        "block.0.SelfAttention.relative_attention_bias.weight",
        "model.layers.0.self_attn.q_proj.lora_A.weight",
        "model.layers.0.self_attn.q_proj.lora_B.default.weight", "model.layers.0.q_norm.weight",
        "mlp.gate_up_proj_bias", "mamba.A_log", "x.weight_scale"]


def test_layers_are_those_of_the_plan(daemon, source, out, normal):
    tensors = {name: normal(8, 128) for name in LAYERS + KEPT}
    save(source, tensors)
    project(daemon, source, out)
    assert changed(tensors, load(out)) == set(LAYERS)


def test_a_gate_next_to_experts_is_a_router_whatever_its_shape(daemon, source, out, normal):
    tensors = {"a.gate.weight": normal(256, 128), "b.gate.weight": normal(256, 128),
               "b.experts.0.w1.weight": normal(4, 128), "b.experts.0.gate.weight": normal(4, 128)}
    save(source, tensors)
    project(daemon, source, out)
    assert changed(tensors, load(out)) == set(tensors) - {"b.gate.weight"}


def test_patterns_override_the_rules_for_the_tensors_they_match(daemon, source, out, normal):
    tensors = {"mlp.router.weight": normal(8, 128), "mlp.up.weight": normal(8, 128),
               "norm.weight": normal(128), "mlp.up.lora_A.weight": normal(8, 128)}
    save(source, tensors)
    done = project(daemon, source, out, "--include", "mlp.*", "--exclude", "*lora*")
    assert changed(tensors, load(out)) == {"mlp.router.weight", "mlp.up.weight"}
    assert "mlp.router.weight: included by a pattern" in done.stderr
    assert "mlp.up.weight" not in done.stderr
    planned = project(daemon, source, out, "--include", "mlp.router*", "--exclude", "*lora*",
                      "--dry-run", "--json")
    reasons = {one["name"]: one.get("reason")
               for one in json.loads(planned.stdout)["tensors"]}
    assert reasons["mlp.up.weight"] == "matched by no include pattern"
    project(daemon, source, out, "--force", "--exclude", "mlp.up.weight", code=1)
    project(daemon, source, out, "--force", "--include", "norm.weight", code=1)


def test_convolutions_are_kept_unless_asked_for(daemon, source, out, normal):
    tensors = {"conv1.weight": normal(4, 8, 16), "conv2.weight": normal(4, 8, 4, 4),
               "fc.weight": normal(4, 128), "experts.gate_up_proj": normal(2, 4, 128),
               "five.weight": normal(1, 1, 1, 1, 128)}
    save(source, tensors)
    project(daemon, source, out)
    assert changed(tensors, load(out)) == {"fc.weight"}
    project(daemon, source, out, "--force", "--convolutions")
    assert changed(tensors, load(out)) == {"fc.weight", "conv1.weight", "conv2.weight"}


# The reader of hf_bitnet needs dense embeddings and a dense head; a pattern overrides that.
def test_hf_bitnet_keeps_embeddings_and_head(daemon, source, out, normal):
    tensors = {"model.embed_tokens.weight": normal(8, 128), "lm_head.weight": normal(8, 128),
               "q.weight": normal(8, 128), "bert.embeddings.token_type_embeddings.weight":
               normal(2, 128)}
    save(source, tensors)
    project(daemon, source, out, "--encoding", "hf_bitnet")
    assert changed(tensors, load(out)) == {"q.weight"}
    project(daemon, source, out, "--force", "--encoding", "hf_bitnet", "--include", "lm_head.*")
    assert changed(tensors, load(out)) == {"lm_head.weight"}
    project(daemon, source, out, "--force", "--encoding", "dense")
    assert changed(tensors, load(out)) == set(tensors)


def test_experts_of_rank_3_that_stay_are_reported(daemon, source, out, normal):
    tensors = {"q.weight": normal(4, 128), "experts.gate_up_proj": normal(4, 8, 128),
               "experts.down_proj": normal(4, 128, 4)}
    save(source, tensors)
    done = project(daemon, source, out)
    assert "kept: 2, 6144 parameters (92.3 %)" in done.stdout and "rank 3" in done.stdout
    assert "7.7 % of the parameters are ternary" in done.stdout
    found = schemas.read(project(daemon, source, out, "--force", "--json").stdout)
    assert (found["ternary"], found["kept"], found["verdict"]) == (512, 6144, "pass")
    assert found["share_ternary"] == pytest.approx(512 / 6656)
    assert found["passed_through"] == 2 and found["is_ternary"]
    assert [one["name"] for one in found["others"]] == ["experts.gate_up_proj",
                                                        "experts.down_proj"]


def test_a_file_without_layers_is_refused_and_says_what_it_holds(source, out):
    save(source, {"l.weight": np.ones((4, 128)), "flat": np.ones(64, np.float32)})
    done = project(None, source, out, code=1, env=NOBODY)
    assert "none of its tensors is a layer" in done.stderr and not out.exists()
    assert "l.weight F64 [4, 128]: a weight of F64" in done.stdout


# ---- what does not fit ------------------------------------------------------------------------

def test_every_layer_that_does_not_fit_is_listed_with_its_width(source, out, normal):
    widths = (4096, 4304, 5460, 3420, 8640)
    save(source, {f"blocks.{w}.weight": normal(4, w) for w in widths})
    done = project(None, source, out, "--encoding", "pq2_0", code=1, env=NOBODY)
    assert not out.exists()
    for width in widths[1:]:
        assert any(f"blocks.{width}.weight" in line and f"these have {width}" in line
                   for line in done.stderr.splitlines()), width
    assert "blocks.4096" not in done.stderr and "4 tensors are refused" in done.stderr


def test_short_rows_fit_where_groups_may_be_short(daemon, source, out, normal):
    tensors = {"a.weight": normal(4, 4304), "b.weight": normal(4, 100)}
    save(source, tensors)
    project(daemon, source, out, "--encoding", "int8")
    for name, values in tensors.items():
        codes, scales = ref.project(values)
        assert (load(out)[name] == codes).all() and (load(out)[name + ".scales"] == scales).all()


def test_scales_whose_name_is_taken_are_refused(source, out, normal):
    save(source, {"a.weight": normal(4, 128), "a.weight.scales": normal(1)})
    done = project(None, source, out, "--encoding", "int8", code=1, env=NOBODY)
    assert "a.weight.scales, which is taken" in done.stderr


def test_an_encoding_that_contradicts_the_group_size_is_usage(source, out, normal):
    save(source, {"a.weight": normal(4, 128)})
    done = project(None, source, out, "-e", "hf_bitnet", "-g", 128, code=2, env=NOBODY)
    assert "one scale" in done.stderr


@pytest.mark.parametrize("words, right", [
    (["-e", "tq1_0"], 256), (["-e", "tq2_0", "-g", 128], 256), (["-e", "pq2_0", "-g", 64], 128),
    (["-e", "ptq1_0", "-g", 64], 128), (["-e", "q2_0", "-g", 96], 64)])
def test_groups_that_no_block_holds_are_refused_before_anything_is_sent(
        daemon, source, out, normal, words, right):
    save(source, {"a.weight": normal(4, 256)})
    done = project(None, source, out, *words, code=2, env=NOBODY)
    assert f"multiple of {right}" in done.stderr and not out.exists()
    project(daemon, source, out, *words[:2], "-g", right)
    assert cli(daemon, "verify", out, "--against", source).returncode == 0


# ---- ternary inputs ----------------------------------------------------------------------

def groups(random, rows, columns, size=128):
    """Ternary, with one magnitude per group and zeros in most groups."""
    codes = random.integers(-1, 2, (rows, columns)).astype(np.float32)
    scales = (random.random((rows, -(-columns // size))).astype(np.float32) + .5)
    return codes * np.repeat(scales, size, axis=1)[:, :columns]


@pytest.mark.parametrize("case", ["f32", "bf16", "f16", "of 64", "of 32", "of the tensor",
                                  "short rows", "one row of zeros"])
def test_a_layer_that_is_ternary_already_is_refused(daemon, source, out, normal, random, case):
    values = groups(random, 6, 300 if case == "short rows" else 512,
                    {"of 64": 64, "of 32": 32, "of the tensor": 1 << 20}.get(case, 128))
    if case == "one row of zeros":
        values[2] = 0
    tensor = {"bf16": bf16(values), "f16": values.astype(np.float16)}.get(case, values)
    if case == "of the tensor":
        tensor = np.sign(values).astype(np.float32) * np.float32(.0117)
    save(source, {"latent.weight": normal(6, 512), "done.weight": tensor})
    done = project(None, source, out, code=1, env=NOBODY)
    assert "done.weight" in done.stderr and "latent.weight" not in done.stderr
    assert "trit pack" in done.stderr and "--again" in done.stderr and not out.exists()
    project(daemon, source, out, "--again")
    assert changed({"done.weight": tensor}, load(out)) == {"done.weight"}
    project(daemon, source, out, "--force", "--exclude", "done.weight")


def test_every_ternary_layer_is_named(source, out, random):
    save(source, {f"{i}.weight": groups(random, 2, 128) for i in range(5)})
    done = project(None, source, out, code=1, env=NOBODY)
    assert all(f"{i}.weight: it is ternary already" in done.stderr for i in range(5))


@pytest.mark.parametrize("case", ["zeros", "itself", "one off", "a column"])
def test_fixed_points_and_other_weights_are_projected(daemon, source, out, random, case):
    values = {"zeros": np.zeros((4, 256), np.float32),
              "itself": np.where(random.random((4, 256)) < .5, -1, 1).astype(np.float32) * 3,
              "one off": groups(random, 400, 256), "a column": random.random((64, 1))}[case]
    values = values.astype(np.float32)
    if case == "one off":  # in the very last group
        values[-1, -1] = 7
        values[-1, -2] = 5
    save(source, {"l.weight": values})
    project(daemon, source, out)
    if case in ("zeros", "itself"):
        assert load(out)["l.weight"].tobytes() == values.tobytes()


@pytest.mark.parametrize("encoding", ["dense", "int8", "pq2_0"])
def test_output_of_trit_is_not_projected_again(daemon, source, out, normal, encoding, tmp_path):
    save(source, {"l.weight": normal(4, 256)})
    project(daemon, source, out, "--encoding", encoding)
    again = tmp_path / "again.safetensors"
    done = project(None, out, again, code=1, env=NOBODY)
    assert "record" in done.stderr and "trit pack" in done.stderr and not again.exists()
    done = project(daemon, out, again, "--again", code=0 if encoding == "dense" else 1)
    assert encoding == "dense" or "packed as trit" in done.stderr


# ---- lost scales -----------------------------------------------------------------------------------

def with_lost_scales(normal, case):
    """A row with normal scales, and one whose scales f16 cannot represent."""
    tensor = np.zeros((2, 256), np.float32)
    tensor[0] = normal(256)
    if case == "dense f16":
        tensor[1, 5] = 6e-8  # s = 6e-8 / 128, which f16 rounds to 0
        return tensor.astype(np.float16)
    tensor[1] = 1e-10 if case == "small" else 1e38
    tensor[1, ::2] *= -.5
    return tensor


@pytest.mark.parametrize("case, encoding, groups", [
    ("dense f16", "dense", 1), ("small", "pq2_0", 2), ("large", "pq2_0", 2)])
def test_lost_scales_are_refused(daemon, source, out, normal, case, encoding, groups):
    save(source, {"ok.weight": normal(2, 256), "l.weight": with_lost_scales(normal, case)})
    done = project(daemon, source, out, "--encoding", encoding, code=1)
    assert not out.exists() and "ok.weight" not in done.stderr
    assert "l.weight: scale_lost at group 2" in done.stderr and f"{groups} in all" in done.stderr
    assert "--allow-lost" in done.stderr
    done = project(daemon, source, out, "--encoding", encoding, "--allow-lost")
    assert out.exists() and "warning: l.weight: scale_lost" in done.stdout


def test_scales_that_fit_f32_are_not_lost(daemon, source, out, normal):
    for case in ("small", "large"):
        save(source, {"l.weight": with_lost_scales(normal, case)})
        for encoding in ("dense", "int8"):
            project(daemon, source, out, "--force", "--encoding", encoding)


# ---- where the output goes ----------------------------------------------------------------------------

@pytest.fixture
def latents(source, normal):
    save(source, {"l.weight": normal(4, 256)})
    return source


def test_the_input_is_never_the_output(latents, tmp_path):
    before = latents.read_bytes()
    (tmp_path / "sub").mkdir()
    os.link(latents, tmp_path / "hard.safetensors")
    (tmp_path / "soft.safetensors").symlink_to(latents)
    (tmp_path / "folder").symlink_to(tmp_path)
    for name in (latents, tmp_path / "sub" / ".." / "in.safetensors",
                 tmp_path / "hard.safetensors", tmp_path / "soft.safetensors",
                 tmp_path / "folder" / "in.safetensors"):
        for words in ([], ["--force"]):
            done = project(None, latents, name, *words, code=2, env=NOBODY)
            assert "input itself" in done.stderr, name
        assert latents.read_bytes() == before
    done = project(None, tmp_path / "soft.safetensors", latents, "--force", code=2, env=NOBODY)
    assert "input itself" in done.stderr


@pytest.mark.skipif(VARIANT == "tsan", reason="TSan itself writes a file before main")
def test_a_limit_of_file_sizes_is_an_error(daemon, latents, out):
    """A limit of file sizes is an error with a message; no signal ends trit."""
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *RUNNER, str(BINARIES / "trit"), "project",
         str(latents), "-o", str(out)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=dict(os.environ, TRITD_ADDRESS=daemon.rpc))
    assert done.returncode == 3 and "File too large" in done.stderr
    assert not out.exists()


def test_an_existing_output_stays_unless_forced(daemon, latents, out):
    out.write_bytes(b"precious")
    done = project(None, latents, out, code=2, env=NOBODY)
    assert out.read_bytes() == b"precious" and "--force" in done.stderr
    project(daemon, latents, out, "--force")
    assert "l.weight" in load(out)


# A hub's cache has a link where the file is, and its blob is shared.
def test_a_link_is_replaced_and_its_target_stays(daemon, latents, out, tmp_path):
    blob = tmp_path / "blob"
    blob.write_bytes(b"shared")
    for target in (blob, tmp_path / "nowhere"):
        out.symlink_to(target)
        done = project(None, latents, out, code=2, env=NOBODY)
        assert out.is_symlink() and "--force" in done.stderr
        project(daemon, latents, out, "--force")
        assert not out.is_symlink() and "l.weight" in load(out)
        assert blob.read_bytes() == b"shared" and not (tmp_path / "nowhere").exists()
        out.unlink()


@pytest.mark.parametrize("name", ["y.ggml", "y.bin", "y.pt", "y.pth", "y.onnx", "y.h5",
                                  "y.json", "y.npz", "y.ckpt", "y.pkl", "model.safetensors.gz"])
def test_a_name_of_another_format_is_refused(latents, tmp_path, name):
    done = project(None, latents, tmp_path / name, code=2, env=NOBODY)
    assert name in done.stderr and not (tmp_path / name).exists()


def test_names_of_no_other_format_are_safetensors(daemon, latents, tmp_path):
    for name in ("x", "model.v2", "y.SafeTensors"):
        project(daemon, latents, tmp_path / name)
        assert "l.weight" in load(tmp_path / name)
    project(daemon, latents, tmp_path / "y.NPY")
    assert (tmp_path / "y.NPY").read_bytes().startswith(b"\x93NUMPY")


def test_a_name_for_one_tensor_is_refused_for_two(daemon, source, normal, tmp_path):
    save(source, {"a.weight": normal(4, 256), "b.weight": normal(4, 256)})
    done = project(daemon, source, tmp_path / "y.npy", code=2)
    assert "one tensor, not 2" in done.stderr and not (tmp_path / "y.npy").exists()


def test_standard_output_and_devices_are_refused(latents, tmp_path):
    done = project(None, latents, "-", code=2, env=NOBODY, cwd=tmp_path)
    assert "standard output" in done.stderr and not (tmp_path / "-").exists()
    for name in ("/dev/null", tmp_path):
        for words in ([], ["--force"]):
            done = project(None, latents, name, *words, code=2, env=NOBODY)
            assert "not a regular file" in done.stderr
    assert os.path.exists("/dev/null") and not os.path.isfile("/dev/null")


# /dev/stdout is a link; replacing it would break it for the whole system.
def test_a_link_to_a_device_or_a_folder_is_refused(latents, out, tmp_path):
    for target in ("/dev/null", tmp_path):
        out.symlink_to(target)
        done = project(None, latents, out, "--force", code=2, env=NOBODY)
        assert "not a regular file" in done.stderr and out.is_symlink()
        out.unlink()


# trit layers get writes files too.
def test_the_rules_of_outputs_hold_for_every_command(daemon, name, out, tmp_path):
    made = cli(daemon, "layers", "create", name, "--in-features", 128, "--out-features", 4)
    assert made.returncode == 0, made.stderr
    get = ["layers", "get", name, "-o"]
    for bad in (tmp_path / "y.pt", "-"):
        assert cli(daemon, *get, bad, cwd=tmp_path).returncode == 2
    assert cli(daemon, *get, out).returncode == 0
    done = cli(daemon, *get, out)
    assert done.returncode == 2 and "--force" in done.stderr
    assert cli(daemon, *get, out, "--force").returncode == 0


# ---- what is copied ----------------------------------------------------------------------------

def test_everything_else_passes_through(daemon, source, out, normal, random):
    tensors = {"l.weight": normal(4, 128), "ids": np.arange(6).reshape(2, 3), "b": bf16(normal(7)),
               "f": f8(random, 3), "flags": np.ones((2, 2), bool)}
    save(source, tensors, {"format": "pt", "note": "\u00e9"})
    project(daemon, source, out)
    assert changed(tensors, load(out)) == {"l.weight"}
    metadata = header_of(out)["__metadata__"]
    assert metadata["format"] == "pt" and metadata["note"] == "\u00e9"
    assert json.loads(metadata["trit"])["layers"] == {"l.weight": {"dtype": "F32",
                                                                   "shape": [4, 128]}}
