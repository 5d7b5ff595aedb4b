# SPDX-License-Identifier: Apache-2.0
"""Damage in the store: what is damaged is told by --check-data, no flips are counted from it, and
its layer goes on taking reports."""
import json
import sqlite3
import urllib.request

import numpy as np
import pytest

import reference as ref
from claims import project
from test_check_data import check_data
from tritd import report_pb2, tensor_pb2

SHAPE = (1024, 1280)  # 320 KiB of codes: a slot and a part of a chunk
SLOT_BYTES = 256 << 10


def file(daemon, layer, step, weights):
    return project(daemon, weights, layer=tensor_pb2.LayerRef(run="r", layer=layer, step=step))


def damage(slot, copy):
    return slot[:70000] + bytes([slot[70000] ^ 1]) + slot[70001:]


def older(slot, copy):
    return copy[:SLOT_BYTES]


@pytest.mark.parametrize("harm", [damage, older])
def test_flips_are_never_counted_from_other_bytes(start, random, harm):
    """The next report of the layer has no flips, and its health says why; the one behind it and
    other layers have theirs."""
    weights = [random.standard_normal(SHAPE, dtype=np.float32) for _ in range(2)]
    flips = int((ref.project(weights[0])[0] != ref.project(weights[1])[0]).sum())
    own = start("--codes-max", "1")  # those of the newest step only
    path = own.folder / "data" / "codes.slots"
    file(own, "a", 1, weights[0])
    assert own.stop() == 0
    copy = path.read_bytes()
    own = start("--codes-max", "1")
    assert file(own, "a", 2, weights[1]).report.flips == flips
    assert own.stop() == 0
    assert check_data(path.parent).returncode == 0
    database = sqlite3.connect(path.parent / "reports.sqlite")
    (slot,), = database.execute("SELECT slot FROM codes WHERE slot IS NOT NULL")
    database.close()
    with open(path, "r+b") as slots:
        slots.seek(slot * SLOT_BYTES)
        harmed = harm(slots.read(SLOT_BYTES), copy)
        slots.seek(slot * SLOT_BYTES)
        slots.write(harmed)
    done = check_data(path.parent)
    assert done.returncode == 1 and f"slot {slot} of codes.slots" in done.stdout, done
    own = start("--codes-max", "1")
    without = file(own, "a", 3, weights[0]).report
    assert not without.HasField("previous_step")
    assert [reason.rule for reason in without.health_reasons] == ["data_damaged"]
    own.wait_log("store_damaged", "codes.slots")
    assert file(own, "a", 4, weights[1]).report.flips == flips
    file(own, "b", 1, weights[0])
    assert file(own, "b", 2, weights[1]).report.flips == flips
    assert own.stop() == 0


@pytest.mark.parametrize("field", ("zero_fraction", "zeros"))
def test_a_history_marks_reports_that_are_damaged(start, random, field):
    """The steps of damaged reports are listed as damaged and have no values, for fields of which
    the store has summaries and for others; what the store keeps beside the reports is made from
    them. When they are deleted, nothing is damaged."""
    weights = random.standard_normal((2, 128), dtype=np.float32)
    own = start()
    for step in range(10, 70, 10):
        file(own, "a", step, weights)
    assert own.stop() == 0
    database = sqlite3.connect(own.folder / "data" / "reports.sqlite")
    database.execute("UPDATE reports SET digest = zeroblob(32) WHERE step IN (20, 30)")
    database.execute("DELETE FROM reports WHERE step = 50")
    database.execute("DELETE FROM pasts")
    database.commit()
    database.close()
    own = start()

    def history(query=""):
        url = f"http://{own.http}/v1/runs/r/history?fields={field}{query}"
        with urllib.request.urlopen(url) as reply:
            said = json.load(reply)
        layer, = said["layers"]
        damaged = layer.get("damaged", [])
        assert [value is None for value in layer[field]] == [step in damaged for step in said["steps"]]
        return [int(step) for step in said["steps"]], [int(step) for step in damaged]

    assert history() == ([10, 30, 40, 50, 60], [30, 50])
    assert history("&from=40&to=40") == ([40], [])
    assert history("&from=15&to=40") == ([30, 40], [30])
    file(own, "a", 70, weights)
    assert history() == ([10, 30, 40, 50, 60, 70], [30, 50])
    own.reports.Delete(report_pb2.ReportsDeleteRequest(run="r", step_from=20, step_to=50))
    assert history() == ([10, 60, 70], [])
    assert own.stop() == 0
