# SPDX-License-Identifier: Apache-2.0
"""Checks that each limit is complete: docs/limits.md, the labels of refusals
(server/obs/limits.def), the options (server/app/config.c), the code that counts a refusal,
and a test that names the label."""
import pathlib
import re

REFUSED = re.compile(r"RESOURCE_EXHAUSTED|INVALID_ARGUMENT|CANCELLED|REFUSED_STREAM|ENHANCE_YOUR_CALM|"
                     r"\bclosed\b|\b408\b|\b431\b|\b503\b")
# Refusals that no label counts: of the start, at the stop, and of a request's form.
UNCOUNTED = ("--retain", "--drain-ms", "--disk-free-min", "free space", "patterns of a kind")
NUMBERS = ("COUNT", "COUNT32", "NUMBER", "BYTES")
UNBOUNDED = {"drain-delay"}  # bounds nothing


def tables(text):
    """The cells of the tables with bounds: bound, option, default, beyond it, label."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 5 and cells[0] != "bound" and not set(cells[0]) <= {"-"}:
            yield cells


def limit_findings():
    page = pathlib.Path("docs/limits.md").read_text()
    labels = dict(re.findall(r'LIMIT\((\w+), "(\w+)"\)',
                             pathlib.Path("server/obs/limits.def").read_text()))
    options = dict(re.findall(r'\{"([a-z-]+)", OPTION_(\w+)',
                              pathlib.Path("server/app/config.c").read_text()))
    code = "\n".join(path.read_text() for path in pathlib.Path("server").rglob("*.c"))
    tests = "\n".join(path.read_text() for folder in ("unit", "e2e", "attack", "load")
                      for path in pathlib.Path("tests", folder).rglob("*.*")
                      if path.suffix in (".c", ".py"))
    found = []
    for name, label in labels.items():
        if f"`{label}`" not in page:
            found.append(f"docs/limits.md: no bound has the label `{label}`")
        if not re.search(rf"\b{name}\b", code):
            found.append(f"server/obs/limits.def: nothing counts {name}")
        if not re.search(rf'(limit(=\\*|": )"|(counted|refusals|limit)\([\w&.>-]+, "){label}\\*"|\b{name}\b',
                         tests):
            found.append(f"server/obs/limits.def: no test names \"{label}\" or {name}")
    for bound, option, _, beyond, label in tables(page):
        for name in re.findall(r"`--([a-z-]+)`", option):
            if name not in options:
                found.append(f"docs/limits.md: there is no option --{name}")
        if label and label.strip("`") not in labels.values():
            found.append(f"docs/limits.md: {label} is no label of server/obs/limits.def")
        if not label and REFUSED.search(beyond) and not any(
                word in bound + option for word in UNCOUNTED):
            found.append(f"docs/limits.md: \"{bound}\" is refused, but has no label")
    for name, kind in options.items():
        if kind in NUMBERS and name not in UNBOUNDED and f"`--{name}`" not in page:
            found.append(f"docs/limits.md: --{name} is missing")
    return found


if __name__ == "__main__":
    print(*limit_findings(), sep="\n")
