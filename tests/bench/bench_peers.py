# SPDX-License-Identifier: Apache-2.0
"""Unary calls against other HTTP/2 servers: a server by gRPC C++ that uses the same kernel, and
nghttpd, which only sends a file. They take turns in rounds, with the same client: h2load, and
for 1 MiB libtrit too, because one thread of h2load sends at most some 2 GB/s.

gRPC C++ is tuned: its allocator keeps pages, without which it is half as fast at 1 MiB. Each row
also says what CPU time the servers take for a call: where the client is the slower one of the two,
the rate is the client's.
"""
import contextlib
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import reference as ref  # noqa: E402
import tritd  # noqa: E402
from trit.v1 import report_pb2, tensor_pb2  # noqa: E402
from tritd import cpu_seconds  # noqa: E402
from wire import PROJECT, message  # noqa: E402

ROUNDS = 9
GRPC = ["-H", "te: trailers", "-H", "content-type: application/grpc"]
KEEPS_PAGES = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(2 << 30),
               "MALLOC_TOP_PAD_": str(64 << 20)}
NONE, FULL = report_pb2.REPORT_DETAIL_NONE, report_pb2.REPORT_DETAIL_FULL


class Server:
    """What h2load calls: `url`, with `body` where it is a call."""

    def __init__(self, url, pid, body=None):
        self.url, self.pid = url, pid
        self.words = [*GRPC, "-d", str(body)] if body else []

    def seconds(self, calls, connections, streams, cpu=None):
        """The seconds that one of `calls` takes."""
        prefix = ["taskset", "-c", str(cpu)] if cpu is not None else []
        done = subprocess.run(
            [*prefix, "h2load", "-n", str(calls), "-c", str(connections), "-m", str(streams),
             *self.words, self.url], check=True, stdout=subprocess.PIPE, text=True).stdout
        if f" {calls} succeeded" not in done:
            raise RuntimeError(done)
        rate = re.search(r"finished in .*?, ([\d.]+) req/s", done)
        return 1 / float(rate[1])


class ByLibtrit:
    """The same server, called by libtrit with 1 MiB of f32."""

    def __init__(self, address, pid):
        self.address, self.pid = address, pid

    def seconds(self, calls, connections, *_):
        program = pathlib.Path(os.environ["TRIT_O"]) / "tests" / "bench" / "call_rate"
        return float(subprocess.run(
            [str(program), self.address, str(connections), str(calls)], check=True,
            stdout=subprocess.PIPE, text=True).stdout)


def request(folder, rows, columns, detail):
    """A file with the message of a projection."""
    path = folder / f"{rows}x{columns}-{detail}"
    values = np.random.default_rng(1).standard_normal((rows, columns)).astype(np.float32)
    call = ref.project_request(values)
    call.options.encoding = tensor_pb2.ENCODING_PQ2_0
    call.options.report = detail
    path.write_bytes(message(call.SerializeToString()))
    return path


@contextlib.contextmanager
def process(*command, **keywords):
    one = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                           **keywords)
    try:
        yield one
    finally:
        one.terminate()
        one.wait()
        one.stdout.close()


def grpc_peer(exits):
    """Its port and pid, or None."""
    program = os.environ.get("GRPC_PEER", "")
    if not pathlib.Path(program).is_file():
        return None
    one = exits.enter_context(process(program, env={**os.environ, **KEEPS_PAGES}))
    return int(one.stdout.readline()), one.pid


def nghttpd(exits, folder):
    """The same, of nghttpd, which serves `folder`."""
    program = shutil.which("nghttpd")
    if not program:
        return None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    one = exits.enter_context(process(program, "--no-tls", "-n", "1", "-a", "127.0.0.1", "-d",
                                      str(folder), str(port)))
    while one.poll() is None:  # until it listens
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return port, one.pid
    return None


