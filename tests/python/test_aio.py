# SPDX-License-Identifier: Apache-2.0
"""trit.aio.Client has the same calls as the blocking client, and they do not block the
loop."""

import asyncio
import concurrent.futures
import contextlib
import inspect
import math
import socket
import threading
import time

import numpy as np
import pytest

import trit
import trit.aio
from trit._call import Call, Deadline, deadline_after, ends_at


def asynchronous(test):
    """Runs an async test with a client and a timeout."""

    def run(daemon, random):
        async def inside():
            async with trit.aio.Client(daemon.rpc, timeout=30) as client:
                await test(client, random)

        asyncio.run(asyncio.wait_for(inside(), 60))

    return run


@asynchronous
async def test_all_calls_can_be_awaited(client, random):
    w = random.standard_normal((16, 256)).astype(np.float32)
    made, same = await asyncio.gather(client.project(w), client.project(w))
    assert made.data.tobytes() == same.data.tobytes()
    assert (await client.verify(made)).is_ternary
    packed = await client.project(w, encoding="pq2_0", layer=("aio", "l", 1))
    assert (await client.unpack(packed)).shape == w.shape
    codes = await client.pack(packed, encoding="int8")
    assert (await client.pack(codes, encoding="pq2_0")).data.tobytes() == packed.data.tobytes()
    assert (await client.backward(w)).tobytes() == w.tobytes()
    assert await client.ping()
    assert (await client.reports.get("aio", "l")).step == 1
    assert len(await client.reports.list("aio")) == len(await client.reports.latest("aio")) == 1
    with pytest.raises(trit.InvalidArgument):
        await client.project(w.astype(np.int32))


# The asyncio client checks timeouts too, its own and those of each call.
@asynchronous
async def test_an_invalid_timeout_is_refused(client, random):
    w = np.ones((2, 128), np.float32)
    for timeout in ("5", math.nan, -1, True):
        for call in (
            lambda **options: client.ping(**options),
            lambda **options: client.project(w, **options),
            lambda **options: client.verify(w, **options),
            lambda **options: client.unpack(w, **options),
            lambda **options: client.backward(w, **options),
            lambda **options: client.reports.list(**options),
            lambda **options: client.layers.list(**options),
            lambda **options: client.layers.forward("x", w, **options),
            lambda **options: client.checkpoint.verify({"w": w}, **options),
        ):
            with pytest.raises(trit.InvalidArgument) as refused:
                await call(timeout=timeout)
            assert refused.value.field == "timeout"
        with pytest.raises(trit.InvalidArgument) as refused:
            trit.aio.Client("127.0.0.1:1", timeout=timeout)
        assert refused.value.field == "timeout"
    assert await client.ping(timeout=math.inf)


# ---- the loop is not blocked -----------------------------------------------------------


@contextlib.asynccontextmanager
async def relay(address):
    """A port whose bytes the running loop forwards to the daemon and back: a call that blocks
    the loop would wait forever."""
    host, port = address.rsplit(":", 1)

    async def pump(reader, writer):
        with contextlib.suppress(ConnectionError):
            while True:
                data = await reader.read(1 << 16)
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        writer.close()

    async def carry(reader, writer):
        reader_up, writer_up = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pump(reader, writer_up), pump(reader_up, writer))

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    try:
        yield "127.0.0.1:%d" % server.sockets[0].getsockname()[1]
    finally:
        server.close()


def methods(client):
    """The public methods of a client and of its parts, by path."""
    parts = {
        "": client,
        "reports.": client.reports,
        "layers.": client.layers,
        "checkpoint.": client.checkpoint,
        "checkpoints.": client.checkpoints,
    }
    return {
        prefix + name
        for prefix, part in parts.items()
        for name, _ in inspect.getmembers(type(part), inspect.iscoroutinefunction)
        if not name.startswith("_")
    }


