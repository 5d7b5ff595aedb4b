# SPDX-License-Identifier: Apache-2.0
"""The schemas of docs/schema: which one a command's output must follow, and a check of it."""
import functools
import json
import pathlib
import re

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


# Members that the schemas declare as 64-bit integers, which are strings in JSON.
INTEGER = re.compile("(0|[1-9][0-9]{0,19})")


@functools.cache
def integers():
    """The names of all members that are, or hold, 64-bit integers."""
    def inside(schema):
        reference = str(schema.get("$ref", ""))
        if "/uint64" in reference or reference.endswith(("/shape", "/transitions")):
            return True
        return any(inside(part) for part in [schema.get("items"), *schema.get("anyOf", [])]
                   if isinstance(part, dict))

    def search(node):
        if isinstance(node, list):
            return set().union(*map(search, node))
        if not isinstance(node, dict):
            return set()
        named = node.get("properties")
        found = {name for name, schema in named.items() if isinstance(schema, dict)
                 and inside(schema)} if isinstance(named, dict) else set()
        return found.union(*map(search, node.values()))
    return search(list(schemas().values()))


def read(text):
    """Parses the JSON of trit or of HTTP. Its 64-bit integers become ints, so that tests can
    count with them."""
    def convert(value, name=None):
        if isinstance(value, dict):
            return {key: convert(one, key) if name != "metadata" else one
                    for key, one in value.items()}
        if isinstance(value, list):
            return [convert(one, name) for one in value]
        whole = name in integers() and isinstance(value, str) and INTEGER.fullmatch(value)
        return int(value) if whole else value
    return convert(parse(text))


def schema_of(words):
    """The schema of a command line's output; None if the output is not JSON."""
    words = [str(word) for word in words]
    if not {"--json", "-j"} & set(words) or {"--help", "-h"} & set(words):
        return None
    if {"--dry-run", "-n"} & set(words):
        return "plan"
    if words[0] == "jobs":
        return {"list": "jobs", "--json": "jobs", "plan": "plan"}.get(words[1], words[1])
    if words[0] == "layers" or (words[0] == "reports" and words[1:] and
                                f"reports-{words[1]}" in schemas()):
        return "-".join(words[:2])
    return words[0]


def check(words, output):
    """Fails if the output of a command line violates its schema. A refused command prints no
    JSON."""
    name = schema_of(words)
    if name in schemas() and output.strip():
        lines = output.splitlines() if name == "reports-watch" else [output]
        found = [error for line in lines for error in errors(name, parse(line))]
        assert not found, "\n".join(found)
