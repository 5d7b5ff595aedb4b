"""trit.aio.Client: what the blocking one gives, without blocking the loop."""
import asyncio
import socket
import time

import numpy as np
import pytest

import trit
import trit.aio


def asynchronous(test):
    """Runs an async test with a client and a deadline."""
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
    assert (await client.backward(w)).tobytes() == w.tobytes()
    assert await client.ping()
    assert (await client.reports.get("aio", "l")).step == 1
    assert len(await client.reports.list("aio")) == len(await client.reports.latest("aio")) == 1
    with pytest.raises(trit.InvalidArgument):
        await client.project(w.astype(np.int32))


@asynchronous
async def test_the_loop_runs_on_during_a_call(client, random):
    w = random.standard_normal((4096, 2048)).astype(np.float32)
    longest, running = 0.0, True

    async def beat():
        nonlocal longest
        while running:
            began = time.monotonic()
            await asyncio.sleep(0.001)
            longest = max(longest, time.monotonic() - began)

    beating = asyncio.create_task(beat())
    began = time.monotonic()
    await client.project(w)
    took, running = time.monotonic() - began, False
    await beating
    assert longest < max(0.25, took / 2)


# Cancelling the task cancels the call: it ends long before its deadline.
def test_cancelling_a_task_cancels_its_call():
    async def inside(address):
        async with trit.aio.Client(address) as client:
            task = asyncio.create_task(client.ping(timeout=60))
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        began = time.monotonic()
        asyncio.run(inside("127.0.0.1:%d" % listener.getsockname()[1]))
        assert time.monotonic() - began < 10
