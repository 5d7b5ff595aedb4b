# SPDX-License-Identifier: Apache-2.0
"""Ranks as processes; shards across restarts and kill -9; retention of what waits."""
import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest

import rank
import sharded
from sharded import get, grid, project, send
from tritd import CALL_SECONDS, report_pb2

HERE = pathlib.Path(__file__).resolve().parent
RANKS, STEPS = 3, 12
SHAPE = (64, 512)
BOXES = grid(SHAPE, [16, 32, 48], [])


class Ranks:
    """RANKS processes that send shards to the daemon that the file names."""

    def __init__(self, file):
        self.processes = [subprocess.Popen(
            [sys.executable, str(HERE / "rank.py"), str(file), str(i), str(RANKS), str(STEPS)],
            stdout=subprocess.PIPE, text=True, env=dict(os.environ, PYTHONPATH=str(HERE)))
            for i in range(RANKS)]

    def wait_for_line(self):
        """The first answer that some rank got."""
        return self.processes[0].stdout.readline()

    def finish(self):
        for one in self.processes:
            one.communicate(timeout=8 * CALL_SECONDS)
            assert one.returncode == 0

    def kill(self):
        for one in self.processes:
            one.kill()
            one.communicate()


def name_daemon(folder, daemon):
    """Ranks never see a part of the address."""
    (folder / "new").write_text(daemon.rpc)
    (folder / "new").rename(folder / "address")


@pytest.fixture
def ranks(tmp_path):
    started = []

    def start(daemon):
        name_daemon(tmp_path, daemon)
        started.append(Ranks(tmp_path / "address"))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def expected(daemon):
    """The digests of the layer, sent as a whole."""
    return [project(daemon, rank.weights(step), sharded.whole("whole", step=step)).digest
            for step in range(STEPS)]


def digests(daemon):
    return [get(daemon, "r", step=step).digest for step in range(STEPS)]


def test_ranks_as_processes(start, ranks):
    daemon = start()
    ranks(daemon).finish()
    assert digests(daemon) == expected(daemon)
    assert sharded.waiting(daemon) == []


def test_kill_9_loses_no_acknowledged_shard(start, ranks, tmp_path):
    """The daemon is killed again and again; ranks send again only what was not acknowledged."""
    daemon = start()
    running = ranks(daemon)
    for _ in range(3):
        running.wait_for_line()
        daemon.kill()
        daemon = start()
        name_daemon(tmp_path, daemon)
    running.finish()
    found = digests(daemon)
    assert found == expected(daemon) and sharded.waiting(daemon) == []
    daemon.kill()
    assert digests(start()) == found


def test_shards_wait_across_a_kill(start):
    """Three of four shards are acknowledged, the daemon is killed, the fourth completes them."""
    values = np.random.default_rng(3).standard_normal(SHAPE).astype(np.float32)
    daemon = start()
    send(daemon, project, values, BOXES[:3], "r")
    daemon.kill()
    daemon = start()
    report = get(daemon, "r")
    assert (report.shards_present, report.shards_expected) == (3, 4)
    send(daemon, project, values, BOXES[3:], "r")
    assert get(daemon, "r").digest == project(daemon, values, sharded.whole("w")).digest
    daemon.kill()
    daemon = start()
    again = send(daemon, project, values, BOXES[1:2], "r")[0]
    assert again.shards_present == again.shards_expected == 4


def steps(daemon):
    listed = daemon.reports.List(report_pb2.ReportsListRequest(run="r"), timeout=CALL_SECONDS)
    return [one.step for one in listed.reports]


def test_count_retains_no_shards_behind_newer_reports(start):
    values = np.random.default_rng(3).standard_normal(SHAPE).astype(np.float32)
    daemon = start()
    send(daemon, project, values, BOXES[:3], "r", step=1)
    for step in range(2, 5):
        send(daemon, project, values, BOXES, "r", step=step)
    send(daemon, project, values, BOXES[:3], "r", step=9)
    daemon.kill()
    daemon = start("--retain", "count=2")
    deadline = time.monotonic() + CALL_SECONDS
    while [one.step for one in sharded.waiting(daemon)] != [9] or steps(daemon) != [3, 4]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
