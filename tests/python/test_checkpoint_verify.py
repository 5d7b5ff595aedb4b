# SPDX-License-Identifier: Apache-2.0
"""client.checkpoint.verify: the verdicts and findings of `trit verify`."""

import json

import numpy as np
import pytest

import trit
from checkpoints import (  # noqa: F401 (fixtures)
    FOREIGN,
    LAYERS,
    cut,
    drawn,
    f32,
    file,
    model,
    read,
    same_as_the_command,
    tensors,
    write,
)

NORM, BIAS = "model.layers.0.input_layernorm.weight", "model.layers.0.attn.q_proj.bias"


def floats(tensor):
    return np.frombuffer(tensor[2], np.float32).reshape(tensor[1]).copy()


# ---- what can be wrong with a projected file: (tensors, metadata) to (tensors, metadata) --


def nothing(made, metadata):
    return made, metadata


def without(name):
    return lambda made, metadata: ({key: made[key] for key in made if key != name}, metadata)


def with_tensors(more):
    return lambda made, metadata: ({**made, **more}, metadata)


def without_record(made, metadata):
    return made, {}


def changed(name, index, value):
    def damage(made, metadata):
        flat = floats(made[name])
        flat.flat[index] = value
        return {**made, name: f32(flat)}, metadata

    return damage


def flipped(name):
    def damage(made, metadata):
        flat = floats(made[name])
        flat.flat[np.flatnonzero(flat)[5]] *= -1
        return {**made, name: f32(flat)}, metadata

    return damage


def dead(name):
    return lambda made, metadata: ({**made, name: f32(np.zeros(made[name][1]))}, metadata)


def reshaped(name, *shape):
    return lambda made, metadata: ({**made, name: (made[name][0], shape, made[name][2])}, metadata)


def recorded_alone(name):
    """A record that lists one layer of four."""

    def damage(made, metadata):
        record = json.loads(metadata["trit"])
        record["layers"] = {name: record["layers"][name]}
        return made, {"trit": json.dumps(record)}

    return damage


NAN = {"nan": f32(np.full(3, np.nan))}

DAMAGES = [
    (nothing, "pass", set(), "pass", set()),
    (without_record, "pass", set(), "pass", set()),
    (without(LAYERS[1]), "fail", {"missing_layer"}, "fail", {"missing_layer"}),
    (without(BIAS), "pass", set(), "fail", {"missing_tensor"}),
    (changed(NORM, 7, 1e9), "pass", set(), "fail", {"other_tensor_differs"}),
    (reshaped(NORM, 2, 64), "pass", set(), "fail", {"other_tensor_differs"}),
    (changed(LAYERS[1], 7, 0.5), "fail", {"not_ternary"}, "fail", {"not_ternary"}),
    (changed(LAYERS[1], 7, np.nan), "fail", {"non_finite"}, "fail", {"non_finite"}),
    (flipped(LAYERS[1]), "pass", set(), "fail", {"codes_differ"}),
    (dead(LAYERS[3]), "fail", {"dead_layer"}, "fail", {"dead_layer"}),
    (
        with_tensors({"more.weight": f32(np.ones((2, 128)))}),
        "inconclusive",
        {"kept_by_record"},
        "fail",
        {"extra_layer"},
    ),
    (with_tensors({"more.bias": f32(np.ones(2))}), "pass", set(), "fail", {"extra_tensor"}),
    (
        with_tensors(FOREIGN["mlx.weight"]),
        "inconclusive",
        {"foreign_packing"},
        "fail",
        {"foreign_packing", "extra_tensor"},
    ),
    (
        with_tensors({"wide.weight": ("F64", (2, 2), bytes(32))}),
        "inconclusive",
        {"unknown_dtype"},
        "fail",
        {"extra_tensor"},
    ),
    (
        recorded_alone(LAYERS[1]),
        "inconclusive",
        {"kept_by_record"},
        "fail",
        {"other_tensor_differs"},
    ),
]


# Verdict and findings equal those of `trit verify`, whatever is wrong.
@pytest.mark.parametrize("damage, alone, kinds, compared, compared_kinds", DAMAGES)
def test_verdicts_are_those_of_the_command(
    daemon, client, tmp_path, model, damage, alone, kinds, compared, compared_kinds
):
    latents, claim = tmp_path / "latents.safetensors", tmp_path / "claim.safetensors"
    write(latents, model)
    client.checkpoint.project(latents, claim)
    write(claim, *damage(*read(claim)))
    found = client.checkpoint.verify(claim)
    assert found.verdict == alone and found.passes == (alone == "pass")
    assert kinds <= {one.kind for one in found.findings}
    same_as_the_command(daemon, found, claim)
    found = client.checkpoint.verify(claim, against=latents)
    assert found.verdict == compared and compared_kinds <= {one.kind for one in found.findings}
    same_as_the_command(daemon, found, claim, "--against", latents)


