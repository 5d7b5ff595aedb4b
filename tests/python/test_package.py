# SPDX-License-Identifier: Apache-2.0
"""The package as installed and as shipped."""

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


# Importing trit does not import torch and mlx.
def test_importing_trit_imports_no_framework():
    loaded = python("import sys, trit, trit.aio, trit.local; print(*sys.modules)")
    assert "numpy" in loaded and not {"torch", "mlx", "ml_dtypes"} & set(loaded)


# The asyncio twin has the methods of the blocking client, with the same parameters.
def test_the_asyncio_twin_has_the_same_signatures():
    import trit.aio
    import trit.checkpoint
    import trit.layers
    import trit.reports

    count = 0
    for blocking, twin in [
        (trit.Client, trit.aio.Client),
        (trit.reports.Reports, trit.aio.Reports),
        (trit.layers.Layers, trit.aio.Layers),
        (trit.checkpoint.Checkpoint, trit.aio.Checkpoint),
    ]:
        for name, method in vars(blocking).items():
            if name.startswith("_") or not inspect.isfunction(method):
                continue
            awaited = getattr(twin, name)
            hints = inspect.signature(method)
            if name == "watch":  # an iterator there, an asynchronous one here
                assert inspect.isasyncgenfunction(awaited)
                assert inspect.signature(awaited).parameters == hints.parameters
            else:
                assert inspect.iscoroutinefunction(awaited)
                assert inspect.signature(awaited) == hints, name
            assert all(
                one.annotation is not one.empty for one in list(hints.parameters.values())[1:]
            ), name
            assert hints.return_annotation is not hints.empty, name
            count += 1
    assert count > 20


# Modules are imported when they are first used; a client that is not closed prints nothing.
def test_modules_come_on_demand_and_leaving_is_quiet(daemon):
    assert python(
        f"import trit; client = trit.Client({daemon.rpc!r}); "
        "print(client.ping(), trit.aio.Client.__name__, hasattr(trit, 'zip'))"
    ) == ["True", "Client", "False"]


# The stubs of proto/ are in a package trit too, and both can be imported.
def test_stubs_and_package_together(tmp_path):
    (tmp_path / "trit" / "v1").mkdir(parents=True)
    (tmp_path / "trit" / "v1" / "ternary_pb2.py").write_text("NAME = 'stub'\n")
    assert python(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import trit\nfrom trit.v1 import ternary_pb2\n"
        "print(ternary_pb2.NAME, trit.Client.__name__)"
    ) == ["stub", "Client"]


# A library older than the package is refused because it may lack functions; a newer one is used.
@pytest.mark.parametrize(("version", "outcome"), [("999.0.0", "refused"), ("0.0.1", "imported")])
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


# A wheel works with every Python of the platform and contains its library.
def test_a_wheel_carries_its_library(tmp_path):
    for needed in ("setuptools", "wheel", "pip"):
        pytest.importorskip(needed)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            str(tmp_path),
            str(ROOT / "client/python"),
        ],
        check=True,
        env=dict(os.environ, TRIT_O=str(BINARIES)),
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith(f"trit-{trit.__version__}-py3-none-linux_")
    inside = zipfile.ZipFile(wheel).namelist()
    for name in ("libtrit.so", "libnghttp2.so.14", "libjansson.so.4"):
        assert f"trit/_lib/{name}" in inside
    assert "trit/py.typed" in inside and "trit/_ffi.py" in inside
