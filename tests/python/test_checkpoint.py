# SPDX-License-Identifier: Apache-2.0
"""client.checkpoint: files and state dicts, as the command `trit` treats them."""

import asyncio
import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import trit
import trit.aio
from checkpoints import (  # noqa: F401 (fixtures)
    FOREIGN,
    LAYERS,
    command,
    drawn,
    file,
    model,
    read,
    tensors,
    write,
)


# A projected file equals that of `trit project` byte for byte, in every encoding.
@pytest.mark.parametrize(
    "encoding, words, options",
    [
        ("dense", [], {}),
        (
            "dense",
            ["--convolutions", "--partial", "exact"],
            {"convolutions": True, "partial_group": "exact"},
        ),
        ("int8", ["--group-size", "64"], {"group_size": 64}),
        ("pq2_0", ["--exclude", "short"], {"exclude": "short"}),
        ("q2_0", ["--include", "blk.*", "--include", "no*"], {"include": ["blk.*", "no*"]}),
        ("ptq1_0", ["--exclude", "short"], {"exclude": ["short"]}),
        (
            "tq1_0",
            ["--exclude", "short", "--group-size", "256"],
            {"exclude": "short", "group_size": 256},
        ),
        (
            "tq2_0",
            ["--include", "blk.*", "--exclude", "*.q", "--group-size", "256"],
            {"include": "blk.*", "exclude": "*.q", "group_size": 256},
        ),
        (
            "hf_bitnet",
            ["--exclude", "short", "--convolutions"],
            {"exclude": "short", "convolutions": True},
        ),
    ],
)
def test_a_file_is_projected_as_the_command_does(
    daemon, client, tmp_path, file, encoding, words, options
):
    theirs, ours = tmp_path / "theirs.safetensors", tmp_path / "ours.safetensors"
    done = command(daemon, "project", file, "-o", theirs, "--encoding", encoding, *words, "--json")
    assert done.returncode == 0, done.stderr
    made = client.checkpoint.project(file, ours, encoding=encoding, **options)
    assert read(ours) == read(theirs)
    assert ours.read_bytes() == theirs.read_bytes()
    printed = {one["layer"]: one for one in json.loads(done.stdout)["layers"]}
    assert made.tensors is None and list(made.reports) == list(printed)
    assert all(made.reports[name].digest == printed[name]["digest"] for name in printed)
    # Each verifies the other's output.
    options = {
        name: value
        for name, value in options.items()
        if name in ("include", "exclude", "convolutions")
    }
    words = [
        word for word in words if word not in ("--partial", "exact", "--group-size", "64", "256")
    ]
    assert command(daemon, "verify", ours, "--against", file, *words).returncode == 0
    found = client.checkpoint.verify(theirs, against=file, **options)
    assert found.passes and set(found.reports) == set(printed)
    assert client.checkpoint.inspect(theirs).encoding == trit.Encoding[encoding.upper()]


# Metadata with the record's name that is not a record is replaced by the record.
def test_an_invalid_record_is_replaced(daemon, client, tmp_path, tensors):
    path, ours, theirs = (tmp_path / f"{name}.safetensors" for name in ("in", "ours", "theirs"))
    write(path, tensors, {"trit": "something else", "format": "pt"})
    assert command(daemon, "project", path, "-o", theirs).returncode == 0
    client.checkpoint.project(path, ours)
    assert ours.read_bytes() == theirs.read_bytes()
    assert json.loads(read(ours)[1]["trit"])["encoding"] == "dense"
    with pytest.raises(trit.InvalidArgument, match="metadata"):
        client.checkpoint.verify(path)


