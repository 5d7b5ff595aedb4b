# SPDX-License-Identifier: Apache-2.0
"""Checks of documents (*.md): links lead to files, file names in `code` exist, `make TARGET` names
a target, and metrics and options are those of the daemon and of trit."""
import pathlib
import re

SUFFIXES = "c|h|py|sh|md|mk|proto|def|options|map|json|yaml|toml|safetensors|css|txt|pc"
# Headers of other projects, what setup.py generates, patterns, and names that stand for a file of the reader.
OTHERS = re.compile(r"(uv|nghttp2|zlib|sqlite3|microhttpd|xxhash|jansson)\.h|_ffi\.py|.*([<>*{}$…]|\.\.\.).*|"
                    r"(model|ternary|latents|in|out)\.[\w.]+")


# Of other programs.
OPTIONS_OF_OTHERS = {"batch", "cacert", "fix", "layers", "now", "prefix", "private_key", "public_key",
                     "short", "signature", "steps", "strict"}


def documents():
    return sorted(path for path in pathlib.Path(".").rglob("*.md")
                  if path.parts[0] != "build" and not path.parts[0].startswith("."))


def targets():
    text = "\n".join(path.read_text() for path in
                     [pathlib.Path("Makefile"), *pathlib.Path("make").glob("*.mk")])
    return set(re.findall(r"[\w-]+", " ".join(re.findall(r"^\.PHONY:(.*)", text, re.M))))


def exists(name, folder, names):
    name = name.rstrip("/")
    if "/" not in name:
        return name in names
    tops = (".", "server", "client", "proto", "server/services", "build/release", folder)
    return any((pathlib.Path(top) / name).exists() or list(pathlib.Path(top).glob(name + ".*"))
               for top in tops)  # a module's file may be named without its suffix


def file_names(text):
    """Words in `code` that look like a file or a folder of this tree."""
    for code in re.findall(r"`([^`\n]+)`", text):
        for word in code.split() if " " in code else [code]:
            word = word.strip(",;:")
            if OTHERS.fullmatch(word) or word.startswith(("/", "-", "~", "http", "build/")):
                continue
            if re.fullmatch(rf"[\w./-]*\w\.({SUFFIXES})", word) or re.fullmatch(
                    r"(server|client|kernels|proto|checkpoint|tests|docker|docs|make)/[\w./-]+", word):
                yield word


def known_names():
    """The metrics of the daemon, and the options of the daemon and of trit."""
    code = "\n".join(path.read_text() for path in pathlib.Path("server").rglob("*.*")
                     if path.suffix in (".c", ".h", ".def"))
    options = "\n".join(pathlib.Path(path).read_text()
                        for path in ("server/app/config.c", "client/cli/opt_table.c"))
    return (set(re.findall(r"\btritd_[a-z0-9_]+", code)),
            set(re.findall(r'\{(?:OPTION_\w+, )?"([a-z0-9-]+)", ', options)))


def name_findings(path, text, metrics, options):
    for word in set(re.findall(r"\btritd_[a-z0-9_]+", text)):
        if not any(name.startswith(word) for name in metrics):
            yield f"{path}: there is no metric {word}"
    drawn = "\n".join(line for line in text.splitlines() if "-->" not in line)
    for word in set(re.findall(r"(?<![\w-])--([a-z][a-z0-9_-]+[a-z0-9])(?![\w-])", drawn)):
        if word not in options and word not in OPTIONS_OF_OTHERS:
            yield f"{path}: there is no option --{word}"


def document_findings():
    names = {path.name for path in pathlib.Path(".").rglob("*") if path.parts[0] != "build"}
    known, found = targets(), []
    metrics, options = known_names()
    for path in documents():
        text = path.read_text()
        for link in re.findall(r"\]\(([^)#\s]+)", text):
            if "://" not in link and not (path.parent / link).exists():
                found.append(f"{path}: dead link {link}")
        for name in file_names(text):
            if not exists(name, path.parent, names):
                found.append(f"{path}: `{name}` does not exist")
        if path.name != "CHANGELOG.md":  # it tells of what is gone
            found += name_findings(path, text, metrics, options)
        for words in re.findall(r"(?:^    |`|^\$ )make ((?:[a-z][\w-]*[ `\n])+)", text, re.M):
            for target in words.replace("`", " ").split():
                if target not in known:
                    found.append(f"{path}: `make {target}` is no target")
    return found


if __name__ == "__main__":
    print(*document_findings(), sep="\n")