# The loop that awaits each call also forwards its bytes, and those of the disconnection
# after it.
def test_no_call_blocks_the_loop(daemon, random, tmp_path):
    w = random.standard_normal((64, 256)).astype(np.float32)
    bar, path = [], str(tmp_path / "w.safetensors")

    def calls(client):
        layers, reports = client.layers, client.reports
        yield "ping", client.ping()
        yield "project", client.project(w, layer=("loop", "l", 1))
        yield "project", client.project(w, encoding="pq2_0", report="none", progress=bar.append)
        yield "buffer", client.buffer(64)
        yield "project_batch", client.project_batch([w, w[:3]])
        yield "verify", client.verify(w, mode="latent")
        yield "pack", client.pack(np.sign(w), encoding="pq2_0")
        yield "unpack", client.unpack(w)
        yield "backward", client.backward(w)
        yield "reports.get", reports.get("loop", "l")
        yield "reports.list", reports.list("loop")
        yield "reports.latest", reports.latest("loop")
        yield "reports.compare", reports.compare(("loop", "l", 1), ("loop", "l", 1))
        yield "reports.rewind", reports.rewind("loop", 1)
        yield "reports.fork", reports.fork("loop", 1, "loop fork")
        yield "reports.delete", reports.delete("loop fork")
        yield "layers.create", layers.create("loop/c", 256, 8)
        yield "layers.load", layers.load("loop/l", w, keep_latents=True)
        yield "layers.load", layers.load("loop/e", w, kind="embedding")
        yield "layers.forward", layers.forward("loop/l", w)
        yield "layers.forward_with_error", layers.forward_with_error("loop/l", w)
        yield "layers.backward", layers.backward("loop/l", w, w[:, :64])
        yield "layers.embed", layers.embed("loop/e", [1, 2])
        yield "layers.as_linear", layers.as_linear("loop/e", w)
        yield "layers.get", layers.get("loop/l", "latents")
        yield "layers.list", layers.list("loop/")
        yield "layers.verify", layers.verify("loop/")
        yield "layers.delete", layers.delete("loop/c")
        yield "checkpoint.plan", client.checkpoint.plan({"w": w})
        yield "checkpoint.project", client.checkpoint.project({"w": w})
        yield "checkpoint.verify", client.checkpoint.verify({"w": w}, mode="latent")
        yield "checkpoint.pack", client.checkpoint.pack({"w": np.sign(w)}, encoding="int8")
        yield "checkpoint.unpack", client.checkpoint.unpack({"w": w})
        yield "checkpoint.inspect", client.checkpoint.inspect(path)
        yield "checkpoint.attest", client.checkpoint.attest(path, path + ".json", force=True)
        jobs, name = client.checkpoints, "loop.safetensors"
        yield "checkpoints.inspect", finished(jobs.inspect(name))
        yield "checkpoints.plan", finished(jobs.plan(name))
        yield "checkpoints.verify", finished(jobs.verify(name))
        yield (
            "checkpoints.project",
            finished(jobs.project(name, "loop.gguf", encoding="pq2_0", force=True)),
        )
        gguf = "loop.gguf"
        yield "checkpoints.pack", finished(jobs.pack(gguf, "p.gguf", encoding="pq2_0", force=True))
        yield "checkpoints.unpack", finished(jobs.unpack(gguf, "u.safetensors", force=True))
        yield "checkpoints.diff", finished(jobs.diff(gguf, "p.gguf"))
        yield "checkpoints.jobs", jobs.jobs()
        yield "checkpoints.attach", again(jobs)
        yield "checkpoints.cancel", jobs.cancel(last.pop())
        yield "close", client.close()

    last = []

    async def finished(starting):
        job = await starting
        async with job:
            await job.result()
        await job.cancel()
        last[:] = [job.job]

    async def again(jobs):
        job = await jobs.attach(last[0])
        await job.result()
        await job.close()

    async def inside():
        async with relay(daemon.rpc) as address:
            with trit.Client(address) as blocking, pytest.raises(trit.DeadlineExceeded):
                blocking.ping(timeout=0.1)
            for stream_bytes_min in (0, 4096):  # as messages, as streams
                done = set()
                client = trit.aio.Client(address, timeout=30, stream_bytes_min=stream_bytes_min)
                for name, call in calls(client):
                    await call
                    done.add(name)
                assert done == methods(client)
                for name in ("loop/l", "loop/e"):
                    async with trit.aio.Client(address, timeout=30) as again:
                        await again.layers.delete(name)
        assert sum(bar) == 2 * w.nbytes

    save = pytest.importorskip("safetensors.numpy").save_file
    save({"w": w}, path)
    save({"w": w}, daemon.root / "loop.safetensors")
    asyncio.run(asyncio.wait_for(inside(), 120))


# ---- cancellation ----------------------------------------------------------------------


