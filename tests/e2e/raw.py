# SPDX-License-Identifier: Apache-2.0
"""A gRPC client that is made of frames (python-h2), for what stock clients cannot send."""
import socket
import struct

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from tritd import CALL_SECONDS

HEADERS = [(":method", "POST"), (":scheme", "http"), (":authority", "test"), ("te", "trailers"),
           ("content-type", "application/grpc")]


def message(data, flag=0):
    return struct.pack(">BI", flag, len(data)) + data


class Reply:
    def __init__(self):
        self.headers, self.data = {}, b""  # headers: with the trailers
        self.ended, self.reset = False, None

    @property
    def status(self):
        return self.headers.get("grpc-status")

    @property
    def done(self):
        return self.ended or self.reset is not None


class RawConnection:
    """Streams of one connection; `with` closes it."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), CALL_SECONDS)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            header_encoding="utf-8", validate_outbound_headers=False,
            normalize_outbound_headers=False))
        self.h2.initiate_connection()
        self.replies, self.pings, self.goaways, self.closed = {}, 0, [], False
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def raw(self, data):
        self.flush()
        self.socket.sendall(data)

    def headers(self, path, more=(), drop=(), end=False, replace=()):
        fields = [(name, dict(replace).get(name, value)) for name, value in
                  HEADERS[:2] + [(":path", path)] + HEADERS[2:] if name not in drop]
        stream = self.h2.get_next_available_stream_id()
        self.replies[stream] = Reply()
        self.h2.send_headers(stream, fields + list(more), end_stream=end)
        self.flush()
        return stream

    def send(self, stream, data, end=False):
        """Waits for window where there is too little, until the stream is done."""
        at = 0
        while not self.replies[stream].done:
            count = min(self.h2.local_flow_control_window(stream),
                        self.h2.max_outbound_frame_size, len(data) - at)
            if count > 0 or at == len(data):
                last = at + count == len(data)
                self.h2.send_data(stream, data[at:at + count], end_stream=end and last)
                self.flush()
                at += count
                if last:
                    return
            else:
                self.read()

    def call(self, path, data, more=(), flag=0):
        stream = self.headers(path, more)
        self.send(stream, message(data, flag), end=True)
        return self.wait(stream)

    def read(self):
        """Takes what comes next; returns its events."""
        data = self.socket.recv(65536)
        if not data:
            self.closed = True
            return []
        try:
            events = self.h2.receive_data(data)
        except h2.exceptions.ProtocolError:
            self.closed = True
            return []
        for event in events:
            self.take(event)
        self.flush()
        return events

    def take(self, event):
        reply = self.replies.get(getattr(event, "stream_id", None))
        if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
            reply.headers.update(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            reply.data += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            reply.ended = True
        elif isinstance(event, h2.events.StreamReset):
            reply.reset = int(event.error_code)
        elif isinstance(event, h2.events.PingAckReceived):
            self.pings += 1
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaways.append((event.last_stream_id, int(event.error_code)))

    def until(self, condition):
        while not condition():
            assert not self.closed, "the connection was closed"
            self.read()

    def wait(self, stream):
        reply = self.replies[stream]
        self.until(lambda: reply.done)
        return reply
