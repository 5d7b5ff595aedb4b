# SPDX-License-Identifier: Apache-2.0
"""trit reports and its commands: list, show, rewind, fork, delete; and the options with which
project and verify store reports."""
import contextlib
import os
import pty
import select
import subprocess

import pytest

import claims
import schemas
from checkpoints import save
from tritd import BINARIES, CALL_SECONDS, RUNNER, cli, report_pb2, tensor_pb2


def file(daemon, values, run, step, layer="up", **fields):
    return claims.verify(daemon, values.tobytes(), values.shape, layer=tensor_pb2.LayerRef(
        run=run, layer=layer, step=step, **fields))


@pytest.fixture
def values(random):
    return claims.ternary(random)[0]


@pytest.fixture
def filed(daemon, run, values):
    for step in (10, 20, 30):
        file(daemon, values * (-1) ** (step // 10), run, step)
    return run


def result(daemon, *words, code=0):
    """The JSON of a command of `trit reports`; it follows its schema (tritd.cli checks)."""
    done = cli(daemon, "reports", *words, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    return schemas.read(done.stdout)


def good(daemon, *words):
    done = cli(daemon, "reports", *words)
    assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr
    return done.stdout


def fails(code, *words):
    """The message of a command that fails with this exit code."""
    done = cli(*words)
    assert done.returncode == code and done.stderr.startswith("trit: ") and not done.stdout, (
        done.stdout + done.stderr)
    return done.stderr


# ---- list and show ------------------------------------------------------------------------

def test_the_list_has_attempts_and_replicas(daemon, filed, values):
    file(daemon, values, filed, 10, replica=3)
    assert [one["step"] for one in result(daemon, filed)["reports"]] == [10, 20, 30]
    assert result(daemon, "list", filed) == result(daemon, filed) == result(
        daemon, "--run", filed, "up")
    one, = result(daemon, filed, "--replica", 3)["reports"]
    assert (one["replica"], one["attempt"], one["superseded"]) == (3, 1, False)
    result(daemon, "rewind", filed, "--step", 10)
    assert [one["step"] for one in result(daemon, filed)["reports"]] == [10]
    old = result(daemon, filed, "--attempt", 1)["reports"]
    assert [one["superseded"] for one in old] == [False, True, True]
    rows = good(daemon, filed, "--attempt", 1).splitlines()
    assert "attempt" in rows[0] and "health" in rows[0]
    assert ["superseded" in row for row in rows[1:4]] == [False, True, True]
    assert "replica 3" in good(daemon, filed, "--replica", 3)


def test_show(daemon, filed):
    report = result(daemon, "show", filed, "up", "--step", 20)
    assert (report["run"], report["layer"], report["step"]) == (filed, "up", 20)
    assert result(daemon, "show", filed, "up")["step"] == 30
    assert filed in good(daemon, "show", filed, "up")
    assert "NOT_FOUND" in fails(3, daemon, "reports", "show", filed, "up", "--step", 21)
    result(daemon, "rewind", filed, "--step", 10)
    assert result(daemon, "show", filed, "up", "--step", 20, "--attempt", 1)["superseded"]


def test_show_says_what_was_found(daemon, run, values):
    values[0, 0] = float("nan")
    file(daemon, values, run, 1)
    assert "error: non_finite" in good(daemon, "show", run, "up")


def test_a_run_that_is_called_like_a_command(daemon, values):
    file(daemon, values, "show", 1)
    assert len(result(daemon, "list", "show")["reports"]) == 1
    assert len(result(daemon, "--run", "show")["reports"]) == 1


# ---- rewind, fork, delete -------------------------------------------------------------------

def test_rewind(daemon, filed):
    assert result(daemon, "rewind", filed, "--step", 20) == {
        "run": filed, "step": 20, "attempt": 2}
    assert "attempt 3 goes on after step 10" in good(daemon, "rewind", filed, "--step", 10)
    assert "--step" in fails(2, daemon, "reports", "rewind", filed)
    assert "NOT_FOUND" in fails(3, daemon, "reports", "rewind", "no such run", "--step", 1)


def test_fork(daemon, filed):
    new = filed + " fork"
    assert result(daemon, "fork", filed, "--step", 20, new) == {
        "run": filed, "step": 20, "new_run": new, "reports": 2}
    assert [one["step"] for one in result(daemon, new)["reports"]] == [10, 20]
    assert "ALREADY_EXISTS" in fails(3, daemon, "reports", "fork", filed, new, "--step", 20)
    assert "--step" in fails(2, daemon, "reports", "fork", filed, "x")


def test_delete_needs_yes_without_a_terminal(daemon, filed):
    why = fails(2, daemon, "reports", "delete", filed, "--from", 20)
    assert "--yes" in why and filed in why and "from step 20" in why
    assert len(result(daemon, filed)["reports"]) == 3
    assert result(daemon, "delete", filed, "--from", 20, "--to", 25, "--yes") == {
        "run": filed, "reports": 1}
    assert result(daemon, "delete", filed, "--layer", "up", "--yes") == {
        "run": filed, "layer": "up", "reports": 2}
    assert "NOT_FOUND" in fails(3, daemon, "reports", "delete", filed, "--yes")


@pytest.mark.parametrize("answer, code, left", [("n", 1, 3), ("", 1, 3), ("y", 0, 0),
                                                ("yes", 0, 0)])
def test_delete_asks_on_a_terminal(daemon, filed, answer, code, left):
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer.encode() + b"\n")
        done = subprocess.run(
            [*RUNNER, str(BINARIES / "trit"), "reports", "delete", filed], stdin=theirs,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=CALL_SECONDS,
            env=dict(os.environ, TRITD_ADDRESS=daemon.rpc))
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == code, done.stderr
    assert f"Delete all reports of run {filed}?" in done.stderr
    if left:
        assert len(result(daemon, filed)["reports"]) == left
    else:
        assert "NOT_FOUND" in fails(3, daemon, "reports", filed)


# ---- usage --------------------------------------------------------------------------------

COMMANDS = ["list", "show", "watch", "rewind", "fork", "delete", "compare"]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command):
    done = cli(None, "reports", command, "--help")
    assert done.returncode == 0 and done.stdout.startswith(f"usage: trit reports {command} ")
    assert "--server" in done.stdout and "--json" in done.stdout


def test_help_names_the_commands():
    done = cli(None, "reports", "--help")
    assert done.returncode == 0 and all(f"\n  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("words", [
    ("show", "r"), ("rewind",), ("rewind", "r", "--step", "-1"), ("fork", "r", "--step", 1),
    ("delete",), ("compare", "r/l@1"), ("compare", "r/l@1", "r/l"), ("compare", "r/l@1", "l@1"),
    ("compare", "r/l@1", "r/l@x"), ("compare", "r/l@1", "r/l@1:2:3:4"), ("compare", "r/l@1", "/l@1"),
    ("compare", "r/l@1", "r%2/l@1"), ("compare", "r/l@1", "r%00/l@1"), ("watch", "a", "b"),
    ("watch", "--attempt", 1), ("--attempt", 2**32), ("--replica", "x"),
])
def test_bad_usage_is_2(words):
    done = cli(None, "reports", *words, env={"TRITD_ADDRESS": "127.0.0.1:1"})
    assert done.returncode == 2 and done.stderr, done.stderr


