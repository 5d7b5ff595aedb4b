# SPDX-License-Identifier: Apache-2.0
"""The stream of events that keeps pages up to date, and its bounds."""
import http.client
import socket
import time

import pytest

import reference as ref
from test_http import curl, metrics
from tritd import CALL_SECONDS, tensor_pb2


class Stream:
    """One stream of events, read line by line."""

    def __init__(self, daemon):
        host, port = daemon.http.rsplit(":", 1)
        self.connection = http.client.HTTPConnection(host, int(port), timeout=CALL_SECONDS)
        self.connection.request("GET", "/v1/events")
        self.reply = self.connection.getresponse()
        self.status = self.reply.status

    def line(self):
        return self.reply.readline().decode()

    def event(self):
        """The next event's fields; comments are skipped."""
        fields = {}
        while True:
            line = self.line()
            assert line, "the stream ended"
            if line == "\n" and fields:
                return fields
            name, _, value = line.rstrip("\n").partition(":")
            if name:
                fields[name] = value.strip()

    def close(self):
        self.reply.close()
        self.connection.close()


def file(daemon, random, run, step):
    daemon.ternary.Project(ref.project_request(
        random.standard_normal((2, 128)),
        layer=tensor_pb2.LayerRef(run=run, layer="l", step=step)), timeout=CALL_SECONDS)


def wait(condition):
    deadline = time.monotonic() + CALL_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_event_tells_that_reports_were_filed(start, random, run):
    daemon = start()
    stream = Stream(daemon)
    assert stream.status == 200
    assert stream.reply.headers["Content-Type"] == "text/event-stream"
    assert "script-src 'self'" in stream.reply.headers["Content-Security-Policy"]
    assert stream.event() == {"retry": "3000"}
    ids = []
    for step in (1, 2):
        file(daemon, random, run, step)
        found = stream.event()
        assert found["event"] == "reports" and found["data"] == "{}"
        ids.append(int(found["id"]))
    assert ids[0] < ids[1]
    stream.close()
    assert daemon.stop() == 0, daemon.log()


def test_an_open_stream_does_not_delay_the_end(start):
    daemon = start()
    stream = Stream(daemon)
    assert daemon.stop() == 0, daemon.log()
    stream.close()


def test_streams_are_bounded_and_the_rest_is_served(start):
    """One connection in four may be a stream; a client that goes gives its place back."""
    daemon = start("--http-connections-max", 16, "--http-connections-per-address", 16)
    streams = [Stream(daemon) for _ in range(5)]
    assert [stream.status for stream in streams] == [200] * 4 + [503]
    assert b"too many streams" in streams[4].reply.read()
    assert curl(daemon, "/livez")[0] == 200
    assert curl(daemon, "/")[0] == 200
    assert metrics(daemon)['tritd_limit_refusals_total{limit="http_streams"}'] == 1
    streams[0].close()

    def free():
        stream = Stream(daemon)
        stream.close()
        return stream.status == 200
    wait(free)
    for stream in streams:
        stream.close()


def test_streams_of_one_address_are_bounded(start):
    daemon = start("--http-connections-per-address", 8)
    streams = [Stream(daemon) for _ in range(3)]
    assert [stream.status for stream in streams] == [200, 200, 503]
    for stream in streams:
        stream.close()


def test_a_stream_holds_no_place_of_a_request(start):
    """Streams and silent clients on all connections: a request is answered."""
    daemon = start("--http-connections-max", 4, "--http-connections-per-address", 4)
    stream = Stream(daemon)
    host, port = daemon.http.rsplit(":", 1)
    silent = [socket.create_connection((host, int(port)), timeout=CALL_SECONDS)
              for _ in range(3)]
    for _ in range(4):
        assert curl(daemon, "/v1/runs")[0] == 200
    for one in silent:
        one.close()
    stream.close()


def test_head_of_events_has_no_body(daemon):
    status, kind, _ = curl(daemon, "/v1/events", "-I")
    assert status == 200 and kind.startswith("text/event-stream")


def test_a_stream_takes_no_parameters(daemon):
    assert curl(daemon, "/v1/events?run=x")[0] == 400


@pytest.mark.parametrize("path", ["/v1/events", "/live.js"])
def test_a_page_gets_what_its_script_asks_for(daemon, path):
    """Both are served to the page's own origin, without CORS for others."""
    stream = Stream(daemon)
    assert stream.reply.headers["Access-Control-Allow-Origin"] is None
    stream.close()
    assert "EventSource(\"/v1/events\")" in curl(daemon, "/live.js")[2] or path == "/v1/events"
