# SPDX-License-Identifier: Apache-2.0
"""The HTTP server with curl: health, metrics, runs and layers as JSON, pages."""
import json
import subprocess
import urllib.parse

import grpc
import numpy as np
import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families)
from prometheus_client.parser import text_string_to_metric_families

import reference as ref
import schemas
from tritd import CALL_SECONDS, cli, refused, report_pb2, tensor_pb2

LAYER = "block 1/up%"


def curl(daemon, path, *words):
    """Status, content type and body."""
    done = subprocess.run(["curl", "-sS", "--path-as-is", "--max-time", str(CALL_SECONDS), *words,
                           "-w", "\n%{http_code} %{content_type}", f"http://{daemon.http}{path}"],
                          stdout=subprocess.PIPE, check=True)
    body, _, tail = done.stdout.decode().rpartition("\n")
    status, _, kind = tail.partition(" ")
    return int(status), kind, body


@pytest.fixture
def filed(daemon, random, run):
    """Three steps of one layer, as the calls reported them."""
    values = random.standard_normal((8, 256))
    return [daemon.ternary.Project(ref.project_request(
        values + step / 10, layer=tensor_pb2.LayerRef(run=run, layer=LAYER, step=step)),
        timeout=CALL_SECONDS).report for step in (1, 2, 3)]


def layer_path(run):
    return f"/v1/runs/{urllib.parse.quote(run, '')}/layers/{urllib.parse.quote(LAYER, '')}"


def get_json(daemon, path):
    status, kind, body = curl(daemon, path)
    assert status == 200 and kind.startswith("application/json"), body
    return schemas.read(body)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
def test_health(daemon, path):
    """A running daemon answers the health paths with 200."""
    assert curl(daemon, path)[0] == 200


def test_the_latest_report_of_a_layer(daemon, run, filed):
    """A layer's path gives its latest report, with the fields of the reply."""
    report = get_json(daemon, layer_path(run))
    last = filed[-1]
    assert (report["run"], report["layer"], report["step"]) == (run, LAYER, 3)
    assert report["shape"] == [8, 256] and report["elements"] == 2048
    for field in ("negatives", "zeros", "positives", "flips", "group_size", "is_ternary",
                  "kernel", "version", "previous_step"):
        assert report[field] == getattr(last, field), field
    assert report["flip_fraction"] == pytest.approx(last.flip_fraction)
    assert report["sqnr_db"] == pytest.approx(last.sqnr_db)
    assert report["zero_fraction"] == pytest.approx(last.zeros / last.elements)
    assert report["transitions"] == list(last.transitions)


def test_one_step_and_a_history(daemon, run, filed):
    """step= selects one report, from= and to= a range."""
    assert get_json(daemon, layer_path(run) + "?step=2")["step"] == 2
    history = get_json(daemon, layer_path(run) + "?from=2&to=3")
    assert [report["step"] for report in history["reports"]] == [2, 3]


def test_runs_and_layers(daemon, run, filed):
    """Runs, and the layers of a run, are listed."""
    assert run in json.dumps(get_json(daemon, "/v1/runs"))
    assert LAYER in json.dumps(get_json(daemon, f"/v1/runs/{urllib.parse.quote(run, '')}/layers"))


@pytest.mark.parametrize("path", ["/none", "/v1/runs/none/layers", "/v1/runs/none/layers/none",
                                  "/v1/none", "/v1/runs/%zz/layers", "/../etc/passwd"])
def test_missing_things_are_a_json_404(daemon, path):
    status, kind, body = curl(daemon, path)
    assert status in (400, 404) and kind.startswith("application/json")
    assert json.loads(body)["error"]
    assert status == 404 or "%zz" in path


def test_a_step_that_is_no_number_is_refused(daemon, run, filed):
    status, kind, body = curl(daemon, layer_path(run) + "?step=two")
    assert status == 400 and "step" in json.loads(body)["error"]["message"]


def test_only_get_and_head(daemon):
    """Methods other than GET and HEAD are refused with 405."""
    assert curl(daemon, "/livez", "-X", "POST", "-d", "x")[0] == 405
    assert curl(daemon, "/livez", "-I")[0] == 200


def test_the_page_lists_runs_and_layers(daemon, run, filed):
    status, kind, body = curl(daemon, "/")
    assert status == 200 and kind.startswith("text/html") and run in body


def metrics(daemon):
    status, kind, body = curl(daemon, "/metrics")
    assert status == 200 and kind.startswith("text/plain")
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
            for line in body.splitlines() if line and not line.startswith("#")}


