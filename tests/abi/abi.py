#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The binary interface of libtrit (docs/abi.md): its headers as a table, frozen and grown.

    tests/abi/abi.py freeze           copies the headers to tests/data/abi/<version>/ and
                                      writes their layout and symbols beside them
    tests/abi/abi.py grow FROM TO     copies the headers in FROM with a member `added` at
                                      the end of each struct that begins with its size
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FROZEN = ROOT / "tests/data/abi"
# Counts of what there is, which grow with it. No struct uses them.
COUNTS = {"TRIT_FINDING_KINDS"}


def version():
    text = (ROOT / "client/include/trit/version.h").read_text()
    return re.search(r'TRIT_VERSION_STRING "(.*)"', text).group(1)


def copy_headers(folder):
    """Today's headers, as `make install` lays them out."""
    (folder / "trit").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "client/include/trit.h", folder)
    for path in [*ROOT.glob("client/include/trit/*.h"), ROOT / "proto/trit/types.h"]:
        shutil.copy(path, folder / "trit")


def code(folder):
    """All headers of a folder as one text, without comments and directives."""
    text = "\n".join(path.read_text() for path in sorted(folder.rglob("trit/*.h")))
    text = re.sub(r"/\*.*?\*/", " ", text.replace("\\\n", " "), flags=re.S)
    return re.sub(r"^\s*#.*$", "", text, flags=re.M)


def structs(folder):
    """{struct: [member, ...]} in their order."""
    found = {}
    for name, body in re.findall(r"struct (trit_\w+) \{(.*?)\n\};", code(folder), re.S):
        found[name] = [re.search(r"(\w+)\s*(\[[^\]]*\])?\s*$", declared).group(1)
                       for line in body.split(";") if line.strip()
                       for declared in line.split(",")]
    return found


def constants(folder):
    found = []
    for body in re.findall(r"enum (?:\w+ )?\{(.*?)\}", code(folder), re.S):
        found += [re.match(r"\s*(\w+)", one).group(1) for one in body.split(",") if one.strip()]
    return [name for name in found if name not in COUNTS]


def prototypes(folder):
    """Every declared function, spelled one way."""
    return {" ".join(declared.split()) for declared in
            re.findall(r"TRIT_API ([^;]*);", code(folder))}


def measure(folder):
    """({struct: size}, {(struct, member): (offset, size)}, {constant: value})"""
    lines = []
    for name, members in structs(folder).items():
        lines.append(f'printf("size {name} %zu\\n", sizeof(struct {name}));')
        lines += [f'printf("member {name} {one} %zu %zu\\n", offsetof(struct {name}, {one}), '
                  f'sizeof(((struct {name} *)0)->{one}));' for one in members]
    lines += [f'printf("constant {one} %d\\n", (int){one});' for one in constants(folder)]
    with tempfile.TemporaryDirectory() as scratch:
        program = pathlib.Path(scratch, "layout")
        program.with_suffix(".c").write_text(
            "#include <stdio.h>\n#include <trit.h>\nint main(void) {\n" + "\n".join(lines) + "}\n")
        subprocess.run(["cc", f"-I{folder}", "-o", program, program.with_suffix(".c")], check=True)
        told = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    sizes, members, values = {}, {}, {}
    for kind, *words in map(str.split, told.splitlines()):
        if kind == "size":
            sizes[words[0]] = int(words[1])
        elif kind == "member":
            members[words[0], words[1]] = int(words[2]), int(words[3])
        else:
            values[words[0]] = int(words[1])
    return sizes, members, values


def symbols(library):
    """The names that a library exports, with their versions: "trit_free@@TRIT_0.2"."""
    told = subprocess.run(["nm", "-D", "--defined-only", "--with-symbol-versions", library],
                          check=True, capture_output=True, text=True).stdout
    return sorted(line.split()[-1] for line in told.splitlines() if "@@" in line)


def layout_header(folder):
    """Assertions that hold while programs built with these headers still work."""
    sizes, members, values = measure(folder)
    grows = {name for name, listed in structs(folder).items() if listed[0] == "size"}
    yield "/* SPDX-License-Identifier: Apache-2.0 */"
    yield f"/* Written by tests/abi/abi.py freeze: the layout that programs of {folder.name} have."
    yield " * Never edit it. docs/abi.md says what to do where an assertion fails. */"
    yield "/* clang-format off */"
    number = folder.name.replace(".", "_")
    yield f"#define ABI_SIZES_{number}(X) \\"
    yield " \\\n".join(f"    X({name}, {size})" for name, size in sizes.items() if name in grows)
    for name, size in sizes.items():
        relation = ">=" if name in grows else "=="
        yield f'_Static_assert(sizeof(struct {name}) {relation} {size}, "struct {name}");'
    for (name, member), (offset, size) in members.items():
        yield (f'_Static_assert(offsetof(struct {name}, {member}) == {offset} &&\n'
               f'    sizeof(((struct {name} *)0)->{member}) == {size}, "{name}.{member}");')
    for name, value in values.items():
        yield f'_Static_assert((int){name} == {value}, "{name}");'


def freeze():
    folder = FROZEN / version()
    copy_headers(folder)
    (folder / "layout.h").write_text("\n".join(layout_header(folder)) + "\n")
    library = ROOT / "build/release/libtrit.so"
    (folder / "symbols").write_text("\n".join(symbols(library)) + "\n")


def grow(source, target):
    """A later version of the headers: each struct that can grow has one more member."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    for path in target.rglob("trit/*.h"):
        path.write_text(re.sub(r"(struct trit_\w+ \{\n    size_t size;.*?)(\n\};)",
                               r"\1\n    uint64_t added;\2", path.read_text(), flags=re.S))


if __name__ == "__main__":
    if sys.argv[1:] == ["freeze"]:
        freeze()
    elif len(sys.argv) == 4 and sys.argv[1] == "grow":
        grow(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
    else:
        sys.exit(__doc__)
