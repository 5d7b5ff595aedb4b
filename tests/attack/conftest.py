# SPDX-License-Identifier: Apache-2.0
"""The fixtures of tests/e2e, for the attacks."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from fixtures import authority, daemon, random, run, server, start  # noqa: E402,F401


def pytest_configure(config):
    import resource
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
