# SPDX-License-Identifier: Apache-2.0
"""Calls that the workers cannot do in time are refused before they begin."""
import re

import grpc
import numpy as np

import reference as ref
from held import Service, spec
from test_limits import EXHAUSTED, refusals
from tritd import CALL_SECONDS
from trit.v1 import layers_pb2, layers_pb2_grpc


def test_work_that_would_wait_too_long_is_refused(start):
    """Beyond queue_ms a call is refused with a time to try again; the one before it and
    small calls are answered."""
    own = start("--queue-ms", 1, "--threads", 1, durable=False)
    Service(own).Create(spec=spec("dear", 4096, 4096))
    stub = layers_pb2_grpc.LayersStub(own.channel)
    request = layers_pb2.LayerVerifyRequest()
    stub.Verify(request, timeout=CALL_SECONDS)  # now the daemon knows what it costs
    calls = [stub.Verify.future(request, timeout=CALL_SECONDS) for _ in range(8)]
    small = own.ternary.Project(ref.project_request(np.ones((1, 128), np.float32)),
                                timeout=CALL_SECONDS)
    assert small.report.elements == 128
    assert calls[0].exception(CALL_SECONDS) is None
    errors = [call.exception(CALL_SECONDS) for call in calls[1:]]
    refused = [e for e in errors if e is not None]
    assert refused and all(e.code() == EXHAUSTED and "busy" in e.details() for e in refused)
    for error in refused:
        assert re.search(r"about \d+\.\d ms and has 1\.0 ms;", error.details()), error
        pushback = dict(error.trailing_metadata())["grpc-retry-pushback-ms"]
        assert 10 <= int(pushback) <= 10_000
    assert refusals(own, "queue_ms") == len(refused)
    stub.Verify(request, timeout=CALL_SECONDS)


def test_a_deadline_that_cannot_be_met_is_refused_at_once(start):
    """Behind other work, a call is refused if its deadline would pass before it is done."""
    own = start("--threads", 1, durable=False)
    Service(own).Create(spec=spec("dear", 8192, 4096))
    stub = layers_pb2_grpc.LayersStub(own.channel)
    request = layers_pb2.LayerVerifyRequest()
    stub.Verify(request, timeout=CALL_SECONDS)
    ahead = [stub.Verify.future(request, timeout=CALL_SECONDS) for _ in range(16)]
    try:
        stub.Verify(request, timeout=0.25)
        raise AssertionError("answered behind 16 others within a quarter of a second")
    except grpc.RpcError as error:
        assert error.code() == EXHAUSTED, error
    for call in ahead:
        assert len(call.result(CALL_SECONDS).reports) == 1