class Mute:
    """A peer that accepts connections and sends nothing."""

    def __init__(self, listener):
        self.listener = listener
        self.address = "127.0.0.1:%d" % listener.getsockname()[1]

    async def called(self):
        """Waits for a connection and returns it."""
        connection, _ = await asyncio.get_running_loop().sock_accept(self.listener)
        return connection


@pytest.fixture
def mute():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        yield Mute(listener)


# Cancelling the task cancels the call: it ends long before its deadline.
def test_cancelling_a_task_cancels_its_call(mute):
    async def inside():
        async with trit.aio.Client(mute.address) as client:
            task = asyncio.create_task(client.ping(timeout=60))
            with await mute.called():
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

    began = time.monotonic()
    asyncio.run(inside())
    assert time.monotonic() - began < 10


# A cancelled call that still waits for a thread is not made, and ends immediately.
def test_cancelling_a_task_that_waits_for_its_turn(mute):
    async def inside():
        async with trit.aio.Client(mute.address, threads=1) as client:
            first, second = (asyncio.create_task(client.ping(timeout=60)) for _ in range(2))
            with await mute.called():
                second.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await second
                assert not first.done()
                first.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await first

    began = time.monotonic()
    asyncio.run(inside())
    assert time.monotonic() - began < 10


def test_a_timeout_counts_while_a_call_waits_for_a_thread(daemon):
    """The client's own timeout too. The call that has the thread goes on."""
    release = threading.Event()

    async def inside():
        w = np.ones((2, 128), np.float32)
        async with trit.aio.Client(daemon.rpc, threads=1, timeout=0.05) as client:
            begun = asyncio.Event()
            loop = asyncio.get_running_loop()

            def hold(count):
                loop.call_soon_threadsafe(begun.set)
                release.wait()

            long = asyncio.create_task(client.project(w, timeout=math.inf, progress=hold))
            await begun.wait()
            for call in (client.ping(), client.project(w, timeout=0.02), client.layers.list()):
                with pytest.raises(trit.DeadlineExceeded, match="all threads of the client"):
                    await call
            release.set()
            assert (await long).data.shape == w.shape

    try:
        asyncio.run(asyncio.wait_for(inside(), 60))
    finally:
        release.set()


def test_a_call_has_the_time_that_waiting_left():
    """The first one of its thread; those after it have their own."""
    with ends_at(Deadline(time.monotonic() + 100, 200_000)):
        assert 0 < Call(200)._timeout_ms <= 100_000
        assert Call(200)._timeout_ms == 200_000
    with ends_at(Deadline(time.monotonic() - 1, 200_000)):
        assert Call(200)._timeout_ms == 1
    with ends_at(None):
        assert Call(None)._timeout_ms == 0
    assert deadline_after(None) is None and deadline_after(math.inf) is None
    assert deadline_after(3).timeout_ms == 3000


@asynchronous
async def test_watches_and_jobs_use_no_thread_of_the_loop(client, random):
    """More of them than the loop's executor has threads give reports, end and are cancelled."""
    loop, free = asyncio.get_running_loop(), threading.Event()
    executor = concurrent.futures.ThreadPoolExecutor(1)
    loop.set_default_executor(executor)
    executor.submit(free.wait)
    w = random.standard_normal((2, 128)).astype(np.float32)
    await client.project(w, layer=("aio-watch", "l", 1))
    seen = asyncio.Queue()

    async def watch():
        async for filed in client.reports.watch("aio-watch", cursor="0"):
            await seen.put(filed.report.step)

    try:
        tasks = [asyncio.create_task(watch()) for _ in range(3)]
        assert [await seen.get() for _ in tasks] == [1, 1, 1]
        await client.project(w, layer=("aio-watch", "l", 2))
        assert [await seen.get() for _ in tasks] == [2, 2, 2]
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ended)
    finally:
        free.set()


@asynchronous
async def test_a_closed_client_says_so(client, random):
    """As the blocking client does, whatever the call."""
    w = np.ones((2, 128), np.float32)
    await client.close()
    await client.close()
    calls = (
        client.ping,
        lambda: client.project(w),
        lambda: client.reports.get("r", "l"),
        lambda: client.layers.forward("l", w),
        lambda: client.checkpoint.project({"l": w}),
        lambda: client.checkpoints.verify("file"),
        client.checkpoints.jobs,
    )
    for call in calls:
        with pytest.raises(trit.FailedPrecondition, match="the client is closed"):
            await call()
