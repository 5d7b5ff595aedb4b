# SPDX-License-Identifier: Apache-2.0
"""Jobs outlive the daemon: those that ended are listed with their results, detached ones go on,
others are offered to whoever asks the same again."""
import json
import signal
import subprocess
import urllib.request

import grpc
import pytest

from checkpoints import save
from failing import LIBRARY, leftovers
from jobs import Checkpoints, gathered, metric, wait_for
from test_checkpoints import tensors
from test_jobs import ENDLESS, save_endless
from test_jobs_project import contents
from test_stale import Clock
from tritd import BINARIES, CALL_SECONDS, RUNNER, VARIANT, refused

PLAIN = pytest.mark.skipif(VARIANT not in ("release", "cov"),
                           reason="a library that is loaded first disturbs sanitizers and emulators")


@pytest.fixture
def root(tmp_path, random):
    folder = tmp_path / "root"
    folder.mkdir()
    save(folder / "a.safetensors", tensors(random, 6))
    return folder


def daemon(start, root, *words, **fields):
    return start("--checkpoint-root", root, "--jobs-flush-ms", 0, *words, **fields)


def wait_hanging(root, hang):
    """The job flushes its first tensors. Before, it has nothing that is worth keeping."""
    wait_for(lambda: hang.with_suffix(".reached").exists() and len(leftovers(root)) == 2)


def files(own):
    return sorted((own.folder / "data" / "jobs").iterdir())


def test_jobs_that_ended_are_listed_after_a_restart(start, root):
    own = daemon(start, root)
    service = Checkpoints(own)
    done = gathered(service.stream("Verify", "a.safetensors", mode=1))
    with pytest.raises(grpc.RpcError):
        service.run("Verify", "none.safetensors")
    before = service.jobs()
    assert [job.state for job in before] == ["failed", "done"] and len(files(own)) == 2
    own.kill()
    own = daemon(start, root)
    service = Checkpoints(own)
    assert service.jobs() == before and metric(own, "tritd_jobs_kept") == 2
    again = gathered(service.attach(done.messages[0].job))
    assert again.reports == done.reports
    assert (again.verdict, again.json) == (done.verdict, done.json)
    refused(lambda: list(service.attach(before[0].job)), grpc.StatusCode.NOT_FOUND, "none.safetensors")
    check = subprocess.run([*RUNNER, str(BINARIES / "tritd"), "--data-dir", str(own.folder / "data"), "--check-data"],
                           capture_output=True, text=True, timeout=CALL_SECONDS)
    assert check.returncode != 0 and "process" in check.stderr  # the daemon holds it
    assert own.stop(seconds=CALL_SECONDS) == 0


