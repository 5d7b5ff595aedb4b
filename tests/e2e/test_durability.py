# SPDX-License-Identifier: Apache-2.0
"""BEST_EFFORT: the answer does not fail with its report, and says whether it is stored. A disk
that fails or fills up is told by readiness, health and metrics."""
import resource
import shutil
import signal
import time
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import claims
import held
import reference as ref
from checkpoints import save
from failing import LIBRARY
from jobs import Checkpoints
from test_checkpoints import tensors
from tritd import CALL_SECONDS, VARIANT, refused, report_pb2, tensor_pb2, ternary_pb2

BEST_EFFORT = tensor_pb2.BEST_EFFORT
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
LONG = ("--best-effort-ms", "600000")  # a healthy disk is waited for, however slow


def layer(run, name="up", step=1):
    return tensor_pb2.LayerRef(run=run, layer=name, step=step)


def pack(daemon, values, layer, **options):
    return daemon.ternary.Pack(ternary_pb2.PackRequest(
        options=ternary_pb2.PackOptions(encoding=claims.INT8, **options), layer=layer,
        tensor=tensor_pb2.Tensor(dtype=ref.F32, shape=values.shape, data=values.tobytes())),
        timeout=CALL_SECONDS).report


def verify(daemon, values, layer, **options):
    return claims.verify(daemon, values.tobytes(), values.shape, layer=layer, **options)


def verify_stream(daemon, values, layer, **options):
    return claims.verify_stream(daemon, values.tobytes(), values.shape, layer=layer, **options)


def project(daemon, values, layer, **options):
    return claims.project(daemon, values, layer=layer, **options).report


def project_stream(daemon, values, layer, **options):
    return claims.project_stream(daemon, values, layer=layer, **options)[2]


METHODS = pytest.mark.parametrize("method", [project, project_stream, verify, verify_stream, pack],
                                  ids=lambda one: one.__name__)


@pytest.fixture
def values(random):
    return claims.ternary(random)[0]


def get(daemon, ref_):
    return daemon.reports.Get(report_pb2.ReportsGetRequest(
        run=ref_.run, layer=ref_.layer, step=ref_.step), timeout=CALL_SECONDS).report


def is_stored(daemon, ref_):
    try:
        return get(daemon, ref_).step == ref_.step
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND
        return False


def probe(daemon, path="/readyz"):
    try:
        with urllib.request.urlopen(f"http://{daemon.http}{path}", timeout=CALL_SECONDS) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def metric(daemon, name):
    return next(float(line.split()[1]) for line in probe(daemon, "/metrics")[1].splitlines()
                if line.startswith(name + " "))


def health(daemon):
    return health_pb2_grpc.HealthStub(daemon.channel).Check(
        health_pb2.HealthCheckRequest(), timeout=CALL_SECONDS).status


def eventually(condition):
    """Asks again until the condition holds; fails after a bound that no machine reaches."""
    end = time.monotonic() + CALL_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(.05)


@METHODS
def test_a_durable_answer_says_that_its_report_is_stored(daemon, run, values, method):
    report = method(daemon, values, layer(run))
    assert report.HasField("stored") and report.stored
    assert not method(daemon, values, None).HasField("stored")


@METHODS
def test_best_effort_on_a_good_disk_is_stored(start, run, values, method):
    own = start(*LONG)
    report = method(own, values, layer(run), durability=BEST_EFFORT)
    assert report.stored
    assert get(own, layer(run)).digest == report.digest
    again = method(own, -values, layer(run, step=2), durability=BEST_EFFORT)
    assert again.stored and again.previous_step == 1 and again.flips == report.elements - report.zeros


@METHODS
def test_best_effort_does_not_wait_if_told_so(start, run, values, method):
    """The answer goes before the commit; the report is stored soon after."""
    own = start("--best-effort-ms", "0")
    report = method(own, values, layer(run), durability=BEST_EFFORT)
    assert report.HasField("stored") and not report.stored and report.is_ternary is not None
    eventually(lambda: metric(own, "tritd_reports_stored_total") == 1)
    assert get(own, layer(run)).digest == report.digest


