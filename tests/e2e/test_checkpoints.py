# SPDX-License-Identifier: Apache-2.0
"""The service Checkpoints: files below the daemon's --checkpoint-root. Its results are those
of `trit --json`."""
import json
import os
import socket

import grpc
import numpy as np
import pytest

import reference as ref
from checkpoints import bf16, save
from folders import save_folder
from jobs import Checkpoints, gathered
from tritd import cli, refused

INVALID, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND


@pytest.fixture
def service(daemon):
    return Checkpoints(daemon)


@pytest.fixture
def place(daemon, request):
    """A folder below the root that no other test uses."""
    folder = daemon.root / request.node.name.translate(str.maketrans("[]/", "---"))
    folder.mkdir()
    return folder


def path_of(daemon, file):
    return str(file.relative_to(daemon.root))


def tensors(random, count=3):
    layers = {f"layers.{i}.fc.weight": random.standard_normal((16, 256)).astype(np.float32)
              for i in range(count)}
    return {**layers, "norm.weight": np.ones(256, np.float32)}


def timeless(value):
    """Without what differs between two runs."""
    if isinstance(value, dict):
        return {key: timeless(item) for key, item in value.items() if key != "time_unix_ns"}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def same_as_cli(daemon, result, *words, code):
    """`words` name files relative to the root, as the request does."""
    done = cli(daemon, *words, "--json", cwd=daemon.root)
    assert done.returncode == code, done.stderr
    assert timeless(result.json) == timeless(json.loads(done.stdout))


@pytest.mark.parametrize("encoding", ["dense", "int8", "pq2_0", "mlx_2bit", "hf_bitnet"])
def test_a_verification_gives_what_trit_verify_gives(daemon, service, place, random, encoding):
    latents, claim = place / "latents.safetensors", place / "claim.safetensors"
    save(latents, tensors(random))
    assert cli(daemon, "project", latents, "-o", claim, "-e", encoding).returncode == 0
    file, against = path_of(daemon, claim), path_of(daemon, latents)
    alone = service.run("Verify", file)
    assert alone.verdict == "pass" and len(alone.reports) == 3
    same_as_cli(daemon, alone, "verify", file, code=0)
    compared = service.run("Verify", file, against=against)
    assert compared.verdict == "pass"
    same_as_cli(daemon, compared, "verify", file, "--against", against, code=0)


def test_a_mismatch_is_found_and_explained_as_by_trit(daemon, service, place, random):
    latents, claim = place / "latents.safetensors", place / "claim.safetensors"
    values = tensors(random)
    save(latents, values)
    assert cli(daemon, "project", latents, "-o", claim, "--group-size", 64).returncode == 0
    values["layers.1.fc.weight"] *= -1
    values["norm.weight"] = values["norm.weight"] * 2
    save(latents, values)
    words = [path_of(daemon, claim), "--against", path_of(daemon, latents)]
    result = service.run("Verify", words[0], against=words[2])
    assert result.verdict == "fail"
    same_as_cli(daemon, result, "verify", *words, code=1)
    kinds = {finding["kind"] for finding in result.json["findings"]}
    assert {"codes_differ", "other_tensor_differs"} <= kinds


def test_latents_are_not_ternary_and_a_file_without_layers_is_inconclusive(
        daemon, service, place, random):
    latents, norms = place / "latents.safetensors", place / "norms.safetensors"
    save(latents, {name: bf16(value) for name, value in tensors(random).items()})
    save(norms, {"norm.weight": np.ones(8, np.float32)})
    for file, verdict, code in ((latents, "fail", 1), (norms, "inconclusive", 4)):
        result = service.run("Verify", path_of(daemon, file))
        assert result.verdict == verdict
        same_as_cli(daemon, result, "verify", path_of(daemon, file), code=code)
    latent = service.run("Verify", path_of(daemon, latents), mode=1)
    assert latent.verdict == "pass"
    same_as_cli(daemon, latent, "verify", path_of(daemon, latents), "--mode", "latent", code=0)