def test_a_damaged_file_is_told_and_hides_no_other_job(start, root):
    own = daemon(start, root)
    for _ in range(2):
        Checkpoints(own).run("Inspect", "a.safetensors")
    assert own.stop(seconds=CALL_SECONDS) == 0
    broken = files(own)[0]
    blob = bytearray(broken.read_bytes())
    blob[len(blob) // 2] ^= 1
    broken.write_bytes(blob)
    check = subprocess.run([*RUNNER, str(BINARIES / "tritd"), "--data-dir", str(own.folder / "data"), "--check-data"],
                           capture_output=True, text=True, timeout=CALL_SECONDS)
    assert check.returncode == 1 and broken.name in check.stdout and "1 jobs: damaged" in check.stdout
    own = daemon(start, root)
    assert [job.job + ".job" for job in Checkpoints(own).jobs()] == [files(own)[1].name]
    own.wait_log("job_damaged", broken.name)


def test_a_detached_job_goes_on_after_a_kill_and_an_attached_one_is_offered(start, root):
    save_endless(root / ENDLESS)
    own = daemon(start, root)
    service = Checkpoints(own)
    streams = [service.stream("Verify", ENDLESS, detach=detach) for detach in (True, False)]
    names = [next(message for message in stream if message.bytes_done).job for stream in streams]
    own.kill()
    for starts in (2, 3):
        own = daemon(start, root)
        service = Checkpoints(own)
        assert {job.job: job.state for job in service.jobs()}[names[1]] == "interrupted"
        wait_for(lambda: service.job(names[0]).bytes_done)
        assert service.job(names[0]).state == "running"
        refused(lambda: list(service.attach(names[1])), grpc.StatusCode.ABORTED, "same request")
        own.kill()
    own = daemon(start, root)  # it may be why the daemons ended
    service = Checkpoints(own)
    assert {job.state for job in service.jobs()} == {"interrupted"}
    refused(lambda: list(service.attach(names[0])), grpc.StatusCode.ABORTED, "3 daemons")
    service.cancel(names[0])
    assert service.job(names[0]).state == "cancelled"
    assert own.stop(seconds=CALL_SECONDS) == 0


@PLAIN
def test_only_jobs_that_write_or_outlive_their_client_wait_for_the_disk(start, root, tmp_path):
    hang = tmp_path / "hang"
    own = daemon(start, root, env={"LD_PRELOAD": str(LIBRARY), "FAILING_HANGS": str(hang)})
    service = Checkpoints(own)
    hang.touch()  # flushes wait from here on
    assert service.run("Verify", "a.safetensors", mode=1).verdict
    assert [job.state for job in service.jobs()] == ["done"]
    assert [file.suffix for file in files(own)] == [".job"]
    for method, fields in (("Verify", {"mode": 1, "detach": True}),
                           ("Project", {"options": {"encoding": 2}, "output": "out.gguf"})):
        name = next(iter(service.stream(method, "a.safetensors", **fields))).job
        wait_for(hang.with_suffix(".reached").exists)
        assert service.job(name).state == "running"
        hang.unlink()
        wait_for(lambda name=name: service.job(name).state != "running")
        hang.touch()
    hang.unlink()


def journal_of(name):
    """The journal of an output that is not finished."""
    value = 2166136261
    for byte in name.encode():
        value = (value ^ byte) * 16777619 % 2**32
    return f".{name}.trit-{value:08x}.log"


@PLAIN
@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_detached_projection_goes_on_by_itself(start, root, tmp_path, how):
    """The daemon ends while the first tensors are flushed, which takes until then."""
    hang = tmp_path / "hang"
    hang.symlink_to(root / journal_of("out.gguf"))
    own = daemon(start, root, env={"LD_PRELOAD": str(LIBRARY), "FAILING_HANGS": str(hang)})
    service = Checkpoints(own)
    whole = service.run("Project", "a.safetensors", {"encoding": 2}, output="whole.gguf")
    stream = service.stream("Project", "a.safetensors", {"encoding": 2}, output="out.gguf", detach=True)
    name = next(iter(stream)).job
    wait_hanging(root, hang)
    if how == "kill":
        own.kill()
    else:
        own.process.send_signal(signal.SIGTERM)
        refused(lambda: list(stream), grpc.StatusCode.UNAVAILABLE, "draining")
        own.wait_log("jobs_interrupted")
        hang.unlink()
        assert own.stop(seconds=CALL_SECONDS) == 0
    assert not (root / "out.gguf").exists() and len(leftovers(root)) == 2
    own = daemon(start, root)
    service = Checkpoints(own)
    result = gathered(service.attach(name))
    reused = result.messages[-1].tensors_reused
    assert result.verdict == "pass" and (reused > 0) == (how == "stop")
    assert service.job(name).detach and service.job(name).tensors_reused == reused
    assert metric(own, "tritd_jobs_tensors_reused_total") == reused
    assert contents(root / "out.gguf") == contents(root / "whole.gguf")
    assert len(result.reports) == len(whole.reports) and not leftovers(root)


def measured(result):
    """The reports without the times at which they were made."""
    for message in result.reports:
        message.report.time_unix_ns = 0
    return [message.report for message in result.reports]


def killed_at(start, root, calls, nth, output, force):
    """A daemon was killed before the nth of these calls, while a detached job wrote the output. The name of
    the job is that of its file: the kill may come before the daemon has sent it."""
    own = daemon(start, root, env={"LD_PRELOAD": str(LIBRARY), "FAILING_CALLS": calls, "FAILING_NTH": str(nth),
                                   "FAILING_HOW": f"signal {int(signal.SIGKILL)}"})
    before = files(own)
    stream = Checkpoints(own).stream("Project", "a.safetensors", {"encoding": 2}, output=output, force=force, detach=True)
    refused(lambda: list(stream), grpc.StatusCode.UNAVAILABLE)
    assert own.process.wait(CALL_SECONDS) == -signal.SIGKILL
    name, = {file.stem for file in files(own) if file.suffix == ".job"} - {file.stem for file in before}
    return name


# The call before which the daemon is killed, counted from 1, and whether the output has its name then. Of
# renames the first three are of the job's own file, which is replaced three times before the output is named.
@PLAIN
@pytest.mark.parametrize("output, force, calls, nth, named", [
    ("out.gguf", False, "link", 1, False), ("out.gguf", False, "unlink", 1, True),
    ("out.gguf", True, "rename", 4, False), ("out.gguf", True, "rename", 5, True),
    ("out", False, "rename", 4, False), ("out", True, "unlink", 1, True)])
def test_a_job_is_done_if_its_output_got_its_name_before_a_kill(start, root, output, force, calls, nth, named):
    own = daemon(start, root)
    service = Checkpoints(own)
    whole = service.run("Project", "a.safetensors", {"encoding": 2}, output="whole." + output)
    if force:
        service.run("Project", "a.safetensors", {"encoding": 3}, output=output)
    own.kill()
    name = killed_at(start, root, calls, nth, output, force)
    own = daemon(start, root)
    service = Checkpoints(own)
    if named:
        assert service.job(name).state == "done"
    result = gathered(service.attach(name))
    assert result.verdict == "pass" and measured(result) == measured(whole)
    assert result.json["output"] == output and len(result.json["layers"]) == len(whole.json["layers"]) > 0
    assert contents(root / output) == contents(root / ("whole." + output)) and not leftovers(root)
    job = service.job(name)
    assert job.ended_unix_ns >= job.started_unix_ns and job.tensors_done == job.tensors_total
    own.kill()  # it was written that it is done, whatever becomes of the output
    (root / output).rename(root / ("moved." + output))
    assert Checkpoints(daemon(start, root)).job(name) == job


@PLAIN
def test_a_job_whose_output_cannot_be_named_shows_no_result(start, root):
    own = daemon(start, root, env={"LD_PRELOAD": str(LIBRARY), "FAILING_CALLS": "link", "FAILING_NTH": "1",
                                   "FAILING_HOW": "errno 5"})
    service = Checkpoints(own)
    messages = []
    refused(lambda: messages.extend(service.stream("Project", "a.safetensors", {"encoding": 2}, output="out.gguf")),
            grpc.StatusCode.UNAVAILABLE, "name it")
    name = service.jobs()[0].job
    for _ in range(2):
        refused(lambda: messages.extend(service.attach(name)), grpc.StatusCode.UNAVAILABLE, "name it")
        own.kill()
        own = daemon(start, root)
        service = Checkpoints(own)
        assert service.job(name).state == "failed" and not service.job(name).verdict
    assert not any(message.result for message in messages) and list(root.iterdir()) == [root / "a.safetensors"]


@PLAIN
@pytest.mark.parametrize("change, status", [("source", "NOT_FOUND"), ("output", "ALREADY_EXISTS")])
def test_a_job_that_cannot_go_on_leaves_nothing(start, root, tmp_path, change, status):
    hang = tmp_path / "hang"
    hang.symlink_to(root / journal_of("out.gguf"))
    own = daemon(start, root, env={"LD_PRELOAD": str(LIBRARY), "FAILING_HANGS": str(hang)})
    stream = Checkpoints(own).stream("Project", "a.safetensors", {"encoding": 2}, output="out.gguf", detach=True)
    name = next(iter(stream)).job
    wait_hanging(root, hang)
    own.process.send_signal(signal.SIGTERM)
    refused(lambda: list(stream), grpc.StatusCode.UNAVAILABLE, "draining")
    own.wait_log("jobs_interrupted")
    hang.unlink()
    assert own.stop(seconds=CALL_SECONDS) == 0 and len(leftovers(root)) == 2
    if change == "source":
        (root / "a.safetensors").unlink()
    else:
        (root / "out.gguf").write_text("another")
    service = Checkpoints(daemon(start, root))
    refused(lambda: list(service.attach(name)), getattr(grpc.StatusCode, status))
    assert service.job(name).state == "failed" and not leftovers(root)


def crashed(start, root, hang, *words, **fields):
    """A daemon died while it flushed the first tensors of an attached job's output. The next one, and the
    name of the job."""
    hang.symlink_to(root / journal_of("out.gguf"))
    own = daemon(start, root, env={"LD_PRELOAD": str(LIBRARY), "FAILING_HANGS": str(hang)})
    stream = Checkpoints(own).stream("Project", "a.safetensors", {"encoding": 2}, output="out.gguf")
    name = next(iter(stream)).job
    wait_hanging(root, hang)
    own.kill()
    hang.unlink()
    own = daemon(start, root, *words, **fields)
    assert Checkpoints(own).job(name).state == "interrupted"
    return own, name


@PLAIN
def test_a_stop_that_cuts_off_a_client_interrupts_its_job(start, root, tmp_path):
    hang = tmp_path / "hang"
    hang.symlink_to(root / journal_of("out.gguf"))
    own = daemon(start, root, env={"LD_PRELOAD": str(LIBRARY), "FAILING_HANGS": str(hang)})
    stream = Checkpoints(own).stream("Project", "a.safetensors", {"encoding": 2}, output="out.gguf")
    name = next(iter(stream)).job
    wait_hanging(root, hang)
    for event in ("draining", "aborting"):
        own.process.send_signal(signal.SIGTERM)
        own.wait_log("event=" + event)
    refused(lambda: list(stream), grpc.StatusCode.UNAVAILABLE)
    own.wait_log("jobs_interrupted")
    hang.unlink()
    assert own.process.wait(CALL_SECONDS) == 0 and len(leftovers(root)) == 2
    assert own.log().count("event=jobs_interrupted") == 1
    service = Checkpoints(daemon(start, root))
    assert service.job(name).state == "interrupted"
    result = service.run("Project", "a.safetensors", {"encoding": 2}, output="out.gguf")
    assert result.verdict == "pass" and result.messages[-1].tensors_reused > 0 and not leftovers(root)


@PLAIN
def test_an_interrupted_job_is_cancelled_or_takes_its_place_again(start, root, tmp_path):
    own, name = crashed(start, root, tmp_path / "hang")
    service = Checkpoints(own)
    service.cancel(name)
    assert service.job(name).state == "cancelled" and not leftovers(root)
    assert own.stop(seconds=CALL_SECONDS) == 0
    own, again = crashed(start, root, tmp_path / "hang")
    service = Checkpoints(own)
    assert service.run("Project", "a.safetensors", {"encoding": 2}, output="out.gguf").verdict == "pass"
    assert [job.state for job in service.jobs()] == ["done", "cancelled"] and not leftovers(root)
    refused(lambda: list(service.attach(again)), grpc.StatusCode.NOT_FOUND, again)


@PLAIN
def test_an_interrupted_job_stays_while_others_only_speak_of_its_output(start, root, tmp_path):
    """A plan and a dry run write nothing. A request that fails, or is cancelled while it waits, removes what
    the interrupted job left, because nothing is listed any more that could."""
    own, name = crashed(start, root, tmp_path / "hang", "--jobs-max", 1)
    service = Checkpoints(own)
    for method, fields in (("Plan", {}), ("Pack", {"dry_run": True})):
        job = service.run(method, "a.safetensors", {"encoding": 2}, output="out.gguf", **fields).messages[0].job
        service.cancel(job)
    assert service.job(name).state == "interrupted" and len(leftovers(root)) == 2
    refused(lambda: service.run("Project", "none.safetensors", {"encoding": 2}, output="out.gguf"),
            grpc.StatusCode.NOT_FOUND, "none.safetensors")
    assert name not in [job.job for job in service.jobs()] and not leftovers(root)


@PLAIN
def test_a_job_that_waits_takes_what_an_interrupted_one_left(start, root, tmp_path):
    save_endless(root / ENDLESS)
    own, name = crashed(start, root, tmp_path / "hang", "--jobs-max", 1)
    service = Checkpoints(own)
    first = service.stream("Verify", ENDLESS)
    next(iter(first))
    waiting = service.stream("Project", "a.safetensors", {"encoding": 2}, output="out.gguf")
    job = next(iter(waiting)).job
    assert name not in [job.job for job in service.jobs()] and len(leftovers(root)) == 2
    service.cancel(job)
    refused(lambda: list(waiting), grpc.StatusCode.CANCELLED)
    assert not leftovers(root)


def test_a_stop_interrupts_a_job_that_waits(start, root):
    """A job that waits at a stop is interrupted and not cancelled."""
    save_endless(root / ENDLESS)
    own = daemon(start, root, "--jobs-max", 1, "--drain-ms", 1)
    service = Checkpoints(own)
    streams = [service.stream("Verify", ENDLESS) for _ in range(2)]
    names = [next(iter(stream)).job for stream in streams]
    assert own.stop(seconds=CALL_SECONDS) == 0
    service = Checkpoints(daemon(start, root))
    assert [service.job(name).state for name in names] == ["interrupted"] * 2


def test_a_stop_waits_for_no_job_that_has_not_begun(start, root):
    """It waits behind one that goes on without a client. Its client is told to ask again."""
    save_endless(root / ENDLESS)
    own = daemon(start, root, "--jobs-max", 1, "--drain-ms", 600000)
    service = Checkpoints(own)
    first = service.stream("Verify", ENDLESS, detach=True)
    next(iter(first))
    waits = service.stream("Verify", ENDLESS)
    assert next(iter(waits)).job
    own.process.send_signal(signal.SIGTERM)
    refused(lambda: list(waits), grpc.StatusCode.UNAVAILABLE, "draining")
    assert own.process.wait(CALL_SECONDS) == 0


def test_what_the_end_of_a_drain_cuts_off_gets_a_status(start, root):
    save_endless(root / ENDLESS)
    own = daemon(start, root, "--drain-ms", 1)
    stream = Checkpoints(own).stream("Verify", ENDLESS)
    assert next(iter(stream)).job
    own.process.send_signal(signal.SIGTERM)
    refused(lambda: list(stream), grpc.StatusCode.UNAVAILABLE, "drain_ms_max = 1 ms")
    assert own.process.wait(CALL_SECONDS) == 0


def test_a_root_that_is_replaced_serves_no_job(start, root):
    """The daemon would read and write files that its path does not lead to."""
    own = daemon(start, root)
    service = Checkpoints(own)
    root.rename(root.with_name("moved"))
    root.mkdir()
    for method, fields in (("Verify", {}), ("Project", {"output": "out.gguf"})):
        refused(lambda: service.run(method, "a.safetensors", **fields), grpc.StatusCode.FAILED_PRECONDITION,
                str(root), "restart")
    root.rmdir()
    root.with_name("moved").rename(root)
    assert service.run("Inspect", "a.safetensors").verdict == "pass"


@PLAIN
def test_ended_jobs_are_forgotten_after_a_time(start, root, tmp_path):
    """What an interrupted one left unfinished is removed."""
    clock = Clock(tmp_path / "clock")
    own, _ = crashed(start, root, tmp_path / "hang", "--jobs-kept-s", 3600,
                     env={"LD_PRELOAD": str(LIBRARY), "FAILING_CLOCK": str(clock.path)})
    service = Checkpoints(own)
    service.run("Inspect", "a.safetensors")
    assert len(service.jobs()) == 2 and len(files(own)) == 2 and len(leftovers(root)) == 2
    clock.ahead(3601)
    wait_for(lambda: metric(own, "tritd_jobs_kept") == 0)  # nobody has listed them
    with urllib.request.urlopen(f"http://{own.http}/v1/jobs", timeout=CALL_SECONDS) as reply:
        assert not json.load(reply)["jobs"]
    assert not service.jobs() and not files(own) and not leftovers(root)
    assert metric(own, "tritd_jobs_kept") == 0
