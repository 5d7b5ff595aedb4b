# SPDX-License-Identifier: Apache-2.0
"""Unary calls against other HTTP/2 servers: a server by gRPC C++ that uses the same kernel, and
nghttpd, which only sends a file. They take turns in rounds, with the same client: h2load, and
for 1 MiB libtrit too, because one thread of h2load sends at most some 2 GB/s.

gRPC C++ is tuned: its allocator keeps pages, without which it is half as fast at 1 MiB. Each row
also says what CPU time the servers and the client take for a call: where the client is the slower
one of the two, the rate is the client's.

Beside a goal stands what is possible. For 1 MiB that is the client alone, as if the daemon took no
time at all. For 1 KiB it is nghttpd with the same request and an answer of the same bytes, from a
file: what a server on the same library reaches that reads no message and computes nothing.
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
from tritd import children_cpu_seconds, cpu_seconds  # noqa: E402
from wire import PROJECT, message  # noqa: E402

ROUNDS = 9
GRPC = ["-H", "te: trailers", "-H", "content-type: application/grpc"]
KEEPS_PAGES = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(2 << 30),
               "MALLOC_TOP_PAD_": str(64 << 20)}
NONE, FULL = report_pb2.REPORT_DETAIL_NONE, report_pb2.REPORT_DETAIL_FULL


def client(*words):
    """What a client prints, and the CPU seconds that it took."""
    begun = children_cpu_seconds()
    printed = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
    return printed, children_cpu_seconds() - begun


class Server:
    """What h2load calls: `url`, with `body` where it is a call."""

    def __init__(self, url, pid, body=None):
        self.url, self.pid = url, pid
        self.words = [*GRPC, "-d", str(body)] if body else []

    threads = 1  # of the client

    def seconds(self, calls, connections, streams, cpu=None):
        """The seconds that one of `calls` takes, and those of the client's CPU."""
        prefix = ["taskset", "-c", str(cpu)] if cpu is not None else []
        done, used = client(*prefix, "h2load", "-n", str(calls), "-c", str(connections),
                            "-m", str(streams), *self.words, self.url)
        if f" {calls} succeeded" not in done:
            raise RuntimeError(done)
        rate = re.search(r"finished in .*?, ([\d.]+) req/s", done)
        return 1 / float(rate[1]), used / calls


class ByLibtrit:
    """The same server, called by libtrit with 1 MiB of f32, from a thread for each connection."""

    def __init__(self, address, pid, connections):
        self.address, self.pid = address, pid
        self.threads = min(connections, len(os.sched_getaffinity(0)))

    def seconds(self, calls, connections, *_):
        program = pathlib.Path(os.environ["TRIT_O"]) / "tests" / "bench" / "call_rate"
        done, used = client(str(program), self.address, str(connections), str(calls))
        return float(done), used / calls


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


def nghttpd(exits, folder, *words):
    """The same, of nghttpd, which serves `folder`."""
    program = shutil.which("nghttpd")
    if not program:
        return None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    one = exits.enter_context(process(program, "--no-tls", "-n", "1", "-a", "127.0.0.1", *words,
                                      "-d", str(folder), str(port)))
    while one.poll() is None:  # until it listens
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return port, one.pid
    return None


def same_exchange(exits, folder, ours):
    """A Server by nghttpd that answers what `ours` answers, with a trailer, or None."""
    nghttp = shutil.which("nghttp")
    peer = nghttpd(exits, folder, "--no-content-length", "--trailer=grpc-status: 0")
    if not nghttp or not peer:
        return None
    file = folder / PROJECT.lstrip("/")
    file.parent.mkdir()
    file.write_bytes(subprocess.run([nghttp, *ours.words, ours.url], check=True,
                                    stdout=subprocess.PIPE).stdout)
    return Server(f"http://127.0.0.1:{peer[0]}{PROJECT}", peer[1], ours.words[-1])


