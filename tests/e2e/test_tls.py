# SPDX-License-Identifier: Apache-2.0
"""The RPC port over TLS: stock clients, client certificates, wrong protocols, reload."""
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import grpc
import numpy as np
import pytest

import reference as ref
import tools
from access import Tokens, bearer
from certificates import Authority, Pair, channel, tls_words
from tritd import BINARIES, CALL_SECONDS, RUNNER, Refused, refused, ternary_pb2_grpc

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
VALUES = np.random.default_rng(5).standard_normal((8, 256)).astype(np.float32)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


def project(connection, values=VALUES, **more):
    return ternary_pb2_grpc.TernaryStub(connection).Project(
        ref.project_request(values), timeout=CALL_SECONDS, **more)


def s_client(daemon, *words):
    """What openssl says about a handshake."""
    done = subprocess.run(["openssl", "s_client", "-connect", daemon.rpc, *map(str, words)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=CALL_SECONDS)
    return done.stdout + done.stderr


# ---- clients -------------------------------------------------------------------------------

def test_grpcio_calls_over_tls(start, authority, server):
    """Small and large projections over TLS equal those over a plain connection."""
    own, plain = start(*tls_words(server)), start(name="plain")
    large = np.random.default_rng(6).standard_normal((4096, 4096)).astype(np.float32)
    with channel(own, authority) as connection:
        for values in (VALUES, large):
            assert project(connection, values).data == project(plain.channel, values).data
    assert own.stop() == 0, own.log()[-2000:]


def test_a_client_that_does_not_know_the_issuer_refuses(start, server, stranger):
    own = start(*tls_words(server))
    with channel(own, stranger) as connection:
        refused(lambda: project(connection), UNAVAILABLE)
    own.wait_log("tls_handshake_failed")


def test_grpcurl_and_ghz_call_over_tls(start, authority, server):
    """Go's clients, with a certificate of their own; without one grpcurl hears why not."""
    own = start(*tls_words(server, authority.path))
    pair = authority.issue("go", subject="/CN=go", client=True)
    words = ("-cacert", authority.path, "-cert", pair.cert, "-key", pair.key)
    done = tools.run("grpcurl", *words, own.rpc, "trit.v1.Reports/List")
    assert done.returncode == 0, done.stderr
    done = tools.run("grpcurl", "-cacert", authority.path, own.rpc, "trit.v1.Reports/List")
    assert done.returncode != 0 and "Unauthenticated" in done.stderr
    done = tools.run("ghz", "--cacert", authority.path, "--cert", pair.cert, "--key", pair.key,
                     "-n", 500, "-c", 20, "--connections", 4, "--call",
                     "grpc.health.v1.Health.Check", "-d", "{}", own.rpc)
    assert done.returncode == 0 and "500 responses" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("words,expected", [
    (("-tls1_3", "-alpn", "h2"), r"New, TLSv1.3, .*AES_128_GCM"),
    (("-tls1_2", "-alpn", "h2"), r"New, TLSv1.2, .*ECDHE.*GCM"),
    (("-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-alpn", "h2"), r"alert protocol version"),
    (("-tls1_2", "-cipher", "AES128-SHA", "-alpn", "h2"), r"alert handshake failure"),
    (("-tls1_3",), r"alert no application protocol"),
    (("-tls1_2",), r"alert no application protocol"),
    (("-tls1_3", "-alpn", "http/1.1"), r"alert no application protocol"),
])
def test_versions_ciphers_and_alpn(start, server, words, expected):
    """TLS 1.2 and 1.3 with ALPN h2 are accepted, and nothing else."""
    own = start(*tls_words(server))
    assert re.search(expected, s_client(own, *words))


# ---- client certificates -------------------------------------------------------------------

@pytest.fixture
def mutual(start, authority, server):
    return start(*tls_words(server, authority.path))


def test_a_client_certificate_lets_in(start, authority, server):
    """With --tls-client-ca alone every valid certificate may project; the log has its
    subject as the caller."""
    mutual = start(*tls_words(server, authority.path), "--log-level", "debug")
    client = authority.issue("rank", subject="/O=Trainers/CN=rank 7", client=True)
    with channel(mutual, authority, client) as connection:
        assert project(connection).report.elements == VALUES.size
    mutual.wait_log("event=rpc_end", "status=OK", 'caller="CN=rank 7,O=Trainers"')
    with channel(mutual, authority) as connection:
        refused(lambda: project(connection), UNAUTHENTICATED, "certificate")


def test_a_client_certificate_of_another_authority_is_refused(mutual, authority, stranger):
    client = stranger.issue("rank", client=True)
    with channel(mutual, authority, client) as connection:
        refused(lambda: project(connection), UNAVAILABLE)
    mutual.wait_log("issuer is unknown")
    assert 'tls_handshake_failed' in mutual.log()


def test_an_expired_client_certificate_is_refused(mutual, authority):
    client = authority.issue("late", client=True, days=-1)
    with channel(mutual, authority, client) as connection:
        refused(lambda: project(connection), UNAVAILABLE)
    mutual.wait_log("has expired")


def test_a_subject_in_the_token_file(start, authority, server, tmp_path):
    """The rules of a subject apply to whoever has its certificate; a token works too."""
    tokens = Tokens(tmp_path / "tokens", boss="admin")
    tokens.lines["rank"] = "rank cert:CN=rank 7,O=Trainers project"
    tokens.write()
    own = start(*tls_words(server, authority.path), "--token-file", tokens.path)
    known = authority.issue("known", subject="/O=Trainers/CN=rank 7", client=True)
    other = authority.issue("other", subject="/CN=other", client=True)
    with channel(own, authority, known) as connection:
        assert project(connection).report.elements == VALUES.size
    with channel(own, authority, other) as connection:
        with pytest.raises(grpc.RpcError):
            project(connection)
        project(connection, metadata=bearer(tokens.token["boss"]))


# ---- the wrong protocol ----------------------------------------------------------------------

@pytest.mark.skipif(not shutil.which("curl"), reason="curl is missing")
def test_http1_on_the_tls_port(start, server):
    own = start(*tls_words(server))
    done = subprocess.run(["curl", "-si", f"http://{own.rpc}/"], capture_output=True, text=True,
                          timeout=CALL_SECONDS)
    assert done.stdout.startswith("HTTP/1.1 400 ") and "without TLS" in done.stdout
    own.wait_log("event=conn_wrong_protocol")
    assert "got=HTTP/1 wants=TLS" in own.log()


def test_grpc_without_tls_on_the_tls_port(start, server):
    own = start(*tls_words(server))
    with own.connect() as connection:
        refused(lambda: project(connection), UNAVAILABLE)
    own.wait_log('got="HTTP/2 without TLS" wants=TLS')
    # The client waits before it tries again.
    assert own.log().count("conn_wrong_protocol") < 10


def test_tls_on_the_plain_port(start, authority):
    own = start()
    with channel(own, authority) as connection:
        refused(lambda: project(connection), UNAVAILABLE)
    own.wait_log("got=TLS wants=HTTP/2")
    assert "alert unexpected message" in s_client(own, "-alpn", "h2")


def test_a_slow_handshake_ends_with_the_time_limit(start, server):
    own = start(*tls_words(server), "--handshake-ms", "200")
    host, port = own.rpc.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=CALL_SECONDS) as slow:
        slow.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert slow.recv(1) == b""


