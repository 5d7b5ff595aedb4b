# SPDX-License-Identifier: Apache-2.0
"""Jobs over checkpoints on the daemon's disk: the blocking client and that for asyncio."""

import asyncio
import gc
import json
import threading
import time

import numpy as np
import pytest

import trit
import trit.aio
from checkpoints import write
from trit._job_stream import WAITING_MAX

SECONDS = 60
ENDLESS = "endless.safetensors"


def save(path, arrays):
    """A safetensors file of f32 arrays."""
    write(path, {name: ("F32", list(one.shape), one.tobytes()) for name, one in arrays.items()})


@pytest.fixture(scope="module")
def files(daemon):
    """The daemon's root: latents, and a file whose 2 TiB of zeros no job comes to the end of."""
    random = np.random.default_rng(5)
    weights = {
        name: random.standard_normal((8, 256)).astype(np.float32)
        for name in ("a.weight", "b.weight")
    }
    save(daemon.root / "latents.safetensors", {**weights, "norm.weight": np.ones(4, np.float32)})
    shape, size = [1 << 20, 1 << 20], 1 << 41
    entry = {"dtype": "BF16", "shape": shape, "data_offsets": [0, size]}
    header = json.dumps({"l.weight": entry}).encode()
    with open(daemon.root / ENDLESS, "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size)
    return daemon.root


@pytest.fixture
def jobs(client, files):
    yield client.checkpoints
    for one in client.checkpoints.jobs():
        if one.ended_unix_ns is None:
            client.checkpoints.cancel(one.job)


def info(jobs, name):
    """What the daemon says about a job."""
    return next(one for one in jobs.jobs() if one.job == name)


def wait_for(condition):
    """Waits until it holds."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# ---- results -----------------------------------------------------------------------------


def test_a_projection_gives_progress_and_what_the_local_call_gives(client, jobs, files):
    """The output is byte for byte the same, and so are the reports."""
    job = jobs.project("latents.safetensors", "out.safetensors", encoding="int8", force=True)
    seen = list(job)
    result = job.result()
    local = client.checkpoint.project(
        files / "latents.safetensors", files / "local.safetensors", encoding="int8", force=True
    )
    assert (files / "out.safetensors").read_bytes() == (files / "local.safetensors").read_bytes()
    assert isinstance(result, trit.ProjectResult) and result.tensors is None
    assert (result.layers, result.ternary, result.kept) == (local.layers, 4096, 4)
    for name in local.layers:
        assert result.reports[name].digest == local.reports[name].digest
    assert [one.layer for one in seen if one.report] == ["a.weight", "b.weight"]
    assert {one.job for one in seen} == {job.job}
    last = seen[-1]
    assert (last.state, last.verdict, last.tensors_done, last.tensors_total) == (
        "done",
        "pass",
        3,
        3,
    )
    assert last.bytes_done == last.bytes_total == 2 * 8192 + 16
    assert jobs.verify("out.safetensors", against="latents.safetensors").result().verdict == "pass"


def test_results_equal_those_of_the_local_calls(client, jobs, files):
    path = files / "latents.safetensors"
    plan = jobs.plan("latents.safetensors", encoding="pq2_0").result()
    assert plan == client.checkpoint.plan(path, encoding="pq2_0")
    verified = jobs.verify("latents.safetensors").result()
    local = client.checkpoint.verify(path)
    assert verified.findings == local.findings and verified.verdict == local.verdict == "fail"
    assert (verified.examined, verified.kept) == (local.examined, local.kept)
    found = jobs.inspect("latents.safetensors").result()
    assert found == client.checkpoint.inspect(path)


def test_the_record_of_a_file_names_its_encoding(jobs):
    job = jobs.project("latents.safetensors", "int8.safetensors", encoding="int8", force=True)
    job.result()
    assert jobs.inspect("int8.safetensors").result().encoding == trit.Encoding.INT8


def test_options_reach_the_daemon(jobs):
    assert jobs.verify("latents.safetensors", include="a.*", mode="latent").result().layers == (
        "a.weight",
    )
    assert jobs.plan("latents.safetensors", exclude=["a.*"]).result().layers == ("b.weight",)
    with pytest.raises(trit.InvalidArgument, match="matches no tensor"):
        jobs.inspect("latents.safetensors", include="none.*").result()
    with pytest.raises(trit.InvalidArgument, match="tolerance"):
        jobs.verify("latents.safetensors", tolerance=0.6).result()


def test_a_projection_that_the_plan_refuses_names_the_tensors(jobs, files):
    save(files / "ternary.safetensors", {"l.weight": np.eye(4, 128, dtype=np.float32)})
    with pytest.raises(trit.InvalidArgument, match=r"l\.weight: .*Nothing is written"):
        jobs.project("ternary.safetensors", "again.safetensors").result()
    assert not (files / "again.safetensors").exists()
    assert not jobs.plan("ternary.safetensors").result().possible


def test_packed_files_equal_those_of_the_local_calls(client, jobs, files):
    dense, packed = "dense.safetensors", "packed.safetensors"
    jobs.project("latents.safetensors", dense, force=True).result()
    job = jobs.pack(dense, packed, encoding="int8", force=True)
    assert [one.layer for one in job if one.report] == ["a.weight", "b.weight"]
    result = job.result()
    assert (result.layers, result.passed_through, result.scales_rounded) == (2, 1, 0)
    assert result.encoding == trit.Encoding.INT8 and list(result.reports) == [
        "a.weight",
        "b.weight",
    ]
    client.checkpoint.pack(files / dense, files / "local.int8.safetensors", encoding="int8")
    assert (files / packed).read_bytes() == (files / "local.int8.safetensors").read_bytes()
    unpacked = jobs.unpack(packed, "again.f32.safetensors", dtype="f32", keep_names=True).result()
    assert (unpacked.encoding, unpacked.reports) == (trit.Encoding.DENSE, {})
    client.checkpoint.unpack(files / packed, files / "local.f32.safetensors", dtype="f32")
    assert (files / "again.f32.safetensors").read_bytes() == (
        files / "local.f32.safetensors"
    ).read_bytes()
    with pytest.raises(trit.InvalidArgument, match=r"a\.weight"):
        jobs.pack("latents.safetensors", "never.safetensors", encoding="int8").result()


def test_a_diff_says_what_differs(jobs, files):
    weights = np.full((2, 128), 0.5, np.float32)
    other = weights.copy()
    other[1, 3] = -0.5
    save(files / "one.safetensors", {"l.weight": weights, "n.weight": weights[0]})
    save(files / "two.safetensors", {"l.weight": other, "n.weight": other[1]})
    same = jobs.diff("one.safetensors", "one.safetensors").result()
    assert same.equal and same.layers["l.weight"].first is None
    job = jobs.diff("one.safetensors", "two.safetensors")
    assert list(job)[-1].verdict == "fail"
    found = job.result()
    layer = found.layers["l.weight"]
    assert not found.equal and not layer.equal
    assert (layer.elements, layer.codes_differing, layer.first) == (256, 1, 131)
    assert sum(layer.transitions) == 256 and layer.transitions[8] == 255
    assert layer.scale_ratio_max == 1 and found.tensors["n.weight"]
    found = jobs.diff("one.safetensors", "two.safetensors", exclude="l.*").result()
    assert not found.layers and found.tensors["l.weight"]


def test_jobs_without_reports_come_to_the_same(jobs, files):
    options = {"encoding": "int8", "force": True}
    jobs.project("latents.safetensors", "with.safetensors", **options).result()
    job = jobs.project("latents.safetensors", "without.safetensors", report="none", **options)
    assert not any(one.report for one in job) and job.result().reports == {}
    assert (files / "with.safetensors").read_bytes() == (
        files / "without.safetensors"
    ).read_bytes()
    assert jobs.verify("with.safetensors", report="none").result().verdict == "pass"


# ---- errors ------------------------------------------------------------------------------


def test_a_job_that_fails_raises_at_the_end_of_its_progress(jobs):
    job = jobs.verify("missing.safetensors")
    for _ in range(2):
        with pytest.raises(trit.NotFound, match="missing") as raised:
            for _ in job:
                pass
        assert raised.value.field == "path"
        with pytest.raises(trit.NotFound, match="missing"):
            job.result()
    failed = info(jobs, job.job)
    assert failed.state == "failed" and isinstance(failed.error, trit.NotFound)
    with pytest.raises(trit.InvalidArgument, match=r"\.\."):
        jobs.inspect("../x").result()


def test_arguments_are_checked_before_a_job_starts(jobs):
    for call, field in (
        (lambda: jobs.inspect(3), "path"),
        (lambda: jobs.verify("x", against=3), "against"),
        (lambda: jobs.verify("x", mode="none"), "mode"),
        (lambda: jobs.verify("x", tolerance="1"), "tolerance"),
        (lambda: jobs.project("x", "y", encoding="pq"), "encoding"),
        (lambda: jobs.project("x", "y", shard_bytes=0), "shard_bytes"),
        (lambda: jobs.project("x", 3), "out"),
        (lambda: jobs.plan("x", detach=1), "detach"),
        (lambda: jobs.pack("x", "y", encoding="pq"), "encoding"),
        (lambda: jobs.pack("x", "y", encoding="int8", report="all"), "report"),
        (lambda: jobs.unpack("x", "y", dtype="i9"), "dtype"),
        (lambda: jobs.project("x", "y", keep_names=1), "keep_names"),
        (lambda: jobs.diff("x", None), "against"),
        (lambda: jobs.plan("x", timeout=-1), "timeout"),
        (lambda: jobs.plan("x", include=["p"] * 65), "include"),
        (lambda: jobs.attach("x\0"), "job"),
        (lambda: jobs.jobs(timeout="1"), "timeout"),
    ):
        with pytest.raises(trit.InvalidArgument) as refused:
            call()
        assert refused.value.field == field


def test_a_job_that_does_not_exist_is_not_found(jobs):
    for call in (lambda: jobs.attach("0123456789abcdef"), lambda: jobs.cancel("no such job")):
        with pytest.raises(trit.NotFound, match="no job is called"):
            call()


def test_a_timeout_is_for_the_whole_job(jobs):
    with pytest.raises(trit.DeadlineExceeded):
        jobs.verify(ENDLESS, timeout=0.5).result()
    wait_for(lambda: jobs.jobs()[0].path != ENDLESS or jobs.jobs()[0].state == "cancelled")


# ---- watching, cancelling, leaving ---------------------------------------------------------


def test_a_running_job_is_watched_and_cancelled(jobs):
    job = jobs.verify(ENDLESS, timeout=SECONDS)
    moving = next(one for one in job if one.bytes_done)
    assert (moving.state, moving.layer, moving.verdict) == ("running", "l.weight", None)
    assert moving.bytes_per_second > 0 and moving.seconds_left > 0
    watch = jobs.attach(job.job)
    assert watch.job == job.job and next(watch).job == job.job
    jobs.cancel(job.job)
    for one in (job, watch):
        with pytest.raises(trit.Cancelled):
            one.result()
    assert info(jobs, job.job).state == "cancelled"


def test_a_job_that_is_dropped_is_cancelled(jobs):
    job = jobs.verify(ENDLESS)
    name = job.job
    del job
    gc.collect()
    wait_for(lambda: info(jobs, name).state == "cancelled")


def test_a_detached_job_goes_on_without_its_client(daemon, jobs):
    with trit.Client(daemon.rpc) as other:
        name = other.checkpoints.verify(ENDLESS, detach=True).job
    with jobs.attach(name, timeout=SECONDS) as watch:
        next(one for one in watch if one.bytes_done)
    assert info(jobs, name).state == "running" and info(jobs, name).detach
    jobs.cancel(name)


def test_closing_ends_the_iteration(jobs):
    with jobs.verify(ENDLESS) as job:
        next(job)
    job.close()
    for _ in job:
        pass
    with pytest.raises(trit.Cancelled):
        job.result()
    wait_for(lambda: info(jobs, job.job).state == "cancelled")


def test_a_closed_client_ends_its_jobs(daemon, jobs):
    other = trit.Client(daemon.rpc)
    job = other.checkpoints.verify(ENDLESS)
    other.close()
    with pytest.raises(trit.Cancelled):
        job.result()
    with pytest.raises(trit.FailedPrecondition, match="closed"):
        other.checkpoints.verify(ENDLESS)


def test_the_result_of_another_clients_job_has_its_kind(jobs):
    kinds = {
        trit.CheckpointInfo: jobs.inspect("latents.safetensors"),
        trit.checkpoint.ProjectPlan: jobs.plan("latents.safetensors"),
        trit.VerifyResult: jobs.verify("latents.safetensors"),
        trit.ProjectResult: jobs.project("latents.safetensors", "kind.safetensors", force=True),
        trit.DiffResult: jobs.diff("latents.safetensors", "latents.safetensors"),
    }
    for kind, job in kinds.items():
        watch = jobs.attach(job.job)
        assert isinstance(watch.result(), kind) and watch.result() == job.result()


def test_progress_that_is_not_read_is_bounded(jobs, files):
    """The rest waits in the daemon until it is read."""
    count = WAITING_MAX + 50
    save(
        files / "many.safetensors",
        {f"l{i:03}.weight": np.ones((2, 128), np.float32) for i in range(count)},
    )
    job = jobs.verify("many.safetensors")
    wait_for(lambda: len(job._stream._waiting) == WAITING_MAX)
    wait_for(lambda: info(jobs, job.job).state == "done")
    assert len(job._stream._waiting) == WAITING_MAX
    assert len(job.result().reports) == count


# ---- asyncio -------------------------------------------------------------------------------


def run_async(daemon, test):
    """Runs an async test with a client."""

    async def inside():
        async with trit.aio.Client(daemon.rpc, timeout=SECONDS) as client:
            await test(client.checkpoints)

    asyncio.run(asyncio.wait_for(inside(), 2 * SECONDS))


def test_asyncio_iterates_and_awaits_results(daemon, files):
    async def inside(jobs):
        job = await jobs.verify("latents.safetensors", mode="latent")
        seen = [one async for one in job]
        assert [one.layer for one in seen if one.report] == ["a.weight", "b.weight"]
        assert (await job.result()).verdict == seen[-1].verdict == "pass"
        assert (await jobs.jobs())[0].job == job.job
        with pytest.raises(trit.NotFound):
            await (await jobs.inspect("missing")).result()

    run_async(daemon, inside)


def test_many_jobs_of_asyncio_need_no_threads_of_the_client(daemon, files):
    """Twelve jobs are waited for while the client has eight threads."""

    async def inside(jobs):
        started = [await jobs.verify("latents.safetensors", mode="latent") for _ in range(12)]
        results = await asyncio.gather(*(job.result() for job in started))
        assert {one.verdict for one in results} == {"pass"}

    run_async(daemon, inside)


def test_a_cancelled_task_stops_waiting_and_a_closed_job_is_cancelled(daemon, files):
    async def inside(jobs):
        async with await jobs.verify(ENDLESS) as job:
            waiting = asyncio.create_task(job.result())
            while not (await jobs.jobs())[0].bytes_done:
                pass
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert (await jobs.jobs())[0].state == "running"
        while (await jobs.jobs())[0].state == "running":
            pass
        assert (await jobs.jobs())[0].state == "cancelled"

    run_async(daemon, inside)


def test_jobs_are_watched_by_many_threads(jobs):
    name = jobs.verify("latents.safetensors", mode="latent", detach=True).job
    verdicts = []
    threads = [
        threading.Thread(target=lambda: verdicts.append(jobs.attach(name).result().verdict))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert verdicts == ["pass"] * 4
