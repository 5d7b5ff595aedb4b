# SPDX-License-Identifier: Apache-2.0
"""No partial output: whichever system call of trit fails or is the last before a kill, each
output is the old one or the complete new one."""
import errno
import os
import shutil
import signal
import subprocess
import time
from typing import NamedTuple

import numpy as np
import pytest

from checkpoints import save
from failing import CHANGES, NAMING, leftovers, run, tree
from folders import save_folder
from tritd import BINARIES, CALL_SECONDS, VARIANT, cli

pytestmark = pytest.mark.skipif(VARIANT not in ("release", "cov"),
                                reason="a library is preloaded")


class Scenario(NamedTuple):
    words: tuple
    outputs: tuple
    replaces: bool = False
    lacks: tuple = ()


PROJECT = ("project", "in.safetensors", "-o", "out.safetensors", "-e", "int8")
FOLDER = ("project", "model", "-o", "out", "-e", "int8", "--shard-size", "5KB")
PACK = ("pack", "ternary", "-o", "out", "-e", "pq2_0", "--shard-size", "2KB")
UNPACK = ("unpack", "packed.safetensors", "-o", "out.safetensors")
FILE_OUT, FOLDER_OUT = ("out.safetensors",), ("out",)

SCENARIOS = {
    "file": Scenario(PROJECT, FILE_OUT),
    "file-replaced": Scenario(PROJECT, FILE_OUT, True),
    "file-named": Scenario(PROJECT, FILE_OUT, lacks=("tmpfile",)),
    "file-named-replaced": Scenario(PROJECT, FILE_OUT, True, ("tmpfile",)),
    "folder": Scenario(FOLDER, FOLDER_OUT),
    "folder-replaced": Scenario(FOLDER, FOLDER_OUT, True),
    "folder-in-two-steps": Scenario(FOLDER, FOLDER_OUT, True, ("exchange",)),
    "pack": Scenario(PACK, FOLDER_OUT, True),
    "unpack": Scenario(UNPACK, FILE_OUT, True),
    "gguf": Scenario(("project", "in.safetensors", "-o", "out.gguf", "-e", "pq2_0"),
                     ("out.gguf",), True),
    "gguf-packed": Scenario(("pack", "ternary", "-o", "out.gguf", "-e", "pq2_0"), ("out.gguf",)),
    "attest": Scenario(("attest", "packed.safetensors", "-o", "s.json"), ("s.json",), True),
    "report": Scenario((*PROJECT, "--report", "r.md"), ("out.safetensors", "r.md"), True),
    "verify": Scenario(("verify", "packed.safetensors", "--report", "r.csv"), ("r.csv",)),
}


@pytest.fixture(scope="module")
def inputs(daemon, tmp_path_factory):
    """A file and a folder of two shards with tokenizer, the same two ternary, one packed, and
    old outputs."""
    folder, random = tmp_path_factory.mktemp("inputs"), np.random.default_rng(7)
    tensors = {f"layers.{i}.fc.weight": (random.standard_normal((8, 256)) * .02)
               .astype(np.float32) for i in range(3)}
    tensors["norm.weight"] = np.ones(256, np.float32)
    names = sorted(tensors)
    shards = [{name: tensors[name] for name in part} for part in (names[:2], names[2:])]
    save(folder / "in.safetensors", tensors)
    save_folder(folder / "model", shards, {"model_type": "llama"})
    (folder / "model" / "tokenizer.json").write_text('{"version": "1.0"}')
    for words in (("project", "model", "-o", "ternary", "-g", 128),
                  ("project", "in.safetensors", "-o", "packed.safetensors", "-e", "pq2_0")):
        done = cli(daemon, *words, cwd=folder)
        assert done.returncode == 0, done.stderr
    ternary = folder / "ternary"  # scales that f16 holds
    codes = {name: np.sign(tensor) * np.float32(.125) if tensor.ndim == 2 else tensor
             for name, tensor in tensors.items()}
    shutil.rmtree(ternary)
    save_folder(ternary, [{name: codes[name] for name in part}
                          for part in (names[:2], names[2:])], {"model_type": "llama"})
    old = folder / "old"
    old.mkdir()
    save(old / "out.safetensors", {"old.weight": np.zeros(3, np.float32)})
    (old / "out.gguf").write_bytes(b"GGUF" + bytes(20))
    save_folder(old / "out", [{"old.weight": np.zeros(3, np.float32)}], {"model_type": "old"})
    for name in ("r.md", "r.csv", "s.json"):
        (old / name).write_text("old\n")
    return folder


