# SPDX-License-Identifier: Apache-2.0
"""GGUF files as people have them: listed, verified, unpacked and packed again."""
import json

import numpy as np
import pytest

import reference as ref
from checkpoints import load, save
from gguf_files import BF16, F16, F32, PQ2_0, PTQ1_0, Q2_0, Q4_0, TQ1_0, TQ2_0, gguf, pq2_0
from tritd import cli

ROWS, COLUMNS = 24, 512
ARCHITECTURE = {"general.architecture": "llama"}


@pytest.fixture
def layer(random):
    """(latents, codes, scales) with one scale for 256 weights, exact in f16."""
    latents = random.standard_normal((ROWS, COLUMNS), np.float32)
    codes, scales = ref.project(latents, 256)
    return latents, codes.reshape(-1, 256), scales.astype(np.float16).astype(np.float32).reshape(-1, 1)


def write(path, *tensors, values=ARCHITECTURE):
    path.write_bytes(gguf(list(tensors), values))
    return path


def values_of(codes, scales):
    return (codes * scales).astype(np.float32).reshape(ROWS, COLUMNS)


def verdict(done):
    return json.loads(done.stdout)["verdict"]


def test_inspect_tells_types_and_shapes(tmp_path, layer, daemon):
    """Tensors have GGUF's types, and the shapes of their values as in torch."""
    _, codes, scales = layer
    file = write(tmp_path / "m.gguf",
                 ("blk.0.attn_q.weight", PQ2_0, (ROWS, COLUMNS), pq2_0(codes, scales.repeat(2))),
                 ("blk.0.ffn_up.weight", Q4_0, (2, 64), bytes(2 * 2 * 18)),
                 ("output_norm.weight", F32, (4,), np.ones(4, "<f4").tobytes()),
                 values={**ARCHITECTURE, "llama.block_count": 1, "tokenizer.ggml.tokens": ["a", "b"]})
    done = cli(daemon, "inspect", file, "--json")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert found["format"] == "gguf"
    assert found["metadata"] == {"general.architecture": "llama", "llama.block_count": "1",
                                 "tokenizer.ggml.tokens": "[string x 2]"}
    assert [(one["dtype"], [int(size) for size in one["shape"]], one["layer"])
            for one in found["tensors"]] == [("PQ2_0", [ROWS, COLUMNS], True),
                                             ("Q4_0", [2, 64], False), ("F32", [4], False)]


@pytest.mark.parametrize("encoding,kind", [("pq2_0", PQ2_0), ("q2_0", Q2_0), ("ptq1_0", PTQ1_0),
                                           ("tq1_0", TQ1_0), ("tq2_0", TQ2_0)])
def test_every_ternary_type(daemon, tmp_path, layer, encoding, kind):
    """A layer in blocks of each ternary type passes, and unpacks to its trits times its scales."""
    _, codes, scales = layer
    values = values_of(codes, scales)
    save(tmp_path / "dense.safetensors", {"l.weight": values})
    assert cli(daemon, "pack", tmp_path / "dense.safetensors", "-e", encoding, "-g", "256", "-o",
               tmp_path / "packed.safetensors").returncode == 0
    blocks = load(tmp_path / "packed.safetensors")["l.weight"].tobytes()
    file = write(tmp_path / "m.gguf", ("l.weight", kind, (ROWS, COLUMNS), blocks))
    done = cli(daemon, "verify", file, "--json")
    assert done.returncode == 0 and verdict(done) == "pass"
    assert cli(daemon, "unpack", file, "-o", tmp_path / "out.safetensors").returncode == 0
    np.testing.assert_array_equal(load(tmp_path / "out.safetensors")["l.weight"], values)
    done = cli(daemon, "pack", file, "-e", "int8", "-g", "256", "-o", tmp_path / "int8.safetensors")
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(load(tmp_path / "int8.safetensors")["l.weight"].reshape(-1, 256), codes)