def test_inspect_and_plan_give_what_trit_gives(daemon, service, place, random):
    latents = place / "latents.safetensors"
    save(latents, tensors(random), {"format": "pt"})
    file = path_of(daemon, latents)
    same_as_cli(daemon, service.run("Inspect", file), "inspect", file, code=0)
    plan = service.run("Plan", file, {"encoding": 2, "exclude": ["layers.0.*"]})
    assert plan.verdict == "pass"
    same_as_cli(daemon, plan, "project", file, "-e", "pq2_0", "--exclude", "layers.0.*",
                "--dry-run", code=0)
    ternary = place / "ternary.safetensors"
    assert cli(daemon, "project", latents, "-o", ternary).returncode == 0
    again = service.run("Plan", path_of(daemon, ternary))
    assert again.verdict == "fail" and again.json["refusal"]
    assert service.run("Plan", path_of(daemon, ternary), again=True).verdict == "pass"


def test_a_folder_of_shards_is_a_checkpoint(daemon, service, place, random):
    parts = tensors(random)
    names = list(parts)
    save_folder(place / "model", [{name: parts[name] for name in names[:2]},
                                  {name: parts[name] for name in names[2:]}], {"model_type": "llama"})
    for path in (path_of(daemon, place / "model"), path_of(daemon, place / "model") + "/",
                 path_of(daemon, place / "model" / "model.safetensors.index.json")):
        result = service.run("Verify", path)
        assert result.verdict == "fail" and len(result.reports) == 3
        same_as_cli(daemon, result, "verify", path, code=1)


def test_the_root_itself_is_a_checkpoint(start, tmp_path, random):
    """"." is the root, as what is read: a folder of shards, whose outputs lie beside them."""
    root = tmp_path / "root"
    save_folder(root, [tensors(random)], {"model_type": "llama"})
    own = start("--checkpoint-root", root, durable=False)
    service = Checkpoints(own)
    for path in (".", "./"):
        result = service.run("Verify", path)
        assert result.verdict == "fail" and len(result.reports) == 3
        done = cli(own, "verify", path, "--json", cwd=root)
        assert timeless(result.json) == timeless(json.loads(done.stdout))
    done = cli(own, "jobs", "project", ".", "-o", "out", cwd=root)
    assert done.returncode == 0, done.stderr
    assert service.run("Verify", "out", against=".").verdict == "pass"
    for output in (".", "./"):
        refused(lambda: service.run("Project", ".", output=output), INVALID, "output", "itself")
    shard = "model-00001-of-00001.safetensors"
    refused(lambda: service.run("Project", ".", output=shard, force=True), INVALID, "belongs to the input")
    (root / "config.json").unlink()
    (root / "config.json").symlink_to("/etc/hostname")
    refused(lambda: service.run("Verify", "."), INVALID, "symbolic link")
    assert own.stop() == 0


def test_progress_names_the_job_and_ends_with_the_verdict(daemon, service, place, random):
    save(place / "a.safetensors", tensors(random, 5))
    result = service.run("Verify", path_of(daemon, place / "a.safetensors"))
    first, last = result.messages[0], result.messages[-1]
    assert first.job and {message.job for message in result.messages} == {first.job}
    assert [message.layer for message in result.reports] == [f"layers.{i}.fc.weight" for i in range(5)]
    assert all(message.report.layer == message.layer for message in result.reports)
    assert (last.tensors_done, last.tensors_total) == (5, 5)
    assert last.bytes_done == last.bytes_total == 5 * 16 * 256 * 4 + 1024
    assert last.state == "done" and not any(message.verdict for message in result.messages[:-1])
    done = service.job(first.job)
    assert (done.method, done.state, done.verdict) == ("Verify", "done", "fail")
    assert done.created_unix_ns <= done.started_unix_ns <= done.ended_unix_ns
    attached = gathered(service.attach(first.job))
    assert attached.json == result.json
    assert [message.report for message in attached.reports] == [
        message.report for message in result.reports]


