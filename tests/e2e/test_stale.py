# SPDX-License-Identifier: Apache-2.0
"""A layer that has stopped reporting is told to be stale wherever health is told. The daemon's
wall clock is moved ahead, so that no test waits."""
import json
import os
import urllib.request

import numpy as np
import pytest

import schemas
from failing import LIBRARY
from test_run_health import get_json, listed, samples, wait_for
from test_web_events import Stream
from training import file_step
from tritd import CALL_SECONDS, VARIANT, Daemon, cli, report_pb2

pytestmark = pytest.mark.skipif(
    VARIANT not in ("release", "cov"),
    reason="a library that is loaded first disturbs sanitizers and emulators")

RUN, GONE, ON = "trained", "layers.0.gone", "layers.1.on"
STEPS = 10


class Clock:
    """Of a daemon: ahead by the size of a file."""

    def __init__(self, path):
        self.path = path
        path.touch()

    def ahead(self, seconds):
        os.truncate(self.path, seconds)


def file_both(daemon, step, names=(GONE, ON)):
    values = np.random.default_rng(step).standard_normal((len(names), 256, 16))
    file_step(daemon, RUN, names, step, values)


@pytest.fixture(scope="module")
def clock(tmp_path_factory):
    return Clock(tmp_path_factory.mktemp("clock") / "clock")


@pytest.fixture(scope="module")
def events():
    return {}


@pytest.fixture(scope="module")
def server(tmp_path_factory, clock, events):
    """Both layers report for some steps. Ten minutes later only one of them goes on. A watch and
    a page were there all the time."""
    daemon = Daemon(tmp_path_factory.mktemp("stale"),
                    env={"LD_PRELOAD": str(LIBRARY), "FAILING_CLOCK": str(clock.path)})
    for step in range(STEPS):
        file_both(daemon, step)
    events["watch"] = daemon.reports.Watch(report_pb2.ReportsWatchRequest(run=RUN),
                                           timeout=CALL_SECONDS)
    events["began"] = dict(events["watch"].initial_metadata())["trit-cursor"]
    events["page"] = Stream(daemon)
    clock.ahead(600)
    file_both(daemon, STEPS, [ON])
    yield daemon
    events["watch"].cancel()
    events["page"].close()
    assert daemon.stop() == 0, daemon.log()[-2000:]


def reasons(report):
    return {reason.rule: reason for reason in report.health_reasons}


def check_gone(report):
    assert (report.layer, report.step, report.health) == (GONE, STEPS - 1, "warning")
    reason = reasons(report)["stale"]
    assert reason.since_step == STEPS - 1 and reason.severity == "warning"
    assert 540 < reason.value and reason.threshold == 60 and "no report for" in reason.text


@pytest.fixture(scope="module")
def told(server, events):
    """What the watch was told: the report that was filed, and then the layer that is stale."""
    return [next(events["watch"]), next(events["watch"])]


def test_watch_tells_it_when_it_happens(told):
    filed, stale = told
    assert (filed.report.layer, filed.report.step) == (ON, STEPS)
    check_gone(stale.report)
    assert stale.cursor.startswith(filed.cursor + "@")


def watched(daemon, cursor, count):
    """Layers and steps of the next responses, and the last cursor."""
    call = daemon.reports.Watch(report_pb2.ReportsWatchRequest(run=RUN, cursor=cursor),
                                timeout=CALL_SECONDS)
    found = [next(call) for _ in range(count)]
    call.cancel()
    return [(one.report.layer, one.report.step) for one in found], found[-1].cursor


def test_a_cursor_goes_on_behind_what_was_told(server, events, told):
    """The watch said where it began: a client that was lost before the first report goes on
    there."""
    file_both(server, STEPS + 1, [ON])
    assert watched(server, told[1].cursor, 1)[0] == [(ON, STEPS + 1)]
    missed = [(ON, STEPS), (ON, STEPS + 1), (GONE, STEPS - 1)]
    assert watched(server, events["began"], 3)[0] == missed
    assert watched(server, "0", 2 * STEPS + 3)[0][-3:] == missed


