# SPDX-License-Identifier: Apache-2.0
"""A call that is cancelled, or whose deadline passes, stops its work."""
import time

import grpc
import numpy as np
import pytest

import reference as ref
from held import Service, spec
from test_http import metrics
from tritd import CALL_SECONDS, SLOW

from trit.v1 import layers_pb2

CALLS = 8
ROWS = 16 if SLOW else 256  # all calls together fit their deadline


def until(condition):
    deadline = time.monotonic() + CALL_SECONDS
    while not condition():
        assert time.monotonic() < deadline


@pytest.mark.parametrize("how", ["cancel", "deadline"])
def test_the_work_of_cancelled_calls_stops(start, how):
    """Of eight long products in line for one worker, those that are cancelled are not
    computed: at most the one that was being finished counts as a product."""
    own = start("--threads", 1)
    layers = Service(own)
    layers.Create(spec=spec("long", 4096, 2048), seed=1)
    request = layers_pb2.LayerForwardRequest(
        name="long", x=ref.tensor(np.ones((ROWS, 2048), np.float32)))
    layers.stub.Forward(request, timeout=CALL_SECONDS)
    # The first product may have been slowed by another process. Then its time says too
    # much, and all calls meet a deadline derived from it: the next deadline is shorter.
    patience = metrics(own)["tritd_layer_seconds_total"]
    whole = CALLS
    while whole == CALLS:
        patience /= 2
        assert patience > 1e-6
        whole = cancelled_calls(own, layers, request, how, patience)
    assert layers.stub.Forward(request, timeout=CALL_SECONDS).y.data


def cancelled_calls(own, layers, request, how, patience):
    """Starts the calls, ends them and counts those that were answered in time. No other
    call may have been computed, but for one that was being finished."""
    before = metrics(own)
    calls = [layers.stub.Forward.future(
        request, timeout=patience if how == "deadline" else CALL_SECONDS) for _ in range(CALLS)]
    if how == "cancel":
        until(lambda: metrics(own)["tritd_streams"] == CALLS or any(c.done() for c in calls))
        for call in calls:
            call.cancel()
    codes = [call.code() for call in calls]
    until(lambda: metrics(own)["tritd_streams"] == 0)
    assert set(codes) <= {grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED,
                          grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.OK}
    whole = codes.count(grpc.StatusCode.OK)
    rows = 'tritd_layer_rows_total{kind="forward_f32"}'
    assert metrics(own)[rows] - before[rows] <= (whole + 1) * ROWS
    return whole
