# SPDX-License-Identifier: Apache-2.0
"""Calls through HAProxy, nginx and Envoy."""
import functools

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

import certificates
import proxies
import reference as ref
from streams import HalfSent
from tritd import CALL_SECONDS, SLOW, Daemon, refused
from trit.v1 import layers_pb2, layers_pb2_grpc  # after tritd, which sets the path

PROJECT = "/trit.v1.Ternary/Project"


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    """A daemon that the proxies of this file share."""
    own = Daemon(tmp_path_factory.mktemp("behind"), "--log-level", "debug")
    yield own
    assert own.stop() == 0, own.log()[-4000:]


@pytest.fixture(scope="module", params=proxies.KINDS)
def proxy(request, behind, tmp_path_factory):
    one = proxies.front(request.param, tmp_path_factory.mktemp(request.param), [behind])
    one.kind = request.param
    yield one
    one.stop()


def raw(channel):
    """Project with requests and replies as bytes."""
    return channel.unary_unary(PROJECT)


@functools.cache
def request_of_64_mib():
    values = np.random.default_rng(3).standard_normal((4096, 4096)).astype(np.float32)
    return ref.project_request(values).SerializeToString()


def test_a_tensor_of_64_mib_passes(proxy, behind):
    """The reply through the proxy is the reply without it."""
    reply = raw(proxy.channel)(request_of_64_mib(), timeout=CALL_SECONDS)
    direct = raw(behind.channel)(request_of_64_mib(), timeout=CALL_SECONDS)
    assert reply[-(64 << 20):] == direct[-(64 << 20):] and len(reply) > 64 << 20


def test_a_stream_passes_in_both_directions_together(proxy):
    """The first reply comes through the proxy while the upload is half done."""
    HalfSent(proxy).finish()


def test_a_refused_upload_has_status_and_message(proxy, behind):
    """An upload of 300 MiB above the message limit: the client sees RESOURCE_EXHAUSTED and the
    limit, three times on one connection, and the connection still works."""
    upload = bytes(300 << 20)
    for _ in range(3):
        refused(lambda: raw(proxy.channel)(upload, timeout=CALL_SECONDS),
                grpc.StatusCode.RESOURCE_EXHAUSTED, "message_bytes_max", 300 << 20)
    HalfSent(proxy).finish()


def test_a_deadline_reaches_the_daemon(proxy, behind):
    """The client's deadline ends the call at both ends."""
    half = HalfSent(proxy, timeout=1 if not SLOW else 4, metadata=[("x-request-id", f"late-{proxy.kind}")])
    with pytest.raises(grpc.RpcError) as late:
        list(half.call)
    half.abandon()
    assert late.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    behind.wait_log("event=rpc_end", f"late-{proxy.kind}")
    assert not [line for line in behind.log().splitlines()
                if f"late-{proxy.kind}" in line and "status=OK" in line]


def test_messages_and_details_pass(proxy):
    """A message that is not ASCII, and the details of an error, pass in the trailers."""
    stub = layers_pb2_grpc.LayersStub(proxy.channel)
    with pytest.raises(grpc.RpcError) as error:
        stub.Get(layers_pb2.LayerGetRequest(name="größe"), timeout=CALL_SECONDS)
    assert error.value.code() == grpc.StatusCode.NOT_FOUND
    assert "größe" in error.value.details()
    detail, = rpc_status.from_call(error.value).details
    bad = error_details_pb2.BadRequest()
    assert detail.Unpack(bad) and bad.field_violations[0].field == "name"


def test_metadata_passes(proxy, behind):
    """The client's request id and traceparent are in the daemon's log."""
    request, trace = f"id-{proxy.kind}", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    proxy.ternary.Project(ref.project_request(np.ones((2, 128), np.float32)),
                          metadata=[("x-request-id", request), ("traceparent", trace)],
                          timeout=CALL_SECONDS)
    behind.wait_log("event=rpc_end", request, "0af7651916cd43dd8448eb211c80319c")


@pytest.mark.parametrize("kind", proxies.KINDS)
def test_the_daemon_speaks_tls_to_the_proxy(start, tmp_path, kind):
    """Plain from client to proxy, TLS with a verified certificate from proxy to daemon."""
    authority = certificates.Authority(tmp_path)
    own = start(*certificates.tls_words(authority.issue("server")))
    one = proxies.front(kind, tmp_path / "proxy", [own], ca=authority.path)
    try:
        HalfSent(one).finish()
    finally:
        one.stop()
