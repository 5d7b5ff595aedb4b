# SPDX-License-Identifier: Apache-2.0
"""Floods of frames: the connection ends with ENHANCE_YOUR_CALM, and is counted."""
import struct

import pytest

import wire
from victim import Victim

CONTROL_BURST = 10_000  # METER_BURST of server/h2/meter.h


def flood(victim, connection, raw, times, limit="http2_floods"):
    """Sends until the daemon ends the connection; the metric counts it."""
    before = victim.refusals(limit)
    connection.offer(raw * times)
    victim.wait(lambda: victim.refusals(limit) == before + 1)
    connection.close()


def test_rapid_reset(start):
    """A client that resets 100,000 requests right after sending them is cut off, on every
    connection."""
    with Victim(start) as victim:
        sent = connections = 0
        while sent < 100_000:
            one = wire.Connection(victim.daemon)
            batch = b"".join(
                wire.request(2 * i + 1) + wire.frame(wire.RST_STREAM, 2 * i + 1,
                                                     struct.pack(">I", 8))
                for i in range(5000))
            one.offer(batch)
            one.close()
            sent += 5000
            connections += 1
        victim.wait(lambda: victim.refusals("http2_floods") > 0)


def test_resets_that_the_daemon_is_made_to_send(start):
    """Streams that the peer makes the daemon reset, by window updates of 0, count like streams
    that it resets itself."""
    with Victim(start) as victim:
        one = wire.Connection(victim.daemon)
        batch = b"".join(wire.request(2 * i + 1) + wire.window_update(2 * i + 1, 0)
                         for i in range(20_000))
        one.offer(batch)
        victim.wait(lambda: victim.refusals("http2_floods") > 0)


def test_continuation_flood(start):
    """A header block that goes on in ever more CONTINUATION frames ends its connection."""
    with Victim(start) as victim:
        one = wire.Connection(victim.daemon)
        one.offer(wire.frame(wire.HEADERS, 1, wire.fields()))
        flood_of = wire.frame(wire.CONTINUATION, 1, wire.literal("x", "y") * 100)
        one.offer(flood_of * 10_000)
        victim.wait(lambda: victim.metric("tritd_connections_failed_total") > 0)


def test_hpack_bomb(start):
    """16,000 bytes that each name a field of 4 KiB end their connection."""
    with Victim(start) as victim:
        one = wire.Connection(victim.daemon)
        block = wire.fields() + wire.literal("x", "v" * 3900, indexed=True) + b"\xbe" * 16000
        one.offer(wire.frame(wire.HEADERS, 1, block[:16000]) +
                  wire.frame(wire.CONTINUATION, 1, block[16000:], wire.END_HEADERS))
        victim.wait(lambda: victim.refusals("http2_floods") > 0)


def test_hpack_bombs_of_few_fields(start):
    """A few hundred fields that would decode to megabytes end their connection before they are
    decoded."""
    with Victim(start) as victim:
        connections = [wire.Connection(victim.daemon, pairs=[(4, 0)]) for _ in range(10)]
        for one in connections:
            one.offer(wire.frame(wire.HEADERS, 1, wire.fields() + wire.literal(
                "x", "v" * 3900, indexed=True) + b"\xbe" * 500, wire.END_HEADERS))
        victim.wait(lambda: victim.refusals("http2_floods") == 10)


def test_hpack_bombs_below_the_hard_limit(start):
    """Streams whose fields decode to more than the limit are refused, and hold no memory for them."""
    with Victim(start) as victim:
        connections = [wire.Connection(victim.daemon, pairs=[(4, 0)]) for _ in range(10)]
        for one in connections:
            one.offer(wire.frame(wire.HEADERS, 1, wire.fields() + wire.literal(
                "x", "v" * 3900, indexed=True) + b"\xbe" * 60, wire.END_HEADERS))
            one.offer(b"".join(wire.frame(wire.HEADERS, 2 * i + 1, wire.fields() +
                                          b"\xbe" * 60, wire.END_HEADERS)
                               for i in range(1, 100)))
        victim.wait(lambda: victim.refusals("header_bytes") > 500)


@pytest.mark.parametrize("kind, payload", [
    (wire.PING, bytes(8)),
    (wire.SETTINGS, struct.pack(">HI", 4, 65535)),
    (wire.PRIORITY, struct.pack(">IB", 0, 1)),
    (wire.WINDOW_UPDATE, struct.pack(">I", 1))],
                         ids=["ping", "settings", "priority", "window_update"])
def test_control_frames(start, kind, payload):
    """A flood of control frames with nothing useful between them ends its connection."""
    with Victim(start) as victim:
        one = wire.Connection(victim.daemon)
        stream = 3 if kind == wire.PRIORITY else 0
        flood(victim, one, wire.frame(kind, stream, payload), 10 * CONTROL_BURST)


def test_empty_data(start):
    """A flood of DATA frames without a byte ends its connection."""
    with Victim(start) as victim:
        one = wire.Connection(victim.daemon)
        one.offer(wire.request(1))
        flood(victim, one, wire.data(1, b""), 10 * CONTROL_BURST)


def test_unread_answers(start):
    """A peer that provokes answers and never reads holds no more than its share."""
    with Victim(start) as victim:
        connections = [wire.Connection(victim.daemon) for _ in range(20)]
        for one in connections:
            one.socket.setblocking(False)
            try:
                one.socket.send(wire.frame(wire.PING, 0, bytes(8)) * 9000)
            except BlockingIOError:
                pass
