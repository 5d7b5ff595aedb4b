# SPDX-License-Identifier: Apache-2.0
"""client.checkpoint treats experts, transposed layers, renamed tensors, MLX's biases and
claims that differ as `trit` does."""

import json
import pathlib

import numpy as np
import pytest

import trit
from checkpoints import (  # noqa: F401 (fixtures)
    command,
    drawn,
    f32,
    read,
    same_as_the_command,
    write,
)

EXPERTS, INNER, HIDDEN = 3, 24, 320  # 320 is no multiple of 128, on purpose


@pytest.fixture
def moe(drawn):
    """The experts of one block as [experts, out, in], with their router."""
    return {
        "model.layers.0.mlp.gate.weight": drawn(EXPERTS, HIDDEN),
        "model.layers.0.mlp.experts.gate_up_proj": drawn(EXPERTS, 2 * INNER, HIDDEN),
        "model.layers.0.mlp.experts.down_proj": drawn(EXPERTS, HIDDEN, INNER),
    }


def turned(arrays):
    """Experts as [experts, in, out]."""
    return {
        name: np.ascontiguousarray(np.swapaxes(one, 1, 2)) if one.ndim == 3 else one
        for name, one in arrays.items()
    }


def save(path, arrays, metadata=None):
    write(path, {name: f32(one) for name, one in arrays.items()}, metadata)
    return path


def projected(daemon, client, source, tmp_path, words, **options):
    """The output of both, which must be equal, and the result."""
    ours, theirs = tmp_path / "ours.safetensors", tmp_path / "theirs.safetensors"
    done = command(daemon, "project", source, "-o", theirs, *words)
    assert done.returncode == 0, done.stderr
    made = client.checkpoint.project(source, ours, **options)
    assert ours.read_bytes() == theirs.read_bytes()
    return ours, made


# ---- experts and transposed layers -------------------------------------------------------


# Experts are projected and verified matrix by matrix, in either layout, by option or config.
@pytest.mark.parametrize("layout", ["out_in", "in_out"])
@pytest.mark.parametrize("said", ["option", "config", "text"])
@pytest.mark.parametrize("encoding", ["dense", "int8"])
def test_experts(daemon, client, tmp_path, moe, layout, said, encoding):
    path = save(tmp_path / "moe.safetensors", turned(moe) if layout == "in_out" else moe)
    config = {"model_type": "llama4_text" if layout == "in_out" else "qwen3_moe"}
    options = {
        "option": {"experts": layout},
        "config": {},
        "text": {"config": config},
    }[said]
    if said == "config":
        (tmp_path / "config.json").write_text(json.dumps(config))
    words = ["-e", encoding] + ([] if said == "config" else ["--experts", layout])
    out, made = projected(daemon, client, path, tmp_path, words, encoding=encoding, **options)
    name = "model.layers.0.mlp.experts.down_proj"
    assert len(made.layers) == 2 * EXPERTS and f"{name}[2]" in made.layers
    plan = client.checkpoint.plan(path, **options)
    assert plan.tensors[name].matrices == EXPERTS
    assert plan.tensors[name].transposed == (layout == "in_out")
    assert plan.tensors["model.layers.0.mlp.gate.weight"].action == "keep"
    found = client.checkpoint.verify(out, against=path)
    assert found.passes and set(found.layers) == set(made.layers)
    same_as_the_command(daemon, found, out, "--against", path)
    # The same with a state dict.
    state = {
        key: np.frombuffer(one[2], np.float32).reshape(one[1])
        for key, one in read(path)[0].items()
    }
    options = {"experts": layout} if said == "config" else options
    arrays = client.checkpoint.project(state, encoding=encoding, **options).tensors
    for key, one in read(out)[0].items():
        assert (arrays[key].shape, arrays[key].tobytes()) == one[1:]
    if encoding == "dense":
        assert client.checkpoint.verify(arrays, against=state, **options).passes


# Packed experts verify against their latents, in either layout.
@pytest.mark.parametrize("layout", ["out_in", "in_out"])
@pytest.mark.parametrize("encoding", ["pq2_0", "q2_0"])
def test_packed_experts(daemon, client, tmp_path, drawn, layout, encoding):
    shape = (EXPERTS, 16, 256) if layout == "out_in" else (EXPERTS, 256, 16)
    path = save(tmp_path / "moe.safetensors", {"l.experts.up_proj": drawn(*shape)})
    words = ["-e", encoding, "--experts", layout]
    out, _ = projected(daemon, client, path, tmp_path, words, encoding=encoding, experts=layout)
    same_as_the_command(daemon, client.checkpoint.verify(out), out)
    found = client.checkpoint.verify(out, against=path)
    assert found.passes and len(found.layers) == EXPERTS
    same_as_the_command(daemon, found, out, "--against", path)