def quartiles(values):
    ordered = sorted(values)
    return ordered[len(ordered) // 4], ordered[-1 - len(ordered) // 4]


def compare(entry, measure, ours, theirs, name, goal, calls, connections=1, streams=1,
            latency=False):
    """A row of how many times as fast as the peer the daemon is, by rounds; with `latency`, how
    many times as long it takes, both on one CPU."""
    unit = "times as long" if latency else "times as fast"
    wanted = f"{'<=' if latency else '>='} {goal}"
    measure = f"{measure}, against {name}"
    if theirs is None:
        return entry(measure, None, unit, wanted, None, f"{name}: missing here")
    cpu = min(os.sched_getaffinity(0)) if latency else None
    our_calls, their_calls = calls
    with pinned([ours.pid, theirs.pid] if latency else [], cpu):
        def round_of_both():
            return (ours.seconds(our_calls, connections, streams, cpu),
                    theirs.seconds(their_calls, connections, streams, cpu))
        round_of_both()  # warms them up
        used = cpu_seconds(ours.pid), cpu_seconds(theirs.pid)
        pairs = [round_of_both() for _ in range(ROUNDS)]
        our_cpu = (cpu_seconds(ours.pid) - used[0]) / (ROUNDS * our_calls) * 1e6
        their_cpu = (cpu_seconds(theirs.pid) - used[1]) / (ROUNDS * their_calls) * 1e6
    ratios = [our / their if latency else their / our for our, their in pairs]
    figure = statistics.median(ratios)
    q1, q3 = quartiles(ratios)
    our, their = (statistics.median(one) * 1e6 for one in zip(*pairs))
    return entry(measure, round(figure, 3), unit, wanted,
                 figure <= goal if latency else figure >= goal,
                 f"{their:.1f} us a call, ours {our:.1f}; "
                 f"of the server's CPU {their_cpu:.1f}, ours {our_cpu:.1f}", q1=round(q1, 3), q3=round(q3, 3))


@contextlib.contextmanager
def pinned(pids, cpu):
    """All threads of these processes on one CPU."""
    for pid in pids:
        subprocess.run(["taskset", "-apc", str(cpu), str(pid)], check=True,
                       stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        every = ",".join(map(str, os.sched_getaffinity(0)))
        for pid in pids:
            subprocess.run(["taskset", "-apc", every, str(pid)], check=True,
                           stdout=subprocess.DEVNULL)


def measure(folder, entry):
    folder = pathlib.Path(folder)
    with contextlib.ExitStack() as exits:
        daemon = tritd.Daemon(folder / "daemon", durable=False)
        exits.callback(daemon.stop)
        grpc, file = grpc_peer(exits), nghttpd(exits, folder)
        (folder / "1k").write_bytes(bytes(1024))

        def ours(body):
            return Server(f"http://{daemon.rpc}{PROJECT}", daemon.process.pid, body)

        def by_grpc(body):
            return grpc and Server(f"http://127.0.0.1:{grpc[0]}{PROJECT}", grpc[1], body)

        get = file and Server(f"http://127.0.0.1:{file[0]}/1k", file[1])
        small, reported = (request(folder, 2, 128, detail) for detail in (NONE, FULL))
        large = request(folder, 64, 4096, NONE)
        for streams in (1, 8):
            yield compare(entry, f"project unary, 1 MiB f32, no report, {streams} at once, h2load",
                          ours(large), by_grpc(large), "gRPC C++ tuned", 1.5, (300, 300), 1,
                          streams)
            yield compare(entry, f"project unary, 1 MiB f32, no report, {streams} at once, libtrit",
                          ByLibtrit(daemon.rpc, daemon.process.pid),
                          grpc and ByLibtrit(f"127.0.0.1:{grpc[0]}", grpc[1]),
                          "gRPC C++ tuned", 1.5, (300, 300), streams)
        what = "project unary, 1 KiB f32, {}, 8 connections of 8, h2load"
        yield compare(entry, what.format("no report"), ours(small), get, "nghttpd GET of 1 KiB",
                      0.7, (30000, 60000), 8, 8)
        yield compare(entry, what.format("no report"), ours(small), by_grpc(small),
                      "gRPC C++ tuned", 4, (30000, 8000), 8, 8)
        yield compare(entry, what.format("full report"), ours(reported), by_grpc(small),
                      "gRPC C++ tuned", 3, (20000, 8000), 8, 8)
        yield compare(entry, "latency of project unary, 1 KiB f32, no report, one CPU, h2load",
                      ours(small), get, "nghttpd GET of 1 KiB", 1.15, (10000, 10000), latency=True)
