# SPDX-License-Identifier: Apache-2.0
"""Access to the HTTP port: who may read, under which host names, and the answers to slow, greedy
and malformed requests."""
import contextlib
import json
import os
import re
import resource
import socket
import subprocess
import threading
import time

import grpc
import pytest

from access import POLICIES, Tokens
from tritd import CALL_SECONDS, ROOT, Daemon, Refused, refused, report_pb2

PAGES = ("/", "/runs/r", "/runs/r/layers/l", "/v1/runs", "/v1/runs/r/layers",
         "/v1/runs/r/layers/l", "/v1/openapi.json", "/nowhere")
JOBS = ("/jobs", "/jobs/j", "/v1/jobs", "/v1/jobs/j")
OPEN = ("/livez", "/readyz", "/healthz", "/metrics", "/style.css", "/icon.svg")


def curl(daemon, path, *words, http=None):
    """Status, head and body."""
    done = subprocess.run(["curl", "-sS", "-i", "--path-as-is", "--max-time", str(CALL_SECONDS),
                           *words, f"http://{http or daemon.http}{path}"], stdout=subprocess.PIPE,
                          check=True, text=True)
    head, _, body = done.stdout.partition("\n\n") if "\r" not in done.stdout else \
        done.stdout.partition("\r\n\r\n")
    return int(head.split()[1]), head, body


def auth(token):
    return ("-H", f"Authorization: Bearer {token}")


def connect(daemon):
    host, port = daemon.http.rsplit(":", 1)
    link = socket.create_connection((host, int(port)), timeout=CALL_SECONDS)
    return link


def exchange(daemon, request):
    """Sends bytes; returns everything received until the daemon closes the connection."""
    with connect(daemon) as link:
        link.sendall(request)
        return read_all(link)


def read_all(link):
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := link.recv(65536):
            got += chunk
    return got


