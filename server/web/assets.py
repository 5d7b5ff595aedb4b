# SPDX-License-Identifier: Apache-2.0
"""Writes the files of assets/ as C (assets.h).

    python3 assets.py ASSETS SCHEMAS VERSION > web_assets.c

openapi.json gets the version and, as components, the schemas of docs/schema that it refers to;
their references to each other become references within the document."""
import json
import pathlib
import re
import sys


def local(value, stem):
    """The schema `stem` with references that are right inside of the OpenAPI document."""
    if isinstance(value, list):
        return [local(item, stem) for item in value]
    if not isinstance(value, dict):
        return value
    out = {}
    for key, item in value.items():
        if key == "$schema":
            continue
        if key == "$ref":
            name, _, inside = item.partition("#")
            item = f"#/components/schemas/{name.removesuffix('.json') or stem}{inside}"
        out[key] = item if key == "$ref" else local(item, stem)
    return out


def openapi(text, schemas, version):
    document = json.loads(text)
    document["info"]["version"] = version
    components, wanted = {}, [text]
    while wanted:
        for name in re.findall(r"#/components/schemas/([\w-]+)", wanted.pop()):
            if name not in components:
                schema = json.loads((schemas / f"{name}.json").read_text())
                components[name] = local(schema, name)
                wanted.append(json.dumps(components[name]))
    document["components"]["schemas"] = dict(sorted(components.items()))
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def main(assets, schemas, version):
    print('#include "web/assets.h"\n')
    for path in sorted(pathlib.Path(assets).iterdir()):
        text = path.read_text()
        if path.name == "openapi.json":
            text = openapi(text, pathlib.Path(schemas), version)
        name = re.sub(r"\W", "_", path.name)
        data = text.encode()
        print(f"static const unsigned char {name}[] = {{")
        for at in range(0, len(data), 24):
            print("".join(f"{byte}," for byte in data[at:at + 24]))
        print(f"}};\nconst struct asset asset_{name} = "
              f"{{(const char *){name}, sizeof({name})}};\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
