# SPDX-License-Identifier: Apache-2.0
"""The Python code of client/python/README.md runs."""

import re

import pytest
from daemon import ROOT

CODE = re.findall(
    r"^```python\n(.*?)^```", (ROOT / "client/python/README.md").read_text(), re.M | re.S
)


@pytest.mark.parametrize("code", CODE, ids=range(len(CODE)))
def test_the_readme_runs(daemon, code):
    if "torch" in code:
        pytest.importorskip("torch")
    assert "127.0.0.1:6561" in code
    exec(compile(code.replace("127.0.0.1:6561", daemon.rpc), "README.md", "exec"), {})
