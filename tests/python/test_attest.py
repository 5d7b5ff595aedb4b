# SPDX-License-Identifier: Apache-2.0
"""Statements about checkpoints."""

import hashlib
import json

import numpy as np
import pytest

import trit
from checkpoints import f32, read, write


@pytest.fixture
def folder(tmp_path, random):
    weight = f32(random.standard_normal((8, 256)) * 0.02)
    write(tmp_path / "latents.safetensors", {"a.weight": weight, "norm.weight": f32(np.ones(256))})
    return tmp_path


def test_a_statement_is_written_and_compared(client, folder):
    """It is the one that trit attest writes; a change is a finding that names file and layer."""
    claim, latents = folder / "claim.safetensors", folder / "latents.safetensors"
    client.checkpoint.project(latents, claim)
    out = folder / "s.json"
    made = client.checkpoint.attest(claim, out, against=latents)
    assert made.verdict == "pass"
    statement = json.loads(out.read_text())
    assert [one["name"] for one in statement["subject"]] == ["claim.safetensors"]
    assert [one["name"] for one in statement["predicate"]["latents"]] == ["latents.safetensors"]
    assert [one["digest"] for one in statement["predicate"]["layers"]] == [
        report.digest for report in made.reports.values()
    ]
    assert statement["predicate"]["versions"]["trit"] == trit.__version__
    assert client.checkpoint.verify(claim, attestation=out).passes
    assert client.checkpoint.verify(claim, attestation=out, against=latents).passes
    tensors, metadata = read(claim)
    weight = np.frombuffer(tensors["a.weight"][2], np.float32).reshape(8, 256).copy()
    weight[2] = -weight[2]
    write(claim, {**tensors, "a.weight": f32(weight)}, metadata)
    found = client.checkpoint.verify(claim, attestation=out)
    assert found.verdict == "fail"
    kinds = {(one.kind, one.layer or one.tensor) for one in found.findings}
    assert ("file_differs", "claim.safetensors") in kinds
    assert ("digest_differs", "a.weight") in kinds


def test_refusals(client, folder):
    """A statement is about files, exists once, and never replaces the source."""
    latents, out = folder / "latents.safetensors", folder / "s.json"
    with pytest.raises(trit.InvalidArgument, match="give a path"):
        client.checkpoint.verify({"a.weight": np.ones((4, 128), np.float32)}, attestation=out)
    with pytest.raises(trit.InvalidArgument, match="the source itself"):
        client.checkpoint.attest(latents, latents, force=True)
    out.write_text("{}")
    with pytest.raises(trit.AlreadyExists):
        client.checkpoint.attest(latents, out)
    with pytest.raises(trit.InvalidArgument, match="_type"):
        client.checkpoint.verify(latents, attestation=out)
    assert client.checkpoint.attest(latents, out, force=True).verdict == "fail"
    assert json.loads(out.read_text())["predicate"]["verdict"] == "fail"


def test_config_and_index_are_those_that_were_examined(client, folder, random):
    """They say what the tensors are. What is in the index later is not attested, and a config.json
    that changes meanwhile ends it."""
    claim, out = folder / "claim", folder / "s.json"
    claim.mkdir()
    write(claim / "model-00001-of-00001.safetensors", {"a.weight": f32(np.ones((8, 256)))})
    texts = {
        "config.json": b'{"model_type": "llama"}',
        "model.safetensors.index.json": json.dumps(
            {"weight_map": {"a.weight": "model-00001-of-00001.safetensors"}}
        ).encode(),
    }
    for name, text in texts.items():
        (claim / name).write_bytes(text)

    def change(name):
        return lambda *_: (claim / name).write_bytes(b"{}") and None

    index = change("model.safetensors.index.json")
    assert client.checkpoint.attest(claim, out, progress=index).verdict == "pass"
    digests = {one["name"]: one["digest"] for one in json.loads(out.read_text())["subject"]}
    for name, text in texts.items():
        assert digests[name] == {"sha256": hashlib.sha256(text).hexdigest()}
    (claim / "model.safetensors.index.json").write_bytes(texts["model.safetensors.index.json"])
    with pytest.raises(trit.Aborted, match="config.json changed"):
        client.checkpoint.attest(claim, folder / "none.json", progress=change("config.json"))
    assert not (folder / "none.json").exists()
