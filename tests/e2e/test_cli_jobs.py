# SPDX-License-Identifier: Apache-2.0
"""trit jobs: jobs of the daemon's service Checkpoints from the command line."""
import concurrent.futures
import json
import signal
import subprocess

import grpc
import numpy as np

import schemas
from checkpoints import save
from folders import INDEX, save_folder, shard_name
from gguf_files import gguf
from jobs import checkpoints_pb2_grpc, pb, wait_for
from test_checkpoints import path_of, place, service, tensors, timeless  # noqa: F401
from test_cli_pack import scaled
from test_jobs import ENDLESS, save_endless
from tritd import BINARIES, CALL_SECONDS, RUNNER, cli, refused


def jobs(daemon, *words, code=0):
    done = cli(daemon, "jobs", *words)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def same(daemon, words, alike, code):
    """`trit jobs WORDS` and the same without jobs print the same JSON."""
    here = cli(daemon, *alike, "--json", cwd=daemon.root)
    assert here.returncode == code, here.stderr
    there = json.loads(jobs(daemon, *words, "--json", code=code))
    assert timeless(there) == timeless(json.loads(here.stdout))


def test_commands_give_what_they_give_without_jobs(daemon, place, random):
    save(place / "a.safetensors", tensors(random))
    latents, out = (path_of(daemon, place / name) for name in ("a.safetensors", "b.safetensors"))
    same(daemon, ["inspect", latents], ["inspect", latents], 0)
    same(daemon, ["plan", latents, "-e", "pq2_0"], ["project", latents, "--dry-run", "-e", "pq2_0"], 0)
    text = jobs(daemon, "project", latents, "-o", out, "-e", "int8", "--exclude", "layers.2.*")
    assert "layers.0.fc.weight" in text and ": pass (job " in text
    same(daemon, ["verify", out, "--against", latents, "--accept-record"],
         ["verify", out, "--against", latents, "--accept-record"], 0)
    assert "not_ternary" in jobs(daemon, "verify", latents, code=1)
    same(daemon, ["verify", latents, "--mode", "latent"], ["verify", latents, "--mode", "latent"], 0)
    text = jobs(daemon, "verify", out, "--report-detail", "none", code=4)
    assert "layers.0.fc.weight" not in text and "inconclusive (job " in text
    refused_again = cli(daemon, "jobs", "project", latents, "-o", out)
    assert refused_again.returncode == 2 and "ALREADY_EXISTS" in refused_again.stderr
    assert "it exists already; --force replaces it" in refused_again.stderr
    assert cli(daemon, "jobs", "project", latents).returncode == 2


def test_pack_unpack_and_diff_give_what_they_give_without_jobs(daemon, place, random):
    save(place / "a.safetensors", {"l.weight": scaled(random, 8, 512, 128)})
    a, packed, here, dense = (path_of(daemon, place / name) for name in (
        "a.safetensors", "b.gguf", "c.gguf", "d.safetensors"))
    text = jobs(daemon, "pack", a, "-o", packed, "-e", "pq2_0")
    assert "l.weight" in text and ": pass (job " in text
    assert cli(daemon, "pack", a, "-o", here, "-e", "pq2_0", cwd=daemon.root).returncode == 0
    assert (daemon.root / packed).read_bytes() == (daemon.root / here).read_bytes()
    same(daemon, ["pack", a, "-e", "tq2_0", "--dry-run"], ["pack", a, "-e", "tq2_0", "--dry-run"], 0)
    assert json.loads(jobs(daemon, "unpack", packed, "-o", dense, "--dtype", "bf16", "--json"))["encoding"] == "dense"
    same(daemon, ["diff", a, packed], ["diff", a, packed], 0)
    save(place / "a.safetensors", {"l.weight": scaled(random, 8, 512, 128), "b.weight": np.ones(4, np.float32)})
    text = jobs(daemon, "diff", a, packed, code=1)
    assert "l.weight: " in text and " codes differ" in text and "b.weight: only in the first" in text
    same(daemon, ["diff", a, packed], ["diff", a, packed], 1)
    save(place / "a.safetensors", {"l.weight": np.ones((2, 96), np.float32)})
    assert "l.weight: " in jobs(daemon, "pack", a, "-o", packed, "-e", "tq2_0", "--force", code=1)
    for words in (["pack", a, "-o", packed], ["pack", a, "-e", "int8"], ["unpack", a]):
        assert cli(daemon, "jobs", *words).returncode == 2


