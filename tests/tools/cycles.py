# SPDX-License-Identifier: Apache-2.0
"""Cycles of files: a .c with its header is one. A file depends on another by what it
includes and by the symbols that its object needs and the other's defines.

    tests/tools/cycles.py OBJECTS          (build/release)

Prints each cycle in words; exits with 1 where there is one."""
import collections
import os
import pathlib
import re
import subprocess
import sys

# Within these no file may lead back to itself.
TREES = ("server", "client/lib", "client/cli", "checkpoint")
INCLUDE_ROOTS = ("", "server", "proto", "client/include")


def unit_of(path):
    """The .c and .h of one name are one file."""
    return os.path.splitext(str(path))[0]


def sources():
    for tree in TREES:
        for path in sorted(pathlib.Path(tree).rglob("*.[ch]")):
            yield path


def include_edges(edges):
    for path in sources():
        for number, line in enumerate(open(path), 1):
            found = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
            if not found:
                continue
            for root in INCLUDE_ROOTS:
                target = os.path.join(root, found.group(1))
                if target.startswith(TREES) and os.path.exists(target) and \
                        unit_of(target) != unit_of(path):
                    edges[unit_of(path)].setdefault(
                        unit_of(target), f"includes {found.group(1)} ({path}:{number})")
                    break


def symbol_edges(folder, edges):
    objects = [unit_of(p) for p in sources() if p.suffix == ".c"]
    files = [f"{folder}/{one}.o" for one in objects if os.path.exists(f"{folder}/{one}.o")]
    done = subprocess.run(["nm", "-A", "-g", "-P", *files], capture_output=True, text=True,
                          check=True)
    defined, needed = {}, []
    for line in done.stdout.splitlines():
        owner, name, kind = re.match(r"(\S+): (\S+) (\S)", line).groups()
        owner = unit_of(os.path.relpath(owner, folder))
        if kind == "U":
            needed.append((owner, name))
        else:
            defined[name] = owner
    for owner, name in needed:
        target = defined.get(name)
        if target and target != owner:
            edges[owner].setdefault(target, f"needs {name}")


def components(edges):
    """Strongly connected ones of more than one file (Tarjan's algorithm)."""
    index, low, on_stack, stack, found = {}, {}, set(), [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        on_stack.add(node)
        for target in edges.get(node, ()):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in on_stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            one = []
            while True:
                member = stack.pop()
                on_stack.discard(member)
                one.append(member)
                if member == node:
                    break
            if len(one) > 1:
                found.append(sorted(one))

    sys.setrecursionlimit(10000)
    for node in sorted(edges):
        if node not in index:
            visit(node)
    return found


def shortest_cycle(edges, members):
    """A shortest way from a file back to itself, as sentences."""
    best = None
    for begin in members:
        ways, queue = {begin: None}, collections.deque([begin])
        while queue:
            node = queue.popleft()
            for target in edges[node]:
                if target == begin:
                    way, at = [node], node
                    while ways[at] is not None:
                        at = ways[at]
                        way.insert(0, at)
                    if best is None or len(way) < len(best):
                        best = way
                    queue.clear()
                    break
                if target in members and target not in ways:
                    ways[target] = node
                    queue.append(target)
    return [f"    {one} {edges[one][two]}, of {two}"
            for one, two in zip(best, best[1:] + best[:1])]


def cycles(folder):
    """Each cycle as a paragraph."""
    edges = collections.defaultdict(dict)
    include_edges(edges)
    symbol_edges(folder, edges)
    return [f"{len(members)} files lead back to themselves: {', '.join(members)}\n" +
            "\n".join(shortest_cycle(edges, set(members)))
            for members in components(edges)]


if __name__ == "__main__":
    found = cycles(sys.argv[1])
    for one in found:
        print(one)
    sys.exit(1 if found else 0)
