# SPDX-License-Identifier: Apache-2.0
"""The package as installed and as shipped."""

import importlib.util
import inspect
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

import trit
from daemon import BINARIES


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


# ---- the wheel that `make wheel` made ----------------------------------------------------


@pytest.fixture
def wheel():
    found = list((BINARIES.parent / "dist").glob("trit-*.whl"))
    if not found:
        pytest.skip("there is no wheel; `make wheel` makes it")
    return found[0]


# It serves every Python of a platform, and contains what a machine may lack, each library once
# and with its copyright notice.
def test_a_wheel_carries_its_libraries(wheel):
    assert re.fullmatch(
        rf"trit-{re.escape(trit.__version__)}-py3-none-manylinux_2_\d+_\w+\.whl", wheel.name
    )
    inside = zipfile.ZipFile(wheel).namelist()
    assert {"trit/py.typed", "trit/_ffi.py", "trit/_lib/libtrit.so"} <= set(inside)
    libraries = [path.rpartition("/")[2] for path in inside if re.search(r"\.so[.\d]*$", path)]
    names = sorted(re.sub(r"(-[0-9a-f]{8})?\.so.*", "", one) for one in libraries)
    assert len(names) == len(set(names))
    assert {"libtrit", "libgnutls", "libnghttp2", "libjansson"} <= set(names)
    if shutil.which("dpkg-query"):
        noticed = {re.split(r"\.so", path)[0] for path in inside if path.endswith(".copyright")}
        assert {"trit/_lib/" + one for one in names} - noticed == {"trit/_lib/libtrit"}


# In an environment that has nothing else it works, with its own libraries.
def test_a_wheel_works_in_a_clean_environment(wheel, daemon, tmp_path):
    if importlib.util.find_spec("torch"):
        pytest.skip("once is enough: in the environment of MLX")
    make = [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")]
    subprocess.run(make, check=True)
    clean = str(tmp_path / "venv/bin/python")
    pip = [sys.executable, "-m", "pip", "--python", clean, "--disable-pip-version-check"]
    installed = subprocess.run(
        [*pip, "install", "-q", "--prefer-binary", str(wheel)], capture_output=True, text=True
    )
    if installed.returncode != 0 and "connection" in installed.stderr.lower():
        pytest.skip("the registry does not answer")
    assert installed.returncode == 0, installed.stderr
    program = f"""
import re, numpy, trit
with trit.Client({daemon.rpc!r}, timeout=600) as client:
    made = client.project(numpy.ones((2, 128), numpy.float32), encoding="pq2_0")
    print(client.verify(made).verdict)
maps = open("/proc/self/maps").read()
print(*set(re.findall(r"/\\S*/lib(?:trit|gnutls|nghttp2|jansson|nettle)\\S*", maps)))
"""
    env = {key: value for key, value in os.environ.items() if key != "TRIT_LIBRARY"}
    done = subprocess.run(
        [clean, "-I", "-c", program], capture_output=True, text=True, env=env, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    verdict, *loaded = done.stdout.split()
    assert verdict == "pass" and len(loaded) == 5
    assert all(path.startswith(str(tmp_path)) for path in loaded), loaded
