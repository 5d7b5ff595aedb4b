# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that are folders: shards, index, config.json."""
import json

import numpy as np
import pytest

import schemas
from checkpoints import header_of, load, save
from folders import INDEX, load_folder, save_folder, shard_name
from gguf_files import F32, gguf
from tritd import cli


@pytest.fixture
def shards(random):
    """Three shards of two layers each."""
    return [{f"model.layers.{s}.mlp.{name}.weight":
             (random.standard_normal(shape) * .02).astype(np.float16)
             for name, shape in (("up_proj", (32, 256)), ("down_proj", (64, 128)))}
            for s in range(3)]


def findings(done, kind):
    return [one for one in schemas.read(done.stdout)["findings"] if one["kind"] == kind]


def whole(shards):
    return {name: tensor for shard in shards for name, tensor in shard.items()}


def test_folder_and_index_are_one_checkpoint(daemon, tmp_path, shards):
    """A folder and its index give the same result as one file with the same tensors."""
    save_folder(tmp_path / "model", shards)
    save(tmp_path / "one.safetensors", whole(shards), {"format": "pt"})
    for path in ("model", f"model/{INDEX}", "model/", "one.safetensors"):
        out = tmp_path / f"out{abs(hash(path))}.safetensors"
        done = cli(daemon, "project", tmp_path / path if path[-1] != "/" else
                   f"{tmp_path}/model/", "-o", out)
        assert done.returncode == 0, done.stderr
        if path == "model":
            expected = load(out)
        for name, tensor in load(out).items():
            np.testing.assert_array_equal(tensor, expected[name])
        done = cli(daemon, "verify", out, "--against", tmp_path / "model")
        assert done.returncode == 0, done.stdout


def test_shards_without_an_index(daemon, tmp_path, shards):
    """Numbered shards need no index; a missing number is an error."""
    save_folder(tmp_path / "model", shards, index=False)
    done = cli(daemon, "inspect", tmp_path / "model", "--json")
    assert done.returncode == 0 and len(schemas.read(done.stdout)["tensors"]) == 6
    (tmp_path / "model" / shard_name(2, 3)).unlink()
    for words in (("inspect",), ("project", "-o", tmp_path / "out.safetensors")):
        done = cli(daemon, words[0], tmp_path / "model", *words[1:])
        assert done.returncode == 1 and shard_name(2, 3) in done.stderr
    assert not (tmp_path / "out.safetensors").exists()


def test_missing_shard(daemon, tmp_path, shards):
    """A shard that the index names and that is missing is reported by name; nothing is
    written."""
    save_folder(tmp_path / "model", shards)
    (tmp_path / "model" / shard_name(2, 3)).unlink()
    done = cli(daemon, "project", tmp_path / "model", "-o", tmp_path / "out.safetensors")
    assert done.returncode == 1 and shard_name(2, 3) in done.stderr
    assert not (tmp_path / "out.safetensors").exists()
    done = cli(daemon, "verify", tmp_path / "model", "--json")
    assert done.returncode == 1
    found, = findings(done, "index_disagrees")
    assert found["tensor"] == shard_name(2, 3) and int(found["count"]) == 2


def test_missing_tensor(daemon, tmp_path, shards):
    """A tensor that its shard lacks is reported with the shard that should hold it."""
    save_folder(tmp_path / "model", shards, weight_map={"mtp.fc.weight": shard_name(3, 3)})
    done = cli(daemon, "project", tmp_path / "model", "-o", tmp_path / "out.safetensors")
    assert done.returncode == 1 and not (tmp_path / "out.safetensors").exists()
    assert "mtp.fc.weight" in done.stderr and shard_name(3, 3) in done.stderr


def test_lying_index(daemon, tmp_path, shards):
    """A tensor in another shard than the index says is an error that names it."""
    name = "model.layers.0.mlp.up_proj.weight"
    save_folder(tmp_path / "model", shards, weight_map={name: shard_name(2, 3)})
    done = cli(daemon, "verify", tmp_path / "model", "--json")
    assert done.returncode == 1
    assert [one["tensor"] for one in findings(done, "index_disagrees")] == [name]


