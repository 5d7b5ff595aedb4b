# SPDX-License-Identifier: Apache-2.0
"""The bounds on slow peers and on held layers, reached and refused from outside."""
import numpy as np

import reference as ref
from held import Service, spec
from test_durability import NOT_SERVING, health
from test_http import curl
from test_limits import EXHAUSTED, counted, project, refusals
from tritd import refused
from wire import PROJECT, Connection, data, message, request, window_update


def test_rate_of_a_reader(start):
    """A peer that reads its reply slower than rate_min is cut off, and its memory is free."""
    own = start("--rate-ms", 300, "--rate-min", "64K", durable=False)
    tensor = np.ones((1 << 12, 128), np.float32)
    body = message(ref.project_request(tensor).SerializeToString())
    slow = Connection(own, pairs=[(4, 0)]).settle()  # no window for replies
    slow.send(request(1, PROJECT))
    for at in range(0, len(body), 16384):
        slow.offer(data(1, body[at:at + 16384], at + 16384 >= len(body)))
    reset = slow.frames(20, lambda f: f[0] == 3 and slow.send(window_update(1, 1)))
    assert reset[-1][0] == 3 and reset[-1][3] == bytes([0, 0, 0, 8]), reset[-1]
    assert refusals(own, "rate_bytes") == 1
    assert project(own).report.elements == 128
    slow.close()


def test_rate_of_a_sender(start):
    """A message that was begun must arrive at rate_min."""
    own = start("--rate-ms", 300, "--rate-min", "64K", durable=False)
    slow = Connection(own)
    body = message(ref.project_request(np.ones((64, 128), np.float32)).SerializeToString())
    slow.send(request(1, PROJECT) + data(1, body[:100]))
    slow.frames(20, lambda f: f[0] == 1 and f[1] & 1)
    assert refusals(own, "rate_bytes") == 1
    slow.close()


def test_layers_percent(start):
    """Held layers leave a part of the budget to calls; readiness tells when they do not."""
    own = start("--memory-max", "32M", "--layers-percent-max", 25)
    layers = Service(own)
    layers.Create(spec=spec("a", 1024, 16384))  # 4 MiB of codes and half a MiB of scales
    counted(own, "layers_percent", lambda: refused(
        lambda: layers.Create(spec=spec("b", 1024, 16384)), EXHAUSTED, "layers_percent_max"))
    assert curl(own, "/readyz")[0] == 200
    assert own.stop() == 0
    again = start("--memory-max", "32M", "--layers-percent-max", 10)
    status, _, body = curl(again, "/readyz")
    assert status == 503 and "memory for calls is short" in str(body)
    assert health(again) == NOT_SERVING
    assert project(again).report.elements == 128