def test_metrics_count_what_happened(daemon, run, random):
    before = metrics(daemon)
    layer = tensor_pb2.LayerRef(run=run, layer="l", step=1)
    daemon.ternary.Project(ref.project_request(random.standard_normal((8, 256)), layer=layer),
                           timeout=CALL_SECONDS)
    assert curl(daemon, "/v1/runs/no-such-run")[0] == 404
    after = metrics(daemon)
    assert after["tritd_elements_total"] - before["tritd_elements_total"] == 2048
    assert after["tritd_tensor_in_bytes_total"] - before["tritd_tensor_in_bytes_total"] == 8192
    assert after["tritd_memory_budget_bytes"] > 0
    assert any("kernel=" in name or "isa=" in name for name in after)
    missing = 'tritd_http_requests_total{path="/v1/runs/*",code="404"}'
    assert after[missing] - before.get(missing, 0) == 1
    commits = "tritd_store_commit_seconds_count"
    assert after[commits] - before[commits] >= 1
    assert 'tritd_store_commit_seconds_bucket{le="120.0"}' in after
    assert 'tritd_rpc_seconds_bucket{method="/trit.v1.Ternary/Project",le="120.0"}' in after
    assert 0 <= after["tritd_workers_busy"] <= after["tritd_workers"]
    assert {"tritd_store_queued", "tritd_pool_queued"} <= after.keys()


def test_openmetrics_where_asked(daemon):
    """The metrics are OpenMetrics text if the Accept header asks for it."""
    status, kind, body = curl(daemon, "/metrics", "-H",
                              "Accept: application/openmetrics-text; version=1.0.0")
    assert status == 200 and kind.startswith("application/openmetrics-text")
    assert body.rstrip().endswith("# EOF")
    families = {family.name: family for family in openmetrics_families(body)}
    assert families["tritd_rpc_seconds"].unit == "seconds"
    assert families["tritd_memory_budget_bytes"].unit == "bytes"
    assert families["tritd_received_bytes"].type == "counter"


def test_prometheus_reads_the_metrics(daemon):
    """The Prometheus client library reads the plain text, with every family typed."""
    _, _, body = curl(daemon, "/metrics")
    families = list(text_string_to_metric_families(body))
    assert len(families) > 40
    assert all(family.type != "unknown" and family.documentation for family in families)


# ---- findings ---------------------------------------------------------------------------

def test_page_and_json_name_what_was_found(daemon, run, random):
    weight = np.zeros((4, 256), np.float32)
    for layer, values in (("dead", weight), ("sound", random.standard_normal((4, 256)))):
        daemon.ternary.Project(ref.project_request(
            values.astype(np.float32), layer=tensor_pb2.LayerRef(run=run, layer=layer, step=1)),
            timeout=CALL_SECONDS)
    _, _, body = curl(daemon, f"/v1/runs/{run}/layers/dead")
    assert schemas.read(body)["findings"] == [{
        "kind": "dead_layer", "severity": "error", "count": 8,
        "hint": "all weights are 0, so the layer computes nothing"}]
    assert json.loads(curl(daemon, f"/v1/runs/{run}/layers/sound")[2])["findings"] == []
    page = curl(daemon, f"/runs/{run}/layers/dead")[2]
    assert "✗ dead layer" in page and "Findings" in page and "✓" not in page
    page = curl(daemon, f"/runs/{run}/layers/sound")[2]
    assert "✓ pass" in page and "Findings" not in page
    overview = curl(daemon, f"/runs/{run}")[2]
    assert overview.count("✗ dead layer") == 1 and overview.count("✓ pass") == 1


def test_a_deceptive_name_is_escaped_wherever_it_is_shown(start, random, run):
    """A name with a right-to-left override, a zero-width space and an accented letter, in the
    page, JSON, the command line and the log."""
    daemon = start()  # another test's calls could use up the log's limit
    name, shown, as_json = "a\u202eb\u200bc\u00e9", "a\\u{202e}b\\u{200b}c\u00e9", "a\\u202eb\\u200bc\u00e9"
    daemon.ternary.Project(ref.project_request(
        random.standard_normal((2, 128)), layer=tensor_pb2.LayerRef(run=run, layer=name)),
        timeout=CALL_SECONDS)
    path = urllib.parse.quote(run, "")
    page = curl(daemon, f"/runs/{path}")[2]
    assert shown in page and name not in page
    layer = f"{path}/layers/{urllib.parse.quote(name, '')}"
    page = curl(daemon, f"/runs/{layer}")[2]
    assert shown in page and name not in page
    body = curl(daemon, f"/v1/runs/{layer}")[2]
    assert as_json in body and name not in body and json.loads(body)["layer"] == name

    table = cli(daemon, "reports", run)
    assert shown in table.stdout and name not in table.stdout, table.stderr
    listed = cli(daemon, "reports", run, "--json")
    assert as_json in listed.stdout and name not in listed.stdout
    assert json.loads(listed.stdout)["reports"][0]["layer"] == name

    refused(lambda: daemon.reports.Get(report_pb2.ReportsGetRequest(run=run, layer=name + "x"),
                                       timeout=CALL_SECONDS), grpc.StatusCode.NOT_FOUND, name)
    assert as_json + "x" in daemon.log() and name not in daemon.log()


def test_c1_controls_are_refused_in_names(daemon, random, run):
    request = ref.project_request(random.standard_normal((2, 128)),
                                  layer=tensor_pb2.LayerRef(run=run, layer="a\u009bb"))
    refused(lambda: daemon.ternary.Project(request, timeout=CALL_SECONDS),
            grpc.StatusCode.INVALID_ARGUMENT, "layer.layer", "control character")
