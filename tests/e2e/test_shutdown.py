# SPDX-License-Identifier: Apache-2.0
"""Starting and stopping: drains, exit codes, addresses, options."""
import os
import re
import signal
import socket
import subprocess
import time

import grpc
import numpy as np
import pytest

import reference as ref
import wire
from streams import HalfSent
from tritd import BINARIES, CALL_SECONDS, RUNNER, SLOW, START_SECONDS, Refused, cli, tensor_pb2

VALUES = np.random.default_rng(5).standard_normal((64, 128)).astype(np.float32)


def signal_and_wait(own):
    """Sends SIGTERM and waits until no new connection is served."""
    own.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + CALL_SECONDS
    while cli(own, "ping").returncode == 0:
        assert time.monotonic() < deadline


def test_a_signal_drains_running_calls(start):
    own = start()
    stream = HalfSent(own)
    signal_and_wait(own)
    assert own.process.poll() is None
    stream.finish()
    assert own.stop(how=0) == 0


def test_calls_in_the_backlog_are_served(start):
    """Connections that the daemon has not accepted when the signal comes make their first
    calls; also without a drain delay."""
    own = start()
    own.process.send_signal(signal.SIGSTOP)
    connections = [wire.Connection(own) for _ in range(20)]
    for one in connections:
        one.send(wire.request(1, wire.CHECK) + wire.data(1, wire.message(b""), end=True))
    own.process.send_signal(signal.SIGTERM)
    own.process.send_signal(signal.SIGCONT)
    for one in connections:
        found = one.frames(CALL_SECONDS, lambda f: f[0] == wire.HEADERS and
                           f[1] & wire.END_STREAM)
        assert [f[2] for f in found if f[0] == wire.DATA] == [1], found
        one.close()
    assert own.stop(how=0) == 0


def test_a_second_signal_does_not_wait(start):
    own = start()
    stream = HalfSent(own)
    signal_and_wait(own)
    own.process.send_signal(signal.SIGTERM)
    own.process.wait(10)
    stream.abandon()
    with pytest.raises(grpc.RpcError):
        list(stream.call)


