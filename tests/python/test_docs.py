# SPDX-License-Identifier: Apache-2.0
"""All public docstrings have their sections, and their examples run."""

import ast
import asyncio
import contextlib
import doctest
import enum
import importlib
import inspect
import io
import re
import typing

import numpy as np
import pytest

import trit
import trit.aio
import trit.checkpoint
import trit.checkpoints
import trit.conversion
import trit.layers
import trit.local
import trit.reports
import trit.types
import trit.verification

MODULES = [
    trit,
    trit.aio,
    trit.checkpoint,
    trit.checkpoints,
    trit.conversion,
    trit.errors,
    trit.layers,
    trit.local,
    trit.reports,
    trit.verification,
]
for optional in ("torch", "mlx", "transformers", "lightning"):
    try:
        MODULES.append(importlib.import_module("trit." + optional))
    except ImportError:
        pass


def members(owner):
    """The documented functions, methods and properties of a class, including those inherited
    from classes of the package."""
    for kind in reversed(owner.__mro__):
        if not kind.__module__.startswith("trit"):
            continue
        for name, value in vars(kind).items():
            value = getattr(value, "__func__", value)
            if name == "__init__" and kind.__init__.__doc__ is None:
                continue  # callers do not make such objects
            if name.startswith("_") and name not in ("__init__", "__call__"):
                continue
            if isinstance(value, property) and value.fget.__name__.startswith("_"):
                continue  # the latents, an attribute to those who read them
            if inspect.isfunction(value) or isinstance(value, property):
                yield f"{kind.__module__}.{kind.__name__}.{name}", value


def everything():
    """Everything public by its name, each once."""
    found = {}
    for module in MODULES:
        found.setdefault(module.__name__, module)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) and value.__module__.startswith("trit"):
                found[f"{value.__module__}.{name}"] = value
                found.update(members(value))
            elif inspect.isfunction(value):
                found[f"{value.__module__}.{name}"] = value
    return found


PUBLIC = everything()
FUNCTIONS = {name: one for name, one in PUBLIC.items() if inspect.isfunction(one)}
CLASSES = {name: one for name, one in PUBLIC.items() if inspect.isclass(one)}


def sections(documented):
    """The sections of a docstring by their titles."""
    parts = re.split(
        r"^(Args|Attributes|Returns|Raises|Example):\n",
        inspect.cleandoc(documented.__doc__),
        flags=re.M,
    )
    return dict(zip(parts[1::2], parts[2::2]))


def named(section):
    """The names that a section describes."""
    return re.findall(r"^    (\w+): ", section, re.M)


def test_everything_public_is_found():
    assert len(FUNCTIONS) > 50 and len(CLASSES) > 40
    assert "trit.aio.Layers.forward" in FUNCTIONS and "trit.client.Client.project" in FUNCTIONS


# Docstrings describe each parameter, in order, and the result.
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_describe_what_they_take_and_give(name):
    function = FUNCTIONS[name]
    signature = inspect.signature(function)
    parameters = [one for one in signature.parameters if one != "self"]
    assert not any(one.startswith("_") for one in parameters)
    found = sections(function)
    assert named(found.get("Args", "")) == parameters
    gives = signature.return_annotation not in ("None", None)
    assert gives == ("Returns" in found)
    assert "Raises" in found or not parameters or name == "trit.errors.Error.__init__"
    assert "Example" in found


# Each attribute of a class is described; classes that a caller uses have an example.
@pytest.mark.parametrize("name", CLASSES)
def test_classes_describe_their_attributes(name):
    kind = CLASSES[name]
    found = sections(kind)
    fields = list(getattr(kind, "__dataclass_fields__", getattr(kind, "_fields", ())))
    if fields:
        assert named(found["Attributes"]) == fields
    assert "Example" in found or issubclass(kind, trit.Error)


@pytest.mark.parametrize(
    "name", [name for name, one in PUBLIC.items() if isinstance(one, property)]
)
def test_properties_describe_what_they_give(name):
    assert {"Returns", "Example"} <= set(sections(PUBLIC[name]))


# ---- examples --------------------------------------------------------------------------


def run_example(text, names):
    """Runs the lines of an example as an interactive session, which may await."""
    for example in doctest.DocTestParser().get_examples(text):
        printed = io.StringIO()
        code = compile(example.source, "<example>", "single", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        with contextlib.redirect_stdout(printed):
            result = eval(code, names)
            if inspect.iscoroutine(result):
                names["loop"].run_until_complete(result)
        assert doctest.OutputChecker().check_output(example.want, printed.getvalue(), 0), (
            f"{example.source}gave {printed.getvalue()!r}, not {example.want!r}"
        )


@pytest.fixture
def names(daemon, client, tmp_path, monkeypatch):
    """What the examples use: a client, an address, weights, and files in the folder."""
    monkeypatch.chdir(tmp_path)
    weights = np.random.default_rng(7).standard_normal((256, 256)).astype(np.float32)
    with contextlib.suppress(ImportError):
        from safetensors.numpy import save_file

        for folder in (tmp_path, daemon.root):
            save_file(
                {"body.weight": weights, "head.weight": weights[:10].copy()},
                folder / "model.safetensors",
            )
    loop = asyncio.new_event_loop()
    yield {
        "trit": trit,
        "np": np,
        "address": daemon.rpc,
        "client": client,
        "weights": weights,
        "loop": loop,
    }
    loop.close()


def examples():
    """Every docstring that has an example."""
    return [name for name, one in PUBLIC.items() if ">>> " in (one.__doc__ or "")]


@pytest.mark.parametrize("name", examples())
def test_examples_run(names, name):
    text = PUBLIC[name].__doc__
    if "safetensors" in text:
        pytest.importorskip("safetensors")
    if ">>> import torch" in text:
        pytest.importorskip("torch")
    if ".plot(" in text:
        pytest.importorskip("matplotlib").use("Agg")
    if "aio" in name:
        names["client"] = trit.aio.Client(names["address"], timeout=30)
    run_example(text, names)
    if "aio" in name:
        names["loop"].run_until_complete(names["client"].close())


# ---- names of enums --------------------------------------------------------------------


# The names that type checkers know are those of the enum members.
@pytest.mark.parametrize(
    "kind",
    [
        one
        for one in vars(trit.types).values()
        if inspect.isclass(one) and issubclass(one, enum.IntEnum)
    ],
)
def test_literals_are_the_names_of_members(kind):
    literal = getattr(trit.types, kind.__name__ + "Name")
    assert list(typing.get_args(literal)) == [one.name.lower() for one in kind]
