# SPDX-License-Identifier: Apache-2.0
"""Puts libtrit into the package.

Two files are made while building: trit/_ffi.py, the C declarations taken from
the headers of this tree (so that they are those of the library beside them),
and trit/_lib/, libtrit with the libraries it needs that a machine may lack.
No compiler is needed where libtrit.so is built already. TRIT_O names the folder
that has it; without, it is build/release of this checkout, where make builds it.
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
# In the order in which they need each other.
HEADERS = [ROOT / "proto/trit/types.h", *(
    ROOT / "client/include/trit" / name for name in (
        "version.h", "base.h", "client.h", "tensor.h", "report.h", "ternary.h", "layers.h",
        "checkpoint.h"))]
# Carried, because a machine may lack them.
CARRIED = re.compile(r"lib(nghttp2|jansson)\.so")


def version():
    return re.search(r"^VERSION := (\S+)", (ROOT / "Makefile").read_text(), re.M).group(1)


def declarations():
    """The headers as cffi reads them: no preprocessor, no comments, no visibility."""
    text = "\n".join(path.read_text() for path in HEADERS)
    text = text.replace("\\\n", " ")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r"^#ifdef __cplusplus.*?^#endif", "", text, flags=re.S | re.M)
    text = re.sub(r"^#.*$", "", text, flags=re.M)
    return text.replace("TRIT_API ", "")


def ffi_module():
    import cffi
    ffi = cffi.FFI()
    ffi.set_source("trit._ffi", None)
    ffi.cdef(declarations())
    return ffi


def library():
    folder = os.environ.get("TRIT_O")
    path = pathlib.Path(folder or ROOT / "build/release") / "libtrit.so"
    if not path.exists() and not folder:
        subprocess.run(["make", "-C", str(ROOT), "build/release/libtrit.so"], check=True)
    if not path.exists():
        sys.exit(f"{path} is not there: `make bins` builds it")
    return path.resolve()


def needed(path):
    """The carried libraries: soname and file."""
    listed = subprocess.run(["ldd", str(path)], check=True, capture_output=True, text=True)
    found = re.findall(r"^\s*(\S+) => (/\S+)", listed.stdout, re.M)
    return [(name, file) for name, file in found if CARRIED.match(name)]


class BuildWithLibrary(build_py):
    def run(self):
        if not self.editable_mode:
            shutil.rmtree(self.build_lib, ignore_errors=True)  # modules that are no more
        super().run()
        package = pathlib.Path(self.get_package_dir("trit") if self.editable_mode
                               else pathlib.Path(self.build_lib) / "trit")
        folder = package / "_lib"
        folder.mkdir(parents=True, exist_ok=True)
        ffi_module().emit_python_code(str(package / "_ffi.py"))
        (package / "_version.py").write_text(f'VERSION = "{version()}"\n')
        path = library()
        shutil.copyfile(path, folder / "libtrit.so")
        for name, file in needed(path):
            shutil.copyfile(file, folder / name)
            for notice in pathlib.Path("/usr/share/doc").glob(name.split(".")[0] + "-*/copyright"):
                shutil.copyfile(notice, folder / (name + ".copyright"))


class PlatformWheel(bdist_wheel):
    """One wheel for every Python of one platform: the library is not Python's."""

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


class WithLibrary(Distribution):
    def has_ext_modules(self):
        return True


SCRATCH = ROOT / "build" / "python"  # where everything made of this tree goes
SCRATCH.mkdir(parents=True, exist_ok=True)

setup(version=version(), distclass=WithLibrary,
      cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel},
      options={"build": {"build_base": str(SCRATCH)}, "egg_info": {"egg_base": str(SCRATCH)}})