def test_blocks_are_those_of_the_description(daemon, tmp_path, layer):
    """PQ2_0 and Q2_0 written by the format's description, without the program's packer, pass."""
    _, codes, scales = layer
    file = write(tmp_path / "m.gguf",
                 ("a.weight", PQ2_0, (ROWS, COLUMNS), pq2_0(codes, scales.repeat(2))),
                 ("b.weight", Q2_0, (ROWS, COLUMNS), pq2_0(codes, scales.repeat(4), 64)))
    assert cli(daemon, "verify", file).returncode == 0
    assert cli(daemon, "unpack", file, "-o", tmp_path / "out.safetensors").returncode == 0
    for name in ("a.weight", "b.weight"):
        np.testing.assert_array_equal(load(tmp_path / "out.safetensors")[name], values_of(codes, scales))


def test_the_fourth_code_is_found(daemon, tmp_path, layer):
    """A code 3, which these formats allow, is not ternary; the finding has its position."""
    _, codes, scales = layer
    blocks = bytearray(pq2_0(codes, scales.repeat(2)))
    blocks[34 + 2] |= 3  # the first of four weights: 128 of block 1
    file = write(tmp_path / "m.gguf", ("l.weight", PQ2_0, (ROWS, COLUMNS), bytes(blocks)))
    done = cli(daemon, "verify", file, "--json")
    assert done.returncode == 1 and verdict(done) == "fail"
    found = json.loads(done.stdout)["layers"][0]
    assert found["findings"][0]["kind"] == "code_out_of_range" and found["findings"][0]["index"] == "128"


def test_old_q2_0_has_groups_of_128(daemon, tmp_path, layer):
    """Type 42 with the sizes of groups of 128 is read as old PrismML builds wrote it."""
    _, codes, scales = layer
    file = write(tmp_path / "m.gguf",
                 ("a.weight", Q2_0, (ROWS, COLUMNS), pq2_0(codes, scales.repeat(2))),
                 ("b.weight", F32, (4,), bytes(16)))
    assert cli(daemon, "verify", file).returncode == 0
    assert cli(daemon, "unpack", file, "-o", tmp_path / "out.safetensors").returncode == 0
    np.testing.assert_array_equal(load(tmp_path / "out.safetensors")["a.weight"], values_of(codes, scales))


def test_other_types_leave_it_open(daemon, tmp_path, layer):
    """A weight in blocks that are not ternary is named, and the verdict is inconclusive."""
    _, codes, scales = layer
    file = write(tmp_path / "m.gguf",
                 ("a.weight", PQ2_0, (ROWS, COLUMNS), pq2_0(codes, scales.repeat(2))),
                 ("b.weight", Q4_0, (2, 64), bytes(2 * 2 * 18)))
    done = cli(daemon, "verify", file)
    assert done.returncode == 4 and "b.weight" in done.stdout and "Q4_0" in done.stdout
    assert cli(daemon, "verify", file, "--exclude", "b.weight").returncode == 0
    done = cli(daemon, "unpack", file, "-o", tmp_path / "out.safetensors", "--exclude", "b.weight")
    assert done.returncode != 0 and "b.weight: safetensors has no type Q4_0" in done.stderr
    assert not (tmp_path / "out.safetensors").exists()