def check_document(reply, status, name, *words):
    """The reply is the documented JSON error."""
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), reply[:300]
    assert b"content-type: application/json" in head.lower()
    assert b"content-security-policy" in head.lower()
    length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
    error = json.loads(body[:length])["error"]
    assert error["status"] == name
    for word in words:
        assert word in error["message"], error
    return error["message"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded-http")
    tokens = Tokens(folder / "tokens", **{name: name for name in POLICIES})
    daemon = Daemon(folder / "daemon", "--token-file", tokens.path)
    daemon.tokens = tokens
    yield daemon
    assert daemon.stop() == 0, daemon.log()[-4000:]


# ---- who may read --------------------------------------------------------------------------

@pytest.mark.parametrize("path, policy", [*((path, "read") for path in PAGES),
                                          *((path, "checkpoints") for path in JOBS)])
def test_pages_and_json_ask_for_their_policy(guarded, path, policy):
    """It is read, but checkpoints for jobs, because they show paths. Without a token the answer is 401 with WWW-Authenticate, without the policy 403, both as
    JSON; with the policy it is the page."""
    for words in ((), auth("unknown")):
        status, head, body = curl(guarded, path, *words)
        assert status == 401 and "WWW-Authenticate: Bearer" in head
        assert json.loads(body)["error"]["status"] == "UNAUTHENTICATED"
    for name in POLICIES:
        status, _, body = curl(guarded, path, *auth(guarded.tokens.token[name]))
        if name in (policy, "admin"):
            assert status in (200, 404), (name, status)
        else:
            assert status == 403
            error = json.loads(body)["error"]
            assert error["status"] == "PERMISSION_DENIED"
            assert path in error["message"] and f"policy {policy}" in error["message"]


@pytest.mark.parametrize("path", OPEN)
def test_probes_metrics_and_the_style_answer_everyone(guarded, path):
    for words in ((), auth("unknown")):
        assert curl(guarded, path, *words)[0] == 200


def test_with_http_auth_metrics_ask_for_read(start, tmp_path):
    tokens = Tokens(tmp_path / "tokens", reader="read", writer="project")
    daemon = start("--token-file", tokens.path, "--http-auth")
    assert curl(daemon, "/metrics")[0] == 401
    assert curl(daemon, "/metrics", *auth(tokens.token["writer"]))[0] == 403
    assert curl(daemon, "/metrics", *auth(tokens.token["reader"]))[0] == 200
    assert curl(daemon, "/livez")[0] == 200
    assert daemon.stop() == 0


def test_http_auth_without_tokens_is_refused(tmp_path):
    with pytest.raises(Refused) as stopped:
        Daemon(tmp_path / "own", "--http-auth")
    assert stopped.value.code == 2 and "--token-file" in stopped.value.log


def test_a_browser_gets_a_page_that_says_how(guarded):
    """A browser's request without a token gets a page and is asked for a password; the
    token as the password of any user opens the pages."""
    browser = ("-H", "Accept: text/html,*/*;q=0.8")
    status, head, body = curl(guarded, "/", *browser)
    assert status == 401 and "text/html" in head and "WWW-Authenticate: Basic" in head
    assert "Authorization: Bearer" in body and "<script" not in body
    status, head, body = curl(guarded, "/", *browser, "-u", f"me:{guarded.tokens.token['read']}")
    assert status == 200 and "text/html" in head
    assert curl(guarded, "/", *browser, "-u", "me:wrong")[0] == 401
    status, _, body = curl(guarded, "/", *browser, *auth(guarded.tokens.token["verify"]))
    assert status == 403 and "policy read" in body


def test_refusals_are_counted_and_logged_without_the_token(guarded):
    before = metric(guarded, "tritd_http_refused_total")
    curl(guarded, "/v1/runs", *auth("a-secret-that-is-wrong"))
    assert metric(guarded, "tritd_http_refused_total") == before + 1
    log = guarded.log()
    assert "event=http_refused" in log and "status=401" in log and "path=/v1/runs" in log
    assert "a-secret-that-is-wrong" not in log
    for token in guarded.tokens.token.values():
        assert token not in log


def metric(daemon, name):
    body = curl(daemon, "/metrics")[2]
    return float(re.search(rf"(?m)^{re.escape(name)} (\S+)$", body).group(1))


def limit(daemon, name):
    return metric(daemon, f'tritd_limit_refusals_total{{limit="{name}"}}')


# ---- under which names ------------------------------------------------------------------------

def test_probes_and_metrics_answer_under_every_name_pages_do_not(daemon):
    """kubelet, load balancers and Prometheus use fully qualified names."""
    name = ("-H", "Host: tritd.example.org:6562")
    for path in ("/livez", "/readyz", "/healthz", "/metrics"):
        assert curl(daemon, path, *name)[0] == 200
    status, _, body = curl(daemon, "/v1/runs", *name)
    assert status == 403 and "--http-host tritd.example.org" in json.loads(body)["error"]["message"]
    assert "event=http_refused" in daemon.log()


@pytest.mark.parametrize("words,env", [
    (("--http-host", "other.example", "--http-host", "tritd.example.org"), {}),
    ((), {"TRITD_HTTP_HOST": "other.example,tritd.example.org"}),
    (("--http-host", "*"), {"TRITD_HTTP_HOST": "replaced.example"}),
])
def test_names_on_the_list_are_answered(start, words, env):
    daemon = start(*words, env=env)
    for host in ("tritd.example.org", "TRITD.Example.org:80", "tritd.example.org."):
        assert curl(daemon, "/v1/runs", "-H", f"Host: {host}")[0] == 200, host
    status = curl(daemon, "/v1/runs", "-H", "Host: evil.example")[0]
    assert status == (200 if "*" in words else 403)
    assert curl(daemon, "/v1/runs", "-H", "Host: localhost")[0] == 200
    assert daemon.stop() == 0


def test_only_a_trusted_proxy_is_believed(start, tmp_path):
    """Behind a named proxy the log names the client that it forwarded for; from another
    address the header is ignored."""
    tokens = Tokens(tmp_path / "tokens", reader="read")
    forged = ("-H", "X-Forwarded-For: 203.0.113.9")
    for words, name, shown in ((("--http-trusted-proxy", "127.0.0.0/8"), "near", True),
                               (("--http-trusted-proxy", "10.0.0.0/8"), "far", False)):
        daemon = start("--token-file", tokens.path, *words, name=name)
        assert curl(daemon, "/v1/runs", *forged)[0] == 401
        assert ("client=203.0.113.9" in daemon.log()) == shown
        # HAProxy adds a line of its own behind what the client wrote: the last one counts.
        assert curl(daemon, "/", "-H", "X-Forwarded-For: 203.0.113.7",
                    "-H", "X-Forwarded-For: 203.0.113.8")[0] == 401
        assert "client=203.0.113.7" not in daemon.log()
        assert ("client=203.0.113.8" in daemon.log()) == shown
        assert daemon.stop() == 0
    with pytest.raises(Refused) as stopped:
        start("--http-trusted-proxy", "proxy.example")
    assert "proxy.example" in stopped.value.log


# ---- slow and greedy clients ----------------------------------------------------------------

def slow_head(daemon):
    link = connect(daemon)
    link.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    return link


def test_48_slow_connections_do_not_block_probes(daemon):
    """200 connections from one address, each with half a request: probes and pages are
    answered nevertheless."""
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(slow_head(daemon))
        for _ in range(5):
            assert curl(daemon, "/livez")[0] == 200
            assert curl(daemon, "/v1/runs")[0] == 200
    assert limit(daemon, "http_connections_per_address") >= 100


def test_connections_that_drip_are_ended_by_the_deadline(start):
    """An incomplete request gets 408 as JSON after --http-request-ms, even if its bytes keep
    arriving."""
    daemon = start("--http-request-ms", 500)
    with slow_head(daemon) as link:
        link.settimeout(0.05)
        reply, stop = b"", time.monotonic() + CALL_SECONDS
        while time.monotonic() < stop:
            try:
                link.sendall(b"x")
                chunk = link.recv(65536)
                if not chunk:
                    break
                reply += chunk
            except socket.timeout:
                continue
            except OSError:
                break
    check_document(reply, 408, "DEADLINE_EXCEEDED", "http_request_ms = 500")
    with connect(daemon) as silent:
        assert read_all(silent) == b""
    assert limit(daemon, "http_request_ms") >= 1
    assert daemon.stop() == 0


def test_a_reader_that_does_not_read_is_ended(start, random):
    """Clients that request much and read nothing keep their connections until the deadline;
    probes are answered meanwhile."""
    daemon = start("--http-request-ms", 1000, "--http-connections-max", 8,
                   "--http-connections-per-address", 8)
    with contextlib.ExitStack() as stack:
        for _ in range(12):
            link = stack.enter_context(connect(daemon))
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with contextlib.suppress(OSError):
                link.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 500)
        for _ in range(3):
            assert curl(daemon, "/livez")[0] == 200
    assert daemon.stop() == 0