# Experts in one tensor are compared with one tensor each, whichever side has which.
@pytest.mark.parametrize("layout", ["out_in", "in_out"])
def test_experts_in_one_tensor_or_one_each(daemon, client, tmp_path, drawn, layout):
    experts = drawn(EXPERTS, 16, 256)
    one = {"l.experts.up_proj": experts}
    one = save(tmp_path / "one.safetensors", one if layout == "out_in" else turned(one))
    each = {f"l.experts.{i}.up_proj.weight": experts[i] for i in range(EXPERTS)}
    each = save(tmp_path / "each.safetensors", each)
    for claim, latents in ((one, each), (each, one)):
        out = tmp_path / "out.safetensors"
        client.checkpoint.project(claim, out, encoding="dense", experts=layout, force=True)
        found = client.checkpoint.verify(out, against=latents, experts=layout)
        assert found.passes and len(found.layers) == EXPERTS
        same_as_the_command(daemon, found, out, "--against", latents, "--experts", layout)
        tensors, metadata = read(out)
        name = max(tensors)
        wrong = np.frombuffer(tensors[name][2], np.float32).copy()
        wrong[np.flatnonzero(wrong)[-1]] *= -1
        write(out, {**tensors, name: ("F32", tensors[name][1], wrong.tobytes())}, metadata)
        found = client.checkpoint.verify(out, against=latents, experts=layout)
        (one_wrong,) = found.findings
        assert one_wrong.kind == "codes_differ" and "-> " in one_wrong.hint
        same_as_the_command(daemon, found, out, "--against", latents, "--experts", layout)


# An expert that is wrong is named by its number, with the reason.
def test_one_wrong_expert(daemon, client, tmp_path, moe):
    path = save(tmp_path / "moe.safetensors", moe)
    out, _ = projected(daemon, client, path, tmp_path, ["--experts", "out_in"], experts="out_in")
    tensors, metadata = read(out)
    name = "model.layers.0.mlp.experts.down_proj"
    wrong = np.frombuffer(tensors[name][2], np.float32).copy()
    place = np.flatnonzero(wrong[-HIDDEN * INNER :])[5] - HIDDEN * INNER
    wrong[place] *= -1
    write(out, {**tensors, name: ("F32", tensors[name][1], wrong.tobytes())}, metadata)
    found = client.checkpoint.verify(out, against=path)
    (one,) = found.findings
    assert (one.kind, one.layer) == ("codes_differ", f"{name}[2]") and "-> " in one.hint
    same_as_the_command(daemon, found, out, "--against", path)


