# SPDX-License-Identifier: Apache-2.0
"""Who may call the RPC port: tokens, policies and the token file. docs/access.md is the page for
operators."""
import re
import signal
import subprocess
import threading
import time

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

import reference as ref
from access import POLICIES, Tokens, bearer, need, status_of
from streams import HalfSent
from tritd import BINARIES, CALL_SECONDS, ROOT, RUNNER, Daemon, Refused, refused

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
PERMISSION_DENIED = grpc.StatusCode.PERMISSION_DENIED
GATE = (UNAUTHENTICATED, PERMISSION_DENIED)


def methods_served():
    """(service, method) for each row of the daemon's table, read from its source."""
    paths = []
    for source in (ROOT / "server/services").rglob("*.c"):
        paths += re.findall(r'\.path = "/([\w.]+)/(\w+)"', source.read_text())
    return sorted(set(paths))


def methods_declared(folder):
    """(service, method) for each method of proto/trit/v1."""
    protos = sorted((ROOT / "proto/trit/v1").glob("*.proto"))
    out = folder / "all.pb"
    assert protoc.main(["protoc", f"-I{ROOT / 'proto'}", f"--descriptor_set_out={out}",
                        *map(str, protos)]) == 0
    files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    return {(f"{one.package}.{service.name}", method.name)
            for one in files.file for service in one.service for method in service.method}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A daemon with one token for each policy, named after it."""
    folder = tmp_path_factory.mktemp("guarded")
    tokens = Tokens(folder / "tokens", **{name: name for name in POLICIES})
    daemon = Daemon(folder / "daemon", "--token-file", tokens.path)
    daemon.tokens = tokens
    yield daemon
    assert daemon.stop() == 0, daemon.log()[-4000:]


def test_the_table_of_this_test_is_complete(tmp_path):
    """This test has a policy for every method of the .proto files that the daemon serves."""
    served = methods_served()
    assert len(served) >= 20
    assert {pair for pair in served if pair[0].startswith("trit.v1.")} <= methods_declared(tmp_path)
    for service, method in served:
        need(service, method)


@pytest.mark.parametrize("service,method", methods_served())
def test_each_method_with_each_policy(guarded, service, method):
    """A method is refused without a token, with an unknown one, and with every policy but
    its own and admin; the message names method and policy."""
    path, policy = f"/{service}/{method}", need(service, method)
    for token in (None, "unknown"):
        status, message = status_of(guarded.channel, path, token)
        assert (status == UNAUTHENTICATED) == (policy is not None), (token, status, message)
    for name in POLICIES:
        status, message = status_of(guarded.channel, path, guarded.tokens.token[name])
        if policy in (None, name) or name == "admin":
            assert status not in GATE, (name, status, message)
        else:
            assert status == PERMISSION_DENIED, (name, status, message)
            assert path in message and f"policy {policy}" in message and name in message


def test_refusals_say_what_to_do_and_never_the_token(guarded, random):
    """The answers say how to send a token. No token is in an answer or in the log. A
    refused call is counted and logged like any other."""
    request = ref.project_request(random.standard_normal((2, 128)))
    secret = "a-token-that-nobody-has"
    refused(lambda: guarded.ternary.Project(request, timeout=CALL_SECONDS), UNAUTHENTICATED,
            "authorization: Bearer TOKEN")
    for value in (f"Bearer {secret}", f"Basic {secret}", secret, "Bearer", ""):
        said = refused(lambda: guarded.ternary.Project(
            request, metadata=(("authorization", value),), timeout=CALL_SECONDS), UNAUTHENTICATED)
        assert secret not in said
    said = refused(lambda: guarded.ternary.Project(
        request, metadata=bearer(guarded.tokens.token["read"]), timeout=CALL_SECONDS),
        PERMISSION_DENIED, "/trit.v1.Ternary/Project", "project", "read")
    log = guarded.log()
    assert "status=UNAUTHENTICATED" in log and "status=PERMISSION_DENIED" in log
    for token in (secret, *guarded.tokens.token.values()):
        assert token not in log and token not in said


def test_a_token_that_may_gets_the_answer(guarded, random):
    values = random.standard_normal((4, 256))
    reply = guarded.ternary.Project(ref.project_request(values), timeout=CALL_SECONDS,
                                    metadata=bearer(guarded.tokens.token["project"]))
    assert reply.report.elements == 1024


def test_an_unknown_method_is_unimplemented_for_everyone(guarded):
    assert status_of(guarded.channel, "/trit.v1.Ternary/Nothing")[0] == grpc.StatusCode.UNIMPLEMENTED


def test_without_a_token_file_loopback_is_open(daemon, random):
    assert daemon.ternary.Project(ref.project_request(random.standard_normal((2, 128))),
                                  timeout=CALL_SECONDS).report.elements == 256
    # A token that nobody asked for does not hurt.
    assert daemon.ternary.Project(ref.project_request(random.standard_normal((2, 128))),
                                  metadata=bearer("x"), timeout=CALL_SECONDS).report.elements == 256


def test_a_unix_socket_asks_for_a_token_too(start, tmp_path, random):
    tokens = Tokens(tmp_path / "tokens", reader="read", boss="admin")
    daemon = start("--listen", f"unix:{tmp_path}/rpc", "--token-file", tokens.path)
    with grpc.insecure_channel(f"unix:{tmp_path}/rpc") as channel:
        assert status_of(channel, "/trit.v1.Ternary/Project")[0] == UNAUTHENTICATED
        assert status_of(channel, "/trit.v1.Ternary/Project", tokens.token["boss"])[0] not in GATE
        assert status_of(channel, "/grpc.health.v1.Health/Check")[0] == grpc.StatusCode.OK
    assert daemon.stop() == 0


# ---- the file ----------------------------------------------------------------------------

@pytest.mark.parametrize("text,words", [
    ("reader sha256:12 read\n", (":1:", "64 hexadecimal digits")),
    ("# nothing\n", ("has no rule",)),
    ("a b c\nd e f g\n", (":1:", "trit token NAME POLICY")),
    (None, ("No such file",)),
])
def test_a_bad_file_stops_the_start_and_names_the_line(tmp_path, text, words):
    path = tmp_path / "tokens"
    if text is not None:
        path.write_text(text)
    with pytest.raises(Refused) as stopped:
        Daemon(tmp_path / "own", "--token-file", path)
    assert stopped.value.code != 0
    for word in (str(path), *words):
        assert word in stopped.value.log


def test_check_config_reads_the_token_file(tmp_path):
    """--check-config refuses what could not start, and names the line."""
    path = tmp_path / "tokens"

    def check(*words):
        return subprocess.run([*RUNNER, BINARIES / "tritd", "--check-config", *map(str, words)],
                              capture_output=True, text=True, timeout=CALL_SECONDS)

    path.write_text("ci sha256:12 read\n")
    done = check("--token-file", path)
    assert done.returncode != 0 and f"{path}:1:" in done.stderr
    done = check("--http-trusted-proxy", "proxy.example")
    assert done.returncode != 0 and "proxy.example" in done.stderr
    Tokens(path, ci="read")
    assert check("--token-file", path, "--http-trusted-proxy", "10.0.0.0/8,::1").returncode == 0


def wait_reloads(daemon, count):
    """Waits until the daemon has reloaded this many times."""
    deadline = time.monotonic() + CALL_SECONDS
    while f"\ntritd_reloads_total {count}\n" not in scrape(daemon):
        assert time.monotonic() < deadline, daemon.log()[-2000:]


def scrape(daemon):
    return subprocess.run(["curl", "-sS", f"http://{daemon.http}/metrics"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout


def test_sighup_takes_the_new_file_and_keeps_the_old_rules_where_it_is_broken(start, tmp_path):
    tokens = Tokens(tmp_path / "tokens", old="project")
    daemon = start("--token-file", tokens.path)
    path = "/trit.v1.Ternary/Backward"
    assert status_of(daemon.channel, path, tokens.token["old"])[0] not in GATE

    tokens.add("new", "project")
    assert status_of(daemon.channel, path, tokens.token["new"])[0] == UNAUTHENTICATED
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_log("event=reloaded", "access_rules=2")
    assert status_of(daemon.channel, path, tokens.token["new"])[0] not in GATE

    for text, said in (("new sha256:broken project\n", f"{tokens.path}:1:"),
                       ("", "has no rule"), ("# soon\n", "has no rule"),
                       (None, "No such file")):
        if text is None:
            tokens.path.unlink()
        else:
            tokens.path.write_text(text)
        failed = daemon.log().count("event=reload_failed")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_log("event=reload_failed", times=failed + 1)
        last = [line for line in daemon.log().splitlines() if "event=reload_failed" in line][-1]
        assert said in last and str(tokens.path) in last
    for name in ("old", "new"):
        assert status_of(daemon.channel, path, tokens.token[name])[0] not in GATE
    tokens.remove("old")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_log("event=reloaded", "access_rules=1")
    assert status_of(daemon.channel, path, tokens.token["old"])[0] == UNAUTHENTICATED
    assert daemon.stop() == 0


def test_tokens_are_rotated_under_load_without_a_lost_call(start, tmp_path, random):
    """Three callers call without a pause while their tokens are replaced 20 times: the new
    token is added, then used, then the old one is removed. No call fails."""
    tokens = Tokens(tmp_path / "tokens", t0="project")
    daemon = start("--token-file", tokens.path)
    request = ref.project_request(random.standard_normal((16, 256)))
    current, stop, failed, done = ["t0"], threading.Event(), [], [0, 0, 0]

    def call(caller):
        with daemon.connect() as channel:
            project = channel.unary_unary("/trit.v1.Ternary/Project")
            while not stop.is_set():
                try:
                    project(request.SerializeToString(), timeout=CALL_SECONDS,
                            metadata=bearer(tokens.token[current[0]]))
                    done[caller] += 1
                except grpc.RpcError as error:
                    failed.append(error.details())

    callers = [threading.Thread(target=call, args=(i,)) for i in range(3)]
    for caller in callers:
        caller.start()
    for turn in range(1, 21):
        tokens.add(f"t{turn}", "project")
        daemon.process.send_signal(signal.SIGHUP)
        wait_reloads(daemon, 2 * turn - 1)
        current[0] = f"t{turn}"
        seen = list(done)
        while any(now < before + 2 for now, before in zip(done, seen)) and not failed:
            threading.Event().wait(0.001)  # nobody has a call with the old token under way
        tokens.remove(f"t{turn - 1}")
        daemon.process.send_signal(signal.SIGHUP)
        wait_reloads(daemon, 2 * turn)
    stop.set()
    for caller in callers:
        caller.join()
    assert not failed and min(done) > 20
    assert daemon.stop() == 0


def test_a_running_call_keeps_what_it_was_granted(start, tmp_path):
    """A stream whose token is removed continues to its end; the next call is refused."""
    tokens = Tokens(tmp_path / "tokens", a="project", b="read")
    daemon = start("--token-file", tokens.path)
    stream = HalfSent(daemon, metadata=bearer(tokens.token["a"]))
    tokens.remove("a")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_log("event=reloaded")
    assert status_of(daemon.channel, "/trit.v1.Ternary/Project", tokens.token["a"])[0] == UNAUTHENTICATED
    stream.finish()
    assert daemon.stop() == 0


# ---- the build ---------------------------------------------------------------------------

def test_a_method_without_a_policy_does_not_compile(tmp_path):
    """services.c does not compile with a row that has no policy or an unknown one."""
    source = (ROOT / "server/services/services.c").read_text()
    flags = ["-std=gnu17", "-fsyntax-only", "-Iproto", "-Iserver", "-I.", "-Ibuild/gen"]

    def compiles(text):
        path = tmp_path / "services.c"
        path.write_text(text)
        return subprocess.run(["gcc", *flags, str(path)], cwd=ROOT, capture_output=True).returncode == 0

    assert "X(unpack, PROJECT)" in source
    assert compiles(source)
    for row in ("X(unpack)", "X(unpack, )", "X(unpack, NONE)", "X(unpack, NOTHING)"):
        assert not compiles(source.replace("X(unpack, PROJECT)", row)), row
