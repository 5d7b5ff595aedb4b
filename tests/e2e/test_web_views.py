# SPDX-License-Identifier: Apache-2.0
"""Pages of an attempt or a replica, without a browser: where they lead, and what they call
newest."""
import html
import re
import urllib.parse
import urllib.request

import numpy as np

import reference as ref
from tritd import CALL_SECONDS, report_pb2, tensor_pb2

STEPS = 150  # more than a strip has columns


def page(daemon, path):
    with urllib.request.urlopen(f"http://{daemon.http}{path}", timeout=CALL_SECONDS) as reply:
        return reply.read().decode()


def file(daemon, run, layer, step, values, **key):
    return daemon.ternary.Project.future(ref.project_request(
        values, group_size=16, layer=tensor_pb2.LayerRef(run=run, layer=layer, step=step, **key)),
        timeout=CALL_SECONDS)


def file_all(daemon, run, steps, values, **key):
    calls = [file(daemon, run, layer, step, values, **key)
             for step in steps for layer in ("up", "down")]
    for call in calls:
        call.result()


def follow(daemon, run, path, view):
    """The page, once each of its links to the run has been followed."""
    text = page(daemon, path)
    links = [urllib.parse.urljoin(path, html.unescape(link))
             for link in re.findall(r'href="([^"]+)"', text)]
    links = [link for link in links if run in urllib.parse.urlsplit(link).path]
    assert len(links) >= 4, links
    for link in links:
        query = urllib.parse.parse_qsl(urllib.parse.urlsplit(link).query)
        assert set(urllib.parse.parse_qsl(view)) <= set(query), link
    for link in {*links[:4], *links[-2:]}:
        page(daemon, link)
    return text


def test_links_stay_with_the_attempt_and_the_replica(daemon, run, random):
    """All links to reports of the run, from its page and from that of a layer, have the
    parameters of the page that they are on, and can be followed."""
    values = [random.standard_normal((4, 16)).astype(np.float32) for _ in range(3)]
    for replica in (0, 1):
        file_all(daemon, run, range(1, 53), values[replica], replica=replica)
    daemon.reports.Rewind(report_pb2.ReportsRewindRequest(run=run, step=0), timeout=CALL_SECONDS)
    file_all(daemon, run, (1, 52), values[2], attempt=2)
    for view in ("attempt=1", "attempt=1&replica=1"):
        for path in (f"/runs/{run}?{view}", f"/runs/{run}/layers/up?{view}"):
            text = follow(daemon, run, path, view)
        assert "step 52 of attempt 1 (superseded by a later one)" in text


def test_the_worst_replica_of_a_layer_is_linked(daemon, run, random):
    """A layer that is failing for a replica leads to that replica's report, not to the healthy
    one."""
    values = random.standard_normal((4, 16)).astype(np.float32)
    file(daemon, run, "up", 1, values).result()
    file(daemon, run, "up", 1, -values, replica=3).result()
    assert f'/runs/{run}/layers/up?replica=3"' in page(daemon, f"/runs/{run}")
    assert "replica 3" in page(daemon, f"/runs/{run}/layers/up?replica=3")


def test_newest_is_the_number_of_the_newest_report(daemon, run, random):
    """"Newest" is the number of the newest report, also if a strip has one place for several
    steps."""
    values = random.standard_normal((4, 16)).astype(np.float32)
    calls = [file(daemon, run, "up", step, values * 0) for step in range(1, STEPS)]
    for call in calls:
        call.result()
    file(daemon, run, "up", STEPS, values).result()
    text = page(daemon, f"/runs/{run}?by=zero_share")
    share = f"{(ref.project(values, 16)[0] == 0).mean() * 100:.4g}"
    assert re.search(rf"newest {re.escape(share)}\W", html.unescape(text)), text
