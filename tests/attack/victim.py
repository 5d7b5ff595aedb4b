# SPDX-License-Identifier: Apache-2.0
"""A daemon under attack: another client calls it meanwhile, and its memory is watched."""
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
REQUEST = ref.project_request(np.ones((4, 128), np.float32))


class Victim:
    """Use it as a context: at the end the other client was always answered, the memory
    stayed in its bounds, and the daemon still serves new connections."""

    def __init__(self, start, *words, budget=BUDGET):
        self.daemon = start("--memory-max", budget, *words, durable=False)
        self.budget = budget
        self.peak = self.calls = 0
        self.failed = []
        self.took = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._call), threading.Thread(target=self._watch)]

    def _call(self):
        with self.daemon.connect() as channel:
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
        """As a client with a retry policy: it tries again when the daemon says so."""
        for _ in range(3):
            try:
                call(REQUEST, timeout=20, wait_for_ready=True)
                return None
            except grpc.RpcError as error:
                last = error
                pushback = dict(error.trailing_metadata() or ()).get("grpc-retry-pushback-ms")
                if pushback is None:
                    break
                self.over.wait(int(pushback) / 1000)
        return last

    def _watch(self):
        while not self.over.is_set():
            self.peak = max(self.peak, self.daemon.memory_kib("VmRSS") * 1024)
            self.over.wait(0.02)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.wait(lambda: self.took or self.failed)  # the client is there first
        return self

    def __exit__(self, kind, *rest):
        self.over.set()
        for thread in self.threads:
            thread.join()
        if kind is not None:
            return
        assert self.daemon.process.poll() is None, self.daemon.log()[-3000:]
        assert self.took and len(self.failed) <= len(self.took) / 20, self.failed[:3]
        with self.daemon.connect() as channel:  # a new client is served too
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
