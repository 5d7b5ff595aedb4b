# SPDX-License-Identifier: Apache-2.0
"""Shards of a layer make one report, which is that of a call with the whole layer."""
import json
import urllib.request

import grpc
import numpy as np
import pytest

import claims
import reference as ref
import sharded
from sharded import alike, get, grid, part, project, project_stream, send, verify, verify_stream
from tritd import CALL_SECONDS, cli, refused, report_pb2, tensor_pb2

EXISTS, INVALID = grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND, PRECONDITION = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION

SHAPE = (64, 512)
CUTS = {
    "rows": grid(SHAPE, [16, 32, 48], []),
    "uneven": grid(SHAPE, [30, 60], []),
    "columns": grid(SHAPE, [], [128, 384]),
    "grid": grid(SHAPE, [40], [128, 256]),
}
METHODS = pytest.mark.parametrize("method", [project, project_stream, verify, verify_stream],
                                  ids=lambda one: one.__name__)
cuts = pytest.mark.parametrize("boxes", CUTS.values(), ids=CUTS)


@pytest.fixture
def values(random):
    return random.standard_normal(SHAPE).astype(np.float32)


def same_as_whole(daemon, method, values, boxes, run, **options):
    """Sends the boxes in a mixed order; their report is that of the whole layer."""
    mixed = [boxes[i] for i in np.random.default_rng(len(boxes)).permutation(len(boxes))]
    answers = send(daemon, method, values, mixed, run, **options)
    assert [(one.shards_present, one.shards_expected == len(boxes)) for one in answers][-1] == \
        (len(boxes), True)
    reference = options.pop("reference", None)
    more = {} if reference is None else {"reference": reference}
    expected = method(daemon, values, sharded.whole(run + "-whole"), **options, **more)
    assert alike(get(daemon, run)) == alike(expected)
    return answers


@METHODS
@cuts
def test_shards_make_the_report_of_the_whole(daemon, run, method, boxes, values):
    answers = same_as_whole(daemon, method, values, boxes, run)
    assert all(one.stored and not one.health for one in answers)


@cuts
def test_against_a_reference(daemon, run, boxes, values, random):
    """Shards with references make the report of the whole, with mismatches, their first index and
    sums of errors."""
    codes, scales = ref.project(values)
    claim = np.frombuffer(ref.dense(values, codes, scales), np.float32).reshape(SHAPE).copy()
    claim[tuple(random.integers(0, size, 5) for size in SHAPE)] *= 3
    same_as_whole(daemon, verify, claim, boxes, run, reference=values)


@cuts
@pytest.mark.parametrize("step", [1, 7])
def test_samples_and_first_occurrences(daemon, run, boxes, values, step, random):
    """A claim with many wrong values: the first ones of the layer are told, in its order."""
    claim = claims.ternary(random, *SHAPE)[0]
    claim[::step, ::5] = values[::step, ::5]
    claim[20, 300] = np.nan
    same_as_whole(daemon, verify, claim, boxes, run)
    same_as_whole(daemon, verify, claim, boxes, run + "-tolerant", tolerance=0.4)


@pytest.mark.parametrize("encoding", [claims.INT8, claims.PQ2_0, claims.TQ2_0, claims.MLX_2BIT])
def test_projections_to_an_encoding(daemon, run, encoding, values):
    size = {claims.TQ2_0: 256}.get(encoding, 128)
    boxes = grid(SHAPE, [8], [256])
    same_as_whole(daemon, project, values, boxes, run, encoding=encoding, group_size=size)


