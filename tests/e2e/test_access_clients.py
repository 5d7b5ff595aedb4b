# SPDX-License-Identifier: Apache-2.0
"""trit and its tokens: how one is made, and how it is sent."""
import hashlib
import json
import signal
import socket

import grpc
import pytest

from access import Tokens, status_of
from tritd import DATA, Daemon, Refused, cli

LATENTS = DATA / "silero_vad_16k.safetensors"


def test_trit_token_makes_a_token_and_its_line():
    """256 random bits as base64url, and the line with their SHA-256; no two are equal."""
    seen = set()
    for words in (("read",), ("verify", "project"), ("project,verify", "read"), ("admin",)):
        done = cli(None, "token", "ci", *words)
        assert done.returncode == 0, done.stderr
        token, line = done.stdout.splitlines()
        assert len(token) == 43 and token.replace("-", "a").replace("_", "a").isalnum()
        name, digest, policies = line.split()
        assert name == "ci" and digest == "sha256:" + hashlib.sha256(token.encode()).hexdigest()
        assert set(policies.split(",")) == set(",".join(words).split(","))
        assert token not in done.stderr
        seen.add(token)
    assert len(seen) == 4
    made = json.loads(cli(None, "token", "ci", "read", "--json").stdout)
    assert hashlib.sha256(made["token"].encode()).hexdigest() in made["line"]


@pytest.mark.parametrize("words", [("ci",), (), ("ci", "reads"), ("ci", "read,"), ("a b", "read"),
                                   ("#a", "read"), ("a" * 65, "read"), ("a\x1b", "read")])
def test_trit_token_refuses_what_the_file_could_not_hold(words):
    done = cli(None, "token", *words)
    assert done.returncode == 2 and done.stderr and not done.stdout


def test_a_token_of_trit_token_opens_the_daemon(start, tmp_path):
    """The whole way: make, put into the file, SIGHUP, call by option, file and variable."""
    tokens = tmp_path / "tokens"
    first, line = cli(None, "token", "first", "project", "read").stdout.splitlines()
    tokens.write_text(line + "\n")
    daemon = start("--token-file", tokens)
    out = tmp_path / "out.safetensors"
    plain = cli(daemon, "project", LATENTS, "-o", out)
    assert plain.returncode == 3 and "UNAUTHENTICATED" in plain.stderr and "--token-file" in plain.stderr

    second, line2 = cli(None, "token", "second", "project").stdout.splitlines()
    tokens.write_text(line + "\n" + line2 + "\n")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_log("event=reloaded", "access_rules=2")
    secret = tmp_path / "secret"
    secret.write_text(second + "\n")
    done = cli(daemon, "project", LATENTS, "-o", out, "--token-file", secret)
    assert done.returncode == 0, done.stderr
    for env in ({"TRIT_TOKEN_FILE": str(secret)}, {"TRIT_TOKEN": second}):
        done = cli(daemon, "project", LATENTS, "-o", out, "--force", env=env)
        assert done.returncode == 0, done.stderr
    done = cli(daemon, "verify", out, env={"TRIT_TOKEN": second})
    assert done.returncode == 3 and "needs the policy verify; second has project" in done.stderr
    assert cli(daemon, "reports", "r", env={"TRIT_TOKEN": first}).returncode in (0, 3)
    assert cli(daemon, "ping").returncode == 0  # health answers everyone
    for token in (first, second):
        assert token not in daemon.log() and token not in done.stderr
    assert daemon.stop() == 0


def test_a_bad_token_file_is_a_usage_of_the_file_not_of_the_token(daemon, tmp_path):
    path = tmp_path / "secret"
    assert f"trit: --token-file: {path}: No such file" in cli(
        daemon, "ping", "--token-file", path).stderr
    path.write_text("ci sha256:1234 read\n")  # the daemon's file, not the caller's
    done = cli(daemon, "ping", "--token-file", path)
    assert done.returncode == 2 and "does not hold a token" in done.stderr and "1234" not in done.stderr


# ---- over the network ------------------------------------------------------------------------

def own_address():
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            address = probe.getsockname()[0]
        except OSError:
            address = "127.0.0.1"
    if address.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    return address


def test_no_token_crosses_the_network_in_the_clear(start, tmp_path):
    """trit does not send a token over plain TCP to another address; the daemon refuses one
    that comes that way, also with --insecure."""
    address = own_address()
    tokens = Tokens(tmp_path / "tokens", boss="admin")
    daemon = start("--listen", f"{address}:0", "--insecure", "--token-file", tokens.path)
    distant = next(one for one in daemon.ready_line.split("rpc=")[1].split()[0].split(",")
                   if one.startswith(address))
    env = {"TRIT_TOKEN": tokens.token["boss"]}
    done = cli(None, "layers", "list", "--server", distant, env=env)
    assert done.returncode == 3 and "plain TCP" in done.stderr and "TLS" in done.stderr
    assert cli(None, "layers", "list", "--server", daemon.rpc, env=env).returncode == 0
    assert cli(None, "ping", "--server", distant).returncode == 0
    with grpc.insecure_channel(distant) as channel:
        status, message = status_of(channel, "/trit.v1.Layers/List", tokens.token["boss"])
        assert status == grpc.StatusCode.UNAUTHENTICATED and "plain TCP" in message
        assert status_of(channel, "/grpc.health.v1.Health/Check")[0] == grpc.StatusCode.OK
    assert daemon.stop() == 0


def test_an_address_that_others_can_reach_needs_more_than_tokens(tmp_path):
    """Tokens without TLS do not allow such an address: they would be read on the way."""
    tokens = Tokens(tmp_path / "tokens", boss="admin")
    with pytest.raises(Refused) as stopped:
        Daemon(tmp_path / "own", "--listen", "0.0.0.0:0", "--token-file", tokens.path)
    assert stopped.value.code == 2 and "--insecure" in stopped.value.log