# Layers stored [in, out] are transposed, by pattern or by the architecture.
@pytest.mark.parametrize("encoding", ["dense", "int8", "pq2_0", "hf_bitnet"])
@pytest.mark.parametrize("said", ["option", "config"])
def test_transposed(daemon, client, tmp_path, drawn, random, said, encoding):
    weight = drawn(256, 384) * np.exp(random.standard_normal(384) * 1.5).astype(np.float32)
    name = "h.0.attn.c_attn.weight"
    path = save(tmp_path / "gpt2.safetensors", {name: weight, "h.0.attn.c_attn.bias": weight[0]})
    words, options = ["--transposed", "*c_attn.weight"], {"transposed": "*c_attn.weight"}
    if said == "config":
        words, options = [], {}
        (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    words += ["-e", encoding]
    out, made = projected(daemon, client, path, tmp_path, words, encoding=encoding, **options)
    assert made.reports[name].shape == (384, 256)
    found = client.checkpoint.verify(out, against=path)
    assert found.passes
    same_as_the_command(daemon, found, out, "--against", path)
    options = options or {"config": '{"model_type": "gpt2"}'}
    state = {name: weight}
    arrays = client.checkpoint.project(state, encoding=encoding, **options).tensors
    for key, one in arrays.items():
        assert one.tobytes() == read(out)[0][key][2]
    strided = {name: np.asfortranarray(weight)}
    again = client.checkpoint.project(strided, encoding=encoding, **options).tensors
    assert again[name].tobytes() == arrays[name].tobytes()


# A layer stored [in, out] that is already ternary along its input is refused.
def test_a_transposed_ternary_layer_is_refused(client, random):
    codes = random.integers(-1, 2, (256, 64)).astype(np.float32)
    state = {"a.weight": codes * (random.random(64).astype(np.float32) + 0.1)}
    plan = client.checkpoint.plan(state, transposed="a.weight")
    assert "ternary already" in plan.refused["a.weight"]
    with pytest.raises(trit.InvalidArgument, match="a.weight: it is ternary already"):
        client.checkpoint.project(state, transposed="a.weight")


# The plan is that of `trit project --dry-run --json`.
def test_plans_are_those_of_the_command(tmp_path, moe, drawn):
    path = save(
        tmp_path / "in.safetensors", {**moe, "a.fc.weight": drawn(4, 100), "b.w": drawn(4, 128)}
    )
    with trit.Client("127.0.0.1:1") as nobody:
        plan = nobody.checkpoint.plan(path, encoding="pq2_0", experts="out_in")

    class Nobody:
        rpc = "127.0.0.1:1"

    done = command(Nobody, "project", path, "-n", "--json", "-e", "pq2_0", "--experts", "out_in")
    printed = json.loads(done.stdout)
    assert done.returncode == 1 and not plan.possible
    assert [(one["name"], one["action"], one.get("reason")) for one in printed["tensors"]] == [
        (one.name, one.action, one.reason) for one in plan.tensors.values()
    ]
    assert printed["refused"] == len(plan.refused) == 3
    sizes = {"before": str(plan.bytes_before), "after": str(plan.bytes_after)}
    assert printed["bytes"] == sizes
    assert plan.bits_per_weight == printed["bits_per_weight"] == 2.125


# ---- names -------------------------------------------------------------------------------


@pytest.fixture
def pair(client, drawn):
    """Latents of three layers and a norm, and their projection."""
    latents = {f"model.layers.{i}.mlp.up_proj.weight": drawn(8, 256) for i in range(3)}
    latents["model.norm.weight"] = np.ones(256, np.float32)
    return latents, client.checkpoint.project(latents).tensors


def compared(daemon, client, tmp_path, claim, latents, words=(), **options):
    """The verdict on the files, which must equal that of the command and that on state
    dicts."""
    left = save(tmp_path / "claim.safetensors", claim)
    right = save(tmp_path / "other.safetensors", latents)
    found = client.checkpoint.verify(left, against=right, **options)
    same_as_the_command(daemon, found, left, "--against", right, *words)
    same = client.checkpoint.verify(claim, against=latents, **options)
    assert (same.verdict, same.findings) == (found.verdict, found.findings)
    return found


# A prefix on either side is reported, and strip_prefix removes it.
@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "base_model.model."])
@pytest.mark.parametrize("side", ["claim", "latents"])
def test_prefixes(daemon, client, tmp_path, pair, prefix, side):
    latents, out = pair
    if side == "claim":
        out = {prefix + name: one for name, one in out.items()}
    else:
        latents = {prefix + name: one for name, one in latents.items()}
    found = compared(daemon, client, tmp_path, out, latents)
    assert found.verdict == "fail"
    assert [one.kind for one in found.findings] == ["renamed"] * 4 + ["nothing_examined"]
    words = ["--strip-prefix", prefix]
    assert compared(daemon, client, tmp_path, out, latents, words, strip_prefix=prefix).passes


# Rules rename the tensors of the claim.
def test_renames(daemon, client, tmp_path, pair):
    latents, out = pair
    claim = {
        name.replace("model.", "h.", 1).replace("mlp.up_proj", "fc"): one
        for name, one in out.items()
    }
    rules = ["h.layers.*.fc.weight=model.layers.*.mlp.up_proj.weight", "h.norm.*=model.norm.*"]
    words = [word for rule in rules for word in ("--rename", rule)]
    assert compared(daemon, client, tmp_path, claim, latents).verdict == "fail"
    assert compared(daemon, client, tmp_path, claim, latents, words, rename=rules).passes
    name = "model.layers.1.mlp.up_proj.weight"
    claim = {("fc.weight" if key == name else key): one for key, one in out.items()}
    found = compared(daemon, client, tmp_path, claim, latents)
    (renamed,) = found.findings
    assert renamed.kind == "renamed" and f"--rename 'fc.weight={name}'" in renamed.hint


# Layers with swapped names differ.
def test_swapped_layers(daemon, client, tmp_path, pair):
    latents, out = pair
    a, b = "model.layers.0.mlp.up_proj.weight", "model.layers.1.mlp.up_proj.weight"
    found = compared(daemon, client, tmp_path, {**out, a: out[b], b: out[a]}, latents)
    assert found.verdict == "fail" and {one.layer for one in found.findings} >= {a, b}


