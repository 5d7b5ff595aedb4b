# SPDX-License-Identifier: Apache-2.0
"""One C dialect: finds the second way of writing a thing, or rewrites it.

    tests/tools/dialect.py FILE...          one line a finding; exits 1 on any
    tests/tools/dialect.py --fix FILE...    rewrites the files; format them afterwards

- sizeof(x), not sizeof x;
- !p and p, not p == NULL and, in a condition, p != NULL;
- PRIu64 for a uint64_t, not %llu and a cast.
"""
import pathlib
import re
import sys

WORD = r"[A-Za-z_]\w*"
CONDITION = r"(?:\b(?:if|while|CHECK|assert) \(|\b(?:CHECK|assert)\(|&&\s*|\|\|\s*)$"


def masked(text):
    """The text with comments, and what stands in quotes, overwritten by blanks."""
    def blank(found):
        piece = found.group(0)
        if piece[0] in "\"'":
            return piece[0] + re.sub(r"[^\n]", " ", piece[1:-1]) + piece[-1]
        return re.sub(r"[^\n]", " ", piece)
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'', blank, text,
                  flags=re.S)


def operand_start(code, end):
    """Where the postfix expression begins that ends before `end`."""
    at = end
    while True:
        here = at
        while at > 0 and code[at - 1] in ")]":
            depth = 0
            while at > 0:
                at -= 1
                depth += (code[at] in ")]") - (code[at] in "([")
                if depth == 0:
                    break
        word = re.search(rf"{WORD}$", code[:at])
        at = word.start() if word else at
        link = re.search(r"(->|\.)$", code[:at])
        if not link:
            break
        at = link.start()
        if at == here:
            break
    stars = re.search(r"(?<![\w)\]])\s?(\*+)$", code[:at])
    return stars.start(1) if stars else at


def sizeof_edits(text, code):
    pattern = (rf"\bsizeof ((?:[*&]+ ?)?{WORD}(?:(?:->|\.){WORD}|\[[^\[\]]*\])*"
               rf'|"[^"]*")')
    for found in re.finditer(pattern, code):
        yield (found.start(), found.end(), f"sizeof({text[found.start(1):found.end(1)]})",
               "sizeof without parentheses")


def null_edits(text, code):
    for found in re.finditer(r"\s*([=!])= NULL\b", code):
        start, end = operand_start(code, found.start()), found.end()
        operand = text[start:found.start()]
        if found.group(1) == "=":
            yield start, end, "!" + operand, "== NULL"
        elif re.search(CONDITION, code[:start]) and re.match(r"\s*(\)|&&|\|\||\?)", code[end:]) \
                or re.match(r"\s*(&&|\|\||\?)", code[end:]):
            yield start, end, operand, "!= NULL in a condition"


def joined(found):
    whole = f'"{found.group(1)}{found.group(2)}"'
    return whole if len(whole) < 70 or len(found.group(2)) < 6 else found.group(0)


def format_edits(text, code):
    """Of statements that hold both %llu and a cast to unsigned long long."""
    for found in re.finditer(r"[^;{}]*;", code):
        statement = text[found.start():found.end()]
        if "%llu" not in statement or "(unsigned long long)" not in statement:
            continue
        fixed = re.sub(r'"([^"\n]*)"\s*\n\s*"([^"\n]*)"', joined, statement)
        fixed = fixed.replace("%llu", '%" PRIu64 "').replace(' ""', "")
        fixed = re.sub(r"\(unsigned long long\)\(([^()]*)\)(?=[,)])", r"\1", fixed)
        fixed = re.sub(r"\(unsigned long long\)(?=\(|[A-Z])", "(uint64_t)", fixed)
        fixed = fixed.replace("(unsigned long long)", "")
        first = found.start() + len(statement) - len(statement.lstrip())
        yield first, found.end(), fixed.lstrip(), "%llu and a cast for a uint64_t"


def edits(text):
    code = masked(text)
    return [edit for kind in (sizeof_edits, null_edits, format_edits) for edit in kind(text, code)]


def with_header(text):
    if "PRIu64" not in text or "<inttypes.h>" in text:
        return text
    first = re.search(r"^#include <", text, re.M)
    if first:
        return text[:first.start()] + "#include <inttypes.h>\n" + text[first.start():]
    own = re.search(r'^#include "[^"]*"\n', text, re.M)
    return text[:own.end()] + "\n#include <inttypes.h>\n" + text[own.end():]


def fixed(text):
    """Kind by kind, as the edits of two kinds may overlap."""
    for kind in (sizeof_edits, null_edits, format_edits):
        for start, end, new, _ in reversed(list(kind(text, masked(text)))):
            text = text[:start] + new + text[end:]
    return with_header(text)


def findings(paths):
    for path in paths:
        text = pathlib.Path(path).read_text()
        for start, _, _, what in sorted(edits(text)):
            yield f"{path}:{text.count(chr(10), 0, start) + 1}: {what}"


def main():
    paths = [word for word in sys.argv[1:] if word != "--fix"]
    if "--fix" not in sys.argv:
        found = list(findings(paths))
        for line in found:
            print(line)
        return 1 if found else 0
    for path in map(pathlib.Path, paths):
        text = path.read_text()
        new = fixed(text)
        if new != text:
            path.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
