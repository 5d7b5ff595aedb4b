# SPDX-License-Identifier: Apache-2.0
"""A daemon with several loops: connections spread over them, and what belongs to the daemon as
a whole is the same on each."""
import signal

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import reference as ref
from held import Service, load, spec
from jobs import Checkpoints, metric, wait_for
from test_jobs import ENDLESS, begin, save_endless
from tritd import (CALL_SECONDS, Daemon, refused, report_pb2, report_pb2_grpc, tensor_pb2,
                   ternary_pb2_grpc)

LOOPS = 3
VALUES = np.random.default_rng(5).standard_normal((64, 256)).astype(np.float32)
EXHAUSTED, UNAVAILABLE = grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE


class Line:
    """A client with a connection of its own, as the helpers of other tests want it."""

    def __init__(self, daemon):
        self.channel = daemon.connect()
        self.ternary = ternary_pb2_grpc.TernaryStub(self.channel)
        self.reports = report_pb2_grpc.ReportsStub(self.channel)
        self.project()  # connects

    def project(self, **fields):
        return self.ternary.Project(ref.project_request(VALUES, **fields), timeout=CALL_SECONDS)


def reload(daemon, text):
    """Rewrites the configuration; waits until it is in force."""
    before = daemon.log().count("event=reloaded")
    daemon.path.write_text("log-level = debug\n" + text)
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_log("event=reloaded", times=before + 1)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loops")
    root = folder / "root"
    root.mkdir()
    save_endless(root / ENDLESS)
    path = folder / "tritd.conf"
    path.write_text("log-level = debug\n")
    daemon = Daemon(folder, "--loops", LOOPS, "--config", path, "--checkpoint-root", root)
    daemon.path = path
    yield daemon
    if daemon.process.poll() is None:
        daemon.kill()


@pytest.fixture(scope="module")
def lines(own):
    """Two clients on each loop."""
    return [Line(own) for _ in range(2 * LOOPS)]


def test_connections_spread_evenly(own, lines):
    """Each loop gets the connection when it has the fewest."""
    for loop in range(LOOPS):
        own.wait_log("event=conn_open", f"loop={loop}", times=len(lines) // LOOPS)
    assert metric(own, "tritd_loops") == LOOPS


def test_results_are_the_same_on_each_loop(lines):
    """Data and digest of one tensor, by each connection."""
    replies = [line.project() for line in lines]
    assert {reply.data for reply in replies} == {ref.dense(VALUES, *ref.project(VALUES))}
    assert len({reply.report.digest for reply in replies}) == 1


def test_a_watch_sees_reports_of_all_loops(lines, run):
    """One watch gets what clients of each loop file."""
    watch = lines[0].reports.Watch(report_pb2.ReportsWatchRequest(run=run, cursor="0"),
                                   timeout=CALL_SECONDS)
    for step, line in enumerate(lines):
        line.project(layer=tensor_pb2.LayerRef(run=run, layer="w", step=step))
        assert next(watch).report.step == step
    watch.cancel()


def test_held_layers_are_of_the_daemon(lines, name):
    """A layer that one client loads is used, listed and deleted by others."""
    first, second, third = [Service(line) for line in lines[:3]]
    weight = np.sign(VALUES)
    load(first, name, weight)
    rows = np.ones((1, 256), np.float32)
    replies = [service.Forward(name=name, x=ref.tensor(rows)) for service in (second, third)]
    assert replies[0].y.data == replies[1].y.data
    assert [layer.name for layer in second.List(prefix=name).layers] == [name]
    refused(lambda: second.Create(spec=spec(name, 4, 128)), grpc.StatusCode.ALREADY_EXISTS)
    third.Delete(name=name)
    assert not first.List(prefix=name).layers


def test_jobs_are_of_the_daemon(lines):
    """A job that one client starts is listed, attached to and cancelled by others."""
    first, second, third = [Checkpoints(line) for line in lines[:3]]
    stream, job = begin(first)
    attached = second.attach(job)
    assert next(attached).job == job
    assert third.job(job).state in ("waiting", "running")
    third.cancel(job)
    for call in (stream, attached):
        refused(lambda call=call: list(call), grpc.StatusCode.CANCELLED)


def test_a_reload_reaches_each_loop(own, lines):
    """After the line in the log every connection has the new limit, and later the old one."""
    for text in ("message-max = 16KiB\n", ""):
        reload(own, text)
        for line in lines:
            if text:
                refused(line.project, EXHAUSTED)
            else:
                line.project()


def test_the_bound_of_connections_holds_for_all_loops(own, lines):
    """Above it one idle connection gives way, on whichever loop it is."""
    reload(own, f"connections-max = {len(lines)}\n")
    wait_for(lambda: metric(own, "tritd_connections") == len(lines))
    newcomer = Line(own)
    wait_for(lambda: metric(own, "tritd_connections") == len(lines))
    assert metric(own, "tritd_connections_yielded_total") == 1
    newcomer.channel.close()
    reload(own, "")


def test_a_drain_ends_all_loops(own, lines):
    """Each watch of health hears that the daemon drains; the budget is empty before, and the
    daemon leaves with 0."""
    watches = []
    for line in lines[:LOOPS]:
        health = health_pb2_grpc.HealthStub(line.channel)
        watches.append(health.Watch(health_pb2.HealthCheckRequest(), timeout=CALL_SECONDS))
        assert next(watches[-1]).status == health_pb2.HealthCheckResponse.SERVING
    own.process.send_signal(signal.SIGTERM)
    for watch in watches:
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        refused(lambda watch=watch: next(watch), UNAVAILABLE)
    assert own.stop() == 0, own.log()[-4000:]
    own.wait_log("event=drained")
