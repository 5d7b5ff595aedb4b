# SPDX-License-Identifier: Apache-2.0
"""What the log says of each call: who, what, and the ids by which a client finds it."""
import json
import urllib.request

import grpc
import numpy as np
import pytest

import reference as ref
from access import Tokens, bearer
from held import Service, load
from streams import HalfSent
from tritd import CALL_SECONDS, tensor_pb2

VALUES = np.random.default_rng(9).standard_normal((8, 128)).astype(np.float32)
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def own(start):
    return start("--log-level", "debug", "--log-format", "json")


def ends(own, **fields):
    """The rpc_end lines with these fields, once there is one."""
    own.wait_log('"event":"rpc_end"', *(json.dumps(value) for value in fields.values()))
    lines = [json.loads(line) for line in own.log().splitlines() if '"rpc_end"' in line]
    return [line for line in lines
            if all(line.get(key) == value for key, value in fields.items())]


def project(own, **more):
    return own.ternary.Project.with_call(
        ref.project_request(VALUES, layer=tensor_pb2.LayerRef(run="night", layer="fc1", step=4)),
        timeout=CALL_SECONDS, **more)


def test_a_call_is_logged_with_peer_layer_and_ids(own):
    """rpc_end has method, status, peer, run, layer, request id and traceparent."""
    project(own, metadata=[("x-request-id", "job-17"), ("traceparent", PARENT)])
    line, = ends(own, method="/trit.v1.Ternary/Project")
    assert line["status"] == "OK" and line["run"] == "night" and line["layer"] == "fc1"
    assert line["request_id"] == "job-17" and line["traceparent"] == PARENT
    assert line["peer"].startswith("127.0.0.1:") and line["took_us"] > 0


def test_a_call_is_logged_with_its_caller(start, tmp_path):
    """The name of the token's line, also when it is refused; never the token."""
    tokens = Tokens(tmp_path / "tokens", night="project", day="read")
    own = start("--log-level", "debug", "--log-format", "json", "--token-file", tokens.path)
    project(own, metadata=bearer(tokens.token["night"]))
    with pytest.raises(grpc.RpcError):
        project(own, metadata=bearer(tokens.token["day"]))
    with pytest.raises(grpc.RpcError):
        project(own)
    ends(own, caller="night", status="OK")
    ends(own, caller="day", status="PERMISSION_DENIED")
    line, = ends(own, status="UNAUTHENTICATED")
    assert "caller" not in line
    assert not any(token in own.log() for token in tokens.token.values())


def test_a_malformed_traceparent_is_left_out(own):
    project(own, metadata=[("traceparent", PARENT[:-1] + "x"), ("x-request-id", "i" * 100)])
    line, = ends(own, method="/trit.v1.Ternary/Project")
    assert "traceparent" not in line and line["request_id"] == "i" * 64


def test_a_refused_request_is_logged_with_peer_and_ids(own):
    """A request that never became a call has the same fields."""
    call = own.channel.unary_unary("/trit.v1.Ternary/Nothing")
    with pytest.raises(grpc.RpcError):
        call(b"", timeout=CALL_SECONDS, metadata=[("x-request-id", "lost")])
    line, = ends(own, request_id="lost")
    assert line["status"] == "UNIMPLEMENTED" and line["peer"].startswith("127.0.0.1:")


def test_calls_of_a_held_layer_name_it(own):
    layers = Service(own)
    load(layers, "encoder/0", VALUES)
    layers.Get(name="encoder/0")
    for method in ("Load", "Get"):
        line, = ends(own, method=f"/trit.v1.Layers/{method}")
        assert line["layer"] == "encoder/0"


def test_calls_in_flight_are_counted_and_return_to_zero(own):
    """tritd_rpc_in_flight is 1 while a stream is open and 0 after it."""
    def in_flight():
        text = urllib.request.urlopen(f"http://{own.http}/metrics").read().decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                   if line.startswith("tritd_rpc_in_flight{"))

    assert in_flight() == 0
    stream = HalfSent(own)
    assert in_flight() == 1
    stream.finish()
    ends(own, method="/trit.v1.Ternary/ProjectStream")
    assert in_flight() == 0