# A state dict gives a state dict: layers have the file's values, other tensors are the
# same objects.
@pytest.mark.parametrize("encoding", ["dense", "int8", "pq2_0", "hf_bitnet"])
def test_a_state_dict_is_projected_like_a_file(client, tmp_path, random, encoding):
    state = {
        "a": random.standard_normal((8, 256)).astype(np.float32),
        "bias": np.arange(3.0),
        "b": random.standard_normal((4, 128)).astype(np.float16),
    }
    made = client.checkpoint.project(state, encoding=encoding)
    path = tmp_path / "out.safetensors"
    client.checkpoint.project(state, path, encoding=encoding)
    found, _ = read(path)
    assert list(found) == list(made.tensors) and made.tensors["bias"] is state["bias"]
    for name, array in made.tensors.items():
        assert found[name][1:] == (array.shape, array.tobytes()), name
    assert client.checkpoint.verify(path, against=state).passes
    if encoding == "dense":
        assert client.checkpoint.verify(made.tensors, against=state).passes


# State dicts of torch work, with bfloat16 and strided tensors.
def test_torch_tensors_are_taken(client, tmp_path):
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    state = {
        "w": torch.randn(8, 256).bfloat16(),
        "t": torch.randn(256, 8).t(),
        "ids": torch.arange(4),
    }
    made = client.checkpoint.project(state)
    assert made.tensors["w"].dtype == torch.bfloat16 and made.tensors["ids"] is state["ids"]
    path = tmp_path / "out.safetensors"
    client.checkpoint.project(state, path)
    found, _ = read(path)
    assert found["w"] == ("BF16", (8, 256), made.tensors["w"].view(torch.int16).numpy().tobytes())
    assert found["t"] == ("F32", (8, 256), made.tensors["t"].numpy().tobytes())
    assert found["ids"] == ("I64", (4,), state["ids"].numpy().tobytes())


# State dicts of mlx work.
def test_mlx_arrays_are_taken(client):
    mx = pytest.importorskip("mlx.core")
    state = {"w": mx.random.normal((8, 256)).astype(mx.bfloat16), "n": mx.arange(3)}
    made = client.checkpoint.project(state, encoding="int8")
    assert made.tensors["w"].shape == (8, 256) and made.tensors["w"].dtype == mx.int8
    assert list(made.tensors) == ["w", "w.scales", "n"]


# Reports are stored under the run and the tensors' names.
def test_reports_are_filed(client, tmp_path, file, run):
    made = client.checkpoint.project(file, tmp_path / "o", run=run, step=3, include="blk.*")
    client.checkpoint.verify(tmp_path / "o", against=file, run=run, step=4)
    filed = client.reports.list(run)
    assert [(one.layer, one.step) for one in filed] == [
        (name, step) for name in sorted(made.reports) for step in (3, 4)
    ]
    with pytest.raises(trit.InvalidArgument, match="step"):
        client.checkpoint.project(file, tmp_path / "o", step=3)


# Progress counts every byte of the file once; a bar gets its total.
def test_progress_adds_up_to_the_file(client, tmp_path, file, tensors):
    class Bar:
        total, done = None, 0

        def update(self, n):
            self.done += n

    total = sum(len(data) for _, _, data in tensors.values())
    bar, steps = Bar(), []
    client.checkpoint.project(file, tmp_path / "o", encoding="int8", progress=bar)
    assert bar.total == bar.done == total
    client.checkpoint.verify(tmp_path / "o", against=file, progress=steps.append)
    assert sum(steps) == sum(len(data) for _, _, data in read(tmp_path / "o")[0].values())

    def stop(n):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        client.checkpoint.project(file, tmp_path / "stopped", progress=stop)


# A failed projection leaves an existing output as it was and no other file; the error
# names the tensor.
def test_a_failure_leaves_nothing_behind(client, tmp_path, file, tensors):
    q = np.frombuffer(tensors["short"][2], np.float32).copy()
    q[7] = np.nan
    write(file, {**tensors, "short": ("F32", (5, 200), q.tobytes())})
    out = tmp_path / "out.safetensors"
    out.write_bytes(b"as it was")
    with pytest.raises(trit.InvalidArgument, match="short: .*7"):
        client.checkpoint.project(file, out, force=True)
    assert out.read_bytes() == b"as it was"
    assert sorted(tmp_path.iterdir()) == [file, out]


# A source that changes meanwhile raises Aborted, and nothing is written.
def test_a_source_that_changes_is_reported(client, tmp_path, file):
    def touch(n):
        os.utime(file, ns=(0, 0))

    with pytest.raises(trit.Aborted, match="changed"):
        client.checkpoint.project(file, tmp_path / "o", progress=touch)
    assert list(tmp_path.iterdir()) == [file]