def test_a_detached_job_is_listed_attached_to_and_cancelled(daemon, service, place, random):
    save(place / "a.safetensors", tensors(random))
    path = path_of(daemon, place / "a.safetensors")
    name = jobs(daemon, "verify", path, "--detach").strip()
    assert f"fail (job {name}" in jobs(daemon, "attach", name, code=1)
    row = next(line for line in jobs(daemon, "list").splitlines() if name in line)
    assert "Verify" in row and path in row and "fail" in row
    listed = schemas.read(jobs(daemon, "--json"))
    entry = next(job for job in listed["jobs"] if job["job"] == name)
    assert (entry["state"], entry["verdict"], entry["detach"]) == ("done", "fail", True)
    assert entry["created_unix_ns"] <= entry["ended_unix_ns"]
    late = cli(daemon, "jobs", "cancel", name)
    assert late.returncode == 1 and f"{name} had ended before: done" in late.stderr
    assert json.loads(jobs(daemon, "cancel", name, "--json", code=1)) == {"job": name, "state": "done"}
    missing = cli(daemon, "jobs", "cancel", "0123")
    assert missing.returncode == 3 and "NOT_FOUND" in missing.stderr
    refused(lambda: list(service.attach("0123")), grpc.StatusCode.NOT_FOUND)


class EndsAnyway(checkpoints_pb2_grpc.CheckpointsServicer):
    """A daemon whose job was about to end when it was cancelled."""
    state = "running"

    def Cancel(self, request, context):
        return pb.CheckpointsCancelResponse()

    def Attach(self, request, context):
        self.state = "done"
        yield pb.CheckpointProgress(job=request.job)

    def Jobs(self, request, context):
        job = pb.CheckpointJob(job="0123", state=self.state)
        return pb.CheckpointsJobsResponse(jobs=[job])


def test_a_job_that_ended_in_spite_of_its_cancellation_is_not_called_cancelled():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        checkpoints_pb2_grpc.add_CheckpointsServicer_to_server(EndsAnyway(), server)
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            done = cli(None, "jobs", "cancel", "0123", "--server", address)
        finally:
            server.stop(None).wait()
    assert done.returncode == 1 and "0123 had ended before: done" in done.stderr


def test_what_is_refused_has_the_exit_code_of_the_same_command(daemon, place, random):
    """Data 1, usage 2, what is missing 3; a folder that is missing is named as such."""
    save(place / "a.safetensors", {"l.weight": np.full((4, 256), 1e-30, np.float32)})
    save(place / "b.safetensors", {"l.weight": random.standard_normal((4, 256)).astype(np.float32)})
    save(place / "d.safetensors", {name: np.ones((4, 256), np.float32) for name in ("m.weight", "n.weight")})
    save(place / "e.safetensors", {"l.weight": np.ones((4, 256), np.float32)}, {"trit": "{}"})
    broken = gguf([("l.weight", 4, (4, 256), bytes(4096))])  # a type that ggml has removed
    (place / "c.gguf").write_bytes(broken)
    shards = [{"a.weight": np.ones((4, 256), np.float32)}, None]
    save_folder(place / "f", shards, weight_map={"b.weight": shard_name(2, 2)})
    a, b, c, d, e, out, away, f, index = (path_of(daemon, place / name) for name in (
        "a.safetensors", "b.safetensors", "c.gguf", "d.safetensors", "e.safetensors", "out.gguf", "none/out.gguf", "f", f"f/{INDEX}"))
    for code, words, why in (
            (1, ["project", a, "-o", out, "-e", "pq2_0"], "lose scales"),
            (1, ["pack", b, "-o", out, "-e", "pq2_0"], "l.weight: "),
            (1, ["project", f, "-o", out], "index_disagrees"),
            (1, ["project", index, "-o", out], "index_disagrees"),
            (1, ["project", f, "--dry-run"], "index_disagrees"),
            (1, ["pack", f, "-o", out, "-e", "int8"], "index_disagrees"),
            (1, ["diff", f, b], "index_disagrees"),
            (2, ["pack", b, "-o", a, "-e", "pq2_0"], "it exists already"),
            (2, ["pack", b, "-o", out, "-e", "int8"], "GGUF has no type for int8"),
            (2, ["verify", b, "--exclude", "none.*"], "'none.*' matches no tensor"),
            (2, ["verify", d, "--against", b, "--rename", "*.weight=l.weight"], "both be compared as l.weight"),
            (2, ["diff", a, b, "--include", "none.*"], "'none.*' matches no tensor"),
            (3, ["verify", c], "type 4 is not known"),
            (3, ["verify", e], "encoding makes no sense"),
            (3, ["verify", a, "--against", c], "type 4 is not known"),
            (3, ["diff", a, c], "type 4 is not known"),
            (3, ["pack", path_of(daemon, place / "none"), "-o", out, "-e", "pq2_0"], "none"),
            (3, ["project", b, "-o", away, "-e", "pq2_0"], f"{path_of(daemon, place / 'none')}")):
        job = ["plan", f] if "--dry-run" in words else words
        there, here = cli(daemon, "jobs", *job), cli(daemon, *words, cwd=daemon.root)
        assert (there.returncode, here.returncode) == (code, code), (words, there.stderr, here.stderr)
        for done in (there, here):
            assert why in done.stderr
            assert ("create it" in done.stderr) == (away in words)
    assert sorted(file.name for file in place.iterdir()) == ["a.safetensors", "b.safetensors", "c.gguf", "d.safetensors", "e.safetensors", "f"]


