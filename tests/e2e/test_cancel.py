# SPDX-License-Identifier: Apache-2.0
"""A call that is cancelled, or whose deadline passes, stops its work."""
import time

import grpc
import numpy as np
import pytest

import reference as ref
from held import Service, spec
from test_http import metrics
from tritd import CALL_SECONDS

from trit.v1 import layers_pb2

CALLS = 8
WIDTH = 4096, 2048


def until(condition):
    deadline = time.monotonic() + CALL_SECONDS
    while not condition():
        assert time.monotonic() < deadline


@pytest.mark.parametrize("how", ["cancel", "deadline"])
def test_the_work_of_cancelled_calls_stops(start, how):
    """Of eight long products in line for one worker, those that are cancelled are not
    computed: once all calls have ended, at most the product in work is finished."""
    own = start("--threads", 1)
    layers = Service(own)
    layers.Create(spec=spec("long", *WIDTH), seed=1)
    # How long a product takes depends on the machine and on what else runs there. A round
    # in which the machine computed all products before the calls ended says nothing: the
    # next one asks for twice the work.
    for rows in [16, 32, 64, 128, 256, 512, 1024]:
        if computed(own, layers, how, rows) < CALLS:
            break
    else:
        pytest.fail("every product was computed")
    assert layers.stub.Forward(request(1), timeout=CALL_SECONDS).y.data


def request(rows):
    """A product of `rows` rows."""
    return layers_pb2.LayerForwardRequest(
        name="long", x=ref.tensor(np.ones((rows, WIDTH[1]), np.float32)))


def computed(own, layers, how, rows):
    """Starts the calls, ends them and counts the products computed in all."""
    def products():
        return metrics(own)['tritd_layer_rows_total{kind="forward_f32"}'] / rows

    began = time.monotonic()
    layers.stub.Forward(request(rows), timeout=CALL_SECONDS)
    patience = max(time.monotonic() - began, 1e-3) if how == "deadline" else CALL_SECONDS
    before = products()
    calls = [layers.stub.Forward.future(request(rows), timeout=patience) for _ in range(CALLS)]
    if how == "cancel":
        until(lambda: metrics(own)["tritd_streams"] == CALLS or any(c.done() for c in calls))
        for call in calls:
            call.cancel()
    codes = [call.code() for call in calls]
    until(lambda: metrics(own)["tritd_streams"] == 0)
    ended = products()
    assert set(codes) <= {grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED,
                          grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.OK}
    until(lambda: metrics(own)["tritd_workers_busy"] == 0)
    assert products() - ended <= 1
    return products() - before
