# SPDX-License-Identifier: Apache-2.0
"""Memory that client and daemon share gives the results of memory that they do not."""

import gc
import math
import os

import numpy as np
import pytest

import trit
from daemon import Daemon

ROWS, COLUMNS = 640, 4096  # 10 MiB of f32, more than stream_bytes_min
SIZE = 4 * ROWS * COLUMNS


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("buffer")
    subject = Daemon(folder, "--listen", f"unix:{folder}/rpc", "--memory-buffers-max", "3")
    yield f"unix:{folder}/rpc"
    assert subject.stop() == 0, subject.log()


@pytest.fixture
def near(address):
    with trit.Client(address, timeout=600) as subject:
        yield subject


@pytest.fixture
def weights(random):
    return random.standard_normal((ROWS, COLUMNS)).astype(np.float32)


def same(found, expected):
    """Equal in every bit; None is equal to None."""
    if found is None or expected is None:
        return found is expected
    return found.dtype == expected.dtype and found.tobytes() == expected.tobytes()


# The result of a tensor in a buffer, with and without `out` in it, has the bits of one elsewhere.
@pytest.mark.parametrize("encoding", list(trit.Encoding))
def test_project_in_a_buffer(client, near, weights, encoding):
    made = {"encoding": encoding, "group_size": 256 if encoding.name[:2] == "TQ" else None}
    expected = client.project(weights, **made)
    buffer = near.buffer(2 * SIZE)
    assert buffer.shared and buffer.nbytes == 2 * SIZE
    latents = buffer.array(weights.shape)
    latents[:] = weights
    out = buffer.array(expected.data.nbytes, "uint8", SIZE)
    if encoding == trit.Encoding.DENSE:
        out = out.view(np.float32).reshape(weights.shape)
    for place in (None, out):
        found = near.project(latents, **made, out=place)
        assert same(found.data, expected.data) and same(found.scales, expected.scales)
        assert found.report.digest == expected.report.digest
        assert place is None or np.shares_memory(found.data, place)
        assert near.verify(found, reference=latents).verdict == "pass"
    assert (latents == weights).all()


# A result that overlaps its tensor in a buffer is refused, as elsewhere.
def test_overlap_in_a_buffer(near, weights):
    latents = near.buffer(SIZE).array(weights.shape)
    with pytest.raises(trit.InvalidArgument, match="out: overlaps"):
        near.project(latents, out=latents)


# A NaN in a buffer is refused with its first index, and other calls go on.
def test_nan_in_a_buffer(near, weights):
    buffer = near.buffer(2 * SIZE)
    latents, out = buffer.array(weights.shape), buffer.array(weights.shape, offset=SIZE)
    latents[:] = weights
    latents[-1, -1] = math.nan
    with pytest.raises(trit.InvalidArgument, match=f"{ROWS * COLUMNS - 1}"):
        near.project(latents, out=out)
    latents[-1, -1] = 0
    assert near.project(latents, out=out).data is out


# Forward reads a buffer, and writes y to one. Memory of the caller goes through shared memory of
# the library, or, with TRIT_SHARED_MEMORY=off, through the socket. The bits are the same.
@pytest.mark.parametrize("activations", list(trit.Activations))
def test_forward_in_a_buffer(near, address, weights, activations, monkeypatch):
    name = f"forward-{activations.name}"
    near.layers.load(name, weights[:500])
    monkeypatch.setenv("TRIT_SHARED_MEMORY", "off")
    with trit.Client(address, timeout=600) as far:
        expected = far.layers.forward(name, weights[:65], activations=activations)
    monkeypatch.delenv("TRIT_SHARED_MEMORY")
    buffer = near.buffer(SIZE)
    x = buffer.array((65, COLUMNS))
    x[:] = weights[:65]
    out = buffer.array(expected.shape, offset=x.nbytes)
    for array, place in (
        (weights[:65], None),
        (x, None),
        (x, out),
        (weights[:65], out),
        (x, np.empty_like(expected)),
    ):
        out[:] = 0
        y = near.layers.forward(name, array, activations=activations, out=place)
        assert same(y, expected) and (place is None or y is place)
    with pytest.raises(trit.InvalidArgument, match="out: overlaps"):
        near.layers.forward(name, x, out=x)
    for wrong in (out[:64], buffer.array((66, 500), offset=x.nbytes)):
        with pytest.raises(trit.InvalidArgument, match="out"):
            near.layers.forward(name, x, out=wrong)


