# SPDX-License-Identifier: Apache-2.0
"""Arguments of a wrong type raise a TypeError that names the argument and the value's type."""

import numpy as np
import pytest

import trit
import trit.aio
import trit.local
import trit.verification

W = np.ones((2, 128), np.float32)


def refuses(call, field, kind):
    with pytest.raises(TypeError) as refused:
        call()
    assert isinstance(refused.value, trit.InvalidType)
    assert refused.value.field == field
    message = str(refused.value)
    assert message.startswith(f"{field}: must be ") and f", not {kind} (" in message, message


@pytest.mark.parametrize(
    "arguments, field, kind",
    [
        (dict(address=7661), "address", "int"),
        (dict(address=b"h:1"), "address", "bytes"),
        (dict(timeout="5"), "timeout", "str"),
        (dict(timeout=True), "timeout", "bool"),
        (dict(connections="2"), "connections", "str"),
        (dict(connections=1.0), "connections", "float"),
        (dict(stream_bytes_min=None), "stream_bytes_min", "NoneType"),
        (dict(message_bytes_max=True), "message_bytes_max", "bool"),
    ],
)
@pytest.mark.parametrize("kind_of_client", [trit.Client, trit.aio.Client])
def test_clients(kind_of_client, arguments, field, kind):
    refuses(lambda: kind_of_client(**arguments), field, kind)


def test_threads_are_a_number():
    refuses(lambda: trit.aio.Client(threads="8"), "threads", "str")


@pytest.mark.parametrize(
    "method, arguments, field, kind",
    [
        ("ping", dict(service=3), "service", "int"),
        ("project", dict(tensor="w"), "tensor", "str"),
        ("project", dict(tensor=None), "tensor", "NoneType"),
        ("project", dict(tensor=W, group_size="128"), "options.group_size", "str"),
        ("project", dict(tensor=W, group_size=128.0), "options.group_size", "float"),
        ("project", dict(tensor=W, encoding=None), "options.encoding", "NoneType"),
        ("project", dict(tensor=W, encoding=1.0), "options.encoding", "float"),
        ("project", dict(tensor=W, partial_group=b"padded"), "options.partial_group", "bytes"),
        ("project", dict(tensor=W, report=False), "options.report", "bool"),
        ("project", dict(tensor=W, layer="run"), "layer", "str"),
        ("project", dict(tensor=W, layer=("run", 3, 1)), "layer.layer", "int"),
        ("project", dict(tensor=W, layer=("run", "l", "1")), "layer.step", "str"),
        ("project", dict(tensor=W, out="file"), "out", "str"),
        ("project", dict(tensor=W, progress=3), "progress", "int"),
        ("verify", dict(tensor=W, tolerance="0"), "tolerance", "str"),
        ("verify", dict(tensor=W, mode=None), "options.mode", "NoneType"),
        ("verify", dict(tensor=W, reference="w"), "reference", "str"),
        ("verify", dict(tensor=W, encoding="int8", scales=3), "scales", "int"),
        ("verify", dict(tensor=W, shape=256), "shape", "int"),
        ("verify", dict(tensor=W, shape=(2, "128")), "shape", "str"),
        ("unpack", dict(packed=W, dtype=None), "dtype", "NoneType"),
        ("backward", dict(grad_ternary=[1.0]), "grad_ternary", "list"),
    ],
)
def test_calls(client, method, arguments, field, kind):
    refuses(lambda: getattr(client, method)(**arguments), field, kind)


@pytest.mark.parametrize(
    "method, arguments, field, kind",
    [
        ("create", dict(name=1, in_features=8, out_features=8), "spec.name", "int"),
        ("create", dict(name="x", in_features="8", out_features=8), "spec.in_features", "str"),
        ("create", dict(name="x", in_features=8, out_features=8.0), "spec.out_features", "float"),
        ("create", dict(name="x", in_features=8, out_features=8, bias="no"), "spec.bias", "str"),
        ("create", dict(name="x", in_features=8, out_features=8, seed="7"), "seed", "str"),
        ("load", dict(name="x", weight="w"), "weight", "str"),
        ("load", dict(name="x", weight=W, keep_latents=1), "spec.keep_latents", "int"),
        ("forward", dict(name=None, x=W), "name", "NoneType"),
        ("forward", dict(name="x", x=3), "x", "int"),
        ("embed", dict(name="x", ids="1"), "ids", "str"),
        ("get", dict(name="x", part=None), "part", "NoneType"),
        ("get", dict(name="x", like="numpy"), "like", "str"),
        ("list", dict(prefix=1), "prefix", "int"),
        ("verify", dict(tolerance=[0]), "tolerance", "list"),
    ],
)
def test_calls_of_layers(client, method, arguments, field, kind):
    refuses(lambda: getattr(client.layers, method)(**arguments), field, kind)


