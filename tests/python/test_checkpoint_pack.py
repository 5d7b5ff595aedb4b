# SPDX-License-Identifier: Apache-2.0
"""client.checkpoint.pack and unpack give the bytes that `trit pack` and `trit unpack` write;
verify reads what other programs packed."""

import json

import numpy as np
import pytest

import trit
from checkpoints import command, drawn, f32, read, write  # noqa: F401 (fixtures)

ENCODINGS = ["int8", "pq2_0", "q2_0", "ptq1_0", "mlx_2bit", "hf_bitnet"]


def u32(codes, bits):
    """Codes [rows, columns] as U32, the lowest bits first."""
    rows, columns = codes.shape
    stream = (codes[..., None] >> np.arange(bits) & 1).astype(np.uint8)
    packed = np.packbits(stream.reshape(rows, columns * bits), axis=1, bitorder="little")
    return ("U32", (rows, columns * bits // 32), packed.tobytes())


def f16(array):
    return ("F16", array.shape, array.astype("<f2").tobytes())


@pytest.fixture
def ternary(tmp_path):
    """A file whose layer has the magnitude 1/2, and a norm."""
    random = np.random.default_rng(3)
    weight = random.integers(-1, 2, (16, 512)) * np.float32(0.5)
    path = tmp_path / "ternary.safetensors"
    write(path, {"l.weight": f32(weight), "norm.weight": f32(np.ones(16, np.float32))})
    return path


def both(daemon, client, verb, source, tmp_path, words, **options):
    """The output of both, which must be equal, and the result."""
    ours, theirs = tmp_path / f"ours-{verb}", tmp_path / f"theirs-{verb}"
    if not source.is_dir():
        ours, theirs = (one.with_suffix(".safetensors") for one in (ours, theirs))
    done = command(daemon, verb, source, "-o", theirs, "--force", *words)
    assert done.returncode == 0, done.stderr
    made = getattr(client.checkpoint, verb)(source, ours, force=True, **options)
    left, right = ([one] if one.is_file() else sorted(one.iterdir()) for one in (ours, theirs))
    assert [one.read_bytes() for one in left] == [one.read_bytes() for one in right]
    return ours, made


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_pack_and_unpack_as_the_command(daemon, client, ternary, tmp_path, encoding):
    packed, made = both(
        daemon, client, "pack", ternary, tmp_path, ["-e", encoding], encoding=encoding
    )
    assert made.layers == ("l.weight",) and made.verdict == "pass" and made.tensors is None
    assert made.encoding == trit.Encoding[encoding.upper()] and made.scales_rounded == 0
    assert client.checkpoint.verify(packed).verdict == "pass"
    dense, made = both(daemon, client, "unpack", packed, tmp_path, [])
    assert read(dense)[0] == read(ternary)[0]
    assert "1 layers as dense" in repr(made) and "<table>" in made._repr_html_()


def test_state_dicts(client, ternary):
    weight = np.frombuffer(read(ternary)[0]["l.weight"][2], np.float32).reshape(16, 512)
    state = {"l.weight": weight, "norm.weight": np.ones(16, np.float32)}
    packed = client.checkpoint.pack(state, encoding="int8").tensors
    assert list(packed) == ["l.weight", "l.weight.scales", "norm.weight"]
    assert packed["l.weight"].dtype == np.int8
    dense = client.checkpoint.unpack(packed, dtype="f16").tensors
    assert list(dense) == ["l.weight", "norm.weight"]
    np.testing.assert_array_equal(dense["l.weight"].astype(np.float32), weight)


def test_what_does_not_fit_is_refused(client, tmp_path):
    path, out = tmp_path / "a.safetensors", tmp_path / "out.safetensors"
    weight = np.full((4, 256), 0.1, np.float32)
    write(path, {"l.weight": f32(weight)})
    with pytest.raises(trit.InvalidArgument, match="l.weight"):  # F16 does not hold 0.1
        client.checkpoint.pack(path, out, encoding="pq2_0")
    made = client.checkpoint.pack(path, out, encoding="pq2_0", allow_rounded_scales=True)
    assert made.scales_rounded == 8 and [one.kind for one in made.findings] == ["scale_rounded"]
    out.unlink()
    weight[2, 130] = 0.3
    write(path, {"l.weight": f32(weight)})
    with pytest.raises(trit.InvalidArgument, match=r"l.weight.*group 5"):
        client.checkpoint.pack(path, out, encoding="int8")
    write(path, {"l.weight": f32(weight * 1e-9)})
    with pytest.raises(trit.InvalidArgument, match="F16 rounds element 0 to 0"):
        client.checkpoint.unpack(path, out, dtype="f16")
    with pytest.raises(trit.InvalidArgument, match="none of its tensors is a layer"):
        client.checkpoint.pack(path, out, encoding="int8", exclude="*")
    assert not out.exists()


def test_folders(daemon, client, ternary, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(ternary.read_bytes())
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (folder / "tokenizer.json").write_text("{}")
    words = ["-e", "mlx_2bit"]
    packed, _ = both(daemon, client, "pack", folder, tmp_path, words, encoding="mlx_2bit")
    assert json.loads((packed / "config.json").read_text())["quantization"]["bits"] == 2
    dense, _ = both(daemon, client, "unpack", packed, tmp_path, [])
    assert "quantization" not in json.loads((dense / "config.json").read_text())


def test_bitnet_with_reciprocal_scales(daemon, client, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    codes = np.random.default_rng(4).choice(
        np.array([0x15, 0x46, 0x91, 0x2A], np.uint8), (16, 256)
    )
    scale = ("BF16", (1,), (0x4100).to_bytes(2, "little"))  # 8
    write(
        folder / "model.safetensors",
        {"l.weight": ("U8", codes.shape, codes.tobytes()), "l.weight_scale": scale},
    )
    config = {"quant_method": "bitnet", "linear_class": "bitlinear"}
    (folder / "config.json").write_text(json.dumps({"quantization_config": config}))
    dense, _ = both(daemon, client, "unpack", folder, tmp_path, [])
    values = np.frombuffer(read(dense / "model.safetensors")[0]["l.weight"][2], np.float32)
    assert set(np.abs(values)) == {0, 0.125}


@pytest.fixture
def mlx(tmp_path):
    """A layer as MLX packs it with 4 bits, in a folder; the function writes it, or another."""
    random = np.random.default_rng(5)
    t = random.integers(-1, 2, (16, 256))
    scales = (random.random((16, 4)) * 0.02 + 0.01).astype(np.float16)
    folder = tmp_path / "mlx"
    folder.mkdir()
    config = {"quantization": {"group_size": 64, "bits": 4}}
    (folder / "config.json").write_text(json.dumps(config))

    def make(codes, lost=None):
        used = scales.copy()
        if lost:
            used[lost] = 0
        tensors = {
            "l.weight": u32(codes, 4),
            "l.scales": f16(used),
            "l.biases": f16(-8 * used),
        }
        write(folder / "model.safetensors", tensors)
        return folder

    return make, t + 8


def test_verify_reads_other_packings(client, mlx, tmp_path):
    make, codes = mlx
    result = client.checkpoint.verify(make(codes))
    assert (result.verdict, result.findings, result.examined) == ("pass", (), 16 * 256)
    result = client.checkpoint.verify(make(codes, lost=(3, 1)))
    assert [(one.kind, one.group) for one in result.findings] == [("scale_zero_under_codes", 13)]
    assert result.verdict == "fail"
    with pytest.raises(trit.InvalidArgument, match="group 13 has the scale 0, but nonzero codes"):
        client.checkpoint.pack(
            make(codes, lost=(3, 1)), tmp_path / "out", encoding="int8", group_size=64
        )
    codes[3, 100] = 12
    result = client.checkpoint.verify(make(codes))
    assert result.verdict == "fail" and result.findings[0].kind == "not_ternary"
    assert 3 * 256 + 64 <= result.findings[0].index < 3 * 256 + 128


def test_pack_reads_other_packings(daemon, client, mlx, tmp_path):
    make, codes = mlx
    folder = make(codes)
    words = ["-e", "int8", "-g", "64"]
    packed, _ = both(
        daemon, client, "pack", folder, tmp_path, words, encoding="int8", group_size=64
    )
    tensors, _ = read(packed / "model.safetensors")
    assert set(tensors) == {"l.weight", "l.weight.scales"}
    got = np.frombuffer(tensors["l.weight"][2], np.int8).reshape(16, 256)
    np.testing.assert_array_equal(got, codes - 8)
    both(daemon, client, "unpack", folder, tmp_path, ["--dtype", "f32"], dtype="f32")


def test_biases_that_are_not_minus_scales(client, tmp_path):
    scales = np.ones((4, 2), np.float32)
    codes = np.zeros((4, 256), np.int64)
    tensors = {"l.weight": u32(codes, 2), "l.scales": f16(scales), "l.biases": f16(scales)}
    write(tmp_path / "a.safetensors", tensors)
    with pytest.raises(trit.InvalidArgument, match="group 0 is not ternary: its bias"):
        client.checkpoint.pack(
            tmp_path / "a.safetensors",
            tmp_path / "b.safetensors",
            encoding="int8",
            from_encoding="mlx_2bit",
        )


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_a_dense_layer_is_rounded_as_by_the_command(daemon, client, tmp_path, dtype):
    source, ours, theirs = (tmp_path / f"{name}.safetensors" for name in ("a", "ours", "theirs"))
    weight = np.full((4, 256), 0.1, np.float32)
    weight[::2] = -0.7
    write(source, {"l.weight": f32(weight)})
    client.checkpoint.unpack(source, ours, dtype=dtype)
    done = command(daemon, "unpack", source, "-o", theirs, "--dtype", dtype)
    assert done.returncode == 0, done.stderr
    assert ours.read_bytes() == theirs.read_bytes()


def test_layers_that_are_not_unpacked_stay_layers(daemon, client, tmp_path):
    source, part = tmp_path / "a.safetensors", tmp_path / "part.safetensors"
    weight = np.resize(np.float32([0.5, 0, -0.5]), (8, 256))
    write(source, {"a.weight": f32(weight), "b.weight": f32(weight)})
    client.checkpoint.pack(source, tmp_path / "p.safetensors", encoding="pq2_0")
    client.checkpoint.unpack(tmp_path / "p.safetensors", part, include="b.*")
    found = client.checkpoint.verify(part)
    assert found.verdict == "pass" and sorted(found.reports) == ["a.weight", "b.weight"]
    assert command(daemon, "verify", part).returncode == 0


# Scales become those of groups of another size, as by `trit pack`.
@pytest.mark.parametrize("encoding, group_size", [("int8", 64), ("int8", 512), ("mlx_2bit", 64)])
def test_groups_of_another_size(daemon, client, ternary, tmp_path, encoding, group_size):
    source, _ = both(daemon, client, "pack", ternary, tmp_path, ["-e", "int8"], encoding="int8")
    source = source.rename(tmp_path / "source.safetensors")
    words = ["-e", encoding, "-g", str(group_size)]
    options = {"encoding": encoding, "group_size": group_size}
    both(daemon, client, "pack", source, tmp_path, words, **options)


# Scales that differ within a longer group are refused, naming the group.
def test_groups_that_differ_are_not_joined(client, ternary, tmp_path):
    source = tmp_path / "source.safetensors"
    client.checkpoint.pack(ternary, source, encoding="int8")
    tensors, metadata = read(source)
    kind, shape, data = tensors["l.weight.scales"]
    scales = np.frombuffer(data, np.float32).reshape(shape).copy()
    scales[3, 1] *= 2
    write(source, {**tensors, "l.weight.scales": (kind, shape, scales.tobytes())}, metadata)
    with pytest.raises(trit.InvalidArgument, match="group 3: .* different scales"):
        client.checkpoint.pack(source, tmp_path / "o.safetensors", encoding="int8", group_size=512)
