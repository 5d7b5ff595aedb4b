# SPDX-License-Identifier: Apache-2.0
"""Which layers `convert` of trit.torch and trit.mlx makes ternary, and the record of it."""

from __future__ import annotations

import dataclasses
import logging
import textwrap
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from ._selection import Patterns, matches, patterns_of
from .errors import InvalidArgument

__all__ = ["Conversion"]

_logger = logging.getLogger("trit")

# Parts of a dotted name that say that a module is a factor of a low-rank update.
_LORA = ("lora_a", "lora_b", "lora_embedding_a", "lora_embedding_b")


@dataclasses.dataclass(frozen=True, repr=False)
class Conversion:
    """What the last `convert` did to a model: `model.trit_conversion`.

    A model that is itself one layer has the name "".

    Attributes:
        converted: Dotted names of the layers that are ternary now.
        skipped: Modules with a matrix of weights that were not converted, with the reason.

    Example:
        >>> from trit.conversion import Conversion
        >>> print(Conversion(("fc",), {"head": "excluded by pattern 'head'"}))
        Conversion: 1 converted, 1 skipped
          converted  fc
          skipped    head: excluded by pattern 'head'
    """

    converted: Tuple[str, ...]
    skipped: Mapping[str, str]

    def __repr__(self) -> str:
        lines = [f"Conversion: {len(self.converted)} converted, {len(self.skipped)} skipped"]
        lines += textwrap.wrap(
            ", ".join(_shown(name) for name in self.converted),
            99,
            initial_indent="  converted  ",
            subsequent_indent=" " * 13,
            break_on_hyphens=False,
        )
        lines += [f"  skipped    {_shown(name)}: {why}" for name, why in self.skipped.items()]
        return "\n".join(lines)


def _shown(name: str) -> str:
    return name or '""'


class Candidate(NamedTuple):
    """A module that holds a matrix of weights.

    `why_not` is the reason not to convert it; None if it can be converted. With `quiet` the
    user expects that reason. With `refused` the conversion fails unless a pattern excludes
    the module.
    """

    name: str
    why_not: Optional[str] = None
    quiet: bool = False
    refused: bool = False


def is_lora(name: str) -> bool:
    """Whether a dotted name is that of a LoRA factor."""
    return any(part.lower() in _LORA for part in name.split("."))


LORA_STAYS = "a LoRA factor stays as it is"
ALREADY = "it is ternary already"


class Plan:
    """Which modules to convert: `chosen`, by name."""

    def __init__(
        self,
        candidates: Iterable[Candidate],
        modules: Iterable[str],
        include: Patterns,
        exclude: Patterns,
    ) -> None:
        self.chosen: List[str] = []
        self._skipped: Dict[str, str] = {}
        self._warned: List[str] = []
        included = None if include is None else patterns_of(include, "include")
        excluded = patterns_of(exclude, "exclude")
        names = [name for name in modules if name] or [""]
        _check_patterns("include", included or (), names)
        _check_patterns("exclude", excluded, names)
        for one in candidates:
            by_user = _skipped_by(one.name, included, excluded)
            if by_user is None and one.refused:
                raise InvalidArgument(
                    f"{one.name or 'model'}: {one.why_not}: exclude it", "exclude"
                )
            if by_user is None and one.why_not is None:
                self.chosen.append(one.name)
            else:
                warn = by_user is None and not one.quiet
                self.skip(one.name, by_user or one.why_not or "", warn)

    def skip(self, name: str, why: str, warn: bool = True) -> None:
        """Notes a module that is not converted, or one more reason for it."""
        known = self._skipped.get(name)
        self._skipped[name] = why if known is None else f"{known}; {why}"
        if warn and name not in self._warned:
            self._warned.append(name)

    def record(self, model: Any) -> None:
        """Stores on the model what was done, and logs it."""
        model.trit_conversion = Conversion(tuple(self.chosen), dict(self._skipped))
        _logger.info(
            "converted %d layers to ternary: %s",
            len(self.chosen),
            ", ".join(_shown(name) for name in self.chosen) or "none",
        )
        expected = [name for name in self._skipped if name not in self._warned]
        for level, names in ((logging.INFO, expected), (logging.WARNING, self._warned)):
            if names:
                reasons = (f"{_shown(name)} ({self._skipped[name]})" for name in names)
                _logger.log(level, "skipped %d modules: %s", len(names), "; ".join(reasons))


def _check_patterns(field: str, patterns: Tuple[str, ...], names: List[str]) -> None:
    for pattern in patterns:
        if not any(matches(name, (pattern,)) is not None for name in names):
            raise InvalidArgument(
                f"{field}: pattern {pattern!r} matches no module of the model; patterns are "
                "compared with whole dotted names, as model.named_modules() has them",
                field,
            )


def _skipped_by(
    name: str, included: Optional[Tuple[str, ...]], excluded: Tuple[str, ...]
) -> Optional[str]:
    """Why the user's patterns skip a module; None if they do not."""
    pattern = matches(name, excluded)
    if pattern is not None:
        return f"excluded by pattern {pattern!r}"
    if included is not None and matches(name, included) is None:
        return "no include pattern matches it"
    return None
