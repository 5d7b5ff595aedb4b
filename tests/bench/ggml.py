# SPDX-License-Identifier: Apache-2.0
"""Builds ggml's quantized dot products as a library that bench_linear compares with.

    ggml.py LIBRARY

ggml is not packaged; the source package of llama-cpp-python on PyPI carries it. The
version below is fetched by pip, which checks its hash, and what the dot product needs
is compiled for this machine, in LIBRARY's folder. Nothing is done if LIBRARY has this
version already. If it cannot be built, a line says so and bench_linear runs without it.
"""
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile

VERSION = "0.3.36"
HASH = "sha256:832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
EXPORTED = ["ggml_vec_dot_tq2_0_q8_K", "quantize_row_q8_K", "quantize_row_tq2_0"]
ARCH = {"x86_64": "x86", "aarch64": "arm"}
FETCH_SECONDS, COMPILE_SECONDS = 600, 300
# What ggml_cpu_init does, of which the dot product needs this much.
INIT = """
#include "ggml-impl.h"
float ggml_table_f32_f16[1 << 16];
__attribute__((constructor)) static void fill_table(void)
{
    for (int i = 0; i < 1 << 16; i++)
        ggml_table_f32_f16[i] = GGML_COMPUTE_FP16_TO_FP32((uint16_t)i);
}
"""


def fetch(folder):
    """The sources of ggml, unpacked into the folder."""
    wanted = folder / "requirements.txt"
    wanted.write_text(f"llama-cpp-python=={VERSION} --hash={HASH}\n")
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                    "--disable-pip-version-check", "--no-binary", "llama-cpp-python", "--require-hashes",
                    "--dest", str(folder), "-r", str(wanted)],
                   check=True, timeout=FETCH_SECONDS, stdin=subprocess.DEVNULL)
    inside = f"llama_cpp_python-{VERSION}/vendor/llama.cpp/ggml"
    with tarfile.open(folder / f"llama_cpp_python-{VERSION}.tar.gz") as archive:
        for member in archive:
            if member.isfile() and member.name.startswith((f"{inside}/include/", f"{inside}/src/ggml")):
                archive.extract(member, folder)
    return folder / inside


def compile_library(ggml, library):
    """Only what the exported functions reach is linked: the rest of ggml is not needed."""
    exports = ggml / "exports.map"
    exports.write_text("{ global: %s; local: *; };\n" % "; ".join(EXPORTED))
    (ggml / "src" / "init.c").write_text(INIT)
    sources = ["init.c", "ggml-quants.c", "ggml-cpu/quants.c",
               f"ggml-cpu/arch/{ARCH[platform.machine()]}/quants.c"]
    made = library.with_suffix(".new")
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O3", "-march=native", "-w",
                    "-DNDEBUG", "-D_GNU_SOURCE", "-ffunction-sections", "-fdata-sections",
                    *(f"-I{ggml / part}" for part in ("include", "src", "src/ggml-cpu")),
                    *(str(ggml / "src" / source) for source in sources), "-o", str(made),
                    f"-Wl,--version-script={exports}", "-Wl,--gc-sections", "-lm"],
                   check=True, timeout=COMPILE_SECONDS)
    made.rename(library)


def main():
    library = pathlib.Path(sys.argv[1])
    stamp = library.with_suffix(".version")
    if library.exists() and stamp.exists() and stamp.read_text() == VERSION:
        return
    library.parent.mkdir(parents=True, exist_ok=True)
    print(f"  PEER  ggml, from llama-cpp-python {VERSION}", flush=True)
    folder = pathlib.Path(tempfile.mkdtemp(dir=library.parent))
    try:
        compile_library(fetch(folder), library)
        stamp.write_text(VERSION)
    except subprocess.CalledProcessError as error:
        print(f"  PEER  ggml cannot be built here: {error.cmd[0]} exited with {error.returncode}")
    except (OSError, KeyError, subprocess.TimeoutExpired, tarfile.TarError) as error:
        print(f"  PEER  ggml cannot be built here: {error}")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