def test_unlisted_tensor(daemon, tmp_path, shards):
    """A tensor that the index does not list is processed, with a warning."""
    name = "model.layers.2.mlp.up_proj.weight"
    save_folder(tmp_path / "model", shards, weight_map={name: None})
    done = cli(daemon, "project", tmp_path / "model", "-o", tmp_path / "out.safetensors")
    assert done.returncode == 0 and "not_in_index" in done.stderr
    assert name in load(tmp_path / "out.safetensors")


def test_duplicate_tensor(daemon, tmp_path, shards):
    """A tensor in two shards is an error that names both."""
    name = "model.layers.0.mlp.up_proj.weight"
    shards[1][name] = shards[0][name]
    save_folder(tmp_path / "model", shards)
    done = cli(daemon, "verify", tmp_path / "model", "--json")
    assert done.returncode == 1
    found, = findings(done, "duplicate")
    assert found["tensor"] == name and shard_name(1, 3) in found["hint"]
    assert shard_name(2, 3) in found["hint"]


@pytest.mark.parametrize("file", ["../secret.safetensors", "/etc/passwd", "", ".."])
def test_index_stays_in_its_folder(daemon, tmp_path, shards, file):
    """An index that names a file outside its folder is refused."""
    save(tmp_path / "secret.safetensors", shards[0])
    save_folder(tmp_path / "model", shards, weight_map={"x.weight": file})
    done = cli(daemon, "inspect", tmp_path / "model")
    assert done.returncode == 3 and "x.weight" in done.stderr


@pytest.mark.parametrize("text", ["", "[]", "{", '{"weight_map": 1}', '{"weight_map": {}}',
                                  '{"weight_map": {"a": 1}}'])
def test_broken_index(daemon, tmp_path, shards, text):
    """An invalid index is refused by its name."""
    save_folder(tmp_path / "model", shards)
    (tmp_path / "model" / INDEX).write_text(text)
    done = cli(daemon, "inspect", tmp_path / "model")
    assert done.returncode == 3 and INDEX in done.stderr


def test_broken_shard_is_named(daemon, tmp_path, shards):
    """A shard that cannot be read ends the command, and the message names the shard."""
    save_folder(tmp_path / "model", shards)
    (tmp_path / "model" / shard_name(2, 3)).write_bytes(b"version https://git-lfs.github")
    done = cli(daemon, "inspect", tmp_path / "model")
    assert done.returncode == 3 and shard_name(2, 3) in done.stderr


def test_folder_without_weights(daemon, tmp_path, shards):
    """A folder without safetensors files is refused, and a pickle in it is named."""
    (tmp_path / "pytorch_model.bin").write_bytes(b"PK\3\4")
    done = cli(daemon, "inspect", tmp_path)
    assert done.returncode == 3 and "pytorch_model.bin" in done.stderr
    for name in ("a", "b"):
        save(tmp_path / f"{name}.safetensors", shards[0])
    done = cli(daemon, "inspect", tmp_path)
    assert done.returncode == 3 and "a.safetensors" in done.stderr


# ---- folders that are written ---------------------------------------------------------


def model(folder, shards, config=None):
    """A folder as downloaded from a hub, with tokenizer."""
    save_folder(folder, shards, config or {"model_type": "llama", "rope_theta": 1e4})
    (folder / "tokenizer.json").write_text('{"version": "1.0"}')
    (folder / "merges.txt").write_text("a b\n")
    (folder / "pytorch_model.bin").write_bytes(b"PK\3\4")
    (folder / ".gitattributes").write_text("*.bin")
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_folder_becomes_a_folder(daemon, tmp_path, shards):
    """A folder is projected to a folder: one file or shards with an index, the same tensors as
    from a single file, config.json and tokenizer copied."""
    config = {"model_type": "llama", "rope_theta": 1e4, "time_step_limit": [0.0, float("inf")]}  # as of Mamba 2
    source, out = model(tmp_path / "model", shards, config), tmp_path / "out"
    done = cli(daemon, "project", source, "-o", out, "-e", "int8")
    assert done.returncode == 0, done.stderr
    assert names(out) == ["config.json", "merges.txt", "model.safetensors", "tokenizer.json"]
    assert json.loads((out / "config.json").read_text()) == config
    done = cli(daemon, "project", source, "-o", tmp_path / "one.safetensors", "-e", "int8")
    assert done.returncode == 0, done.stderr
    expected = load(tmp_path / "one.safetensors")
    small = tmp_path / "small"
    done = cli(daemon, "project", source, "-o", small, "-e", "int8", "--shard-size", "20KB")
    assert done.returncode == 0, done.stderr
    index = json.loads((small / INDEX).read_text())
    assert set(index["weight_map"]) == set(expected)
    assert index["metadata"]["total_size"] == sum(one.nbytes for one in expected.values())
    for folder in (out, small):
        found = load_folder(folder)
        assert set(found) == set(expected)
        for name, tensor in expected.items():
            np.testing.assert_array_equal(found[name], tensor)
        for words in ((), ("--against", source)):
            done = cli(daemon, "verify", folder, *words)
            assert done.returncode == 0, done.stdout + done.stderr
    done = cli(None, "diff", out, small)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("encoding", ["mlx_2bit", "hf_bitnet"])
