# SPDX-License-Identifier: Apache-2.0
"""codes.slots beside reports.sqlite: a slot that is damaged or of an older copy of the file is
told by --check-data, and no flips are counted from it."""
import sqlite3

import grpc
import numpy as np
import pytest

import reference as ref
from claims import project
from test_check_data import check_data
from tritd import refused, tensor_pb2

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
    """The layer whose codes were there is refused; others get new slots and their own flips."""
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
    refused(lambda: file(own, "a", 3, weights[0]), grpc.StatusCode.DATA_LOSS, "codes.slots")
    file(own, "b", 1, weights[0])
    assert file(own, "b", 2, weights[1]).report.flips == flips
    assert own.stop() == 0
