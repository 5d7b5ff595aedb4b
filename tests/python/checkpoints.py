# SPDX-License-Identifier: Apache-2.0
"""Checkpoint files for the tests of client.checkpoint, and the command `trit`."""

import json
import subprocess

import numpy as np
import pytest

from daemon import BINARIES

WIDTHS = {
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "F64": 8,
    "I64": 8,
    "BOOL": 1,
    "F8_E4M3": 1,
    "I8": 1,
    "U8": 1,
    "I32": 4,
    "U32": 4,
}


def write(path, tensors, metadata=None):
    """A safetensors file as MLX writes one: neither header nor data aligned.
    `tensors`: name to dtype, shape, bytes."""
    header, end = {"__metadata__": metadata} if metadata else {}, 0
    for name, (dtype, shape, data) in tensors.items():
        assert len(data) == np.prod(shape, dtype=int) * WIDTHS[dtype], name
        header[name] = {
            "dtype": dtype,
            "shape": list(shape),
            "data_offsets": [end, end + len(data)],
        }
        end += len(data)
    text = json.dumps(header).encode()
    text += b" " * ((len(text) + 1) % 2)  # an odd length
    path.write_bytes(
        len(text).to_bytes(8, "little") + text + b"".join(data for _, _, data in tensors.values())
    )


def read(path):
    """Name to dtype, shape, bytes; and the metadata."""
    raw = path.read_bytes()
    begin = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:begin])
    metadata = header.pop("__metadata__", {})
    return {
        name: (
            one["dtype"],
            tuple(one["shape"]),
            raw[slice(*(begin + at for at in one["data_offsets"]))],
        )
        for name, one in header.items()
    }, metadata


def command(daemon, *words):
    return subprocess.run(
        [str(BINARIES / "trit"), *map(str, words), "--server", daemon.rpc],
        capture_output=True,
        text=True,
        timeout=60,
    )


EXIT = {"pass": 0, "fail": 1, "inconclusive": 4}


def comparable(findings):
    """Findings in a fixed order."""
    return sorted(json.dumps(one, sort_keys=True) for one in findings)


def as_json(finding):
    """A finding with its integers as JSON has them."""
    fields = finding.to_dict()
    return {
        name: str(value) if isinstance(value, int) else value for name, value in fields.items()
    }


def same_as_the_command(daemon, found, *words):
    """The command's verdict, findings, counts and digests equal those of `found`."""
    done = command(daemon, "verify", *words, "--json")
    assert done.returncode == EXIT[found.verdict], done.stderr
    printed = json.loads(done.stdout)
    assert printed["verdict"] == found.verdict
    assert comparable(printed["findings"]) == comparable(map(as_json, found.findings))
    assert (printed["examined"], printed["kept"]) == (str(found.examined), str(found.kept))
    assert {one["layer"]: one["digest"] for one in printed["layers"]} == {
        name: one.digest for name, one in found.reports.items()
    }


INDEX = "model.safetensors.index.json"


def shard_name(number, count):
    return f"model-{number:05d}-of-{count:05d}.safetensors"