def test_names_of_files_are_escaped_for_the_terminal(daemon, place, random):
    save(place / "a\x1b[31m.safetensors", {"l.weight": np.ones((4, 256), np.float32)})
    path, out = (path_of(daemon, place / name) for name in ("a\x1b[31m.safetensors", "o\x1b[31m.gguf"))
    for words in (["jobs", "verify", path], ["jobs", "inspect", path], ["verify", path],
                  ["project", path, "--dry-run"], ["pack", path, "-o", out, "-e", "pq2_0"],
                  ["project", path, "-o", out, "-e", "pq2_0", "--force"]):
        done = cli(daemon, *words, cwd=daemon.root)
        assert done.returncode == 0, done.stderr
        assert "\\x1b[31m" in done.stdout and "\x1b" not in done.stdout + done.stderr
    done = cli(daemon, "attest", path, "-o", out + ".json", cwd=daemon.root)
    assert done.returncode == 3 and "control characters" in done.stderr and "\\x1b[31m" in done.stderr
    assert "\x1b" not in done.stderr and not (daemon.root / (out + ".json")).exists()


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_slash_at_the_end_names_a_folder(daemon, place, random):
    """A name that ends in a slash is a folder, whatever format the name says, as without jobs."""
    save(place / "a.safetensors", tensors(random))
    save_folder(place / "model", [tensors(random)])
    file, folder = (path_of(daemon, place / name) for name in ("a.safetensors", "model"))
    for out in ("out/", "out.gguf/"):
        there, here = path_of(daemon, place / "there") + out, path_of(daemon, place / "here") + out
        for words in (["jobs", "project", file, "-o", there], ["project", file, "-o", here]):
            done = cli(daemon, *words, cwd=daemon.root)
            assert done.returncode == 3 and "names a folder, not a file" in done.stderr
        jobs(daemon, "project", folder, "-o", there)
        assert cli(daemon, "project", folder, "-o", here, cwd=daemon.root).returncode == 0
        assert contents(daemon.root / there) == contents(daemon.root / here)
    jobs(daemon, "inspect", folder + "/")
    assert "without the slash" in cli(daemon, "jobs", "inspect", file + "/").stderr


def test_an_interrupted_command_cancels_its_job(daemon, service, place):
    save_endless(place / ENDLESS)
    path = path_of(daemon, place / ENDLESS)
    command = subprocess.Popen([*RUNNER, str(BINARIES / "trit"), "jobs", "verify", path, "--server", daemon.rpc],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def own():
        return [job for job in service.jobs() if job.path == path]
    wait_for(lambda: own() and own()[0].bytes_done)
    command.send_signal(signal.SIGINT)
    assert command.wait(CALL_SECONDS) == -signal.SIGINT
    wait_for(lambda: own()[0].state == "cancelled")
