# SPDX-License-Identifier: Apache-2.0
"""A row of a layer or run that cannot be made again is named in lists, sums and pages, beside all
others; so is a damaged report on the page of its layer."""
import json
import sqlite3

import grpc
import pytest

from test_damaged_reports import damaged, damage, file_all, keys, list_reports  # noqa: F401
from test_web_json import ask, get
from tritd import cli, refused

LOSE_LAYER = """DELETE FROM pasts WHERE layer = 'a';
UPDATE layers SET reports = 9, crc = 1 WHERE layer = 'a'"""
LOSE_RUN = "UPDATE runs SET attempts = x'00', crc = 1"


def spoil(own, script):
    assert own.stop() == 0
    database = sqlite3.connect(own.folder / "data" / "reports.sqlite")
    database.executescript(script)
    database.commit()
    database.close()


@pytest.fixture
def lost(start, random):
    """Layers a, b and c with three reports each; the row of a is damaged for good."""
    own = start()
    file_all(own, random)
    spoil(own, LOSE_LAYER)
    return start()


def test_the_layer_is_named_in_lists_over_rpc(lost):
    found = list_reports(lost, latest_only=True, beside_damage=True)
    assert keys(found.reports) == [("b", 30), ("c", 30)] and keys(found.damaged) == [("a", 30)]
    found = list_reports(lost, beside_damage=True)
    assert len(found.reports) == 6 and keys(found.damaged) == [("a", 30)]
    found = list_reports(lost, layer="a", beside_damage=True, step_to=25)
    assert keys(found.reports) == [] and keys(found.damaged) == [("a", 20)]
    refused(lambda: list_reports(lost), grpc.StatusCode.DATA_LOSS, 'layers of run "r"')


def test_trit_tells_of_the_layer_and_fails(lost):
    done = cli(lost, "reports", "r", "--latest", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 3 and len(found["reports"]) == 2, done
    assert found["damaged"] == [{"run": "r", "layer": "a", "step": "30", "attempt": 1, "replica": 0}]


def test_json_names_the_layer(lost):
    found = get(lost, "/v1/runs/r/layers", "http-layers")
    assert [one["layer"] for one in found["layers"]] == ["b", "c"]
    assert found["damaged"] == [{"layer": "a", "step": "30"}]
    found = get(lost, "/v1/runs/r/layers/a?from=0", "http-history")
    assert found["reports"] == [] and found["damaged"] == [{"layer": "a", "step": "30"}]
    for fields in ("zero_fraction", "zeros"):
        found = get(lost, f"/v1/runs/r/history?fields={fields}", "http-run-history")
        marks = {one["layer"]: one.get("damaged") for one in found["layers"]}
        assert marks == {"a": ["30"], "b": None, "c": None}, fields


def test_sums_count_the_layer_and_are_null_where_they_are_not_known(lost):
    """No figure stands for what could not be read."""
    (run,) = get(lost, "/v1/runs", "http-runs")["runs"]
    assert run == {"run": "r", "layers": "3", "reports": None, "step_min": None, "step_max": None,
                   "time_unix_ns": None, "damaged": "1"}
    found = get(lost, "/v1/runs/r", "http-run")
    assert found["layers"] == "3" and found["damaged"] == "1" and found["reports"] is None
    assert found["health"] == "warning" and found["layers_by_health"]["warning"] == "1"


def test_pages_show_what_is_whole_and_name_the_damage(lost):
    for path in ("/", "/runs/r", "/compare?a=r&b=r", "/runs/r/layers/a"):
        status, _, body = ask(lost, path)
        assert status == 200 and b"damaged" in body, path
    status, _, body = ask(lost, "/runs/r/layers/a")
    assert b"layer &quot;a&quot; of run &quot;r&quot;" in body
    assert ask(lost, "/runs/r/layers/b")[0] == 200


def test_a_damaged_row_of_a_run_hides_no_other_run(start, random):
    own = start()
    file_all(own, random)
    spoil(own, LOSE_RUN)
    own = start()
    (run,) = get(own, "/v1/runs", "http-runs")["runs"]
    assert run["run"] == "r" and run["damaged"] == "3" and run["reports"] is None
    status, _, body = ask(own, "/")
    assert status == 200 and b"not known: damaged" in body
    assert get(own, "/v1/runs/r", "http-error", 500)


@pytest.mark.parametrize("query", ["", "?step=30"])
def test_the_page_of_a_layer_whose_shown_report_is_damaged_has_the_others(damaged, query):  # noqa: F811
    """Its plots and its table have them; the damage is named, and in the table, too."""
    status, _, body = ask(damaged, "/runs/r/layers/a" + query)
    assert status == 200
    assert b"report of run &quot;r&quot;, layer &quot;a&quot;, step 30" in body
    assert b'href="?step=20">20</a>' in body and b'href="?step=10">10</a>' in body
    assert b'class="num">30</th><td colspan="8">damaged' in body
    assert b"Over the steps" in body and b"Figures of step" not in body
    assert get(damaged, "/v1/runs/r/layers/a", "http-error", 500)


def test_the_page_of_a_layer_has_its_report_where_an_older_one_is_damaged(damaged):  # noqa: F811
    status, _, body = ask(damaged, "/runs/r/layers/b")
    assert status == 200 and b"Figures of step 30" in body
    assert b'class="num">20</th><td colspan="8">damaged' in body
    assert ask(damaged, "/runs/r/layers/b?step=20")[0] == 200
    assert ask(damaged, "/runs/r/layers/b?step=25")[0] == 404
    assert ask(damaged, "/runs/r/layers/none")[0] == 404


def test_json_says_that_a_report_is_stored_as_rpc_does(start, random):
    own = start()
    file_all(own, random)
    whole = get(own, "/v1/runs/r/layers", "http-layers")["layers"]
    whole += get(own, "/v1/runs/r/layers/a?from=0", "http-history")["reports"]
    whole.append(get(own, "/v1/runs/r/layers/a", "http-layer"))
    assert all(one["stored"] is True for one in whole)
    assert all(one.stored for one in list_reports(own).reports)
