# SPDX-License-Identifier: Apache-2.0
"""grpc.health.v1, by grpcio's own client of it."""
import signal

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tritd import CALL_SECONDS, refused

Response = health_pb2.HealthCheckResponse
SERVICES = {"", "trit.v1.Ternary", "trit.v1.Reports", "trit.v1.Layers", "trit.v1.Checkpoints",
            "grpc.health.v1.Health"}


@pytest.fixture
def health(daemon):
    return health_pb2_grpc.HealthStub(daemon.channel)


def request(service=""):
    return health_pb2.HealthCheckRequest(service=service)


def test_list_has_every_service(health):
    statuses = health.List(health_pb2.HealthListRequest(), timeout=CALL_SECONDS).statuses
    assert SERVICES <= set(statuses)
    assert all(entry.status == Response.SERVING for entry in statuses.values())


def test_check_knows_every_service_that_list_has(health):
    for service in health.List(health_pb2.HealthListRequest(), timeout=CALL_SECONDS).statuses:
        assert health.Check(request(service), timeout=CALL_SECONDS).status == Response.SERVING
    refused(lambda: health.Check(request("trit.v1"), timeout=CALL_SECONDS),
            grpc.StatusCode.NOT_FOUND, "trit.v1")


def test_watch_of_an_unknown_service_says_so_and_stays_open(health):
    watch = health.Watch(request("none.such"), timeout=CALL_SECONDS)
    assert next(watch).status == Response.SERVICE_UNKNOWN
    assert watch.is_active()
    watch.cancel()


def test_watch_tells_of_the_drain_and_does_not_hold_it_up(start):
    own = start()
    health = health_pb2_grpc.HealthStub(own.channel)
    watch = health.Watch(request("trit.v1.Ternary"), timeout=CALL_SECONDS)
    assert next(watch).status == Response.SERVING
    own.process.send_signal(signal.SIGTERM)
    assert next(watch).status == Response.NOT_SERVING
    refused(lambda: next(watch), grpc.StatusCode.UNAVAILABLE, "draining")
    assert own.stop(how=0) == 0


def test_watches_of_a_connection_are_bounded(start):
    own = start()
    health = health_pb2_grpc.HealthStub(own.channel)
    watches = [health.Watch(request(), timeout=CALL_SECONDS) for _ in range(16)]
    assert all(next(watch).status == Response.SERVING for watch in watches)
    refused(lambda: next(health.Watch(request(), timeout=CALL_SECONDS)),
            grpc.StatusCode.RESOURCE_EXHAUSTED, 16)
    watches[3].cancel()
    while True:  # until the daemon has seen the cancellation
        again = health.Watch(request(), timeout=CALL_SECONDS)
        try:
            assert next(again).status == Response.SERVING
            break
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    for watch in [*watches, again]:
        watch.cancel()
