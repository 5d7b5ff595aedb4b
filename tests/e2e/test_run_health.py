# SPDX-License-Identifier: Apache-2.0
"""Of 24 layers and 200 steps, exactly the three sick layers are named, with the step at which
each began, wherever health is told. Healthy training raises nothing."""
import json
import math
import re
import time
import urllib.parse
import urllib.request

import grpc
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from training import file_step, latents
from tritd import CALL_SECONDS, Daemon, refused, report_pb2, report_pb2_grpc

List, Watch = report_pb2.ReportsListRequest, report_pb2.ReportsWatchRequest
LAYERS, STEPS = 24, 200
NAMES = [f"layers.{i}.up" for i in range(LAYERS)]
# The rule that must name the layer, and the step where that begins.
SICK = {NAMES[5]: ("dead_groups", 120), NAMES[11]: ("scale_drift", 150),
        NAMES[17]: ("non_finite", 163)}


def make_sick(step, values):
    if step >= SICK[NAMES[5]][1]:
        values[5, :238] = 0
    if step >= SICK[NAMES[11]][1]:
        values[11] *= 10
    if step >= SICK[NAMES[17]][1]:
        values[17, 3, 7] = np.nan


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Tests may run long after the last report: no layer may become stale meanwhile."""
    daemon = Daemon(tmp_path_factory.mktemp("health"), "--health-rule", "stale.warning=off")
    yield daemon
    assert daemon.stop() == 0, daemon.log()[-2000:]


@pytest.fixture(scope="module")
def sick(server):
    random = np.random.default_rng(14)
    for step, values in latents(random, LAYERS, STEPS, lambda step: 0.02):
        make_sick(step, values)
        file_step(server, "sick", NAMES, step, values)
    return server


def schedule(step):
    """Warm-up, two drops to a tenth, and annealing to zero."""
    rate = 0.1 * min(1, step / 20)
    for drop in (60, 110):
        rate *= 0.1 if step >= drop else 1
    return rate * (1 + math.cos(math.pi * step / STEPS)) / 2


@pytest.fixture(scope="module")
def healthy(server):
    """Scales of different layers grow, shrink and stay; one layer always had half of its
    weights at zero."""
    random = np.random.default_rng(41)
    names = [f"layer {i}" for i in range(6)]
    for step, values in latents(random, len(names), STEPS, schedule):
        progress = step / STEPS
        values[1] *= 1 + progress
        values[2] *= 1 - 0.5 * progress
        values[3, :, ::2] = 0
        values[4, :int(10 * progress)] = 0
        file_step(server, "healthy", names, step, values)
    return server


def listed(daemon, **fields):
    found, query = [], List(**fields)
    while True:
        page = daemon.reports.List(query, timeout=CALL_SECONDS)
        found += page.reports
        if not page.next_page_token:
            return found
        query.page_token = page.next_page_token


def named(reports):
    """Layer -> rule -> since_step, of those that are not healthy."""
    return {r.layer: {reason.rule: reason.since_step for reason in r.health_reasons}
            for r in reports if r.health != "healthy"}


def check_named(found):
    assert set(found) == set(SICK)
    for layer, (rule, since) in SICK.items():
        assert found[layer][rule] == since, (layer, found[layer])
        assert set(found[layer].values()) == {since}, (layer, found[layer])


def get_json(daemon, path):
    with urllib.request.urlopen(f"http://{daemon.http}{path}", timeout=CALL_SECONDS) as reply:
        return json.load(reply)


def test_the_list_names_exactly_the_sick_layers(sick):
    newest = listed(sick, run="sick", latest_only=True)
    assert len(newest) == LAYERS
    check_named(named(newest))
    assert {r.layer: r.health for r in newest if r.layer in SICK} == dict.fromkeys(SICK, "failing")


def test_every_report_before_is_healthy(sick):
    for report in listed(sick, run="sick", page_size=1000):
        begins = SICK.get(report.layer, ("", STEPS))[1]
        assert (report.health != "healthy") == (report.step >= begins), report


def test_get_has_the_reasons(sick):
    for layer, (rule, since) in SICK.items():
        report = sick.reports.Get(report_pb2.ReportsGetRequest(run="sick", layer=layer),
                                  timeout=CALL_SECONDS).report
        reason = next(r for r in report.health_reasons if r.rule == rule)
        assert reason.since_step == since and reason.severity == "failing" and reason.text
        assert reason.value > reason.threshold or rule == "non_finite"


def test_http_has_the_reasons(sick):
    for layer in NAMES:
        report = get_json(sick, f"/v1/runs/sick/layers/{urllib.parse.quote(layer)}")
        if layer not in SICK:
            assert report["health"] == "healthy" and report["health_reasons"] == []
            continue
        rule, since = SICK[layer]
        assert report["health"] == "failing"
        assert int(next(r for r in report["health_reasons"]
                        if r["rule"] == rule)["since_step"]) == since


def test_the_json_of_the_run_counts_exactly_the_sick_layers(sick):
    run = get_json(sick, "/v1/runs/sick")
    assert run["health"] == "failing" and run["layers_by_health"] == {
        "healthy": str(LAYERS - 3), "warning": "0", "failing": "3", "unknown": "0"}
    layers = get_json(sick, "/v1/runs/sick/history?every=100")["layers"]
    assert {one["layer"] for one in layers if one["health"] != "healthy"} == set(SICK)


def test_the_page_names_exactly_the_sick_layers(sick):
    """The list of what changed, and the map, where a row has the step since when."""
    with urllib.request.urlopen(f"http://{sick.http}/runs/sick", timeout=CALL_SECONDS) as reply:
        page = reply.read().decode()
    changes = page[page.index('<ol class="changes">'):page.index("</ol>")]
    found = re.findall(r'badge (\w+)".*?since step (\d+)</span> <a href="[^"]*">([^<]*)</a>', changes)
    assert changes.count("<li>") == 3
    assert {layer: int(since) for _, since, layer in found} == {
        layer: since for layer, (_, since) in SICK.items()}
    assert {colour for colour, _, _ in found} == {"bad"}
    rows = page[page.index("<tbody>"):].split("<tr>")[1:]
    assert len(rows) == LAYERS
    for number, row in enumerate(rows):
        assert ("badge good" not in row) == (number < 3), row


def samples(daemon, name):
    with urllib.request.urlopen(f"http://{daemon.http}/metrics", timeout=CALL_SECONDS) as reply:
        text = reply.read().decode()
    return [(sample.labels, sample.value) for family in text_string_to_metric_families(text)
            for sample in family.samples if sample.name == name]


def wait_for(condition):
    deadline = time.monotonic() + CALL_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_metrics_count_layers_by_health(sick):
    def layers():
        return {labels["health"]: value for labels, value in samples(sick, "tritd_run_layers")
                if labels["run"] == "sick"}
    wait_for(lambda: layers() == {"healthy": LAYERS - 3, "warning": 0, "failing": 3})
    worst = {labels["value"]: value for labels, value in samples(sick, "tritd_run_worst")
             if labels["run"] == "sick"}
    assert worst["zero_group_fraction"] == pytest.approx(238 / 256)
    # The dead layer's mean scale fell to 18 of 256 of what it was.
    assert worst["scale_drift"] == pytest.approx(18 / 256, rel=0.2)
    assert worst["non_finite"] == 1
    ages = [value for labels, value in samples(sick, "tritd_run_report_age_seconds")
            if labels["run"] == "sick"]
    assert len(ages) == 1 and ages[0] >= 0


def watched(daemon, count, **fields):
    """The next responses of a watch."""
    call = daemon.reports.Watch(Watch(**fields), timeout=CALL_SECONDS)
    found = [next(call) for _ in range(count)]
    call.cancel()
    return found


def test_watch_gives_the_history_in_order_of_filing(sick):
    responses = watched(sick, LAYERS * STEPS, run="sick", cursor="0")
    cursors = [int(response.cursor) for response in responses]
    assert cursors == sorted(set(cursors))
    assert all(response.report.run == "sick" for response in responses)
    steps = [response.report.step for response in responses]
    assert steps == sorted(steps)
    first = {}
    for response in responses:
        if response.report.health != "healthy":
            first.setdefault(response.report.layer, response.report.step)
    assert first == {layer: since for layer, (_, since) in SICK.items()}
    check_named(named([r.report for r in responses if r.report.step == STEPS - 1]))


def test_healthy_training_raises_nothing(healthy):
    assert named(listed(healthy, run="healthy", page_size=1000)) == {}


# ---- Watch itself ------------------------------------------------------------------------

def filed(daemon, run, step, layer="up"):
    random = np.random.default_rng(step)
    values = random.standard_normal((1, 2, 16))
    return file_step(daemon, run, [layer], step, values)[0]


def test_a_watch_is_resumed_by_its_cursor(server, run):
    for step in range(5):
        filed(server, run, step)
    first = watched(server, 2, run=run, cursor="0")
    rest = watched(server, 3, run=run, cursor=first[-1].cursor)
    assert [r.report.step for r in first + rest] == [0, 1, 2, 3, 4]


def test_a_watch_without_a_cursor_begins_with_the_next_report(server, run):
    filed(server, run, 1)
    call = server.reports.Watch(Watch(run=run), timeout=CALL_SECONDS)
    call.initial_metadata()  # it has begun
    filed(server, run + " of others", 2)
    report = filed(server, run, 3)
    assert next(call).report == report
    filed(server, run, 4)
    assert next(call).report.step == 4
    call.cancel()


def test_a_watch_of_all_runs(server, run):
    call = server.reports.Watch(Watch(), timeout=CALL_SECONDS)
    call.initial_metadata()
    for name in (run, run + " 2"):
        filed(server, name, 1)
    assert {next(call).report.run for _ in range(2)} == {run, run + " 2"}
    call.cancel()


def test_a_wrong_cursor_is_refused(server):
    for cursor in ("x", "-1", "1 ", "9" * 30):
        refused(lambda: next(server.reports.Watch(Watch(cursor=cursor), timeout=CALL_SECONDS)),
                grpc.StatusCode.INVALID_ARGUMENT, "cursor")


def test_watches_have_a_bound(server):
    calls = [server.reports.Watch(Watch(), timeout=CALL_SECONDS) for _ in range(16)]
    for call in calls:
        call.initial_metadata()
    refused(lambda: next(server.reports.Watch(Watch(), timeout=CALL_SECONDS)),
            grpc.StatusCode.RESOURCE_EXHAUSTED, "16 on a connection")
    assert ({"limit": "report_watches"}, 1) in samples(server, "tritd_limit_refusals_total")
    assert samples(server, "tritd_report_watches")[0][1] == 16
    for call in calls:
        call.cancel()
    wait_for(lambda: samples(server, "tritd_report_watches")[0][1] == 0)


def test_a_watcher_that_does_not_read_holds_little(start, run):
    """The daemon reads reports for it as it takes them, and goes on when it does."""
    daemon = start()
    for step in range(300):
        filed(daemon, run, step)
    channel = daemon.connect()
    call = report_pb2_grpc.ReportsStub(channel).Watch(Watch(run=run, cursor="0"),
                                                      timeout=CALL_SECONDS)
    assert next(call).report.step == 0
    for step in range(300, 320):
        filed(daemon, run, step)
    assert [next(call).report.step for _ in range(319)] == list(range(1, 320))
    call.cancel()
    channel.close()


def test_a_cursor_outlives_the_daemon(tmp_path, run):
    folder = tmp_path / "kept"
    daemon = Daemon(folder)
    filed(daemon, run, 1)
    filed(daemon, run, 2)
    cursor = watched(daemon, 1, run=run, cursor="0")[0].cursor
    assert daemon.stop() == 0
    daemon = Daemon(folder)
    filed(daemon, run, 3)
    assert [r.report.step for r in watched(daemon, 2, run=run, cursor=cursor)] == [2, 3]
    assert daemon.stop() == 0


def test_a_drain_ends_a_watch(tmp_path, run):
    daemon = Daemon(tmp_path / "drained")
    call = daemon.reports.Watch(Watch(run=run), timeout=CALL_SECONDS)
    call.initial_metadata()
    daemon.process.terminate()
    refused(lambda: next(call), grpc.StatusCode.UNAVAILABLE, "draining")
    assert daemon.stop() == 0


# ---- settings ----------------------------------------------------------------------------

def test_thresholds_can_be_set(start, run):
    daemon = start("--health-rule", "dead_layer.warning=off,dead_layer.failing=0.25")
    values = np.random.default_rng(1).standard_normal((1, 4, 16))
    values[0, :2] = 0
    report = file_step(daemon, run, ["up"], 1, values)[0]
    assert report.health == "failing" and report.health_reasons[0].threshold == 0.25


def test_metrics_show_the_newest_runs(start):
    """Metrics show the newest runs, also after one of them was deleted."""
    daemon = start("--metrics-runs-max", 2)
    for i in range(4):
        filed(daemon, f"run {i}", 1)
    wait_for(lambda: samples(daemon, "tritd_runs_left_out")[0][1] == 2)

    def shown():
        return {labels["run"] for labels, _ in samples(daemon, "tritd_run_layers")}
    assert shown() == {"run 2", "run 3"}
    daemon.reports.Delete(report_pb2.ReportsDeleteRequest(run="run 3"), timeout=CALL_SECONDS)
    wait_for(lambda: shown() == {"run 1", "run 2"})
