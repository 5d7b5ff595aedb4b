# SPDX-License-Identifier: Apache-2.0
"""Attempts, replicas, rewind, fork, delete and durability through the package."""

import sqlite3
import sys
import threading

import numpy as np
import pytest

import trit
from daemon import Daemon


@pytest.fixture
def weights(random):
    return random.standard_normal((8, 256)).astype(np.float32)


@pytest.fixture
def filed(client, run, weights):
    for step in (10, 20, 30):
        client.project(weights * step, layer=(run, "fc", step))
    return run


def steps(client, run, **options):
    return [(one.step, one.attempt) for one in client.reports.list(run, **options)]


def test_a_stored_report_says_where(client, run, weights):
    report = client.project(weights, layer=(run, "fc", 1), replica=3).report
    assert (report.stored, report.attempt, report.replica) == (True, 1, 3)
    assert not report.superseded and report.shard is None
    assert client.reports.get(run, "fc", 1, replica=3) == report
    with pytest.raises(trit.NotFound):
        client.reports.get(run, "fc", 1)
    loose = client.project(weights).report
    assert (loose.stored, loose.attempt, loose.health) == (None, None, None)
    assert loose.health_reasons == ()


def test_rewind(client, filed, weights):
    assert client.reports.rewind(filed, 20) == 2
    assert steps(client, filed) == [(10, 1), (20, 1)]
    assert client.reports.get(filed, "fc", 30, attempt=1).superseded
    assert client.project(weights, layer=(filed, "fc", 30)).report.attempt == 2
    assert steps(client, filed) == [(10, 1), (20, 1), (30, 2)]
    assert len(client.reports.latest(filed, attempt=1)) == 1


def test_an_attempt_is_started_by_a_report(client, filed, weights):
    for call in (client.project, client.verify):
        call(weights, layer=(filed, call.__name__, 5), attempt=2)
    with pytest.raises(trit.FailedPrecondition):
        client.project(weights, layer=(filed, "fc", 40), attempt=1)


def test_fork_and_delete(client, filed):
    new = filed + " fork"
    assert client.reports.fork(filed, 20, new) == 2
    with pytest.raises(trit.AlreadyExists):
        client.reports.fork(filed, 20, new)
    assert client.reports.delete(new, from_step=15) == 1
    assert client.reports.delete(new, "fc") == 1
    with pytest.raises(trit.NotFound):
        client.reports.delete(new)
    assert len(steps(client, filed)) == 3


def test_compare(client, run, weights):
    changed = weights.copy()
    changed[3] *= 2
    changed[5, 128:] *= -1
    made = [
        client.project(w, encoding="int8", layer=(run, "fc", step))
        for step, w in enumerate((weights, changed))
    ]
    a, b = trit.ReportKey(run, "fc", 0), trit.ReportKey(run, "fc", 1)
    found = client.reports.compare(a, b)
    assert not found.equal and found.elements == weights.size
    assert found.codes_differing == int((made[0].data != made[1].data).sum())
    assert found.scale_ratio_max == 2 and found.first_group == 6
    assert client.reports.compare(a[:3], a) == trit.Comparison(True, weights.size, 0, 1.0, None)
    with pytest.raises(trit.NotFound):
        client.reports.compare(a, b._replace(step=7))
    for bad in ((run, "fc"), "fc", (run, "fc", 0, 0, 0, 0)):
        with pytest.raises(trit.InvalidType, match="b"):
            client.reports.compare(a, bad)


def test_watch(client, run, weights):
    with client.reports.watch(run) as watch:
        # The watch has begun when it sees a report; until then one is filed again and again.
        first = threading.Thread(target=lambda: seen.append(next(watch)))
        seen, step = [], 0
        first.start()
        while first.is_alive():
            client.project(weights, layer=(run, "fc", step))
            step += 1
            first.join(0.05)
        last = client.project(weights, layer=(run, "fc", 1000)).report
        for filed in watch:
            if filed.report.step == 1000:
                break
    assert filed.report.digest == last.digest and seen[0].report.run == run
    with client.reports.watch(run, cursor=seen[0].cursor) as again:
        assert next(again).cursor != seen[0].cursor
    assert list(again) == []


def test_a_watch_from_the_beginning(client, filed):
    with client.reports.watch(filed, cursor="0") as watch:
        assert [next(watch).report.step for _ in range(3)] == [10, 20, 30]
    watch.close()


def test_a_watch_ends_after_its_time(client, filed):
    found = list(client.reports.watch(filed, cursor="0", timeout=0.01))
    assert [one.report.step for one in found] == [10, 20, 30][: len(found)]


def test_a_watch_that_cannot_be(client):
    watch = client.reports.watch(cursor="no cursor")
    with pytest.raises(trit.InvalidArgument, match="cursor"):
        next(watch)
    assert list(watch) == []
    with pytest.raises(trit.InvalidType, match="run"):
        client.reports.watch(7)
    with pytest.raises(trit.InvalidType, match="timeout"):
        client.reports.watch("r", timeout="soon")


def test_a_closed_client_ends_its_watches(daemon, filed):
    client = trit.Client(daemon.rpc)
    watch = client.reports.watch(filed, cursor="0")
    assert next(watch).report.step == 10
    client.close()
    assert len(list(watch)) <= 2


