# SPDX-License-Identifier: Apache-2.0
"""client.checkpoint has the options of trit, and says what trit says."""

import warnings

import numpy as np
import pytest

import trit
from checkpoints import command, cut, f32, same_as_the_command, write
from checkpoints import drawn  # noqa: F401 (a fixture)


def test_the_bits_of_mlx(daemon, client, drawn, tmp_path):  # noqa: F811
    """`bits` tells them where config.json and shapes do not."""
    arrays = client.checkpoint.project({"l.weight": drawn(16, 256)}, encoding="mlx_2bit").tensors
    found = client.checkpoint.verify(arrays)
    assert found.verdict == "inconclusive" and "--bits" in found.findings[0].hint
    assert client.checkpoint.verify(arrays, bits=2).passes
    assert client.checkpoint.verify(arrays, bits=4).verdict == "fail"
    assert client.checkpoint.inspect(arrays, bits=2).layers == ("l.weight",)
    dense = client.checkpoint.unpack(arrays, bits=2, dtype="f32").tensors["l.weight"]
    again = client.checkpoint.pack(arrays, encoding="int8", bits=2).tensors
    scales = np.repeat(again["l.weight.scales"], 128, 1)
    np.testing.assert_array_equal(dense, again["l.weight"] * scales.astype(np.float32))
    path = tmp_path / "bare.safetensors"
    types = {np.dtype("u4"): "U32", np.dtype("f2"): "F16"}
    write(
        path, {name: (types[one.dtype], one.shape, one.tobytes()) for name, one in arrays.items()}
    )
    same_as_the_command(daemon, client.checkpoint.verify(path, bits=2), path, "--bits", "2")
    with pytest.raises(trit.InvalidArgument, match="bits: 7 is not 2, 3, 4, 5, 6 or 8"):
        client.checkpoint.verify(arrays, bits=7)


def test_npy_files_of_bf16(daemon, client, drawn, tmp_path):  # noqa: F811
    """`npy_bf16` reads '|V2', which may be anything, as bf16."""
    source, ours, theirs = (tmp_path / f"{name}.npy" for name in ("in", "ours", "theirs"))
    np.save(source, cut(drawn(8, 256)).view("V2"))
    for call in ("inspect", "plan", "verify"):
        with pytest.raises(trit.InvalidArgument, match="--npy-bf16"):
            getattr(client.checkpoint, call)(source)
    assert client.checkpoint.inspect(source, npy_bf16=True).tensors["in"].dtype == "BF16"
    assert client.checkpoint.plan(source, npy_bf16=True).layers == ("in",)
    client.checkpoint.project(source, ours, npy_bf16=True)
    done = command(daemon, "project", source, "-o", theirs, "--npy-bf16")
    assert done.returncode == 0, done.stderr
    assert ours.read_bytes() == theirs.read_bytes()
    assert client.checkpoint.verify(ours, against=source, npy_bf16=True).passes
    packed, back = tmp_path / "packed.safetensors", tmp_path / "back.npy"
    client.checkpoint.pack(ours, packed, encoding="int8", npy_bf16=True)
    client.checkpoint.unpack(packed, back, dtype="bf16")
    assert client.checkpoint.verify(back, against=source, npy_bf16=True).passes


def test_what_may_be_wrong_is_a_warning(client, drawn, tmp_path):  # noqa: F811
    """A layer that GPT-2 stores as [in, out], and one that the rules would keep."""
    source = {"h.0.attn.c_attn.weight": drawn(128, 384), "m.router.weight": drawn(4, 128)}
    plan = client.checkpoint.plan(source)
    assert "--transposed" in plan.tensors["h.0.attn.c_attn.weight"].warning
    assert plan.tensors["m.router.weight"].warning is None
    with pytest.warns(UserWarning, match="c_attn.*--transposed"):
        client.checkpoint.project(source)
    with pytest.warns(UserWarning, match="m.router.weight: included by a pattern"):
        client.checkpoint.project(source, include="*router*")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client.checkpoint.project(source, transposed="*c_attn*")
        client.checkpoint.project(source, config={"model_type": "gpt2"})


def test_messages_have_no_control_characters(client, drawn, tmp_path):  # noqa: F811
    """A name in a file can do nothing to a terminal."""
    path = tmp_path / "in.safetensors"
    write(path, {"bell\x07\x1b[31m.weight": f32(drawn(4, 128))})
    with pytest.raises(trit.InvalidArgument) as caught:
        client.checkpoint.verify(path)
    assert "\x1b" not in str(caught.value) and r"bell\x07\x1b[31m" in str(caught.value)


def test_what_stays_packed_stays_readable(client, drawn):  # noqa: F811
    """Layers that `exclude` leaves packed verify again, and still are those of their latents."""
    source = {f"l.{i}.weight": drawn(16, 256) for i in range(2)}
    packed = client.checkpoint.project(source, encoding="mlx_2bit").tensors
    config = {"quantization": {"group_size": 128, "bits": 2}}
    half = client.checkpoint.unpack(packed, exclude="l.1.*", config=config).tensors
    assert sorted(half) == ["l.0.weight", "l.1.biases", "l.1.scales", "l.1.weight"]
    found = client.checkpoint.verify(half, config=config)
    assert found.passes and len(found.layers) == 2


def test_rows_of_one_weight_say_nothing(daemon, client, drawn, tmp_path):  # noqa: F811
    """A single weight is always ternary: a matrix with one column is not counted as examined."""
    path = tmp_path / "in.safetensors"
    write(path, {"value_head.weight": f32(drawn(64, 1))})
    found = client.checkpoint.verify(path)
    assert (found.verdict, found.examined) == ("inconclusive", 0)
    same_as_the_command(daemon, found, path)
