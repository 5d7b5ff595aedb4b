# SPDX-License-Identifier: Apache-2.0
"""Jobs of the service Checkpoints: they wait, run, are watched, cancelled and forgotten. A job
that does not end by itself reads a sparse file that is far larger than any disk."""
import json
import os
import signal

import grpc
import numpy as np
import pytest

from checkpoints import save
from jobs import Checkpoints, finished, gathered, metric, wait_for
from tritd import CALL_SECONDS, Daemon, refused

CANCELLED, EXHAUSTED = grpc.StatusCode.CANCELLED, grpc.StatusCode.RESOURCE_EXHAUSTED
ENDLESS = "endless.safetensors"


def save_zeros(path, rows):
    """A sparse file of a bf16 matrix [rows, rows]."""
    size = 2 * rows * rows
    header = json.dumps({"l.weight": {"dtype": "BF16", "shape": [rows, rows],
                                      "data_offsets": [0, size]}}).encode()
    with open(path, "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size)


def save_endless(path):
    """Zeros of 2 TiB."""
    save_zeros(path, 1 << 20)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A daemon that runs one job at a time, lets two wait and keeps three that ended."""
    root = tmp_path_factory.mktemp("root")
    save_endless(root / ENDLESS)
    save(root / "a.safetensors", {"l.weight": np.ones((4, 128), np.float32)})
    save(root / "latents.safetensors", {"l.weight": np.linspace(-1, 1, 512, dtype=np.float32)
                                        .reshape(4, 128)})
    daemon = Daemon(tmp_path_factory.mktemp("jobs"), "--checkpoint-root", root, "--jobs-max", 1,
                    "--jobs-waiting-max", 2, "--jobs-kept-max", 3)
    daemon.root = root
    yield daemon
    assert daemon.stop() == 0, daemon.log()[-4000:]


@pytest.fixture
def service(own):
    service = Checkpoints(own)
    yield service
    wait_for(lambda: not cancel_all(service))


def cancel_all(service):
    """The jobs that had not ended. One that ends meanwhile may be forgotten."""
    running = [job.job for job in service.jobs() if not job.ended_unix_ns]
    for job in running:
        try:
            service.cancel(job)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.NOT_FOUND
    return running


def begin(service, path=ENDLESS, **fields):
    """The stream and the name of a job."""
    stream = service.stream("Verify", path, **fields)
    return stream, next(iter(stream)).job


def state(service, job):
    return service.job(job).state


def test_a_job_is_watched_and_cancelled(own, service):
    stream, job = begin(service)
    moving = next(message for message in stream if message.bytes_done)
    assert (moving.state, moving.layer, moving.tensors_total) == ("running", "l.weight", 1)
    assert moving.bytes_total == 1 << 41 and moving.bytes_per_second > 0 and moving.seconds_left > 0
    assert metric(own, "tritd_jobs_running") == 1
    watch = service.attach(job)
    assert next(iter(watch)).job == job
    service.cancel(job)
    for one in (stream, watch):
        refused(lambda: list(one), CANCELLED, "cancelled")
    assert (service.job(job).state, service.job(job).status) == ("cancelled", 1)
    service.cancel(job)
    refused(lambda: list(service.attach(job)), CANCELLED, "cancelled")


def test_a_client_that_goes_cancels_its_job(service):
    stream, job = begin(service)
    stream.cancel()
    wait_for(lambda: state(service, job) == "cancelled")


def test_a_detached_job_goes_on_without_its_client(service):
    stream, job = begin(service, detach=True)
    stream.cancel()
    watch = service.attach(job)
    seen = next(iter(watch)).bytes_done
    next(message for message in watch if message.bytes_done > seen)
    assert service.job(job).detach and state(service, job) == "running"
    watch.cancel()
    assert next(message for message in service.attach(job) if message.bytes_done > seen)


def test_a_file_that_changes_fails_its_job_alone(own, service):
    changing = own.root / "changing.safetensors"
    save_endless(changing)
    stream, job = begin(service, changing.name)
    next(message for message in stream if message.bytes_done)
    os.truncate(changing, 1 << 20)
    refused(lambda: list(stream), grpc.StatusCode.ABORTED, "changing.safetensors", "became shorter")
    assert state(service, job) == "failed"
    assert gathered(service.stream("Verify", "a.safetensors")).verdict == "pass"


def test_jobs_wait_for_a_place_and_beyond_that_are_refused(own, service):
    refusals = metric(own, 'tritd_limit_refusals_total{limit="jobs_waiting"}')
    _, running = begin(service, detach=True)
    kept = [begin(service, "a.safetensors") for _ in range(2)]
    assert [state(service, job) for _, job in kept] == ["waiting"] * 2
    assert metric(own, "tritd_jobs_waiting") == 2
    stream = service.stream("Inspect", "a.safetensors")
    refused(lambda: list(stream), EXHAUSTED, "jobs-waiting-max")
    assert int(dict(stream.trailing_metadata())["grpc-retry-pushback-ms"]) > 0
    assert metric(own, 'tritd_limit_refusals_total{limit="jobs_waiting"}') > refusals
    service.cancel(kept[1][1])
    refused(lambda: list(kept[1][0]), CANCELLED)
    service.cancel(running)
    assert gathered(kept[0][0]).verdict == "pass"
    assert [job.job for job in service.jobs()] == [kept[1][1], kept[0][1], running]


def test_streams_of_jobs_have_a_bound(own, service):
    """A connection has at most 96 of them, those that start a job and those of Attach together."""
    refusals = metric(own, 'tritd_limit_refusals_total{limit="job_streams"}')
    stream, job = begin(service)
    attached = [service.attach(job) for _ in range(95)]
    for one in attached:
        next(iter(one))
    assert metric(own, "tritd_job_streams") == 96
    refused(lambda: list(service.attach(job)), EXHAUSTED, "streams of jobs", "96 on a connection")
    refused(lambda: list(service.stream("Inspect", "a.safetensors")), EXHAUSTED, "streams of jobs")
    assert metric(own, 'tritd_limit_refusals_total{limit="job_streams"}') == refusals + 2
    assert [one.job for one in service.jobs() if not one.ended_unix_ns] == [job]
    attached[0].cancel()
    wait_for(lambda: metric(own, "tritd_job_streams") == 95)
    next(iter(service.attach(job)))
    stream.cancel()
    wait_for(lambda: metric(own, "tritd_job_streams") == 0)


def test_what_a_waiting_job_holds_is_charged_to_the_budget(own, service):
    """Its call takes as much as one that only watches; the job itself some 36 KiB more."""
    def charged():
        return metric(own, "tritd_memory_budget_used_bytes")

    stream, job = begin(service)
    wait_for(lambda: state(service, job) == "running")
    before = charged()
    attached = service.attach(job)
    next(attached)
    watching = charged() - before
    waiting, _ = begin(service, "a.safetensors")
    assert charged() - before - watching > watching + (24 << 10)
    for one in (stream, attached, waiting):
        one.cancel()


def test_a_job_waits_for_the_memory_of_another(own, tmp_path):
    daemon = Daemon(tmp_path, "--checkpoint-root", own.root, "--jobs-max", 4, "--memory-max", 100 << 20,
                    durable=False)
    service = Checkpoints(daemon)
    _, running = begin(service, detach=True)
    stream, waiting = begin(service, "a.safetensors")
    assert state(service, waiting) == "waiting"
    service.cancel(running)
    assert gathered(stream).verdict == "pass"
    assert daemon.stop() == 0, daemon.log()[-4000:]


def test_results_of_the_newest_jobs_are_kept(own, service):
    names = [gathered(service.stream("Verify", "a.safetensors")).messages[0].job for _ in range(5)]
    assert [job.job for job in service.jobs()] == names[:1:-1]
    assert metric(own, "tritd_jobs_kept") == 3
    refused(lambda: list(service.attach(names[0])), grpc.StatusCode.NOT_FOUND, names[0])
    assert finished(own, "verify", "pass") >= 5


def test_metrics_count_jobs_by_kind_and_result(own, service, tmp_path):
    """Metrics count jobs by kind and result, and the bytes and tensors of jobs that came to a
    result."""
    totals = [f"tritd_jobs_{name}_total" for name in ("read_bytes", "written_bytes", "tensors")]
    counted = [("verify", "pass"), ("verify", "fail"), ("verify", "failed"), ("inspect", "pass"),
               ("project", "pass"), ("plan", "fail"), ("verify", "cancelled")]

    def all_counts():
        return [finished(own, *one) for one in counted], [metric(own, name) for name in totals]

    before, sums = all_counts()
    assert service.run("Verify", "a.safetensors").verdict == "pass"
    assert service.run("Inspect", "a.safetensors").verdict == "pass"
    assert service.run("Plan", "a.safetensors", {"exclude": ["*"]}).verdict == "fail"
    assert service.run("Project", "latents.safetensors", output="a.out", force=True).verdict == "pass"
    assert service.run("Verify", "latents.safetensors").verdict == "fail"
    refused(lambda: service.run("Verify", "missing"), grpc.StatusCode.NOT_FOUND)
    after, new_sums = all_counts()
    assert [new - old for new, old in zip(after, before)] == [1, 1, 1, 1, 1, 1, 0]
    assert [new - old for new, old in zip(new_sums, sums)] == [3 * 2048, 2048, 3]
    stream, _ = begin(service)
    wait_for(lambda: metric(own, totals[0]) > new_sums[0])  # counted while the job runs
    stream.cancel()
    wait_for(lambda: finished(own, *counted[-1]) == before[-1] + 1)


def test_without_a_root_the_service_says_what_to_set(start):
    own = start(durable=False)
    service = Checkpoints(own)
    for call in (lambda: service.run("Verify", "a"), service.jobs, lambda: service.cancel("a"),
                 lambda: list(service.attach("a"))):
        refused(call, grpc.StatusCode.FAILED_PRECONDITION, "--checkpoint-root")
    assert own.stop(seconds=CALL_SECONDS) == 0


def test_a_daemon_that_stops_ends_its_jobs(tmp_path, start):
    save_endless(tmp_path / ENDLESS)
    own = start("--checkpoint-root", tmp_path, durable=False)
    stream, _ = begin(Checkpoints(own), detach=True)
    own.process.send_signal(signal.SIGTERM)
    refused(lambda: list(stream), grpc.StatusCode.UNAVAILABLE, "draining")
    assert own.stop(seconds=CALL_SECONDS) == 0
