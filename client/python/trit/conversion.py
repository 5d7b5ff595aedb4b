# SPDX-License-Identifier: Apache-2.0
"""What `convert` of trit.torch and trit.mlx made of a model, and why."""
from __future__ import annotations

import dataclasses
import logging
import textwrap
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from ._selection import Patterns, selected
from .errors import InvalidArgument

__all__ = ["Conversion"]

_logger = logging.getLogger("trit")

# What a dotted name contains where a module is a factor of a low-rank update.
_LORA = ("lora_a", "lora_b", "lora_embedding_a", "lora_embedding_b")


@dataclasses.dataclass(frozen=True, repr=False)
class Conversion:
    """`model.trit_conversion`: which layers the last `convert` made ternary, by dotted
    name, and which modules with a matrix of weights it left as they are, with the reason.

    A model that is itself one layer has the name ""."""

    converted: Tuple[str, ...]
    left: Mapping[str, str]

    def __repr__(self) -> str:
        lines = [f"Conversion: {len(self.converted)} converted, {len(self.left)} left"]
        names = ", ".join(name or '""' for name in self.converted)
        lines += textwrap.wrap(names, 99, initial_indent="  converted  ",
                               subsequent_indent=" " * 13, break_on_hyphens=False)
        lines += [f"  left       {name or repr(name)}: {why}" for name, why in self.left.items()]
        return "\n".join(lines)


class Found(NamedTuple):
    """A module that holds a matrix of weights. `why_not`: why it is not converted; None:
    it can be. `quiet`: that is what the user would expect. `refused`: no conversion goes
    on unless a pattern leaves it out."""

    name: str
    why_not: Optional[str] = None
    quiet: bool = False
    refused: bool = False


def is_lora(name: str) -> bool:
    return any(part.lower() in _LORA for part in name.split("."))


LORA_STAYS = "a LoRA factor stays as it is"
ALREADY = "it is ternary already"


class Plan:
    """Which modules are converted: `chosen`, by name."""

    def __init__(self, found: Iterable[Found], modules: Iterable[str], include: Patterns,
                 exclude: Patterns) -> None:
        self.chosen: List[str] = []
        self._left: Dict[str, str] = {}
        self._loud: List[str] = []
        # Patterns may come from a generator, and are asked for more than once.
        include = None if include is None else _patterns(include)
        excluded = _patterns(exclude)
        names = [name for name in modules if name] or [""]
        for field, patterns in (("include", include or ()), ("exclude", excluded)):
            for pattern in patterns:
                if not any(selected(name, pattern, None) for name in names):
                    raise InvalidArgument(
                        f"{field}: pattern {pattern!r} matches no module of the model; "
                        "patterns are compared with whole dotted names, as "
                        "model.named_modules() has them", field)
        for one in found:
            by_user = _left_by(one.name, include, excluded)
            if by_user is None and one.refused:
                raise InvalidArgument(f"{one.name or 'model'}: {one.why_not}: exclude it", "exclude")
            if by_user is None and one.why_not is None:
                self.chosen.append(one.name)
            else:
                self.leave(one.name, by_user or one.why_not or "",
                           loud=by_user is None and not one.quiet)

    def leave(self, name: str, why: str, loud: bool = True) -> None:
        """Notes a module that is not converted; again, with one more reason."""
        self._left[name] = f"{self._left[name]}; {why}" if name in self._left else why
        if loud and name not in self._loud:
            self._loud.append(name)

    def told(self, model: Any) -> None:
        """Writes down on the model what was done, and logs it once."""
        model.trit_conversion = Conversion(tuple(self.chosen), dict(self._left))
        _logger.info("converted %d layers to ternary: %s", len(self.chosen),
                     ", ".join(name or '""' for name in self.chosen) or "none")
        for level, names in (
                (logging.INFO, [name for name in self._left if name not in self._loud]),
                (logging.WARNING, self._loud)):
            if names:
                _logger.log(level, "left %d modules as they are: %s", len(names), "; ".join(
                    f"{name or repr(name)} ({self._left[name]})" for name in names))


def _patterns(patterns: Patterns) -> Tuple[str, ...]:
    return (patterns,) if isinstance(patterns, str) else tuple(patterns or ())


def _left_by(name: str, include: Optional[Tuple[str, ...]],
             exclude: Tuple[str, ...]) -> Optional[str]:
    for pattern in exclude:
        if selected(name, pattern, None):
            return f"excluded by pattern {pattern!r}"
    return None if selected(name, include, None) else "no include pattern matches it"
