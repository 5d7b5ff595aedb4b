# SPDX-License-Identifier: Apache-2.0
"""Numbers and names that make no sense are refused by name, with the value. Integers of NumPy
are integers."""

import decimal
import math

import numpy as np
import pytest

import trit
import trit.aio
import trit.local
import trit.verification

W = np.ones((2, 128), np.float32)
STATE = {"fc.weight": np.random.default_rng(1).standard_normal((8, 128)).astype(np.float32)}


class Odd:
    def __repr__(self):
        return "Odd()"


NO_INTEGERS = [True, 1.5, "1", math.nan, Odd(), [1], np.bool_(True), decimal.Decimal(1), b"1"]
NO_NUMBERS = ["1", True, Odd(), [1], np.bool_(True), decimal.Decimal(1), b"1", 1j]
HUGE = 10**400
LAYER = ("numbers", "fc", 1)


def refuses(call, field, values):
    for value in values:
        with pytest.raises(trit.InvalidArgument) as refused:
            call(value)
        message = str(refused.value)
        assert refused.value.field == field and message.startswith(f"{field}: "), message
        assert repr(value)[:20] in message, (value, message)


# Field, the bound that is no longer in, whether 0 is, and the call.
INTEGERS = {
    "connections": (17, True, lambda c, v: trit.Client("h:1", connections=v)),
    "stream_bytes_min": (2**64, True, lambda c, v: trit.Client("h:1", stream_bytes_min=v)),
    "message_bytes_max": (2**64, True, lambda c, v: trit.Client("h:1", message_bytes_max=v)),
    "threads": (2**31, False, lambda c, v: trit.aio.Client("h:1", threads=v)),
    "options.group_size": (2**32, False, lambda c, v: c.project(W, group_size=v)),
    "options.group_size ": (2**32, False, lambda c, v: c.verify(W, group_size=v)),
    "options.group_size  ": (2**32, False, lambda c, v: c.unpack(W, group_size=v)),
    "options.group_size   ": (2**32, False, lambda c, v: c.pack(W, encoding=1, group_size=v)),
    "attempt": (2**32, True, lambda c, v: c.project(W, layer=LAYER, attempt=v)),
    "replica": (2**32, True, lambda c, v: c.verify(W, layer=LAYER, replica=v)),
    "layer.step": (2**63, True, lambda c, v: c.project(W, layer=("numbers", "fc", v))),
    "shard": (2**64, True, lambda c, v: c.project(W, layer=LAYER, shard=((v, 1), (0, 0)))),
    "shape": (2**64, True, lambda c, v: c.verify(W, encoding="pq2_0", shape=(v, 1))),
    "spec.in_features": (2**64, True, lambda c, v: c.layers.create("n", v, 8)),
    "spec.out_features": (2**64, True, lambda c, v: c.layers.create("n", 8, v)),
    "spec.group_size": (2**32, False, lambda c, v: c.layers.create("n", 8, 8, group_size=v)),
    "spec.group_size ": (2**32, False, lambda c, v: c.layers.load("n", W, group_size=v)),
    "seed": (2**64, True, lambda c, v: c.layers.create("n", 8, 8, seed=v)),
    "step": (2**63, True, lambda c, v: c.reports.get("numbers", "fc", step=v)),
    "from_step": (2**63, True, lambda c, v: c.reports.list("numbers", from_step=v)),
    "to_step": (2**63, True, lambda c, v: c.reports.delete("numbers", to_step=v)),
    "step ": (2**63, True, lambda c, v: c.reports.rewind("numbers", v)),
    "step  ": (2**63, True, lambda c, v: c.reports.fork("numbers", v, "other")),
    "group_size": (2**32, False, lambda c, v: c.checkpoint.plan(STATE, group_size=v)),
    "group_size ": (2**32, False, lambda c, v: c.checkpoint.project(STATE, group_size=v)),
    "group_size  ": (2**32, False, lambda c, v: c.checkpoint.verify(STATE, group_size=v)),
    "step   ": (2**63, True, lambda c, v: c.checkpoint.project(STATE, run="r", step=v)),
    "shard_bytes": (2**63, False, lambda c, v: c.checkpoint.project(STATE, "x", shard_bytes=v)),
    "group_size   ": (2**32, False, lambda c, v: trit.local.project(W, v)),
    "every": (2**63, False, lambda c, v: trit.verification.VerifyEvery(list, c, "r", v)),
    "step    ": (2**63, True, lambda c, v: trit.verification.VerifyEvery(list, c, "r", 1)(v)),
    "retry.max_attempts": (1001, False, lambda c, v: trit.RetryPolicy(max_attempts=v)),
}
REALS = {
    "timeout": lambda c, v: trit.Client("h:1", timeout=v),
    "timeout ": lambda c, v: c.project(W, timeout=v),
    "timeout  ": lambda c, v: c.checkpoint.project(STATE, timeout=v),
    "timeout   ": lambda c, v: c.reports.watch(timeout=v),
    "tolerance": lambda c, v: c.verify(W, tolerance=v),
    "tolerance ": lambda c, v: c.layers.verify(tolerance=v),
    "tolerance  ": lambda c, v: c.checkpoint.verify(STATE, tolerance=v),
    "retry.initial_backoff": lambda c, v: trit.RetryPolicy(initial_backoff=v),
    "retry.multiplier": lambda c, v: trit.RetryPolicy(multiplier=v),
    "retry.jitter": lambda c, v: trit.RetryPolicy(jitter=v),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_integers(client, name):
    bound, zero, call = INTEGERS[name]
    bad = [*NO_INTEGERS, -1, np.int64(-1), bound, HUGE, *([] if zero else [0])]
    refuses(lambda value: call(client, value), name.strip(), bad)


@pytest.mark.parametrize("name", REALS)
def test_numbers(client, name):
    bad = [*NO_NUMBERS]
    if name.startswith("timeout"):
        bad += [math.nan, -1, -0.1, -math.inf, np.float32("nan")]
    elif name.startswith("retry"):
        bad += [math.nan, math.inf, -1, HUGE]
    else:
        bad += [HUGE, 1e300]
    refuses(lambda value: REALS[name](client, value), name.strip(), bad)


@pytest.mark.parametrize("tolerance", [math.nan, math.inf, -1, 0.5])
def test_tolerances_out_of_their_range(client, tolerance):
    for call in (
        lambda: client.verify(W, tolerance=tolerance),
        lambda: client.layers.verify(tolerance=tolerance),
        lambda: client.checkpoint.verify(STATE, tolerance=tolerance),
    ):
        with pytest.raises(trit.InvalidArgument, match="tolerance: "):
            call()


def test_integers_of_numpy_are_integers(client):
    made = client.project(W, group_size=np.int64(64), layer=("numpy", "fc", np.uint8(3)))
    assert made.group_size == 64 and made.report.step == 3
    assert client.verify(made, tolerance=np.float32(0)).verdict == "pass"
    assert trit.Client("h:1", timeout=np.float64(3), connections=np.int8(2))


def test_no_limit_is_a_timeout(client):
    for timeout in (math.inf, HUGE, 1e300, np.inf):
        assert client.ping(timeout=timeout)


def test_zero_is_the_group_size_of_a_tensor_with_one_scale(client):
    assert client.project(W.repeat(2, 0), encoding="hf_bitnet", group_size=0).group_size == 0


@pytest.mark.parametrize("name", ["a\0b", "\ud800", 3])
def test_names_that_are_no_text(client, name):
    for field, call in {
        "service": lambda: client.ping(name),
        "layer.run": lambda: client.project(W, layer=(name, "fc", 1)),
        "layer.layer": lambda: client.verify(W, layer=("r", name, 1)),
        "spec.name": lambda: client.layers.create(name, 8, 8),
        "name": lambda: client.layers.delete(name),
        "run": lambda: client.reports.get(name, "fc"),
        "address": lambda: trit.Client(name),
    }.items():
        refuses(lambda _, call=call: call(), field, [name])
    for field in ("token", "token_file"):
        with pytest.raises(trit.InvalidArgument, match=f"^{field}: "):
            trit.Client("h:1", **{field: name})


def test_a_layer_without_a_run_is_refused(client):
    with pytest.raises(trit.InvalidArgument, match="^layer.run: '' names no run; leave layer out"):
        client.project(W, layer=("", "fc", 1))


@pytest.mark.parametrize("port", ["65536", "0", "-1", "99999999999", "x", ""])
def test_ports_that_do_not_exist(port):
    with pytest.raises(
        trit.InvalidArgument, match=f'port "{port}" is not a number from 1'
    ) as refused:
        trit.Client(f"localhost:{port}")
    assert refused.value.field == "address" and f"localhost:{port}" in str(refused.value)


@pytest.mark.parametrize("ids", [[1.5], [True], [[1], [2, 3]], -1, 2**32, "1", None])
def test_ids_that_are_no_indices(client, ids):
    with pytest.raises(trit.InvalidArgument, match="^ids"):
        client.layers.embed("numbers", ids)
