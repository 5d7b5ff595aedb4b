# SPDX-License-Identifier: Apache-2.0
"""A daemon that restarts in the middle of a loop of calls costs no step. Layers that have a
fallback go on without a daemon, to the same bits, and return to it."""

import logging
import pickle
import threading
import time
import warnings

import numpy as np
import pytest

import trit
import trit.aio
import trit.local
from daemon import Daemon

SECONDS = 300  # generous: a restart takes seconds on an emulated processor
RETRY = trit.RetryPolicy(max_attempts=20, initial_backoff=0.01, max_backoff=0.5)
# Refuses connections.
NOWHERE = "127.0.0.1:1"


class Restarts:
    """A daemon at a fixed address, and a thread that ends and starts it again and again. Each
    restart begins while the loop of the test is within a step."""

    def __init__(self, folder, kind, ends):
        self.folder, self.ends = folder, ends
        self.address = f"unix:{folder}/rpc"
        self.daemon = Daemon(folder, *self.listen(kind))
        if kind == "tcp":
            self.address = self.daemon.rpc.split(",")[0]
        self.stepping, self.error = threading.Event(), None
        self.thread = threading.Thread(target=self.run, daemon=True)

    def listen(self, kind):
        return ["--listen", self.address] if kind == "unix" else []

    def run(self):
        try:
            for end in self.ends:
                self.stepping.wait()
                self.stepping.clear()
                getattr(self.daemon, end)()
                self.daemon = Daemon(self.folder, "--listen", self.address)
        except BaseException as error:
            self.error = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stepping.set()
        self.daemon.kill()


def steps_of(restarts):
    """Steps until all restarts are over, and one more."""
    step = 0
    while restarts.thread.is_alive():
        restarts.stepping.set()
        yield step
        step += 1
    assert restarts.error is None, restarts.error
    yield step


@pytest.mark.parametrize("kind", ["unix", "tcp"])
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_costs_no_step(tmp_path, random, kind, end):
    """Project, Verify and Layers, unary and streamed, over TCP and with shared memory: every
    call of every step gives its result, and each step's reports are stored once."""
    small = random.standard_normal((8, 256)).astype(np.float32)
    large = random.standard_normal((512, 512)).astype(np.float32)
    expected = {id(w): trit.local.project(w) for w in (small, large)}
    x = random.standard_normal((2, 256)).astype(np.float32)
    taken = 0
    with (
        Restarts(tmp_path, kind, [end] * 3) as restarts,
        trit.Client(
            restarts.address,
            timeout=SECONDS,
            wait_for_ready=True,
            retry=RETRY,
            stream_bytes_min=256 << 10,
        ) as client,
    ):
        client.layers.load("fc", small)
        y = client.layers.forward("fc", x)
        for step in steps_of(restarts):
            for name, w in (("small", small), ("large", large)):
                made = client.project(w, layer=("run", name, step))
                assert (made.data == expected[id(w)]).all()
                report = client.verify(made, reference=w, layer=("verified", name, step))
                assert report.verdict == "pass", report.findings
                codes = client.project(w, encoding="int8", report="none")
                assert (client.unpack(codes) == expected[id(w)]).all()
            batch = [small, large, large, large]
            for w, made in zip(batch, client.project_batch(batch)):
                assert (made == expected[id(w)]).all()
            assert (client.layers.forward("fc", x) == y).all()
            assert client.layers.backward("fc", x, y).weight.shape == small.shape
            taken += 1
        for run in ("run", "verified"):
            for name in ("small", "large"):
                filed = [one.step for one in client.reports.list(run, layer=name)]
                assert sorted(filed) == list(range(taken))


def test_without_a_policy_a_daemon_that_cannot_be_reached_is_unavailable():
    with trit.Client(NOWHERE, timeout=SECONDS) as client, pytest.raises(trit.Unavailable):
        client.ping()


def test_a_call_waits_for_its_timeout_and_says_for_what():
    with trit.Client(NOWHERE, timeout=0.2, wait_for_ready=True) as client:
        # On a slow machine the deadline may come before the first attempt.
        said = r"within 200 ms.*cannot connect to|deadline exceeded while connecting to"
        with pytest.raises(trit.DeadlineExceeded, match=said):
            client.ping()


def test_the_last_failure_counts_the_attempts():
    retry = trit.RetryPolicy(max_attempts=3, initial_backoff=0.001, max_backoff=0.001)
    with trit.Client(NOWHERE, timeout=SECONDS, retry=retry) as client:
        with pytest.raises(trit.Unavailable, match=r"\(attempt 3 of 3\)$"):
            client.ping()