@pytest.mark.parametrize("greedy", [2, 8])
def test_beyond_the_bound_only_probes_and_metrics_are_answered(start, greedy):
    """When every connection is busy, a few more are accepted: probes and metrics are answered,
    a page gets 503. This holds when clients of the same address fill the reserve too."""
    daemon = start("--http-connections-max", 2, "--http-connections-per-address", 4,
                   "--http-request-ms", 60000)
    with contextlib.ExitStack() as stack:
        links = [stack.enter_context(connect(daemon)) for _ in range(greedy)]
        for link in links:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            link.setblocking(False)
        flood(links)
        for _ in range(6):
            stack.enter_context(slow_head(daemon))
        for path in ("/livez", "/readyz", "/healthz", "/metrics"):
            status, head, _ = curl(daemon, path)
            assert status == 200 and "connection: close" in head.lower()
        status, _, body = curl(daemon, "/v1/runs")
        assert status == 503 and "kept for probes" in json.loads(body)["error"]["message"]
        assert limit(daemon, "http_connections") >= 1
    assert daemon.stop() == 0


def flood(links):
    """Sends pipelined requests without reading until the daemon accepts no more, or has closed
    the connections, which had to give way."""
    request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    quiet = 0
    while quiet < 20:
        quiet += 1
        for link in links:
            with contextlib.suppress(BlockingIOError, ConnectionError):
                link.send(request * 100)
                quiet = 0
        if quiet:
            threading.Event().wait(0.02)


