# SPDX-License-Identifier: Apache-2.0
"""What charging every byte of a call to its peer's account costs: projections of 1 KiB by
h2load on 8 connections of 8, on a daemon as it is and on one that charges nothing
(VARIANT=uncharged), in turn. Compares CPU time of the daemon, because other programs may
use the machine.

    accounts.py TRITD TRITD_UNCHARGED [ROUNDS]"""
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import reference as ref  # noqa: E402
import tritd  # noqa: E402
from trit.v1 import report_pb2  # noqa: E402
from wire import message  # noqa: E402

CALLS = 4000
DETAILS = {"no report": report_pb2.REPORT_DETAIL_NONE,
           "full report": report_pb2.REPORT_DETAIL_FULL}


def cpu_seconds(pid):
    return sum(int(path.read_text().split()[0])
               for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def spent(daemon, body):
    """Microseconds of CPU for one call."""
    before = cpu_seconds(daemon.process.pid)
    done = subprocess.run(
        ["h2load", "-n", str(CALLS), "-c", "8", "-m", "8", "-d", str(body), "-H", "te: trailers",
         "-H", "content-type: application/grpc",
         f"http://{daemon.rpc}/trit.v1.Ternary/Project"],
        check=True, stdout=subprocess.PIPE, text=True).stdout
    assert re.search(rf"{CALLS} succeeded", done), done
    return (cpu_seconds(daemon.process.pid) - before) / CALLS * 1e6


def main():
    programs, rounds = sys.argv[1:3], int(sys.argv[3]) if len(sys.argv) > 3 else 200
    values = np.random.default_rng(1).standard_normal((2, 128)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        daemons = []
        for program in programs:
            tritd.BINARIES = pathlib.Path(program).parent
            daemons.append(tritd.Daemon(folder / f"{len(daemons)}", durable=False))
        try:
            for name, detail in DETAILS.items():
                request = ref.project_request(values)
                request.options.report = detail
                body = folder / "body"
                body.write_bytes(message(request.SerializeToString()))
                times = [[spent(one, body) for one in daemons] for _ in range(rounds + 1)][1:]
                shares = sorted(1 - without / charged for charged, without in times)
                print(f"1 KiB, {name}: {statistics.median(t[0] for t in times):.2f} us charged, "
                      f"{statistics.median(t[1] for t in times):.2f} us not: "
                      f"{statistics.median(shares):.1%} of the call, quartiles "
                      f"{shares[rounds // 4]:.1%} and {shares[-1 - rounds // 4]:.1%}")
        finally:
            for one in daemons:
                one.stop()


if __name__ == "__main__":
    main()