@pytest.mark.parametrize("shape, boxes, options", [
    ((8, 300), grid((8, 300), [3], [128, 256]), {}),
    ((8, 300), grid((8, 300), [], [128]), {"partial_group": tensor_pb2.PARTIAL_EXACT}),
    ((6, 70), grid((6, 70), [2, 4], []), {}),
    ((4, 6, 256), grid((4, 6, 256), [2], [1, 5], [128]), {}),
    ((3, 4, 8, 64), grid((3, 4, 8, 64), [1], [2], [3], []), {"group_size": 64}),
    ((512,), grid((512,), [128, 256]), {}),
    ((4, 64), grid((4, 64), [1, 3], [3, 63]), {"group_size": 3}),
], ids=lambda one: "x".join(map(str, one)) if isinstance(one, tuple) else "")
def test_shapes(daemon, run, shape, boxes, options, random):
    values = random.standard_normal(shape).astype(np.float32)
    same_as_whole(daemon, project, values, boxes, run, **options)
    same_as_whole(daemon, verify, values, boxes, run + "-verified", **options)


def flat(run, values, begin, end, **fields):
    rows = np.unravel_index(begin, values.shape)
    where = tensor_pb2.LayerRef(run=run, layer="up", step=1, shard=tensor_pb2.Shard(
        global_shape=values.shape, offset=[int(one) for one in rows]), **fields)
    return values.reshape(-1)[begin:end].copy(), where


def test_flat_shards(daemon, run, values):
    """FSDP's flat parameters: consecutive elements, cut at groups, also within a row."""
    edges = [0, 128, 5120 + 384, 20480, values.size]
    for begin, end in sorted(zip(edges, edges[1:]), reverse=True):
        tensor, where = flat(run, values, begin, end)
        answer = project(daemon, tensor, where)
        assert list(answer.shape) == [end - begin]
    assert alike(get(daemon, run)) == alike(project(daemon, values, sharded.whole(run + "w")))


def test_flat_shards_cut_at_groups(daemon, run, values):
    tensor, where = flat(run, values, 0, 1000)
    refused(lambda: project(daemon, tensor, where), INVALID, "shard_cuts_group",
            "column 488 is inside group 3", "384 or 512")
    narrow = np.ascontiguousarray(values[:, :200])
    tensor, where = flat(run, narrow, 0, 1000)
    refused(lambda: project(daemon, tensor, where), INVALID, "send whole rows as a matrix of 200")
    tensor, where = flat(run, narrow, 200, 328)
    assert project(daemon, tensor, where).elements == 128


# ---- refusals ----

def test_a_cut_group_is_refused(daemon, run, values):
    """The message says where the row may be cut."""
    box = (slice(0, 64), slice(0, 192))
    refused(lambda: send(daemon, project, values, [box], run), INVALID, "layer.shard.offset",
            "shard_cuts_group", "column 192 is inside group 1", "128 or 256")
    assert sharded.waiting(daemon, run) == []


@pytest.mark.parametrize("encoding", claims.WHOLE, ids=lambda one: claims.NAMES[one])
def test_one_scale_is_refused(daemon, run, encoding, values):
    refused(lambda: send(daemon, project, values, CUTS["rows"][:1], run, encoding=encoding),
            INVALID, "layer.shard", "one scale for the whole tensor")


def test_a_shard_outside_its_layer_is_refused(daemon, run, values):
    refused(lambda: project(daemon, values, sharded.layer(
        run, (slice(1, 0), slice(0, 0)), SHAPE)), INVALID, "axis 0", "64 elements from 1 on")
    refused(lambda: project(daemon, values, sharded.layer(
        run, (slice(0, 0),) * 3, (4, 64, 512))), INVALID, "3 axes, but the tensor has 2")
    refused(lambda: project(daemon, values, sharded.layer(
        run, (slice(0, 0),), SHAPE)), INVALID, "layer.shard.offset", "1 numbers")


def test_shards_that_overlap_are_refused(daemon, run, values):
    boxes = grid(SHAPE, [16], [])
    send(daemon, project, values, boxes[:1], run)
    refused(lambda: send(daemon, project, values, [(slice(8, 24), slice(0, 512))], run),
            PRECONDITION, "layer.shard.offset", "offset [8, 0]", "overlaps", "offset [0, 0]")
    send(daemon, project, values, boxes[1:], run)
    assert get(daemon, run).elements == values.size