# With max_tokens the calls of a client share a budget of retries.
def test_retries_are_throttled():
    retry = trit.RetryPolicy(
        max_attempts=9, initial_backoff=0.001, max_backoff=0.001, max_tokens=6
    )
    with trit.Client(NOWHERE, timeout=SECONDS, retry=retry) as client:
        for attempts in (3, 1, 1):
            message = rf"\(attempt {attempts} of 9; retries are throttled\)$"
            with pytest.raises(trit.Unavailable, match=message):
                client.ping()


@pytest.mark.parametrize(
    "arguments, field",
    [
        (dict(max_attempts=1), "retry.max_attempts"),
        (dict(max_attempts=1001), "retry.max_attempts"),
        (dict(initial_backoff=0), "retry.initial_backoff"),
        (dict(initial_backoff=-1), "retry.initial_backoff"),
        (dict(max_backoff=float("inf")), "retry.max_backoff"),
        (dict(max_backoff=float("nan")), "retry.max_backoff"),
        (dict(multiplier=0), "retry.multiplier"),
        (dict(multiplier=float("nan")), "retry.multiplier"),
        (dict(jitter=1.5), "retry.jitter"),
        (dict(jitter=-0.1), "retry.jitter"),
        (dict(max_tokens=1001), "retry.max_tokens"),
        (dict(max_tokens=-1), "retry.max_tokens"),
        (dict(token_ratio=0), "retry.token_ratio"),
    ],
)
def test_a_policy_out_of_its_bounds_is_refused_by_name(arguments, field):
    with pytest.raises(trit.InvalidArgument, match=f"^{field}: ") as refused:
        trit.RetryPolicy(**arguments)
    assert refused.value.field == field


@pytest.mark.parametrize(
    "name",
    ["initial_backoff", "max_backoff", "multiplier", "jitter", "max_tokens", "token_ratio"],
)
@pytest.mark.parametrize("value", ["1", None, True])
def test_a_policy_takes_numbers_only(name, value):
    with pytest.raises(trit.InvalidType, match=f"^retry.{name}: must be a number"):
        trit.RetryPolicy(**{name: value})


@pytest.mark.parametrize("kind", [trit.Client, trit.aio.Client])
def test_a_client_refuses_what_is_no_policy(kind):
    for value in (3, {"max_attempts": 3}, True):
        with pytest.raises(trit.InvalidType, match="^retry: must be a trit.RetryPolicy or None"):
            kind(NOWHERE, retry=value)
    for value in (1, "yes"):
        with pytest.raises(trit.InvalidType, match="^wait_for_ready: must be a bool"):
            kind(NOWHERE, wait_for_ready=value)


def test_a_pickled_client_keeps_its_policy():
    client = trit.Client(NOWHERE, timeout=0.05, wait_for_ready=True, retry=RETRY, fallback="local")
    copy = pickle.loads(pickle.dumps(client))
    assert copy.fallback == "local"
    with pytest.raises(trit.DeadlineExceeded):
        copy.ping()


# ---- without a daemon --------------------------------------------------------------------


def test_a_fallback_is_local_or_none():
    with pytest.raises(trit.InvalidArgument, match="^fallback: 'remote' is not one of"):
        trit.Client(NOWHERE, fallback="remote")
    with pytest.raises(trit.InvalidType, match="^fallback: must be"):
        trit.Client(NOWHERE, fallback=True)
    with pytest.raises(trit.InvalidArgument, match="^fallback: with wait_for_ready it needs"):
        trit.Client(NOWHERE, wait_for_ready=True, fallback="local")


def layers_of(name):
    """The module of trit, a function that makes weights, and one that gives NumPy's."""
    if name == "torch":
        torch = pytest.importorskip("torch")
        return trit.torch, torch.from_numpy, lambda array: array.detach().numpy()
    mx = pytest.importorskip("mlx.core")
    return trit.mlx, mx.array, np.asarray


@pytest.mark.parametrize("name", ["torch", "mlx"])
def test_layers_go_on_without_a_daemon_and_return_to_it(tmp_path, random, caplog, name):
    """The bits are the daemon's; it warns once, logs each outage, and looks for the daemon."""
    ours, array, numpy = layers_of(name)
    weights = random.standard_normal((8, 200)).astype(np.float32)
    expected = trit.local.project(weights)
    daemon = Daemon(tmp_path, "--listen", f"unix:{tmp_path}/rpc")
    client = trit.Client(f"unix:{tmp_path}/rpc", timeout=SECONDS, fallback="local")
    caplog.set_level(logging.INFO, "trit")

    def project():
        assert (numpy(ours.ternary_projection(array(weights), client)) == expected).all()

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            project()
        for outage in (1, 2):
            daemon.kill()
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                for _ in range(5):
                    project()
            warned = [one for one in seen if "layers project locally" in str(one.message)]
            assert len(warned) == (1 if outage == 1 else 0)
            logged = [one for one in caplog.records if one.levelname == "WARNING"]
            assert len(logged) == outage and client._outage.lasts
            daemon = Daemon(tmp_path, "--listen", f"unix:{tmp_path}/rpc")
            give_up = time.monotonic() + SECONDS
            while client._outage.lasts:
                assert time.monotonic() < give_up
                project()
            assert caplog.records[-1].message == "the daemon is back; layers project by it again"
    finally:
        daemon.kill()