# Another dtype, which would read the result's bits as other values, is refused.
@pytest.mark.parametrize(
    "dtype", ["float64", "float16", ">f4", ">i4", "c8", "M8[s]", "S4", "V4", "?", "bfloat16"]
)
def test_out_of_another_dtype(client, random, run, dtype):
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    x = random.standard_normal((4, 256)).astype(np.float32)
    client.layers.load(run, x)
    for call, count in (
        (client.project, x.size),
        (lambda x, out: client.layers.forward(run, x, out=out), 16),
    ):
        out = np.empty(4 * count, np.uint8)
        with pytest.raises(trit.InvalidArgument, match="out: is"):
            call(x, out=out.view(dtype))
        call(x, out=out)
        call(x, out=out.view(np.float32))


# Pack reads a buffer.
def test_pack_in_a_buffer(client, near, weights):
    dense = client.project(weights[:8]).data
    there = near.buffer(dense.nbytes).array(dense.shape)
    there[:] = dense
    made = {"encoding": "pq2_0", "allow_rounded_scales": True}
    assert same(near.pack(there, **made).data, client.pack(dense, **made).data)


# Beyond the daemon's limits, and over TCP, a buffer is ordinary memory with the same results.
def test_ordinary_memory(client, near, weights):
    kept = [near.buffer(1 << 20) for _ in range(3)]
    assert all(one.shared for one in kept)
    for subject in (near, client):
        buffer = subject.buffer(SIZE)
        assert not buffer.shared and "not shared" in repr(buffer)
        latents = buffer.array(weights.shape)
        latents[:] = weights
        assert same(subject.project(latents).data, client.project(weights).data)


# Memory lives as long as an array of it, also after the client; then another takes its place.
def test_lifetime(address, weights):
    with trit.Client(address, timeout=600) as subject:
        for _ in range(5):
            buffer = subject.buffer(SIZE)
            assert buffer.shared
            latents = buffer.array(weights.shape)
            del buffer
            latents[:] = weights
            assert subject.project(latents, report="none").data.shape == weights.shape
            kept = latents[1:]
            del latents
            gc.collect()
            assert same(kept, weights[1:])
            del kept
            gc.collect()
        late = subject.buffer(64)
    late.array(16)[:] = 1
    assert late.array(16).sum() == 16 and not late.shared


# Shapes beyond the buffer, and sizes that are none, are refused by name.
def test_arguments(near):
    buffer = near.buffer(64)
    assert buffer.array((), "float64").shape == ()
    assert buffer.array(np.int64(4)).shape == (4,) and buffer.array(0).shape == (0,)
    for shape in (None, 4.0, "4", (2.0,)):
        with pytest.raises(trit.InvalidType, match="shape: must be"):
            buffer.array(shape)
    for dtype in (object, "V0", [("a", "O")]):
        with pytest.raises(trit.InvalidArgument, match="dtype: .* is not a type of bytes"):
            buffer.array(1, dtype)
    for shape, offset, field in (((17,), 0, "shape"), ((1,), 61, "shape"), ((-1,), 0, "shape")):
        with pytest.raises(trit.InvalidArgument) as refused:
            buffer.array(shape, "float32", offset)
        assert refused.value.field == field
    for size in (0, -1, 2**63):
        with pytest.raises(trit.Error):
            near.buffer(size)
    with pytest.raises(TypeError):
        near.buffer("64")


# A tensor may have no elements, and lie anywhere in the buffer.
def test_tensors_of_any_size(near):
    pytest.importorskip("torch")
    buffer = near.buffer(64)
    assert buffer.tensor((0, 4)).shape == (0, 4) and buffer.tensor(4, offset=48).shape == (4,)
    with pytest.raises(trit.InvalidArgument, match="shape"):
        buffer.tensor(4, offset=52)


# After a restart of the daemon a buffer that it knew is known again at its first use.
def test_restart(tmp_path, weights):
    name = f"unix:{tmp_path}/rpc"
    daemon = Daemon(tmp_path, "--listen", name)
    with trit.Client(name, timeout=600) as subject:
        buffer = subject.buffer(2 * SIZE)
        latents, out = buffer.array(weights.shape), buffer.array(weights.shape, offset=SIZE)
        latents[:] = weights
        expected = subject.project(latents).data
        daemon.kill()
        os.unlink(tmp_path / "rpc")
        daemon = Daemon(tmp_path, "--listen", name)
        assert same(subject.project(latents, out=out).data, expected)
        assert buffer.shared
    assert daemon.stop() == 0


# Calls that end at their deadline while the daemon writes leave the memory to the next call.
def test_deadline(near, weights):
    buffer = near.buffer(2 * SIZE)
    latents, out = buffer.array(weights.shape), buffer.array(weights.shape, offset=SIZE)
    latents[:] = weights
    expected = near.project(latents).data
    for turn in range(20):
        try:
            near.project(latents, out=out, timeout=0.0005 * (turn + 1))
        except (trit.DeadlineExceeded, trit.ResourceExhausted):
            out[:] = 7
            assert (out == 7).all()
    assert same(near.project(latents, out=out).data, expected)
