# SPDX-License-Identifier: Apache-2.0
"""Reports.Compare and trit reports compare: how much the ternary tensors of reports differ."""
import grpc
import numpy as np
import pytest

import reference as ref
import schemas
from claims import project
from tritd import CALL_SECONDS, cli, refused, report_pb2, tensor_pb2

INVALID = grpc.StatusCode.INVALID_ARGUMENT


def at(run, step, layer="up", **fields):
    return tensor_pb2.LayerRef(run=run, layer=layer, step=step, **fields)


def compare(daemon, a, b):
    return daemon.reports.Compare(report_pb2.ReportsCompareRequest(a=a, b=b),
                                  timeout=CALL_SECONDS)


@pytest.fixture
def filed(daemon, run, random):
    """Steps 1 and 2 of a layer: a row doubled, and half a row negated. Returns the codes."""
    values = random.standard_normal((8, 256)).astype(np.float32)
    changed = values.copy()
    changed[3] *= 2
    changed[5, 128:] *= -1
    for step, weights in ((1, values), (2, changed)):
        project(daemon, weights, layer=at(run, step))
    project(daemon, changed, layer=at(run, 1, replica=1))
    return [ref.project(weights)[0] for weights in (values, changed)]


def test_steps_and_replicas(daemon, run, filed):
    differing = int((filed[0] != filed[1]).sum())
    for b in (at(run, 2), at(run, 1, replica=1)):
        found = compare(daemon, at(run, 1), b)
        assert not found.equal and found.elements == 8 * 256
        assert found.codes_differing == differing
        assert found.scale_ratio_max == 2 and found.first_group == 6
    back = compare(daemon, at(run, 2), at(run, 1))
    assert (back.codes_differing, back.scale_ratio_max) == (differing, 2)


def test_equal_reports(daemon, run, filed):
    for a, b in ((at(run, 1), at(run, 1)), (at(run, 2), at(run, 1, replica=1))):
        found = compare(daemon, a, b)
        assert found.equal and found.codes_differing == 0 and found.scale_ratio_max == 1
        assert not found.HasField("first_group") and found.elements == 8 * 256


def test_runs_and_superseded_steps(daemon, run, filed):
    new = run + " fork"
    daemon.reports.Fork(report_pb2.ReportsForkRequest(run=run, step=1, new_run=new),
                        timeout=CALL_SECONDS)
    assert compare(daemon, at(run, 1), at(new, 1)).equal
    daemon.reports.Rewind(report_pb2.ReportsRewindRequest(run=run, step=1), timeout=CALL_SECONDS)
    refused(lambda: compare(daemon, at(run, 1), at(run, 2)), grpc.StatusCode.NOT_FOUND, 2)
    assert not compare(daemon, at(run, 1), at(run, 2, attempt=1)).equal


def test_what_cannot_be_compared(daemon, run, filed):
    project(daemon, np.ones((4, 128), np.float32), layer=at(run, 1, "down"))
    refused(lambda: compare(daemon, at(run, 1), at(run, 1, "down")), INVALID)
    refused(lambda: compare(daemon, at(run, 1), at("no such run", 1)),
            grpc.StatusCode.NOT_FOUND, "no such run")
    for bad, field in ((at("", 1), "run"), (at(run, 1, ""), "layer"), (at("a\n", 1), "run"),
                       (at(run, 2**63), "step"),
                       (at(run, 1, shard=tensor_pb2.Shard(global_shape=[1])), "shard")):
        refused(lambda: compare(daemon, bad, at(run, 1)), INVALID, "a." + field)
        refused(lambda: compare(daemon, at(run, 1), bad), INVALID, "b." + field)


def test_the_command(daemon, run, filed):
    name = run.replace("%", "%25").replace("/", "%2F")
    a, b, other = (f"{name}/up@{step}" for step in ("1", "2", "1:1:1"))
    done = cli(daemon, "reports", "compare", a, b, other, "--json")
    assert done.returncode == 1, done.stderr
    found = schemas.read(done.stdout)
    assert not found["equal"]
    assert [one["b"]["replica"] for one in found["comparisons"]] == [0, 1]
    first = found["comparisons"][0]
    assert first["codes_differing"] == int((filed[0] != filed[1]).sum())
    assert (first["scale_ratio_max"], first["first_group"], first["elements"]) == (2, 6, 2048)
    done = cli(daemon, "reports", "compare", a, b)
    assert done.returncode == 1 and "DIFFERENT" in done.stdout
    assert cli(daemon, "reports", "compare", b, other).returncode == 0
    done = cli(daemon, "reports", "compare", a, f"{name}/up@9")
    assert done.returncode == 3 and "NOT_FOUND" in done.stderr
