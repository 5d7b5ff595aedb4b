# SPDX-License-Identifier: Apache-2.0
"""The client over TLS: its options, the environment, and what it says of certificates."""

import asyncio
import os
import pickle
import shutil
import subprocess

import numpy as np
import pytest
import trit
import trit.aio
from daemon import Daemon

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is missing")


def certificate(folder, stem, *words):
    """A self-signed certificate and its key."""
    cert, key = folder / f"{stem}.pem", folder / f"{stem}.key"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    rest = ["-nodes", "-days", "5", "-keyout", str(key), "-out", str(cert), *words]
    subprocess.run([*made, *rest], check=True, capture_output=True, timeout=60)
    return cert, key


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    return certificate(
        tmp_path_factory.mktemp("server"), "server", "-subj", "/CN=t", "-addext", names
    )


@pytest.fixture(scope="module")
def client_pair(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("client"), "client", "-subj", "/CN=rank 3")


@pytest.fixture(scope="module")
def secure(tmp_path_factory, server, client_pair):
    """Asks for certificates; without a token file a valid one may project."""
    words = ["--tls-cert", server[0], "--tls-key", server[1], "--tls-client-ca", client_pair[0]]
    own = Daemon(tmp_path_factory.mktemp("daemon"), *map(str, words))
    yield own
    assert own.stop() == 0, own.log()


@pytest.fixture
def options(server, client_pair):
    return trit.TLS(ca=server[0], cert=client_pair[0], key=str(client_pair[1]))


WEIGHTS = np.random.default_rng(1).standard_normal((64, 256)).astype(np.float32)


def test_a_call_over_tls(secure, options):
    """Small and streamed projections over TLS, also after pickling, and by asyncio."""
    with trit.Client(secure.rpc, tls=options) as client:
        small = client.project(WEIGHTS)
        large = client.project(np.tile(WEIGHTS, (60, 4)))
        assert (
            small.report.elements == WEIGHTS.size and large.report.elements == 240 * WEIGHTS.size
        )
        with pickle.loads(pickle.dumps(client)) as again:
            assert again.project(WEIGHTS).report.digest == small.report.digest

    async def ping():
        client = trit.aio.Client(secure.rpc, tls=options)
        try:
            return await client.ping()
        finally:
            await client.close()

    assert asyncio.run(ping())


def test_a_path_is_the_ca(secure, server):
    """Health answers everyone; a projection asks for the certificate."""
    with trit.Client(secure.rpc, tls=server[0]) as client:
        assert client.ping()
        with pytest.raises(trit.Unauthenticated, match="certificate"):
            client.project(WEIGHTS)


def test_the_environment_speaks(secure, server, client_pair, monkeypatch):
    monkeypatch.setenv("TRIT_TLS_CA", str(server[0]))
    monkeypatch.setenv("TRIT_TLS_CERT", str(client_pair[0]))
    monkeypatch.setenv("TRIT_TLS_KEY", str(client_pair[1]))
    with trit.Client(secure.rpc) as client:
        assert client.project(WEIGHTS).report.elements == WEIGHTS.size
    with (
        trit.Client(secure.rpc, tls=False) as client,
        pytest.raises(trit.Unavailable, match="this port speaks TLS"),
    ):
        client.ping()
    monkeypatch.setenv("TRIT_TLS", "maybe")
    with pytest.raises(trit.InvalidArgument, match="TRIT_TLS"):
        trit.Client(secure.rpc)


def test_words_about_certificates(secure, server, client_pair):
    with (
        trit.Client(secure.rpc, tls=client_pair[0]) as client,
        pytest.raises(trit.Unavailable, match="issuer is unknown"),
    ):
        client.ping()
    wrong = trit.TLS(ca=server[0], server_name="tritd.example")
    with (
        trit.Client(secure.rpc, tls=wrong) as client,
        pytest.raises(trit.Unavailable, match='not for "tritd.example"'),
    ):
        client.ping()


@pytest.mark.parametrize(
    "tls,words",
    [
        (trit.TLS(ca="/no/such.pem"), "tls_ca: /no/such.pem"),
        (trit.TLS(cert="/no/such.pem"), "tls_key"),
        (trit.TLS(key="/no/such.pem"), "tls_cert"),
        (trit.TLS(ca=os.devnull), "no PEM certificate"),
    ],
)
def test_files_that_cannot_be_used_are_refused(tls, words):
    with pytest.raises(trit.InvalidArgument, match=words):
        trit.Client("127.0.0.1:1", tls=tls)


def test_wrong_types_and_unix_sockets():
    with pytest.raises(trit.InvalidType, match="tls"):
        trit.Client("127.0.0.1:1", tls=7)
    with pytest.raises(trit.InvalidArgument, match="Unix socket"):
        trit.Client("unix:/tmp/s", tls=True)
