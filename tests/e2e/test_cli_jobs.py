# SPDX-License-Identifier: Apache-2.0
"""trit jobs: jobs of the daemon's service Checkpoints from the command line."""
import json
import signal
import subprocess

import grpc

import schemas
from checkpoints import save
from jobs import wait_for
from test_checkpoints import path_of, place, service, tensors, timeless  # noqa: F401
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
    assert refused_again.returncode == 3 and "ALREADY_EXISTS" in refused_again.stderr
    assert cli(daemon, "jobs", "project", latents).returncode == 2


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
    jobs(daemon, "cancel", name)
    missing = cli(daemon, "jobs", "cancel", "0123")
    assert missing.returncode == 3 and "NOT_FOUND" in missing.stderr
    refused(lambda: list(service.attach("0123")), grpc.StatusCode.NOT_FOUND)


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