@pytest.mark.parametrize("words", [
    ("list",), ("show", "r", "l"), ("rewind", "r", "--step", 1), ("fork", "r", "s", "--step", 1),
    ("delete", "r", "--yes"), ("compare", "r/l@1", "r/l@2"), ("watch",)])
def test_without_a_daemon_it_is_3(words):
    assert "UNAVAILABLE" in fails(3, None, "reports", *words, "--server", "127.0.0.1:1")


# ---- project and verify --------------------------------------------------------------------

def listed(daemon, run, **fields):
    return daemon.reports.List(report_pb2.ReportsListRequest(run=run, **fields),
                               timeout=CALL_SECONDS).reports


def test_project_and_verify_store_in_an_attempt(daemon, tmp_path, run, values):
    path, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    save(path, {"fc.weight": values, "up.weight": -values})
    words = "--run", run, "--replica", 2
    assert cli(daemon, "verify", path, *words, "--step", 5).returncode == 0
    assert cli(daemon, "verify", path, *words, "--step", 3, "--attempt", 2).returncode == 0
    found = listed(daemon, run, replica=2)
    assert [(one.step, one.attempt) for one in found] == [(3, 2), (3, 2)]
    save(path, {"fc.weight": values * 1.5})
    done = cli(daemon, "project", path, "-o", out, "--again", *words, "--step", 9, "--attempt", 1)
    assert done.returncode == 3 and "FAILED_PRECONDITION" in done.stderr, done.stderr


