# SPDX-License-Identifier: Apache-2.0
"""Attacks on TLS: in the handshake, and in a session that is open."""
import os
import ssl
import subprocess
import threading
import time

import pytest

import wire
from certificates import channel, tls_words
from test_slow import dribble
from tritd import CALL_SECONDS
from victim import Victim


def client_context(authority):
    context = ssl.create_default_context(cafile=authority.path)
    context.set_alpn_protocols(["h2"])
    return context


def hello(authority):
    """The first flight of a client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = client_context(authority).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


@pytest.fixture
def victim(start, authority, server):
    def victim(*words):
        return Victim(start, *tls_words(server), "--http-tls", "off", *words,
                      connect=lambda own: channel(own, authority))
    return victim


def raw(one):
    """A connection that has sent nothing yet."""
    return wire.Connection(one.daemon, greet=False)


def test_slow_handshake(victim, authority):
    """A connection whose TLS handshake comes byte by byte ends at --handshake-ms."""
    with victim("--handshake-ms", 500) as one:
        dribble(one, [raw(one) for _ in range(50)], hello(authority), "handshake_ms")


def test_a_handshake_that_stops(victim, authority):
    """500 clients that send only the first part of a handshake are closed at --handshake-ms."""
    first = hello(authority)
    with victim("--handshake-ms", 500) as one:
        crowd = [raw(one) for _ in range(500)]
        for other in crowd:
            other.send(first)
        one.wait(lambda: one.metric("tritd_connections") <= 2)


@pytest.mark.parametrize("record", [
    b"\x16\x03\x01\xff\xff", b"\x16\x03\x01\x40\x00\x01\xff\xff\xff",
    b"\x16\x03\x01\x00\x00", b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
    b"\x17\x03\x03\x40\x00", b"\x16\x03\x01\x00\x01\x01" * 1000],
    ids=["65535", "message of 16 MiB", "empty", "whole record, message of 16 MiB",
         "data before the handshake", "message in records of a byte"])
def test_lying_lengths(victim, record):
    """Lengths of records and of handshake messages hold no memory before the bytes come."""
    with victim("--handshake-ms", 1000) as one:
        crowd = [raw(one) for _ in range(300)]
        for other in crowd:
            other.offer(record, 1)
        one.wait(lambda: one.metric("tritd_connections") <= 2)


def test_a_handshake_without_end(victim):
    """A handshake with more bytes than its bound is closed."""
    with victim() as one:
        part = b"\x16\x03\x01\x40\x00" + b"\x01\x00\xff\xff" + bytes(16384 - 4)
        more = b"\x16\x03\x01\x40\x00" + bytes(16384)
        for _ in range(20):
            raw(one).offer(part + more * 7, 5)
        one.wait(lambda: one.metric("tritd_connections") <= 2)


def command_flood(one, authority, letter, *words):
    """openssl s_client sends this command, again and again, until the daemon closes."""
    client = subprocess.Popen(
        ["openssl", "s_client", "-connect", one.daemon.rpc, "-CAfile", authority.path, "-alpn",
         "h2", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = []
    reader = threading.Thread(target=lambda: said.append(client.stdout.read()))
    reader.start()
    try:
        deadline = time.monotonic() + CALL_SECONDS
        while client.poll() is None and time.monotonic() < deadline:
            os.write(client.stdin.fileno(), letter + b"\n")
            time.sleep(0.01)  # a command is what one read of s_client gives
    except BrokenPipeError:
        pass
    finally:
        client.kill()
        client.wait()
        reader.join()
    return said[0].decode(errors="replace")


def test_key_updates(victim, authority):
    """A session that asks for new keys again and again is closed."""
    with victim() as one:
        said = command_flood(one, authority, b"K", "-tls1_3")
        assert "KEYUPDATE" in said, said[-2000:]
        one.wait(lambda: "tls_failed" in one.daemon.log())


def test_renegotiation(victim, authority):
    """TLS 1.2: a renegotiation is refused."""
    with victim() as one:
        said = command_flood(one, authority, b"R", "-tls1_2")
        assert "RENEGOTIATING" in said, said[-2000:]
        one.wait(lambda: "renegotiation" in one.daemon.log())


@pytest.mark.skipif(bool(os.environ.get("TRIT_RUNNER")), reason="memory of the daemon alone")
def test_idle_connections_are_small(start, authority, server):
    """1,000 idle connections over TLS take at most 128 KiB each."""
    own = start(*tls_words(server), "--connections-max", 2000, "--memory-max", "1G",
                durable=False)
    context = client_context(authority)
    before, crowd = own.memory_kib("VmRSS"), []
    for _ in range(1000):
        one = wire.Connection(own, greet=False)
        one.socket = context.wrap_socket(one.socket, server_hostname="localhost")
        one.send(wire.PREFACE + wire.settings())
        crowd.append(one)
    crowd[-1].frames(CALL_SECONDS, lambda f: f[0] == wire.SETTINGS)
    each = (own.memory_kib("VmRSS") - before) / len(crowd)
    print(f"\n{each:.1f} KiB a connection")
    assert each <= 128
    for one in crowd:
        one.close()
