# SPDX-License-Identifier: Apache-2.0
"""make bench: runs the benches and writes build/bench.json and, as a page, build/bench.md.

    tests/bench/bench.py OUTPUT PEERS_PYTHON BENCH_PROGRAM...

BENCH_PARTS in the environment is a regular expression: only the parts of the page whose titles it
matches are measured.

bench_kernels and bench_linear append JSON lines to the file they are given;
bench_rpc, bench_unary, bench_streams, bench_tls, bench_shared and bench_forward print them and are
given daemons of their own; kernels_peers.py, bench_project.py and bench_step.py run under
PEERS_PYTHON, which has what they compare with and the package trit. A line has measure, figure and
unit, and where there is a goal also goal, holds and against. A median of rounds has their quartiles
q1 and q3, and the band: half of what is between them. A figure that misses its goal by at most the
band says so.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import bench_checkpoints  # noqa: E402
import bench_history  # noqa: E402
import bench_peers  # noqa: E402
import page  # noqa: E402
from certificates import Authority, tls_words  # noqa: E402
from tritd import BINARIES, Daemon  # noqa: E402

STREAM_MIB = int(os.environ.get("BENCH_STREAM_MIB", 4096))
PEAK_MIB_MAX = 128
VERDICTS = {True: "holds", False: "MISSED", None: "not measured"}


def entry(measure, figure, unit, goal=None, holds=None, against=None, q1=None, q3=None):
    """`q1`, `q3`: where the figure is a median."""
    band = None if q1 is None or q3 is None else round((q3 - q1) / 2, 4)
    return dict(measure=measure, figure=figure, unit=unit, goal=goal, holds=holds,
                against=against, q1=q1, q3=q3, band=band)


def verdict(found):
    """In words. A goal is such as ">= 0.85"."""
    bound = re.match(r"[<>]=? *([\d.]+)$", str(found["goal"]))
    if (found["holds"] is False and found["band"] and bound and
            abs(found["figure"] - float(bound[1])) <= found["band"]):
        return "missed by less than the noise"
    return VERDICTS[found["holds"]]


def lines(text):
    return [entry(**json.loads(line)) for line in text.splitlines() if line.startswith("{")]


def appended(folder, *command):
    """What a command appends to the file it is given as its next argument."""
    path = pathlib.Path(folder) / "lines"
    path.touch()
    subprocess.run([*command[:2], str(path), *command[2:]] if command[1:] else
                   [*command, str(path)], check=True)
    return lines(path.read_text())


def kernels(program, folder):
    return appended(folder, program)


# Which kernels OpenBLAS uses in the comparison with each ISA of ours, and the CPU flag
# that they need. Debian's OpenBLAS does not recognize newer processors by itself.
OPENBLAS_CORES = {"avx512": ("avx512vbmi", "SkylakeX"), "avx2": ("avx2", "Haswell")}


def products(program, folder):
    flags = pathlib.Path("/proc/cpuinfo").read_text().split()
    runs = [(isa, core) for isa, (flag, core) in OPENBLAS_CORES.items() if flag in flags]
    if not runs:
        return kernels(program, folder)
    found = []
    for isa, core in runs:
        path = pathlib.Path(folder) / isa
        path.touch()
        subprocess.run([program, str(path), isa], check=True,
                       env={"OPENBLAS_CORETYPE": core, **os.environ})
        for line in lines(path.read_text()):
            if line["measure"].startswith("sgem"):
                line["measure"] += f", OpenBLAS for {core}"
            found.append(line)
    return found


def peers(python, program, folder):
    here = pathlib.Path(__file__).parent
    return appended(folder, python, str(here / "kernels_peers.py"), program)


def package(python, script):
    here = pathlib.Path(__file__).resolve().parents[1] / "python"
    done = subprocess.run([python, str(here / script)], check=True,
                          stdout=subprocess.PIPE, text=True)
    return lines(done.stdout)


def printed(program, daemons, *words, after=lambda: []):
    """What a program prints, and what `after` measures; then the daemons are stopped."""
    try:
        done = subprocess.run([program, *words], check=True, stdout=subprocess.PIPE, text=True)
        return lines(done.stdout) + after()
    finally:
        for one in daemons:
            one.stop()


def rpc(program, folder):
    daemon = Daemon(folder)

    def peak():
        mib = daemon.memory_kib() / 1024
        return [entry(f"peak memory of tritd over all of it, streams of {STREAM_MIB} MiB",
                      round(mib, 1), "MiB", f"< {PEAK_MIB_MAX}", mib < PEAK_MIB_MAX)]

    return printed(program, [daemon], daemon.rpc, str(STREAM_MIB), after=peak)


def unary(program, folder):
    daemon = Daemon(folder)
    return printed(program, [daemon], daemon.rpc, str(daemon.process.pid))


def tls(program, folder):
    folder = pathlib.Path(folder)
    authority = Authority(folder)
    daemons = [Daemon(folder / "plain"),
               Daemon(folder / "tls", *tls_words(authority.issue("server")))]
    words = [word for one in daemons for word in (one.rpc, str(one.process.pid))]
    return printed(program, daemons, *words, str(authority.path))


def shared(program, folder):
    address = f"unix:{folder}/rpc"
    return printed(program, [Daemon(pathlib.Path(folder) / "data", "--listen", address)], address)


def streams(program, folder):
    daemon = Daemon(folder)
    return printed(program, [daemon], daemon.rpc)


def forward(program, folder):
    address = f"unix:{folder}/rpc"
    daemon = Daemon(pathlib.Path(folder) / "data", "--threads", "2", "--listen", address)
    return printed(program, [daemon], daemon.rpc.split(",")[0], "TCP", address, "a Unix socket")


def reports(program, folder):
    return list(bench_history.measure(program, folder, entry))


def other_servers(program, folder):
    return list(bench_peers.measure(folder, entry))


def whole_checkpoints(program, folder):
    """`program`: trit."""
    def start(name):
        address = f"unix:{folder}/{name}.rpc"  # the way of clients on the same machine
        return Daemon(pathlib.Path(folder) / name, "--listen", address, "--checkpoint-root", folder), address

    return list(bench_checkpoints.measure(program, start, folder, entry))


def table(entries):
    for e in entries:
        goal = "" if e["goal"] is None else f"  goal {e['goal']}: {verdict(e)}"
        against = "" if e["against"] is None else f"  against {e['against']}"
        figure = "-" if e["figure"] is None else e["figure"]
        print(f"  {e['measure']:<64} {figure:>12} {e['unit']}{goal}{against}")


# Titles of the page's parts, by what is run.
TITLES = {"bench_rpc": "Memory and small calls", "bench_unary": "Unary calls", "bench_tls": "TLS",
          "bench_linear": "Products", "bench_reports": "Reports and their history",
          "bench_streams": "Streams", "bench_shared": "Memory shared with the daemon",
          "bench_forward": "Products over RPC", "bench_kernels": "Projection and verification"}


def planned(python, programs):
    """What is run: title, function, and the program that it is given."""
    benches = {"bench_rpc": rpc, "bench_unary": unary, "bench_tls": tls,
               "bench_linear": products, "bench_reports": reports, "bench_streams": streams,
               "bench_shared": shared, "bench_forward": forward}
    for program in programs:
        name = pathlib.Path(program).name
        if name != "bench_path":  # bench_checkpoints runs it
            yield TITLES[name], benches.get(name, kernels), program
    peer = str(pathlib.Path(programs[0]).parent / "kernels_peer")
    yield "Other libraries", lambda program, folder: peers(python, program, folder), peer
    yield "Python", lambda program, folder: package(program, "bench_project.py"), python
    yield "Batches of layers", lambda program, folder: package(program, "bench_step.py"), python
    yield "Other servers", other_servers, ""
    yield "Whole checkpoints", whole_checkpoints, str(BINARIES / "trit")


def main():
    output, python, programs = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    parts = []
    for title, run, program in planned(python, programs):
        if not re.search(os.environ.get("BENCH_PARTS", ""), title):
            continue
        with tempfile.TemporaryDirectory() as folder:
            found = run(program, folder)
        table(found)
        parts.append((title, found))
    rows = [row for _, found in parts for row in found]
    output.write_text(json.dumps(rows, indent=1) + "\n")
    output.with_suffix(".md").write_text(page.page(parts, verdict))
    print(f"wrote {output} and {output.with_suffix('.md')}")


if __name__ == "__main__":
    main()
