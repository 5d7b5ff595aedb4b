# SPDX-License-Identifier: Apache-2.0
"""Writes the Python code of a Markdown file, block by block, for type checkers:

    python tests/tools/readme-blocks.py README.md FOLDER
"""

import pathlib
import re
import sys

source, folder = map(pathlib.Path, sys.argv[1:])
folder.mkdir(parents=True, exist_ok=True)
for old in folder.glob("readme_*.py"):
    old.unlink()
blocks = re.findall(r"^```python\n(.*?)^```", source.read_text(), re.M | re.S)
for number, block in enumerate(blocks):
    (folder / f"readme_{number}.py").write_text(block)