# ---- reload --------------------------------------------------------------------------------

def subject_of(daemon):
    return re.search(r"^subject=(.*)$", s_client(daemon, "-alpn", "h2"), re.M).group(1)


def replace(pair, by):
    for old, new in ((pair.key, by.key), (pair.cert, by.cert)):
        fresh = old.with_suffix(old.suffix + ".new")
        shutil.copy(new, fresh)
        fresh.replace(old)


def hang_up(daemon, event, count):
    """SIGHUP, until the event has been logged so often."""
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_log(f"event={event} ", times=count)


def test_reload_under_load_loses_no_call(start, authority):
    """While calls run on old and new connections, certificates change; no call fails."""
    used = authority.issue("used", subject="/CN=first")
    others = [authority.issue("second", subject="/CN=second"),
              authority.issue("third", subject="/CN=third")]
    own = start(*tls_words(used))
    over, failures, calls = threading.Event(), [], [0, 0]

    def work(index, fresh):
        connection = channel(own, authority)
        while not over.is_set():
            try:
                project(connection)
                calls[index] += 1
            except grpc.RpcError as error:
                failures.append(error)
            if fresh:
                connection.close()
                connection = channel(own, authority)
        connection.close()

    threads = [threading.Thread(target=work, args=(i, i == 1)) for i in range(2)]
    for thread in threads:
        thread.start()
    try:
        for round in range(6):
            before = list(calls)
            replace(used, others[round % 2])
            hang_up(own, "reloaded", round + 1)
            assert subject_of(own).endswith(("second", "third")[round % 2])
            until = time.monotonic() + CALL_SECONDS
            while not all(now > then for now, then in zip(calls, before)) and not failures:
                assert time.monotonic() < until
                time.sleep(0.01)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not failures, failures[0]
    assert own.stop() == 0


