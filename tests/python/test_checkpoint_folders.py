# SPDX-License-Identifier: Apache-2.0
"""client.checkpoint over folders: shards, index, config.json, as `trit` treats them."""

import json
import shutil

import numpy as np
import pytest

import trit
from checkpoints import (  # noqa: F401 (fixtures)
    INDEX,
    command,
    contents_of,
    drawn,
    f32,
    read,
    same_as_the_command,
    shard_name,
    write,
    write_folder,
)

HEAD = "lm_head.weight"
UP = "model.layers.0.mlp.up_proj.weight"


@pytest.fixture
def shards(drawn):
    """Three shards of two layers each."""
    return [
        {
            f"model.layers.{shard}.mlp.{name}.weight": (
                "F16",
                shape,
                drawn(*shape).astype(np.float16).tobytes(),
            )
            for name, shape in (("up_proj", (32, 256)), ("down_proj", (64, 128)))
        }
        for shard in range(3)
    ]


@pytest.fixture
def model(tmp_path, shards):
    """A folder as downloaded from a hub, with tokenizer."""
    folder = write_folder(tmp_path / "model", shards, {"model_type": "llama", "rope_theta": 1e4})
    (folder / "tokenizer.json").write_text('{"version": "1.0"}')
    (folder / "merges.txt").write_text("a b\n")
    (folder / "pytorch_model.bin").write_bytes(b"PK\3\4")
    (folder / ".gitattributes").write_text("*.bin")
    return folder


@pytest.fixture
def model_without_head(daemon):
    """Makes folders of a ternary model below the daemon's root; `more`: rows of other tensors."""
    folder = daemon.root / "headless"

    def make(config=None, more=None):
        rows = {"model.embed_tokens.weight": 8, "model.layers.0.mlp.up_proj.weight": 4}
        tensors = {
            name: f32(np.eye(count, 256, dtype=np.float32))
            for name, count in {**rows, **(more or {})}.items()
        }
        said = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
        return write_folder(
            folder, [tensors], {**said, "tie_word_embeddings": False, **(config or {})}
        )

    yield make
    shutil.rmtree(folder, ignore_errors=True)


