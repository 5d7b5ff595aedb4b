# SPDX-License-Identifier: Apache-2.0
"""The page of a run of `make bench`: the rows that have a goal, in Markdown."""
import datetime
import os
import pathlib
import re
import subprocess

HEAD = """# Benchmarks
Written by `make bench` as `build/bench.md`; do not edit. `build/bench.json` has all rows. `docs/performance.md` says what the figures depend on and which goals are out of reach, `tests/bench/README.md` what is measured.

{machine}, {cores} cores, {date}, commit {commit}. Daemon and clients ran on one machine. Ratios count: both sides were measured in turns. A row is the median of its rounds, with their quartiles. "Possible" is what the same run measured as the bound of that row, where it measures one. A figure beyond it means that the program which measures the bound is not the best possible.

{held} of {all} goals hold, {near} are missed by less than the noise (half of what is between the quartiles), {missed} by more.
"""


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return re.sub(r"\((R|TM)\)", "", line.split(":", 1)[1]).strip()
    return os.uname().machine


def commit():
    done = subprocess.run(["git", "describe", "--always", "--dirty"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() or "unknown"


def text(value):
    """A cell of a table."""
    return "" if value is None else str(value).replace("|", "\\|")


def figure(row):
    """The figure with its unit. A ratio needs none."""
    if row["figure"] is None:
        return "not measured"
    return text(row["figure"]) + ("" if row["unit"] in ("ratio", "x") else f" {row['unit']}")


def possible(rows):
    """What bounds a row, by its name: rows that are called "what ... allows: NAME"."""
    found = {}
    for row in rows:
        bound = re.match(r"what [^:]* allows?[^:]*: (.*)", row["measure"])
        if bound:
            found[bound[1]] = figure(row)
    return found


def table(title, rows, verdict):
    bounds = possible(rows)
    lines = [f"## {title}", "| measure | against | figure | quartiles | goal | | possible |",
             "|---|---|---|---|---|---|---|"]
    for row in rows:
        if row["goal"] is None:
            continue
        quartiles = "" if row["q1"] is None else f"{row['q1']} to {row['q3']}"
        cells = [text(row["measure"]), text(row["against"]), figure(row), quartiles,
                 text(row["goal"]), verdict(row), bounds.get(row["measure"], "")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def page(parts, verdict):
    """`parts`: titles and their rows. `verdict`: what to say of a row with a goal."""
    goals = [row for _, rows in parts for row in rows if row["goal"] is not None]
    said = [verdict(row) for row in goals]
    held = sum(row["holds"] is True for row in goals)
    near = sum(one.startswith("missed") for one in said)
    missed = sum(one == "MISSED" for one in said)
    head = HEAD.format(machine=processor(), cores=len(os.sched_getaffinity(0)), date=datetime.date.today(),
                       commit=commit(), held=held, all=len(goals), near=near, missed=missed)
    return "\n".join([head] + [table(title, rows, verdict) for title, rows in parts
                               if any(row["goal"] is not None for row in rows)])