# Impossible requests are refused before anything is written; the error names the field.
@pytest.mark.parametrize(
    "options, field, words",
    [
        (dict(encoding="pq2_0"), "source", "short: .*multiple of 128"),
        (
            dict(encoding="i2_s"),
            "source",
            "blk.0.q: .*a form in GGUF files only.*blk.0.k: .*short: ",
        ),
        (dict(encoding="hf_bitnet"), "source", "short: .*multiple of 4 rows.* 5"),
        (dict(encoding="hf_bitnet", group_size=128), "group_size", "one scale for the whole"),
        (dict(encoding="gold"), "encoding", "gold"),
        (dict(include="nobody"), "include", '"nobody" matches no tensor'),
        (dict(exclude=["conv", "bl.*"]), "exclude", '"bl.*" matches no tensor'),
        (dict(include="number"), "source", "none of its tensors is a layer"),
        (dict(include=[b"conv"]), "include", "must be a pattern.*not bytes"),
        (dict(group_size=-1, encoding="int8"), "group_size", "-1"),
    ],
)
def test_impossible_requests_are_refused(client, tmp_path, file, options, field, words):
    with pytest.raises(trit.Error, match=words) as raised:
        client.checkpoint.project(file, tmp_path / "o", **options)
    assert raised.value.field == field
    assert list(tmp_path.iterdir()) == [file]


# Missing or broken files and impossible outputs have their own errors.
def test_missing_and_broken_files(client, tmp_path, file):
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    with pytest.raises(trit.InvalidArgument, match="broken"):
        client.checkpoint.inspect(broken)
    with pytest.raises(FileNotFoundError):
        client.checkpoint.verify(tmp_path / "nobody")
    with pytest.raises(IsADirectoryError):
        client.checkpoint.project(file, tmp_path)
    with pytest.raises(trit.InvalidArgument, match="out"):
        client.checkpoint.project(file)
    write(broken, {"w": ("F32", (1, 4), bytes(16))}, {"trit": "{}"})
    with pytest.raises(trit.InvalidArgument, match="metadata"):
        client.checkpoint.verify(broken)