@METHODS
def test_best_effort_goes_on_where_the_store_takes_no_report(start, run, values, method):
    """No report may wait for the disk: a durable call is refused, a best-effort one is not. Log and
    /readyz say so."""
    own = start("--store-queue-max", "0")
    assert probe(own) == (503, "not ready: store_queue_max is 0, so no report is stored\n")
    assert health(own) == NOT_SERVING
    own.wait_log("reports_not_stored", "store_queue_max is 0")
    refused(lambda: method(own, values, layer(run)), grpc.StatusCode.RESOURCE_EXHAUSTED)
    report = method(own, values, layer(run), durability=BEST_EFFORT)
    assert report.HasField("stored") and not report.stored
    assert report.elements == values.size
    assert metric(own, "tritd_reports_not_stored_total") == 1
    assert "report_not_stored" in own.log()


def test_best_effort_goes_on_where_the_key_is_taken(start, run, values):
    own = start(*LONG)
    first = verify(own, values, layer(run))
    refused(lambda: verify(own, -values, layer(run)), grpc.StatusCode.ALREADY_EXISTS)
    report = verify(own, -values, layer(run), durability=BEST_EFFORT)
    assert not report.stored and report.digest != first.digest
    assert get(own, layer(run)) == first
    assert verify(own, values, layer(run), durability=BEST_EFFORT).stored
    assert health(own) == SERVING


@pytest.mark.parametrize("durability", [2, 77])
@METHODS
def test_an_unknown_durability_is_refused(daemon, run, values, method, durability):
    for where in (layer(run), None):
        refused(lambda: method(daemon, values, where, durability=durability),
                grpc.StatusCode.INVALID_ARGUMENT, "options.durability", durability)


@pytest.mark.parametrize("bad", [dict(run="", layer="l"), dict(run="r", layer=""),
                                 dict(run="r", layer="l", step=2**63)])
def test_a_bad_layer_is_refused_all_the_same(daemon, values, bad):
    refused(lambda: verify(daemon, values, tensor_pb2.LayerRef(**bad), durability=BEST_EFFORT),
            grpc.StatusCode.INVALID_ARGUMENT, "layer.")


