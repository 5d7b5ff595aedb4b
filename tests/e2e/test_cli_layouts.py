# SPDX-License-Identifier: Apache-2.0
"""Experts of rank 3 and layers that are stored [in, out]."""
import json

import numpy as np
import pytest

import claims
import packings
import schemas
from checkpoints import bf16, header_of, load, save
from gguf_files import F32, gguf
from tritd import cli

EXPERTS, INNER, HIDDEN = 3, 24, 320  # 320 is no multiple of 128, on purpose


@pytest.fixture
def moe(random):
    """The experts of one block as [experts, out, in], with their router."""
    def normal(*shape):
        return (random.standard_normal(shape) * .02).astype(np.float32)
    return {"model.layers.0.mlp.gate.weight": normal(EXPERTS, HIDDEN),
            "model.layers.0.mlp.experts.gate_up_proj": normal(EXPERTS, 2 * INNER, HIDDEN),
            "model.layers.0.mlp.experts.down_proj": normal(EXPERTS, HIDDEN, INNER)}


def by_hand(daemon, folder, matrices):
    """The output of trit for the same matrices as separate tensors."""
    save(folder / "split.safetensors", matrices)
    done = cli(daemon, "project", folder / "split.safetensors", "-o",
               folder / "split_out.safetensors")
    assert done.returncode == 0, done.stderr
    return load(folder / "split_out.safetensors")


def split(tensors, turned):
    """Each expert's [out, in] as a tensor of its own; vectors and routers unchanged."""
    matrices = {}
    for name, tensor in tensors.items():
        if tensor.ndim != 3:
            matrices[name] = tensor
            continue
        for e, matrix in enumerate(tensor):
            matrices[f"{name}.{e}.weight"] = np.ascontiguousarray(matrix.T if turned else matrix)
    return matrices


