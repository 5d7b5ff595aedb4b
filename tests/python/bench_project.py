# SPDX-License-Identifier: Apache-2.0
"""Measures how much of libtrit's speed Python keeps: 256 MB of f32 to PQ2_0. C and Python call
the same daemon in turn, and the median ratio counts. Prints one entry of bench.json."""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

import trit
from daemon import BINARIES, ROOT, Daemon

ROWS, COLUMNS, TURNS = 16384, 4096, 15
GOAL = 0.9


def compiled(folder):
    """The C program to compare with, linked with the package's library."""
    program = pathlib.Path(folder) / "bench_project"
    subprocess.run(
        [
            os.environ.get("CC", "cc"),
            "-std=c17",
            "-D_GNU_SOURCE",
            "-O2",
            "-I",
            str(ROOT / "client/include"),
            "-I",
            str(ROOT / "proto"),
            str(ROOT / "tests/python/bench_project.c"),
            "-o",
            str(program),
            str(BINARIES / "libtrit.so"),
            f"-Wl,-rpath,{BINARIES.resolve()}",
        ],
        check=True,
    )
    return program


def measure(address, program, w):
    """The seconds of each call: in C, in Python. The first call of each is not counted."""
    turn, wakeup = os.pipe()
    yardstick = subprocess.Popen(
        ["sh", "-c", f'exec "$@" 3<&{turn}', "sh", str(program), address, str(ROWS), str(COLUMNS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[turn],
    )
    os.close(turn)
    yardstick.stdin.write(memoryview(w).cast("B"))
    yardstick.stdin.close()
    in_c, in_python = [], []
    with trit.Client(address) as client:
        for _ in range(TURNS + 1):
            os.write(wakeup, b"\n")
            in_c.append(float(yardstick.stdout.readline()))
            began = time.perf_counter()
            client.project(w, encoding="pq2_0")
            in_python.append(time.perf_counter() - began)
    os.close(wakeup)
    assert yardstick.wait() == 0
    yardstick.stdout.close()
    return in_c[1:], in_python[1:]


def main():
    w = np.random.default_rng(1).standard_normal((ROWS, COLUMNS), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(folder)
        try:
            in_c, in_python = measure(daemon.rpc, compiled(folder), w)
        finally:
            daemon.stop()
    ratios = sorted(c / python for c, python in zip(in_c, in_python))
    ratio = statistics.median(ratios)
    print(
        json.dumps(
            {
                "measure": "Python project 256 MB f32 to PQ2_0",
                "figure": round(ratio, 3),
                "unit": "x",
                "goal": f">= {GOAL}",
                "holds": ratio >= GOAL,
                "against": f"libtrit from C, {w.nbytes / statistics.median(in_c) / 1e9:.2f} GB/s",
                "q1": round(ratios[TURNS // 4], 3),
                "q3": round(ratios[-1 - TURNS // 4], 3),
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
