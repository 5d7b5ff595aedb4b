# SPDX-License-Identifier: Apache-2.0
"""Jobs over checkpoints as pages and as JSON."""
import html

import numpy as np
import pytest

from checkpoints import save
from jobs import Checkpoints, wait_for
from test_jobs import ENDLESS, save_endless
from test_web_events import Stream
from test_web_json import ask, get

NAME = "a <b> & \"c\"'.safetensors"


@pytest.fixture(scope="module")
def files(daemon):
    save(daemon.root / NAME, {"l.weight": np.linspace(-1, 1, 512, dtype=np.float32).reshape(4, 128)})
    save_endless(daemon.root / ENDLESS)
    return daemon.root


@pytest.fixture
def service(daemon, files):
    service = Checkpoints(daemon)
    yield service
    for job in service.jobs():
        if not job.ended_unix_ns:
            service.cancel(job.job)


def page(daemon, path, status=200):
    found, _, body = ask(daemon, path)
    assert found == status, body
    return body.decode()


def test_json_has_a_job_as_the_service_shows_it(daemon, service):
    name = service.run("Project", NAME, output="web.safetensors", force=True).messages[0].job
    shown = get(daemon, f"/v1/jobs/{name}", "http-job")
    job = service.job(name)
    assert (shown["job"], shown["method"], shown["path"]) == (name, "Project", NAME)
    assert (shown["output"], shown["state"], shown["verdict"]) == ("web.safetensors", "done", "pass")
    for field in ("created_unix_ns", "started_unix_ns", "ended_unix_ns", "tensors_done",
                  "tensors_total", "tensors_reused", "bytes_done", "bytes_total"):
        assert int(shown[field]) == getattr(job, field), field
    assert shown["seconds_left"] is None and shown["status"] == "OK"
    assert get(daemon, "/v1/jobs?limit=1", "http-jobs")["jobs"] == [shown]


def test_lists_go_on_behind_a_job(daemon, service):
    names = [service.run("Inspect", NAME).messages[0].job for _ in range(3)][::-1]
    first = get(daemon, "/v1/jobs?limit=2", "http-jobs")
    assert [job["job"] for job in first["jobs"]] == names[:2]
    assert get(daemon, first["next"], "http-jobs")["jobs"][0]["job"] == names[2]
    get(daemon, "/v1/jobs?after=none", "http-error", 404)
    get(daemon, "/v1/jobs/none", "http-error", 404)
    get(daemon, "/v1/jobs?limit=0", "http-error", 400)
    assert page(daemon, "/jobs?page=1000000000").count("<tr>") == 1


def test_pages_show_jobs_and_escape_their_paths(daemon, service):
    name = service.run("Project", NAME, output="web.safetensors", force=True).messages[0].job
    assert '<a href="/jobs">' in page(daemon, "/")
    for text in (page(daemon, "/jobs"), page(daemon, f"/jobs/{name}")):
        assert NAME not in text and NAME in html.unescape(text)
        assert "web.safetensors" in text and ">pass<" in text
    assert f'<a href="/jobs/{name}">' in page(daemon, "/jobs")
    page(daemon, "/jobs/none", 404)


def test_a_failed_job_says_why(daemon, service):
    stream = service.stream("Inspect", "no <such> file")
    name = next(iter(stream)).job
    wait_for(lambda: service.job(name).ended_unix_ns)
    assert get(daemon, f"/v1/jobs/{name}", "http-job")["status"] == "NOT_FOUND"
    text = page(daemon, f"/jobs/{name}")
    assert "NOT_FOUND" in text and "no <such> file" not in text
    assert '"no <such> file" does not exist' in html.unescape(text)


def test_a_running_job_shows_its_progress_and_pages_hear_of_it(daemon, service):
    events = Stream(daemon)
    stream = service.stream("Verify", ENDLESS)
    name = next(message for message in stream if message.bytes_done).job
    shown = get(daemon, f"/v1/jobs/{name}", "http-job")
    assert (shown["state"], shown["layer"], shown["bytes_total"]) == ("running", "l.weight", str(2**41))
    assert shown["bytes_per_second"] > 0 and shown["seconds_left"] > 0
    text = page(daemon, f"/jobs/{name}")
    assert ">running<" in text and "l.weight" in text
    while events.event().get("event") != "jobs":
        pass
    stream.cancel()
    events.close()


def test_without_a_root_there_are_no_jobs(start):
    own = start(durable=False)
    assert "--checkpoint-root" in get(own, "/v1/jobs", "http-error", 404)["error"]["message"]
    page(own, "/jobs", 404)
    assert "/jobs" not in page(own, "/")
    assert own.stop() == 0
