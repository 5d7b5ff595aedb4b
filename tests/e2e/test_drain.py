# SPDX-License-Identifier: Apache-2.0
"""Daemons behind HAProxy are restarted in turn under load, and no call fails. The clients
neither retry nor wait. TRIT_DRAIN_TURNS restarts (make test-drain: 100)."""
import collections
import datetime
import os
import signal
import threading
import time

import grpc
import numpy as np
import pytest

import proxies
import reference as ref
from streams import CHUNK_BYTES, VALUES, expected
from tritd import CALL_SECONDS, SLOW, Daemon, ternary_pb2_grpc

TURNS = int(os.environ.get("TRIT_DRAIN_TURNS", 1 if SLOW else 3))
DRAIN_DELAY_MS = 5000 if SLOW else 1000
SMALL = ref.project_request(np.random.default_rng(5).standard_normal((64, 128)).astype(np.float32))
CHUNKS = list(ref.stream_requests(VALUES.tobytes(), VALUES.shape, CHUNK_BYTES))


def unary(stub):
    stub.Project(SMALL, timeout=CALL_SECONDS)


def stream(stub):
    data, _, _ = ref.gather(stub.ProjectStream(iter(CHUNKS), timeout=CALL_SECONDS))
    assert data == expected()


class Load:
    """Threads that call one after the other until the end; each has a connection."""

    def __init__(self, proxy, *calls):
        self.failures, self.good = [], collections.Counter()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(proxy, index, call))
                         for index, call in enumerate(calls)]
        for thread in self._threads:
            thread.start()

    def _run(self, proxy, index, call):
        with proxy.connect() as channel:
            stub = ternary_pb2_grpc.TernaryStub(channel)
            while not self._over.is_set():
                try:
                    call(stub)
                    self.good[index] += 1
                except (grpc.RpcError, AssertionError) as error:
                    self.failures.append((str(datetime.datetime.now()), call.__name__, str(error)[:500]))

    def wait_calls(self):
        """Until each thread has made a call more."""
        seen = dict(self.good)
        deadline = time.monotonic() + CALL_SECONDS
        while any(self.good[index] <= seen.get(index, 0) for index in range(len(self._threads))):
            assert time.monotonic() < deadline and not self.failures, self.failures[:5]
            time.sleep(0.01)

    def stop(self):
        self._over.set()
        for thread in self._threads:
            thread.join(CALL_SECONDS)


class Cluster:
    """Three daemons on ports that they keep, and HAProxy in front of them."""

    def __init__(self, folder, more):
        self.folder, self.ups = folder, [0, 0, 0]
        self.ports = [(proxies.free_port(), proxies.free_port()) for _ in range(3)]
        self.daemons = [self.start(index) for index in range(3)]
        self.proxy = proxies.haproxy(folder, self.daemons, inter="100ms", more=more)

    def start(self, index):
        rpc, http = (f"127.0.0.1:{port}" for port in self.ports[index])
        daemon = Daemon(self.folder / f"tritd{index}", "--listen", rpc, "--http", http,
                        "--drain-delay", DRAIN_DELAY_MS, durable=False)
        daemon.rpc = rpc
        return daemon

    def restart(self, index):
        old = self.daemons[index]
        assert old.stop(signal.SIGTERM) == 0, old.log()[-2000:]
        self.daemons[index] = self.start(index)
        self.ups[index] += 1
        deadline = time.monotonic() + CALL_SECONDS
        while self.proxy.log().count(f"tritd{index} is UP") < self.ups[index]:
            assert time.monotonic() < deadline, self.proxy.log()[-2000:]
            time.sleep(0.02)

    def tell(self, load):
        """What failed, and what HAProxy says of it: how the requests ended (its two letters,
        the server, the counts of retries), and which server was up when."""
        lines = self.proxy.log().splitlines()
        requests = [line for line in lines if "HTTP/2" in line][:10]
        return "\n".join([f"{len(load.failures)} failed", *map(str, load.failures[:5]),
                          f"now {datetime.datetime.now()}", *requests, *lines[-20:]])

    def stop(self):
        self.proxy.stop()
        for daemon in self.daemons:
            daemon.kill()


@pytest.mark.parametrize("more", ["", "retries 0"], ids=["as it comes", "retries 0"])
def test_restarts_behind_haproxy_fail_no_call(tmp_path, more):
    """Three daemons behind HAProxy are restarted in turn; unary calls and streams go on."""
    cluster = Cluster(tmp_path, more)
    load = Load(cluster.proxy, unary, unary, stream)
    try:
        for turn in range(TURNS):
            load.wait_calls()
            cluster.restart(turn % 3)
        load.wait_calls()
    except AssertionError:
        raise AssertionError(cluster.tell(load)) from None
    finally:
        load.stop()
        cluster.stop()
    assert not load.failures, cluster.tell(load)
    print(f"{TURNS} restarts, {sum(load.good.values())} calls, none failed")
