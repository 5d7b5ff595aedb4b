# SPDX-License-Identifier: Apache-2.0
"""Programs of other projects, which tests/tools/go-tools.sh builds or Debian has."""
import os
import pathlib
import shutil
import subprocess

import pytest

from tritd import CALL_SECONDS, ROOT

FOLDER = pathlib.Path(os.environ.get("TRIT_STUBS", ROOT / "build" / "stubs")).parent / "tools"


def tool(name):
    """Its path; the test is skipped where it is missing."""
    found = shutil.which(name, path=f"{FOLDER}{os.pathsep}{os.environ['PATH']}:/usr/sbin")
    if not found:
        pytest.skip(f"{name} is missing here")
    return found


def run(name, *words, seconds=CALL_SECONDS, **more):
    return subprocess.run([tool(name), *map(str, words)], text=True, capture_output=True,
                          timeout=seconds, **more)
