# SPDX-License-Identifier: Apache-2.0
"""The fixtures of tests/e2e, for the clients of make test-clients."""
import importlib.util
import pathlib
import sys

E2E = pathlib.Path(__file__).resolve().parents[1] / "e2e"
sys.path.insert(0, str(E2E))
_spec = importlib.util.spec_from_file_location("e2e_conftest", E2E / "conftest.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
daemon, start = _module.daemon, _module.start
