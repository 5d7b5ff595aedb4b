# SPDX-License-Identifier: Apache-2.0
"""The binary interface of libtrit (docs/abi.md): programs built with the headers of one
version run with the library of another. tests/data/abi has the headers of past versions;
tests/abi/abi.py makes those of a later one."""
import concurrent.futures
import os
import shlex
import subprocess
import sys

import pytest

from tritd import BINARIES, DATA, ROOT, VARIANT

sys.path.insert(0, str(ROOT / "tests" / "abi"))

import abi  # noqa: E402

FROZEN = sorted(path for path in (DATA / "abi").iterdir() if path.is_dir())
BUILT = pytest.mark.skipif(VARIANT not in ("release", "cov"), reason="builds plain programs")
# Sources of the library; the others do not use the structs of trit.h.
PARTS = ["client/lib", "server/drive", "checkpoint", "proto", "proto/codec"]


@pytest.fixture(scope="session")
def headers(tmp_path_factory):
    """Today's headers, as they are installed."""
    folder = tmp_path_factory.mktemp("headers")
    abi.copy_headers(folder)
    return folder


@pytest.fixture(scope="session")
def grown(headers, tmp_path_factory):
    """Headers of a later version."""
    folder = tmp_path_factory.mktemp("grown")
    abi.grow(headers, folder)
    assert len([one for one in abi.structs(folder).values() if one[-1] == "added"]) == 36
    return folder


def compile_all(sources, folder, flags):
    """Objects of the sources."""
    def compile_one(source):
        target = folder / (str(source).replace("/", "-") + ".o")
        subprocess.run([*flags, "-O0", "-c", "-o", target, source], check=True, cwd=ROOT)
        return target

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(compile_one, sources))


@pytest.fixture(scope="session")
def later(grown, tmp_path_factory):
    """The library of the later version: today's sources, whose structs have grown."""
    folder = tmp_path_factory.mktemp("later")
    flags = shlex.split((BINARIES / "flags").read_text())
    flags[1:1] = ["-include", str(grown / "trit" / "types.h"), f"-I{grown}"]
    objects = compile_all([path.relative_to(ROOT) for part in PARTS
                           for path in sorted((ROOT / part).glob("*.c"))], folder, flags)
    modules = ("tls", "files", "base", "proto", "kernels", "json")
    rest = [BINARIES / f"{module}.a" for module in modules]
    libraries = subprocess.run(["pkg-config", "--libs", "libnghttp2", "jansson", "gnutls"],
                               check=True, capture_output=True, text=True).stdout.split()
    subprocess.run([flags[0], "-shared", "-o", folder / "libtrit.so", "-pthread",
                    f"-Wl,-soname,{soname(BINARIES)}",
                    f"-Wl,--version-script={ROOT / 'client/lib/libtrit.map'}", *objects,
                    "-Wl,--start-group", *rest, "-Wl,--end-group", *libraries,
                    "-lprotobuf-nanopb", "-lm"], check=True)
    (folder / soname(BINARIES)).symlink_to("libtrit.so")
    return folder


def soname(folder):
    told = subprocess.run(["objdump", "-p", folder / "libtrit.so"], check=True,
                          capture_output=True, text=True).stdout
    return next(line.split()[1] for line in told.splitlines() if "SONAME" in line)


def build(folder, headers, *defines):
    """The program, linked with today's library; a test chooses the library that it runs
    with."""
    program = folder / "program"
    subprocess.run(["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{headers}", *defines,
                    "-o", program, ROOT / "tests/abi/program.c", BINARIES / "libtrit.so"],
                   check=True)
    return program


def told(program, library, daemon, run):
    """What the program prints; fails if the program fails."""
    done = subprocess.run([program, daemon.rpc, run], capture_output=True, text=True,
                          env=dict(os.environ, LD_LIBRARY_PATH=str(library)))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def usual(tmp_path, headers, daemon, run):
    """What a program with today's headers prints with today's library."""
    return told(build(tmp_path, headers), BINARIES, daemon, run + "-usual")


@BUILT
@pytest.mark.parametrize("frozen", FROZEN, ids=lambda path: path.name)
def test_programs_of_past_versions_run_with_this_library(frozen, usual, tmp_path, daemon, run):
    assert told(build(tmp_path, frozen), BINARIES, daemon, run) == usual


@BUILT
@pytest.mark.parametrize("frozen", FROZEN, ids=lambda path: path.name)
def test_programs_of_past_versions_run_with_a_later_library(frozen, usual, later, tmp_path,
                                                            daemon, run):
    assert told(build(tmp_path, frozen), later, daemon, run) == usual


@BUILT
def test_a_program_of_a_later_version_runs_with_this_library(grown, usual, tmp_path, daemon,
                                                             run):
    program = build(tmp_path, grown, "-DGROWN", "-DEXPECT_UNKNOWN")
    assert told(program, BINARIES, daemon, run) == usual


@BUILT
def test_a_program_of_a_later_version_runs_with_its_own(grown, usual, later, tmp_path, daemon,
                                                        run):
    assert told(build(tmp_path, grown, "-DGROWN"), later, daemon, run) == usual


@pytest.mark.parametrize("frozen", FROZEN, ids=lambda path: path.name)
def test_no_function_of_a_past_version_is_gone(frozen, headers):
    assert abi.prototypes(frozen) <= abi.prototypes(headers)


@BUILT
@pytest.mark.parametrize("frozen", FROZEN, ids=lambda path: path.name)
def test_no_symbol_of_a_past_version_is_gone(frozen):
    assert set((frozen / "symbols").read_text().split()) <= set(
        abi.symbols(BINARIES / "libtrit.so"))


def test_no_struct_ends_in_padding(headers):
    """A member added in the padding would not change the struct's size."""
    sizes, members, _ = abi.measure(headers)
    for name, listed in abi.structs(headers).items():
        assert sum(members[name, listed[-1]]) == sizes[name], name


@pytest.mark.parametrize("frozen", FROZEN, ids=lambda path: path.name)
def test_frozen_headers_stay_as_they_are(frozen):
    """The structs of frozen headers still have the layout that was recorded with them."""
    assert "\n".join(abi.layout_header(frozen)) + "\n" == (frozen / "layout.h").read_text()