def test_probes_are_answered_when_no_descriptor_is_left(start):
    """Probes and metrics are answered even when RPC connections use up all descriptors, and
    silent HTTP clients what is kept for probes."""
    daemon = start()
    used = len(open_descriptors(daemon))
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (used + 24, used + 24))
    host, port = daemon.rpc.rsplit(":", 1)
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(socket.create_connection((host, int(port)), timeout=CALL_SECONDS))
        for _ in range(6):
            stack.enter_context(connect(daemon))
        for _ in range(5):
            assert curl(daemon, "/livez")[0] == 200
            assert curl(daemon, "/metrics")[0] == 200
    assert daemon.stop() == 0


def open_descriptors(daemon):
    return os.listdir(f"/proc/{daemon.process.pid}/fd")


# ---- malformed and large requests -------------------------------------------------------------

@pytest.mark.parametrize("request_bytes,status,name,word", [
    (b"GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345", 413, "INVALID_ARGUMENT",
     "must not have a body"),
    (b"GET /livez HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413,
     "INVALID_ARGUMENT", "must not have a body"),
    (b"POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 405, "UNIMPLEMENTED", "GET and HEAD"),
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "RESOURCE_EXHAUSTED", "8192"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 17000 + b"\r\n\r\n", 431, "RESOURCE_EXHAUSTED", "16384"),
    (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431, "RESOURCE_EXHAUSTED", "100"),
    (b"GET / HTTP/3.0\r\n\r\n", 505, "UNIMPLEMENTED", "HTTP/1.1"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "UNIMPLEMENTED", "gRPC"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "INVALID_ARGUMENT", "http://"),
    (b"nonsense\r\n\r\n", 400, "INVALID_ARGUMENT", "not an HTTP request"),
    (b"GET / HTTP/1.1\r\n\r\n", 400, "INVALID_ARGUMENT", "Host: missing"),
    (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "INVALID_ARGUMENT", "Host: not a host"),
    (b"GET livez HTTP/1.1\r\nHost: a\r\n\r\n", 400, "INVALID_ARGUMENT", "neither a path"),
    (b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "INVALID_ARGUMENT", "valid host"),
    (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 405, "UNIMPLEMENTED", "GET and HEAD"),
    (b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 405, "UNIMPLEMENTED", "GET and HEAD"),
    (b"GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 39\r\n\r\n"
     b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "INVALID_ARGUMENT",
     "more than one Content-Length"),
    (b"GET / HTTP/1.1\nHost: a\n\n", 400, "INVALID_ARGUMENT", "CRLF"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "INVALID_ARGUMENT", "more than one Host"),
])
def test_protocol_errors_are_the_documented_json(daemon, request_bytes, status, name, word):
    reply = exchange(daemon, request_bytes)
    check_document(reply, status, name, word)
    assert len(re.findall(rb"(?m)^HTTP/1\.1 ", reply)) == 1  # what follows the error is no request


