# SPDX-License-Identifier: Apache-2.0
"""The package as it is installed and shipped."""
import importlib
import inspect
import os
import subprocess
import sys
import zipfile

import pytest

import trit
from daemon import BINARIES, ROOT


def python(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.split()


# torch and mlx are loaded by those who ask for them only.
def test_importing_trit_imports_no_framework():
    loaded = python("import sys, trit, trit.aio, trit.local; print(*sys.modules)")
    assert "numpy" in loaded and not {"torch", "mlx", "ml_dtypes"} & set(loaded)


# Whatever is public says what it takes and gives, and in words what it does.
def test_all_that_is_public_has_hints_and_docstrings():
    import trit.aio
    import trit.checkpoint
    import trit.layers
    import trit.local
    import trit.reports
    rooms = [trit.Client, trit.reports.Reports, trit.layers.Layers, trit.checkpoint.Checkpoint,
             trit.aio.Client, trit.aio.Reports, trit.aio.Layers, trit.aio.Checkpoint, trit.local]
    for module in ("torch", "mlx"):
        try:
            rooms.append(importlib.import_module("trit." + module))
        except ImportError:
            pass
    seen = 0
    for room in rooms:
        names = getattr(room, "__all__", None) or [one for one in vars(room) if one[0] != "_"]
        for public in (getattr(room, name) for name in names):
            if not inspect.isroutine(public) or not public.__module__.startswith("trit"):
                continue
            seen += 1
            assert public.__doc__, public
            for name, one in inspect.signature(public).parameters.items():
                assert name == "self" or one.annotation is not one.empty, (public, name)
            assert inspect.signature(public).return_annotation is not inspect.Signature.empty
    assert seen > 40


# What is asked for by attribute is imported then; a client nobody closed is no noise.
def test_modules_come_on_demand_and_leaving_is_quiet(daemon):
    assert python(f"import trit; client = trit.Client({daemon.rpc!r}); "
                  "print(client.ping(), trit.aio.Client.__name__, hasattr(trit, 'zip'))"
                  ) == ["True", "Client", "False"]


# The stubs made of proto/ are in a package trit too, and both can be had.
def test_stubs_beside_the_package(tmp_path):
    (tmp_path / "trit" / "v1").mkdir(parents=True)
    (tmp_path / "trit" / "v1" / "ternary_pb2.py").write_text("NAME = 'stub'\n")
    assert python(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
                  "import trit\nfrom trit.v1 import ternary_pb2\n"
                  "print(ternary_pb2.NAME, trit.Client.__name__)") == ["stub", "Client"]


# A library older than the package is refused, for it may lack functions; a newer one serves.
@pytest.mark.parametrize("version, outcome", [("999.0.0", "refused"), ("0.0.1", "imported")])
def test_a_library_older_than_the_package_is_refused(version, outcome):
    assert python(f"""
import sys, types
other = types.ModuleType("trit._version")
other.VERSION = {version!r}
sys.modules["trit._version"] = other
try:
    import trit
    trit.Client("127.0.0.1:1").close()
    print("imported")
except ImportError as refused:
    print("refused" if {version!r} in str(refused) else refused)
""") == [outcome]


# A wheel serves every Python of the platform and brings its library along.
def test_a_wheel_carries_its_library(tmp_path):
    for needed in ("setuptools", "wheel", "pip"):
        pytest.importorskip(needed)
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps",
                    "--no-build-isolation", "-w", str(tmp_path), str(ROOT / "client/python")],
                   check=True, env=dict(os.environ, TRIT_O=str(BINARIES)))
    wheel, = tmp_path.glob("*.whl")
    assert wheel.name.startswith(f"trit-{trit.__version__}-py3-none-linux_")
    inside = zipfile.ZipFile(wheel).namelist()
    for name in ("libtrit.so", "libnghttp2.so.14", "libjansson.so.4"):
        assert f"trit/_lib/{name}" in inside
    assert "trit/py.typed" in inside and "trit/_ffi.py" in inside
