# SPDX-License-Identifier: Apache-2.0
"""grpc-js and grpc-java against the daemon: unary, gzip, streaming, a deadline, an error with
details, a refused upload of 300 MiB; plain, and over TLS with a token. tests/e2e has grpcio,
grpcurl, ghz and grpc-go."""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess

import pytest

import certificates
from tritd import ROOT

FOLDER = pathlib.Path(os.environ.get("TRIT_CLIENTS", ROOT / "build" / "clients"))
TOKEN = "a-token-of-the-tests-with-many-random-bits"
SECONDS = 120


def node(*words):
    if not shutil.which("node") or not (FOLDER / "node/node_modules/@grpc/grpc-js").is_dir():
        pytest.skip("grpc-js is missing here")
    address, *more = words
    return ["node", ROOT / "tests/clients/node/client.js", address, ROOT / "proto", *more]


def java(*words):
    if not shutil.which("java") or not (FOLDER / "java/target/dependency").is_dir():
        pytest.skip("grpc-java is missing here")
    target = FOLDER / "java/target"
    return ["java", "-cp", f"{target}/classes:{target}/dependency/*", "Client", *words]


@pytest.fixture(params=[node, java], ids=["grpc-js", "grpc-java"])
def client(request):
    """Runs the client; how each of its calls ended."""
    def call(*words):
        done = subprocess.run([*map(str, request.param(*words))], capture_output=True, text=True,
                              timeout=SECONDS,
                              env=dict(os.environ, NODE_PATH=str(FOLDER / "node/node_modules")))
        assert done.returncode == 0, done.stderr[-2000:]
        return {line["call"]: line for line in map(json.loads, done.stdout.splitlines())}
    return call


def check(ended):
    assert {name: line["code"] for name, line in ended.items()} == {
        "unary": "OK", "gzip": "OK", "stream": "OK", "deadline": "DEADLINE_EXCEEDED",
        "missing": "NOT_FOUND", "too large": "RESOURCE_EXHAUSTED", "again": "OK"}, ended
    for name in ("unary", "gzip", "stream", "again"):
        assert ended[name]["bytes"] >= 64 * 128 * 4
    assert "größe" in ended["missing"]["message"] and ended["missing"]["details"] == 1
    assert "message_bytes_max" in ended["too large"]["message"]


def test_every_kind_of_call(start, client):
    own = start()
    check(client(own.rpc))
    assert own.stop() == 0


def test_over_tls_with_a_token(start, client, tmp_path):
    authority = certificates.Authority(tmp_path)
    tokens = tmp_path / "tokens"
    tokens.write_text(f"tests sha256:{hashlib.sha256(TOKEN.encode()).hexdigest()} admin\n")
    tokens.chmod(0o600)
    own = start(*certificates.tls_words(authority.issue("server")), "--token-file", tokens)
    check(client(own.rpc, authority.path, TOKEN))
    refused = client(own.rpc, authority.path, "wrong")
    assert {line["code"] for line in refused.values()} == {"UNAUTHENTICATED"}, refused
    assert own.stop() == 0