def test_systemd_is_told_to_wait_for_a_start_that_takes_long(start, tmp_path):
    """A migration of the store may take longer than the timeout of the service."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(START_SECONDS)
        own = start(env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        told = list(iter(lambda: manager.recv(100), b"READY=1"))
        assert told and set(told) == {b"EXTEND_TIMEOUT_USEC=30000000"}
        assert own.stop() == 0 and manager.recv(100) == b"STOPPING=1"


def test_it_starts_and_stops_many_times(start):
    for turn in range(4 if SLOW else 12):
        own = start(name="again")
        reply = own.ternary.Project(ref.project_request(
            VALUES, layer=tensor_pb2.LayerRef(run="r", layer="l", step=turn)),
            timeout=CALL_SECONDS)
        assert reply.report.flips == 0
        assert own.stop() == 0, own.log()[-2000:]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_it_stops_immediately_when_idle(start, how):
    own = start()
    began = time.monotonic()
    assert own.stop(how) == 0
    assert time.monotonic() - began < (20 if SLOW else 3)


def run_tritd(*words, env=None, cwd=None):
    return subprocess.run([*RUNNER, str(BINARIES / "tritd"), *map(str, words)], text=True,
                          env=dict(os.environ, **(env or {})), cwd=cwd,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)


def test_version_and_help():
    """--version and --help exit 0."""
    for word in ("--version", "--help"):
        done = run_tritd(word)
        assert done.returncode == 0 and done.stdout, word


def test_an_unknown_option_names_itself():
    done = run_tritd("--no-such-option")
    assert done.returncode == 2 and "no-such-option" in done.stderr


def test_an_unknown_isa_is_refused_by_name(start):
    with pytest.raises(Refused, match="sse17"):
        start("--isa", "sse17")


def test_an_address_in_use_is_refused_by_name(start):
    own = start()
    with pytest.raises(Refused, match=own.rpc):
        start("--listen", own.rpc, name="other")


def test_a_public_address_needs_insecure(start):
    with pytest.raises(Refused, match="insecure"):
        start("--listen", "0.0.0.0:0")


def test_options_come_from_the_environment(start):
    own = start(env={"TRITD_ISA": "portable"})
    assert own.ternary.Project(ref.project_request(VALUES),
                               timeout=CALL_SECONDS).report.kernel == "portable"


def test_check_config_starts_nothing(tmp_path):
    done = run_tritd("--check-config", "--data-dir", tmp_path / "none")
    assert done.returncode == 0, done.stderr
    assert "ready" not in done.stdout and not (tmp_path / "none").exists()


@pytest.mark.parametrize("words,named", [
    (("--isa", "sse17"), "sse17"),
    (("--threads", "4000"), "4000"),
    (("--loops", "65"), "65"),
    (("--data-dir", "/proc/x"), "/proc/x"),
    (("--data-dir", "/etc/passwd"), "/etc/passwd"),
    (("--listen", "127.0.0.1:99999"), "99999"),
    (("--listen", "127.0.0.1"), "127.0.0.1"),
    (("--listen", "unix:/no/such/folder/socket"), "/no/such/folder"),
    (("--listen", "203.0.113.7:6561", "--insecure"), "203.0.113.7"),
    (("--http", "127.0.0.1:99999"), "99999"),
])
def test_check_config_refuses_what_cannot_start(words, named):
    """--check-config refuses each option that a start would refuse, names option and value, and
    exits 2."""
    done = run_tritd("--check-config", *words)
    assert done.returncode == 2 and named in done.stderr, done


@pytest.mark.parametrize("words,code", [
    (("--listen", "127.0.0.1:99999"), 2),
    (("--listen", "unix:relative"), 2),
    (("--http", "127.0.0.1:99999"), 2),
    (("--retain", "age=x"), 2),
    (("--isa", "sse17"), 2),
    (("--tls-cert", "/no/such.pem"), 2),
    (("--data-dir", "/proc/x"), 1),
    (("--listen", "unix:/no/such/folder/socket"), 1),
])
def test_a_start_exits_with_2_for_usage_and_1_for_what_it_finds(words, code):
    """A value that no machine takes is usage; a folder or socket that cannot be had is not."""
    listen = () if words[0] == "--listen" else ("--listen", "127.0.0.1:0")
    http = () if words[0] == "--http" else ("--http", "off")
    done = run_tritd(*listen, *http, *words)
    assert done.returncode == code, done


@pytest.mark.parametrize("text,named", [
    (b"threads = 1\nretain = age=1d\n\nretain = count=9\nthreads = 2\n",
     (":5:", "threads", "line 1")),
    (b"threads = 1\n\0token-file = /no/such\n", ("NUL",)),
])
def test_a_configuration_file_that_could_mean_two_things_is_refused(tmp_path, text, named):
    """An option of one value that is given twice, and a byte behind which nothing would be
    read."""
    (tmp_path / "tritd.conf").write_bytes(text)
    done = run_tritd("--check-config", "--config", tmp_path / "tritd.conf")
    assert done.returncode == 2, done
    for word in named:
        assert word in done.stderr, done.stderr


def test_check_config_passes_while_the_daemon_runs(start):
    """Addresses and a data directory that a daemon uses pass, because it will be restarted."""
    own = start()
    done = run_tritd("--check-config", "--listen", own.rpc, "--http", own.http)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words,allowed", [
    (("--log-format", "yaml"), "logfmt, json"),
    (("--log-level", "loud"), "debug, info, warn, error"),
    (("--memory-max", "12Q"), "MiB"),
    (("--threads", "many"), "a number from 0 to 4096"),
    (("--loops", "many"), "a number from 0 to 4096"),
])
def test_the_message_of_a_refused_value_says_what_is_allowed(words, allowed):
    done = run_tritd(*words)
    assert done.returncode == 2 and allowed in done.stderr and words[1] in done.stderr


def test_every_option_has_an_environment_variable(tmp_path):
    """Each option of the help is read from TRITD_NAME: a bad value names the variable."""
    help_text = run_tritd("--help").stdout
    options = re.findall(r"^  --([a-z0-9-]+) ([A-Z]*)", help_text, re.M)
    checked = 0
    for name, value in options:
        if value not in ("N", "MS", "BYTES", "LEVEL", "FORMAT"):
            continue
        variable = "TRITD_" + name.upper().replace("-", "_")
        done = run_tritd("--check-config", env={variable: "bad value"})
        assert done.returncode == 2 and variable in done.stderr, (name, done)
        checked += 1
    assert checked >= 10


def test_the_configuration_file_may_come_from_the_environment(start, tmp_path):
    """TRITD_CONFIG names the file; TRITD_LISTEN holds several addresses."""
    (tmp_path / "tritd.conf").write_text("isa = portable\n")
    own = start(env={"TRITD_CONFIG": str(tmp_path / "tritd.conf")})
    assert own.ternary.Project(ref.project_request(VALUES),
                               timeout=CALL_SECONDS).report.kernel == "portable"
    done = run_tritd("--check-config", "--http", "off",
                     env={"TRITD_LISTEN": "127.0.0.1:0,localhost:99999"})
    assert done.returncode == 2 and "localhost:99999" in done.stderr


@pytest.mark.parametrize("name", ["-x.conf", "TRITD_x.conf"])
def test_a_later_source_replaces_a_list_whatever_the_files_name(tmp_path, name):
    """Of 16 host names in the file and one of a later source, that one is left: 17 would be too
    many."""
    (tmp_path / name).write_text("http-host = a\n" * 16)
    for words, env in [(("--http-host", "b"), {}), ((), {"TRITD_HTTP_HOST": "b"})]:
        done = run_tritd("--check-config", "--config", name, *words, env=env, cwd=tmp_path)
        assert done.returncode == 0, done
    (tmp_path / name).write_text("http-host = a\n" * 17)
    assert run_tritd("--check-config", "--config", name, cwd=tmp_path).returncode == 2


def test_an_unusable_data_dir_is_refused_by_name(start, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Refused, match="file"):
        start("--data-dir", tmp_path / "file" / "data")
