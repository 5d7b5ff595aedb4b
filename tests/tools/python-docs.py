# SPDX-License-Identifier: Apache-2.0
"""Builds the reference of the Python package from its docstrings, as HTML:

    python tests/tools/python-docs.py FOLDER

A module is left out, with a word, if its framework is missing. A public name that has no place
on its module's page is an error.
"""

import importlib
import pathlib
import sys

import pdoc
import trit

folder = pathlib.Path(sys.argv[1])
package = pathlib.Path(trit.__file__).parent
modules = {"trit": trit}
for name in sorted(path.stem for path in package.glob("[!_]*.py")):
    try:
        modules[f"trit.{name}"] = importlib.import_module(f"trit.{name}")
    except ImportError as missing:
        print(f"trit.{name} is left out: {missing}")

pdoc.render.configure(docformat="google", footer_text=f"trit {trit.__version__}")
pdoc.pdoc(*modules, output_directory=folder)

absent = [
    f"{name}.{public}"
    for name, module in modules.items()
    for public in getattr(module, "__all__", ())
    if f'id="{public}"' not in (folder / (name.replace(".", "/") + ".html")).read_text()
]
if absent:
    sys.exit(f"{folder} lacks {', '.join(absent)}")
print(f"{folder}/index.html: {len(modules)} modules")