class Place:
    """A folder in which a scenario is repeated from the same initial state."""

    def __init__(self, folder, inputs, scenario):
        self.folder, self.old, self.scenario = folder, inputs / "old", scenario
        folder.mkdir()
        for path in inputs.iterdir():
            if path.name != "old":
                (folder / path.name).symlink_to(path)
        self.others = {path.name for path in folder.iterdir()}
        self.words = scenario.words + (("--force",) if scenario.replaces else ())
        self.restore()
        self.before = self.state()

    def state(self):
        return {name: tree(self.folder / name) for name in self.scenario.outputs}

    def restore(self):
        for name in self.scenario.outputs:
            path = self.folder / name
            if path.is_dir():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
            if self.scenario.replaces:
                if (self.old / name).is_dir():
                    shutil.copytree(self.old / name, path)
                else:
                    shutil.copy(self.old / name, path)

    def run(self, daemon, **how):
        """Runs the command from the initial state; apart from the outputs only temporary names
        may exist afterwards."""
        self.restore()
        done = run(daemon, self.folder, *self.words, lacks=self.scenario.lacks, **how)
        more = {path.name for path in self.folder.iterdir()} - self.others
        more -= set(self.scenario.outputs)
        assert more <= {path.name for path in leftovers(self.folder)}, more
        return done

    def clear(self):
        """Removes files with temporary names and returns their names."""
        found = leftovers(self.folder)
        for path in found:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return [path.name for path in found]


@pytest.fixture(params=SCENARIOS)
def place(request, tmp_path, inputs):
    return Place(tmp_path / "place", inputs, SCENARIOS[request.param])


def whole_run(daemon, place):
    """The calls of an undisturbed run, and its outputs."""
    done = place.run(daemon)
    assert done.code == 0 and not done.hit, done.error
    assert place.clear() == []
    after = place.state()
    assert all(after[name] != place.before[name] for name in after)
    return done.calls, after


def killed_states(daemon, place, calls, after):
    """The outputs after a SIGKILL before each call, and after the last one; and what was moved
    aside. Threads write in any order; the calls that give names come after them."""
    states, aside = [], []
    for nth in range(1, len(calls) + 1):
        done = place.run(daemon, nth=nth, how=f"signal {int(signal.SIGKILL)}")
        assert done.code == -signal.SIGKILL and done.hit
        states.append(place.state())
        aside += [tree(path) for path in leftovers(place.folder) if ".old-" in path.name]
        place.clear()  # the next run would do so, by calls of its own
    return states + [after], aside


def check_states(place, calls, states, after):
    """An output changes from the old one to the new one once, by a call that renames or
    links."""
    for name in place.scenario.outputs:
        for nth, state in enumerate(states):
            if state[name] not in (place.before[name], after[name]):
                # Without an exchange of names the old folder is moved away first.
                assert "exchange" in place.scenario.lacks and state[name] is None
                assert calls[nth - 1] == calls[nth] == "rename"
            elif nth and state[name] != states[nth - 1][name]:
                assert state[name] == after[name] and calls[nth - 1] in NAMING
        assert states[0][name] == place.before[name]


def test_files_are_flushed_before_they_are_named(daemon, place):
    """Every file is flushed, and so is a folder of files, before it gets its name; then the folder
    that holds the name is."""
    calls, _ = whole_run(daemon, place)
    for name in place.scenario.outputs:
        named = next(at for at, call in enumerate(calls) if call in NAMING)
        while calls[named + 1] in NAMING:  # first aside, or under a temporary name
            named += 1
        before, calls = calls[:named + 1], calls[named + 1:]
        created, folders = before.count("create"), before.count("mkdir")
        assert created >= 1 and before.count("fsync") == created + folders, (name, before)
        last = len(before) - 1 - before[::-1].index("fsync")
        assert "write" not in before[last:], (name, before)
        while calls[0] in ("unlink", "chmod"):
            calls = calls[1:]
        assert calls.pop(0) == "fsync", name


