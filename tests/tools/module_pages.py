# SPDX-License-Identifier: Apache-2.0
"""Checks what the READMEs of modules say about each other. A sentence "May use: `a`, `b`." names the
modules that the module includes, and none that make/modules.mk does not allow. "Used by: `c`." names
those that include it. A module that every other may use, or that sees all others, has no such sentence."""
import pathlib
import re

EVERYWHERE = {"base", "kernels", "proto"}
SEES_ALL = {"app"}


def page_of(module):
    folders = ("server", "client", ".")
    return next(path for path in (pathlib.Path(top, module, "README.md") for top in folders) if path.exists())


def named(text, words, uses):
    """The modules that a sentence names, or None if there is none."""
    found = re.search(rf"{words}: (.*?)\.(?=\s|$)", text, re.S)
    return {word for word in re.findall(r"`(\w+)`", found.group(1)) if word in uses} if found else None


def page_findings(uses, included):
    """uses: the modules that each may use; included: those that each includes."""
    found = []
    for module in sorted(set(uses) - EVERYWHERE - SEES_ALL):
        page = page_of(module)
        text = page.read_text()
        sentences = (("May use", included[module], uses[module]),
                     ("Used by", {other for other in uses if module in included[other]},
                      {other for other in uses if module in uses[other]}))
        for words, least, most in sentences:
            if words == "Used by" and not least - {module}:
                continue
            names = named(text, words, uses)
            if names is None:
                found.append(f"{page}: no sentence \"{words}: ...\"")
                continue
            for name in sorted(least - names - {module}):
                found.append(f"{page}: \"{words}\" lacks {name}")
            for name in sorted(names - most):
                found.append(f"{page}: \"{words}\" names {name}, which is not so in make/modules.mk")
    return found
