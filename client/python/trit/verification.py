# SPDX-License-Identifier: Apache-2.0
"""Verification of a model's ternary layers by the daemon; trit.torch and trit.mlx
say which those are."""
from __future__ import annotations

import numbers
from typing import Any, Callable, Dict, Iterable, NamedTuple, Optional, Union

from .client import Client
from .errors import FailedPrecondition, InvalidArgument
from .reports import Report
from .types import VerifyMode, member


class Layer(NamedTuple):
    """A ternary layer's latents, as arrays of any family."""

    name: str
    weight: Any
    group_size: int
    client: Optional[Client]


def verify_layers(layers: Iterable[Layer], client: Optional[Client], *,
                  mode: Union[VerifyMode, str] = VerifyMode.LATENT, run: str = "",
                  step: int = 0, tolerance: Optional[float] = None,
                  timeout: Optional[float] = None) -> Dict[str, Report]:
    """A report for each layer, by its name; filed where `run` is given."""
    kind = member(VerifyMode, mode, "mode")
    found = {}
    for layer in layers:
        daemon = client or layer.client
        if daemon is None:
            raise FailedPrecondition(f"{layer.name}: no client to verify with", "client")
        found[layer.name] = daemon.verify(
            layer.weight, mode=kind, group_size=layer.group_size, tolerance=tolerance,
            layer=(run, layer.name, step) if run else None, timeout=timeout)
    return found


class VerifyEvery:
    """A training callback: `after_step(step)` verifies every `every`-th step (1
    or more) and files the reports under `run`.

    Call it on every rank: a report filed twice is one report, and ranks whose
    weights differ get AlreadyExists instead.

    `layers` gives the layers, `told` (if any) is called with step and reports;
    `history[step][layer]` keeps what was seen.
    """

    def __init__(self, layers: Callable[[], Iterable[Layer]], client: Optional[Client],
                 run: str, every: int = 100,
                 told: Optional[Callable[[int, Dict[str, Report]], Any]] = None) -> None:
        if isinstance(every, bool) or not isinstance(every, numbers.Integral) or every < 1:
            raise InvalidArgument(f"every: {every!r} is no number of steps from 1 on", "every")
        self.run, self.every = run, int(every)
        self.history: Dict[int, Dict[str, Report]] = {}
        self._layers, self._client, self._told = layers, client, told

    def __call__(self, step: int) -> Optional[Dict[str, Report]]:
        """The reports where this step is one to verify, else None."""
        if step % self.every:
            return None
        reports = verify_layers(self._layers(), self._client, run=self.run, step=step)
        self.history[step] = reports
        if self._told is not None:
            self._told(step, reports)
        return reports
