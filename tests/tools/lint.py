# SPDX-License-Identifier: Apache-2.0
"""Checks of form that a compiler leaves open. Fails on any finding but the
last two lists, which are for reading.

    tests/tools/lint.py BUILD_FOLDER CC CFLAGS...

- includes point down: a module sees itself and the modules that make/modules.mk
  lists in USES_<module>;
- a third-party header stays behind its fence;
- every header compiles alone;
- no writable data: the only statics are const tables (allow-list below);
- no external symbol is defined in the archives of two modules;
- no cycle of files, by includes and symbols (cycles.py);
- links, file names, metrics and options in documents exist (documents.py);
- READMEs of modules name the modules that these include (module_pages.py);
- one C dialect (dialect.py);
- files, vocabularies of one ISA and functions have a longest size;
- printed for reading: the longest functions, and symbols one file alone uses.
"""
import collections
import os
import pathlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import dialect
from cycles import cycles
from documents import document_findings
from limits import limit_findings
from module_pages import page_findings

# Header, mostly a third party's: where it may be included.
FENCES = {
    r"uv\.h": r"server/(app|net|async)/",
    r"nghttp2/.*": r"server/h2/|client/lib/",
    r"sqlite3\.h|libpq-fe\.h": r"server/store/",
    r"microhttpd\.h": r"server/web/",
    r"pb(_\w+)?\.h|.*\.pb\.h": r"proto/codec/",
    r"gnutls/(gnutls|crypto)\.h": r"server/(tls|access|services)/|client/cli/",  # hashes
    r"gnutls/(x509|abstract)\.h": r"server/tls/",
    r"zlib\.h": r"server/(grpc|web)/",
    r"xxhash\.h": r"server/(services|web)/",
    r"third_party/yyjson/.*": r"server/json/",
    r"jansson\.h": r"server/(files|drive|web|json|services/checkpoints)/|checkpoint/|client/|proto/",
    r"\w*mmintrin\.h|arm_neon\.h|cpuid\.h|simde/.*": r"kernels/((simd|ternary|linear)/)?(cpu|avx2|avx512|neon|x86)\w*\.[ch]",
    # Ours: checkpoint sees tables of tensors, never files.
    r"files/(reader|source|target|writer|formats)\.h": r"server/|client/",
}
TESTED = r"tests/"  # tests may look behind every fence

# Our headers that no folder name gives away, and the module they belong to.
PUBLIC = {"trit/types.h": None, "proto/utf8.h": None, "trit.h": "lib"}
PUBLIC.update({f"trit/{path.name}": "lib" for path in pathlib.Path("client/include/trit").glob("*.h")})

WRITABLE_ALLOWED = set()  # "object symbol": why it must be
LONG_LINES = 60


def sources():
    for top in ("kernels", "proto", "server", "checkpoint", "client", "tests"):
        for path in sorted(pathlib.Path(top).rglob("*.[ch]")):
            if path.parts[:2] != ("tests", "data"):  # headers of past versions
                yield path


def modules_of_makefile():
    """Each module with the modules that it may use and is linked with."""
    uses = {}
    for line in open("make/modules.mk"):
        found = re.match(r"USES_(\w+) :=(.*)", line)
        if found:
            uses[found.group(1)] = set(found.group(2).split()) | {found.group(1)}
    return uses


def module_of(path):
    parts = path.parts
    if parts[0] == "server":
        return parts[1]
    if parts[0] == "client":
        return "cli" if parts[1] == "cli" else "lib"
    return parts[0]


def module_of_include(name, uses):
    if name in PUBLIC:
        return PUBLIC[name]
    first = name.split("/")[0]
    if first in ("kernels", "client"):
        return first if first == "kernels" else ("cli" if name.startswith("client/cli") else "lib")
    if name.startswith(("grpc/health/", "grpc/reflection/")):  # generated from the .proto file
        return "proto"
    if first in uses and "/" in name:
        return first
    if first in ("trit", "google", "codec") or name in ("scan.h", "framing.h",
                                                                  "report_json.h"):
        return "proto"
    return None


def includes(findings):
    uses = modules_of_makefile()
    included = {module: set() for module in uses}
    for path in sources():
        for number, line in enumerate(open(path), 1):
            found = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
            if not found:
                continue
            name, where = found.group(1), f"{path}:{number}"
            for header, fence in FENCES.items():
                if re.fullmatch(header, name) and not re.match(f"{fence}|{TESTED}", str(path)):
                    findings.append(f"{where}: {name} belongs behind {fence}")
            module, seen = module_of(path), module_of_include(name, uses)
            if module in uses and seen and seen not in uses[module]:
                findings.append(f"{where}: {module} does not see {seen} ({name})")
            if module in uses and seen in uses:
                included[module].add(seen)
    findings += page_findings(uses, included)