@pytest.mark.parametrize("change, words", [
    (dict(shape=(64, 1024)), ["global_shape", "[64, 1024]", "[64, 512]"]),
    (dict(encoding=claims.INT8), ["encoding of the output is 1, but 0"]),
    (dict(group_size=64), ["group_size is 64, but 128"]),
    (dict(dtype=ref.BF16), ["dtype"]),
    (dict(report=report_pb2.REPORT_DETAIL_BRIEF), ["detail of the report"]),
    (dict(partial_group=tensor_pb2.PARTIAL_EXACT), ["partial_group"]),
], ids=lambda one: next(iter(one)) if isinstance(one, dict) else "")
def test_shards_that_contradict_are_refused(daemon, run, values, change, words):
    boxes = CUTS["rows"]
    send(daemon, project, values, boxes[:1], run)
    shape = change.pop("shape", SHAPE)
    refused(lambda: project(daemon, part(values, boxes[1]), sharded.layer(run, boxes[1], shape),
                            **change), PRECONDITION, *words)
    send(daemon, project, values, boxes[1:], run)
    assert get(daemon, run).elements == values.size


def test_flat_and_other_shards_do_not_mix(daemon, run, values):
    send(daemon, project, values, CUTS["rows"][:1], run)
    tensor, where = flat(run, values, 8192, 8704)
    refused(lambda: project(daemon, tensor, where), PRECONDITION, "flat")


def test_another_method_is_refused(daemon, run, values):
    send(daemon, project, values, CUTS["rows"][:1], run)
    refused(lambda: send(daemon, verify, values, CUTS["rows"][1:2], run), PRECONDITION, "method")


@pytest.mark.parametrize("complete", [False, True])
def test_the_same_shard_again(daemon, run, values, complete):
    """Equal content gets the same answer, other content is refused, before and after the layer
    is complete."""
    boxes = CUTS["grid"]
    sent = boxes if complete else boxes[:3]
    first = send(daemon, project, values, sent, run)
    again = send(daemon, project, values, sent, run)
    assert [one.digest for one in again] == [one.digest for one in first]
    assert {one.shards_present for one in again} == {len(sent)}
    assert all(one.stored for one in again)
    other = values.copy()
    other[0, 0] += 1
    refused(lambda: send(daemon, project, other, boxes[:1], run), EXISTS, "other content")
    report = get(daemon, run)
    assert (report.shards_present, report.shards_expected) == ((0, 0) if complete else (3, 4))


def test_whole_and_shards_of_one_step(daemon, run, values):
    boxes = CUTS["rows"]
    project(daemon, values, sharded.whole(run))
    refused(lambda: send(daemon, project, values, boxes[:1], run), EXISTS, "the whole layer")
    send(daemon, project, values, boxes[:1], run, step=2)
    refused(lambda: project(daemon, values, sharded.whole(run, step=2)), PRECONDITION,
            "1 of 4 shards")
    send(daemon, project, values, boxes[1:], run, step=2)
    assert project(daemon, values, sharded.whole(run, step=2)).digest == \
        get(daemon, run, step=2).digest
    refused(lambda: send(daemon, project, values, CUTS["uneven"][:1], run, step=2), PRECONDITION,
            "overlaps")


# ---- while shards are missing ----

def test_a_layer_that_waits(daemon, run, values):
    """A layer that waits says 3 of 4, is undecided, has no health, flips or digest, and is in no
    list of reports."""
    project(daemon, values, sharded.whole(run, step=0))
    send(daemon, project, values, CUTS["rows"][:3], run)
    report = get(daemon, run)
    assert (report.shards_present, report.shards_expected) == (3, 4)
    assert list(report.shape) == list(SHAPE) and report.elements == values.size
    assert claims.kinds(report) == {"shards_missing"} and report.findings[0].count == 1
    assert report.findings[0].severity == "undecided" and not report.is_ternary
    assert not report.health and not report.HasField("previous_step") and not any(report.digest)
    assert report.negatives + report.zeros + report.positives == 48 * 512
    assert sharded.waiting(daemon, run) == [report]
    assert get(daemon, run, step=0).step == 0
    listed = daemon.reports.List(report_pb2.ReportsListRequest(run=run), timeout=CALL_SECONDS)
    assert [one.step for one in listed.reports] == [0]
    send(daemon, project, values, CUTS["rows"][3:], run)
    report = get(daemon, run)
    assert report.health == "healthy" and report.previous_step == 0 and report.flips == 0
    assert report.HasField("previous_step") and sharded.waiting(daemon, run) == []