def test_a_killed_command_leaves_old_or_new(daemon, place):
    """SIGKILL at any call that changes files leaves each output old or new. Remaining files have
    temporary names, and the next run succeeds and removes them."""
    calls, after = whole_run(daemon, place)
    assert {"write", "fsync"} < set(calls) and set(calls) & set(NAMING)
    states, aside = killed_states(daemon, place, calls, after)
    check_states(place, calls, states, after)
    if "exchange" in place.scenario.lacks:  # set aside, it is there as a whole
        assert place.before["out"] in aside
    for nth in (2, len(calls) // 2):
        place.run(daemon, nth=nth, how=f"signal {int(signal.SIGKILL)}")
    done = place.run(daemon)
    assert done.code == 0 and place.state() == after and leftovers(place.folder) == []


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
def test_a_failing_call_leaves_old_or_new(daemon, place, code):
    """If a call that changes files fails, the command says why. Each output is the old one
    unless it already had its new name, and nothing is left under a temporary name. A full disk
    fails every later call that needs space."""
    full = code == errno.ENOSPC
    counting = ("create", "write", "mkdir", "link") if full else CHANGES
    calls, after = whole_run(daemon, place)
    nth = 0
    while True:
        nth += 1
        done = place.run(daemon, calls=counting, nth=nth,
                         how=f"{'sticky' if full else 'errno'} {int(code)}")
        if not done.hit:
            break
        call, earlier = done.failed
        state, stayed = place.state(), place.clear()
        if done.code == 0:  # there is another way, or nothing was lost
            assert state == after and call in ("create", "unlink", "close"), done
            continue
        assert done.code == 3 and os.strerror(code) in done.error, done
        named = bool(set(NAMING) & set(earlier))
        for name in place.scenario.outputs:
            assert state[name] in (place.before[name], after[name]), done
        assert state == place.before or named, done
        if len(place.scenario.outputs) == 1:
            assert state == place.before or call in ("fsync", "unlink"), done
        assert stayed == [] or named and call in ("fsync", "unlink"), (done, stayed)
    assert done.code == 0 and place.state() == after and nth > 1


def test_short_writes_are_continued(daemon, place):
    """The output is the same if every write writes one byte."""
    _, after = whole_run(daemon, place)
    done = place.run(daemon, calls=("write",), nth=1, how="short 0")
    assert done.hit and done.code == 0 and place.state() == after


def test_a_failing_read_leaves_the_old(daemon, place):
    """A failed read of the input ends the command; each output is the old one."""
    nth, hits = 0, 0
    while True:
        nth += 1
        done = place.run(daemon, calls=("read",), nth=nth, how=f"errno {errno.EIO}")
        if not done.hit:
            break
        hits += 1
        assert done.code == 3 and os.strerror(errno.EIO) in done.error, done
        assert place.state() == place.before and place.clear() == []
    assert done.code == 0 and hits


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_cleans_up(daemon, place, number):
    """Ctrl-C and SIGTERM end the command by the signal; each output is old or new, and nothing
    is left under a temporary name."""
    calls, after = whole_run(daemon, place)
    for nth in range(1, len(calls) + 1, 1 + len(calls) // 8):
        done = place.run(daemon, nth=nth, how=f"signal {int(number)}")
        assert done.code == -number, done
        state = place.state()
        for name in place.scenario.outputs:
            assert state[name] in (place.before[name], after[name])
        assert place.clear() == [], calls[nth - 1]


# ---- while the daemon works ------------------------------------------------------------------


def waiting(own, folder, words):
    """trit that waits for a stopped daemon; its temporary folder is there."""
    own.process.send_signal(signal.SIGSTOP)
    process = subprocess.Popen([str(BINARIES / "trit"), *words], cwd=folder,
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               env=dict(os.environ, TRITD_ADDRESS=own.rpc))
    deadline = time.monotonic() + CALL_SECONDS
    while not leftovers(folder):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(.005)
    return process


@pytest.fixture
def stopped(start, inputs, tmp_path):
    """A daemon of the test's own and a folder, with a command that replaces an output there."""
    place = Place(tmp_path / "place", inputs, SCENARIOS["folder-replaced"])
    own = start()
    yield own, place, waiting(own, place.folder, place.words)
    own.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_that_waits(stopped, number):
    """While trit waits for the daemon, a signal ends it, and nothing stays."""
    _, place, process = stopped
    process.send_signal(number)
    _, error = process.communicate(timeout=CALL_SECONDS)
    assert process.returncode == -number, error
    assert place.state() == place.before and place.clear() == []


def test_a_daemon_that_dies_leaves_the_old(stopped):
    """The daemon is killed in the middle: the command fails, and nothing stays."""
    own, place, process = stopped
    own.process.kill()
    _, error = process.communicate(timeout=CALL_SECONDS)
    assert process.returncode == 3 and error.startswith("trit: "), error
    assert place.state() == place.before and place.clear() == []


def test_a_full_disk_is_named(daemon, tmp_path, inputs):
    """When the disk is full while tensors are written, the message has the output's path."""
    folder = tmp_path / "full"
    folder.mkdir()
    for source, out in (("in.safetensors", "new.safetensors"), ("model", "new")):
        done = run(daemon, folder, "project", inputs / source, "-o", out, calls=("write",), nth=2,
                   how=f"sticky {errno.ENOSPC}")
        assert done.code == 3 and done.hit
        assert f"{out}: " in done.error and "No space left on device" in done.error
        assert list(folder.iterdir()) == []
