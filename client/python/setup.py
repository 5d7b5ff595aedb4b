# SPDX-License-Identifier: Apache-2.0
"""Puts libtrit into the package.

The build makes trit/_ffi.py, the C declarations from the headers of this tree, trit/_version.py,
and trit/_lib/, libtrit. No compiler is needed if libtrit.so is built already. TRIT_O names the
folder that has it; without TRIT_O it is build/release of this checkout, where make builds it.
`make wheel` then has auditwheel put the libraries into the wheel that a machine may lack.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:
    from wheel.bdist_wheel import bdist_wheel

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TOPICS = (
    "version",
    "base",
    "client",
    "buffer",
    "tensor",
    "report",
    "ternary",
    "layers",
    "checkpoint",
    "jobs",
)
# In the order in which they need each other.
HEADERS = [
    ROOT / "proto/trit/types.h",
    *(ROOT / f"client/include/trit/{topic}.h" for topic in TOPICS),
]
# Parts of glibc, which every machine has.
GLIBC = re.compile(r"(ld-linux.*|linux-vdso|lib(c|m|dl|rt|pthread))\.so")


def version():
    """The version that the Makefile has."""
    return re.search(r"^VERSION := (\S+)", (ROOT / "Makefile").read_text(), re.M).group(1)


def declarations():
    """The headers as cffi reads them: without preprocessor, comments and visibility."""
    text = "\n".join(path.read_text() for path in HEADERS)
    text = text.replace("\\\n", " ")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r"^#ifdef __cplusplus.*?^#endif", "", text, flags=re.S | re.M)
    text = re.sub(r"^#.*$", "", text, flags=re.M)
    return text.replace("TRIT_API ", "")


def ffi_module():
    """The cffi module of the declarations."""
    import cffi

    ffi = cffi.FFI()
    ffi.set_source("trit._ffi", None)
    ffi.cdef(declarations())
    return ffi


def library():
    """The path of libtrit.so; builds it if it is missing."""
    folder = os.environ.get("TRIT_O")
    path = pathlib.Path(folder or ROOT / "build/release") / "libtrit.so"
    if not path.exists() and not folder:
        subprocess.run(["make", "-C", str(ROOT), "build/release/libtrit.so"], check=True)
    if not path.exists():
        sys.exit(f"{path} does not exist; `make bins` builds it")
    return path.resolve()


def notices(path):
    """Soname and copyright notice of the libraries that `path` needs, where Debian has one."""
    listed = subprocess.run(["ldd", str(path)], check=True, capture_output=True, text=True)
    for name, file in re.findall(r"^\s*(\S+) => (/\S+)", listed.stdout, re.M):
        for owned in (file, os.path.realpath(file)):
            if GLIBC.match(name) or not shutil.which("dpkg-query"):
                continue
            query = subprocess.run(["dpkg-query", "-S", owned], capture_output=True, text=True)
            package = query.stdout.partition(":")[0]
            notice = pathlib.Path("/usr/share/doc", package, "copyright")
            if query.returncode == 0 and notice.is_file():
                yield name, notice
                break


class BuildWithLibrary(build_py):
    """Adds libtrit and the generated modules to the package."""

    def run(self):
        """Builds the package."""
        if not self.editable_mode:
            shutil.rmtree(self.build_lib, ignore_errors=True)  # modules that were removed
        super().run()
        package = pathlib.Path(
            self.get_package_dir("trit")
            if self.editable_mode
            else pathlib.Path(self.build_lib) / "trit"
        )
        folder = package / "_lib"
        folder.mkdir(parents=True, exist_ok=True)
        ffi_module().emit_python_code(str(package / "_ffi.py"))
        (package / "_version.py").write_text(f'VERSION = "{version()}"\n')
        path = library()
        shutil.copyfile(path, folder / "libtrit.so")
        for name, notice in notices(path):
            shutil.copyfile(notice, folder / (name + ".copyright"))


class PlatformWheel(bdist_wheel):
    """Makes one wheel for every Python of a platform: libtrit does not depend on Python."""

    def get_tag(self):
        """Python 3, no ABI, this platform."""
        return "py3", "none", super().get_tag()[2]


class WithLibrary(Distribution):
    """Says that the package has binaries."""

    def has_ext_modules(self):
        """Always true: it has libtrit."""
        return True


SCRATCH = ROOT / "build" / "python"  # where all build products go
SCRATCH.mkdir(parents=True, exist_ok=True)

setup(
    version=version(),
    distclass=WithLibrary,
    cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel},
    options={"build": {"build_base": str(SCRATCH)}, "egg_info": {"egg_base": str(SCRATCH)}},
)
