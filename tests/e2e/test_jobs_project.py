# SPDX-License-Identifier: Apache-2.0
"""Checkpoints.Project writes the files that `trit project` writes, byte for byte."""
import os

import grpc
import numpy as np
import pytest

from checkpoints import bf16, save
from folders import save_folder
from test_checkpoints import path_of, place, same_as_cli, service, tensors, timeless  # noqa: F401
from tritd import cli, refused

ENCODINGS = {"dense": 0, "int8": 1, "pq2_0": 2, "tq2_0": 6, "mlx_2bit": 7, "hf_bitnet": 9}


def contents(path):
    """The bytes of a file, or those of the files of a folder by name."""
    if path.is_dir():
        return {file.name: file.read_bytes() for file in path.iterdir()}
    return path.read_bytes()


def both(daemon, service, place, source, name, encoding, **fields):
    """Projects by the daemon and by trit; the outputs and the results must be equal."""
    options = {"encoding": ENCODINGS[encoding]}
    words = ["-e", encoding]
    if encoding == "tq2_0":
        options["group_size"] = 256
        words += ["--group-size", "256"]
    result = service.run("Project", path_of(daemon, source), options,
                         output=path_of(daemon, place / name), **fields)
    assert result.verdict == "pass"
    (place / name).rename(place / ("daemon-" + name))
    same_as_cli(daemon, result, "project", path_of(daemon, source), "-o", path_of(daemon, place / name),
                *words, code=0)
    assert contents(place / name) == contents(place / ("daemon-" + name))
    return result


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_a_file_is_that_of_trit_project(daemon, service, place, random, encoding, dtype):
    latents = place / "latents.safetensors"
    values = tensors(random, 4) if encoding == "hf_bitnet" else {
        **tensors(random, 4), "embed_tokens.weight": random.standard_normal((70, 512)).astype(np.float32)}
    save(latents, {name: bf16(value) if dtype == "bf16" else value for name, value in values.items()})
    result = both(daemon, service, place, latents, "out.safetensors", encoding)
    assert len(result.reports) == len(values) - 1
    assert (result.messages[-1].tensors_done, result.messages[-1].tensors_total) == (len(values),) * 2
    assert service.run("Verify", path_of(daemon, place / "out.safetensors"),
                       against=path_of(daemon, latents)).verdict == "pass"


def test_a_large_matrix_with_one_scale_is_read_twice(daemon, service, place, random):
    latents = place / "latents.safetensors"
    save(latents, {"l.weight": random.standard_normal((1200, 1024)).astype(np.float32)})
    both(daemon, service, place, latents, "out.safetensors", "hf_bitnet")


@pytest.mark.parametrize("memory", ["the file", "its first half", "none of it"])
def test_a_matrix_of_many_tiles_and_short_groups(daemon, service, place, random, memory):
    """A matrix of many tiles and short groups is the same however much of its file is in memory."""
    latents = place / "latents.safetensors"
    save(latents, {"l.weight": random.standard_normal((3000, 1001)).astype(np.float32)})
    if memory != "the file":
        with open(latents, "rb") as file:
            os.fsync(file.fileno())
            half = 0 if memory == "none of it" else latents.stat().st_size // 2
            os.posix_fadvise(file.fileno(), half, 0, os.POSIX_FADV_DONTNEED)
    result = service.run("Project", path_of(daemon, latents), {"encoding": 1}, report="REPORT_DETAIL_NONE",
                         output=path_of(daemon, place / "none.safetensors"))
    assert result.verdict == "pass"
    both(daemon, service, place, latents, "out.safetensors", "int8")
    assert contents(place / "none.safetensors") == contents(place / "out.safetensors")


def test_gguf_npy_and_folders(daemon, service, place, random):
    parts = tensors(random)
    names = list(parts)
    save_folder(place / "model", [{name: parts[name] for name in names[:2]},
                                  {name: parts[name] for name in names[2:]}], {"model_type": "some"})
    (place / "model" / "tokenizer.json").write_text("{}")
    both(daemon, service, place, place / "model", "out", "pq2_0")
    both(daemon, service, place, place / "model", "out.gguf", "pq2_0")
    np.save(place / "a.npy", parts[names[0]])
    both(daemon, service, place, place / "a.npy", "out.npy", "dense")


def dropped(result):
    """The result without what a report says of layers."""
    return {key: value for key, value in timeless(result.json).items() if key not in ("layers", "output")}


