# SPDX-License-Identifier: Apache-2.0
"""Rules of gRPC over HTTP/2 that stock clients do not show, by a client made of frames."""
import numpy as np
import pytest

import reference as ref
from raw import RawConnection, message
from test_http import metrics

PROJECT = "/trit.v1.Ternary/Project"
SMALL = ref.project_request(np.ones((1, 128), np.float32)).SerializeToString()


@pytest.fixture
def raw(daemon):
    with RawConnection(daemon.rpc) as connection:
        yield connection


def test_a_refused_upload_is_stopped(raw):
    """Trailers come first, then RST_STREAM(NO_ERROR); the connection serves on."""
    stream = raw.headers("/trit.v1.Ternary/None")
    raw.send(stream, message(bytes(100_000)))
    reply = raw.replies[stream]
    raw.until(lambda: reply.reset is not None)
    assert reply.ended and reply.status == "12" and reply.reset == 0
    assert raw.call(PROJECT, SMALL).status == "0"


def test_pings_are_answered_without_calls_too(raw):
    """Clients with a short keepalive are no flood."""
    for turn in range(200):
        raw.h2.ping(turn.to_bytes(8, "big"))
        raw.flush()
    raw.until(lambda: raw.pings == 200)
    assert raw.call(PROJECT, SMALL).status == "0" and not raw.goaways


@pytest.mark.parametrize("verb, kind, status", [
    ("GET", "application/grpc", "405"), ("POST", "application/json", "415"),
    ("POST", "application/grpc-web", "415"), ("POST", "application/grpcx", "415"),
    ("POST", "application/grpc+json", "415"), ("POST", "application/grpc+protox", "415"),
    ("HEAD", "application/grpc", "405")])
def test_what_is_not_grpc_gets_an_http_status(raw, verb, kind, status):
    """A request that is not gRPC gets an HTTP status and a sentence, which curl shows."""
    stream = raw.headers(PROJECT, replace=[(":method", verb), ("content-type", kind)], end=True)
    reply = raw.wait(stream)
    assert reply.headers[":status"] == status
    assert (b"speaks gRPC" in reply.data) == (verb != "HEAD")


@pytest.mark.parametrize("kind", ["application/grpc+proto", "application/grpc;charset=utf-8"])
def test_variants_of_the_content_type_are_grpc(raw, kind):
    stream = raw.headers(PROJECT, replace=[("content-type", kind)])
    raw.send(stream, message(SMALL), end=True)
    assert raw.wait(stream).status == "0"


@pytest.mark.parametrize("more", [
    [("x-bad-bin", "%%%")], [("x-text", "caf\u00e9")], [("grpc-previous-rpc-attempts", "7")],
    [("grpc-trace-bin", "=")]])
def test_odd_metadata_cost_no_call(raw, more):
    stream = raw.headers(PROJECT, more, drop=["te"])
    raw.send(stream, message(SMALL), end=True)
    assert raw.wait(stream).status == "0"


@pytest.mark.parametrize("timeout", ["", "1", "S", "123456789S", "1x", "-1S", "1.5S"])
def test_a_malformed_timeout_is_refused(raw, timeout):
    stream = raw.headers(PROJECT, [("grpc-timeout", timeout)])
    assert raw.wait(stream).status == "3"


@pytest.mark.parametrize("timeout", ["0S", "00000000H", "0n", "1n"])
def test_a_deadline_that_has_passed_computes_nothing(raw, timeout):
    reply = raw.call(PROJECT, SMALL, [("grpc-timeout", timeout)])
    assert reply.status == "4" and timeout in reply.headers["grpc-message"]


@pytest.mark.parametrize("timeout", ["99999999H", "99999999M", "00001000S"])
def test_the_longest_timeouts_are_no_deadline(raw, timeout):
    """99999999 hours are more nanoseconds than 64 bits hold."""
    reply = raw.call(PROJECT, SMALL, [("grpc-timeout", timeout)])
    assert reply.status == "0", reply.headers


@pytest.mark.parametrize("body, number", [
    (message(SMALL)[:3], 1), (message(SMALL)[:20], 1), (message(SMALL) + message(SMALL)[:4], 2)])
def test_a_request_that_ends_inside_a_message_names_it(raw, body, number):
    stream = raw.headers(PROJECT)
    raw.send(stream, body, end=True)
    reply = raw.wait(stream)
    assert reply.status == "13" and f"inside message {number}" in reply.headers["grpc-message"]


def test_refusals_are_counted_as_any_call(start):
    """An unknown method is counted as "unknown", and logged."""
    line = 'tritd_rpc_handled_total{method="unknown",code="UNIMPLEMENTED"}'
    own = start(durable=False)  # its log has not suppressed this line
    with RawConnection(own.rpc) as raw:
        reply = raw.call("/trit.v1.Ternary/Nothing" + "X" * 300, b"")
    assert reply.status == "12" and "no such method" in reply.headers["grpc-message"]
    assert metrics(own)[line] == 1
    own.wait_log("rpc_end", "Ternary/Nothing", "UNIMPLEMENTED")


@pytest.mark.parametrize("drop,more,why", [
    (["te"], [("te", "gzip")], 'te: \\"gzip\\" is not trailers'),
    ([], [("connection", "close")], 'field \\"connection\\"'),
    ([], [("Authorization", "Bearer secret")], 'field \\"Authorization\\"'),
    ([":authority"], [(":authority", "late")], 'field \\":authority\\"'),
    ([":method"], [], "a pseudo-header field is missing"),
], ids=["te", "connection", "upper-case", "late-pseudo", "no-method"])
def test_malformed_headers_are_reset_counted_and_logged(start, drop, more, why):
    """The stream is reset with PROTOCOL_ERROR. The log names the field, and never a value that
    may be a secret."""
    own = start(durable=False)  # its log has not suppressed this line
    with RawConnection(own.rpc) as raw:
        stream = raw.headers(PROJECT, more, drop=drop)
        assert raw.wait(stream).reset == 1
        line = 'tritd_rpc_handled_total{method="unknown",code="INTERNAL"}'
        assert metrics(own)[line] == 1
        own.wait_log("rpc_end", "malformed request", why)
        assert "secret" not in own.log()
        assert raw.call(PROJECT, SMALL).status == "0"
