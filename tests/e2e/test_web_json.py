# SPDX-License-Identifier: Apache-2.0
"""Runs and histories as JSON, entity tags, gzip, and the description of all paths."""
import contextlib
import gzip
import http.client
import json
import re
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
import pytest
from openapi_spec_validator import validate
import jsonschema
import referencing
from referencing.jsonschema import DRAFT202012

import claims
import histories
import reference as ref
import schemas
from tritd import CALL_SECONDS, ROOT, report_pb2, tensor_pb2

LAYERS, STEPS = 9, 12


def ask(daemon, path, **headers):
    """Status, headers and bytes."""
    request = urllib.request.Request(f"http://{daemon.http}{path}", headers={
        name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=CALL_SECONDS) as reply:
            return reply.status, reply.headers, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def get(daemon, path, schema=None, status=200):
    found, _, body = ask(daemon, path)
    assert found == status, body
    value = schemas.parse(body)
    assert schema is None or schemas.errors(schema, value) == []
    return value


@pytest.fixture(scope="module")
def filed(daemon):
    """A run with some layers over steps 10, 20 and so on."""
    histories.file_history(daemon, "web json", LAYERS, STEPS, lambda step: step * 10)
    return "/v1/runs/web%20json"


def test_a_run_has_its_sums(daemon, filed):
    run = get(daemon, filed, "http-run")
    assert (run["run"], run["layers"], run["reports"]) == ("web json", str(LAYERS), str(LAYERS * STEPS))
    assert (run["step_min"], run["step_max"]) == ("10", str(STEPS * 10))
    assert sum(int(count) for count in run["layers_by_health"].values()) == LAYERS
    assert run["layers_by_verdict"] == {"pass": "8", "fail": "1", "inconclusive": "0"}
    get(daemon, "/v1/runs/none", "http-error", 404)


def test_names_that_are_steps_of_a_path_have_links_that_browsers_follow(daemon, random):
    """Of a run "." and a layer "..": no segment of a link is one that a browser would resolve."""
    for step in (1, 2):
        daemon.ternary.Project(ref.project_request(
            random.standard_normal((2, 128)).astype(np.float32),
            layer=tensor_pb2.LayerRef(run=".", layer="..", step=step)), timeout=CALL_SECONDS)
    for path, link in [("/", "/runs/=."), ("/runs/=.", "/runs/=./layers/=.."),
                       ("/runs/=.", "/v1/runs/=./layers"),
                       ("/runs/=./layers/=..", "/v1/runs/=./layers/=..?step=2"),
                       ("/v1/runs/=./layers/=..?from=1&limit=1", "/v1/runs/=./layers/=..?from=2")]:
        status, _, body = ask(daemon, path)
        assert status == 200 and f'"{link}'.encode() in body, (path, body)
    assert get(daemon, "/v1/runs/=./layers/=..?step=2")["layer"] == ".."


def test_a_layer_is_as_bad_as_its_worst_replica(daemon, run):
    """In the run's JSON and on its page, with the reason; its figures are those of the lowest
    replica. A layer that replica 0 never had counts too."""
    for replica, layer in ((0, "a"), (0, "b"), (1, "a"), (2, "b"), (3, "b")):
        weights = np.ones((2, 128)) if (replica, layer) == (2, "b") else np.eye(2, 128)
        daemon.ternary.Project(ref.project_request(weights, layer=tensor_pb2.LayerRef(
            run=run, layer=layer, step=7, replica=replica)), timeout=CALL_SECONDS)
    odd = np.linspace(-1, 1, 128, dtype=np.float32)
    claims.verify(daemon, odd.tobytes(), (1, 128), layer=tensor_pb2.LayerRef(
        run=run, layer="c", step=7, replica=1))
    path = urllib.parse.quote(run)
    found = get(daemon, f"/v1/runs/{path}", "http-run")
    assert found["health"] == "failing" and found["layers_by_health"]["failing"] == "2"
    assert found["layers"] == "3"
    assert found["layers_by_verdict"] == {"pass": "1", "fail": "2", "inconclusive": "0"}
    page = ask(daemon, f"/runs/{path}")[2].decode()
    changes = page[page.index("What changed"):page.index("</ol>")]
    assert changes.count("<li>") == 2 and "replica 2 differs from replica 0" in changes
    rows = page[page.index("</ol>"):]
    assert rows.count("no report of replica 0") == 1 and f"/runs/{path}/layers/c?replica=1" in rows
    only = get(daemon, f"/v1/runs/{path}?replica=1", "http-run")
    assert only["layers_by_verdict"] == {"pass": "1", "fail": "1", "inconclusive": "0"}


def test_a_history_has_one_value_for_each_step_and_field(daemon, filed):
    """The values are those of the reports."""
    found = get(daemon, filed + "/history?fields=zero_fraction,flips,scale_mean,non_finite",
                "http-run-history")
    assert found["run"] == "web json" and found["next"] is None
    assert found["steps"] == [str(step * 10) for step in range(1, STEPS + 1)]
    assert [one["layer"] for one in found["layers"]] == sorted(histories.names(LAYERS))
    for layer in found["layers"]:
        assert set(layer) == {"layer", "health", "zero_fraction", "flips", "scale_mean",
                              "non_finite"}
        reports = get(daemon, f"{filed}/layers/{layer['layer']}?from=0")["reports"]
        for field in ("zero_fraction", "flips", "scale_mean", "non_finite"):
            assert layer[field] == [report[field] for report in reports], field
    sick = next(one for one in found["layers"] if one["layer"] == "layers.2.mlp.down")
    assert set(sick["non_finite"]) == {"0", "1"}


def mean(values):
    return sum(values) / len(values)


@pytest.mark.parametrize("start", [None, 5])
def test_an_interval_of_a_field_is_the_same_whatever_else_is_asked_for(daemon, filed, start):
    """It begins with `from`, or with the run's first step, and counts the reports that have the
    field: summaries and reports say so."""
    rules = {"flip_fraction": mean, "scale_min": min, "non_finite": lambda all: max(all, key=int)}
    for more in ("", ",mse"):
        found = get(daemon, f"{filed}/history?every=40&fields={','.join(rules)}{more}" +
                    ("" if start is None else f"&from={start}"), "http-run-history")
        assert "approximate" not in found
        for layer in found["layers"]:
            reports = get(daemon, f"{filed}/layers/{layer['layer']}?from=0")["reports"]
            for field, rule in rules.items():
                for at, value in zip(found["steps"], layer[field], strict=True):
                    assert (int(at) - (start or 10)) % 40 == 0
                    values = [report[field] for report in reports if report[field] is not None
                              and int(at) <= int(report["step"]) < int(at) + 40]
                    assert value == (rule(values) if field == "non_finite" else
                                     pytest.approx(rule(values), rel=1e-12)), (field, more, at)


def test_a_run_is_told_of_the_attempt_that_was_asked_for(daemon, run):
    """Without an attempt, a run shows the newest attempt and what it goes on from, in the list of
    runs as well. Figures of an attempt without reports are null."""
    def told(query=""):
        found = get(daemon, f"/v1/runs/{run}{query}", "http-run")
        return [found[name] for name in ("attempt", "layers", "reports", "step_min", "step_max")]

    for layer, step in (("a", 10), ("a", 20), ("b", 30)):
        daemon.ternary.Project(ref.project_request(np.eye(2, 128), layer=tensor_pb2.LayerRef(
            run=run, layer=layer, step=step)), timeout=CALL_SECONDS)
    for step, expected in ((20, ["1", "3", "10", "20"]), (5, ["0", "3", None, None])):
        daemon.reports.Rewind(report_pb2.ReportsRewindRequest(run=run, step=step), timeout=CALL_SECONDS)
        assert told()[1:] == expected
        assert told("?attempt=1") == [1, "2", "3", "10", "30"]
        listed = get(daemon, f"/v1/runs?after={run[:-1]}&limit=1", "http-runs")["runs"][0]
        assert [listed[name] for name in ("run", "layers", "step_max")] == [
            run, expected[0], expected[3]]
    empty = get(daemon, f"/v1/runs/{run}?attempt=3", "http-run")
    assert empty["reports"] == "0" and empty["time_unix_ns"] is None
    assert b" ago" not in ask(daemon, f"/runs/{run}?attempt=3")[2]
    history = get(daemon, f"/v1/runs/{run}/history?attempt=1&every=20", "http-run-history")
    assert history["steps"] == ["10", "30"]
    for query in ("?attempt=9", "/layers?attempt=9", "/history?attempt=9", "/history?attempt=9&fields=mse"):
        assert "no attempt 9" in get(daemon, f"/v1/runs/{run}{query}", "http-error", 404)["error"]["message"]
    assert ask(daemon, f"/runs/{run}?attempt=9")[0] == 404 and ask(daemon, f"/runs/{run}")[0] == 200


def test_a_history_has_steps_and_times_that_no_double_holds(daemon, run):
    for step in (2**62 - 1, 2**62 + 1, 2**63 - 1):
        daemon.ternary.Project(ref.project_request(np.eye(2, 128), layer=tensor_pb2.LayerRef(
            run=run, layer="a", step=step)), timeout=CALL_SECONDS)
    layer = get(daemon, f"/v1/runs/{run}/history?fields=previous_step,time_unix_ns",
                "http-run-history")["layers"][0]
    reports = get(daemon, f"/v1/runs/{run}/layers/a?from=0")["reports"]
    for field in ("previous_step", "time_unix_ns"):
        assert layer[field] == [report[field] for report in reports], field
    assert "damaged" not in get(daemon, f"/v1/runs/{run}/history", "http-run-history")["layers"][0]


def test_a_history_has_null_where_a_report_is_missing(daemon, run, random):
    for layer, steps in (("a", (1, 2)), ("b", (2, 3))):
        for step in steps:
            daemon.ternary.Project(ref.project_request(
                random.standard_normal((2, 128)),
                layer=tensor_pb2.LayerRef(run=run, layer=layer, step=step)), timeout=CALL_SECONDS)
    found = get(daemon, f"/v1/runs/{run}/history?fields=zeros", "http-run-history")
    assert found["steps"] == ["1", "2", "3"]
    assert [[value is None for value in layer["zeros"]] for layer in found["layers"]] == [
        [False, False, True], [True, False, False]]


def test_parameters_of_a_history_select_layers_steps_and_fields(daemon, filed):
    assert len(get(daemon, filed + "/history?layer=layers.0.*")["layers"]) == 3
    assert len(get(daemon, filed + "/history?layer=layers.0.mlp.up")["layers"]) == 1
    assert get(daemon, filed + "/history?layer=none")["layers"] == []
    assert get(daemon, filed + "/history?from=20&to=40")["steps"] == ["20", "30", "40"]
    assert len(get(daemon, filed + "/history?from=0&to=120&every=60")["steps"]) <= 3
    assert get(daemon, filed + "/history?fields=&layer=") == get(daemon, filed + "/history")
    for query, words in (("fields=none", "fields"), ("fields=zeros,zeros", "zeros"),
                         ("limit=0", "limit"), ("limit=9999", "limit"), ("every=x", "every"),
                         ("from=3&to=2", "from"), ("fieldss=zeros", "fieldss")):
        error = get(daemon, f"{filed}/history?{query}", "http-error", 400)["error"]
        assert words in error["message"], query
    get(daemon, "/v1/runs/none/history", "http-error", 404)


def test_a_limited_history_goes_on_at_next(daemon, filed):
    path, names = filed + "/history?fields=zeros&limit=4&from=20", []
    while path:
        page = get(daemon, path, "http-run-history")
        assert len(page["layers"]) <= 4 and page["steps"][0] == "20"
        names += [layer["layer"] for layer in page["layers"]]
        path = page["next"]
    assert names == sorted(histories.names(LAYERS))


def test_lists_can_be_limited_and_filtered(daemon, filed):
    path, names = filed + "/layers?limit=2&layer=*.mlp.*", []
    while path:
        page = get(daemon, path, "http-layers")
        assert len(page["layers"]) <= 2
        names += [layer["layer"] for layer in page["layers"]]
        path = page["next"]
    assert names == [name for name in sorted(histories.names(LAYERS)) if "mlp" in name]
    assert len(get(daemon, "/v1/runs?limit=1", "http-runs")["runs"]) == 1
    error = get(daemon, filed + "/layers?health=fine", "http-error", 400)["error"]
    assert "health" in error["message"]


def test_an_entity_tag_saves_what_has_not_changed(daemon, run, random):
    def project(step):
        daemon.ternary.Project(ref.project_request(
            random.standard_normal((2, 128)),
            layer=tensor_pb2.LayerRef(run=run, layer="l", step=step)), timeout=CALL_SECONDS)
    project(1)
    path = f"/v1/runs/{run}/layers/l"
    status, headers, body = ask(daemon, path)
    tag = headers["ETag"]
    assert status == 200 and headers["Cache-Control"] == "private, no-cache"
    for given in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        status, headers, body = ask(daemon, path, If_None_Match=given)
        assert (status, body, headers["ETag"]) == (304, b"", tag), given
    assert ask(daemon, path, If_None_Match='"other"')[0] == 200
    assert ask(daemon, path, If_Match="*")[0] == 200
    status, headers, body = ask(daemon, path, If_Match=tag)
    assert (status, json.loads(body)["error"]["status"]) == (412, "FAILED_PRECONDITION")
    with contextlib.closing(http.client.HTTPConnection(daemon.http)) as link:
        link.putrequest("GET", path)
        for line in ('"a"', '"b"', tag):  # a list may have several lines
            link.putheader("If-None-Match", line)
        link.endheaders()
        assert link.getresponse().status == 304
    project(2)
    status, headers, body = ask(daemon, path, If_None_Match=tag)
    assert status == 200 and headers["ETag"] != tag and json.loads(body)["step"] == "2"
    status, headers, _ = ask(daemon, "/v1/none")
    assert status == 404 and headers["ETag"] is None


def test_a_reply_is_compressed_where_the_client_asks(daemon, filed):
    path = filed + "/history"
    _, headers, plain = ask(daemon, path)
    assert headers["Content-Encoding"] is None and headers["Vary"] == "Accept-Encoding"
    _, headers, packed = ask(daemon, path, Accept_Encoding="br, gzip")
    assert headers["Content-Encoding"] == "gzip" and len(packed) < len(plain) / 2
    assert gzip.decompress(packed) == plain
    _, headers, body = ask(daemon, path, Accept_Encoding="gzip;q=0")
    assert headers["Content-Encoding"] is None and body == plain


# ---- the description ------------------------------------------------------------------------

@pytest.fixture(scope="module")
def openapi(daemon):
    return get(daemon, "/v1/openapi.json")


def patterns():
    """The paths of routes.c."""
    return set(re.findall(r'^    X\("([^"]+)"', (ROOT / "server/web/routes.c").read_text(), re.M))


def test_the_description_is_openapi_and_has_every_path(openapi):
    validate(openapi)
    assert {re.sub(r"\{\w+\}", "*", path) for path in openapi["paths"]} == patterns()
    version = re.search(r"^VERSION := (\S+)", (ROOT / "Makefile").read_text(), re.M).group(1)
    assert openapi["info"]["version"] == version


def test_the_description_has_the_parameters_of_each_path(openapi):
    text = (ROOT / "server/web/routes.c").read_text()
    routes = {found[0]: set(found[1].split()) for found in re.findall(
        r'X\("([^"]+)",\s*\w+,[\s\\]*"([^"]*)"', text)}
    assert routes
    for path, item in openapi["paths"].items():
        names = set()
        for parameter in item["get"].get("parameters", []):
            if "$ref" in parameter:
                parameter = openapi["components"]["parameters"][parameter["$ref"].split("/")[-1]]
            if parameter["in"] == "query":
                names.add(parameter["name"])
        assert names == routes.get(re.sub(r"\{\w+\}", "*", path), set()), path


PATHS = ["/v1/runs", "/v1/runs?limit=1", "/v1/runs/web%20json", "/v1/runs/web%20json/history",
         "/v1/runs/web%20json/layers", "/v1/runs/web%20json/layers/layers.0.attn.q",
         "/v1/runs/web%20json/layers/layers.0.attn.q?step=20",
         "/v1/runs/web%20json/layers/layers.0.attn.q?from=0", "/v1/runs/none",
         "/v1/runs/none/history", "/v1/runs?limit=0", "/v1/runs/none/layers/none",
         "/v1/openapi.json", "/", "/runs/web%20json", "/runs/web%20json?by=none", "/runs/none",
         "/runs/web%20json/layers/layers.0.attn.q", "/compare?a=web+json&b=web%20json",
         "/compare?a=web+json", "/livez", "/readyz", "/healthz", "/metrics", "/style.css",
         "/live.js", "/icon.svg"]


@pytest.mark.parametrize("path", PATHS)
def test_real_answers_follow_the_description(daemon, filed, openapi, path):
    status, headers, body = ask(daemon, path)
    bare = urllib.parse.urlsplit(path).path
    found = [pattern for pattern in openapi["paths"]
             if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), bare)]
    assert len(found) == 1, bare
    answer = openapi["paths"][found[0]]["get"]["responses"][str(status)]
    kind = headers["Content-Type"].partition(";")[0]
    assert kind in answer["content"], (status, kind)
    if kind == "application/json":
        keys = ["paths", found[0], "get", "responses", str(status), "content", kind, "schema"]
        pointer = "/".join(key.replace("~", "~0").replace("/", "~1") for key in keys)
        registry = referencing.Registry().with_resource(
            "urn:openapi", DRAFT202012.create_resource(openapi))
        jsonschema.Draft202012Validator({"$ref": f"urn:openapi#/{pointer}"},
                                        registry=registry).validate(schemas.parse(body))


def test_a_history_that_is_larger_than_a_reply_goes_on(daemon, run):
    """Many layers with few steps each: the reply ends at its bound of layers or bytes."""
    values = np.ones((1, 8), np.float32)
    waiting = [daemon.ternary.Project.future(ref.project_request(
        values, layer=tensor_pb2.LayerRef(run=run, layer=f"l{i}", step=1)), timeout=CALL_SECONDS)
        for i in range(2001)]
    for one in waiting:
        one.result()
    page = get(daemon, f"/v1/runs/{run}/history?fields=zeros", "http-run-history")
    assert len(page["layers"]) == 2000
    last = get(daemon, page["next"], "http-run-history")
    assert len(last["layers"]) == 1 and last["next"] is None
