# SPDX-License-Identifier: Apache-2.0
"""tritd --check-data reads everything in the data directory and names what is damaged."""
import os
import sqlite3
import subprocess
from pathlib import Path

import pytest

import reference as ref
from held import Service, load, normal
from tritd import BINARIES, CALL_SECONDS, RUNNER, Daemon, Refused, tensor_pb2


def check_data(folder):
    return subprocess.run([*RUNNER, str(BINARIES / "tritd"), "--check-data", "--data-dir",
                           str(folder)], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=CALL_SECONDS)


def contents(folder):
    """Each file's bytes and time of change."""
    return {path.relative_to(folder): (path.stat().st_mtime_ns, path.read_bytes())
            for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def data(start, random):
    """A data directory with 6 reports of 2 layers and 2 held layers, one with latents."""
    own = start()
    for layer in ("a", "b"):
        for step in (1, 2, 3):
            own.ternary.Project(ref.project_request(
                normal(random, 8, 256), layer=tensor_pb2.LayerRef(run="r", layer=layer, step=step)),
                timeout=CALL_SECONDS)
    layers = Service(own)
    load(layers, "plain", normal(random, 8, 256))
    load(layers, "kept", normal(random, 8, 256), keep_latents=True)
    assert own.stop() == 0
    return own.folder / "data"


def test_intact_data_is_told_with_counts(data):
    """The check counts what it read and writes nothing, so it works on a read-only file system."""
    before = contents(data)
    done = check_data(data)
    assert contents(data) == before
    assert done.returncode == 0, done
    assert done.stdout == ("6 reports of 2 layers, codes of 2; 2 held layers, latents of 1: "
                           "intact\n")


def test_a_new_directory_is_told_from_one_that_holds_data(tmp_path):
    """Of an empty directory the check says that nothing is stored: it may be the wrong one."""
    done = check_data(tmp_path)
    assert done.returncode == 0 and done.stdout.endswith(": nothing is stored\n"), done
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("sql,named", [
    ("UPDATE reports SET digest = zeroblob(32) WHERE layer = 'a' AND step = 2",
     ['run "r", layer "a", after step 1', "checksum"]),
    ("DELETE FROM reports WHERE layer = 'b' AND step = 2",
     ['run "r", layer "b"', "between steps 1 and 3 are missing", "2 reports"]),
    ("DELETE FROM reports WHERE layer = 'b' AND step = 3", ["its row says 3 reports"]),
    ("DELETE FROM layers WHERE layer = 'a'",
     ['layer "b" are missing', "3 reports belong to no layer"]),
    ("UPDATE layers SET step_max = 7 WHERE layer = 'a'", ["the layer after", "checksum"]),
    ("UPDATE codes SET data = zeroblob(length(data))", ["codes of step 3"]),
    ("UPDATE totals SET layers = 3", ["totals"]),
])
def test_damage_to_reports_is_named(data, sql, named):
    """Each changed or missing row is named, and the exit code is 1."""
    database = sqlite3.connect(data / "reports.sqlite")
    assert database.execute(sql).rowcount > 0
    database.commit()
    database.close()
    done = check_data(data)
    assert done.returncode == 1, done
    for words in named:
        assert words in done.stdout, done.stdout
    assert done.stdout.endswith("damaged\n")


def test_all_damage_is_named_in_one_run(data):
    """One fault does not hide another, in reports and in held layers."""
    database = sqlite3.connect(data / "reports.sqlite")
    database.execute("UPDATE reports SET digest = zeroblob(32) WHERE step = 2")
    database.commit()
    database.close()
    for path in ("held/plain", "latents/kept"):
        file = data / "layers" / path
        content = bytearray(file.read_bytes())
        content[-100] ^= 1
        file.write_bytes(content)
    done = check_data(data)
    assert done.returncode == 1, done
    for words in ('layer "a", after step 1', 'layer "b", after step 1', "plain", "latents: ",
                  "kept"):
        assert words in done.stdout, done.stdout
    faults = [line for line in done.stdout.splitlines() if line.startswith("damaged: ")]
    assert len(faults) == 4


@pytest.mark.parametrize("path", ["held/kept", "latents/kept"])
@pytest.mark.parametrize("size", [0, 100, 1000])
def test_a_short_file_of_a_layer_is_named(data, path, size):
    file = data / "layers" / path
    file.write_bytes(file.read_bytes()[:size])
    done = check_data(data)
    assert done.returncode == 1 and "kept" in done.stdout, done


def test_missing_latents_are_named(data):
    (data / "layers" / "latents" / "kept").unlink()
    done = check_data(data)
    assert done.returncode == 1 and "the latents of kept are missing" in done.stdout, done


def test_a_file_that_is_no_database_is_named(data):
    (data / "reports.sqlite").write_bytes(b"no database" * 1000)
    done = check_data(data)
    assert done.returncode == 1 and "reports.sqlite" in done.stdout, done


def test_a_layer_that_a_start_put_aside_is_named(data, start):
    file = data / "layers" / "held" / "plain"
    file.write_bytes(file.read_bytes()[:50])
    own = start()
    assert own.stop() == 0
    done = check_data(data)
    assert done.returncode == 1 and "put it aside" in done.stdout, done


def test_data_in_use_is_not_checked(start, random):
    """A running daemon's directory is refused, by the daemon's process number. When the daemon was
    killed, what is only in the log of its database is checked too, and stays there."""
    own = start()
    data = own.folder / "data"
    done = check_data(data)
    assert done.returncode == 2 and f"in use by process {own.process.pid}" in done.stderr, done
    own.ternary.Project(ref.project_request(normal(random, 8, 256), layer=tensor_pb2.LayerRef(
        run="r", layer="a", step=1)), timeout=CALL_SECONDS)
    own.kill()
    before = contents(data)
    assert before[Path("reports.sqlite-wal")][1]
    done = check_data(data)
    assert done.returncode == 0 and done.stdout.startswith("1 reports of 1 layers"), done
    assert contents(data) == before


def test_a_missing_directory_is_refused_and_not_made(tmp_path):
    done = check_data(tmp_path / "none")
    assert done.returncode == 2 and "none" in done.stderr, done
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("size", [None, 0])
def test_a_database_that_is_gone_is_no_new_store(data, size, tmp_path):
    """Neither a start nor a check takes a directory whose database is missing or empty for one in
    which nothing was stored yet."""
    for file in data.glob("reports.sqlite*"):
        file.unlink()
    if size is not None:
        (data / "reports.sqlite").write_bytes(b"")
    done = check_data(data)
    assert done.returncode == 1 and "missing or empty" in done.stdout, done
    with pytest.raises(Refused) as refused:
        Daemon(tmp_path / "again", "--data-dir", data, durable=False)
    assert "missing or empty" in refused.value.log and "tritd.lock" in refused.value.log
    for file in data.glob("reports.sqlite*"):
        file.unlink()
    done = subprocess.run([*RUNNER, str(BINARIES / "tritd"), "--check-config", "--data-dir",
                           str(data)], text=True, stderr=subprocess.PIPE, timeout=CALL_SECONDS)
    assert done.returncode == 2 and "missing or empty" in done.stderr, done
    (data / "tritd.lock").unlink()
    assert Daemon(tmp_path / "anew", "--data-dir", data, durable=False).stop() == 0


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["--check-config"], ["--check-data"]])
def test_output_that_cannot_be_written_is_no_success(data, words):
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([*RUNNER, str(BINARIES / "tritd"), *words], stdout=full, stderr=subprocess.PIPE,
                              env={**os.environ, "TRITD_DATA_DIR": str(data)}, text=True, timeout=CALL_SECONDS)
    assert done.returncode == 1 and "cannot write to standard output: No space" in done.stderr
