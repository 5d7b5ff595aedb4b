# SPDX-License-Identifier: Apache-2.0
"""Tokens of trit.Client."""

import asyncio
import hashlib
import pickle

import numpy as np
import pytest

import trit
from daemon import Daemon
from trit.verification import Latents, VerifyEvery


def line(name, token, policies):
    return f"{name} sha256:{hashlib.sha256(token.encode()).hexdigest()} {policies}\n"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A daemon that knows the tokens `writer`, `reader` and `checker`."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "tokens").write_text(
        line("w", "writer", "project,layers")
        + line("r", "reader", "read")
        + line("c", "checker", "verify")
    )
    subject = Daemon(folder / "daemon", "--token-file", str(folder / "tokens"))
    yield subject
    assert subject.stop() == 0, subject.log()


@pytest.fixture
def weights():
    return np.random.default_rng(1).standard_normal((4, 256)).astype(np.float32)


def test_a_token_is_sent_and_decides(guarded, weights):
    with trit.Client(guarded.rpc, timeout=30, token="writer") as client:
        assert client.project(weights).report.elements == 1024
        assert client.layers.list() == []
        with pytest.raises(trit.PermissionDenied, match="policy verify; w has project,layers"):
            client.verify(weights)
    with trit.Client(guarded.rpc, timeout=30) as client:
        assert client.ping()
        with pytest.raises(trit.Unauthenticated, match="authorization: Bearer"):
            client.project(weights)


# A token that may verify and not read: the log says that verify_every cannot find the attempt.
def test_verify_every_tells_that_it_may_not_read(guarded, weights, caplog):
    layers = [Latents("fc", weights, 128, None)]
    with trit.Client(guarded.rpc, timeout=30, token="checker") as client:
        after_step = VerifyEvery(lambda: layers, client, "checked", every=2, strict=True)
        assert after_step(1) is None
        assert after_step(2)["fc"].verdict == "pass" and after_step(4)["fc"].step == 4
    (logged,) = [one for one in caplog.records if one.name == "trit"]
    assert "'checked' is not known: /trit.v1.Reports/List needs the policy" in logged.getMessage()


def test_a_token_file_is_read_again_when_it_changes(guarded, weights, tmp_path):
    path = tmp_path / "secret"
    path.write_text("reader\n")
    with trit.Client(guarded.rpc, timeout=30, token_file=path) as client:
        with pytest.raises(trit.PermissionDenied):
            client.project(weights)
        fresh = tmp_path / "fresh"
        fresh.write_text("writer\n")
        fresh.replace(path)
        assert client.project(weights).report.elements == 1024


def test_the_environment_names_a_token(guarded, weights, monkeypatch, tmp_path):
    monkeypatch.setenv("TRIT_TOKEN", "writer")
    with trit.Client(guarded.rpc, timeout=30) as client:
        assert client.project(weights).report.elements == 1024
    monkeypatch.delenv("TRIT_TOKEN")
    path = tmp_path / "secret"
    path.write_text("writer")
    monkeypatch.setenv("TRIT_TOKEN_FILE", str(path))
    with trit.Client(guarded.rpc, timeout=30) as client:
        assert client.project(weights).report.elements == 1024


def test_pickling_and_asyncio_keep_the_token(guarded, weights):
    with trit.Client(guarded.rpc, timeout=30, token="writer") as client:
        with pickle.loads(pickle.dumps(client)) as again:
            assert again.project(weights).report.elements == 1024

    async def project():
        async with trit.aio.Client(guarded.rpc, timeout=30, token="writer") as client:
            return await client.project(weights)

    assert asyncio.run(project()).report.elements == 1024


@pytest.mark.parametrize(
    "options, kind",
    [
        ({"token": b"secret"}, trit.InvalidType),
        ({"token": "sec\0ret"}, trit.InvalidArgument),
        ({"token": "sec ret"}, trit.InvalidArgument),
        ({"token": "secret", "token_file": "x"}, trit.InvalidArgument),
        ({"token_file": 7}, trit.InvalidType),
        ({"token_file": "/no/such/file"}, trit.InvalidArgument),
    ],
)
def test_a_bad_token_is_refused_and_not_repeated(options, kind):
    with pytest.raises(kind) as refused:
        trit.Client("127.0.0.1:1", **options)
    assert "secret" not in str(refused.value) and "sec" not in str(refused.value)
