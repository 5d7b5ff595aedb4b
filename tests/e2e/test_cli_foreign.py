# SPDX-License-Identifier: Apache-2.0
"""Weights of other programs that trit can decode: their values are checked."""
import json

import numpy as np
import pytest

import claims
import packings
import schemas
from checkpoints import Raw, bf16, load, save
from tritd import cli


def packed(codes, bits):
    """Codes [rows, columns] as U32, the lowest bits first, as mx.quantize packs them."""
    rows, columns = codes.shape
    stream = (codes[..., None] >> np.arange(bits) & 1).astype(np.uint8)
    return np.packbits(stream.reshape(rows, columns * bits), axis=1,
                       bitorder="little").view(np.uint32)


def folder(path, tensors, config=None):
    path.mkdir()
    save(path / "model.safetensors", tensors)
    (path / "config.json").write_text(json.dumps(config or {}))
    return path


def verify(daemon, path, *words):
    done = cli(daemon, "verify", path, "--json", *words)
    assert done.returncode in (0, 1, 4), done.stderr
    found = schemas.read(done.stdout)
    return done.returncode, found, {one["kind"] for one in found["findings"]}


def mlx(random, bits, ternary, group=64):
    """A layer as MLX packs it, and its values t*s."""
    zero = 1 << (bits - 1) if bits > 2 else 1
    t = random.integers(-1, 2, (16, 256)) if ternary else (
        random.integers(0, 1 << bits, (16, 256)) - zero)
    scales = (random.random((16, 256 // group)) * .02 + .01).astype(np.float16)
    biases = (scales.astype(np.float32) * -zero).astype(np.float16)
    values = t * np.repeat(scales.astype(np.float32), group, axis=1)
    return ({"l.weight": packed(t + zero, bits), "l.scales": scales, "l.biases": biases},
            values.astype(np.float32), {"quantization": {"group_size": group, "bits": bits}})


@pytest.mark.parametrize("bits, group", [(2, 64), (2, 32), (3, 64), (4, 64), (5, 64), (6, 64), (8, 64)])
def test_mlx(daemon, tmp_path, random, bits, group):
    """MLX's layers of 2 to 8 bits pass if their values are ternary, and fail otherwise."""
    tensors, _, config = mlx(random, bits, True, group)
    code, found, kinds = verify(daemon, folder(tmp_path / "a", tensors, config))
    assert code == 0 and not kinds and found["share_examined"] == 1
    assert found["layers"][0]["shape"] == [16, 256]
    tensors, _, config = mlx(random, bits, False, group)
    code, _, kinds = verify(daemon, folder(tmp_path / "b", tensors, config))
    assert code == 1 and kinds == {"code_out_of_range" if (bits, group) == (2, 64) else "not_ternary"}


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_mlx_scale_of_0_under_codes(daemon, tmp_path, random, bits):
    """A group whose scale and bias are 0 has lost its codes, unless they are all the same."""
    tensors, _, config = mlx(random, bits, True)
    for name in ("l.scales", "l.biases"):
        tensors[name][3, 1] = 0
    code, found, kinds = verify(daemon, folder(tmp_path / "a", tensors, config))
    assert code == 1 and kinds == {"scale_zero_under_codes"}
    assert (found["findings"][0]["group"], found["findings"][0]["count"]) == (13, 1)
    tensors["l.weight"][3, 2 * bits:4 * bits] = 0
    assert verify(daemon, folder(tmp_path / "b", tensors, config))[0] == 0


def test_mlx_of_several_bits(daemon, tmp_path, random):
    """Layers whose bits differ from the model's 2 are read by their own; a packed router stays a
    router. MLX does not load layers that config.json describes otherwise: they fail."""
    tensors, _, config = mlx(random, 2, True)
    more, _, _ = mlx(random, 8, True)
    tensors |= {name.replace("l.", "head."): one for name, one in more.items()}
    gate, _, _ = mlx(random, 8, False)
    tensors |= {name.replace("l.", "mlp.gate."): one for name, one in gate.items()}
    code, found, kinds = verify(daemon, folder(tmp_path / "b", tensors, config))
    one, = found["findings"]
    assert code == 1 and (one["kind"], one["layer"]) == ("config_disagrees", "head.weight")
    assert (one["expected"], one["got"]) == ("2 bits in groups of 64", "8 bits in groups of 64")
    config["quantization"]["head"] = {"group_size": 64, "bits": 8}
    code, found, kinds = verify(daemon, folder(tmp_path / "a", tensors, config))
    assert code == 0 and not kinds, found["findings"]
    assert {one["layer"] for one in found["layers"]} == {"l.weight", "head.weight"}


@pytest.mark.parametrize("common", [(64, 4), (64, 2), (128, 2), (32, 8)], ids=str)
def test_mlx_of_several_group_sizes(daemon, tmp_path, random, common):
    """mlx-lm writes an object for each module that it packs otherwise. No --bits is needed,
    although shapes fit three of these: 8 bits in 32, 4 in 64, and 2 in 128. Values are decoded
    as MLX would: diff finds them equal to t*s."""
    tensors, dense, modules = {}, {}, {}
    for group, bits in [common, (32, 8), (64, 4), (128, 2), (32, 4), (64, 6), (64, 3)]:
        name = f"model.layers.{len(dense)}.mlp.down_proj"
        layer, values, _ = mlx(random, bits, True, group)
        tensors |= {one.replace("l.", f"{name}."): tensor for one, tensor in layer.items()}
        dense[f"{name}.weight"] = values
        if (group, bits) != common:
            modules[name] = {"group_size": group, "bits": bits} | ({"mode": "affine"} if bits > 2 else {})
    block = {"group_size": common[0], "bits": common[1], "mode": "affine"} | modules
    path = folder(tmp_path / "a", tensors, {"quantization": block, "quantization_config": block})
    code, found, kinds = verify(daemon, path)
    assert code == 0 and not kinds, found["findings"]
    assert {one["layer"] for one in found["layers"]} == set(dense)
    assert all(one["shape"] == [16, 256] for one in found["layers"])
    save(tmp_path / "dense.safetensors", dense)
    done = cli(None, "diff", path, tmp_path / "dense.safetensors", "--json")
    assert done.returncode == 0, done.stdout + done.stderr


def test_mlx_experts(daemon, tmp_path, random):
    """MLX's experts of rank 3 are checked one by one."""
    layers = [mlx(random, 4, True) for _ in range(3)]
    tensors = {f"mlp.switch_mlp.up_proj.{leaf}": np.stack([one[f"l.{leaf}"] for one, _, _ in layers])
               for leaf in ("weight", "scales", "biases")}
    path = folder(tmp_path / "a", tensors, layers[0][2])
    code, found, _ = verify(daemon, path)
    name = "mlp.switch_mlp.up_proj.weight"
    assert code == 0 and [one["layer"] for one in found["layers"]] == [f"{name}[{i}]" for i in range(3)]
    tensors["mlp.switch_mlp.up_proj.weight"][1, 3, 0] ^= 4
    save(path / "model.safetensors", tensors)
    code, found, kinds = verify(daemon, path)
    assert code == 1 and kinds == {"not_ternary"}
    assert found["findings"][0]["layer"] == f"{name}[1]"


@pytest.mark.parametrize("bits", [4, 8])
def test_mlx_against_latents(daemon, tmp_path, random, bits):
    """A decoded layer is compared with its latents, with scales rounded as in MLX."""
    latents = (random.standard_normal((16, 256)) * .02).astype(np.float32)
    scales = np.abs(latents.reshape(16, 4, 64)).mean(2, dtype=np.float64).astype(np.float32)
    t = np.clip(np.rint(latents / np.repeat(scales, 64, axis=1)), -1, 1).astype(np.int64)
    zero = 1 << (bits - 1)
    half = scales.astype(np.float16)
    tensors = {"l.weight": packed(t + zero, bits), "l.scales": half, "l.biases": half * np.float16(-zero)}
    config = {"quantization": {"group_size": 64, "bits": bits}}
    save(tmp_path / "latents.safetensors", {"l.weight": latents})
    path = folder(tmp_path / "a", tensors, config)
    code, _, kinds = verify(daemon, path, "--against", tmp_path / "latents.safetensors")
    assert code == 0 and not kinds
    t[3, 7] = -1 if t[3, 7] else 1
    save(path / "model.safetensors", tensors | {"l.weight": packed(t + zero, bits)})
    code, found, kinds = verify(daemon, path, "--against", tmp_path / "latents.safetensors")
    assert code == 1 and kinds == {"codes_differ"}
    assert found["findings"][0]["index"] == 3 * 256 + 7 and found["findings"][0]["count"] == 1


ONE, MINUS, MORE = 0x38, 0xb8, 0x40  # 1, -1 and 2 as F8_E4M3


def eight_bits(random, kind):
    """Tensors of a ternary layer [192, 256], an element that a test may change, and the value to
    change it to."""
    t = random.integers(-1, 2, (192, 256))
    f8 = np.choose(t + 1, [MINUS, 0, ONE]).astype(np.uint8)
    rows = (random.random((192, 1)) + .1).astype(np.float32)
    if kind == "bitsandbytes":
        return {"l.weight": (127 * t).astype(np.int8), "l.SCB": rows[:, 0].copy(),
                "l.weight_format": Raw("U8", (), bytes(1))}, 64
    if kind == "compressed-tensors":
        return {"l.weight": t.astype(np.int8), "l.weight_scale": rows}, 2
    scales = {"fp8 tensor": ("l.weight_scale", np.array([.5], np.float32)),
              "fp8 rows": ("l.weight_scale", rows),
              "fp8 blocks": ("l.weight_scale_inv", rows[:4].reshape(2, 2).copy())}[kind]
    return {"l.weight": f8, scales[0]: scales[1]}, MORE


@pytest.mark.parametrize("kind", ["bitsandbytes", "compressed-tensors", "fp8 tensor", "fp8 rows",
                                  "fp8 blocks"])
def test_eight_bits(daemon, tmp_path, random, kind):
    """8-bit weights pass if their values are ternary, and fail at the first that is not."""
    tensors, other = eight_bits(random, kind)

    def put(name):
        out = dict(tensors)
        if kind.startswith("fp8"):
            out["l.weight"] = Raw("F8_E4M3", (192, 256), tensors["l.weight"].tobytes())
        save(tmp_path / name, out)
        return tmp_path / name
    code, found, kinds = verify(daemon, put("a.safetensors"))
    assert code == 0 and not kinds, found["findings"]
    assert found["layers"][0]["shape"] == [192, 256]
    done = cli(daemon, "verify", tmp_path / "a.safetensors")
    assert "decoded: 1, 49152 parameters (100.0 %)" in done.stdout
    tensors["l.weight"][130, 17] = other
    code, found, kinds = verify(daemon, put("b.safetensors"))
    assert code == 1 and kinds == {"not_ternary"}


def test_layouts_that_are_not_read(daemon, tmp_path, random):
    """bitsandbytes' tiles of GPUs are not read as rows. Weights that each have a scale of their own
    are not examined: any value would be ternary."""
    tensors, _ = eight_bits(random, "bitsandbytes")
    alone = {"l.weight": random.integers(-9, 9, (192, 256)).astype(np.int8),
             "l.weight_scale": np.ones((192, 256), np.float32)}
    for number, (one, why) in enumerate((
            (tensors | {"l.weight_format": Raw("U8", (), bytes([3]))}, "weight_format is not 0"),
            (tensors | {"l.weight_format": Raw("U8", (2,), bytes(2))}, "weight_format is not 0"),
            (alone, "a scale of its own"),
            (alone | {"l.weight_scale": np.ones((192, 5), np.float32)}, "scales are not one"))):
        path = folder(tmp_path / str(number), one)
        code, found, kinds = verify(daemon, path)
        assert code == 4 and kinds == {"foreign_packing", "nothing_examined"}
        assert why in found["findings"][0]["hint"]
        assert cli(daemon, "pack", path, "-o", tmp_path / "out", "-e", "pq2_0").returncode == 1


@pytest.mark.parametrize("encoding", ["hf_bitnet", "int8", "mlx_2bit"])
def test_further_tables(daemon, tmp_path, random, encoding):
    """With zero points, a permutation or a second scale the weights have other values than their codes
    and scales alone say, so they are not judged; scales of activations change nothing."""
    t, scales = random.integers(-1, 2, (16, 256)).astype(np.int8), np.full((16, 2), .5, np.float32)
    data, held = packings.encode(claims.NAMES.index(encoding), t, scales)
    tensors = {
        "hf_bitnet": {"l.weight": Raw("U8", (4, 256), data), "l.weight_scale": Raw("F32", (1,), held)},
        "int8": {"l.weight": t, "l.weight.scales": scales},
        "mlx_2bit": {"l.weight": Raw("U32", (16, 16), data), "l.scales": scales.astype(np.float16),
                     "l.biases": -scales.astype(np.float16)}}[encoding]
    config = {"quantization": {"group_size": 128, "bits": 2}} if encoding == "mlx_2bit" else {}
    for number, (name, table, code) in enumerate((
            ("l.input_scale", np.ones(1, np.float32), 0), ("l.qzeros", np.ones((16, 2), np.int32), 4),
            ("l.g_idx", np.arange(256, dtype=np.int32), 4), ("l.weight_scale_2", np.ones(1, np.float32), 4),
            ("l.weight.zeros", np.ones((16, 2), np.float32), 4))):
        path = folder(tmp_path / str(number), tensors | {name: table}, config)
        found = verify(daemon, path)
        assert found[0] == code and found[2] == ({"foreign_packing", "nothing_examined"} if code else set()), name
        assert not code or name in found[1]["findings"][0]["hint"]


def test_bitnet_for_gpus(daemon, tmp_path, random):
    """Weights as BitNet's kernels for GPUs take them are named, and said what to use instead."""
    path = folder(tmp_path / "a", {
        "layers.0.wo.weight": random.integers(-128, 128, (32, 16), np.int8),
        "layers.0.wo.weight_scale": bf16(np.array([.5, 0, 0, 0], np.float32))})
    code, found, kinds = verify(daemon, path)
    assert code == 4 and kinds == {"foreign_packing", "nothing_examined"}
    assert "BitNet's layout for GPUs" in found["findings"][0]["hint"]
    assert "the checkpoint from which it was converted" in found["findings"][0]["hint"]
    done = cli(daemon, "project", path, "-o", tmp_path / "out")
    assert done.returncode == 1 and "BitNet's layout for GPUs" in done.stderr


def test_fp8_blocks_of_config(daemon, tmp_path, random):
    """Blocks of fp8 are those of config.json's weight_block_size, and 128 x 128 without it."""
    t = random.integers(-1, 2, (192, 256))
    codes = Raw("F8_E4M3", (192, 256), np.choose(t + 1, [MINUS, 0, ONE]).astype(np.uint8).tobytes())
    for rows, columns in ((64, 64), (100, 200), (1, 128), (128, 128)):
        scales = (random.random((-(-192 // rows), -(-256 // columns))) + .1).astype(np.float32)
        values = t * scales.repeat(rows, 0)[:192].repeat(columns, 1)[:, :256]
        tensors = {"l.weight": codes, "l.weight_scale_inv": scales}
        method = {"quant_method": "fp8", "weight_block_size": [rows, columns]}
        path = folder(tmp_path / f"{rows} {columns}", tensors, {"quantization_config": method})
        code, found, _ = verify(daemon, path)
        assert code == 0 and found["share_examined"] == 1
        save(tmp_path / "dense.safetensors", {"l.weight": values.astype(np.float32)})
        assert cli(None, "diff", path, tmp_path / "dense.safetensors").returncode == 0
    method["weight_block_size"] = [64, 64]
    code, _, kinds = verify(daemon, folder(tmp_path / "b", tensors, {"quantization_config": method}))
    assert code == 4 and "foreign_packing" in kinds


def test_mlx_of_other_modes(daemon, tmp_path, random):
    """Weights with scales and biases are MLX's mode affine; it does not load them where
    config.json says another mode, or that the module is not packed."""
    for bits in (2, 4):
        tensors, _, config = mlx(random, bits, True)
        for change, code in (({"mode": "affine"}, 0), ({"mode": "mxfp4"}, 1), ({"l": False}, 1), ({"l": True}, 0),
                             ({"l": {"bits": bits, "group_size": 64, "mode": "nvfp4"}}, 1)):
            path = folder(tmp_path / f"{bits} {change}", tensors, {
                "quantization": config["quantization"] | change})
            assert verify(daemon, path)[0::2] == (code, {"config_disagrees"} if code else set())


def test_pack_and_diff(daemon, tmp_path, random):
    """Decoded layers can be packed, unpacked and compared; config.json loses entries that are no
    longer true."""
    tensors, values, config = mlx(random, 4, True)
    path = folder(tmp_path / "a", tensors, config)
    done = cli(daemon, "pack", path, "-o", tmp_path / "packed", "-e", "int8", "-g", "64")
    assert done.returncode == 0, done.stderr
    out = load(tmp_path / "packed" / "model.safetensors")
    np.testing.assert_array_equal(
        out["l.weight"] * np.repeat(out["l.weight.scales"], 64, axis=1), values)
    assert "l.scales" not in out and "l.biases" not in out
    assert "quantization" not in json.loads((tmp_path / "packed" / "config.json").read_text())
    done = cli(daemon, "unpack", path, "-o", tmp_path / "dense", "--dtype", "f32")
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(load(tmp_path / "dense" / "model.safetensors")["l.weight"], values)
    for a, b in ((path, tmp_path / "packed"), (tmp_path / "packed", tmp_path / "dense")):
        done = cli(daemon, "diff", a, b)
        assert done.returncode == 0, done.stdout
    done = cli(daemon, "project", path, "-o", tmp_path / "again")
    assert done.returncode == 1 and "packed as MLX" in done.stderr
    done = cli(daemon, "inspect", path)
    assert "a layer, packed as MLX with 4 bits" in done.stdout


def test_int8_without_a_record(daemon, tmp_path, random):
    """int8 without its record is read by its shapes."""
    t = random.integers(-1, 2, (8, 160)).astype(np.int8)
    scales = (random.random((8, 10)) + .1).astype(np.float32)
    save(tmp_path / "a.safetensors", {"l.weight": t, "l.weight.scales": scales})
    code, found, _ = verify(daemon, tmp_path / "a.safetensors")
    assert code == 0 and found["encoding"] == "int8" and found["layers"][0]["group_size"] == 16
    t[2, 3] = 2
    save(tmp_path / "a.safetensors", {"l.weight": t, "l.weight.scales": scales})
    code, found, kinds = verify(daemon, tmp_path / "a.safetensors")
    assert code == 1 and kinds == {"code_out_of_range"}


def test_a_large_layer(daemon, tmp_path, random):
    """A layer whose values exceed a message is decoded while it is sent."""
    t = random.integers(-1, 2, (2048, 1024))
    tensors = {"l.weight": t.astype(np.int8),
               "l.weight_scale": (random.random((2048, 1)) + .1).astype(np.float32)}
    save(tmp_path / "a.safetensors", tensors)
    assert verify(daemon, tmp_path / "a.safetensors")[0] == 0
    tensors["l.weight"][1999, 1000] = 3
    tensors["l.weight"][1999, 1001] = 1
    save(tmp_path / "a.safetensors", tensors)
    code, found, kinds = verify(daemon, tmp_path / "a.safetensors")
    assert code == 1 and kinds == {"not_ternary"}
    assert 1999 * 1024 + 896 <= found["findings"][0]["index"] < 2000 * 1024


def test_config_names_the_packing(daemon, tmp_path, random):
    """A packing that the tables do not tell is named as config.json does."""
    tensors = {"l.weight": random.integers(0, 255, (8, 64), np.uint8),
               "l.weight_scales": np.ones((8, 2), np.float32),
               "m.weight": random.integers(0, 255, (8, 64), np.uint8)}
    for method, words in (("quanto", ("packed as quanto (by config.json)", "quant_method is quanto")),
                          (None, ("packed as an unknown packing", "gives its encoding"))):
        config = {"quantization_config": {"quant_method": method}} if method else {}
        path = folder(tmp_path / str(method), tensors, config)
        code, found, kinds = verify(daemon, path)
        assert code == 4 and kinds == {"foreign_packing", "unknown_dtype", "nothing_examined"}
        for one, word in zip(found["findings"], words):
            assert word in one["hint"]


def test_latents_in_fp8_are_unpacked_and_projected(daemon, tmp_path, random):
    """Weights in fp8 that are not ternary become dense, without a record that says they are
    ternary, and can be projected then."""
    weight = random.integers(1, 120, (128, 256), np.uint8)
    save(tmp_path / "a.safetensors", {"l.weight": Raw("F8_E4M3", (128, 256), weight.tobytes()),
                                      "l.weight_scale": np.array([.01], np.float32)})
    done = cli(daemon, "project", tmp_path / "a.safetensors", "-o", tmp_path / "b.safetensors")
    assert done.returncode == 1 and "trit unpack" in done.stderr
    done = cli(daemon, "unpack", tmp_path / "a.safetensors", "-o", tmp_path / "b.safetensors")
    assert done.returncode == 0 and "values as they were" in done.stdout
    assert list(load(tmp_path / "b.safetensors")) == ["l.weight"]
    assert verify(daemon, tmp_path / "b.safetensors")[0] == 1
    done = cli(daemon, "project", tmp_path / "b.safetensors", "-o", tmp_path / "c.safetensors")
    assert done.returncode == 0, done.stderr
    code, _, _ = verify(daemon, tmp_path / "c.safetensors", "--against", tmp_path / "b.safetensors")
    assert code == 0