def test_config_gets_its_quantization_block(daemon, tmp_path, shards, encoding):
    """config.json says how the layers are packed if the encoding's readers look there."""
    shards[0]["lm_head.weight"] = shards[0]["model.layers.0.mlp.up_proj.weight"]
    source, out = model(tmp_path / "model", shards), tmp_path / "out"
    done = cli(daemon, "project", source, "-o", out, "-e", encoding)
    assert done.returncode == 0, done.stderr
    config = json.loads((out / "config.json").read_text())
    assert config["rope_theta"] == 1e4
    if encoding == "mlx_2bit":
        assert config["quantization"] == config["quantization_config"] == {"group_size": 128,
                                                                           "bits": 2}
    else:
        block = config["quantization_config"]
        assert block["quant_method"] == "bitnet" and block["linear_class"] == "autobitlinear"
        assert block["modules_to_not_convert"] == ["lm_head"]
    done = cli(daemon, "verify", out, "--against", source)
    assert done.returncode == 0, done.stdout


def test_existing_folder(daemon, tmp_path, shards):
    """An existing folder is refused without --force and replaced completely with it; the input
    and a folder of other files are never replaced."""
    source, out = model(tmp_path / "model", shards), tmp_path / "out"
    assert cli(daemon, "project", source, "-o", out).returncode == 0
    (out / "old.json").write_text("{}")
    before = names(out)
    done = cli(daemon, "project", source, "-o", out)
    assert done.returncode == 2 and "--force" in done.stderr and names(out) == before
    assert cli(daemon, "project", source, "-o", out, "--force").returncode == 0
    assert "old.json" not in names(out)
    for path in (source, f"{source}/", tmp_path / "link"):
        if path == tmp_path / "link":
            path.symlink_to(source)
        before = load_folder(source)
        done = cli(daemon, "project", source, "-o", path, "--force")
        assert done.returncode == 2 and load_folder(source).keys() == before.keys()
    before = load_folder(source)
    for given, path in ((source, source / shard_name(2, 3)), (source / INDEX, source)):
        done = cli(daemon, "project", given, "-o", path, "--force")
        assert done.returncode == 2 and "belongs to the input" in done.stderr
    for name, tensor in load_folder(source).items():
        np.testing.assert_array_equal(tensor, before[name])
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years")
    done = cli(daemon, "project", source, "-o", precious, "--force")
    assert done.returncode == 3 and (precious / "thesis.txt").read_text() == "years"
    assert not [name for name in names(tmp_path) if name.startswith(".")]


def test_nothing_half_written(daemon, tmp_path, shards):
    """A projection that fails midway leaves no folder and no temporary file."""
    shards[2]["model.layers.2.mlp.up_proj.weight"][3, 5] = np.nan
    source = model(tmp_path / "model", shards)
    done = cli(daemon, "project", source, "-o", tmp_path / "out")
    assert done.returncode == 3 and "up_proj" in done.stderr
    assert names(tmp_path) == ["model"]


def test_metadata_has_a_format(daemon, tmp_path, shards):
    """A file without "format" in its metadata gets one, which transformers before 5 needs."""
    for metadata in (None, {"note": "x"}, {"format": "np"}):
        save(tmp_path / "in.safetensors", shards[0], metadata)
        done = cli(daemon, "project", tmp_path / "in.safetensors", "-o",
                   tmp_path / "out.safetensors", "--force")
        assert done.returncode == 0, done.stderr
        written = header_of(tmp_path / "out.safetensors")["__metadata__"]
        assert written["format"] == (metadata or {}).get("format", "pt")
        assert written.get("note") == (metadata or {}).get("note")


