# SPDX-License-Identifier: Apache-2.0
"""The HTTP port over TLS: the same certificates, tokens and bounds as the RPC port."""
import contextlib
import json
import signal
import socket
import ssl
import subprocess
import threading

import pytest

from access import Tokens
from certificates import tls_words
from test_http_access import check_document, read_all
from tritd import CALL_SECONDS, Refused


def curl(daemon, path, *words):
    """Status and body by https."""
    done = subprocess.run(["curl", "-sS", "--max-time", str(CALL_SECONDS), "-w", "\n%{http_code}",
                           *map(str, words), f"https://{daemon.http}{path}"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def secure(daemon, authority):
    context = ssl.create_default_context(cafile=str(authority.path))
    host, port = daemon.http.rsplit(":", 1)
    raw = socket.create_connection((host, int(port)), timeout=CALL_SECONDS)
    return context.wrap_socket(raw, server_hostname="localhost")


def plain(daemon):
    host, port = daemon.http.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=CALL_SECONDS)


def auth(token):
    return ("-H", f"Authorization: Bearer {token}")


def test_https_serves_probes_pages_and_many_requests(start, authority, server):
    """curl and Python's ssl get the same as over plain HTTP, several requests on one
    connection too."""
    daemon = start(*tls_words(server))
    ca = ("--cacert", authority.path)
    assert curl(daemon, "/livez", *ca) == (200, "ok\n")
    status, metrics = curl(daemon, "/metrics", *ca)
    assert status == 200 and "tritd_build_info" in metrics
    assert curl(daemon, "/", *ca)[0] == 200
    with secure(daemon, authority) as link:
        link.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3 +
                     b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        reply = read_all(link)
    assert reply.count(b"HTTP/1.1 200") == 4 and reply.count(b"ok\n") >= 3
    assert daemon.stop() == 0


def test_a_request_in_many_small_records(start, authority, server):
    """A head that comes in one record a byte, all in one segment, is put together."""
    daemon = start(*tls_words(server))
    context = ssl.create_default_context(cafile=str(authority.path))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with plain(daemon) as link:
        while True:
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                link.sendall(outgoing.read())
                incoming.write(link.recv(65536))
        for byte in b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n":
            session.write(bytes([byte]))
        link.sendall(outgoing.read())
        reply = b""
        while b"ok\n" not in reply:
            chunk = link.recv(65536)
            assert chunk
            incoming.write(chunk)
            with contextlib.suppress(ssl.SSLWantReadError):
                while piece := session.read(65536):
                    reply += piece
    assert reply.startswith(b"HTTP/1.1 200")
    assert daemon.stop() == 0


def test_tokens_and_certificates_over_https(start, authority, server, tmp_path):
    """A token and a certificate's subject have their policies here too."""
    tokens = Tokens(tmp_path / "tokens", reader="read", writer="project")
    tokens.lines["node"] = "node cert:CN=node,O=Example read"
    tokens.write()
    daemon = start(*tls_words(server, authority.path), "--token-file", tokens.path, "--http-auth")
    ca = ("--cacert", authority.path)
    node = authority.issue("node", subject="/O=Example/CN=node", client=True)
    other = authority.issue("other", subject="/CN=other", client=True)
    for path in ("/v1/runs", "/metrics", "/"):
        assert curl(daemon, path, *ca)[0] == 401
        assert curl(daemon, path, *ca, *auth(tokens.token["writer"]))[0] == 403
        assert curl(daemon, path, *ca, *auth(tokens.token["reader"]))[0] == 200
        assert curl(daemon, path, *ca, "--cert", node.cert, "--key", node.key)[0] == 200
        status, body = curl(daemon, path, *ca, "--cert", other.cert, "--key", other.key)
        assert status == 403 and "cert:CN=other" in json.loads(body)["error"]["message"]
    assert curl(daemon, "/livez", *ca)[0] == 200
    assert daemon.stop() == 0


def test_plain_http_on_the_tls_port_hears_so(start, server):
    daemon = start(*tls_words(server))
    with plain(daemon) as link:
        link.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        check_document(read_all(link), 400, "INVALID_ARGUMENT", "https://")
    assert daemon.stop() == 0


def test_http_tls_off_leaves_http_plain(start, server):
    daemon = start(*tls_words(server), "--http-tls", "off")
    with plain(daemon) as link:
        link.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert read_all(link).startswith(b"HTTP/1.1 200")
    assert daemon.stop() == 0
    with pytest.raises(Refused) as stopped:
        start("--http-tls", "maybe")
    assert stopped.value.code == 2 and "on or off" in stopped.value.log
    with pytest.raises(Refused) as stopped:
        start(*tls_words(server), "--http-tls", "off", "--http", "0.0.0.0:0", "--token-file", server.cert)
    assert stopped.value.code == 2 and "other machines, and --http-tls is off; " in stopped.value.log


def test_half_handshakes_do_not_block_probes(start, authority, server):
    """100 connections that stop in the handshake: probes are answered."""
    daemon = start(*tls_words(server))
    with contextlib.ExitStack() as stack:
        for i in range(100):
            link = stack.enter_context(plain(daemon))
            link.sendall(b"\x16\x03\x01\x02\x00\x01" if i % 2 else b"\x16")
        for _ in range(3):
            assert curl(daemon, "/livez", "--cacert", authority.path)[0] == 200
    assert daemon.stop() == 0


def test_large_heads_and_garbage_over_tls(start, authority, server):
    """The bounds of heads hold over TLS; garbage in the handshake ends the connection."""
    daemon = start(*tls_words(server))
    head = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: "
    for size, status in ((16384, 200), (16385, 431), (100000, 431)):
        with secure(daemon, authority) as link:
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                link.sendall(head + b"a" * (size - len(head) - 4) + b"\r\n\r\n")
            assert read_all(link).startswith(b"HTTP/1.1 %d " % status), size
    with plain(daemon) as link:
        link.sendall(b"\x16\x03\x01\x00\x05hello" + b"\xff" * 200)
        assert not read_all(link).startswith(b"HTTP")
    daemon.wait_log("event=http_tls_failed")
    assert daemon.stop() == 0


def test_a_new_certificate_is_served_after_sighup(start, authority, tmp_path):
    """A reload changes HTTP's certificate as well; a connection that is open goes on."""
    first, second = authority.issue("first"), authority.issue("second")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    def put(pair):
        cert.write_bytes(pair.cert.read_bytes())
        key.write_bytes(pair.key.read_bytes())

    put(first)
    daemon = start("--tls-cert", cert, "--tls-key", key)
    serials = []
    with secure(daemon, authority) as old:
        serials.append(old.getpeercert()["serialNumber"])
        put(second)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_log("event=reloaded")
        with secure(daemon, authority) as new:
            serials.append(new.getpeercert()["serialNumber"])
        old.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b"ok\n" in read_all(old)
    assert serials[0] != serials[1]
    assert daemon.stop() == 0


def test_slow_readers_over_tls_do_not_block_probes(start, authority, server):
    daemon = start(*tls_words(server), "--http-connections-max", 4,
                   "--http-connections-per-address", 4, "--http-request-ms", 60000)
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            link = stack.enter_context(secure(daemon, authority))
            link.setblocking(False)
            quiet = 0
            while quiet < 10:
                try:
                    link.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
                    quiet = 0
                except (ssl.SSLWantWriteError, BlockingIOError):
                    quiet += 1
                    threading.Event().wait(0.02)
        assert curl(daemon, "/livez", "--cacert", authority.path)[0] == 200
    assert daemon.stop() == 0
