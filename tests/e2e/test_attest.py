# SPDX-License-Identifier: Apache-2.0
"""trit attest writes a statement about a checkpoint, and trit verify --attestation compares the
checkpoint with it."""
import base64
import hashlib
import json
import shutil

import numpy as np
import pytest

import schemas
from checkpoints import load, save
from folders import save_folder
from tritd import cli


def normal(random, *shape):
    return (random.standard_normal(shape) * .02).astype(np.float32)


@pytest.fixture
def place(daemon, tmp_path, random):
    """A folder of latents with two layers and a norm, its projection in PQ2_0, and the statement
    about it."""
    tensors = [{"a.weight": normal(random, 8, 256), "norm.weight": normal(random, 256)},
               {"b.weight": normal(random, 4, 128)}]
    save_folder(tmp_path / "latents", tensors, {"model_type": "llama"})
    (tmp_path / "latents" / "tokenizer.json").write_text('{"version": "1.0"}')
    done = cli(daemon, "project", tmp_path / "latents", "-o", tmp_path / "claim", "-e", "pq2_0")
    assert done.returncode == 0, done.stderr
    attest(daemon, tmp_path)
    return tmp_path


def attest(daemon, place, *words, claim="claim", out="s.json"):
    done = cli(daemon, "attest", place / claim, "-o", place / out, "--json", "--force", *words)
    assert done.returncode == 0, done.stderr
    return schemas.read(done.stdout)


def check(daemon, place, claim="claim", statement="s.json", *words):
    """Exit code, and (kind, name) of the findings that the statement gives rise to."""
    done = cli(daemon, "verify", place / claim, "--attestation", place / statement, "--json", *words)
    assert done.returncode in (0, 1, 4), done.stderr
    found = schemas.read(done.stdout)["findings"]
    return done.returncode, [(one["kind"], one.get("layer") or one.get("tensor")) for one in found]


def refusal(daemon, place, statement):
    done = cli(daemon, "verify", place / "claim", "--attestation", place / statement)
    assert done.returncode == 3 and not done.stdout, done.stdout
    return done.stderr


def edited(place, edit, out="edited.json"):
    statement = json.loads((place / "s.json").read_text())
    edit(statement)
    (place / out).write_text(json.dumps(statement))
    return out


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_statement(daemon, place):
    """It has the SHA-256 of every file, the digests that reports have, and follows its schema."""
    statement = json.loads((place / "s.json").read_text())
    assert schemas.errors("attestation", statement) == []
    assert statement["subject"] == [{"name": path.name, "digest": {"sha256": sha256(path)}}
                                    for path in sorted((place / "claim").iterdir())]
    predicate = statement["predicate"]
    done = cli(daemon, "verify", place / "claim", "--json")
    reports = {one["layer"]: one["digest"] for one in json.loads(done.stdout)["layers"]}
    assert {one["layer"]: one["digest"] for one in predicate["layers"]} == reports
    assert {one["name"]: one["kind"] for one in predicate["tensors"]} == {
        "a.weight": "layer", "b.weight": "layer", "norm.weight": "kept"}
    assert predicate["verdict"] == "pass" and predicate["encoding"] == "pq2_0"
    assert predicate["group_size"] == 128 and "latents" not in predicate
    assert set(predicate["versions"]) == {"trit", "tritd"}
    found = attest(daemon, place, "--against", place / "latents", out="with.json")
    assert found["verdict"] == "pass" and found["layers"] == 2 and found["files"] == 3
    statement = json.loads((place / "with.json").read_text())
    assert schemas.errors("attestation", statement) == []
    assert {one["name"] for one in statement["predicate"]["latents"]} == {
        path.name for path in (place / "latents").iterdir()}


def test_an_unchanged_checkpoint_passes(daemon, place):
    """With its statement, in the folder too, with latents and without; and trit says that it
    checked no signature."""
    attest(daemon, place, "--against", place / "latents", out="with.json")
    assert check(daemon, place) == (0, [])
    assert check(daemon, place, "claim", "with.json") == (0, [])
    assert check(daemon, place, "claim", "with.json", "--against", place / "latents") == (0, [])
    done = cli(daemon, "verify", place / "claim", "--attestation", place / "s.json")
    assert done.returncode == 0 and "signature was NOT checked" in done.stdout
    assert "cosign" in done.stdout
    shutil.copy(place / "s.json", place / "claim" / "s.json")
    assert check(daemon, place, "claim", "claim/s.json") == (0, [])
    assert check(daemon, place) == (1, [("extra_file", "s.json")])


