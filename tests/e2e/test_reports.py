# SPDX-License-Identifier: Apache-2.0
"""Reports are on disk before the reply, are found again, and are compared with the previous
step."""
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest

import reference as ref
from streams import HalfSent
from tritd import CALL_SECONDS, cli, refused, report_pb2, tensor_pb2, ternary_pb2

Get, List = report_pb2.ReportsGetRequest, report_pb2.ReportsListRequest


def file(daemon, values, run, layer="up", step=0, **options):
    return daemon.ternary.Project(ref.project_request(
        values, layer=tensor_pb2.LayerRef(run=run, layer=layer, step=step), **options),
        timeout=CALL_SECONDS).report


def get(daemon, **fields):
    return daemon.reports.Get(Get(**fields), timeout=CALL_SECONDS).report


def listed(daemon, **fields):
    """Every report of a query, page by page."""
    found, query = [], List(**fields)
    while True:
        page = daemon.reports.List(query, timeout=CALL_SECONDS)
        found += page.reports
        if not page.next_page_token:
            return found
        query.page_token = page.next_page_token


@pytest.fixture
def values(random):
    return random.standard_normal((16, 256)).astype(np.float32)


def test_get_gives_what_the_call_answered(daemon, run, values):
    report = file(daemon, values, run, step=7)
    assert (report.run, report.layer, report.step) == (run, "up", 7)
    assert get(daemon, run=run, layer="up", step=7) == report
    assert get(daemon, run=run, layer="up") == report
    assert not report.HasField("previous_step")


def test_a_verification_is_filed_too(daemon, run, values):
    report = daemon.ternary.Verify(ternary_pb2.VerifyRequest(
        layer=tensor_pb2.LayerRef(run=run, layer="up", step=1), tensor=ref.tensor(values)),
        timeout=CALL_SECONDS).report
    assert get(daemon, run=run, layer="up", step=1) == report and not report.is_ternary


def test_a_stream_is_filed_too(daemon, run, values):
    _, _, report = ref.gather(daemon.ternary.ProjectStream(ref.stream_requests(
        values.tobytes(), values.shape, 1000,
        layer=tensor_pb2.LayerRef(run=run, layer="up", step=1)), timeout=CALL_SECONDS))
    assert get(daemon, run=run, layer="up", step=1) == report


def test_not_found_names_what_is_missing(daemon, run, values):
    file(daemon, values, run, step=3)
    missing = grpc.StatusCode.NOT_FOUND
    refused(lambda: get(daemon, run="no such run", layer="up"), missing, "no such run")
    refused(lambda: get(daemon, run=run, layer="no such layer"), missing, "no such layer")
    refused(lambda: get(daemon, run=run, layer="up", step=4), missing, 4)


def test_flips_are_counted_against_the_step_before(daemon, run, values):
    codes, _ = ref.project(values)
    file(daemon, values, run, step=10)
    changed = values.copy()
    changed.reshape(-1)[::37] *= -1
    after, _ = ref.project(changed)
    report = file(daemon, changed, run, step=20)
    assert report.previous_step == 10
    assert report.flips == (codes != after).sum()
    assert report.flip_fraction == pytest.approx(report.flips / values.size, rel=1e-12)
    table = [((codes == a) & (after == b)).sum() for a in (-1, 0, 1) for b in (-1, 0, 1)]
    assert list(report.transitions) == table
    # A third step is compared with the second.
    assert file(daemon, changed, run, step=30).flips == 0
    assert get(daemon, run=run, layer="up").previous_step == 20


@pytest.mark.parametrize("encoding", [tensor_pb2.ENCODING_INT8, tensor_pb2.ENCODING_PQ2_0])
def test_flips_do_not_depend_on_the_encoding(daemon, run, values, encoding):
    file(daemon, values, run, step=1, encoding=encoding)
    report = file(daemon, -values, run, step=2)
    codes, _ = ref.project(values)
    assert report.flips == (codes != 0).sum() and report.previous_step == 1


def test_another_shape_is_not_compared(daemon, run, values):
    file(daemon, values, run, step=1)
    report = file(daemon, values[:8], run, step=2)
    assert not report.HasField("previous_step") and report.flips == 0