@pytest.mark.parametrize("path, words", [
    ("", ["empty"]), ("/etc/passwd", ["absolute"]), ("..", ["\"..\""]), ("a/../b", ["\"..\""]),
    ("a//b", ["empty component"]), ("./a", ["\".\""]), ("x" * 300, ["255"]), ("a\tb/..", [".."])])
def test_a_path_that_leads_elsewhere_is_refused(service, path, words):
    refused(lambda: service.run("Inspect", path), INVALID, "path", *words)


def test_links_and_what_is_no_file_are_refused(daemon, service, place, random, tmp_path):
    outside = tmp_path / "outside.safetensors"
    save(outside, tensors(random))
    save(place / "a.safetensors", tensors(random))
    (place / "out").symlink_to(outside)
    (place / "here").symlink_to("a.safetensors")
    (place / "folder").symlink_to(tmp_path)
    (place / "device").symlink_to("/dev/zero")
    os.mkfifo(place / "pipe")
    plug = socket.socket(socket.AF_UNIX)
    plug.bind(str(place / "s") if len(str(place)) < 90 else str(tmp_path / "s"))
    base = path_of(daemon, place)
    for name in ("out", "here", "folder", "device", "folder/outside.safetensors"):
        refused(lambda: service.run("Inspect", f"{base}/{name}"), INVALID, "symbolic link")
    refused(lambda: service.run("Inspect", f"{base}/pipe"), INVALID, "regular file")
    refused(lambda: service.run("Inspect", f"{base}/none"), MISSING, "does not exist")
    refused(lambda: service.run("Inspect", f"{base}/a.safetensors/b"), MISSING, "does not exist")
    refused(lambda: service.run("Verify", f"{base}/a.safetensors", against=f"{base}/out"), INVALID,
            "against", "symbolic link")
    plug.close()


def test_a_link_in_a_folder_is_not_followed(daemon, service, place, random, tmp_path):
    outside = tmp_path / "model.safetensors"
    save(outside, tensors(random))
    (place / "model").mkdir()
    (place / "model" / "model.safetensors").symlink_to(outside)
    refused(lambda: service.run("Inspect", path_of(daemon, place / "model")), INVALID,
            "model.safetensors is a symbolic link, which is not followed; put the file itself there")


def test_requests_that_make_no_sense_are_refused(daemon, service, place, random):
    save(place / "a.safetensors", tensors(random))
    file = path_of(daemon, place / "a.safetensors")
    for field, fields in (("tolerance", {"tolerance": .5}), ("mode", {"mode": 7}),
                          ("options.rename", {"options": {"rename": ["a=b"]}}),
                          ("options.encoding", {"options": {"encoding": 77}}),
                          ("options.experts", {"options": {"experts": 9}}),
                          ("options.bits", {"options": {"bits": 7}}),
                          ("options.include: more than 64", {"options": {"include": ["*"] * 65}}),
                          ("matches no tensor", {"options": {"include": ["nothing*"]}})):
        refused(lambda: service.run("Verify", file, **fields), INVALID, field)
    (place / "b.safetensors").write_bytes(b"no checkpoint at all")
    refused(lambda: service.run("Verify", path_of(daemon, place / "b.safetensors")), INVALID,
            path_of(daemon, place / "b.safetensors"))


def test_a_job_that_does_not_exist_is_not_found(service):
    refused(lambda: list(service.attach("0123")), MISSING, "0123")
    refused(lambda: service.cancel("0123"), MISSING, "0123")


def test_bits_are_those_of_the_projection(daemon, service, place, random):
    """A layer's digest is that of the reference, of any number of tiles."""
    latents = random.standard_normal((300, 1001)).astype(np.float32)
    save(place / "a.safetensors", {"l.weight": latents})
    report = service.run("Verify", path_of(daemon, place / "a.safetensors"), mode=1).reports[0].report
    codes, scales = ref.project(latents)
    assert (report.negatives, report.zeros, report.positives) == tuple(
        int((codes == value).sum()) for value in (-1, 0, 1))
    assert report.elements == latents.size and report.groups == scales.size