def both(daemon, client, source, tmp_path, words=(), **options):
    """Projects with the package and the command; returns both outputs and the result."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    done = command(daemon, "project", source, "-o", theirs, *words)
    assert done.returncode == 0, done.stderr
    return ours, theirs, client.checkpoint.project(source, ours, **options)


# A folder is projected to the folder that `trit project` writes, in every file.
@pytest.mark.parametrize("encoding", ["dense", "int8", "hf_bitnet", "mlx_2bit"])
@pytest.mark.parametrize("shard_bytes", [None, 5000])
def test_a_folder_becomes_the_commands_folder(
    daemon, client, tmp_path, model, encoding, shard_bytes
):
    words = ["-e", encoding]
    words += [] if shard_bytes is None else ["--shard-size", str(shard_bytes)]
    ours, theirs, made = both(
        daemon, client, model, tmp_path, words, encoding=encoding, shard_bytes=shard_bytes
    )
    assert contents_of(ours) == contents_of(theirs)
    names = set(contents_of(ours))
    assert {"config.json", "merges.txt", "tokenizer.json"} <= names
    assert (INDEX in names) == (shard_bytes is not None)
    assert made.verdict == "pass" and len(made.layers) == 6
    assert [one.tensor for one in made.findings] == ["pytorch_model.bin"]  # it is not read
    found = client.checkpoint.verify(ours, against=model)
    assert found.passes and len(found.layers) == 6
    same_as_the_command(daemon, found, ours, "--against", model)
    assert client.checkpoint.inspect(ours).encoding == trit.Encoding[encoding.upper()]


# The index stands for its folder; an output that is named as a file is one file.
def test_an_index_is_its_folder(daemon, client, tmp_path, model):
    client.checkpoint.project(model / INDEX, tmp_path / "one.safetensors")
    theirs = tmp_path / "theirs.safetensors"
    assert command(daemon, "project", model, "-o", theirs).returncode == 0
    assert (tmp_path / "one.safetensors").read_bytes() == theirs.read_bytes()
    plan = client.checkpoint.plan(f"{model}/")
    assert len(plan.layers) == 6 and plan.possible


# Contradictions between index and shards are findings; errors refuse a projection.
@pytest.mark.parametrize(
    "change, kind, tensor",
    [
        ("missing shard", "index_disagrees", shard_name(2, 3)),
        ("promised tensor", "index_disagrees", "mtp.fc.weight"),
        ("lying index", "index_disagrees", UP),
        ("duplicate", "duplicate", UP),
    ],
)
def test_contradictions_are_findings(daemon, client, tmp_path, shards, change, kind, tensor):
    more = {
        "promised tensor": {"mtp.fc.weight": shard_name(3, 3)},
        "lying index": {UP: shard_name(2, 3)},
        "duplicate": {UP: shard_name(1, 3)},
    }
    if change == "duplicate":
        shards[1][UP] = shards[0][UP]
    folder = write_folder(tmp_path / "model", shards, weight_map=more.get(change))
    if change == "missing shard":
        (folder / shard_name(2, 3)).unlink()
    found = client.checkpoint.verify(folder)
    assert found.verdict == "fail"
    assert (kind, tensor) in {(one.kind, one.tensor) for one in found.findings}
    same_as_the_command(daemon, found, folder)
    assert [one.kind for one in client.checkpoint.inspect(folder).findings] == [kind]
    plan = client.checkpoint.plan(folder)
    assert not plan.possible and plan.findings[0].kind == kind
    with pytest.raises(trit.InvalidArgument, match=f"{tensor}: {kind}") as refused:
        client.checkpoint.project(folder, tmp_path / "out")
    assert refused.value.field == "source" and not (tmp_path / "out").exists()


# A folder that lacks the head of which config.json speaks is no model: the package, the command
# and the daemon's jobs find it missing.
def test_a_missing_head_is_found(daemon, client, model_without_head):
    folder = model_without_head()
    found = client.checkpoint.verify(folder)
    assert found.verdict == "fail"
    assert [(one.kind, one.tensor) for one in found.findings] == [("missing_tensor", HEAD)]
    same_as_the_command(daemon, found, folder)
    done = client.checkpoints.verify(folder.name).result()
    assert (done.verdict, done.findings) == (found.verdict, found.findings)
    same = client.checkpoint.verify(folder, against=folder)  # whose latents lack it too
    assert ("missing_tensor", HEAD) in {(one.kind, one.tensor) for one in same.findings}


# A folder without lm_head.weight passes where the head may have another name, is tied to the
# embeddings, does not belong to the model, or is left out by a pattern.
@pytest.mark.parametrize(
    "config, more, options",
    [
        ({"tie_word_embeddings": True}, {}, {}),
        ({"architectures": ["LlamaForSequenceClassification"]}, {"score.weight": 2}, {}),
        ({"architectures": ["LlamaModel"]}, {}, {}),
        ({"model_type": "bert"}, {}, {}),
        ({}, {"lm_head.qweight": 8}, {}),
        ({}, {"lm_head.weight_packed": 8}, {}),
        ({}, {"score.weight": 2}, {}),
        ({}, {HEAD: 8}, {}),
        ({}, {}, {"include": "model.layers.*"}),
    ],
)
def test_no_head_is_missed_without_cause(client, model_without_head, config, more, options):
    found = client.checkpoint.verify(model_without_head(config, more), **options)
    assert [one for one in found.findings if one.kind == "missing_tensor"] == []


# A single file may lie beside the config.json of another model.
def test_a_single_file_may_lack_the_head(client, model_without_head):
    assert client.checkpoint.verify(model_without_head() / shard_name(1, 1)).passes


# Latents are dense, also where config.json says how a claim would be packed.
def test_latents_of_a_folder_of_bitnet(daemon, client, model_without_head):
    said = {
        "quant_method": "bitnet",
        "linear_class": "autobitlinear",
        "quantization_mode": "online",
    }
    folder = model_without_head({"tie_word_embeddings": True, "quantization_config": said})
    found = client.checkpoint.verify(folder, mode="latent")
    assert found.passes
    same_as_the_command(daemon, found, folder, "--mode", "latent")


# A layer that only one of the blocks lacks is missing, for the package, the command and jobs.
def test_a_layer_that_a_block_lacks_is_found(daemon, client, model_without_head):
    names = [
        f"model.layers.{block}.mlp.{name}_proj.weight"
        for block in (1, 2)
        for name in ("up", "down")
    ]
    folder = model_without_head({"tie_word_embeddings": True}, dict.fromkeys(names, 4))
    found = client.checkpoint.verify(folder)
    assert found.verdict == "fail"
    assert [(one.kind, one.layer) for one in found.findings] == [
        ("missing_layer", "model.layers.0.mlp.down_proj.weight")
    ]
    same_as_the_command(daemon, found, folder)
    done = client.checkpoints.verify(folder.name).result()
    assert (done.verdict, done.findings) == (found.verdict, found.findings)


# One of several shards that is named alone is a part of a model, as for the command.
def test_one_shard_is_no_model(daemon, client, tmp_path, shards):
    source, part = tmp_path / "in.safetensors", tmp_path / shard_name(1, 2)
    write(source, shards[0])
    client.checkpoint.project(source, part)
    found = client.checkpoint.verify(part)
    one, *_ = found.findings
    assert (found.verdict, one.kind, one.tensor) == (
        "inconclusive",
        "not_in_index",
        shard_name(2, 2),
    )
    same_as_the_command(daemon, found, part)


# A tensor that the index does not list is projected, with a warning.
def test_an_unlisted_tensor_is_taken_along(daemon, client, tmp_path, shards):
    name = "model.layers.2.mlp.up_proj.weight"
    folder = write_folder(tmp_path / "model", shards, weight_map={name: None})
    ours, theirs, made = both(daemon, client, folder, tmp_path)
    assert contents_of(ours) == contents_of(theirs) and name in made.layers
    assert [(one.kind, one.severity) for one in made.findings] == [("not_in_index", "warning")]
    assert made.verdict == "pass"
    same_as_the_command(
        daemon, client.checkpoint.verify(ours, against=folder), ours, "--against", folder
    )


# If a folder is not a checkpoint, the error says what it is.
@pytest.mark.parametrize(
    "name, data, words",
    [
        (INDEX, b"{}", INDEX),
        (shard_name(2, 3), b"version https://git-lfs.github.com/spec/v1\noid", shard_name(2, 3)),
        (shard_name(2, 3), b"<!DOCTYPE html><html>", "HTML"),
        ("config.json", b"[]", "config.json"),
    ],
)
def test_other_folders_are_named(client, model, name, data, words):
    (model / name).write_bytes(data)
    for call in (client.checkpoint.inspect, client.checkpoint.plan, client.checkpoint.verify):
        with pytest.raises(trit.InvalidArgument, match=words):
            call(model)


# An existing folder is refused, replaced as a whole with force, and never the source.
def test_an_existing_folder(client, tmp_path, model):
    out = tmp_path / "out"
    client.checkpoint.project(model, out)
    (out / "old.json").write_text("{}")
    with pytest.raises(trit.AlreadyExists, match="force=True"):
        client.checkpoint.project(model, out)
    assert (out / "old.json").exists()
    client.checkpoint.project(model, out, force=True)
    assert not (out / "old.json").exists()
    before = contents_of(model)
    (tmp_path / "link").symlink_to(model)
    for source in (model, model / INDEX):
        for path in (model, f"{model}/", tmp_path / "link"):
            with pytest.raises(trit.InvalidArgument, match="the source itself"):
                client.checkpoint.project(source, path, force=True)
    assert contents_of(model) == before
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years")
    with pytest.raises(trit.Error):
        client.checkpoint.project(model, precious, force=True)
    assert contents_of(precious) == {"thesis.txt": b"years"}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


# A failed projection leaves no folder.
def test_a_failure_leaves_no_folder(client, tmp_path, shards):
    name = "model.layers.2.mlp.up_proj.weight"
    bad = np.frombuffer(shards[2][name][2], np.float16).copy()
    bad[700] = np.nan
    shards[2][name] = ("F16", (32, 256), bad.tobytes())
    folder = write_folder(tmp_path / "model", shards)
    with pytest.raises(trit.InvalidArgument, match=f"{name}: .*700"):
        client.checkpoint.project(folder, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [folder]


# .npy files are read and written as `trit` does, under any name.
def test_arrays_files(daemon, client, tmp_path, drawn):
    latents, ours, theirs = (tmp_path / f"{name}.npy" for name in ("latents", "ours", "theirs"))
    np.save(latents, drawn(8, 256))
    client.checkpoint.project(latents, ours)
    assert command(daemon, "project", latents, "-o", theirs).returncode == 0
    assert ours.read_bytes() == theirs.read_bytes()
    found = client.checkpoint.verify(ours, against=latents)
    assert found.passes and list(found.reports) == ["ours"]
    same_as_the_command(daemon, found, ours, "--against", latents)
    with pytest.raises(trit.InvalidArgument, match="cannot hold int8"):
        client.checkpoint.project(latents, tmp_path / "o.npy", encoding="int8")


# Results print as a summary with findings, and in notebooks as an escaped table.
def test_results_are_shown(client, tmp_path, drawn):
    name = "<b>&.weight"
    state = {name: drawn(4, 128), "n.bias": drawn(4)}
    made = client.checkpoint.project(state)
    assert repr(made) == "<ProjectResult: pass: 1 layers ternary, 99.2 % of the parameters>"
    broken = {**made.tensors, name: made.tensors[name].copy()}
    broken[name][1, 2] = 7
    found = client.checkpoint.verify(broken, against=state)
    plan = client.checkpoint.plan(state, encoding="i2_s")
    info = client.checkpoint.inspect(state)
    assert found.verdict == "fail" and "not_ternary" in str(found) and "1 layers" in repr(found)
    for shown in (made, found, plan, info):
        html = shown._repr_html_()
        assert "<table>" in html and "&lt;b&gt;&amp;.weight" in html and "<b>" not in html
    assert list(plan.refused) == [name] and not plan.possible
    assert plan._repr_html_().count("<tr>") == 3
    assert json.dumps(found.findings[0].to_dict())
