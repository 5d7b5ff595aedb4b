# SPDX-License-Identifier: Apache-2.0
"""SIGHUP reads the configuration again; --drain-delay gives load balancers time."""
import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import reference as ref
from checkpoints import save
from jobs import Checkpoints
from tritd import BINARIES, CALL_SECONDS, RUNNER, cli, refused, report_pb2, tensor_pb2

VALUES = np.random.default_rng(7).standard_normal((64, 128)).astype(np.float32)


def project(own):
    return own.ternary.Project(ref.project_request(VALUES), timeout=CALL_SECONDS)


def ready(own):
    """The status of /readyz."""
    try:
        with urllib.request.urlopen(f"http://{own.http}/readyz", timeout=CALL_SECONDS) as got:
            return got.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_reload_applies_what_can_change(start, tmp_path):
    """The log level and the message limit change without a restart, between two calls of
    one connection."""
    path = tmp_path / "tritd.conf"
    path.write_text("log-level = info\n")
    own = start("--config", path)
    project(own)
    path.write_text("log-level = debug\nmessage-max = 16KiB\n")
    own.process.send_signal(signal.SIGHUP)
    own.wait_log("event=option_changed", "option=message-max")
    own.wait_log("event=reloaded")
    with pytest.raises(grpc.RpcError) as refused:
        project(own)
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    path.write_text("log-level = debug\n")
    own.process.send_signal(signal.SIGHUP)
    own.wait_log("event=reloaded", times=2)
    project(own)
    own.wait_log("level=debug", "event=rpc_end")


def test_a_reload_names_what_needs_a_restart(start, tmp_path):
    """A new number of threads is not applied, and the log says so."""
    path = tmp_path / "tritd.conf"
    path.write_text("")
    own = start("--config", path)
    path.write_text("threads = 3\n")
    own.process.send_signal(signal.SIGHUP)
    own.wait_log("event=option_unchanged", "option=threads", "restart")
    project(own)


def test_a_broken_file_changes_nothing(start, tmp_path):
    """A reload of a file with a mistake keeps the old values and names file and line."""
    path = tmp_path / "tritd.conf"
    path.write_text("log-level = info\n")
    own = start("--config", path)
    path.write_text("message-max = 1KiB\nlog-level = loud\n")
    own.process.send_signal(signal.SIGHUP)
    own.wait_log("event=reload_failed", f"{path}:2", "loud")
    project(own)


def test_a_pipe_is_not_read_again(start, tmp_path):
    """A reload refuses a configuration file that is a pipe, and calls go on."""
    path = tmp_path / "tritd.conf"
    path.write_text("log-level = info\n")
    own = start("--config", path)
    path.unlink()
    os.mkfifo(path)
    own.process.send_signal(signal.SIGHUP)
    own.wait_log("event=reload_failed", str(path), "pipe")
    project(own)


def test_sighup_never_ends_the_daemon(tmp_path):
    """It waits while the daemon starts, and does no harm while it stops."""
    fifo, deadline = tmp_path / "tritd.conf", time.monotonic() + CALL_SECONDS
    os.mkfifo(fifo)
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen([*RUNNER, BINARIES / "tritd", "--config", fifo, "--listen",
                                    "127.0.0.1:0", "--http", "off"], stdout=subprocess.PIPE,
                                   stderr=log)

    def configure(hang_up=True):
        """True if the daemon is reading its file, which is empty."""
        with contextlib.suppress(OSError):  # no reader
            file = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
            if hang_up:
                process.send_signal(signal.SIGHUP)
            os.close(file)
            return True
        time.sleep(0.005)
        return False

    try:
        while not configure():
            assert time.monotonic() < deadline and process.poll() is None
        assert process.stdout.readline().startswith(b"tritd ready")
        process.send_signal(signal.SIGTERM)
        for _ in range(20):
            if process.poll() is None:
                process.send_signal(signal.SIGHUP)
                configure()
        while process.poll() is None:  # an emulator would do nothing but take signals
            configure(hang_up=False)
            assert time.monotonic() < deadline
        assert process.returncode == 0, (tmp_path / "log").read_text()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_drain_delay_serves_and_says_not_ready(start):
    """During --drain-delay after SIGTERM, /readyz is 503 while new connections and calls are
    served; a second signal ends the delay."""
    own = start("--drain-delay", 600000)
    assert ready(own) == 200
    own.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + CALL_SECONDS
    while ready(own) == 200:
        assert time.monotonic() < deadline
    assert ready(own) == 503
    project(own)
    done = cli(own, "ping", "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["serving"] is False, done
    assert own.process.poll() is None
    assert own.stop() == 0


def test_watches_and_jobs_are_served_in_the_drain_delay(start, tmp_path):
    """Watches that run go on until the delay ends, new ones and jobs begin, and a watch of the
    health is told."""
    save(tmp_path / "a.safetensors", {"l.weight": VALUES})
    own = start("--drain-delay", 600000, "--checkpoint-root", tmp_path)
    checks = health_pb2_grpc.HealthStub(own.channel).Watch(
        health_pb2.HealthCheckRequest(), timeout=CALL_SECONDS)
    assert next(checks).status == health_pb2.HealthCheckResponse.SERVING

    def watch():
        call = own.reports.Watch(report_pb2.ReportsWatchRequest(cursor="0"), timeout=CALL_SECONDS)
        call.initial_metadata()
        return call

    watches = [watch()]
    own.process.send_signal(signal.SIGTERM)
    assert next(checks).status == health_pb2.HealthCheckResponse.NOT_SERVING
    watches.append(watch())
    late = tensor_pb2.LayerRef(run="late", layer="l", step=1)
    own.ternary.Project(ref.project_request(VALUES, layer=late), timeout=CALL_SECONDS)
    assert [next(call).report.run for call in watches] == ["late", "late"]
    assert Checkpoints(own).run("Inspect", "a.safetensors").json["tensors"]
    assert own.process.poll() is None
    own.process.send_signal(signal.SIGTERM)
    for call in (checks, *watches):
        refused(lambda: list(call), grpc.StatusCode.UNAVAILABLE)
    assert own.process.wait(CALL_SECONDS) == 0


def test_a_drain_delay_passes(start):
    """The daemon exits by itself after the delay."""
    own = start("--drain-delay", 1)
    own.process.send_signal(signal.SIGTERM)
    assert own.process.wait(CALL_SECONDS) == 0
