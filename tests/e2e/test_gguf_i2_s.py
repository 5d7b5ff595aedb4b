# SPDX-License-Identifier: Apache-2.0
"""I2_S, the type of BitNet's fork of ggml: codes of the whole tensor in planes of 32, then one scale."""
import json
import struct

import numpy as np
import pytest

import reference as ref
import transformers_models as models
from checkpoints import load, save
from gguf_files import F32, gguf
from tritd import cli

I2_S = 36


def i2_s(codes, scale, eightfold=False):
    """Bytes of a tensor, by microsoft/BitNet's converters: 28 zero bytes or seven more scales at the end."""
    planes = (np.asarray(codes).reshape(-1, 4, 32) + 1).astype(np.uint8)
    data = planes[:, 0] << 6 | planes[:, 1] << 4 | planes[:, 2] << 2 | planes[:, 3]
    tail = struct.pack("<f", scale)
    return data.tobytes() + (tail * 8 if eightfold else tail + bytes(28))


def whole(weights):
    """Codes in the shape of the weights, and the tensor's one scale."""
    codes, scale = ref.project(weights.reshape(1, -1), weights.size)
    return codes.reshape(weights.shape), np.float32(scale.reshape(-1)[0])


def parse(path):
    """{name: (type, torch's shape, bytes)} of a file, without gguf-py, which does not know I2_S."""
    data, at = path.read_bytes(), 24
    tensors, keys = struct.unpack_from("<QQ", data, 8)

    def text():
        nonlocal at
        size = struct.unpack_from("<Q", data, at)[0]
        at += 8 + size
        return data[at - size:at].decode()

    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
    for _ in range(keys):
        text()
        kind = struct.unpack_from("<I", data, at)[0]
        at += 4
        if kind == 8:
            text()
        else:
            at += sizes[kind]
    found = []
    for _ in range(tensors):
        name, rank = text(), struct.unpack_from("<I", data, at)[0]
        at += 4
        shape = struct.unpack_from(f"<{rank}Q", data, at)[::-1]
        kind, offset = struct.unpack_from("<IQ", data, at + 8 * rank)
        at += 8 * rank + 12
        found.append((name, kind, shape, offset))
    start = at + -at % 32
    return {name: (kind, shape, data[start + offset:]) for name, kind, shape, offset in found}


@pytest.fixture
def latents(random, tmp_path):
    tensors = {"a.weight": (random.standard_normal((24, 256)) * .02).astype(np.float32),
               "norm.weight": np.ones(256, np.float32)}
    save(tmp_path / "in.safetensors", tensors)
    return tensors


def test_one_plus_one_lies_where_bitnet_reads_it(daemon, tmp_path):
    """The only +1 of a tensor is in the bits that bitnet.cpp's layout says, and the scale behind the codes."""
    for index in (0, 33, 127, 128 + 65, 256 * 5 + 100):
        weights = np.zeros((8, 256), np.float32)
        weights.reshape(-1)[index] = 4.0
        save(tmp_path / "in.safetensors", {"a.weight": weights})
        done = cli(daemon, "project", tmp_path / "in.safetensors", "-o", tmp_path / "o.gguf", "-e", "i2_s",
                   "--force", "--again")
        assert done.returncode == 0, done.stderr
        kind, shape, data = parse(tmp_path / "o.gguf")["a.weight"]
        assert (kind, shape) == (I2_S, (8, 256))
        expected = i2_s((weights > 0).astype(np.int8), 4.0 / weights.size)
        assert data[:len(expected)] == expected


@pytest.mark.parametrize("eightfold", [False, True])
def test_files_of_bitnet_are_read(daemon, random, tmp_path, eightfold):
    """Both kinds of tail are read: verify passes, unpack gives t*s, and a code of 3 fails."""
    codes = random.integers(-1, 2, (24, 256)).astype(np.int8)
    data = i2_s(codes, .0123, eightfold)
    (tmp_path / "m.gguf").write_bytes(gguf([("a.weight", I2_S, (24, 256), data),
                                            ("norm.weight", F32, (3,), np.arange(3, dtype="<f4").tobytes())]))
    assert cli(daemon, "verify", tmp_path / "m.gguf").returncode == 0
    done = cli(daemon, "unpack", tmp_path / "m.gguf", "-o", tmp_path / "o.safetensors")
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(load(tmp_path / "o.safetensors")["a.weight"], codes * np.float32(.0123))
    bad = bytearray(data)
    bad[40] |= 0xc0
    (tmp_path / "bad.gguf").write_bytes(gguf([("a.weight", I2_S, (24, 256), bytes(bad))]))
    assert cli(daemon, "verify", tmp_path / "bad.gguf").returncode == 1


def test_projection_and_back(daemon, tmp_path, latents):
    """A projection verifies against its latents, and becomes hf_bitnet, TQ2_0 and I2_S again without loss."""
    done = cli(daemon, "project", tmp_path / "in.safetensors", "-o", tmp_path / "o.gguf", "-e", "i2_s")
    assert done.returncode == 0, done.stderr
    checked = cli(daemon, "verify", tmp_path / "o.gguf", "--against", tmp_path / "in.safetensors", "--json")
    assert checked.returncode == 0 and json.loads(checked.stdout)["verdict"] == "pass"
    codes, scale = whole(latents["a.weight"])
    expected = i2_s(codes, scale)
    assert parse(tmp_path / "o.gguf")["a.weight"][2][:len(expected)] == expected
    for source, out, options in (("o.gguf", "hf.safetensors", ["-e", "hf_bitnet"]),
                                 ("hf.safetensors", "back.gguf", ["-e", "i2_s"]),
                                 ("back.gguf", "tq.gguf", ["-e", "tq2_0", "-g", "256", "--round-scales"])):
        done = cli(daemon, "pack", tmp_path / source, "-o", tmp_path / out, *options)
        assert done.returncode == 0, done.stderr
    assert parse(tmp_path / "back.gguf")["a.weight"][2][:len(expected)] == expected
    assert cli(daemon, "diff", tmp_path / "o.gguf", tmp_path / "hf.safetensors").returncode == 0