def test_best_effort_goes_on(daemon, tmp_path, run, values):
    path = tmp_path / "in.safetensors"
    save(path, {"fc.weight": values})
    assert cli(daemon, "verify", path, "--run", run).returncode == 0
    save(path, {"fc.weight": -values})
    done = cli(daemon, "verify", path, "--run", run)
    assert done.returncode == 3 and "ALREADY_EXISTS" in done.stderr
    done = cli(daemon, "verify", path, "--run", run, "--durability", "best_effort", "--json")
    assert done.returncode == 0, done.stderr
    assert schemas.read(done.stdout)["layers"][0]["stored"] is False
    done = cli(daemon, "verify", path, "--run", run, "--durability", "best_effort")
    assert done.returncode == 0 and "1 of 1 reports are not stored" in done.stdout


@pytest.mark.parametrize("command", ["project", "verify"])
@pytest.mark.parametrize("words", [("--attempt", 1), ("--replica", 1),
                                   ("--durability", "best_effort")])
def test_they_need_a_run(tmp_path, values, command, words):
    save(tmp_path / "in.safetensors", {"fc.weight": values})
    out = ["-o", tmp_path / "out.safetensors"] if command == "project" else []
    assert "--run" in fails(2, None, command, tmp_path / "in.safetensors", *out, *words)


# ---- watch ----------------------------------------------------------------------------------

@contextlib.contextmanager
def watching(daemon, *words):
    """The output of `trit reports watch`, while it runs."""
    watch = subprocess.Popen(
        [*RUNNER, str(BINARIES / "trit"), "reports", "watch", *map(str, words)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        env=dict(os.environ, TRITD_ADDRESS=daemon.rpc))
    try:
        yield watch.stdout
    finally:
        watch.kill()
        watch.wait()
        watch.stdout.close()


def test_watch_from_the_beginning(daemon, filed):
    """Each line of JSON follows its schema; --cursor goes on after a report."""
    with watching(daemon, filed, "--cursor", 0, "--json") as output:
        found = [schemas.parse(output.readline()) for _ in range(3)]
    assert [one["report"]["step"] for one in found] == ["10", "20", "30"]
    assert all(schemas.errors("reports-watch", one) == [] for one in found)
    with watching(daemon, filed, "--cursor", found[0]["cursor"]) as output:
        rest = [output.readline() for _ in range(2)]
    assert "step 20" in rest[0] and "step 30" in rest[1] and filed in rest[0] and "up" in rest[0]


def test_a_watch_goes_on_after_restarts(start, run, values, tmp_path):
    """The daemon is killed twice while reports are watched. Each report is printed once."""
    address = f"unix:{tmp_path}/rpc"
    own = start("--listen", address)
    file(own, values, run, 0)
    seen = []
    with watching(own, run, "--server", address, "--cursor", 0, "--json") as output:
        for life in range(3):
            while not seen or seen[-1] < 10 * life:
                seen.append(int(schemas.read(output.readline())["report"]["step"]))
            own.kill()
            own = start("--listen", address)
            for step in range(10 * life + 1, 10 * life + 11):
                file(own, values, run, step)
        while seen[-1] < 30:
            seen.append(int(schemas.read(output.readline())["report"]["step"]))
    assert seen == list(range(31))


def test_watch_prints_a_report_when_it_is_stored(daemon, run, values):
    with watching(daemon, run, "--json") as output:
        step = 0  # the watch may not have begun yet: another report is stored until it prints
        while not select.select([output], [], [], .1)[0]:
            file(daemon, values, run, step)
            step += 1
        assert schemas.read(output.readline())["report"]["run"] == run


def test_watch_ends_after_its_time(daemon, filed):
    done = cli(daemon, "reports", "watch", filed, "--timeout", ".01")
    assert done.returncode == 0 and not done.stderr


def test_watch_with_a_bad_cursor(daemon):
    assert "cursor" in fails(3, daemon, "reports", "watch", "--cursor", "x")
