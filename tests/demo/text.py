# SPDX-License-Identifier: Apache-2.0
"""The text every Debian machine has, cut in two, and what a model of three
characters makes of it."""
import collections
import math
import pathlib

FOLDER = pathlib.Path("/usr/share/common-licenses")


class Text:
    """Training and held-out text as character ids: of each file the last tenth is
    held out. (Links are the same licences once more and stay out.)"""

    def __init__(self, folder=FOLDER):
        files = [path.read_text("utf-8", "replace") for path in sorted(folder.iterdir())
                 if path.is_file() and not path.is_symlink()]
        self.alphabet = sorted(set("".join(files)))
        number = {c: i for i, c in enumerate(self.alphabet)}
        cuts = [len(one) * 9 // 10 for one in files]
        self.train = [number[c] for one, cut in zip(files, cuts) for c in one[:cut]]
        self.held_out = [number[c] for one, cut in zip(files, cuts) for c in one[cut:]]


class OrderTwo:
    """P(c | a b), interpolated with P(c | b), P(c) and the uniform distribution;
    how far it trusts a context follows Witten and Bell: a context seen n times
    with d different successors leaves d / (n + d) to the shorter one."""

    def __init__(self, ids, symbols):
        self._symbols = symbols
        self._seen = [collections.defaultdict(collections.Counter) for _ in range(3)]
        for at in range(len(ids)):
            for order in range(min(at, 2) + 1):
                self._seen[order][tuple(ids[at - order:at])][ids[at]] += 1

    def probability(self, context, symbol):
        p = 1 / self._symbols
        for order in range(len(context) + 1):
            successors = self._seen[order].get(tuple(context[len(context) - order:]))
            if not successors:
                break
            n, different = sum(successors.values()), len(successors)
            p = (successors[symbol] + different * p) / (n + different)
        return p

    def perplexity(self, ids):
        """Over all but the first character."""
        log = sum(math.log(self.probability(ids[max(0, at - 2):at], ids[at]))
                  for at in range(1, len(ids)))
        return math.exp(-log / (len(ids) - 1))