def test_get_and_list(server):
    check_gone(server.reports.Get(report_pb2.ReportsGetRequest(run=RUN, layer=GONE),
                                  timeout=CALL_SECONDS).report)
    newest = listed(server, run=RUN, latest_only=True)
    check_gone(newest[0])
    assert [report.health for report in newest] == ["warning", "healthy"]
    old = listed(server, run=RUN, layer=GONE)
    assert [report.health for report in old] == ["healthy"] * (STEPS - 1) + ["warning"]


def test_json(server):
    layer = get_json(server, f"/v1/runs/{RUN}/layers/{GONE}")
    assert layer["health"] == "warning" and layer["health_reasons"][0]["rule"] == "stale"
    layers = get_json(server, f"/v1/runs/{RUN}/layers")["layers"]
    assert [one["health"] for one in layers] == ["warning", "healthy"]
    unwell = get_json(server, f"/v1/runs/{RUN}/layers?health=warning")["layers"]
    assert [one["layer"] for one in unwell] == [GONE]
    steps = get_json(server, f"/v1/runs/{RUN}/layers/{GONE}?from=0")["reports"]
    assert [one["health"] for one in steps][-2:] == ["healthy", "warning"]
    run = get_json(server, f"/v1/runs/{RUN}")
    assert run["health"] == "warning" and run["layers_by_health"]["warning"] == "1"
    history = get_json(server, f"/v1/runs/{RUN}/history")["layers"]
    assert [one["health"] for one in history] == ["warning", "healthy"]
    history = get_json(server, f"/v1/runs/{RUN}/history?to={STEPS - 2}")["layers"]
    assert [one["health"] for one in history] == ["healthy", "healthy"]


def page(daemon, path):
    with urllib.request.urlopen(f"http://{daemon.http}{path}", timeout=CALL_SECONDS) as reply:
        return reply.read().decode()


def test_pages(server):
    text = page(server, f"/runs/{RUN}")
    changes = text[text.index("What changed"):text.index("</ol>")]
    assert GONE in changes and "no report for" in changes and ON not in changes
    layer = page(server, f"/runs/{RUN}/layers/{GONE}")
    assert "no report for" in layer[:layer.index("Over the steps")]
    assert "no report for" not in page(server, f"/runs/{RUN}/layers/{ON}")
    assert "warning" in page(server, "/").partition("<tbody>")[2]


def test_a_page_is_told_to_read_again(server, events, told):
    """A page is told when a report was filed and when a layer became stale; both may come as one
    event."""
    while events["page"].event().get("event") != "reports":
        pass
    wait_for(lambda: samples(server, "tritd_stale_checks_total")[0][1] == 1)


def test_metrics(server):
    wait_for(lambda: {labels["health"]: value
                      for labels, value in samples(server, "tritd_run_layers")} ==
             {"healthy": 1, "warning": 1, "failing": 0})


def test_the_command_line(server):
    out = cli(server, "reports", "show", RUN, GONE).stdout
    assert "warning: stale since step 9: no report for" in out
    layers = schemas.read(cli(server, "reports", RUN, "--json").stdout)
    assert {one["layer"]: one["health"] for one in layers["reports"]} == {
        GONE: "warning", ON: "healthy"}


def test_a_report_ends_it_until_the_next_time(server, clock, told):
    """The cursor of a report goes on with what became stale since then."""
    file_both(server, STEPS + 1, [ON])  # again, or for the first time if this test runs alone
    file_both(server, STEPS + 2)
    assert {report.health for report in listed(server, run=RUN, latest_only=True)} == {"healthy"}
    assert get_json(server, f"/v1/runs/{RUN}")["health"] == "healthy"
    last = watched(server, told[1].cursor, 3)[1]
    clock.ahead(700)
    assert watched(server, last, 2)[0] == [(GONE, STEPS + 2), (ON, STEPS + 2)]
    text = page(server, f"/runs/{RUN}")
    changes = text[text.index("What changed"):text.index("</ol>")]
    assert changes.count("<li>") == 1 and "all 2 layers have stopped reporting" in changes
