# SPDX-License-Identifier: Apache-2.0
"""Verification of a model's ternary layers by the daemon, for trit.torch and trit.mlx."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, NamedTuple, Optional

from ._arguments import c_text, member, positive, wrong_type
from .client import Client
from .errors import FailedPrecondition
from .reports import Report
from .types import AnyVerifyMode, VerifyMode

__all__ = ["VerifyEvery"]


class Latents(NamedTuple):
    """The latents of a ternary layer, as an array of any library."""

    name: str
    weight: Any
    group_size: int
    client: Optional[Client]


def check_client(client: Optional[Client]) -> None:
    """Refuses an object that is not a blocking client."""
    if client is not None and not isinstance(client, Client):
        raise wrong_type("client", "a trit.Client or None", client)


def verify_layers(
    layers: Iterable[Latents],
    client: Optional[Client],
    *,
    mode: AnyVerifyMode = VerifyMode.LATENT,
    run: str = "",
    step: int = 0,
    tolerance: Optional[float] = None,
) -> Dict[str, Report]:
    """A report for each layer, by its name; stored if there is a `run`."""
    check_client(client)
    c_text(run, "run")
    kind = member(VerifyMode, mode, "mode")
    reports = {}
    for layer in layers:
        daemon = client or layer.client
        if daemon is None:
            raise FailedPrecondition(f"{layer.name}: there is no client to verify with", "client")
        reports[layer.name] = daemon.verify(
            layer.weight,
            mode=kind,
            group_size=layer.group_size,
            tolerance=tolerance,
            layer=(run, layer.name, step) if run else None,
        )
    return reports


class VerifyEvery:
    """A training callback that verifies every N-th step and stores the reports.

    `verify_every` of trit.torch and trit.mlx makes one. Call it on every rank: a report that
    is stored twice is one report, and ranks whose weights differ raise AlreadyExists.

    Attributes:
        run: The run that the reports are stored under.
        every: Steps between two verifications.
        history: The reports so far: history[step][layer].

    Example:
        >>> from trit.verification import VerifyEvery
        >>> after_step = VerifyEvery(lambda: [], client, "run-7", every=10)
        >>> after_step(10), after_step(11)
        ({}, None)
    """

    def __init__(
        self,
        layers: Callable[[], Iterable[Latents]],
        client: Optional[Client],
        run: str,
        every: int = 100,
        callback: Optional[Callable[[int, Dict[str, Report]], Any]] = None,
    ) -> None:
        """Makes the callback.

        Args:
            layers: Gives the layers' latents.
            client: The client to verify with; None for each layer's own.
            run: The run that the reports are stored under.
            every: Steps between two verifications, 1 or more.
            callback: Called with the step and the reports by layer after each verification.

        Raises:
            InvalidArgument: `every` is below 1.
            InvalidType: An argument has the wrong type.

        Example:
            >>> from trit.verification import VerifyEvery
            >>> VerifyEvery(lambda: [], client, "run-7").every
            100
        """
        check_client(client)
        c_text(run, "run")
        if callback is not None and not callable(callback):
            raise wrong_type("callback", "a function", callback)
        self.run, self.every = run, positive(every, "every")
        self.history: Dict[int, Dict[str, Report]] = {}
        self._layers, self._client, self._callback = layers, client, callback

    def __call__(self, step: int) -> Optional[Dict[str, Report]]:
        """Verifies the layers if it is their turn.

        Args:
            step: The training step that is done.

        Returns:
            The reports by layer; None if this step is not verified.

        Raises:
            AlreadyExists: Another rank has stored a different report for this step.
            FailedPrecondition: There is no client.

        Example:
            >>> from trit.verification import VerifyEvery
            >>> VerifyEvery(lambda: [], client, "run-7", every=10)(20)
            {}
        """
        if step % self.every:
            return None
        reports = verify_layers(self._layers(), self._client, run=self.run, step=step)
        self.history[step] = reports
        if self._callback is not None:
            self._callback(step, reports)
        return reports