def test_a_closed_client_ends_all_watches_at_a_time(daemon):
    """Each is told to end before one is waited for."""
    client = trit.Client(daemon.rpc)
    told = []

    class Watch:
        def abandon(self):
            told.append("abandon")

        def close(self):
            told.append("close")

    watches = [Watch(), Watch()]
    client._handle.watches.update(watches)
    client.close()
    assert told == ["abandon", "abandon", "close", "close"]


def test_watch_in_asyncio(daemon, filed):
    import asyncio

    async def main():
        async with trit.aio.Client(daemon.rpc) as client:
            found = []
            async for one in client.reports.watch(filed, cursor="0"):
                found.append(one.report.step)
                if len(found) == 3:
                    break
            return found

    assert asyncio.run(main()) == [10, 20, 30]


def test_best_effort(client, filed, weights):
    """A report that the store refuses does not fail the call."""
    with pytest.raises(trit.AlreadyExists):
        client.project(-weights, layer=(filed, "fc", 10))
    made = client.project(-weights, layer=(filed, "fc", 10), durability="best_effort")
    assert made.report.stored is False
    ternary = client.project(weights).data
    for durability in (trit.Durability.BEST_EFFORT, "durable", 1):
        packed = client.pack(
            ternary, encoding="int8", layer=(filed, f"p{durability}", 1), durability=durability
        )
        assert packed.report.stored in (True, False)


@pytest.mark.parametrize(
    "options, field",
    [
        ({"attempt": -1}, "attempt"),
        ({"attempt": 2**32}, "attempt"),
        ({"replica": 1.5}, "replica"),
        ({"durability": "soon"}, "durability"),
        ({"durability": 2}, "durability"),
        ({"shard": 7}, "shard"),
        ({"shard": ((8, 256), (0,))}, "shard"),
        ({"shard": ((), ())}, "shard"),
    ],
)
def test_bad_values_are_refused(client, run, weights, options, field):
    with pytest.raises(trit.InvalidArgument, match=field):
        client.project(weights, layer=(run, "fc", 1), **options)


@pytest.mark.parametrize("options", [{"attempt": 1}, {"replica": 1}, {"shard": ((8,), (0,))}])
def test_they_need_a_layer(client, weights, options):
    with pytest.raises(trit.InvalidArgument, match="needs a layer"):
        client.verify(weights, **options)


def test_asyncio(daemon, filed):
    import asyncio

    async def main():
        async with trit.aio.Client(daemon.rpc) as client:
            assert await client.reports.rewind(filed, 10) == 2
            assert await client.reports.fork(filed, 10, filed + " aio") == 1
            return await client.reports.delete(filed + " aio")

    assert asyncio.run(main()) == 1


def damaged_store(tmp_path):
    """A daemon whose store has the reports of two layers at two steps, one of them damaged."""
    weights = np.eye(4, 256, dtype=np.float32)
    daemon = Daemon(tmp_path)
    with trit.Client(daemon.rpc, timeout=30) as client:
        for layer in ("a", "b"):
            for step in (1, 2):
                client.project(weights, layer=("r", layer, step))
    assert daemon.stop() == 0
    database = sqlite3.connect(tmp_path / "data" / "reports.sqlite")
    database.execute("UPDATE reports SET digest = x'00' WHERE layer = 'a' AND step = 2")
    database.commit()
    database.close()
    return Daemon(tmp_path)


def test_damaged_reports_are_named_beside_the_others(tmp_path):
    """Without a list for their keys, DataLoss is raised: a shorter list would be taken for all."""
    daemon = damaged_store(tmp_path)
    try:
        with trit.Client(daemon.rpc, timeout=30) as client:
            damaged = []
            assert [one.layer for one in client.reports.latest("r", damaged=damaged)] == ["b"]
            assert damaged == [trit.ReportKey("r", "a", 2, 1, 0)]
            assert len(client.reports.list("r", damaged=damaged)) == 3 and len(damaged) == 2
            for read in (client.reports.list, client.reports.latest):
                with pytest.raises(trit.DataLoss):
                    read("r")
    finally:
        assert daemon.stop() == 0


@pytest.mark.parametrize("damaged", [(), {}, True, "r"])
@pytest.mark.parametrize("method", ["list", "latest"])
def test_damaged_is_a_list(client, method, damaged):
    """The keys would be added to a copy of a tuple, and lost."""
    with pytest.raises(trit.InvalidType, match="damaged: .*a list or None"):
        getattr(client.reports, method)("r", damaged=damaged)


def test_an_exception_as_a_damaged_report_is_told_is_the_calls(tmp_path, monkeypatch):
    """The callback has no result that could end the call, and no traceback is printed."""

    class Struck:
        def __getattr__(self, name):
            return getattr(trit._native.ffi, name)

        def string(self, text):
            raise KeyboardInterrupt

    daemon, damaged, printed = damaged_store(tmp_path), [], []
    try:
        with trit.Client(daemon.rpc, timeout=30) as client:
            monkeypatch.setattr(sys, "unraisablehook", printed.append)
            monkeypatch.setattr(trit._visit, "ffi", Struck())
            with pytest.raises(KeyboardInterrupt):
                client.reports.list("r", damaged=damaged)
            monkeypatch.undo()
            assert damaged == printed == [] and client.ping()
    finally:
        assert daemon.stop() == 0