@pytest.mark.parametrize("encoding", ["dense", "pq2_0", "hf_bitnet"])
def test_without_reports_output_findings_and_verdict_are_the_same(daemon, service, place, random, encoding):
    latents, values = place / "latents.safetensors", tensors(random, 4)
    save(latents, {**values, "dead.weight": np.zeros((4, 512), np.float32)})
    full, none = [service.run("Project", path_of(daemon, latents), {"encoding": ENCODINGS[encoding]},
                              output=path_of(daemon, place / f"{report}.safetensors"), report=report)
                  for report in ("REPORT_DETAIL_FULL", "REPORT_DETAIL_NONE")]
    packed = place / "REPORT_DETAIL_NONE.safetensors"
    assert contents(packed) == contents(place / "REPORT_DETAIL_FULL.safetensors")
    assert not none.reports and none.json["layers"] == [] and len(full.reports) == len(values)
    assert (none.verdict, dropped(none)) == (full.verdict, dropped(full))
    assert none.messages[-1].tensors_done == len(values) + 1
    damaged = bytearray(packed.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    packed.write_bytes(damaged)
    full, none = [service.run("Verify", path_of(daemon, packed), report=report, against=path_of(daemon, latents))
                  for report in ("REPORT_DETAIL_FULL", "REPORT_DETAIL_NONE")]
    assert full.reports and not none.reports
    assert none.verdict == full.verdict == "fail" and dropped(none) == dropped(full)


def test_a_brief_report_has_a_digest_and_no_errors_of_the_projection(daemon, service, place, random):
    save(place / "a.safetensors", {"l.weight": random.standard_normal((4, 512)).astype(np.float32)})
    full, brief = [service.run("Project", path_of(daemon, place / "a.safetensors"), {"encoding": 2},
                               output=path_of(daemon, place / f"{report}.safetensors"),
                               report=report).reports[0].report for report in (0, 1)]
    assert full.digest == brief.digest and full.HasField("mse") and not brief.HasField("mse")
    assert full.negatives == brief.negatives
    refused(lambda: service.run("Verify", path_of(daemon, place / "a.safetensors"), report=7),
            grpc.StatusCode.INVALID_ARGUMENT, "report: 7")


def test_what_the_plan_refuses_is_in_the_result(daemon, service, place, random):
    save(place / "a.safetensors", {"l.weight": np.ones((4, 100), np.float32)})
    result = service.run("Project", path_of(daemon, place / "a.safetensors"), {"encoding": 7},
                         output=path_of(daemon, place / "out.safetensors"))
    assert result.verdict == "fail" and result.json["refused"] == 1
    assert result.json["tensors"][0]["reason"]
    assert [file.name for file in place.iterdir()] == ["a.safetensors"]


def test_outputs_that_may_not_be_written_are_refused(daemon, service, place, random, tmp_path):
    latents = place / "a.safetensors"
    save(latents, tensors(random))
    lost = place / "lost.safetensors"
    save(lost, {"l.weight": np.full((2, 128), 1e-30, np.float32)})
    (place / "out").symlink_to(tmp_path)
    base = path_of(daemon, place)
    for name, status, word in (
            ("a.safetensors", "INVALID_ARGUMENT", "input itself"), ("lost.safetensors", "ALREADY_EXISTS", "exists"),
            ("b.pt", "INVALID_ARGUMENT", "PyTorch"), ("none/b.safetensors", "NOT_FOUND", "none/b"),
            ("../b.safetensors", "INVALID_ARGUMENT", ".."), ("out/b.safetensors", "INVALID_ARGUMENT", "link"),
            ("", "INVALID_ARGUMENT", "output")):
        refused(lambda: service.run("Project", f"{base}/a.safetensors", output=name and f"{base}/{name}"),
                getattr(grpc.StatusCode, status), word)
    refused(lambda: service.run("Project", f"{base}/lost.safetensors", {"encoding": 2},
                                output=f"{base}/b.safetensors"),
            grpc.StatusCode.FAILED_PRECONDITION, "l.weight", "allow_lost_scales")
    assert sorted(file.name for file in place.iterdir()) == ["a.safetensors", "lost.safetensors", "out"]
    allowed = service.run("Project", f"{base}/lost.safetensors", {"encoding": 2},
                          output=f"{base}/b.safetensors", allow_lost_scales=True)
    assert allowed.verdict == "pass"
    again = service.run("Project", f"{base}/a.safetensors", output=f"{base}/b.safetensors", force=True)
    assert again.verdict == "pass"
    assert not list(tmp_path.iterdir())


def test_a_value_that_is_not_finite_fails_the_job_and_leaves_no_file(daemon, service, place, random):
    values = tensors(random)
    values["layers.1.fc.weight"][3, 5] = np.nan
    save(place / "a.safetensors", values)
    base = path_of(daemon, place)
    refused(lambda: service.run("Project", f"{base}/a.safetensors", {"encoding": 2}, output=f"{base}/b.safetensors"),
            grpc.StatusCode.INVALID_ARGUMENT, "layers.1.fc.weight", "773")
    assert [file.name for file in place.iterdir()] == ["a.safetensors"]


def test_trit_says_the_same_of_the_plan_of_an_output(daemon, service, place, random):
    save_folder(place / "model", [tensors(random)], {"model_type": "some"})
    base = path_of(daemon, place)
    plan = service.run("Plan", f"{base}/model", {"encoding": 2}, output=f"{base}/out.gguf")
    done = cli(daemon, "project", f"{base}/model", "-o", f"{base}/out.gguf", "-e", "pq2_0", "--dry-run", "--json",
               cwd=daemon.root)
    assert done.returncode == 0 and plan.verdict == "pass"
    same_as_cli(daemon, plan, "project", f"{base}/model", "-o", f"{base}/out.gguf", "-e", "pq2_0", "--dry-run",
                code=0)
