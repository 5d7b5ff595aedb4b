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
from daemon import BINARIES

WIDTHS = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I64": 8, "BOOL": 1, "F8_E4M3": 1, "I8": 1, "U8": 1}


def write(path, tensors, metadata=None):
    """A safetensors file as MLX writes one: neither header nor data aligned.
    `tensors`: name to dtype, shape, bytes."""
    header, end = {"__metadata__": metadata} if metadata else {}, 0
    for name, (dtype, shape, data) in tensors.items():
        assert len(data) == np.prod(shape, dtype=int) * WIDTHS[dtype], name
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [end, end + len(data)]}
        end += len(data)
    text = json.dumps(header).encode()
    text += b" " * ((len(text) + 1) % 2)  # an odd length
    path.write_bytes(len(text).to_bytes(8, "little") + text +
                     b"".join(data for _, _, data in tensors.values()))


def read(path):
    """Name to dtype, shape, bytes; and the metadata."""
    raw = path.read_bytes()
    begin = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:begin])
    metadata = header.pop("__metadata__", {})
    return {name: (one["dtype"], tuple(one["shape"]),
                   raw[slice(*(begin + at for at in one["data_offsets"]))])
            for name, one in header.items()}, metadata


def command(daemon, *words):
    return subprocess.run([str(BINARIES / "trit"), *map(str, words), "--server", daemon.rpc],
                          capture_output=True, text=True, timeout=60)


def cut(floats):
    """The upper halves: bfloat16."""
    return (floats.view(np.uint32) >> 16).astype(np.uint16)


@pytest.fixture
def tensors(random):
    """One of every kind: layers of three types, a short last group, what is no layer."""
    def drawn(*shape):
        return random.standard_normal(shape).astype(np.float32) * 0.02

    return {"norm": ("F32", (3,), drawn(3).tobytes()),
            "flag": ("BOOL", (1,), b"\1"),
            "blk.0.q": ("F32", (48, 512), drawn(48, 512).tobytes()),
            "blk.0.k": ("F16", (16, 256), drawn(16, 256).astype(np.float16).tobytes()),
            "blk.0.v": ("BF16", (16, 256), cut(drawn(16, 256)).tobytes()),
            "short": ("F32", (5, 200), drawn(5, 200).tobytes()),
            "conv": ("F32", (8, 4, 32), drawn(8, 4, 32).tobytes()),
            "empty": ("F32", (0, 128), b""),
            "odd": ("F8_E4M3", (4, 128), bytes(range(256)) * 2),
            "number": ("I64", (), (7).to_bytes(8, "little")),
            "wide": ("F64", (2, 2), bytes(32))}


@pytest.fixture
def file(tmp_path, tensors):
    path = tmp_path / "in.safetensors"
    write(path, tensors, {"format": "pt", "trit": "of an earlier projection"})
    return path


# A projected file is what `trit project` writes, to the last byte, in every encoding.
@pytest.mark.parametrize("encoding, words, options", [
    ("dense", [], {}),
    ("dense", ["--convolutions", "--partial", "exact"],
     {"convolutions": True, "partial_group": "exact"}),
    ("int8", ["--group-size", "64"], {"group_size": 64}),
    ("pq2_0", ["--exclude", "short"], {"exclude": "short"}),
    ("q2_0", ["--include", "blk.*", "--include", "x"], {"include": ["blk.*", "x"]}),
    ("ptq1_0", ["--exclude", "short"], {"exclude": ["short"]}),
    ("tq1_0", ["--exclude", "short", "--group-size", "256"],
     {"exclude": "short", "group_size": 256}),
    ("tq2_0", ["--include", "blk.*", "--exclude", "*.q", "--group-size", "256"],
     {"include": "blk.*", "exclude": "*.q", "group_size": 256}),
    ("hf_bitnet", ["--exclude", "short", "--convolutions"],
     {"exclude": "short", "convolutions": True}),
])
def test_a_file_is_projected_as_the_command_does(daemon, client, tmp_path, file, encoding, words,
                                                 options):
    theirs, ours = tmp_path / "theirs.safetensors", tmp_path / "ours.safetensors"
    done = command(daemon, "project", file, "-o", theirs, "--encoding", encoding, *words, "--json")
    assert done.returncode == 0, done.stderr
    made = client.checkpoint.project(file, ours, encoding=encoding, **options)
    assert read(ours) == read(theirs)
    assert ours.read_bytes() == theirs.read_bytes()
    told = {one["layer"]: one for one in json.loads(done.stdout)["layers"]}
    assert made.tensors is None and list(made.reports) == list(told)
    assert all(made.reports[name].digest == told[name]["digest"] for name in told)
    # Either verifies what the other wrote.
    assert command(daemon, "verify", ours, "--against", file).returncode == 0
    found = client.checkpoint.verify(theirs, against=file)
    assert found.passes and set(found.reports) == set(told)
    assert client.checkpoint.inspect(theirs).encoding == trit.Encoding[encoding.upper()]


