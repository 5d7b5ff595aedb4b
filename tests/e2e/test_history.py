# SPDX-License-Identifier: Apache-2.0
"""Attempts, replicas, rewind, fork and delete, by grpcio."""
import grpc
import pytest

import claims
from tritd import CALL_SECONDS, refused, report_pb2, tensor_pb2

NOT_FOUND, EXISTS = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.ALREADY_EXISTS
INVALID = grpc.StatusCode.INVALID_ARGUMENT


def file(daemon, values, run, step, layer="up", **fields):
    return claims.verify(daemon, values.tobytes(), values.shape, layer=tensor_pb2.LayerRef(
        run=run, layer=layer, step=step, **fields))


def get(daemon, run, step=None, layer="up", **fields):
    request = report_pb2.ReportsGetRequest(run=run, layer=layer, **fields)
    if step is not None:
        request.step = step
    return daemon.reports.Get(request, timeout=CALL_SECONDS).report


def steps(daemon, run, **fields):
    page = daemon.reports.List(report_pb2.ReportsListRequest(run=run, **fields),
                               timeout=CALL_SECONDS)
    return [(one.layer, one.step, one.attempt) for one in page.reports]


def rewind(daemon, run, step):
    return daemon.reports.Rewind(report_pb2.ReportsRewindRequest(run=run, step=step),
                                 timeout=CALL_SECONDS).attempt


def fork(daemon, run, step, new_run):
    return daemon.reports.Fork(report_pb2.ReportsForkRequest(
        run=run, step=step, new_run=new_run), timeout=CALL_SECONDS).reports


def delete(daemon, run, layer="", **fields):
    return daemon.reports.Delete(report_pb2.ReportsDeleteRequest(
        run=run, layer=layer, **fields), timeout=CALL_SECONDS).reports


@pytest.fixture
def values(random):
    return claims.ternary(random)[0]