def headers_alone(compiler, findings):
    def alone(path):
        isa = ["-mavx512f", "-mavx512dq"] if "/avx512_" in str(path) else [
            "-mavx2"] if "/avx2_" in str(path) else []
        done = subprocess.run([*compiler, *isa, "-Werror", "-Wno-unused-function", "-Wno-pedantic", "-fsyntax-only", "-x",
                               "c", str(path)], capture_output=True, text=True)
        return [] if done.returncode == 0 else [f"{path} does not compile alone:\n{done.stderr}"]
    headers = [p for p in sources() if p.suffix == ".h" and not re.search(r"(body|vector|typed|each_type)\w*\.h$",
                                                                          p.name)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(alone, headers):
            findings += found


def symbols(folder):
    """(object, name, class letter, section) of every symbol of our own objects."""
    objects = [str(p) for p in pathlib.Path(folder).rglob("*.o")
               if "/tests/" not in str(p) and "/gen/" not in str(p)]
    done = subprocess.run(["nm", "-A", "-f", "sysv", *objects], capture_output=True, text=True)
    for line in done.stdout.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) == 7:
            owner, _, name = fields[0].rpartition(":")
            yield os.path.relpath(owner, folder), name, fields[2], fields[6]


def writable_data(folder, findings):
    for owner, name, kind, section in symbols(folder):
        writable = section.startswith((".data", ".bss", ".tbss", ".tdata")) and \
            not section.startswith(".data.rel.ro")
        if (writable or kind == "C") and f"{owner} {name}" not in WRITABLE_ALLOWED \
                and not name.startswith((".", "__")):
            findings.append(f"{owner}: {name} is writable data ({section})")


def symbols_of_two_modules(folder, findings):
    """A linker takes the first definition that it meets and says nothing of the second."""
    owners = collections.defaultdict(set)
    for archive in sorted(pathlib.Path(folder).glob("*.a")):
        done = subprocess.run(["nm", "-g", "--defined-only", str(archive)], capture_output=True, text=True)
        for line in done.stdout.splitlines():
            fields = line.split()
            if len(fields) == 3:
                owners[fields[2]].add(archive.stem)
    for name, modules in sorted(owners.items()):
        if len(modules) > 1 and name != "main":
            findings.append(f"{name} is defined in the modules {' and '.join(sorted(modules))}: "
                            "rename one, or make it static")


def lonely_symbols(folder):
    """Global functions that no other object names; they could be static."""
    owners, users = {}, collections.defaultdict(set)
    for owner, name, kind, _ in symbols(folder):
        if kind in "TDRB":
            owners[name] = owner
        elif kind == "U":
            users[name].add(owner)
    for path in pathlib.Path(folder).rglob("tests/**/*.o"):
        done = subprocess.run(["nm", "-u", str(path)], capture_output=True, text=True)
        for line in done.stdout.split():
            users[line].add(str(path))
    return sorted(f"{owner}: {name}" for name, owner in owners.items()
                  if not users[name] and name != "main" and not name.startswith("trit_"))


def functions(path):
    """(lines, name) of the functions of a file formatted by clang-format."""
    name, begun = None, 0
    for number, line in enumerate(open(path), 1):
        if line == "{\n" and begun == 0:
            found = re.findall(r"CASE\((\w+)|(\w+)\(", name or "")
            begun, title = number, "".join(found[0]) if found else "?"
        elif line.startswith("}") and begun:
            yield number - begun - 1, title
            begun = 0
        elif re.match(r"\w.*\(", line):
            name = line


def longest_functions(count):
    found = [(lines, name, path) for path in sources() if path.suffix == ".c"
             for lines, name in functions(path)]
    for lines, name, path in sorted(found, key=lambda f: -f[0])[:count]:
        yield f"{lines:4d}  {path}: {name}{'  (more than a screen)' if lines > LONG_LINES else ''}"


def sizes(findings):
    """A file names its licence and is at most 500 lines, a vocabulary of one ISA 150, a function 60."""
    for path in sources():
        if path.parts[0] == "tests":
            continue
        lines = len(open(path).readlines())
        most = 150 if re.search(r"(avx2|avx512|neon)\w*\.[ch]$", path.name) and \
            path.parts[1] in ("simd", "ternary", "linear") else 500
        if lines > most:
            findings.append(f"{path}: {lines} lines, at most {most}")
        if "SPDX-License-Identifier: Apache-2.0" not in open(path).readline():
            findings.append(f"{path}: the first line names no licence (SPDX)")
    for line in longest_functions(8):
        lines, where = line.split(None, 1)
        if int(lines) > 60 and not where.startswith("tests/"):
            findings.append(f"{where}: {lines} lines, at most 60")


def main():
    folder, compiler = sys.argv[1], sys.argv[2:]
    findings = []
    includes(findings)
    headers_alone(compiler, findings)
    writable_data(folder, findings)
    symbols_of_two_modules(folder, findings)
    sizes(findings)
    findings += cycles(folder)
    findings += document_findings()
    findings += limit_findings()
    findings += dialect.findings(sources())
    print("longest functions:", *longest_functions(8), sep="\n  ")
    lonely = lonely_symbols(folder)
    print(f"global functions that one file alone uses: {len(lonely)}", *lonely[:20], sep="\n  ")
    long_files = [(len(open(p).readlines()), p) for p in sources()]
    print("longest files:", *(f"{n:4d}  {p}" for n, p in sorted(long_files, reverse=True,
          key=lambda f: f[0])[:5]), sep="\n  ")
    for finding in findings:
        print("FAIL", finding)
    print(f"lint: {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