@pytest.mark.parametrize("size", [*range(16370, 16400), 15000, 32 << 10, 64 << 10, 1 << 20])
def test_requests_near_the_header_limit_get_their_status_at_once(daemon, size):
    """Heads up to 16384 bytes get 200, larger ones 431, all without delay."""
    head = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: "
    request = head + b"a" * (size - len(head) - 4) + b"\r\n\r\n"
    assert len(request) == size
    with connect(daemon) as link:
        link.settimeout(10 if CALL_SECONDS <= 30 else CALL_SECONDS)
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            link.sendall(request)
        reply = read_all(link)
    if size <= 16384:
        assert reply.startswith(b"HTTP/1.1 200 "), reply[:200]
    else:
        check_document(reply, 431, "RESOURCE_EXHAUSTED", "16384")
        assert limit(daemon, "http_head_bytes") >= 1


@pytest.mark.parametrize("target,host,status", [
    ("http://localhost/livez", "localhost", 200),
    ("HTTP://127.0.0.1:80/v1/runs?limit=1", "other.example", 200),
    ("http://localhost", "localhost", 200),
    ("http://other.example/v1/runs", "localhost", 403),
    ("http://localhost/v1/runs?x=1", "localhost", 400),
])
def test_a_target_may_be_a_uri(daemon, target, host, status):
    """The absolute form of a target is accepted, and its host counts instead of Host."""
    request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    assert exchange(daemon, request).startswith(f"HTTP/1.1 {status} ".encode())


def test_uris_and_paths_on_one_connection(daemon):
    """Pipelined requests are answered in turn, whatever the form of their targets."""
    paths = ["http://localhost/livez", "/readyz", "http://localhost/missing", "/livez"]
    request = "".join(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n" for path in paths)
    last = "HEAD /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    reply = exchange(daemon, (request + last).encode())
    assert re.findall(rb"(?m)^HTTP/1\.1 (\d+)", reply) == [b"200", b"200", b"404", b"200", b"200"]


def test_a_head_reply_to_an_error_has_no_body(daemon):
    reply = exchange(daemon, b"HEAD /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 414 ") and reply.endswith(b"\r\n\r\n")


def test_names_with_control_characters_are_refused_everywhere(daemon):
    """C0, DEL and C1 in a name are 400 over HTTP, as they are refused over RPC."""
    for name in ("a%01b", "a%0ab", "a%7fb", "a%C2%9bb"):
        status, _, body = curl(daemon, f"/v1/runs/{name}/layers")
        assert status == 400 and "control characters" in json.loads(body)["error"]["message"]
    assert curl(daemon, "/v1/runs/a%E2%80%AEb/layers")[0] == 404  # shown escaped
    for name in ("a\x01b", "a\nb", "a\x7fb", "a\u009bb"):
        for request, field in (({"run": name, "layer": "l"}, "run"), ({"run": "r", "layer": name}, "layer")):
            for call, kind in ((daemon.reports.Get, report_pb2.ReportsGetRequest),
                               (daemon.reports.List, report_pb2.ReportsListRequest)):
                refused(lambda: call(kind(**request), timeout=CALL_SECONDS),
                        grpc.StatusCode.INVALID_ARGUMENT, f"{field}: contains a control character")


def test_a_route_without_a_policy_does_not_compile(tmp_path):
    source = (ROOT / "server/web/routes.c").read_text()
    flags = ["-std=gnu17", "-fsyntax-only", "-Iproto", "-Iserver", "-I."]

    def compiles(text):
        path = tmp_path / "routes.c"
        path.write_text(text)
        return subprocess.run(["gcc", *flags, str(path)], cwd=ROOT, capture_output=True).returncode == 0

    assert compiles(source)
    for row in ('X("/v1/runs", serve_runs_json, "after limit", PAGE)',
                'X("/v1/runs", serve_runs_json, "after limit", PAGE, )',
                'X("/v1/runs", serve_runs_json, "after limit", PAGE, NONE)'):
        changed = source.replace('X("/v1/runs", serve_runs_json, "after limit", PAGE, READ)', row)
        assert changed != source and not compiles(changed), row