def test_a_packed_file_is_not_projected_again(daemon, tmp_path, layer):
    """project refuses weights in blocks, and names them."""
    _, codes, scales = layer
    file = write(tmp_path / "m.gguf", ("l.weight", PQ2_0, (ROWS, COLUMNS), pq2_0(codes, scales.repeat(2))))
    done = cli(daemon, "project", file, "-o", tmp_path / "out.safetensors")
    assert done.returncode == 1 and "l.weight: packed in blocks of GGUF's PQ2_0" in done.stderr
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize("kind,dtype", [(F32, "<f4"), (F16, "<f2")])
def test_latents_in_gguf_are_projected(daemon, tmp_path, layer, kind, dtype):
    """Dense tensors of a GGUF file project as those of safetensors; its values are not copied."""
    latents = layer[0].astype(dtype)
    file = write(tmp_path / "m.gguf", ("l.weight", kind, (ROWS, COLUMNS), latents.tobytes()))
    save(tmp_path / "m.safetensors", {"l.weight": latents})
    for name in ("m.gguf", "m.safetensors"):
        assert cli(daemon, "project", tmp_path / name, "-o", tmp_path / f"{name}.out").returncode == 0
    np.testing.assert_array_equal(load(tmp_path / "m.gguf.out")["l.weight"],
                                  load(tmp_path / "m.safetensors.out")["l.weight"])
    done = cli(daemon, "inspect", tmp_path / "m.gguf.out", "--json")
    assert "general.architecture" not in json.loads(done.stdout)["metadata"]
    assert file.exists()


def test_a_split_file_is_one(daemon, tmp_path, layer):
    """Any part of a split file stands for all parts; without one of them nothing passes."""
    _, codes, scales = layer
    blocks = pq2_0(codes, scales.repeat(2))
    for part in (1, 2):
        write(tmp_path / f"m-0000{part}-of-00002.gguf", (f"l{part}.weight", PQ2_0, (ROWS, COLUMNS), blocks),
              values={**ARCHITECTURE, "split.no": part - 1, "split.count": 2})
    for name in ("m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "."):
        done = cli(daemon, "verify", tmp_path / name, "--json")
        assert done.returncode == 0
        assert len(json.loads(done.stdout)["layers"]) == 2
    (tmp_path / "m-00002-of-00002.gguf").unlink()
    done = cli(daemon, "verify", tmp_path / "m-00001-of-00002.gguf")
    assert done.returncode == 1 and "m-00002-of-00002.gguf" in done.stdout


def test_experts_are_layers(daemon, tmp_path, layer):
    """Experts of rank 3 in blocks are verified expert by expert; the router stays."""
    _, codes, scales = layer
    blocks = pq2_0(codes, scales.repeat(2))
    file = write(tmp_path / "m.gguf",
                 ("blk.0.ffn_gate_inp.weight", F32, (4, COLUMNS), bytes(4 * 4 * COLUMNS)),
                 ("blk.0.ffn_up_exps.weight", PQ2_0, (4, ROWS // 4, COLUMNS), blocks))
    done = cli(daemon, "verify", file, "--json")
    assert done.returncode == 0
    assert len(json.loads(done.stdout)["layers"]) == 4
    broken = bytearray(blocks)
    broken[3 * len(blocks) // 4 + 2] |= 3
    write(tmp_path / "m.gguf", ("blk.0.ffn_up_exps.weight", PQ2_0, (4, ROWS // 4, COLUMNS), bytes(broken)))
    done = cli(daemon, "verify", file)
    assert done.returncode == 1 and "blk.0.ffn_up_exps.weight[3]" in done.stdout


def test_truncated(daemon, tmp_path, layer):
    """A file that ends early fails, and the finding says which tensor is cut off."""
    _, codes, scales = layer
    blocks = pq2_0(codes, scales.repeat(2))
    file = write(tmp_path / "m.gguf", ("a.weight", PQ2_0, (ROWS, COLUMNS), blocks),
                 ("b.weight", PQ2_0, (ROWS, COLUMNS), blocks))
    file.write_bytes(file.read_bytes()[:-100])
    done = cli(daemon, "verify", file)
    assert done.returncode == 1 and "b.weight" in done.stdout and "truncated" in done.stdout


def test_bf16_is_read(daemon, tmp_path, layer):
    """A dense ternary tensor of type BF16 passes."""
    _, codes, _ = layer
    data = (codes.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
    file = write(tmp_path / "m.gguf", ("l.weight", BF16, (ROWS, COLUMNS), data))
    assert cli(daemon, "verify", file, "-g", "256").returncode == 0