def test_list_pages_in_order_of_run_layer_and_step(daemon, run, values):
    names = [("up", 1), ("up", 2), ("up", 10), ("down", 5), ("down", 1)]
    for layer, step in names:
        file(daemon, values, run, layer, step)
    in_order = sorted(names)
    found = listed(daemon, run=run, page_size=2)
    assert [(r.layer, r.step) for r in found] == in_order
    assert [(r.layer, r.step) for r in listed(daemon, run=run, latest_only=True)] == \
        [("down", 5), ("up", 10)]
    assert [r.step for r in listed(daemon, run=run, layer="up", step_from=2, step_to=9)] == [2]
    assert {r.run for r in listed(daemon, run=run)} == {run}
    everything = [(r.run, r.layer, r.step) for r in listed(daemon)]
    assert everything == sorted(everything)
    assert {(run, *name) for name in names} <= set(everything)


def test_list_refuses_an_unknown_token_and_that_of_another_question(daemon, run, values):
    for step in range(3):
        file(daemon, values, run, step=step)
    token = daemon.reports.List(List(run=run, page_size=1), timeout=CALL_SECONDS).next_page_token
    for query in (List(page_token="gibberish"), List(run=run, page_token=token[:-8]),
                  *(List(page_token=token, **{"run": run, **other}) for other in (
                      {"run": ""}, {"layer": "a"}, {"step_from": 0}, {"step_to": 9}, {"waiting": True},
                      {"latest_only": True}, {"attempt": 1}, {"replica": 1}))):
        refused(lambda: daemon.reports.List(query, timeout=CALL_SECONDS),
                grpc.StatusCode.INVALID_ARGUMENT, "page_token")
    assert len(daemon.reports.List(List(run=run, page_size=9, page_token=token),
                                   timeout=CALL_SECONDS).reports) == 2


def test_list_refuses_a_range_that_ends_before_it_begins(daemon, run):
    refused(lambda: daemon.reports.List(List(run=run, step_from=5, step_to=4), timeout=CALL_SECONDS),
            grpc.StatusCode.INVALID_ARGUMENT, "step_from: 5 is above step_to: 4")


@pytest.mark.parametrize("missing", ("run", "layer", "attempt", "replica"))
def test_a_list_of_what_is_not_there_is_not_found(daemon, run, values, missing):
    """The RPC, HTTP and the command line say the same; a range of steps without reports is empty."""
    file(daemon, values, run, step=3)
    asked = {"run": run, "layer": "up", "attempt": 1, "replica": 0}
    asked[missing] = {"run": run + "x", "layer": "upx", "attempt": 2, "replica": 7}[missing]
    words = str(asked[missing])
    refused(lambda: listed(daemon, **asked), grpc.StatusCode.NOT_FOUND, missing, words)
    done = cli(daemon, "reports", asked["run"], asked["layer"], "--attempt", str(asked["attempt"]),
               "--replica", str(asked["replica"]))
    assert done.returncode == 3 and "NOT_FOUND" in done.stderr and words in done.stderr, done
    for steps in ("", "&from=0&to=9"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"http://{daemon.http}/v1/runs/{asked['run']}/layers/{asked['layer']}"
                                   f"?attempt={asked['attempt']}&replica={asked['replica']}{steps}")
        assert caught.value.code == 404
    if missing == "run":
        refused(lambda: listed(daemon, run=asked["run"]), grpc.StatusCode.NOT_FOUND, words)
    assert not listed(daemon, run=run, layer="up", step_from=4)
    assert [one.step for one in listed(daemon, run=run, step_to=9, latest_only=True)] == [3]


def test_names_may_be_any_text(daemon, run, values):
    layer = "модель/слой №1 %2F?&#"
    report = file(daemon, values, run, layer=layer)
    assert get(daemon, run=run, layer=layer) == report


def test_a_restart_finds_every_report_again(start, values):
    one = start(name="kept")
    filed = [file(one, values + step, "run", step=step) for step in range(5)]
    assert one.stop() == 0
    two = start(name="kept")
    assert listed(two, run="run") == filed
    # The codes of the newest step are kept, too.
    assert file(two, values + 4, "run", step=5).flips == 0


def test_kill_9_loses_no_acknowledged_report(start, values):
    """The daemon is killed between calls, and during a call."""
    filed = []
    for step in range(5):
        own = start(name="killed")
        assert listed(own) == filed
        filed.append(file(own, values + step, "run", step=2 * step))
        filed.append(file(own, values - step, "run", step=2 * step + 1))
        stream = HalfSent(own, tensor_pb2.LayerRef(run="run", layer="lost"))
        own.kill()
        stream.abandon()
    assert listed(start(name="killed"), run="run") == filed
