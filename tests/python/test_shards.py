# SPDX-License-Identifier: Apache-2.0
"""Shards of a layer through the package."""

import numpy as np
import pytest

import trit


@pytest.fixture
def weights(random):
    return random.standard_normal((8, 256)).astype(np.float32)


def send(client, run, weights, begin, end, step=1):
    return client.project(
        weights[begin:end], layer=(run, "fc", step), shard=(weights.shape, (begin, 0))
    ).report


def test_shards_make_one_report(client, run, weights):
    first = send(client, run, weights, 0, 4)
    assert (first.shards_present, first.shards_expected) == (1, 2)
    assert first.shard is not None and first.shape == (4, 256)
    waiting = client.reports.get(run, "fc", 1)
    assert waiting.verdict == "inconclusive" and waiting.health is None
    assert [one.kind for one in waiting.findings] == ["shards_missing"]
    assert client.reports.list(run, waiting=True) == [waiting]
    assert client.reports.list(run) == []
    send(client, run, weights, 4, 8)
    report = client.reports.get(run, "fc", 1)
    assert report.digest == client.project(weights).report.digest
    assert (report.verdict, report.health, report.shards_expected) == ("pass", "healthy", 0)
    assert client.reports.list(run, waiting=True) == []


def test_a_shard_that_cuts_a_group_is_refused(client, run, weights):
    with pytest.raises(trit.InvalidArgument, match="shard_cuts_group.*column 100"):
        client.project(
            weights[:, :100].copy(), layer=(run, "fc", 1), shard=(weights.shape, (0, 0))
        )