def test_a_disk_that_fails(start, run, values):
    """Every write beyond 4 KiB of a file fails, as on a full disk."""
    own = start(*LONG)
    assert verify(own, values, layer(run)).stored and health(own) == SERVING
    assert probe(own)[0] == 200
    resource.prlimit(own.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    refused(lambda: verify(own, values, layer(run, step=2)), grpc.StatusCode.UNAVAILABLE)
    report = verify(own, values, layer(run, step=3), durability=BEST_EFFORT)
    assert not report.stored and report.elements == values.size
    assert health(own) == NOT_SERVING
    status, why = probe(own)
    assert status == 503 and "stored" in why
    resource.prlimit(own.process.pid, resource.RLIMIT_FSIZE,
                     (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert verify(own, values, layer(run, step=4)).stored
    assert health(own) == SERVING and probe(own)[0] == 200
    assert own.stop(how=signal.SIGTERM) == 0


def test_a_disk_that_is_nearly_full(start, run, values):
    """Reports are still stored, but readiness and health say that the disk fills up."""
    own = start("--disk-free-min", "1000000T")
    eventually(lambda: probe(own)[0] == 503)
    assert "--disk-free-min" in probe(own)[1] and "nearly full" in probe(own)[1]
    assert health(own) == NOT_SERVING and verify(own, values, layer(run)).stored
    assert metric(own, "tritd_disk_free_bytes") > 0
    assert "disk_nearly_full" in own.log()


@pytest.mark.skipif(VARIANT not in ("release", "cov"),
                    reason="a library that is loaded first disturbs sanitizers and emulators")
def test_a_disk_that_hangs(start, run, values, tmp_path):
    """A flush does not return: readiness and health say so, and BEST_EFFORT answers. When it
    returns after all, what waited is stored."""
    hang = tmp_path / "hang"
    own = start(env={"LD_PRELOAD": str(LIBRARY), "FAILING_HANGS": str(hang)})
    assert verify(own, values, layer(run)).stored and probe(own)[0] == 200
    hang.touch()
    try:
        waits = own.ternary.Verify.future(ternary_pb2.VerifyRequest(
            layer=layer(run, step=2), tensor=ref.tensor(values)), timeout=CALL_SECONDS)
        for step in (3, 4):
            report = verify(own, values, layer(run, step=step), durability=BEST_EFFORT)
            assert not report.stored and report.elements == values.size
        eventually(lambda: probe(own)[0] == 503)
        assert "has not answered" in probe(own)[1] and health(own) == NOT_SERVING
        assert get(own, layer(run)).step == 1 and probe(own, "/v1/runs")[0] == 200
        report = verify(own, values, layer(run, step=5), durability=BEST_EFFORT)
        assert not report.stored and not waits.done()
    finally:
        hang.unlink()
    assert waits.result().report.stored
    eventually(lambda: probe(own)[0] == 200)
    assert health(own) == SERVING
    for step in (3, 4, 5):
        eventually(lambda: is_stored(own, layer(run, step=step)))
    assert "disk_hangs" in own.log() and "disk_recovered" in own.log()
    assert own.stop() == 0


def test_a_data_directory_that_moves_takes_no_report(start, run, values):
    """The next daemon would not find it: the call fails, BEST_EFFORT says so, and so do readiness and log.
    When the directory is back, reports are stored again."""
    own = start()
    data, moved = own.folder / "data", own.folder / "moved"
    assert verify(own, values, layer(run)).stored
    data.rename(moved)
    refused(lambda: verify(own, values, layer(run, step=2)), grpc.StatusCode.UNAVAILABLE, data, "moved")
    assert not verify(own, values, layer(run, step=2), durability=BEST_EFFORT).stored
    assert probe(own)[0] == 503
    own.wait_log("data_dir_missing", str(data))
    assert "replaced or deleted" in probe(own)[1] and metric(own, "tritd_disk_free_bytes") == 0
    moved.rename(data)
    assert verify(own, values, layer(run, step=2)).stored
    own.wait_log("disk_recovered")
    assert own.stop() == 0
    assert get(start(), layer(run, step=2)).step == 2


def test_space_on_the_disk_is_enough(start):
    own = start("--disk-free-min", "1")
    eventually(lambda: metric(own, "tritd_disk_free_bytes") > 0)
    assert probe(own)[0] == 200 and health(own) == SERVING


def test_without_a_data_directory_no_disk_is_looked_at(start, run, values):
    own = start("--disk-free-min", "1000000T", durable=False)
    assert verify(own, values, layer(run)).stored
    assert probe(own)[0] == 200 and health(own) == SERVING
    assert metric(own, "tritd_disk_free_bytes") == 0


def test_best_effort_of_many_layers_at_the_same_time(start, run, random):
    """Each is stored or said not to be, and a call that is cancelled harms none."""
    own = start(*LONG)
    calls = []
    for i in range(40):
        values = random.standard_normal((4, 256)).astype(np.float32)
        calls.append(own.ternary.Project.future(ref.project_request(
            values, layer=layer(run, f"l{i}"), durability=BEST_EFFORT), timeout=CALL_SECONDS))
    for call in calls[::4]:
        call.cancel()
    for call in calls:
        assert call.cancelled() or call.result().report.stored
    assert own.stop(how=signal.SIGTERM) == 0


@pytest.mark.parametrize("how", ["copied", "empty"])
def test_a_data_directory_that_is_replaced_takes_nothing(start, run, values, tmp_path, how):
    """Readiness notices by itself. Reports, held layers and job files would go to the old directory, so
    none is accepted, and nothing in either directory changes. When it is back, all are."""
    root = tmp_path / "root"
    root.mkdir()
    save(root / "a.safetensors", tensors(np.random.default_rng(1), 1))
    own = start("--checkpoint-root", root)
    layers = held.Service(own)
    held.load(layers, "first", held.normal(np.random.default_rng(2), 4, 128))
    jobs = Checkpoints(own)
    jobs.run("Inspect", "a.safetensors")
    assert verify(own, values, layer(run)).stored
    data, moved = own.folder / "data", own.folder / "moved"
    data.rename(moved)
    shutil.copytree(moved, data) if how == "copied" else data.mkdir()
    before = sorted(moved.rglob("*"))
    eventually(lambda: probe(own)[0] == 503)
    assert "replaced" in probe(own)[1]
    for call in (lambda: held.load(layers, "second", held.normal(np.random.default_rng(3), 4, 128)),
                 lambda: layers.Delete(name="first"), lambda: verify(own, values, layer(run, step=2))):
        refused(call, grpc.StatusCode.UNAVAILABLE, data, "replaced")
    jobs.run("Inspect", "a.safetensors")
    own.wait_log("job_not_kept", "replaced")
    assert sorted(moved.rglob("*")) == before
    shutil.rmtree(data)
    moved.rename(data)
    eventually(lambda: probe(own)[0] == 200)
    layers.Delete(name="first")
    assert verify(own, values, layer(run, step=2)).stored
    assert own.stop() == 0