# A state dict gives a state dict: the same values as the file's, the rest the very objects.
@pytest.mark.parametrize("encoding", ["dense", "int8", "pq2_0", "hf_bitnet"])
def test_a_state_dict_is_projected_like_a_file(client, tmp_path, random, encoding):
    state = {"a": random.standard_normal((8, 256)).astype(np.float32),
             "bias": np.arange(3.0), "b": random.standard_normal((4, 128)).astype(np.float16)}
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


# A file of transformers' bitnet has no record, and its scales in the model's type.
@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_bitnet_files_of_others_are_verified(daemon, client, tmp_path, random, dtype):
    w = random.standard_normal((8, 33)).astype(np.float32)
    packed = client.project(w, encoding="hf_bitnet")
    scale = packed.scales.astype(np.float16) if dtype == "F16" else \
        cut(packed.scales) if dtype == "BF16" else packed.scales
    path = tmp_path / "model.safetensors"
    write(path, {"q.weight": ("U8", (2, 33), packed.data.tobytes()),
                 "q.weight_scale": (dtype, (1,), scale.tobytes()),
                 "lm_head.weight": ("F32", (8, 33), w.tobytes())})
    found = client.checkpoint.verify(path, encoding="hf_bitnet")
    assert found.passes and list(found.reports) == ["q.weight"]
    assert found.reports["q.weight"].shape == w.shape
    assert found.reports["q.weight"].scale_mean == pytest.approx(packed.report.scale_mean, rel=0.01)
    assert command(daemon, "verify", path, "--encoding", "hf_bitnet").returncode == 0
    write(path, {"q.weight": ("U8", (2, 33), packed.data.tobytes()),
                 "q.weight_scale": ("F32", (2,), bytes(8))})
    with pytest.raises(trit.InvalidArgument, match="not one F32") as refused:
        client.checkpoint.verify(path, encoding="hf_bitnet")
    assert refused.value.field == "scales"


# torch's state dicts work, bfloat16 and strided ones too.
def test_torch_tensors_are_taken(client, tmp_path):
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    state = {"w": torch.randn(8, 256).bfloat16(), "t": torch.randn(256, 8).t(),
             "ids": torch.arange(4)}
    made = client.checkpoint.project(state)
    assert made.tensors["w"].dtype == torch.bfloat16 and made.tensors["ids"] is state["ids"]
    path = tmp_path / "out.safetensors"
    client.checkpoint.project(state, path)
    found, _ = read(path)
    assert found["w"] == ("BF16", (8, 256), made.tensors["w"].view(torch.int16).numpy().tobytes())
    assert found["t"] == ("F32", (8, 256), made.tensors["t"].numpy().tobytes())
    assert found["ids"] == ("I64", (4,), state["ids"].numpy().tobytes())


# mlx's too.
def test_mlx_arrays_are_taken(client):
    mx = pytest.importorskip("mlx.core")
    state = {"w": mx.random.normal((8, 256)).astype(mx.bfloat16), "n": mx.arange(3)}
    made = client.checkpoint.project(state, encoding="int8")
    assert made.tensors["w"].shape == (8, 256) and made.tensors["w"].dtype == mx.int8
    assert list(made.tensors) == ["w", "w.scales", "n"]


# Latents are no ternary file; a flipped weight is found; so are layers that are not there.
def test_verify_says_what_does_not_hold(client, tmp_path, file, tensors):
    write(file, tensors)
    found = client.checkpoint.verify(file)
    assert not found.passes and set(found.reports) == {"blk.0.q", "blk.0.k", "blk.0.v", "short"}
    assert client.checkpoint.verify(file, mode="latent").passes
    out = tmp_path / "out.safetensors"
    client.checkpoint.project(file, out)
    made, metadata = read(out)
    flat = np.frombuffer(made["blk.0.q"][2], np.float32).copy()
    flat[np.flatnonzero(flat)[5]] *= -1
    write(out, {**made, "blk.0.q": (*made["blk.0.q"][:2], flat.tobytes())}, metadata)
    assert client.checkpoint.verify(out).passes  # still ternary
    wrong = client.checkpoint.verify(out, against=file)
    assert not wrong.passes and wrong.reports["blk.0.q"].reference_mismatches == 1
    del made["blk.0.k"]
    write(out, made, metadata)
    assert client.checkpoint.verify(out).missing == ("blk.0.k",)
    other = tmp_path / "other.safetensors"
    write(other, {"blk.0.q": tensors["blk.0.v"]})
    assert client.checkpoint.verify(out, against=other, include="blk.0.q").missing == ("blk.0.q",)


# Reports are filed under the run and the tensors' names.
def test_reports_are_filed(client, tmp_path, file, run):
    made = client.checkpoint.project(file, tmp_path / "o", run=run, step=3, include="blk.*")
    client.checkpoint.verify(tmp_path / "o", against=file, run=run, step=4)
    filed = client.reports.list(run)
    assert [(one.layer, one.step) for one in filed] == \
        [(name, step) for name in sorted(made.reports) for step in (3, 4)]
    with pytest.raises(trit.InvalidArgument, match="step"):
        client.checkpoint.project(file, tmp_path / "o", step=3)


# The progress tells every byte of the file once; a bar gets its total.
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


