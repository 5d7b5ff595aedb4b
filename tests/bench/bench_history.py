# SPDX-License-Identifier: Apache-2.0
"""Reports: how fast they are filed, and how fast a long history is read.

Fills a store with a million reports of 1,000 layers (store_fill), reads its pages and its
history by HTTP, and lets 64 clients file more reports there (bench_reports). Takes the rate,
the daemon's CPU time and, as what a program reaches that flushes once for each report, the
rate of flushes. Then reads a history of 1,000 layers and 10,000 steps.
"""
import json
import os
import pathlib
import statistics
import subprocess
import time
import urllib.request

from tritd import Daemon, cpu_seconds

LAYERS, CLIENTS, SLICE_STEPS = 1000, 64, 50
FILLED_STEPS, LONG_STEPS = 1_000, 10_000
# Filed by clients, on top of those.
REPORTS = int(os.environ.get("BENCH_REPORTS", 500_000))
FILE_SECONDS = 100
RATE_GOAL, FLUSH_GOAL, QUERY_GOAL_MS, PAGE_GOAL_MS = 20_000, 3, 300, 1000
ROUNDS = 5
# Steps of a column. Cells are of 1, 4, 16 and 64 reports.
WIDTHS = (1, 5, 7, 16, 31, 60, 64)


def run(*words):
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout) if done.stdout else None


def file_all(program, daemon, folder, flushes):
    """Slices of reports, in turns with flushes: rates, and all reports and CPU seconds."""
    port, rates, reports = daemon.rpc.rsplit(":", 1)[1], [], 0
    begun, cpu = time.monotonic(), cpu_seconds(daemon.process.pid)
    while reports < REPORTS and time.monotonic() - begun < FILE_SECONDS:
        step = 1 + reports // LAYERS
        done = run(program, "file", port, "filed", str(LAYERS), str(step), str(SLICE_STEPS),
                   str(CLIENTS))
        rates.append(done["reports"] / done["seconds"])
        reports += done["reports"]
        flushed = run(program, "flush", str(folder), "0.2")
        flushes.append(flushed["flushes"] / flushed["seconds"])
    return rates, reports, cpu_seconds(daemon.process.pid) - cpu


def spread(values):
    low, middle, high = statistics.quantiles(values, n=4)
    return dict(figure=middle, q1=low, q3=high)


def filed(program, fill, folder, entry):
    folder.mkdir(parents=True)
    run(fill, str(folder / "data"), "run", str(LAYERS), str(FILLED_STEPS), str(FILLED_STEPS))
    flushes = []
    daemon = Daemon(folder)
    try:
        yield from read(daemon, entry, f"{LAYERS} layers x {FILLED_STEPS} steps")
        rates, reports, cpu = file_all(program, daemon, folder, flushes)
    finally:
        daemon.stop()
    of = f"{LAYERS * FILLED_STEPS} in the store, {reports} more"
    rate = {key: round(value) for key, value in spread(rates).items()}
    yield entry(f"acknowledged reports, {CLIENTS} clients, {of}", unit="reports/s",
                goal=f">= {RATE_GOAL}", holds=rate["figure"] >= RATE_GOAL, **rate)
    ratio = {key: round(value, 2) for key, value in
             spread([a / b for a, b in zip(rates, flushes)]).items()}
    yield entry(f"acknowledged reports, {CLIENTS} clients, of one flush each", unit="ratio",
                goal=f">= {FLUSH_GOAL}", holds=ratio["figure"] >= FLUSH_GOAL,
                against=f"{statistics.median(flushes):.0f} flushes/s", **ratio)
    yield entry("CPU time of tritd for a report", round(cpu / reports * 1e6, 1), "us")


def took_ms(url):
    begun = time.monotonic()
    with urllib.request.urlopen(url) as reply:
        reply.read()
    return (time.monotonic() - begun) * 1000


def all_answers_ms(daemon, path):
    """All layers: an answer that is full names the next one."""
    begun, answers = time.monotonic(), 0
    while path and (answers == 0 or "after=" in path):
        with urllib.request.urlopen(f"http://{daemon.http}{path}") as reply:
            path = json.load(reply)["next"]
        answers += 1
    return (time.monotonic() - begun) * 1000, answers


def read(daemon, entry, of):
    history = "/v1/runs/run/history?fields=zero_fraction"
    asked = {"page of the run": ("/runs/run", PAGE_GOAL_MS),
             "start page": ("/", PAGE_GOAL_MS)}
    for every in WIDTHS:
        asked[f"one answer of the history, columns of {every} steps"] = (
            f"{history}&every={every}", QUERY_GOAL_MS)
    for name, (path, goal) in asked.items():
        url = f"http://{daemon.http}{path}"
        took = {key: round(value, 1) for key, value in
                spread([took_ms(url) for _ in range(ROUNDS)]).items()}
        yield entry(f"{name}, {of}", unit="ms", goal=f"<= {goal}",
                    holds=took["figure"] <= goal, **took)
    for every in WIDTHS:
        took, answers = all_answers_ms(daemon, f"{history}&every={every}")
        yield entry(f"all {answers} answers of the history, columns of {every} steps, {of}",
                    round(took, 1), "ms")


def long_history(fill, folder, entry):
    folder.mkdir(parents=True)
    run(fill, str(folder / "data"), "run", str(LAYERS), str(LONG_STEPS), "1")
    daemon = Daemon(folder)
    try:
        yield from read(daemon, entry, f"{LAYERS} layers x {LONG_STEPS} steps")
    finally:
        daemon.stop()


def measure(program, folder, entry):
    """`program`: bench_reports; store_fill lies beside it."""
    folder, fill = pathlib.Path(folder), str(pathlib.Path(program).parent / "store_fill")
    yield from filed(program, fill, folder / "filed", entry)
    yield from long_history(fill, folder / "long", entry)
