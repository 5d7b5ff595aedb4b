# SPDX-License-Identifier: Apache-2.0
"""Attempts, replicas, rewind, fork, delete and durability through the package."""

import numpy as np
import pytest

import trit


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