# What fails leaves the output's name as it was and nothing beside it, and names the tensor.
def test_a_failure_leaves_nothing_behind(client, tmp_path, file, tensors):
    q = np.frombuffer(tensors["short"][2], np.float32).copy()
    q[7] = np.nan
    write(file, {**tensors, "short": ("F32", (5, 200), q.tobytes())})
    out = tmp_path / "out.safetensors"
    out.write_bytes(b"as it was")
    with pytest.raises(trit.InvalidArgument, match="short: .*7"):
        client.checkpoint.project(file, out)
    assert out.read_bytes() == b"as it was"
    assert sorted(tmp_path.iterdir()) == [file, out]


# A source that changes meanwhile is told, and its projection thrown away.
def test_a_source_that_changes_is_told(client, tmp_path, file):
    def touch(n):
        os.utime(file, ns=(0, 0))

    with pytest.raises(trit.Aborted, match="changed"):
        client.checkpoint.project(file, tmp_path / "o", progress=touch)
    assert list(tmp_path.iterdir()) == [file]


# The source may be the output.
def test_a_file_is_projected_in_place(client, tmp_path, file):
    client.checkpoint.project(file, tmp_path / "o")
    client.checkpoint.project(file, file)
    assert file.read_bytes() == (tmp_path / "o").read_bytes()


# What cannot be is refused before anything is written, naming the field.
@pytest.mark.parametrize("options, field, words", [
    (dict(encoding="pq2_0"), "encoding", "short: .*multiple of 128"),
    (dict(encoding="i2_s"), "encoding", "no form in a safetensors file"),
    (dict(encoding="hf_bitnet"), "encoding", "short: .*multiple of 4 rows.* 5"),
    (dict(encoding="hf_bitnet", group_size=128), "group_size", "one scale for the whole"),
    (dict(encoding="gold"), "encoding", "gold"),
    (dict(include="nobody"), "path", "no tensor of it is a layer"),
    (dict(group_size=-1, encoding="int8"), "group_size", "-1"),
])
def test_what_cannot_be_is_refused(client, tmp_path, file, options, field, words):
    with pytest.raises(trit.Error, match=words) as raised:
        client.checkpoint.project(file, tmp_path / "o", **options)
    assert raised.value.field == field
    assert list(tmp_path.iterdir()) == [file]


# Files that are none, and outputs that cannot be, are errors of their own.
def test_files_that_are_none(client, tmp_path, file):
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


# Without the package safetensors a file is refused in words, a state dict is taken.
def test_state_dicts_need_no_safetensors(client, file, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError, match="safetensors"):
        client.checkpoint.inspect(file)
    assert client.checkpoint.project({"w": np.ones((2, 128), np.float32)}).reports["w"].is_ternary


# inspect lists tensors and layers without a daemon.
def test_inspect_needs_no_daemon(file, tensors):
    write(file, tensors, {"format": "pt"})
    with trit.Client("127.0.0.1:1") as nobody:
        found = nobody.checkpoint.inspect(file, exclude="short")
    assert list(found.tensors) == list(tensors) and found.metadata == {"format": "pt"}
    assert found.layers == ("blk.0.q", "blk.0.k", "blk.0.v") and found.encoding is None
    assert found.tensors["odd"].dtype == "F8_E4M3" and found.tensors["odd"].shape == (4, 128)


# asyncio has the same.
def test_checkpoints_can_be_awaited(daemon, tmp_path, file):
    async def inside():
        async with trit.aio.Client(daemon.rpc, timeout=30) as client:
            made = await client.checkpoint.project(file, tmp_path / "o")
            assert set((await client.checkpoint.inspect(tmp_path / "o")).layers) == set(made.reports)
            assert (await client.checkpoint.verify(tmp_path / "o", against=file)).passes

    asyncio.run(asyncio.wait_for(inside(), 60))


# A task that is cancelled between or in calls leaves nothing behind.
def test_a_cancelled_projection_leaves_nothing(daemon, tmp_path, file):
    async def inside():
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def progress(n):
            loop.call_soon_threadsafe(begun.set)
            held.wait(30)

        held = threading.Event()
        async with trit.aio.Client(daemon.rpc, timeout=30) as client:
            task = asyncio.ensure_future(client.checkpoint.project(file, tmp_path / "o",
                                                                   progress=progress))
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
    client.checkpoint.project(sys.argv[3], sys.argv[4], encoding=sys.argv[5])
    client.checkpoint.verify(sys.argv[4], against=sys.argv[3])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


# Memory does not grow with the file: twelve layers take no more than one does, by far.
@pytest.mark.parametrize("encoding", ["dense", "pq2_0"])
def test_memory_does_not_grow_with_the_file(daemon, tmp_path, random, encoding):
    data = random.standard_normal((2048, 2048)).astype(np.float32).tobytes()
    small, large = tmp_path / "small", tmp_path / "large"
    write(small, {"0": ("F32", (2048, 2048), data)})
    write(large, {str(i): ("F32", (2048, 2048), data) for i in range(12)})
    done = subprocess.run([sys.executable, "-c", PEAK, daemon.rpc, small, large, tmp_path / "o",
                           encoding], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * 1024 < 3 * len(data), done.stdout