@pytest.mark.parametrize(
    "method, arguments, field, kind",
    [
        ("get", dict(run=1, layer="l"), "run", "int"),
        ("get", dict(run="r", layer="l", step="1"), "step", "str"),
        ("list", dict(from_step=0.5), "from_step", "float"),
        ("list", dict(latest_only="yes"), "latest_only", "str"),
        ("latest", dict(layer=b"l"), "layer", "bytes"),
    ],
)
def test_calls_of_reports(client, method, arguments, field, kind):
    refuses(lambda: getattr(client.reports, method)(**arguments), field, kind)


@pytest.mark.parametrize(
    "method, arguments, field, kind",
    [
        ("project", dict(source=3), "source", "int"),
        ("project", dict(source=3, out="o"), "source", "int"),
        ("project", dict(source=b"file", out="o"), "source", "bytes"),
        ("project", dict(source={"w": W}, out=3), "out", "int"),
        ("project", dict(source={"w": W}, include=3), "include", "int"),
        ("project", dict(source={"w": W}, exclude=b"w"), "exclude", "bytes"),
        ("project", dict(source={"w": W}, exclude=["w", 3]), "exclude", "int"),
        ("project", dict(source={"w": W}, convolutions="no"), "convolutions", "str"),
        ("project", dict(source={"w": W}, force=1), "force", "int"),
        ("project", dict(source={"w": W}, again="no"), "again", "str"),
        ("project", dict(source={"w": W}, allow_lost="no"), "allow_lost", "str"),
        ("project", dict(source={"w": W}, group_size="128"), "group_size", "str"),
        ("project", dict(source={"w": W}, run=7), "run", "int"),
        ("project", dict(source={"w": W}, run="r", step="1"), "step", "str"),
        ("project", dict(source={"w": W}, progress="bar"), "progress", "str"),
        ("project", dict(source={3: W}), "source", "int"),
        ("verify", dict(source={"w": W}, against=3), "against", "int"),
        ("verify", dict(source={"w": W}, tolerance="0"), "tolerance", "str"),
        ("verify", dict(source={"w": W}, timeout="5"), "timeout", "str"),
        ("verify", dict(source={"w": W}, accept_record="no"), "accept_record", "str"),
        ("inspect", dict(source=None), "source", "NoneType"),
    ],
)
def test_calls_of_checkpoints(client, method, arguments, field, kind):
    refuses(lambda: getattr(client.checkpoint, method)(**arguments), field, kind)


def test_local_and_callbacks(client):
    refuses(lambda: trit.local.project([1.0]), "w", "list")
    refuses(lambda: trit.local.project(W, "128"), "group_size", "str")
    make = trit.verification.VerifyEvery
    refuses(lambda: make(list, "127.0.0.1:1", "run"), "client", "str")
    refuses(lambda: make(list, client, None), "run", "NoneType")
    refuses(lambda: make(list, client, "run", every="2"), "every", "str")
    refuses(lambda: make(list, client, "run", callback=3), "callback", "int")


@pytest.mark.parametrize("module", ["torch", "mlx"])
def test_models(client, module):
    pytest.importorskip({"torch": "torch", "mlx": "mlx.nn"}[module])
    import importlib

    ours = importlib.import_module("trit." + module)
    layer = ours.TernaryLinear(128, 8)
    refuses(lambda: ours.convert(3), "model", "int")
    refuses(lambda: ours.convert(layer, include=3), "include", "int")
    refuses(lambda: ours.convert(layer, client="127.0.0.1:1"), "client", "str")
    refuses(lambda: ours.convert(layer, group_size="64"), "group_size", "str")
    refuses(lambda: ours.set_client(layer, 3), "client", "int")
    refuses(lambda: ours.project_local(W), "latent", "ndarray")
    refuses(lambda: ours.TernaryLinear(128, 8, client=3), "client", "int")
    refuses(lambda: ours.verify_ternary_weights(layer, client, run=3), "run", "int")


def test_masked_arrays_are_refused(client):
    """Their mask would be lost, and with it which elements count."""
    masked = np.ma.masked_array(W, mask=np.eye(2, 128))
    indices = np.ma.masked_array([1], mask=[1])
    calls = {
        "tensor": lambda: client.project(masked),
        "reference": lambda: client.verify(W, reference=masked),
        "l": lambda: client.checkpoint.project({"l": masked}),
        "w": lambda: trit.local.project(masked),
        "out": lambda: client.project(W, out=np.ma.zeros(W.shape, np.float32)),
        "indices": lambda: trit._arrays.view_integers(indices, "indices"),
    }
    for field, call in calls.items():
        with pytest.raises(trit.InvalidType, match="masked array.*array.filled") as refused:
            call()
        assert field in refused.value.field
    client.project(masked.filled(0))
