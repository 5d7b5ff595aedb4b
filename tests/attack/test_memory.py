# SPDX-License-Identifier: Apache-2.0
"""Peers that make the daemon hold memory: headers, small fields, tensors, replies."""
import struct
import time

import numpy as np
import pytest

import reference as ref
import wire
from tritd import tensor_pb2, ternary_pb2
from victim import MIB, Victim


def gone(victim, seconds=20):
    """The attackers' connections are closed and what they held is free."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (victim.metric("tritd_connections") <= 2 and
                victim.metric("tritd_memory_budget_used_bytes") < 8 * MIB):
            return
    raise AssertionError("the memory is not free")


def test_headers_alone(start):
    """4,000 connections of 128 requests that consist of headers are refused memory, and give back
    what they got when they close."""
    with Victim(start) as victim:
        connections = []
        for _ in range(4000):
            one = wire.Connection(victim.daemon)
            one.send(b"".join(wire.request(2 * i + 1) for i in range(128)))
            connections.append(one)
        assert victim.refusals("memory_bytes") > 0
        for one in connections:
            one.close()
        gone(victim)


def test_small_fields(start):
    """500 connections of 128 calls with 14 KiB of small fields in an unfinished message are
    refused memory, and give back what they got when they close."""
    layer = tensor_pb2.LayerRef(run="r" * 7000, layer="l" * 7000)
    body = wire.message(ternary_pb2.ProjectRequest(
        layer=layer, tensor=tensor_pb2.Tensor(dtype=ref.F32, shape=[64, 128],
                                              data=bytes(64 * 512))).SerializeToString())
    with Victim(start) as victim:
        connections = []
        for _ in range(500):
            one = wire.Connection(victim.daemon)
            one.send(b"".join(wire.request(2 * i + 1) + wire.data(2 * i + 1, body[:14000])
                              for i in range(128)))
            connections.append(one)
        assert victim.refusals("memory_bytes") > 0
        for one in connections:
            one.close()
        gone(victim)


def test_tensors_that_never_end(start):
    """Uploads that stop in the middle of a tensor are refused memory, and give back what they got
    when their connections close."""
    tensor = np.ones((1 << 13, 128), np.float32)  # 4 MiB
    body = wire.message(ref.project_request(tensor).SerializeToString())[:2 * MIB]
    frames = [body[at:at + 16384] for at in range(0, len(body), 16384)]
    with Victim(start) as victim:
        connections = [wire.Connection(victim.daemon).settle() for _ in range(40)]
        for one in connections:
            one.offer(b"".join(wire.request(2 * i + 1) for i in range(8)))
            one.offer(b"".join(wire.data(1, part) for part in frames))
            one.offer(b"".join(wire.data(3, part) for part in frames))
        assert victim.refusals("memory_bytes") > 0
        for one in connections:
            one.close()
        gone(victim)


def test_one_byte_windows(start):
    """Replies that their peers take byte by byte are cut off, and their memory is free."""
    tensor = np.ones((1 << 12, 128), np.float32)  # 2 MiB
    body = wire.message(ref.project_request(tensor).SerializeToString())
    frames = [body[at:at + 16384] for at in range(0, len(body), 16384)]
    with Victim(start, "--rate-ms", 500) as victim:
        connections = [wire.Connection(victim.daemon, pairs=[(4, 1)]).settle()
                       for _ in range(30)]
        for one in connections:
            one.offer(wire.request(1) + b"".join(
                wire.data(1, part, part is frames[-1]) for part in frames))
        deadline = time.monotonic() + 20
        while victim.refusals("rate_bytes") == 0 and time.monotonic() < deadline:
            for one in connections:
                one.offer(wire.window_update(1, 1), 1)
        assert victim.refusals("rate_bytes") > 0
        for one in connections:
            one.close()
        gone(victim)


@pytest.mark.parametrize("length", [1, 1 << 20, (256 << 20) - 1, (256 << 20) + 1,
                                    (1 << 31) - 1, (1 << 32) - 1])
def test_lying_message_lengths(start, length):
    """A message that declares a length holds no memory for it before the bytes come."""
    with Victim(start) as victim:
        one = wire.Connection(victim.daemon)
        for i in range(100):
            one.offer(wire.request(2 * i + 1) +
                      wire.data(2 * i + 1, b"\0" + struct.pack(">I", length) + b"\x0a"))
        if length > 256 << 20:
            assert victim.refusals("message_bytes") > 0


@pytest.mark.parametrize("field", [b"\x1a", b"\x0a", b"\x12", b"\x7a"],
                         ids=["tensor", "options", "layer", "unknown"])
def test_lying_field_lengths(start, field):
    """A protobuf length beyond its message, or beyond 64 bits, disturbs no other client."""
    with Victim(start) as victim:
        one = wire.Connection(victim.daemon)
        stream = 1
        for lie in (b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", b"\xff\xff\x7f"):
            for _ in range(20):
                one.offer(wire.request(stream) +
                          wire.data(stream, wire.message(field + lie + bytes(20))))
                stream += 2