# Rules that match nothing, are malformed, or come without latents are refused by name.
@pytest.mark.parametrize(
    "options, field",
    [
        ({"rename": "none.*=other.*"}, "rename"),
        ({"rename": "a=b=c"}, "rename"),
        ({"rename": "a"}, "rename"),
        ({"rename": "=b"}, "rename"),
        ({"rename": "a=*"}, "rename"),
        ({"strip_prefix": "none."}, "strip_prefix"),
        ({"transposed": "none"}, "transposed"),
        ({"experts": "sideways"}, "experts"),
        ({"config": "[]"}, "config"),
        ({"config": 7}, "config"),
    ],
)
def test_invalid_rules_are_refused(client, pair, options, field):
    latents, out = pair
    with pytest.raises(trit.InvalidArgument) as refused:
        client.checkpoint.verify(out, against=latents, **options)
    assert refused.value.field == field
    with pytest.raises(trit.InvalidArgument) as refused:
        client.checkpoint.verify(out, **options)
    assert refused.value.field == field


# ---- why a claim differs -----------------------------------------------------------------


def means(latents, size, exact=False):
    """The mean magnitude of each weight's group, in f32."""
    scales = np.empty_like(latents)
    for start in range(0, latents.shape[1], size):
        group = np.abs(latents[:, start : start + size].astype(np.float64))
        divisor = group.shape[1] if exact else size
        scales[:, start : start + size] = group.sum(1, keepdims=True) / divisor
    return scales.astype(np.float32)


def ternary(latents, scales, threshold=0.5):
    return np.where(np.abs(latents) > threshold * scales, np.sign(latents), 0) * scales


CLAIMS = {
    "64": lambda w: ternary(w, means(w, 64)),
    "row": lambda w: ternary(w, means(w, w.shape[1])),
    "exact": lambda w: ternary(w, means(w, 128, True)),
    "threshold": lambda w: ternary(w, means(w, 128), 0.7),
    "rounded": lambda w: np.sign(ternary(w, means(w, 128))) * means(w, 128).astype(np.float16),
    "reciprocal": lambda w: np.sign(ternary(w, means(w, 128))) / means(w, 128),
}


# Hints and reasons equal those of the command: how many codes and scales differ, and why.
@pytest.mark.parametrize(
    "claim, columns, kind",
    [
        ("64", 640, "granularity_differs"),
        ("row", 640, "granularity_differs"),
        ("exact", 200, "partial_group_differs"),
        ("threshold", 640, "threshold_differs"),
        ("rounded", 640, "scale_rounded"),
        ("reciprocal", 640, "scale_reciprocal"),
    ],
)
def test_reasons(daemon, client, tmp_path, drawn, claim, columns, kind):
    latents = drawn(24, columns)
    made = {"fc.weight": CLAIMS[claim](latents).astype(np.float32)}
    words = ["--tolerance", "0.4"]
    found = compared(daemon, client, tmp_path, made, {"fc.weight": latents}, words, tolerance=0.4)
    assert found.verdict == "fail" and kind in {one.kind for one in found.findings}
    assert all(one.hint for one in found.findings if one.kind in ("codes_differ", "scales_differ"))


# Scales of a bitnet file are 1 / mean |w| where config.json declares it.
@pytest.mark.parametrize("stored", ["mean", "reciprocal"])
@pytest.mark.parametrize("linear_class", [None, "bitlinear", "autobitlinear"])
def test_bitnet_by_config(daemon, client, tmp_path, drawn, stored, linear_class):
    latents = save(tmp_path / "latents.safetensors", {"l.weight": drawn(16, 256)})
    release = tmp_path / "release"
    release.mkdir()
    path = release / "model.safetensors"
    client.checkpoint.project(latents, path, encoding="hf_bitnet")
    tensors, _ = read(path)
    if stored == "reciprocal":
        scale = 1 / np.frombuffer(tensors["l.weight_scale"][2], np.float32)
        tensors["l.weight_scale"] = ("F32", (1,), scale.tobytes())
    write(path, tensors, {"format": "pt"})
    block = {"quant_method": "bitnet"}
    if linear_class is not None:
        block["linear_class"] = linear_class
    (release / "config.json").write_text(json.dumps({"quantization_config": block}))
    found = client.checkpoint.verify(release, against=latents)
    declared = "mean" if linear_class == "autobitlinear" else "reciprocal"
    assert found.passes == (stored == declared)
    same_as_the_command(daemon, found, release, "--against", latents)


# ---- MLX ---------------------------------------------------------------------------------


