"""make bench: runs the benches and writes build/bench.json.

    tests/bench/bench.py OUTPUT BENCH_PROGRAM...

bench_kernels appends JSON lines to the file it is given; bench_rpc prints them
and is given the address of a daemon of its own. A line has measure, figure and
unit, and where there is a goal also goal, holds and against.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from tritd import Daemon  # noqa: E402

STREAM_MIB = int(os.environ.get("BENCH_STREAM_MIB", 4096))
PEAK_MIB_MAX = 128


def entry(measure, figure, unit, goal=None, holds=None, against=None):
    return dict(measure=measure, figure=figure, unit=unit, goal=goal, holds=holds,
                against=against)


def lines(text):
    return [entry(**json.loads(line)) for line in text.splitlines() if line.startswith("{")]


def kernels(program, folder):
    path = pathlib.Path(folder) / "kernels"
    subprocess.run([program, str(path)], check=True)
    return lines(path.read_text())


def rpc(program, folder):
    daemon = Daemon(folder)
    try:
        done = subprocess.run([program, daemon.rpc, str(STREAM_MIB)], check=True,
                              stdout=subprocess.PIPE, text=True)
        found = lines(done.stdout)
        peak = daemon.memory_kib() / 1024
        found.append(entry(f"peak memory of tritd over all of it, streams of {STREAM_MIB} MiB",
                           round(peak, 1), "MiB", f"< {PEAK_MIB_MAX}", peak < PEAK_MIB_MAX))
    finally:
        daemon.stop()
    return found


def table(entries):
    for e in entries:
        goal = "" if e["goal"] is None else f"  goal {e['goal']}: {'holds' if e['holds'] else 'MISSED'}"
        against = "" if e["against"] is None else f"  against {e['against']}"
        print(f"  {e['measure']:<64} {e['figure']:>12} {e['unit']}{goal}{against}")


def main():
    output, programs = sys.argv[1], sys.argv[2:]
    entries = []
    for program in programs:
        run = kernels if program.endswith("kernels") else rpc
        with tempfile.TemporaryDirectory() as folder:
            found = run(program, folder)
        table(found)
        entries += found
    with open(output, "w") as out:
        json.dump(entries, out, indent=1)
        out.write("\n")
    print(f"wrote {output}")


if __name__ == "__main__":
    main()