def test_a_broken_file_keeps_the_old_certificate(start, authority):
    used = authority.issue("kept", subject="/CN=kept")
    own = start(*tls_words(used))
    used.cert.write_text("not a certificate\n")
    hang_up(own, "reload_failed", 1)
    assert str(used.cert) in own.log() and "tls-cert" in own.log()
    expired, other = authority.issue("expired", days=-1), authority.issue("other_pair")
    replace(used, expired)
    hang_up(own, "reload_failed", 2)
    assert "has expired, and the one in use has not" in own.log()
    replace(used, Pair(other.cert, expired.key))
    hang_up(own, "reload_failed", 3)
    used.key.unlink()
    os.mkfifo(used.key)
    hang_up(own, "reload_failed", 4)
    assert f"tls-key: {used.key}: not a regular file" in own.log()
    assert subject_of(own).endswith("kept")
    with channel(own, authority) as connection:
        project(connection)


# ---- options -------------------------------------------------------------------------------

def run_tritd(*words):
    return subprocess.run([*RUNNER, str(BINARIES / "tritd"), *map(str, words)],
                          capture_output=True, text=True, timeout=CALL_SECONDS)


def test_options_that_do_not_fit_are_refused_by_name(authority, server):
    other = authority.issue("another")
    cases = [
        (("--tls-cert", server.cert), ("tls-cert", "--tls-key")),
        (("--tls-key", server.key), ("tls-key", "--tls-cert")),
        (("--tls-client-ca", authority.path), ("tls-client-ca", "--tls-cert")),
        (("--tls-cert", "/no/such.pem", "--tls-key", server.key), ("tls-cert", "/no/such.pem")),
        (("--tls-cert", server.cert, "--tls-key", "/no/such"), ("tls-key", "/no/such")),
        (("--tls-cert", server.cert, "--tls-key", other.key), ("tls-key", "is not the key")),
        (tls_words(server, server.key), ("tls-client-ca", str(server.key))),
    ]
    for words, expected in cases:
        done = run_tritd("--check-config", *words)
        assert done.returncode == 2, (words, done)
        for word in expected:
            assert word in done.stderr, (words, done.stderr)
    assert run_tritd("--check-config", *tls_words(server, authority.path)).returncode == 0


def test_another_machine_needs_tls_and_authentication(start, authority, server, tmp_path):
    """An address that other machines can reach needs both, or --insecure."""
    tokens = Tokens(tmp_path / "tokens", boss="admin")
    public = ("--listen", "0.0.0.0:0")
    with pytest.raises(Refused, match="--token-file or --tls-client-ca"):
        start(*public, *tls_words(server))
    with pytest.raises(Refused, match="--tls-cert"):
        start(*public, "--token-file", tokens.path)
    start(*public, *tls_words(server, authority.path), name="one")
    start(*public, *tls_words(server), "--token-file", tokens.path, name="two")
    start(*public, "--insecure", name="three")