def test_a_changed_scale_is_explained(daemon, tmp_path, latents):
    """A scale that is not the mean of the latents fails, with both values."""
    codes, scale = whole(latents["a.weight"])
    data = i2_s(codes, 2 * scale)
    (tmp_path / "m.gguf").write_bytes(gguf([("a.weight", I2_S, (24, 256), data),
                                            ("norm.weight", F32, (256,), latents["norm.weight"].tobytes())]))
    done = cli(daemon, "verify", tmp_path / "m.gguf", "--against", tmp_path / "in.safetensors")
    assert done.returncode == 1 and "scales_differ" in done.stdout


@pytest.mark.parametrize("build", ["ARM", "x86 without ACT_PARALLEL"])
def test_codes_in_the_order_of_another_build(daemon, tmp_path, latents, build):
    """Nothing in a file tells that bitnet.cpp wrote the codes in another order. Where the latents show it,
    the comparison is open, unless a code differs in that order too."""
    codes, scale = whole(latents["a.weight"])
    places = (codes.reshape(-1, 4, 16) if build == "ARM" else codes.reshape(-1, 4, codes.shape[1])) + 1
    places = places.astype(np.uint8)
    data = places[:, 0] << 6 | places[:, 1] << 4 | places[:, 2] << 2 | places[:, 3]
    names = [f"a{number}.weight" for number in range(18)]  # more than are explained of other encodings
    save(tmp_path / "all.safetensors", {name: latents["a.weight"] for name in names})
    for change, code in ((0, 4), (1, 1)):
        tail = struct.pack("<f", scale) + bytes(28)
        last = data.copy()
        last.reshape(-1)[700] = 0x55 if change else last.reshape(-1)[700]  # zeros
        (tmp_path / "m.gguf").write_bytes(gguf([
            (name, I2_S, (24, 256), (last if name == names[-1] else data).tobytes() + tail) for name in names]))
        done = cli(daemon, "verify", tmp_path / "m.gguf", "--against", tmp_path / "all.safetensors", "--json")
        assert done.returncode == code, done.stdout
        found = {one["layer"]: one for one in json.loads(done.stdout)["findings"]}
        assert set(found) == set(names)
        for name, one in found.items():
            right = not change or name != names[-1]
            assert (one["kind"], one["severity"]) == ("codes_differ", "undecided" if right else "error")
            assert (f"builds for {build}," in one["hint"]) == right


def test_what_would_lose_is_refused(daemon, random, tmp_path):
    """Groups with scales of their own, rows that are no blocks and other containers are refused by name."""
    save(tmp_path / "in.safetensors", {"a.weight": random.standard_normal((8, 256)).astype(np.float32)})
    assert cli(daemon, "project", tmp_path / "in.safetensors", "-o", tmp_path / "pq.gguf", "-e",
               "pq2_0").returncode == 0
    done = cli(daemon, "pack", tmp_path / "pq.gguf", "-o", tmp_path / "o.gguf", "-e", "i2_s")
    assert done.returncode == 1 and "a.weight" in done.stderr and "nothing is written" in done.stderr
    assert not (tmp_path / "o.gguf").exists()
    save(tmp_path / "odd.safetensors", {"a.weight": random.standard_normal((8, 192)).astype(np.float32)})
    done = cli(daemon, "project", tmp_path / "odd.safetensors", "-o", tmp_path / "o.gguf", "-e", "i2_s")
    assert done.returncode == 1 and "i2_s needs rows of a multiple of 128 weights" in done.stderr
    done = cli(daemon, "project", tmp_path / "in.safetensors", "-o", tmp_path / "o.safetensors", "-e", "i2_s")
    assert done.returncode != 0 and "i2_s has a form in GGUF files only" in done.stderr


def test_a_bitnet_folder(daemon, random, tmp_path):
    """A folder of bitnet has I2_S layers, and embeddings as they were, as bitnet.cpp reads them."""
    tensors = models.weights(random, "bitnet", True)
    folder = models.folder(tmp_path / "m", tensors, models.config("bitnet", tie_word_embeddings=True))
    done = cli(daemon, "project", folder, "-o", tmp_path / "o.gguf", "-e", "i2_s")
    assert done.returncode == 0 and "a model for llama.cpp (bitnet)" in done.stdout, done.stderr
    checked = cli(daemon, "verify", tmp_path / "o.gguf", "--against", folder)
    assert checked.returncode == 0, checked.stdout
    done = cli(daemon, "unpack", tmp_path / "o.gguf", "-o", tmp_path / "back.safetensors")
    assert done.returncode == 0, done.stderr
    weights = tensors["model.layers.1.mlp.up_proj.weight"]
    codes, scale = whole(weights)
    np.testing.assert_array_equal(load(tmp_path / "back.safetensors")["model.layers.1.mlp.up_proj.weight"],
                                  codes * scale)
    np.testing.assert_array_equal(load(tmp_path / "back.safetensors")["model.embed_tokens.weight"],
                                  tensors["model.embed_tokens.weight"])