@pytest.fixture
def filed(daemon, run, values):
    """Steps 10, 20 and 30 of one layer; every step negates it."""
    for step in (10, 20, 30):
        file(daemon, values * (-1) ** (step // 10), run, step)
    return run


def test_a_first_report_is_of_attempt_1(daemon, run, values):
    report = file(daemon, values, run, 10)
    assert (report.attempt, report.replica, report.superseded) == (1, 0, False)
    assert get(daemon, run, 10) == report


def test_a_step_between_two_is_filed_late(daemon, filed, values):
    """It has no flips, the step after it keeps its own, and it is then a step like others."""
    after = get(daemon, filed, 30)
    late = file(daemon, values, filed, 25)
    assert not late.HasField("previous_step") and late.flips == 0
    assert steps(daemon, filed) == [("up", step, 1) for step in (10, 20, 25, 30)]
    assert get(daemon, filed, 30) == after and after.previous_step == 20
    assert file(daemon, values, filed, 25) == late
    refused(lambda: file(daemon, -values, filed, 25), EXISTS)


def test_rewind_starts_the_next_attempt(daemon, filed, values):
    """Steps after the one that stays are superseded, and readable by their attempt."""
    assert rewind(daemon, filed, 20) == 2
    assert steps(daemon, filed) == [("up", 10, 1), ("up", 20, 1)]
    refused(lambda: get(daemon, filed, 30), NOT_FOUND, 30)
    old = get(daemon, filed, 30, attempt=1)
    assert old.superseded and old.attempt == 1
    again = file(daemon, -values, filed, 30)
    assert again.attempt == 2 and again.previous_step == 20
    assert again.flips == again.elements - again.zeros
    assert steps(daemon, filed) == [("up", 10, 1), ("up", 20, 1), ("up", 30, 2)]
    assert get(daemon, filed, 30).digest == again.digest
    assert get(daemon, filed, 30, attempt=1) == old


def test_an_attempt_can_be_started_by_a_report(daemon, filed, values):
    report = file(daemon, values, filed, 20, attempt=2)
    assert report.attempt == 2 and report.previous_step == 10
    refused(lambda: file(daemon, values, filed, 40, attempt=1),
            grpc.StatusCode.FAILED_PRECONDITION, "attempt")
    refused(lambda: file(daemon, values, filed, 40, attempt=9), INVALID, "attempt")


def test_replicas_are_apart(daemon, run, values):
    file(daemon, values, run, 10)
    other = file(daemon, values, run, 10, replica=3)
    assert other.replica == 3
    assert get(daemon, run, 10).replica == 0
    assert get(daemon, run, 10, replica=3) == other
    assert len(steps(daemon, run)) == len(steps(daemon, run, replica=3)) == 1
    assert steps(daemon, run, replica=1) == []


def test_pages_of_an_attempt_and_a_replica(daemon, run, values):
    for step in range(5):
        file(daemon, values, run, step, replica=2)
    rewind(daemon, run, 1)
    request = report_pb2.ReportsListRequest(run=run, attempt=1, replica=2, page_size=2)
    found = []
    while True:
        page = daemon.reports.List(request, timeout=CALL_SECONDS)
        found += [one.step for one in page.reports]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert found == [0, 1, 2, 3, 4]


def test_fork_copies_the_reports_up_to_a_step(daemon, filed, values):
    new = filed + " fork"
    assert fork(daemon, filed, 20, new) == 2
    assert steps(daemon, new) == [("up", 10, 1), ("up", 20, 1)]
    assert get(daemon, new, 20).digest == get(daemon, filed, 20).digest
    assert steps(daemon, filed)[-1] == ("up", 30, 1)
    report = file(daemon, -values, new, 25)
    assert report.previous_step == 20 and report.flips == report.elements - report.zeros
    refused(lambda: fork(daemon, filed, 20, new), EXISTS, new)


def test_delete(daemon, filed, values):
    file(daemon, values, filed, 10, layer="down")
    assert delete(daemon, filed, "up", step_from=10, step_to=20) == 2
    assert steps(daemon, filed) == [("down", 10, 1), ("up", 30, 1)]
    assert delete(daemon, filed, "down") == 1
    assert delete(daemon, filed) == 1
    refused(lambda: steps(daemon, filed), NOT_FOUND, filed)
    refused(lambda: delete(daemon, filed), NOT_FOUND, filed)
    assert file(daemon, values, filed, 1).attempt == 1


def test_what_is_missing_is_named(daemon, filed, run):
    refused(lambda: rewind(daemon, "no such run", 1), NOT_FOUND, "no such run")
    refused(lambda: fork(daemon, "no such run", 1, "new"), NOT_FOUND, "no such run")
    refused(lambda: delete(daemon, "no such run"), NOT_FOUND, "no such run")
    refused(lambda: delete(daemon, filed, "no such layer"), NOT_FOUND, "no such layer")


@pytest.mark.parametrize("bad", ["", "a\nb", "x" * 256])
def test_a_bad_name_is_refused(daemon, bad):
    refused(lambda: rewind(daemon, bad, 1), INVALID, "run")
    refused(lambda: fork(daemon, bad, 1, "new"), INVALID, "run")
    refused(lambda: fork(daemon, "r", 1, bad), INVALID, "new_run")
    refused(lambda: delete(daemon, bad), INVALID, "run")


def test_bad_steps_are_refused(daemon, filed):
    refused(lambda: rewind(daemon, filed, 2**63), INVALID, "step")
    refused(lambda: rewind(daemon, filed, 2**63 - 1), INVALID, "step", "the last one")
    refused(lambda: fork(daemon, filed, 2**63, "new"), INVALID, "step")
    refused(lambda: delete(daemon, filed, step_from=3, step_to=2), INVALID, "step_from")


def test_changes_survive_a_restart(start, run, values):
    own = start()
    for step in (1, 2, 3):
        file(own, values, run, step)
    assert rewind(own, run, 1) == 2 and fork(own, run, 1, "f") == 1
    assert delete(own, run, step_from=3) == 1
    own.stop()
    own = start()
    assert steps(own, run) == [("up", 1, 1)] and steps(own, "f") == [("up", 1, 1)]
    assert get(own, run, 2, attempt=1).superseded
