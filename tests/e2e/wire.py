# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 and gRPC by hand, so that a test can send what no client would."""
import select
import socket
import struct
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
(DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE,
 CONTINUATION) = range(10)
END_STREAM = ACK = 1
END_HEADERS = 4
INITIAL_WINDOW_SIZE = 4
ENHANCE_YOUR_CALM = 11
PROJECT = "/trit.v1.Ternary/Project"
PROJECT_STREAM = "/trit.v1.Ternary/ProjectStream"
CHECK = "/grpc.health.v1.Health/Check"


def frame(kind, stream, payload=b"", flags=0):
    return (struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) +
            struct.pack(">I", stream) + payload)


def _text(value):
    """A string literal of HPACK, not Huffman-coded."""
    raw = value.encode() if isinstance(value, str) else value
    length = len(raw)
    if length < 127:
        return bytes((length,)) + raw
    head, length = b"\x7f", length - 127
    while length >= 128:
        head += bytes((length % 128 + 128,))
        length //= 128
    return head + bytes((length,)) + raw


def literal(name, value, indexed=False):
    """A field that the decoder does not keep, or keeps."""
    return (b"\x40" if indexed else b"\x00") + _text(name) + _text(value)


def fields(path=PROJECT, *more, method="POST"):
    named = [(":method", method), (":scheme", "http"), (":path", path),
             (":authority", "localhost"), ("te", "trailers"),
             ("content-type", "application/grpc"), *more]
    return b"".join(literal(name, value) for name, value in named)


def request(stream, path=PROJECT, *more, end=False):
    return frame(HEADERS, stream, fields(path, *more), END_HEADERS | (END_STREAM if end else 0))


def window_update(stream, bytes_more):
    return frame(WINDOW_UPDATE, stream, struct.pack(">I", bytes_more))


def settings(*pairs):
    return frame(SETTINGS, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def message(payload):
    """A gRPC message with its prefix."""
    return b"\0" + struct.pack(">I", len(payload)) + payload


def data(stream, payload, end=False):
    return frame(DATA, stream, payload, END_STREAM if end else 0)


def _ready(sock, seconds, writing=False):
    """Whether it can be read, and written, within the time. Any descriptor will do."""
    poll = select.poll()
    poll.register(sock, select.POLLIN | (select.POLLOUT if writing else 0))
    found = poll.poll(max(0, seconds) * 1000)
    events = found[0][1] if found else 0
    return bool(events & ~select.POLLOUT), bool(events & select.POLLOUT)


class Connection:
    """A socket that speaks HTTP/2 as told. It reads only when told."""

    def __init__(self, daemon, greet=True, pairs=(), bound=None):
        host, port = daemon.rpc.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=30,
                                               source_address=bound)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        if greet:
            self.send(PREFACE + settings(*pairs))

    def settle(self):
        """Waits for the daemon's SETTINGS and acknowledges them: its windows are open."""
        self.frames(20, lambda f: f[0] == SETTINGS and not f[1] & ACK)
        self.send(frame(SETTINGS, 0, b"", ACK))
        return self

    def send(self, raw):
        """False: the daemon has closed the connection."""
        try:
            self.socket.sendall(raw)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def offer(self, raw, seconds=20):
        """Sends and discards what comes meanwhile, so that neither side blocks. False: the
        daemon has closed the connection."""
        view, deadline = memoryview(raw), time.monotonic() + seconds
        self.socket.setblocking(False)
        try:
            while view and time.monotonic() < deadline:
                readable, writable = _ready(self.socket, 1, True)
                if readable:
                    got = self.socket.recv(1 << 16)
                    if not got:
                        return False
                    self.received = (self.received + got)[-(1 << 20):]
                if writable:
                    view = view[self.socket.send(view):]
            return not view
        except (BrokenPipeError, ConnectionResetError):
            return False
        finally:
            self.socket.setblocking(True)

    def frames(self, seconds=10, until=lambda frame: False):
        """The frames that come until one fits, the connection ends, or time is over."""
        found, deadline = [], time.monotonic() + seconds
        while True:
            while len(self.received) >= 9:
                length = int.from_bytes(self.received[:3], "big")
                if len(self.received) < 9 + length:
                    break
                kind, flags = self.received[3], self.received[4]
                stream = int.from_bytes(self.received[5:9], "big")
                one = (kind, flags, stream, self.received[9:9 + length])
                self.received = self.received[9 + length:]
                found.append(one)
                if until(one):
                    return found
            left = deadline - time.monotonic()
            if left <= 0 or not _ready(self.socket, left)[0]:
                return found
            try:
                got = self.socket.recv(1 << 16)
            except ConnectionResetError:
                return found
            if not got:
                return found
            self.received += got

    def ended(self, seconds=10):
        """Whether the daemon ends the connection; reads what comes before."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not _ready(self.socket, left)[0]:
                return False
            try:
                got = self.socket.recv(1 << 16)
            except ConnectionResetError:
                return True
            if not got:
                return True
            self.received = (self.received + got)[-(1 << 20):]

    def goaway_code(self, seconds=10):
        """The code of the GOAWAY that ends the connection; None: it ended without."""
        for kind, _, _, payload in reversed(self.frames(seconds, lambda f: f[0] == GOAWAY)):
            if kind == GOAWAY:
                return int.from_bytes(payload[4:8], "big")
        return None

    def close(self):
        self.socket.close()