# A finding names its layer or tensor, and both values where bytes differ.
def test_findings_say_where(client, tmp_path, model):
    latents, claim = tmp_path / "latents.safetensors", tmp_path / "claim.safetensors"
    write(latents, model)
    client.checkpoint.project(latents, claim)
    made, metadata = read(claim)
    del made[LAYERS[1]]
    write(claim, *changed(NORM, 7, 1e9)(made, metadata))
    found = client.checkpoint.verify(claim, against=latents)
    assert found.missing == (LAYERS[1],)
    (differs,) = (one for one in found.findings if one.kind == "other_tensor_differs")
    assert isinstance(differs, trit.reports.Finding)
    assert (differs.tensor, differs.layer, differs.index, differs.count) == (NORM, None, 7, 1)
    assert (differs.severity, differs.got) == ("error", "1e+09")
    (missing,) = (one for one in found.findings if one.kind == "missing_layer")
    assert (missing.layer, missing.tensor) == (LAYERS[1], None)
    assert sum(found.reports[name].elements for name in found.reports) == found.examined
    assert found.examined + found.kept == sum(np.prod(one[1]) for one in made.values())


# A layer that the latents have in another shape is missing.
def test_another_shape_is_another_layer(client, tmp_path, model):
    latents, claim = tmp_path / "latents.safetensors", tmp_path / "claim.safetensors"
    write(latents, model)
    client.checkpoint.project(latents, claim)
    write(latents, {**model, LAYERS[1]: (*model[LAYERS[1]][:1], (16, 128), model[LAYERS[1]][2])})
    found = client.checkpoint.verify(claim, against=latents)
    assert found.verdict == "fail" and found.missing == (LAYERS[1],)
    assert LAYERS[1] not in found.reports


# If nothing is examined the verdict is inconclusive, also against an identical file.
def test_nothing_examined_is_inconclusive(daemon, client, tmp_path):
    path = tmp_path / "in.safetensors"
    write(path, {"norm.weight": f32(np.ones(4)), "l.bias": f32(np.ones(4))})
    for against, words in ((None, []), (path, ["--against", path])):
        found = client.checkpoint.verify(path, against=against)
        assert found.verdict == "inconclusive" and not found.passes
        assert [one.kind for one in found.findings] == ["nothing_examined"]
        assert found.examined == 0 and found.kept == 8
        same_as_the_command(daemon, found, path, *words)
    assert client.checkpoint.verify({}).verdict == "inconclusive"


# Layers that a record omits are accepted with an option, or excluded by a pattern.
def test_a_record_is_accepted_on_demand(client, tmp_path, model):
    latents, claim = tmp_path / "latents.safetensors", tmp_path / "claim.safetensors"
    write(latents, model)
    client.checkpoint.project(latents, claim, exclude="lm_head.*")
    found = client.checkpoint.verify(claim)
    assert found.verdict == "inconclusive"
    assert [(one.kind, one.layer) for one in found.findings] == [("kept_by_record", LAYERS[3])]
    assert client.checkpoint.verify(claim, accept_record=True).passes
    assert client.checkpoint.verify(claim, exclude="lm_head.*").passes
    assert client.checkpoint.verify(claim, against=latents).passes


# Dead layers fail unless an option allows them.
def test_dead_layers_are_allowed_on_demand(client):
    state = {"w": np.zeros((2, 128), np.float32), "v": np.full((2, 128), 3, np.float32)}
    found = client.checkpoint.verify(state)
    assert found.verdict == "fail"
    assert [(one.kind, one.layer) for one in found.findings] == [("dead_layer", "w")]
    assert client.checkpoint.verify(state, allow_dead=True).passes


# Packings of other programs and unsupported types make a file inconclusive.
@pytest.mark.parametrize("weight", list(FOREIGN))
def test_foreign_packings_are_inconclusive(daemon, client, tmp_path, drawn, weight):
    path = tmp_path / "in.safetensors"
    write(path, {**FOREIGN[weight], "l.weight": f32(np.full((2, 128), 3.0))})
    found = client.checkpoint.verify(path)
    assert found.verdict == "inconclusive" and list(found.reports) == ["l.weight"]
    (foreign,) = found.findings
    assert (foreign.kind, foreign.tensor) == ("foreign_packing", weight)
    assert all(name in foreign.hint for name in FOREIGN[weight] if name != weight)
    same_as_the_command(daemon, found, path)


