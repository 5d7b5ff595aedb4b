# SPDX-License-Identifier: Apache-2.0
"""--connection-age-ms asks connections to end, and no call notices it."""
import re
import time
import urllib.request

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import proxies
import reference as ref
from streams import HalfSent
from tritd import CALL_SECONDS, Daemon, cli, ternary_pb2_grpc

SMALL = ref.project_request(np.random.default_rng(5).standard_normal((4, 128)).astype(np.float32))


@pytest.fixture(scope="module")
def aging(tmp_path_factory):
    """A daemon whose connections live for a tenth of a second."""
    folder = tmp_path_factory.mktemp("aging")
    daemon = Daemon(folder, "--connection-age-ms", 100, "--listen", f"unix:{folder}/s", durable=False)
    daemon.local = f"unix:{folder}/s"
    yield daemon
    assert daemon.stop() == 0, daemon.log()[-4000:]


def aged(daemon):
    with urllib.request.urlopen(f"http://{daemon.http}/metrics", timeout=CALL_SECONDS) as got:
        text = got.read().decode()
    assert 'limit="connection_age_grace_ms"} 0' in text
    return int(re.search(r"^tritd_connections_aged_total (\d+)", text, re.M)[1])


def call_until_aged(daemon, channel, count):
    """Makes calls, none of which may fail, until so many connections have reached their age."""
    stub, goal = ternary_pb2_grpc.TernaryStub(channel), aged(daemon) + count
    deadline = time.monotonic() + CALL_SECONDS
    while aged(daemon) < goal:
        assert time.monotonic() < deadline
        stub.Project(SMALL, timeout=CALL_SECONDS)


def test_calls_go_on_while_connections_reach_their_age(aging):
    """Unary calls of one channel go on over new connections; a stream that began before its
    connection's age ends after it, with its whole answer."""
    stream = HalfSent(aging)
    with aging.connect() as other:
        call_until_aged(aging, other, 4)
    stream.finish()


def test_a_proxy_follows_the_age_of_its_connections(aging, tmp_path):
    """HAProxy's connections to the daemon age, and its clients' calls go on."""
    proxy = proxies.haproxy(tmp_path, [aging])
    try:
        with proxy.connect() as channel:
            call_until_aged(aging, channel, 4)
    finally:
        proxy.stop()


def test_shared_memory_outlives_a_connection_of_its_age(aging, tmp_path):
    """`trit` over a Unix socket, where calls name shared memory, writes the same file as over
    TCP, although its connections age meanwhile."""
    random = np.random.default_rng(3)
    save_file({f"layers.{i}.weight": random.standard_normal((512, 512)).astype(np.float32)
               for i in range(40)}, tmp_path / "in.safetensors")
    for address, out in ((aging.local, "local.safetensors"), (aging.rpc, "tcp.safetensors")):
        done = cli(None, "project", tmp_path / "in.safetensors", "-o", tmp_path / out,
                   env={"TRITD_ADDRESS": address})
        assert done.returncode == 0, done.stderr
    local, tcp = (load_file(tmp_path / f"{name}.safetensors") for name in ("local", "tcp"))
    assert local.keys() == tcp.keys()
    assert all(np.array_equal(local[name], tcp[name]) for name in local)
