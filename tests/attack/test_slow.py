# SPDX-License-Identifier: Apache-2.0
"""Peers that are slow or silent, and crowds of them."""
import os
import resource
import time

import numpy as np
import pytest

import reference as ref
import wire
from tritd import cpu_seconds
from victim import Victim


def dribble(victim, connections, raw, limit):
    """Sends a byte at a time until the daemon has ended every connection."""
    at, deadline = 0, time.monotonic() + 30
    while time.monotonic() < deadline:
        connections = [one for one in connections if one.send(raw[at % len(raw):][:1])]
        at += 1
        if not connections:
            break
        time.sleep(0.05)  # the attack itself
    assert not connections, f"{len(connections)} are still served"
    assert victim.refusals(limit) > 0


def test_slow_preface(start):
    """A connection whose preface comes byte by byte ends at --handshake-ms."""
    with Victim(start, "--handshake-ms", 500) as victim:
        connections = [wire.Connection(victim.daemon, greet=False) for _ in range(50)]
        dribble(victim, connections, wire.PREFACE, "handshake_ms")


def test_slow_headers(start):
    """A connection on which the headers of a request come byte by byte ends at --handshake-ms."""
    with Victim(start, "--handshake-ms", 500) as victim:
        connections = [wire.Connection(victim.daemon) for _ in range(50)]
        dribble(victim, connections, wire.request(1) * 1000, "handshake_ms")


def test_slow_body(start):
    """A call whose message comes byte by byte ends, and is counted as too slow."""
    body = wire.message(ref.project_request(np.ones((32, 128))).SerializeToString())
    with Victim(start, "--rate-ms", 500) as victim:
        connections = [wire.Connection(victim.daemon) for _ in range(50)]
        for one in connections:
            one.send(wire.request(1))
        at, deadline = 0, time.monotonic() + 30
        while victim.refusals("rate_bytes") < 50 and time.monotonic() < deadline:
            for one in connections:
                one.send(wire.data(1, body[at:at + 1]))
            at += 1
            time.sleep(0.02)
        assert victim.refusals("rate_bytes") >= 50


def test_a_crowd_of_silent_connections(start):
    """With a limit of 1,000 connections, 20,000 silent sockets (or as many as this system gives)
    give way to others."""
    count = min(20_000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500)
    with Victim(start, "--connections-max", 1000) as victim:
        crowd = []
        for _ in range(count):
            try:
                crowd.append(wire.Connection(victim.daemon, greet=False))
            except OSError:
                break
        assert len(crowd) > 5000
        victim.wait(lambda: victim.metric("tritd_connections_yielded_total") +
                    victim.refusals("connections") > len(crowd) - 1500)
        assert victim.metric("tritd_connections") <= 1000
        for one in crowd:
            one.close()


def test_no_descriptors_are_left(start):
    """When accept finds no descriptor the daemon does not spin, and idle ones give way."""
    with Victim(start) as victim:
        pid = victim.daemon.process.pid
        used = len(os.listdir(f"/proc/{pid}/fd"))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 20, used + 20))
        crowd = [wire.Connection(victim.daemon) for _ in range(200)]
        begin, busy = time.monotonic(), cpu_seconds(pid)
        while victim.metric("tritd_connections_yielded_total") < 100:
            assert time.monotonic() - begin < 30
            time.sleep(0.05)
        spent = (cpu_seconds(pid) - busy) / (time.monotonic() - begin)
        assert spent < 0.9, f"{spent:.0%} of a processor"
        assert "accept_paused" in victim.daemon.log()
        for one in crowd:
            one.close()


@pytest.mark.skipif(bool(os.environ.get("TRIT_RUNNER")), reason="memory of the daemon alone")
def test_idle_connections_are_small(start):
    """10,000 idle connections take at most 32 KiB each."""
    count = min(10_000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500)
    own = start("--connections-max", 20_000, "--memory-max", "4G", durable=False)
    before = own.memory_kib("VmRSS")
    crowd = [wire.Connection(own) for _ in range(count)]
    crowd[-1].settle()
    each = (own.memory_kib("VmRSS") - before) / count
    print(f"\n{each:.1f} KiB a connection")
    assert each <= 32
    for one in crowd:
        one.close()