# A bitnet file of transformers has no record, and its scales have the model's type. They are
# compared after rounding to that type.
@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_bitnet_files_of_others_are_verified(daemon, client, tmp_path, random, dtype):
    w = random.standard_normal((8, 33)).astype(np.float32)
    packed = client.project(w, encoding="hf_bitnet")
    scale = (
        packed.scales.astype(np.float16)
        if dtype == "F16"
        else cut(packed.scales + 2**15 * np.spacing(packed.scales))
        if dtype == "BF16"
        else packed.scales
    )
    path, latents = tmp_path / "model.safetensors", tmp_path / "latents.safetensors"
    tensors = {
        "q.weight": ("U8", (2, 33), packed.data.tobytes()),
        "q.weight_scale": (dtype, (1,), scale.tobytes()),
        "lm_head.weight": f32(w),
    }
    write(path, tensors)
    write(latents, {"q.weight": f32(w), "lm_head.weight": f32(w)})
    found = client.checkpoint.verify(path, encoding="hf_bitnet")
    assert found.passes and list(found.reports) == ["q.weight"]
    assert found.reports["q.weight"].shape == w.shape
    assert found.reports["q.weight"].scale_mean == pytest.approx(
        packed.report.scale_mean, rel=0.01
    )
    found = client.checkpoint.verify(path, against=latents, encoding="hf_bitnet")
    assert found.verdict == "pass", found.findings
    same_as_the_command(daemon, found, path, "--against", latents, "--encoding", "hf_bitnet")
    assert client.checkpoint.verify(path).passes  # its tables say that it is hf_bitnet
    write(path, {**tensors, "q.weight_scale": ("F32", (2,), bytes(8))})
    found = client.checkpoint.verify(path, encoding="hf_bitnet")
    assert found.verdict == "inconclusive"
    assert "not one F32" in found.findings[0].hint
    del tensors["q.weight_scale"]
    write(path, tensors)
    found = client.checkpoint.verify(path, encoding="hf_bitnet")
    assert found.verdict == "fail" and found.findings[0].tensor == "q.weight_scale"


# The scales of an int8 layer may have a narrower type as well.
@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_narrow_scales_are_verified(daemon, client, tmp_path, random, dtype):
    w = random.standard_normal((8, 256)).astype(np.float32)
    packed = client.project(w, encoding="int8")
    scales = (
        packed.scales.astype(np.float16)
        if dtype == "F16"
        else cut(packed.scales + 2**15 * np.spacing(packed.scales))
    )
    path, latents = tmp_path / "model.safetensors", tmp_path / "latents.safetensors"
    write(
        path,
        {
            "q": ("I8", (8, 256), packed.data.tobytes()),
            "q.scales": (dtype, (8, 2), scales.tobytes()),
        },
    )
    write(latents, {"q": f32(w)})
    found = client.checkpoint.verify(path, against=latents, encoding="int8")
    assert found.verdict == "pass", found.findings
    same_as_the_command(daemon, found, path, "--against", latents, "--encoding", "int8")


# A state dict is verified by the same rules as a file.
def test_state_dicts_are_verified_by_the_rules(client, model):
    latents = {name: floats(one) for name, one in model.items()}
    made = client.checkpoint.project(latents).tensors
    found = client.checkpoint.verify(made, against=latents)
    assert found.passes and list(found.reports) == LAYERS
    del made[BIAS]
    made[NORM] = made[NORM] + 1
    found = client.checkpoint.verify(made, against=latents)
    assert {(one.kind, one.tensor) for one in found.findings} == {
        ("missing_tensor", BIAS),
        ("other_tensor_differs", NORM),
    }
    made["q.weight"] = np.zeros((8, 16), np.uint8)
    made["q.weight.absmax"] = np.zeros(8, np.float32)
    found = client.checkpoint.verify(made)
    assert [(one.kind, one.tensor) for one in found.findings] == [("foreign_packing", "q.weight")]


# Latents are not ternary, but their projection is.
def test_latents_are_verified_as_latents(daemon, client, tmp_path, file):
    found = client.checkpoint.verify(file)
    assert found.verdict == "fail"
    assert set(found.reports) == {"blk.0.q", "blk.0.k", "blk.0.v", "short"}
    assert {one.layer for one in found.findings if one.kind == "not_ternary"} == set(found.reports)
    found = client.checkpoint.verify(file, mode="latent")
    assert found.passes
    same_as_the_command(daemon, found, file, "--mode", "latent")


# Invalid options are refused; the error names them.
@pytest.mark.parametrize(
    "options, field, words",
    [
        (dict(include="nobody"), "include", '"nobody" matches no tensor'),
        (dict(exclude="nobody"), "exclude", '"nobody" matches no tensor'),
        (dict(encoding="gold"), "encoding", "gold"),
        (dict(encoding="int8", mode="latent"), "encoding", "latents are dense"),
        (dict(encoding="hf_bitnet", group_size=128), "group_size", "one scale for the whole"),
        (dict(group_size=-1), "group_size", "-1"),
        (dict(partial_group="whole"), "partial_group", "whole"),
        (dict(step=3), "step", "needs a run"),
    ],
)
def test_invalid_options_are_refused(client, file, options, field, words):
    with pytest.raises(trit.InvalidArgument, match=words) as raised:
        client.checkpoint.verify(file, **options)
    assert raised.value.field == field


# A pattern may match a tensor of either side.
def test_a_pattern_may_match_either_side(client):
    ones = np.full((2, 128), 3, np.float32)
    found = client.checkpoint.verify({"a": ones}, against={"a": ones, "b": ones}, exclude="b")
    assert [one.kind for one in found.findings] == ["missing_tensor"]