def test_single_files(daemon, place, random):
    """A file in a folder with others is attested alone, a .npy file too."""
    save(place / "one.safetensors", {"a.weight": np.sign(normal(random, 4, 128))})
    np.save(place / "one.npy", np.sign(normal(random, 4, 128)))
    for name in ("one.safetensors", "one.npy"):
        assert attest(daemon, place, claim=name, out="one.json")["files"] == 1
        assert check(daemon, place, name, "one.json") == (0, [])


def test_a_statement_says_how_far_weights_are_from_ternary(daemon, place, random):
    """With --tolerance nearly anything passes, and the statement shows it."""
    save(place / "far.safetensors", {"a.weight": np.float32([[1, .7, -.8, 0] * 32] * 4)})
    attest(daemon, place, "--tolerance", "0.4", claim="far.safetensors", out="far.json")
    statement = json.loads((place / "far.json").read_text())
    assert schemas.errors("attestation", statement) == []
    (layer,) = statement["predicate"]["layers"]
    assert statement["predicate"]["verdict"] == "pass"
    assert layer["max_round_error"] == pytest.approx(.3, abs=1e-6)
    assert [one["max_round_error"] for one in
            json.loads((place / "s.json").read_text())["predicate"]["layers"]] == [0, 0]
    assert check(daemon, place, "far.safetensors", "far.json")[0] == 1  # by its own bytes


def test_a_changed_weight(daemon, place, random):
    """A trit that changed is named by file and by layer, also where it still is ternary."""
    save(place / "one.safetensors", {"a.weight": np.ones((4, 128), np.float32),
                                     "b.weight": np.ones((4, 128), np.float32)})
    attest(daemon, place, claim="one.safetensors", out="one.json")
    tensors = load(place / "one.safetensors")
    tensors["b.weight"][2, 7] = -1
    save(place / "one.safetensors", tensors)
    assert check(daemon, place, "one.safetensors", "one.json") == (
        1, [("file_differs", "one.safetensors"), ("digest_differs", "b.weight")])


def test_changed_files(daemon, place):
    """Every other file of the folder is compared; a missing and a further one are errors."""
    (place / "claim" / "tokenizer.json").write_text('{"version": "1.1"}')
    (place / "claim" / "extra.txt").write_text("x")
    assert check(daemon, place) == (
        1, [("extra_file", "extra.txt"), ("file_differs", "tokenizer.json")])
    (place / "claim" / "tokenizer.json").unlink()
    (place / "claim" / "extra.txt").unlink()
    assert check(daemon, place) == (1, [("missing_file", "tokenizer.json")])


def test_an_extra_file_whose_name_is_no_text(daemon, place):
    """It is an extra file, shown with its bytes as \\xff."""
    with open(bytes(place / "claim") + b"/a\xffb", "w"):
        pass
    assert check(daemon, place) == (1, [("extra_file", "a\\xffb")])


def test_latents_are_compared(daemon, place):
    """Latents with a further file are not those of the statement."""
    attest(daemon, place, "--against", place / "latents", out="with.json")
    (place / "latents" / "more.txt").write_text("x")
    assert check(daemon, place, "claim", "with.json", "--against", place / "latents") == (
        1, [("extra_file", "more.txt")])


def test_what_a_statement_says_is_compared(daemon, place):
    """Layers that are missing, extra or of another digest; another encoding; a worse verdict."""
    def layers(edit):
        return lambda statement: edit(statement["predicate"]["layers"])
    cases = {
        "missing_layer": layers(lambda some: some.append({**some[0], "layer": "z.weight"})),
        "extra_layer": layers(lambda some: some.pop()),
        "digest_differs": layers(lambda some: some[0].update(digest="0" * 64)),
        "attestation_differs": lambda one: one["predicate"].update(group_size=64)}
    for kind, edit in cases.items():
        code, found = check(daemon, place, "claim", edited(place, edit))
        assert code == 1 and [one for one, _ in found] == [kind]
    for other in ({"encoding": "int8"}, {"group_size": 256}):
        changed = edited(place, layers(lambda some, other=other: some[0].update(other)))
        code, found = check(daemon, place, "claim", changed)
        assert code == 1 and [one for one, _ in found] == ["attestation_differs"] and found[0][1]
    worse = edited(place, lambda one: one["predicate"].update(verdict="fail"))
    assert check(daemon, place, "claim", worse) == (1, [("attestation_differs", None)])


def envelope(payload, **more):
    return {"payloadType": "application/vnd.in-toto+json", "payload": payload,
            "signatures": [{"keyid": "", "sig": "bm90IGEgc2lnbmF0dXJl"}], **more}


