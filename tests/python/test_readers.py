# SPDX-License-Identifier: Apache-2.0
"""Other programs read exactly t*s from files that trit wrote: the packages safetensors, mlx and
gguf, and the rule by which transformers unpacks bitnet. t and s are computed here with NumPy."""

import json
import subprocess

import numpy as np
import pytest
import safetensors

from checkpoints import INDEX, command, drawn, f32, write, write_folder  # noqa: F401
from daemon import BINARIES

ROWS, COLUMNS = 24, 1024


def project(weights, group):
    """t, and the mean |w| of each group of a row; group 0: of all weights."""
    flat = weights.reshape(-1, group or weights.size).astype(np.float64)
    s = (np.abs(flat).sum(axis=1) / flat.shape[1]).astype(np.float32)
    size = np.abs(flat) * 2 > s[:, None].astype(np.float64)
    t = (np.sign(flat) * size).astype(np.float32)
    return t.reshape(weights.shape), s.reshape(len(weights), -1) if group else s


def values(t, s):
    """t*s; a zero is +0, because packed codes have no -0."""
    spread = np.repeat(s, t.shape[1] // s.shape[1], axis=1) if s.ndim == 2 else s
    return t * spread + 0


def bits(array):
    return np.ascontiguousarray(array).view(np.uint8).tobytes()


@pytest.fixture
def weights(drawn):
    """Two layers; one group is all zero, and scales range over five decades."""
    layers = {}
    for i in range(2):
        w = drawn(ROWS, COLUMNS) * np.logspace(-4, 1, ROWS, dtype=np.float32)[:, None]
        w[3, :256] = 0
        layers[f"model.layers.{i}.mlp.up_proj.weight"] = w.astype(np.float32)
    return layers


@pytest.fixture
def written(daemon, tmp_path, weights):
    """Projects the layers of a folder of two shards; returns the folder that trit wrote."""
    tensors = [{name: f32(w)} for name, w in weights.items()]
    tensors[1]["model.norm.weight"] = f32(np.ones(8))
    write_folder(tmp_path / "model", tensors, {"model_type": "qwen3"})

    def made(*words):
        out = tmp_path / "out"
        done = command(
            daemon, "project", tmp_path / "model", "-o", out, "--shard-size", "60KB", *words
        )
        assert done.returncode == 0, done.stderr
        return out

    return made


def shards_of(folder):
    index = folder / INDEX
    if not index.exists():
        return [folder / "model.safetensors"]
    names = json.loads(index.read_text())["weight_map"].values()
    return [folder / name for name in sorted(set(names))]


def by_safetensors(folder):
    """Every tensor of the files that the index names, read by the safetensors package."""
    tensors = {}
    for path in shards_of(folder):
        with safetensors.safe_open(path, "numpy") as file:
            assert file.metadata()["format"] == "pt"
            tensors.update({name: file.get_tensor(name) for name in file.keys()})
    return tensors


# ---- safetensors ---------------------------------------------------------------------


@pytest.mark.parametrize("group", [64, 128, 1024])
def test_safetensors_reads_codes_and_scales(written, weights, group):
    found = by_safetensors(written("-e", "int8", "-g", str(group)))
    for name, w in weights.items():
        t, s = project(w, group)
        codes, scales = found[name], found[name + ".scales"]
        assert codes.dtype == np.int8 and scales.dtype == np.float32
        assert bits(codes) == bits(t.astype(np.int8)) and bits(scales) == bits(s)
        assert bits(values(codes.astype(np.float32), scales)) == bits(values(t, s))
    assert bits(found["model.norm.weight"]) == bits(np.ones(8, np.float32))


def test_safetensors_reads_dense_layers(written, weights):
    found = by_safetensors(written())
    for name, w in weights.items():
        assert found[name].dtype == np.float32
        assert bits(found[name] + 0) == bits(values(*project(w, 128)))


def test_torch_reads_dense_layers_of_bfloat16(daemon, tmp_path, weights):
    """s is rounded once, to the nearest even bfloat16."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    halves = {name: torch.from_numpy(w).bfloat16() for name, w in weights.items()}
    raw = {
        name: ("BF16", tuple(w.shape), w.view(torch.int16).numpy().tobytes())
        for name, w in halves.items()
    }
    write(tmp_path / "in.safetensors", raw)
    out = tmp_path / "out.safetensors"
    done = command(daemon, "project", tmp_path / "in.safetensors", "-o", out)
    assert done.returncode == 0, done.stderr
    found = load_file(out)
    for name, w in halves.items():
        t, s = project(w.float().numpy(), 128)
        held = torch.from_numpy(s).bfloat16().float().numpy()
        assert found[name].dtype == torch.bfloat16
        assert bits(found[name].float().numpy() + 0) == bits(values(t, held))


# ---- transformers' bitnet ------------------------------------------------------------


def unpack_weights(packed):
    """unpack_weights of transformers' integrations/bitnet.py: four rows per byte, out / 4
    apart."""
    rows = packed.shape[0]
    unpacked = np.zeros((4 * rows, *packed.shape[1:]), np.uint8)
    for i in range(4):
        unpacked[i * rows : (i + 1) * rows] = (packed & (3 << 2 * i)) >> 2 * i
    return unpacked.astype(np.float32) - 1


def effective(config, codes, weight_scale):
    """The matrix by which a layer multiplies: AutoBitLinear multiplies its product by
    weight_scale, BitLinear divides it."""
    block = config["quantization_config"]
    assert block["quant_method"] == "bitnet"
    if block["linear_class"] == "autobitlinear":
        return codes * weight_scale
    return codes / weight_scale


def test_transformers_reads_factors(written, weights):
    """Our files store the scale as a factor, and config.json says so."""
    out = written("-e", "hf_bitnet")
    found, config = by_safetensors(out), json.loads((out / "config.json").read_text())
    assert config["quantization_config"]["quantization_mode"] == "offline"
    for name, w in weights.items():
        t, s = project(w, 0)
        packed, scale = found[name], found[name.replace("weight", "weight_scale")]
        assert packed.dtype == np.uint8 and packed.shape == (ROWS // 4, COLUMNS)
        assert scale.dtype == np.float32 and scale.shape == (1,)
        assert bits(effective(config, unpack_weights(packed), scale) + 0) == bits(values(t, s))


def packed_rows(t):
    c = (t + 1).astype(np.uint8).reshape(4, -1, t.shape[1])
    return c[0] | c[1] << 2 | c[2] << 4 | c[3] << 6


@pytest.mark.parametrize("linear_class", ["bitlinear", "autobitlinear"])
def test_transformers_files_of_both_conventions(daemon, tmp_path, weights, linear_class):
    """For files of other programs, trit's dense output equals the matrix that transformers
    multiplies by, and the files verify against their latents."""
    config = {
        "model_type": "llama",
        "quantization_config": {"quant_method": "bitnet", "linear_class": linear_class},
    }
    tensors, wanted = {}, {}
    for name, w in weights.items():
        t, s = project(w, 0)
        scale = s if linear_class == "autobitlinear" else 1 / s
        packed = packed_rows(t)
        tensors[name] = ("U8", packed.shape, packed.tobytes())
        tensors[name.replace("weight", "weight_scale")] = f32(scale)
        wanted[name] = effective(config, unpack_weights(packed), scale) + 0
    write_folder(tmp_path / "in", [tensors], config)
    write_folder(tmp_path / "latents", [{name: f32(w) for name, w in weights.items()}])
    done = command(daemon, "unpack", tmp_path / "in", "-o", tmp_path / "out", "--dtype", "f32")
    assert done.returncode == 0, done.stderr
    found = by_safetensors(tmp_path / "out")
    for name in weights:
        assert bits(found[name]) == bits(wanted[name]), name
    done = command(daemon, "verify", tmp_path / "in", "--against", tmp_path / "latents")
    assert done.returncode == 0, done.stdout
    done = subprocess.run([BINARIES / "trit", "diff", tmp_path / "in", tmp_path / "out"])
    assert done.returncode == 0
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config == {"model_type": "llama"}  # its layers are packed no more
    packed = tmp_path / "packed"
    done = command(daemon, "pack", tmp_path / "in", "-o", packed, "-e", "hf_bitnet")
    assert done.returncode == 0, done.stderr
    found, config = by_safetensors(packed), json.loads((packed / "config.json").read_text())
    for name in weights:
        scale = found[name.replace("weight", "weight_scale")]
        made = effective(config, unpack_weights(found[name]), scale)
        assert bits(made + 0) == bits(wanted[name])


# ---- mlx -----------------------------------------------------------------------------


@pytest.mark.parametrize("group", [64, 128])
def test_mlx_reads_its_own_layout(written, weights, group):
    mx = pytest.importorskip("mlx.core")
    out = written("-e", "mlx_2bit", "-g", str(group))
    config = json.loads((out / "config.json").read_text())["quantization"]
    tensors = {}
    for path in shards_of(out):
        tensors.update(mx.load(str(path)))
    for name, w in weights.items():
        stem = name[: -len("weight")]
        made = mx.dequantize(
            tensors[name],
            tensors[stem + "scales"],
            tensors[stem + "biases"],
            group_size=config["group_size"],
            bits=config["bits"],
        )
        t, s = project(w, group)
        held = s.astype(np.float16)
        assert made.dtype == mx.float16
        found = np.asarray(memoryview(made.astype(mx.float32)))
        assert bits(found + 0) == bits(values(t, held.astype(np.float32)))


# ---- gguf ----------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["tq1_0", "tq2_0"])
def test_gguf_reads_its_own_blocks(written, weights, encoding):
    """Files hold the blocks of a row as U8."""
    gguf = pytest.importorskip("gguf")
    kind = gguf.GGMLQuantizationType[encoding.upper()]
    found = by_safetensors(written("-e", encoding, "-g", "256"))
    for name, w in weights.items():
        t, s = project(w, 256)
        blocks = found[name]
        assert blocks.dtype == np.uint8
        made = gguf.quants.dequantize(blocks, kind)
        assert made.dtype == np.float32 and made.shape == w.shape
        assert bits(made + 0) == bits(values(t, s.astype(np.float16).astype(np.float32)))