def test_experts_by_name_and_by_size(daemon, tmp_path, random):
    """JetMoE's experts, and a weight of rank 3 that is too long for a kernel, do not pass as
    convolutions beside a ternary layer."""
    ternary = {"q.weight": random.integers(-1, 2, (8, HIDDEN)).astype(np.float32)}
    latents = random.standard_normal((EXPERTS, INNER, HIDDEN)).astype(np.float32)
    for name, model_type, code in (("mlp.input_linear.weight", "jetmoe", 1), ("mlp.w1.weight", "none", 4),
                                   ("conv.weight", "none", 0)):
        save(tmp_path / "a.safetensors", {**ternary, name: latents if code else latents[..., :9]})
        (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
        done = cli(daemon, "verify", tmp_path / "a.safetensors", "--json")
        assert done.returncode == code, done.stdout
        found = [one.get("layer", one.get("tensor")) for one in schemas.read(done.stdout)["findings"]]
        assert all(one.startswith(name) for one in found) and bool(found) == bool(code)


@pytest.mark.parametrize("ternary", [False, True])
def test_dense_experts_beside_one_scale(daemon, tmp_path, random, ternary):
    """Readers of hf_bitnet and i2_s need experts of rank 3 dense, but a claim's experts are judged all the
    same: they passed without a look."""
    codes = random.integers(-1, 2, (8, 256)).astype(np.int8)
    experts = (random.integers(-1, 2, (EXPERTS, INNER, HIDDEN)) * .5).astype(np.float32)
    if not ternary:
        experts[-1, -1, -1] = .4
    data, scale = packings.encode(claims.HF_BITNET, codes, np.ones((1, 1), np.float32))
    save(tmp_path / "a.safetensors", {
        "l.q_proj.weight": np.frombuffer(data, np.uint8).reshape(2, 256),
        "l.q_proj.weight_scale": np.frombuffer(scale, np.float32), "l.mlp.experts.up_proj": experts})
    packed = packings.encode(claims.I2_S, codes, np.ones((1, 1), np.float32))[0]
    (tmp_path / "a.gguf").write_bytes(gguf([("blk.0.attn_q.weight", 36, codes.shape, packed),
                                            ("blk.0.ffn_up_exps.weight", F32, experts.shape, experts.tobytes())]))
    judged = 0 if ternary else 1
    for file, words, code in (("a.safetensors", [], 4), ("a.safetensors", ["--experts", "out_in"], judged),
                              ("a.gguf", [], judged)):
        done = cli(daemon, "verify", tmp_path / file, "--json", *words)
        assert done.returncode == code, done.stdout
        found = [one.get("layer", one.get("tensor")) for one in schemas.read(done.stdout)["findings"]]
        last = f"[{EXPERTS - 1}]" if code == 1 else ""
        assert [one.rpartition(".")[2] for one in found] == (
            [] if not code else [("weight" if file == "a.gguf" else "up_proj") + last])


@pytest.mark.parametrize("layout", ["out_in", "in_out"])
@pytest.mark.parametrize("said", ["option", "config"])
def test_experts(daemon, tmp_path, moe, layout, said):
    """Each expert gives the same result as its matrix alone, grouped along the input, whether
    an option or config.json's architecture names the layout; the router stays dense."""
    turned = layout == "in_out"
    tensors = {name: np.ascontiguousarray(np.swapaxes(tensor, 1, 2))
               if turned and tensor.ndim == 3 else tensor for name, tensor in moe.items()}
    save(tmp_path / "moe.safetensors", tensors)
    words = ("--experts", layout)
    if said == "config":
        words = ()
        model_type = "llama4_text" if turned else "qwen3_moe"
        (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    out = tmp_path / "out.safetensors"
    done = cli(daemon, "project", tmp_path / "moe.safetensors", "-o", out, *words)
    assert done.returncode == 0, done.stderr
    expected = by_hand(daemon, tmp_path, split(moe, False))
    for name, tensor in split(load(out), turned).items():
        np.testing.assert_array_equal(tensor, expected[name])
    done = cli(daemon, "verify", out, "--against", tmp_path / "moe.safetensors", "--json")
    found = schemas.read(done.stdout)
    assert done.returncode == 0 and len(found["layers"]) == 2 * EXPERTS
    assert found["layers"][0]["layer"].endswith("[0]")


def test_experts_of_unknown_layout(daemon, tmp_path, moe):
    """Experts whose layout is not given stay dense, and the summary says so; a pattern that
    selects them is refused."""
    router = moe["model.layers.0.mlp.gate.weight"]
    save(tmp_path / "moe.safetensors", {**moe, "a.fc.weight": router})
    out = tmp_path / "out.safetensors"
    done = cli(daemon, "project", tmp_path / "moe.safetensors", "-o", out)
    assert done.returncode == 0 and "--experts" in done.stdout
    np.testing.assert_array_equal(load(out)["model.layers.0.mlp.experts.down_proj"],
                                  moe["model.layers.0.mlp.experts.down_proj"])
    done = cli(daemon, "project", tmp_path / "moe.safetensors", "-o", tmp_path / "2.safetensors",
               "--include", "*experts*")
    assert done.returncode == 1 and "--experts" in done.stderr


@pytest.mark.parametrize("layout", ["out_in", "in_out"])
@pytest.mark.parametrize("encoding", ["int8", "pq2_0", "q2_0"])
def test_packed_experts(daemon, tmp_path, random, layout, encoding):
    """Packed experts verify against their latents, in either layout."""
    shape = (EXPERTS, 16, 256) if layout == "out_in" else (EXPERTS, 256, 16)
    latents = tmp_path / "moe.safetensors"
    save(latents, {"l.experts.up_proj": bf16((random.standard_normal(shape) * .02)
                                             .astype(np.float32))})
    out = tmp_path / "out.safetensors"
    done = cli(daemon, "project", latents, "-o", out, "-e", encoding, "--experts", layout)
    assert done.returncode == 0, done.stderr
    note = json.loads(header_of(out)["__metadata__"]["trit"])["layers"]["l.experts.up_proj"]
    assert note["layout"] == f"experts_{layout}" and note["shape"] == list(shape)
    for words in ((), ("--against", latents)):
        done = cli(daemon, "verify", out, *words, "--json")
        assert done.returncode == 0, done.stdout
        assert len(schemas.read(done.stdout)["layers"]) == EXPERTS


@pytest.mark.parametrize("encoding", ["dense", "int8", "pq2_0", "hf_bitnet"])
@pytest.mark.parametrize("said", ["option", "config"])
def test_transposed(daemon, tmp_path, random, said, encoding):
    """A layer stored [in, out] has the codes of its transpose, whichever option says so."""
    weight = (random.standard_normal((256, 384)) * .02).astype(np.float32)
    weight *= np.exp(random.standard_normal(384) * 1.5).astype(np.float32)
    name = "h.0.attn.c_attn.weight"
    save(tmp_path / "gpt2.safetensors", {name: weight, "h.0.attn.c_attn.bias": weight[0]})
    save(tmp_path / "turned.safetensors", {name: np.ascontiguousarray(weight.T),
                                           "h.0.attn.c_attn.bias": weight[0]})
    words = ["--transposed", "*c_attn.weight"]
    out, other = tmp_path / "out.safetensors", tmp_path / "other.safetensors"
    done = cli(daemon, "project", tmp_path / "turned.safetensors", "-o", other, "-e", encoding)
    assert done.returncode == 0 and "--transposed" in done.stderr
    if said == "config":
        words = []
        (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    done = cli(daemon, "project", tmp_path / "gpt2.safetensors", "-o", out, "-e", encoding, *words)
    assert done.returncode == 0, done.stderr
    mine, theirs = load(out), load(other)
    if encoding in ("dense", "int8"):
        mine[name] = mine[name].T
    for tensor in theirs:
        np.testing.assert_array_equal(mine[tensor], theirs[tensor])
    done = cli(daemon, "verify", out, "--against", tmp_path / "gpt2.safetensors")
    assert done.returncode == 0, done.stdout


def test_transposed_ternary_layer_is_refused(daemon, tmp_path, random):
    """A layer stored [in, out] that is already ternary along its input is refused by name."""
    codes = random.integers(-1, 2, (256, 64)).astype(np.float32)
    weight = codes * (random.random(64).astype(np.float32) + .1)
    save(tmp_path / "in.safetensors", {"a.weight": weight})
    done = cli(daemon, "project", tmp_path / "in.safetensors", "-o", tmp_path / "o.safetensors",
               "--transposed", "a.weight")
    assert done.returncode == 1 and "a.weight" in done.stderr and "trit pack" in done.stderr


def test_dry_run(tmp_path, moe, random):
    """--dry-run needs no daemon, writes nothing, and says what happens to each tensor; it
    exits 1 if anything is refused, and names all of it."""
    nobody = {"TRITD_ADDRESS": "127.0.0.1:1"}
    wide = {f"{name}.fc.weight": random.standard_normal((4, width)).astype(np.float32)
            for name, width in (("a", 100), ("b", 65))}
    save(tmp_path / "in.safetensors", {**moe, **wide})
    done = cli(None, "project", tmp_path / "in.safetensors", "-n", "--json", "-e", "pq2_0",
               "--experts", "out_in", env=nobody)
    plan = schemas.read(done.stdout)
    actions = {one["name"]: one["action"] for one in plan["tensors"]}
    assert done.returncode == 1 and plan["refused"] == 4
    assert actions["model.layers.0.mlp.gate.weight"] == "keep"
    assert actions["a.fc.weight"] == actions["b.fc.weight"] == "refuse"
    assert all(one["reason"] for one in plan["tensors"] if one["action"] != "ternarize")
    done = cli(None, "project", tmp_path / "in.safetensors", "--dry-run", "--experts", "out_in",
               env=nobody)
    assert done.returncode == 0 and "3 experts of [48, 320]" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.safetensors"]