def write_folder(folder, shards, config=None, index=True, weight_map=None):
    """A sharded checkpoint. `weight_map`: additional or changed entries of the index; None
    removes one."""
    folder.mkdir(parents=True, exist_ok=True)
    promised = {}
    for number, tensors in enumerate(shards, 1):
        name = shard_name(number, len(shards))
        write(folder / name, tensors, {"format": "pt"})
        promised.update(dict.fromkeys(tensors, name))
    promised.update(weight_map or {})
    promised = {name: file for name, file in promised.items() if file is not None}
    if index:
        text = json.dumps({"metadata": {"total_size": 1}, "weight_map": promised})
        (folder / INDEX).write_text(text)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def contents_of(folder):
    """The bytes of each file by its name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def f32(array):
    return "F32", array.shape, np.ascontiguousarray(array, np.float32).tobytes()


def cut(floats):
    """The upper halves of f32: bfloat16."""
    return (floats.view(np.uint32) >> 16).astype(np.uint16)


@pytest.fixture
def drawn(random):
    def make(*shape):
        return random.standard_normal(shape).astype(np.float32) * 0.02

    return make


@pytest.fixture
def tensors(drawn):
    """One of every kind: layers of three types, a short last group, other tensors."""
    return {
        "norm": ("F32", (3,), drawn(3).tobytes()),
        "flag": ("BOOL", (1,), b"\1"),
        "blk.0.q": f32(drawn(48, 512)),
        "blk.0.k": ("F16", (16, 256), drawn(16, 256).astype(np.float16).tobytes()),
        "blk.0.v": ("BF16", (16, 256), cut(drawn(16, 256)).tobytes()),
        "short": f32(drawn(5, 200)),
        "conv": f32(drawn(8, 4, 32)),
        "empty": ("F32", (0, 128), b""),
        "odd.bias": ("F8_E4M3", (4, 128), bytes(range(256)) * 2),
        "number": ("I64", (), (7).to_bytes(8, "little")),
        "wide_mask": ("F64", (2, 2), bytes(32)),
    }


@pytest.fixture
def file(tmp_path, tensors):
    path = tmp_path / "in.safetensors"
    write(path, tensors, {"format": "pt", "note": 'line\n"two" \u00fc\x01\x7f'})
    return path


@pytest.fixture
def model(drawn):
    """A small tensor of each kind that a language model has."""
    return {
        "model.embed_tokens.weight": f32(drawn(16, 128)),
        "model.position_embeddings.weight": f32(drawn(8, 128)),
        "model.layers.0.attn.q_proj.weight": f32(drawn(8, 256)),
        "model.layers.0.attn.q_proj.bias": f32(drawn(8)),
        "model.layers.0.attn.q_proj.lora_A.weight": f32(drawn(4, 256)),
        "model.layers.0.attn.rotary_emb.cos_cached": f32(drawn(16, 64)),
        "model.layers.0.mlp.gate.weight": f32(drawn(4, 128)),
        "model.layers.0.mlp.experts.0.up_proj.weight": f32(drawn(12, 128)),
        "model.layers.0.input_layernorm.weight": f32(drawn(128)),
        "model.conv.weight": f32(drawn(8, 4, 3)),
        "lm_head.weight": f32(drawn(16, 128)),
    }


LAYERS = [
    "model.embed_tokens.weight",
    "model.layers.0.attn.q_proj.weight",
    "model.layers.0.mlp.experts.0.up_proj.weight",
    "lm_head.weight",
]

# Packings of other programs: the tensors of a weight, by its name.
FOREIGN = {
    "mlx.weight": {
        "mlx.weight": ("U32", (8, 8), bytes(256)),
        "mlx.scales": ("F16", (8, 1), bytes(16)),
        "mlx.biases": ("F16", (8, 1), bytes(16)),
    },
    "gptq.qweight": {
        "gptq.qweight": ("I32", (16, 8), bytes(512)),
        "gptq.qzeros": ("I32", (1, 1), bytes(4)),
        "gptq.scales": ("F16", (1, 8), bytes(16)),
        "gptq.g_idx": ("I32", (128,), bytes(512)),
    },
    "ct.weight_packed": {
        "ct.weight_packed": ("I32", (8, 16), bytes(512)),
        "ct.weight_scale": ("F32", (8, 1), bytes(32)),
        "ct.weight_shape": ("I64", (2,), bytes(16)),
    },
    "bnb.weight": {
        "bnb.weight": ("U8", (512, 1), bytes(512)),
        "bnb.weight.absmax": ("F32", (16,), bytes(64)),
        "bnb.weight.quant_map": ("F32", (16,), bytes(64)),
    },
    "fp8.weight": {
        "fp8.weight": ("F8_E4M3", (8, 128), bytes(1024)),
        "fp8.weight_scale_inv": ("F32", (3, 3), bytes(36)),  # no blocks of 128
    },
}
