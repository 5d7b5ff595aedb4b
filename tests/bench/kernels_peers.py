# SPDX-License-Identifier: Apache-2.0
"""Compares the kernels with NumPy, PyTorch, MLX and gguf: one tensor of 64 MiB of f32, or the same
values as bf16.

    kernels_peers.py OUT KERNELS_PEER     appends JSON lines {measure, figure, unit, goal, holds, against}

Each is a process that has the tensor in memory and has projected it once: ours
(KERNELS_PEER, one pinned thread) and the peers (peer.py). They take turns in rounds, so
that other load on the machine affects all of them; medians are compared. NumPy, MLX and
gguf-py come from this Python's environment, PyTorch from it or from Debian's python3.
A missing library is reported.
"""
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROUNDS = 9
SLOW_ROUNDS = 3
ELEMENTS = 16 << 20
PEER = str(pathlib.Path(__file__).with_name("peer.py"))
# What ours projects to, and from what.
DENSE, TQ2_0, TQ2_0_BF16 = ("dense", "f32"), ("tq2_0", "f32"), ("tq2_0", "bf16")
SIZES = {"f32": "64 MiB f32", "bf16": "32 MiB bf16"}
# name, how peer.py calls it, what of ours does the same, goal or None, rounds
PEERS = [("NumPy", "numpy", DENSE, 15, ROUNDS),
         ("NumPy, every step in place", "numpy_steps", DENSE, None, ROUNDS),
         ("PyTorch, 2 threads", "torch", DENSE, 10, ROUNDS),
         ("PyTorch, 2 threads, every step in place", "torch_steps", DENSE, None, ROUNDS),
         ("MLX", "mlx", DENSE, 10, ROUNDS),
         ("gguf-py TQ2_0", "gguf", TQ2_0, 20, SLOW_ROUNDS),
         ("gguf-py TQ2_0 of bf16", "gguf_bf16", TQ2_0_BF16, 20, SLOW_ROUNDS)]


class Missing(Exception):
    """A peer that cannot be had here; why."""


class Contestant:
    """A process that projects when told to."""

    def __init__(self, *command):
        self.seconds = []
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, text=True)
        if self._process.stdout.readline() != "ready\n":
            said = self._process.communicate()[1].strip().splitlines()
            raise Missing(said[-1] if said else f"left with {self._process.returncode}")

    def turn(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.seconds.append(float(self._process.stdout.readline()))

    def median(self):
        return statistics.median(self.seconds)

    def leave(self):
        self._process.communicate()


def peer(key, path):
    pythons = [sys.executable, "/usr/bin/python3"] if key.startswith("torch") else [sys.executable]
    for python in pythons[:-1]:
        try:
            return Contestant(python, PEER, key, path)
        except Missing:
            pass
    return Contestant(pythons[-1], PEER, key, path)


def entries(program, path):
    """One for each peer."""
    ours = {what: Contestant(program, path, *what) for what in (DENSE, TQ2_0, TQ2_0_BF16)}
    present, missing = {}, {}
    for name, key, *_ in PEERS:
        try:
            present[name] = peer(key, path)
        except Missing as why:
            missing[name] = str(why)
    for done in range(ROUNDS):
        for contestant in ours.values():
            contestant.turn()
        for name, _, _, _, rounds in PEERS:
            if name in present and done < rounds:
                present[name].turn()
    for contestant in [*ours.values(), *present.values()]:
        contestant.leave()
    for name, _, what, goal, rounds in PEERS:
        entry = dict(measure=f"{SIZES[what[1]]}, one thread, against {name}", figure=None,
                     unit="times as fast", goal=goal and f">= {goal}", holds=None,
                     against=f"{name}: missing here ({missing.get(name)})")
        if name in present:
            theirs, our = present[name].median(), ours[what].median()
            ratios = sorted(t / o for t, o in zip(present[name].seconds, ours[what].seconds))
            figure = statistics.median(ratios)
            entry.update(figure=round(figure, 1), holds=goal and figure >= goal,
                         q1=round(ratios[len(ratios) // 4], 2),
                         q3=round(ratios[-1 - len(ratios) // 4], 2),
                         against=f"{name} {theirs * 1000:.0f} ms, ours {our * 1000:.2f} ms, "
                                 f"medians of {rounds} and {ROUNDS} rounds")
        yield entry


def main():
    out, program = sys.argv[1], sys.argv[2]
    import numpy as np
    w = (np.random.default_rng(1).standard_normal(ELEMENTS) * 0.02).astype(np.float32)
    with tempfile.NamedTemporaryFile() as file, open(out, "a") as lines:
        w.tofile(file)
        file.flush()
        for entry in entries(program, file.name):
            lines.write(json.dumps(entry) + "\n")


if __name__ == "__main__":
    main()