def test_other_weights_in_the_folder_are_named(daemon, tmp_path, shards):
    """The answer speaks of one file of a folder, and names those that it does not speak of."""
    folder = tmp_path / "model"
    folder.mkdir()
    save(folder / "model.safetensors", whole(shards))
    (folder / "optimizer.pt").write_bytes(b"PK\3\4")
    done = cli(daemon, "verify", folder, "--json", "--mode", "latent")
    assert done.returncode == 0 and not schemas.read(done.stdout)["findings"]
    for name in ("model.gguf", "pytorch_model.bin"):
        (folder / name).write_bytes(b"other weights")
    found = findings(cli(daemon, "verify", folder, "--json", "--mode", "latent"), "not_in_index")
    assert [(one["tensor"], one["severity"]) for one in found] == [
        ("model.gguf", "warning"), ("pytorch_model.bin", "warning")]
    assert all("those of model.safetensors" in one["hint"] for one in found)
    for words in (("inspect",), ("project", "-o", tmp_path / "out")):
        done = cli(daemon, words[0], folder, *words[1:])
        assert done.returncode == 0 and "model.gguf: not_in_index" in done.stderr, done


def test_a_whole_file_beside_the_index(daemon, tmp_path, shards):
    """transformers loads model.safetensors and not the shards beside it. So its tensors are read
    too, and those that both have are errors; whoever names the index means the shards."""
    source = model(tmp_path / "model", shards)
    save(source / "model.safetensors", {"other.weight": shards[0]["model.layers.0.mlp.up_proj.weight"]})
    done = cli(daemon, "verify", source, "--json", "--mode", "latent")
    assert [one["tensor"] for one in findings(done, "not_in_index")] == ["other.weight",
                                                                         "pytorch_model.bin"]
    assert "other.weight" in {one["layer"] for one in schemas.read(done.stdout)["layers"]}
    save(source / "model.safetensors", whole(shards))
    done = cli(daemon, "verify", source, "--json", "--mode", "latent")
    assert done.returncode == 1 and len(findings(done, "duplicate")) == 6
    done = cli(daemon, "project", source, "-o", tmp_path / "out")
    assert done.returncode == 1 and "model.safetensors" in done.stderr
    assert not (tmp_path / "out").exists()
    done = cli(daemon, "verify", source / INDEX, "--json", "--mode", "latent")
    assert done.returncode == 0 and not findings(done, "duplicate"), done.stdout


def test_missing_blocks(daemon, tmp_path, random):
    """A model that lacks blocks which its config.json or its keys count fails; a part of a model, and a
    file without such a number, are not accused."""
    def trits(rows):
        return random.integers(-1, 2, (rows, 128)).astype(np.float32)

    table = trits(16)
    for number, (blocks, counted, whole, missing) in enumerate((
            ((0, 1), 2, True, None), ((0, 2), 4, True, (1, 2)), ((0,), None, True, None), ((1,), 2, False, None))):
        folder = tmp_path / str(number)
        folder.mkdir()
        embeddings = {"model.embed_tokens.weight": table} if whole else {}
        save(folder / "model.safetensors", embeddings | {
            f"model.layers.{block}.mlp.up_proj.weight": trits(8) for block in blocks})
        config = {"model_type": "llama", "tie_word_embeddings": True}
        values = {"general.architecture": "llama"}
        if counted:
            config["num_hidden_layers"] = values["llama.block_count"] = counted
        (folder / "config.json").write_text(json.dumps(config))
        file = tmp_path / f"{number}.gguf"
        file.write_bytes(gguf(
            [("token_embd.weight", F32, table.shape, table.tobytes())] * whole +
            [(f"blk.{block}.ffn_up.weight", F32, (8, 128), trits(8).tobytes()) for block in blocks], values))
        for path, stem in ((folder, "model.layers."), (file, "blk.")):
            done = cli(daemon, "verify", path, "--json")
            found = [(one["kind"], one["tensor"], one["count"]) for one in schemas.read(done.stdout)["findings"]]
            assert found == ([("missing_tensor", f"{stem}{missing[0]}", missing[1])] if missing else [])
            assert done.returncode == (1 if missing else 0)