# Files are read without the package safetensors.
def test_files_need_no_package(client, file, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert client.checkpoint.inspect(file).layers


# `inspect` lists tensors and layers without a daemon.
def test_inspect_needs_no_daemon(file, tensors):
    write(file, tensors, {"format": "pt"})
    with trit.Client("127.0.0.1:1") as nobody:
        found = nobody.checkpoint.inspect(file, exclude="short")
    assert list(found.tensors) == list(tensors) and found.metadata == {"format": "pt"}
    assert found.layers == ("blk.0.q", "blk.0.k", "blk.0.v") and found.encoding is None
    assert (
        found.descriptions["norm"] == "a norm"
        and found.descriptions["short"] == "excluded by a pattern"
    )
    assert found.tensors["odd.bias"].dtype == "F8_E4M3"
    assert found.tensors["odd.bias"].shape == (4, 128)


# The asyncio client has the same calls.
def test_checkpoints_can_be_awaited(daemon, tmp_path, file):
    async def inside():
        async with trit.aio.Client(daemon.rpc, timeout=30) as client:
            made = await client.checkpoint.project(file, tmp_path / "o")
            assert set((await client.checkpoint.inspect(tmp_path / "o")).layers) == set(
                made.reports
            )
            assert (await client.checkpoint.verify(tmp_path / "o", against=file)).passes

    asyncio.run(asyncio.wait_for(inside(), 60))


# A task that is cancelled during or between calls leaves no file.
def test_a_cancelled_projection_leaves_nothing(daemon, tmp_path, file):
    async def inside():
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def progress(n):
            loop.call_soon_threadsafe(begun.set)
            held.wait(30)

        held = threading.Event()
        async with trit.aio.Client(daemon.rpc, timeout=30) as client:
            task = asyncio.ensure_future(
                client.checkpoint.project(file, tmp_path / "o", progress=progress)
            )
            await begun.wait()
            task.cancel()
            loop.call_soon(held.set)
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(asyncio.wait_for(inside(), 60))
    assert list(tmp_path.iterdir()) == [file]


PEAK = """
import resource, sys, trit
with trit.Client(sys.argv[1], timeout=60) as client:
    client.checkpoint.project(sys.argv[2], sys.argv[4], encoding=sys.argv[5])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    client.checkpoint.project(sys.argv[3], sys.argv[4], encoding=sys.argv[5], force=True)
    client.checkpoint.verify(sys.argv[4], against=sys.argv[3])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


# Memory does not grow with the file: twelve layers need about as much as one.
@pytest.mark.parametrize("encoding", ["dense", "pq2_0"])
def test_memory_does_not_grow_with_the_file(daemon, tmp_path, random, encoding):
    data = random.standard_normal((2048, 2048)).astype(np.float32).tobytes()
    small, large = tmp_path / "small", tmp_path / "large"
    write(small, {"0": ("F32", (2048, 2048), data)})
    write(large, {str(i): ("F32", (2048, 2048), data) for i in range(12)})
    done = subprocess.run(
        [sys.executable, "-c", PEAK, daemon.rpc, small, large, tmp_path / "o", encoding],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * 1024 < 3 * len(data), done.stdout


# ---- which tensors are layers ----------------------------------------------------------


# The rules choose embeddings, head and linear layers, not every tensor of rank 2.
@pytest.mark.parametrize(
    "encoding, kept", [("dense", ()), ("int8", ()), ("hf_bitnet", (LAYERS[0], LAYERS[3]))]
)
def test_layers_are_chosen_by_the_rules(daemon, client, tmp_path, model, encoding, kept):
    path, ours, theirs = (tmp_path / f"{name}.safetensors" for name in ("in", "ours", "theirs"))
    write(path, model)
    made = client.checkpoint.project(path, ours, encoding=encoding)
    assert list(made.reports) == [name for name in LAYERS if name not in kept]
    assert command(daemon, "project", path, "-o", theirs, "-e", encoding).returncode == 0
    assert ours.read_bytes() == theirs.read_bytes()
    found, _ = read(ours)
    assert all(found[name] == model[name] for name in model if name not in made.reports)
    assert client.checkpoint.verify(ours, against=path).passes


# A pattern makes a layer of a tensor that the rules keep.
def test_a_pattern_overrides_the_rules(client, model, tmp_path):
    path = tmp_path / "in.safetensors"
    write(path, model)
    made = client.checkpoint.project(
        path, tmp_path / "o", include=["lm_head.*", "*.mlp.gate.*"], encoding="hf_bitnet"
    )
    assert list(made.reports) == ["model.layers.0.mlp.gate.weight", "lm_head.weight"]


# State dicts follow the same rules, by names, types and shapes.
def test_state_dicts_follow_the_rules(client, model):
    state = {
        name: np.frombuffer(data, np.float32).reshape(shape)
        for name, (_, shape, data) in model.items()
    }
    made = client.checkpoint.project(state)
    assert list(made.reports) == LAYERS
    # The order of an array's bytes is no part of its type.
    turned = {name: array.astype(">f4") for name, array in state.items()}
    for name, report in client.checkpoint.project(turned).reports.items():
        assert report.digest == made.reports[name].digest
    state["mlx.weight"] = np.zeros((8, 8), np.uint32)
    state["mlx.scales"] = np.zeros((8, 1), np.float16)
    with pytest.raises(trit.InvalidArgument, match="mlx.weight: packed as MLX.*mlx.scales"):
        client.checkpoint.project(state)
    with pytest.raises(trit.InvalidArgument, match="z: safetensors has no dtype complex128"):
        client.checkpoint.project({"z": np.zeros(2, np.complex128)})
    with pytest.raises(trit.InvalidArgument, match="extra: dict is not an array"):
        client.checkpoint.project({"extra": {}})
    with pytest.raises(trit.InvalidArgument, match="names .*not int"):
        client.checkpoint.project({0: np.zeros((2, 128), np.float32)})
    with pytest.raises(trit.InvalidArgument, match=r"'a\\nb': .*control character"):
        client.checkpoint.project({"a\nb": np.zeros((2, 128), np.float32)})


# ---- what is refused -------------------------------------------------------------------


# Weights that another program packed are refused, all by name, and nothing is written.
def test_foreign_packings_are_refused(daemon, client, tmp_path, model):
    path, out = tmp_path / "in.safetensors", tmp_path / "o.safetensors"
    write(
        path, {**model, **{name: one for group in FOREIGN.values() for name, one in group.items()}}
    )
    with pytest.raises(trit.InvalidArgument) as refused:
        client.checkpoint.project(path, out)
    for weight, group in FOREIGN.items():
        assert f"{weight}: packed as" in refused.value.message
        assert all(name in refused.value.message for name in group)
    assert refused.value.field == "source" and list(tmp_path.iterdir()) == [path]
    assert command(daemon, "project", path, "-o", out).returncode == 1
    kept = client.checkpoint.project(path, out, exclude=list(FOREIGN))
    assert list(kept.reports) == LAYERS


# A file that a projection wrote is refused, and so are layers that are ternary already.
def test_ternary_layers_are_refused(daemon, client, tmp_path, model):
    path, once, twice = (tmp_path / f"{name}.safetensors" for name in ("in", "once", "twice"))
    write(path, model)
    client.checkpoint.project(path, once)
    with pytest.raises(
        trit.InvalidArgument, match="record of a projection.*trit pack.*again=True"
    ):
        client.checkpoint.project(once, twice)
    bare = tmp_path / "bare.safetensors"
    write(bare, read(once)[0])
    with pytest.raises(trit.InvalidArgument, match="again=True") as refused:
        client.checkpoint.project(bare, twice)
    assert all(f"{name}: it is ternary already" in refused.value.message for name in LAYERS)
    assert not twice.exists()
    assert command(daemon, "project", bare, "-o", twice).returncode == 1
    for source in (once, bare):
        made = client.checkpoint.project(source, twice, again=True, force=True)
        assert list(made.reports) == LAYERS
    state = client.checkpoint.project(
        {"w": np.frombuffer(model[LAYERS[1]][2], np.float32).reshape(8, 256)}
    ).tensors
    with pytest.raises(trit.InvalidArgument, match="w: it is ternary already"):
        client.checkpoint.project(state)
    assert client.checkpoint.project(state, again=True).reports["w"].is_ternary


# Zeros and layers that are their own projection are projected.
def test_fixed_points_are_projected(client):
    state = {"zeros": np.zeros((2, 128), np.float32), "ones": np.full((2, 128), -3, np.float32)}
    made = client.checkpoint.project(state)
    assert (made.tensors["zeros"] == 0).all() and (made.tensors["ones"] == -3).all()


# Scales that the output's type cannot hold are refused, by layer, unless allowed.
@pytest.mark.parametrize("encoding", ["pq2_0", "dense"])
def test_lost_scales_are_refused(client, tmp_path, drawn, encoding):
    lost = drawn(2, 128)
    lost[1] *= 1e-9 if encoding == "pq2_0" else 0
    kind, size = ("F32", np.float32) if encoding == "pq2_0" else ("F16", np.float16)
    lost[1, 5] = 1e-9 if encoding == "pq2_0" else 6e-8
    tensors = {name: (kind, (2, 128), lost.astype(size).tobytes()) for name in "ab"}
    path, out = tmp_path / "in.safetensors", tmp_path / "o.safetensors"
    write(path, tensors)
    with pytest.raises(trit.InvalidArgument, match="allow_lost=True") as refused:
        client.checkpoint.project(path, out, encoding=encoding)
    assert "a: 1 scales, the first of group 1" in refused.value.message
    assert "b: 1 scales" in refused.value.message and list(tmp_path.iterdir()) == [path]
    made = client.checkpoint.project(path, out, encoding=encoding, allow_lost=True)
    assert [one.kind for one in made.reports["a"].findings][:1] == ["scale_lost"]
    state = {"a": lost.astype(size)}
    with pytest.raises(trit.InvalidArgument, match="a: 1 scales"):
        client.checkpoint.project(state, encoding=encoding)
    assert client.checkpoint.project(state, encoding=encoding, allow_lost=True).reports


# ---- where it is written ---------------------------------------------------------------


# An existing output stays, unless it is to be replaced; a folder always stays.
def test_an_existing_output_is_kept(client, tmp_path, file):
    out = tmp_path / "o.safetensors"
    out.write_bytes(b"as it was")
    out.chmod(0o640)
    with pytest.raises(
        trit.AlreadyExists, match="o.safetensors exists already; force=True"
    ) as why:
        client.checkpoint.project(file, out)
    assert why.value.field == "out" and out.read_bytes() == b"as it was"
    client.checkpoint.project(file, out, force=True)
    assert read(out)[1]["format"] == "pt" and out.stat().st_mode & 0o777 == 0o640
    with pytest.raises(IsADirectoryError):
        client.checkpoint.project(file, tmp_path, force=True)


# A file that another process creates meanwhile is not replaced.
def test_a_file_created_meanwhile_is_kept(client, tmp_path, file):
    out = tmp_path / "o.safetensors"
    with pytest.raises(trit.AlreadyExists):
        client.checkpoint.project(file, out, progress=lambda n: out.write_bytes(b"theirs"))
    assert out.read_bytes() == b"theirs" and sorted(tmp_path.iterdir()) == [file, out]


# The source is never the output, under any of its names and options; nothing is read.
def test_the_source_is_not_replaced(client, tmp_path, file, monkeypatch):
    before = file.read_bytes()
    (tmp_path / "soft").symlink_to(file)
    os.link(file, tmp_path / "hard")
    monkeypatch.chdir(tmp_path)
    for out in (
        file,
        "in.safetensors",
        f"{tmp_path}/../{tmp_path.name}/in.safetensors",
        tmp_path / "soft",
        tmp_path / "hard",
    ):
        for source in (file, tmp_path / "soft"):
            with pytest.raises(trit.InvalidArgument, match="the source itself"):
                client.checkpoint.project(source, out, force=True)
    assert file.read_bytes() == before and (tmp_path / "soft").is_symlink()
    file.write_bytes(b"no checkpoint")
    with pytest.raises(trit.InvalidArgument, match="the source itself"):
        client.checkpoint.project(file, file, force=True)


# A symbolic link is replaced; the file that it points to stays.
@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_replaced_and_not_followed(client, tmp_path, file, there):
    blob, out = tmp_path / "blob", tmp_path / "o.safetensors"
    if there:
        blob.write_bytes(b"shared")
    out.symlink_to(blob)
    with pytest.raises(trit.AlreadyExists):
        client.checkpoint.project(file, out)
    client.checkpoint.project(file, out, force=True)
    assert not out.is_symlink() and read(out)[1]["format"] == "pt"
    assert blob.read_bytes() == b"shared" if there else not blob.exists()


# A link to a folder or a device is not replaced.
@pytest.mark.parametrize("target", [".", "/dev/null"])
def test_a_link_to_no_file_is_refused(client, tmp_path, file, target):
    out = tmp_path / "o.safetensors"
    out.symlink_to(target)
    with pytest.raises((trit.InvalidArgument, IsADirectoryError)):
        client.checkpoint.project(file, out, force=True)
    assert out.is_symlink()


# A name that says another format is refused, and "-" names no file.
@pytest.mark.parametrize(
    "name, words",
    [
        ("m.ggml", "GGML"),
        ("m.bin", "PyTorch"),
        ("m.pt", "PyTorch"),
        ("m.npz", "NumPy"),
        ("m.npy", "npy"),
        ("m.onnx", "ONNX"),
        ("-", "names no file"),
    ],
)
def test_other_names_are_refused(client, tmp_path, file, monkeypatch, name, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(trit.InvalidArgument, match=words) as refused:
        client.checkpoint.project(file, name)
    assert refused.value.field == "out" and list(tmp_path.iterdir()) == [file]