def test_a_layer_that_only_waits_is_found_without_its_step(daemon, run, values):
    send(daemon, project, values, CUTS["rows"][:2], run, step=5)
    newest = daemon.reports.Get(report_pb2.ReportsGetRequest(run=run, layer="up"),
                                timeout=CALL_SECONDS).report
    assert (newest.step, newest.shards_present) == (5, 2)
    refused(lambda: get(daemon, run, step=4), NOT_FOUND)


def test_what_is_wrong_in_a_shard_is_told_at_once(daemon, run, values, random):
    claim = claims.ternary(random, *SHAPE)[0]
    claim[3, 3] = np.nan
    send(daemon, verify, claim, CUTS["rows"][:2], run)
    report = get(daemon, run)
    assert [one.kind for one in report.findings] == ["non_finite", "shards_missing"]
    assert report.findings[0].index == 3 * 512 + 3


def test_waiting_layers_are_listed_by_page(daemon, run, values):
    for step in range(3):
        for replica in range(2):
            send(daemon, project, values, CUTS["rows"][:1], run, step=step, replica=replica)
    found = sharded.waiting(daemon, run, page_size=1)
    assert [(one.step, one.replica) for one in found] == \
        [(step, replica) for step in range(3) for replica in range(2)]


# ---- with the rest of the history ----

def test_flips_are_of_the_layer(daemon, run, values):
    """Flips are counted against the step before, however that was cut into shards."""
    send(daemon, project, values, CUTS["rows"], run, step=1)
    send(daemon, project, -values, CUTS["columns"], run, step=2)
    report = get(daemon, run, step=2)
    assert report.previous_step == 1 and report.flips == report.elements - report.zeros


def test_replicas_of_sharded_layers(daemon, run, values):
    other = values.copy()
    other[0] *= -1
    send(daemon, project, values, CUTS["rows"], run, replica=0)
    send(daemon, project, other, CUTS["columns"], run, replica=1)
    send(daemon, project, values, CUTS["grid"], run, replica=2)
    report = get(daemon, run, replica=1)
    assert claims.kinds(report) == {"codes_differ"}
    assert "replica 1 differs from replica 0" in report.findings[0].hint
    assert claims.kinds(get(daemon, run, replica=2)) == {"replica_equal"}
    assert get(daemon, run).digest == get(daemon, run, replica=2).digest


def test_attempts_of_sharded_layers(daemon, run, values):
    """Shards that wait for an attempt are deleted when a later attempt has the layer."""
    send(daemon, project, values, CUTS["rows"], run, step=1)
    send(daemon, project, values, CUTS["rows"][:2], run, step=2)
    send(daemon, project, values, CUTS["rows"][:2], run, step=2, attempt=2)
    assert [(one.step, one.attempt) for one in sharded.waiting(daemon, run)] == [(2, 1), (2, 2)]
    send(daemon, project, values, CUTS["rows"][2:], run, step=2, attempt=2)
    assert sharded.waiting(daemon, run) == []
    assert get(daemon, run, step=2).attempt == 2
    refused(lambda: send(daemon, project, values, CUTS["rows"][2:3], run, step=2, attempt=1),
            PRECONDITION, "attempt")


def test_rewind_gives_up_what_waits(daemon, run, values):
    project(daemon, values, sharded.whole(run))
    send(daemon, project, values, CUTS["rows"][:2], run, step=2)
    daemon.reports.Rewind(report_pb2.ReportsRewindRequest(run=run, step=1), timeout=CALL_SECONDS)
    assert sharded.waiting(daemon, run) == []
    send(daemon, project, -values, CUTS["rows"], run, step=2)
    assert get(daemon, run, step=2).attempt == 2


