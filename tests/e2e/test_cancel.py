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
    one = metrics(own)
    alone = one["tritd_layer_seconds_total"]
    calls = [layers.stub.Forward.future(
        request, timeout=alone / 2 if how == "deadline" else CALL_SECONDS) for _ in range(CALLS)]
    if how == "cancel":
        until(lambda: metrics(own)["tritd_streams"] == CALLS)
        for call in calls:
            call.cancel()
    codes = [call.code() for call in calls]
    until(lambda: metrics(own)["tritd_streams"] == 0)
    after = metrics(own)
    assert set(codes) <= {grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED,
                          grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.OK}
    whole = codes.count(grpc.StatusCode.OK)  # within its deadline, where the first was slow
    assert whole < CALLS
    rows = 'tritd_layer_rows_total{kind="forward_f32"}'
    assert after[rows] - one[rows] <= (whole + 1) * ROWS
    assert layers.stub.Forward(request, timeout=CALL_SECONDS).y.data
