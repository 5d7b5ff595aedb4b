# SPDX-License-Identifier: Apache-2.0
"""The schemas of docs/schema: which one a command's output must follow, and a check of it."""
import functools
import json
import pathlib

import jsonschema
import referencing
from referencing.jsonschema import DRAFT202012

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "docs" / "schema"


@functools.cache
def schemas():
    """Every schema by its name, without the suffix."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


@functools.cache
def validator(name):
    registry = referencing.Registry().with_resources(
        (stem + ".json", DRAFT202012.create_resource(schema)) for stem, schema in schemas().items())
    return jsonschema.Draft202012Validator({"$ref": f"{name}.json"}, registry=registry)


def errors(name, value):
    """Where and why the value violates the schema."""
    return [f"{name}: {error.json_path}: {error.message[:400]}"
            for error in validator(name).iter_errors(value)]


def parse(text):
    """Parses strict JSON, without NaN and Infinity."""
    def refuse(word):
        raise AssertionError(f"{word} is not JSON")
    return json.loads(text, parse_constant=refuse)


def schema_of(words):
    """The schema of a command line's output; None if the output is not JSON."""
    words = [str(word) for word in words]
    if not {"--json", "-j"} & set(words) or {"--help", "-h"} & set(words):
        return None
    if {"--dry-run", "-n"} & set(words):
        return "plan"
    return "-".join(words[:2]) if words[0] == "layers" else words[0]


def check(words, output):
    """Fails if the output of a command line violates its schema. A refused command prints no
    JSON."""
    name = schema_of(words)
    if name in schemas() and output.strip():
        found = errors(name, parse(output))
        assert not found, "\n".join(found)
