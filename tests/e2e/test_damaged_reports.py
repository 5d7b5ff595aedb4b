# SPDX-License-Identifier: Apache-2.0
"""Reports that are damaged in the store are named in lists, beside all others."""
import json
import sqlite3

import grpc
import numpy as np
import pytest

import reference as ref
from held import normal
from test_web_json import ask, get
from tritd import CALL_SECONDS, cli, refused, report_pb2, tensor_pb2

STEPS = (10, 20, 30)


def file_all(own, random):
    for layer in "abc":
        for step in STEPS:
            own.ternary.Project(ref.project_request(
                normal(random, 8, 256), layer=tensor_pb2.LayerRef(run="r", layer=layer, step=step)),
                timeout=CALL_SECONDS)


def damage(own, which, count):
    assert own.stop() == 0
    database = sqlite3.connect(own.folder / "data" / "reports.sqlite")
    changed = database.execute(f"UPDATE reports SET digest = zeroblob(32) WHERE {which}").rowcount
    assert changed == count
    database.commit()
    database.close()


@pytest.fixture
def damaged(start, random):
    """A daemon with layers a, b and c, of which a's newest report is damaged and b's of step 20."""
    own = start()
    file_all(own, random)
    damage(own, "(layer = 'a' AND step = 30) OR (layer = 'b' AND step = 20)", 2)
    return start()


def test_the_layers_of_a_run_are_listed_beside_a_damaged_report(damaged):
    """Its layer has no row, not that of an older report; it is named with its step, also where
    layers are chosen by health."""
    found = get(damaged, "/v1/runs/r/layers", "http-layers")
    assert [(one["layer"], one["step"]) for one in found["layers"]] == [("b", "30"), ("c", "30")]
    assert found["damaged"] == [{"layer": "a", "step": "30"}]
    assert get(damaged, "/v1/runs/r/layers?health=healthy", "http-layers")["damaged"]
    assert "damaged" not in get(damaged, "/v1/runs/r/layers?layer=c", "http-layers")


def test_pages_of_a_list_count_what_is_damaged(damaged):
    """Each layer is on one page."""
    path, names = "/v1/runs/r/layers?limit=1", []
    while path:
        page = get(damaged, path, "http-layers")
        names += [one["layer"] for one in page["layers"] + page.get("damaged", [])]
        path = page["next"]
    assert names == ["a", "b", "c"]


def test_the_history_of_a_layer_is_listed_beside_a_damaged_report(damaged):
    found = get(damaged, "/v1/runs/r/layers/b?from=0", "http-history")
    assert [one["step"] for one in found["reports"]] == ["10", "30"]
    assert found["damaged"] == [{"layer": "b", "step": "20"}]
    first = get(damaged, "/v1/runs/r/layers/b?from=0&limit=2", "http-history")
    rest = get(damaged, first["next"], "http-history")
    assert len(first["reports"]) == len(first["damaged"]) == len(rest["reports"]) == 1


def test_the_sums_of_a_run_count_a_damaged_report_as_a_warning(damaged):
    found = get(damaged, "/v1/runs/r", "http-run")
    assert found["health"] == "warning"
    assert found["layers_by_health"]["warning"] == found["layers_by_verdict"]["inconclusive"] == "1"
    status, _, body = ask(damaged, "/runs/r")
    assert status == 200 and b"damaged in the daemon" in body
    status, _, body = ask(damaged, "/compare?a=r&b=r")
    assert status == 200 and b"not known: damaged" in body


def test_a_damaged_report_itself_is_an_error(damaged):
    """No older one is given in its place."""
    error = get(damaged, "/v1/runs/r/layers/a", "http-error", 500)["error"]
    assert 'layer "a", step 30' in error["message"]


def test_a_list_up_to_a_step_tells_of_damage_after_the_last_report(damaged):
    """The damaged one may have been before that step."""
    found = get(damaged, "/v1/runs/r/layers/a?from=0&to=25", "http-history")
    assert [one["step"] for one in found["reports"]] == ["10", "20"]
    assert found["damaged"] == [{"layer": "a", "step": "25"}]


