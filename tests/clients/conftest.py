# SPDX-License-Identifier: Apache-2.0
"""The fixtures of tests/e2e, for the clients of make test-clients."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from fixtures import daemon, start  # noqa: E402,F401