def test_envelopes(daemon, place):
    """A DSSE envelope, in either alphabet of base64, and a Sigstore bundle are opened."""
    text = (place / "s.json").read_bytes() + b" " * 2
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        (place / "e.json").write_text(json.dumps(envelope(encode(text).decode())))
        assert check(daemon, place, "claim", "e.json") == (0, [])
    bundle = {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
              "dsseEnvelope": envelope(base64.b64encode(text).decode())}
    (place / "e.json").write_text(json.dumps(bundle))
    assert check(daemon, place, "claim", "e.json") == (0, [])
    for change, word in ((dict(payloadType="text/plain"), "payloadType"),
                         (dict(payload="!"), "base64"), (dict(payload="e30="), "_type")):
        (place / "e.json").write_text(json.dumps({**envelope(""), **change}))
        assert word in refusal(daemon, place, "e.json")


HOSTILE = {
    "../claim/config.json": "a file without a folder", "/etc/passwd": "a file without a folder",
    "..": "a file without a folder", "": "a file without a folder", "a\u001bb": "a file without a folder",
    "x" * 1025: "a file without a folder"}


def test_hostile_statements_are_refused(daemon, place):
    """Paths, duplicates, wrong digests and types, and statements that are too large."""
    def subject(name):
        def edit(statement):
            statement["subject"][0]["name"] = name
        return edit
    for name, word in HOSTILE.items():
        assert word in refusal(daemon, place, edited(place, subject(name)))
    def put(*path, value):
        def edit(one):
            for step in path[:-1]:
                one = one[step]
            one[path[-1]] = value
        return edit
    for path, value, word in (
            (["subject", 1, "name"], "config.json", "stands twice"),
            (["subject", 0, "digest", "sha256"], "AB" * 32, "lower-case"),
            (["subject", 0, "digest"], {"sha512": "0" * 128}, "lower-case"),
            (["subject"], [], "has no files"), (["subject"], {}, "an array"),
            (["_type"], "https://in-toto.io/Statement/v0.1", "_type"),
            (["predicateType"], "https://slsa.dev/provenance/v1", "predicateType"),
            (["predicate", "layers", 1, "layer"], "a.weight", "stands twice"),
            (["predicate", "layers", 0, "encoding"], "q9", "encoding"),
            (["predicate", "verdict"], "good", "verdict")):
        assert word in refusal(daemon, place, edited(place, put(*path, value=value))), path
    text = (place / "s.json").read_text()
    for changed, word in ((text.replace('"subject"', '"subject": [], "subject"', 1), "duplicate"),
                          (text[:-20], "line"), ("[" * 1000, "line"), ("", "line"),
                          (" " * (16 << 20) + text, "too large")):
        (place / "edited.json").write_text(changed)
        assert word in refusal(daemon, place, "edited.json")


def test_outputs(daemon, place):
    """An existing statement needs --force; the claim itself is never replaced; a fail is written
    too."""
    done = cli(daemon, "attest", place / "claim", "-o", place / "s.json")
    assert done.returncode == 2 and "--force" in done.stderr
    save(place / "bad.safetensors", {"a.weight": np.arange(512, dtype=np.float32).reshape(4, 128)})
    done = cli(daemon, "attest", place / "bad.safetensors", "-o", place / "bad.safetensors", "--force")
    assert done.returncode == 2 and "the input itself" in done.stderr
    assert cli(daemon, "attest", place / "claim").returncode == 2
    done = cli(daemon, "attest", place / "claim", "-o", "-", cwd=place)
    assert done.returncode == 2 and "standard output" in done.stderr and not (place / "-").exists()
    done = cli(daemon, "attest", place / "bad.safetensors", "-o", place / "bad.json")
    assert done.returncode == 1 and "it is not signed" in done.stdout
    statement = json.loads((place / "bad.json").read_text())
    assert statement["predicate"]["verdict"] == "fail"
    assert statement["predicate"]["findings"] == [
        {"kind": "not_ternary", "severity": "error", "count": "1"}]
    assert check(daemon, place, "bad.safetensors", "bad.json") == (1, [("not_ternary", "a.weight")])


def test_the_owners_reader_accepts_a_statement(daemon, place):
    """in-toto-attestation, the package of the in-toto project, reads and validates it."""
    pytest.importorskip("in_toto_attestation", reason="pip install in-toto-attestation")
    from google.protobuf import json_format
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    message = json_format.Parse((place / "s.json").read_text(), statement_pb2.Statement())
    statement = Statement.copy_from_pb(message)
    statement.validate()
    assert {one.name for one in statement.pb.subject} == {
        path.name for path in (place / "claim").iterdir()}
    assert statement.pb.predicate["verdict"] == "pass"