def test_a_run_that_was_rewound_to_a_damaged_report_hides_nothing(start, random):
    """Lists of runs and their pages answer; the layer is a warning."""
    own = start()
    file_all(own, random)
    own.reports.Rewind(report_pb2.ReportsRewindRequest(run="r", step=20), timeout=CALL_SECONDS)
    damage(own, "layer = 'a' AND step = 20", 1)
    own = start()
    (run,) = get(own, "/v1/runs", "http-runs")["runs"]
    assert run["run"] == "r" and run["step_max"] == "20"
    found = get(own, "/v1/runs/r", "http-run")
    assert found["layers_by_health"]["warning"] == "1" and found["step_max"] == "20"
    assert get(own, "/v1/runs/r/history?fields=zeros", "http-run-history")
    for path in ("/", "/runs/r", "/compare?a=r&b=r"):
        assert ask(own, path)[0] == 200, path
    assert watch(own, "r", "0", 1) == [("a", 10)]


def list_reports(daemon, **more):
    return daemon.reports.List(report_pb2.ReportsListRequest(run="r", **more), timeout=CALL_SECONDS)


def keys(entries):
    return [(one.layer, one.step) for one in entries]


@pytest.mark.parametrize("latest", [False, True])
def test_a_client_that_does_not_ask_for_damage_is_refused(damaged, latest):
    """A client that does not ask for damage gets DATA_LOSS: it would take a shorter list for a
    whole one."""
    refused(lambda: list_reports(damaged, latest_only=latest), grpc.StatusCode.DATA_LOSS, 'layer "a"')


def test_a_client_that_asks_for_damage_is_told_of_it_beside_the_reports(damaged):
    found = list_reports(damaged, latest_only=True, beside_damage=True)
    assert keys(found.reports) == [("b", 30), ("c", 30)]
    assert keys(found.damaged) == [("a", 30)] and found.damaged[0].attempt == 1
    found = list_reports(damaged, beside_damage=True)
    assert keys(found.damaged) == [("a", 30), ("b", 20)] and len(found.reports) == 7


@pytest.mark.parametrize("latest", [False, True])
def test_each_report_is_on_one_page(damaged, latest):
    whole, seen, token = list_reports(damaged, latest_only=latest, beside_damage=True), [], ""
    while True:
        page = list_reports(damaged, latest_only=latest, beside_damage=True, page_size=1,
                            page_token=token)
        assert len(page.reports) + len(page.damaged) == 1
        seen += keys(page.reports) + keys(page.damaged)
        token = page.next_page_token
        if not token:
            break
    assert seen == sorted(keys(whole.reports) + keys(whole.damaged))


def test_trit_lists_reports_beside_damage_and_fails(damaged):
    done = cli(damaged, "reports", "r", "--latest")
    assert done.returncode == 3 and " b " in done.stdout and " a " not in done.stdout, done
    assert 'layer "a": one or more reports up to step 30 are damaged' in done.stderr
    done = cli(damaged, "reports", "r", "--latest", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 3 and len(found["reports"]) == 2, done
    assert found["damaged"] == [{"run": "r", "layer": "a", "step": "30", "attempt": 1, "replica": 0}]
    done = cli(damaged, "reports", "r", "a", "--from", "30")
    assert done.returncode == 3 and done.stdout == "", done
    done = cli(damaged, "reports", "r", "c", "--json")
    assert done.returncode == 0 and "damaged" not in json.loads(done.stdout), done


def watch(daemon, run, cursor, count):
    stream = daemon.reports.Watch(report_pb2.ReportsWatchRequest(run=run, cursor=cursor),
                                  timeout=CALL_SECONDS)
    try:
        return [(one.report.layer, one.report.step) for _, one in zip(range(count), stream)]
    finally:
        stream.cancel()


def test_a_watch_names_a_damaged_report_and_can_go_on_behind_it(damaged):
    """Its message has the cursor for that. A watch of another run does not meet it."""
    assert watch(damaged, "r", "0", 2) == [("a", 10), ("a", 20)]
    refused(lambda: watch(damaged, "r", "0", 3), grpc.StatusCode.DATA_LOSS,
            'filed as number 3: report of run "r", layer "a", step 30')
    assert watch(damaged, "r", "3", 1) == [("b", 10)]
    damaged.ternary.Project(ref.project_request(
        normal(np.random.default_rng(1), 8, 256),
        layer=tensor_pb2.LayerRef(run="other", layer="d", step=1)), timeout=CALL_SECONDS)
    assert watch(damaged, "other", "0", 1) == [("d", 1)]
