# SPDX-License-Identifier: Apache-2.0
"""A daemon under attack: another client calls it before and meanwhile, and its memory is
watched."""
import statistics
import threading
import time

import grpc
import numpy as np

import reference as ref
from test_http import metrics
from tritd import SLOW

MIB = 1 << 20
BUDGET = 64 * MIB
BASE = 24 * MIB  # the process itself, and what the allocator rounds up
ROUND = 20  # calls; the slowest of a round stands for its p99
CALM_ROUNDS = 5
NOISE_SECONDS = 10 if SLOW else 2  # attacker, client and daemon share the processors
REQUEST = ref.project_request(np.ones((4, 128), np.float32))


def p99(took):
    """The median of the rounds, so that one hiccup of the machine does not count."""
    rounds = [took[at:at + ROUND] for at in range(0, len(took) - ROUND + 1, ROUND)]
    return statistics.median(max(one) for one in rounds or [took])


class Victim:
    """Use it as a context: at the end the other client was always answered, its p99 was
    within twice that of before, the memory stayed in its bounds, and the daemon still serves
    new connections. `connect` makes the channels of the other client."""

    def __init__(self, start, *words, budget=BUDGET, connect=lambda own: own.connect()):
        self.connect = connect
        self.daemon = start("--memory-max", budget, *words, durable=False)
        self.budget = budget
        self.peak = self.calls = 0
        self.failed = []
        self.took = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._call), threading.Thread(target=self._watch)]

    def _call(self):
        with self.connect(self.daemon) as channel:
            call = channel.unary_unary(
                "/trit.v1.Ternary/Project",
                request_serializer=lambda request: request.SerializeToString())
            while not self.over.is_set():
                begin = time.monotonic()
                error = self._tries(call)
                if error is None:
                    self.took.append(time.monotonic() - begin)
                else:
                    self.failed.append((error.code(), error.details()))
                self.over.wait(0.01)

    def _tries(self, call):
        """As a client with a retry policy: it tries again when the daemon says so, or was not
        reached."""
        for _ in range(3):
            try:
                call(REQUEST, timeout=20, wait_for_ready=True)
                return None
            except grpc.RpcError as error:
                last = error
                pushback = dict(error.trailing_metadata() or ()).get("grpc-retry-pushback-ms")
                if pushback is None and error.code() != grpc.StatusCode.UNAVAILABLE:
                    break
                self.over.wait(int(pushback or 50) / 1000)
        return last

    def _watch(self):
        while not self.over.is_set():
            self.peak = max(self.peak, self.daemon.memory_kib("VmRSS") * 1024)
            self.over.wait(0.02)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.wait(lambda: len(self.took) >= ROUND * CALM_ROUNDS or self.failed, 120)
        self.calm, self.took = self.took, []
        return self

    def __exit__(self, kind, *rest):
        if kind is None:
            self.wait(lambda: len(self.took) >= ROUND, 120)
        self.over.set()
        for thread in self.threads:
            thread.join()
        if kind is not None:
            return
        assert self.daemon.process.poll() is None, self.daemon.log()[-3000:]
        assert self.took and len(self.failed) <= len(self.took) / 20, self.failed[:3]
        before, meanwhile = p99(self.calm), p99(self.took)
        print(f"p99 {before * 1000:.1f} ms, under attack {meanwhile * 1000:.1f} ms")
        assert meanwhile <= max(2 * before, NOISE_SECONDS), f"{meanwhile:.2f} s"
        with self.connect(self.daemon) as channel:  # a new client is served too
            channel.unary_unary(
                "/trit.v1.Ternary/Project",
                request_serializer=lambda request: request.SerializeToString())(
                    REQUEST, timeout=20, wait_for_ready=True)
        if not SLOW:
            assert self.peak <= self.budget * 1.1 + BASE, f"{self.peak / MIB:.0f} MiB"

    def wait(self, condition, seconds=20):
        """Until the condition is true; the metrics are asked again and again."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.daemon.process.poll() is None and time.monotonic() < deadline

    def metric(self, name):
        return metrics(self.daemon).get(name, 0)

    def refusals(self, limit):
        return self.metric(f'tritd_limit_refusals_total{{limit="{limit}"}}')