@pytest.mark.parametrize("name", ["torch", "mlx"])
def test_a_fallback_hides_no_error_of_the_weights(daemon, name):
    ours, array, _ = layers_of(name)
    with trit.Client(daemon.rpc, timeout=SECONDS, fallback="local") as patient:
        with pytest.raises(trit.InvalidArgument):
            ours.ternary_projection(array(np.full((2, 128), np.nan, np.float32)), patient)
        assert not patient._outage.lasts


# ---- layers that the daemon holds ---------------------------------------------------------


def forgetful(folder):
    """A daemon without a data directory."""
    return Daemon(folder, "--listen", f"unix:{folder}/rpc", data=False)


def test_a_forgotten_layer_is_loaded_again_if_load_said_so(tmp_path, random):
    """From the arrays as they were; another layer is NOT_FOUND, and the message says what to
    do."""
    w = random.standard_normal((8, 256)).astype(np.float16)
    table = random.standard_normal((10, 256)).astype(np.float32)
    bias = random.standard_normal(8).astype(np.float32)
    x = random.standard_normal((2, 256)).astype(np.float32)
    daemon = forgetful(tmp_path)
    try:
        with trit.Client(
            f"unix:{tmp_path}/rpc", timeout=SECONDS, wait_for_ready=True, retry=RETRY
        ) as client:
            layers = client.layers
            layers.load("fc", w, bias, reload=True)
            layers.load("table", table, kind="embedding", reload=True)
            layers.load("lost", w)
            calls = {
                "forward": lambda: layers.forward("fc", x),
                "weight": lambda: layers.backward("fc", x, layers.forward("fc", x)).weight,
                "embed": lambda: layers.embed("table", [3, 4]),
                "as_linear": lambda: layers.as_linear("table", x),
                "get": lambda: layers.get("table").weight,
            }
            before = {name: call() for name, call in calls.items()}
            w[:], table[:] = 7, 7
            for name, call in calls.items():
                daemon.kill()
                daemon = forgetful(tmp_path)
                assert (call() == before[name]).all(), name
            with pytest.raises(trit.NotFound, match='no layer "lost"; create or load it, also'):
                layers.forward("lost", x)
            layers.forward("fc", x)
            layers.delete("fc")
            with pytest.raises(trit.NotFound):
                layers.forward("fc", x)
    finally:
        daemon.kill()


def test_a_watch_goes_on_after_a_restart(tmp_path, random):
    """It gives each report once, and counts attempts anew after each report."""
    w = random.standard_normal((2, 128)).astype(np.float32)
    # A daemon that is dying may accept a connection and drop it, so a restart may cost two.
    retry = trit.RetryPolicy(max_attempts=5, initial_backoff=0.05)
    address = f"unix:{tmp_path}/rpc"
    daemon = Daemon(tmp_path, "--listen", address)
    try:
        with trit.Client(address, timeout=SECONDS, wait_for_ready=True, retry=retry) as client:
            watch = client.reports.watch("run", cursor="0")
            for step in range(6):
                client.project(w, layer=("run", "fc", step))
                assert next(watch).report.step == step
                daemon.kill()
                daemon = Daemon(tmp_path, "--listen", address)
            watch.close()
    finally:
        daemon.kill()


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_watch_goes_on_after_its_last_report(tmp_path, random, end):
    weights = random.standard_normal((4, 128)).astype(np.float32)
    address = f"unix:{tmp_path}/rpc"
    daemon = Daemon(tmp_path, "--listen", address)
    with trit.Client(address, wait_for_ready=True) as client:
        client.project(weights, layer=("r", "fc", 0))
        with client.reports.watch("r", cursor="0") as watch:
            assert next(watch).report.step == 0
            getattr(daemon, end)()
            daemon = Daemon(tmp_path, "--listen", address)
            for step in (1, 2):
                client.project(weights, layer=("r", "fc", step))
            assert [next(watch).report.step for _ in range(2)] == [1, 2]
    daemon.kill()