def test_delete_deletes_what_waits(daemon, run, values):
    def delete(**fields):
        return daemon.reports.Delete(report_pb2.ReportsDeleteRequest(run=run, **fields),
                                     timeout=CALL_SECONDS).reports
    for step in (1, 2, 3):
        send(daemon, project, values, CUTS["rows"][:2], run, step=step)
    assert delete(layer="up", step_from=2, step_to=2) == 0
    assert [one.step for one in sharded.waiting(daemon, run)] == [1, 3]
    assert delete() == 0 and sharded.waiting(daemon, run) == []
    refused(delete, NOT_FOUND)
    send(daemon, project, values, CUTS["rows"], run, step=2)
    assert delete() == 1
    send(daemon, project, -values, CUTS["rows"], run, step=2)


def test_a_fork_has_the_shards_of_its_reports(daemon, run, values):
    send(daemon, project, values, CUTS["rows"], run)
    daemon.reports.Fork(report_pb2.ReportsForkRequest(run=run, step=1, new_run=run + "-fork"),
                        timeout=CALL_SECONDS)
    again = send(daemon, project, values, CUTS["rows"][:1], run + "-fork")[0]
    assert again.shards_present == 4
    refused(lambda: send(daemon, project, -values, CUTS["rows"][:1], run + "-fork"), EXISTS)


def test_compare_sharded_layers(daemon, run, values):
    send(daemon, project, values, CUTS["rows"], run, step=1)
    send(daemon, project, -values, CUTS["columns"], run, step=2)
    found = daemon.reports.Compare(report_pb2.ReportsCompareRequest(
        a=sharded.whole(run, step=1), b=sharded.whole(run, step=2)), timeout=CALL_SECONDS)
    report = get(daemon, run, step=2)
    assert found.codes_differing == report.flips and found.scale_ratio_max == 1


def test_best_effort(start, tmp_path, values):
    daemon = start("--best-effort-ms", "600000")
    answers = send(daemon, project, values, CUTS["rows"], "r",
                   durability=tensor_pb2.BEST_EFFORT)
    assert all(one.stored for one in answers)
    assert [one.shards_present for one in answers] == [1, 2, 3, 4]
    assert get(daemon, "r").elements == values.size


def test_the_command_line_tells_what_waits(daemon, run, values):
    send(daemon, project, values, CUTS["rows"][:3], run)
    shown = cli(daemon, "reports", run, "--waiting")
    assert shown.returncode == 0 and "3 of 4 shards" in shown.stdout
    assert "UNDECIDED: shards_missing" in shown.stdout
    assert "no reports" in cli(daemon, "reports", run).stdout
    one = json.loads(cli(daemon, "reports", run, "up", "--step", "1", "--waiting",
                         "--json").stdout)["reports"]
    assert [(one["shards_present"], one["shards_expected"]) for one in one] == [(3, 4)]
    assert cli(daemon, "reports", "--waiting", "--latest").returncode == 2


def test_json_of_a_layer_that_waits(daemon, run, values):
    send(daemon, project, values, CUTS["rows"][:3], run)
    path = f"http://{daemon.http}/v1/runs/{run}/layers/up?step=1"
    with urllib.request.urlopen(path, timeout=CALL_SECONDS) as reply:
        report = json.load(reply)
    assert (report["shards_present"], report["shards_expected"]) == (3, 4)
    assert report["findings"][0]["kind"] == "shards_missing" and "health" not in report


def test_the_page_of_a_run_tells_what_waits(daemon, run, values):
    project(daemon, values, sharded.whole(run, step=0))
    page = f"http://{daemon.http}/runs/{run}"

    def shown():
        with urllib.request.urlopen(page, timeout=CALL_SECONDS) as reply:
            return reply.read().decode()
    assert "wait for shards" not in shown()
    send(daemon, project, values, CUTS["rows"][:3], run)
    assert "<li>up, step 1: 3 of 4 shards</li>" in shown()
    send(daemon, project, values, CUTS["rows"][3:], run)
    assert "wait for shards" not in shown()