@pytest.fixture
def mlx(daemon, client, tmp_path, drawn):
    """Latents of one layer, and their projection in mlx_2bit."""
    latents = {"l.weight": drawn(16, 256), "norm.weight": np.ones(256, np.float32)}
    path = save(tmp_path / "latents.safetensors", latents)
    out, made = projected(daemon, client, path, tmp_path, ["-e", "mlx_2bit"], encoding="mlx_2bit")
    arrays = client.checkpoint.project(latents, encoding="mlx_2bit").tensors
    assert list(arrays) == ["l.weight", "l.scales", "l.biases", "norm.weight"]
    for name, one in read(out)[0].items():
        assert arrays[name].tobytes() == one[2]
    assert (arrays["l.biases"] == -arrays["l.scales"]).all()
    return path, out, arrays


# Separate scales and biases verify by record, by option and by config.json.
def test_mlx_verifies(daemon, client, tmp_path, mlx):
    path, out, arrays = mlx
    found = client.checkpoint.verify(out, against=path)
    assert found.passes
    same_as_the_command(daemon, found, out, "--against", path)
    assert client.checkpoint.verify(arrays).verdict == "inconclusive"
    assert client.checkpoint.verify(arrays, encoding="mlx_2bit").passes
    config = {"quantization": {"group_size": 128, "bits": 2}}
    assert client.checkpoint.verify(arrays, config=config).passes
    bare = tmp_path / "bare" / "model.safetensors"
    bare.parent.mkdir()
    write(bare, read(out)[0])
    found = client.checkpoint.verify(bare)
    assert found.verdict == "inconclusive" and found.findings[0].kind == "foreign_packing"
    same_as_the_command(daemon, found, bare)
    (bare.parent / "config.json").write_text(json.dumps(config))
    found = client.checkpoint.verify(bare)
    assert found.passes and found.layers == ("l.weight",)
    same_as_the_command(daemon, found, bare)


# Biases other than -scales, missing parts and codes 3 give the command's findings.
@pytest.mark.parametrize(
    "damage, kind",
    [
        ("bias", "not_ternary"),
        ("code", "code_out_of_range"),
        ("l.scales", "missing_tensor"),
        ("l.biases", "missing_tensor"),
    ],
)
def test_mlx_damages(daemon, client, mlx, damage, kind):
    path, out, _ = mlx
    tensors, metadata = read(out)
    if damage == "bias":
        biases = np.frombuffer(tensors["l.biases"][2], np.float16).copy()
        biases[7] = 0
        tensors["l.biases"] = ("F16", (16, 2), biases.tobytes())
    elif damage == "code":
        words = np.frombuffer(tensors["l.weight"][2], np.uint32).copy()
        words[18] |= 3
        tensors["l.weight"] = ("U32", (16, 16), words.tobytes())
    else:
        del tensors[damage]
    write(out, tensors, metadata)
    for against in (None, path):
        found = client.checkpoint.verify(out, against=against)
        assert found.verdict == "fail" and kind in {one.kind for one in found.findings}
        words = [] if against is None else ["--against", path]
        same_as_the_command(daemon, found, out, *words)


# ---- files that are cut ----------------------------------------------------------------


def test_a_file_that_is_cut_fails_as_with_the_command(daemon, client, drawn, tmp_path):
    """What the file holds is judged, and the tensor that is cut off is named."""
    latents = {"a.weight": drawn(8, 256), "b.weight": drawn(8, 256)}
    source = save(tmp_path / "in.safetensors", latents)
    ours, _ = projected(daemon, client, source, tmp_path, ())
    ours.write_bytes(ours.read_bytes()[:-100])
    found = client.checkpoint.verify(ours)
    assert (found.verdict, found.findings[0].kind) == ("fail", "truncated")
    assert sorted(found.reports) == ["a.weight"]
    same_as_the_command(daemon, found, ours)
    with pytest.raises(trit.InvalidArgument, match="truncated"):
        client.checkpoint.inspect(ours)


def test_keras(daemon, client, tmp_path):
    """A .keras file's ternary kernels are verified and unpacked as by trit."""
    data = pathlib.Path(__file__).resolve().parents[1] / "data"
    found = client.checkpoint.verify(data / "keras_ternary.keras")
    assert found.verdict == "pass" and len(found.reports) == 3
    same_as_the_command(daemon, found, data / "keras_ternary.keras")
    client.checkpoint.unpack(data / "keras_ternary.keras", tmp_path / "a.safetensors")
    dense, _ = read(tmp_path / "a.safetensors")
    for name, value in read(data / "keras_ternary.safetensors")[0].items():
        assert dense[name] == value
