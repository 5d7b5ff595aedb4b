# SPDX-License-Identifier: Apache-2.0
"""A job whose daemon was killed goes on where it was: the output has the same bytes, and what was
done is not done again."""
import grpc
import numpy as np
import pytest

from checkpoints import save
from failing import LIBRARY, leftovers
from folders import save_folder
from jobs import Checkpoints, gathered, metric, wait_for
from test_checkpoints import tensors, timeless
from test_jobs_project import contents
from tritd import VARIANT, refused

pytestmark = pytest.mark.skipif(VARIANT not in ("release", "cov"), reason="a library that is loaded first disturbs sanitizers and emulators")

LAYERS = 6


class Crash:
    """Daemons over one root; the first one dies by itself at its nth call of a kind."""

    def __init__(self, root, start):
        self.root, self.start = root, start

    def daemon(self, *words, **fields):
        return self.start("--checkpoint-root", self.root, "--jobs-flush-ms", 0, *words, durable=False, **fields)

    def dies(self, nth, path, output, calls="fsync", options=None, **fields):
        own = self.daemon(env={"LD_PRELOAD": str(LIBRARY), "FAILING_CALLS": calls, "FAILING_NTH": str(nth),
                               "FAILING_HOW": "signal 9"})
        refused(lambda: list(Checkpoints(own).stream("Project", path, options or {"encoding": 2}, output=output,
                                                     **fields)), grpc.StatusCode.UNAVAILABLE)
        assert own.process.wait() == -9

    def dies_packing(self, nth, path, output, **fields):
        own = self.daemon(env={"LD_PRELOAD": str(LIBRARY), "FAILING_CALLS": "fsync", "FAILING_NTH": str(nth),
                               "FAILING_HOW": "signal 9"})
        refused(lambda: list(Checkpoints(own).stream("Pack", path, output=output, **fields)),
                grpc.StatusCode.UNAVAILABLE)
        assert own.process.wait() == -9

    def project(self, own, path, output, options=None, **fields):
        result = gathered(Checkpoints(own).stream("Project", path, options or {"encoding": 2}, output=output,
                                                  **fields))
        assert result.verdict == "pass"
        return result


@pytest.fixture
def crash(tmp_path, start):
    root = tmp_path / "root"
    root.mkdir()
    return Crash(root, start)


@pytest.mark.parametrize("output", ["out.safetensors", "out.gguf", "out"])
def test_a_job_goes_on_where_the_daemon_was_killed(crash, random, output):
    parts = tensors(random, LAYERS)
    names = list(parts)
    save_folder(crash.root / "model", [{name: parts[name] for name in names[:3]},
                                       {name: parts[name] for name in names[3:]}], {"model_type": "some"})
    shards = {"shard_bytes": 4096} if output == "out" else {}
    crash.dies(11, "model", output, **shards)
    assert not (crash.root / output).exists() and len(leftovers(crash.root)) == 2
    own = crash.daemon()
    result = crash.project(own, "model", output, **shards)
    last = result.messages[-1]
    assert 0 < last.tensors_reused < last.tensors_done == LAYERS + 1
    assert metric(own, "tritd_jobs_tensors_reused_total") == last.tensors_reused
    assert 0 < metric(own, "tritd_jobs_read_bytes_total") < last.bytes_done
    assert not leftovers(crash.root)
    (crash.root / output).rename(crash.root / f"resumed-{output}")
    fresh = crash.project(own, "model", output, **shards)
    assert fresh.messages[-1].tensors_reused == 0
    assert contents(crash.root / output) == contents(crash.root / f"resumed-{output}")
    assert timeless(fresh.json) == timeless(result.json)
    assert [message.report.layer for message in result.reports] == \
        [message.report.layer for message in fresh.reports]


def test_a_packing_goes_on_too(crash, random):
    """Unpacked layers have no reports; how many of their scales were rounded is known all the same."""
    parts = {f"layers.{i}.weight": one for i in range(LAYERS) for one in
             [random.integers(-1, 2, (16, 256)).astype(np.int8)]}
    save(crash.root / "a.safetensors", {
        **parts, **{f"{name}.scales": random.random((16, 2), np.float32) + np.float32(.1) for name in parts}})
    how = {"options": {"encoding": 1}, "dtype": 3}
    crash.dies_packing(9, "a.safetensors", "out.safetensors", **how)
    own = Checkpoints(crash.daemon())
    result = own.run("Pack", "a.safetensors", output="out.safetensors", **how)
    last = result.messages[-1]
    assert result.verdict == "pass" and 0 < last.tensors_reused < last.tensors_done == LAYERS
    fresh = own.run("Pack", "a.safetensors", output="fresh.safetensors", **how)
    assert contents(crash.root / "out.safetensors") == contents(crash.root / "fresh.safetensors")
    assert int(fresh.json["scales_rounded"]) > 0
    assert {**fresh.json, "output": ""} == {**result.json, "output": ""} and not leftovers(crash.root)


def other_options(crash, parts):
    return {"options": {"encoding": 2, "exclude": ["layers.0*"]}}


def changed_source(crash, parts):
    save(crash.root / "a.safetensors", {**parts, "layers.5.fc.weight": -parts["layers.5.fc.weight"]})
    return {}


@pytest.mark.parametrize("change", [other_options, changed_source])
def test_another_request_or_input_begins_anew(crash, random, change):
    parts = tensors(random, LAYERS)
    save(crash.root / "a.safetensors", parts)
    crash.dies(8, "a.safetensors", "out.gguf")
    fields = change(crash, parts)
    own = crash.daemon()
    result = crash.project(own, "a.safetensors", "out.gguf", **fields)
    assert result.messages[-1].tensors_reused == 0
    fresh = crash.project(own, "a.safetensors", "fresh.gguf", **fields)
    assert contents(crash.root / "out.gguf") == contents(crash.root / "fresh.gguf")
    assert len(fresh.reports) == len(result.reports) and not leftovers(crash.root)


def test_a_job_that_is_cancelled_leaves_no_file(crash, random, tmp_path):
    """It is cancelled while its first tensor is flushed, which takes until then."""
    save(crash.root / "a.safetensors", tensors(random, LAYERS))
    hang = tmp_path / "hang"
    hang.touch()
    own = crash.daemon(env={"LD_PRELOAD": str(LIBRARY), "FAILING_HANGS": str(hang)})
    service = Checkpoints(own)
    stream = service.stream("Project", "a.safetensors", {"encoding": 2}, output="out.gguf")
    job = next(iter(stream)).job
    wait_for(lambda: len(leftovers(crash.root)) == 2)
    service.cancel(job)
    hang.unlink()
    refused(lambda: list(stream), grpc.StatusCode.CANCELLED)
    assert [file.name for file in crash.root.iterdir()] == ["a.safetensors"]