def quartiles(values):
    ordered = sorted(values)
    return ordered[len(ordered) // 4], ordered[-1 - len(ordered) // 4]


class Rounds:
    """Servers that take turns: of each one the seconds of a call, those of the client's CPU, and
    those of its own, each as a list of rounds."""

    def __init__(self, servers, calls, connections, streams, cpu):
        self.wall, self.client, self.server = [[] for _ in servers], [[] for _ in servers], []
        with pinned([one.pid for one in servers] if cpu is not None else [], cpu):
            for one, count in zip(servers, calls):  # warms them up
                one.seconds(count, connections, streams, cpu)
            begun = [cpu_seconds(one.pid) for one in servers]
            for _ in range(ROUNDS):
                for i, one in enumerate(servers):
                    wall, used = one.seconds(calls[i], connections, streams, cpu)
                    self.wall[i].append(wall)
                    self.client[i].append(used)
            self.server = [(cpu_seconds(one.pid) - before) / (ROUNDS * count)
                           for one, before, count in zip(servers, begun, calls)]

    def ratio(self, dividend, divisor):
        """The median of the rounds, and the quartiles."""
        ratios = [one / other for one, other in zip(dividend, divisor)]
        q1, q3 = quartiles(ratios)
        return round(statistics.median(ratios), 3), dict(q1=round(q1, 3), q3=round(q3, 3))

    def words(self, name, i):
        wall, used = (statistics.median(of[i]) * 1e6 for of in (self.wall, self.client))
        return (f"{name}: {wall:.1f} us a call, of CPU {self.server[i] * 1e6:.1f} the server, "
                f"{used:.1f} the client")


def compare(entry, measure, ours, theirs, name, goal, calls, connections=1, streams=1,
            latency=False, same=None, by_client=False):
    """A row of how many times as fast as the peer the daemon is, by rounds; with `latency`, how
    many times as long it takes, both on one CPU. Behind it rows of what is possible: by `same`,
    the peer with the same exchange, or by the client alone."""
    unit = "times as long" if latency else "times as fast"
    wanted = f"{'<=' if latency else '>='} {goal}"
    against = f"{measure}, against {name}"
    if theirs is None:
        yield entry(against, None, unit, wanted, None, f"{name}: missing here")
        return
    cpu = min(os.sched_getaffinity(0)) if latency else None
    servers = [ours, theirs, *([same] if same else [])]
    rounds = Rounds(servers, [*calls, calls[0]], connections, streams, cpu)

    def ratio(wall, other):
        return rounds.ratio(*((wall, other) if latency else (other, wall)))
    figure, spread = ratio(rounds.wall[0], rounds.wall[1])
    yield entry(against, figure, unit, wanted, figure <= goal if latency else figure >= goal,
                f"{rounds.words(name, 1)}; {rounds.words('ours', 0)}", **spread)
    if same:
        figure, spread = ratio(rounds.wall[2], rounds.wall[1])
        yield entry(f"what nghttpd allows with the same request and answer: {against}", figure,
                    unit, against=rounds.words("the same exchange", 2), **spread)
        figure, spread = ratio(rounds.wall[0], rounds.wall[2])
        yield entry(f"{measure}, of what that allows", figure, unit, **spread)
    if by_client:
        alone = [used / ours.threads for used in rounds.client[0]]
        figure, spread = ratio(alone, rounds.wall[1])
        yield entry(f"what the client alone allows: {against}", figure, unit,
                    against=f"{statistics.median(alone) * 1e6:.1f} us a call", **spread)


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
        same = same_exchange(exits, folder, ours(small))
        tuned = "gRPC C++ tuned"
        for streams in (1, 8):
            what = f"project unary, 1 MiB f32, no report, {streams} at once, "
            yield from compare(entry, f"{what}h2load", ours(large), by_grpc(large), tuned, 1.5,
                               (300, 300), 1, streams, by_client=True)
            yield from compare(entry, f"{what}libtrit",
                               ByLibtrit(daemon.rpc, daemon.process.pid, streams),
                               grpc and ByLibtrit(f"127.0.0.1:{grpc[0]}", grpc[1], streams),
                               tuned, 1.5, (300, 300), streams, by_client=True)
        what = "project unary, 1 KiB f32, {}, 8 connections of 8, h2load"
        yield from compare(entry, what.format("no report"), ours(small), get,
                           "nghttpd GET of 1 KiB", 0.7, (30000, 60000), 8, 8, same=same)
        yield from compare(entry, what.format("no report"), ours(small), by_grpc(small), tuned, 4,
                           (30000, 8000), 8, 8)
        yield from compare(entry, what.format("full report"), ours(reported), by_grpc(small),
                           tuned, 3, (20000, 8000), 8, 8)
        yield from compare(entry, "latency of project unary, 1 KiB f32, no report, one CPU, h2load",
                           ours(small), get, "nghttpd GET of 1 KiB", 1.15, (10000, 10000),
                           latency=True, same=same)
