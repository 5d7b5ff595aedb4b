# SPDX-License-Identifier: Apache-2.0
"""Verification of a model's ternary layers by the daemon, for trit.torch and trit.mlx."""

from __future__ import annotations

import logging
from typing import Any, Callable, Dict, Iterable, NamedTuple, Optional, Tuple

from ._arguments import c_text, flag, member, positive, unsigned, wrong_type
from ._native import ffi, lib
from .client import Client
from .errors import (
    DeadlineExceeded,
    Error,
    FailedPrecondition,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from .reports import Report, Shard
from .types import AnyVerifyMode, VerifyMode

__all__ = ["VerifyEvery"]

_log = logging.getLogger("trit")


class Latents(NamedTuple):
    """The latents of a ternary layer, as an array of any library.

    `shard`: they are a part of the layer's. `refused`: why they cannot be verified.
    """

    name: str
    weight: Any
    group_size: int
    client: Optional[Client]
    shard: Optional[Shard] = None
    refused: str = ""


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
    return {layer.name: _verify(layer, client, kind, run, step, 0, tolerance) for layer in layers}


def _daemon(layer: Latents, client: Optional[Client]) -> Client:
    daemon = client or layer.client
    if daemon is None:
        raise FailedPrecondition(f"{layer.name}: there is no client to verify with", "client")
    return daemon


def _verify(
    layer: Latents,
    client: Optional[Client],
    mode: VerifyMode,
    run: str,
    step: int,
    attempt: int,
    tolerance: Optional[float] = None,
) -> Report:
    if layer.refused:
        raise FailedPrecondition(f"{layer.name}: {layer.refused}", "model")
    return _daemon(layer, client).verify(
        layer.weight,
        mode=mode,
        group_size=layer.group_size,
        tolerance=tolerance,
        layer=(run, layer.name, step) if run else None,
        attempt=attempt if run else 0,
        shard=layer.shard if run else None,
    )


class VerifyEvery:
    """A training callback that verifies every N-th step and stores the reports.

    `verify_every` of trit.torch and trit.mlx makes one. Call it on every rank: a report that
    is stored twice is one report, and that of a rank whose weights differ is ALREADY_EXISTS.

    A call that fails does not end the training: it is counted in `failures`, the logger
    "trit" warns once for each status, and the next verification is tried again. With `strict`
    it raises.

    A rank of FSDP2 (`fully_shard`) or of tensor parallelism, whose latents are DTensors, sends
    its shards, and the shards of all ranks make one report. FullyShardedDataParallel has flat
    shards between its passes: layers are refused (FAILED_PRECONDITION) unless the call is
    inside of `FSDP.summon_full_params(model)`.

    A step below the run's newest begins the run's next attempt, so that a job that goes on
    from an older checkpoint needs no more than its run's name. Call it after each step, also
    after those that are not verified: at the first one it asks for the run's newest step. A
    verification at that step then begins an attempt, too. If the first call is itself a
    verification at the newest step, it stays in the attempt, because another rank may have
    stored its reports. Where callers have tokens, it needs the policies verify and read.

    Attributes:
        run: The run that the reports are stored under.
        every: Steps between two verifications.
        strict: Whether a call that fails raises.
        history: The reports so far: history[step][layer].
        failures: How many calls failed, by the name of their status, such as "UNAVAILABLE".

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
        strict: bool = False,
    ) -> None:
        """Makes the callback.

        Args:
            layers: Gives the layers' latents.
            client: The client to verify with; None for each layer's own.
            run: The run that the reports are stored under.
            every: Steps between two verifications, 1 or more.
            callback: Called with the step and the reports by layer after each verification.
            strict: Whether a call that fails raises.

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
        self.strict = flag(strict, "strict")
        self.history: Dict[int, Dict[str, Report]] = {}
        self.failures: Dict[str, int] = {}
        self._layers, self._client, self._callback = layers, client, callback
        self._asked = False  # whether the first call is over
        self._from: Optional[int] = None  # steps below begin an attempt; None: not known yet
        self._attempt = 0  # the run's newest

    def __call__(self, step: int) -> Optional[Dict[str, Report]]:
        """Verifies the layers if it is their turn.

        Args:
            step: The training step that is done.

        Returns:
            The reports by layer, without those of calls that failed; None if this step is not
            verified.

        Raises:
            Error: With `strict`: AlreadyExists if another rank has stored a different report
                for this step, FailedPrecondition if there is no client, or what else failed.
            InvalidArgument: `step` is negative.

        Example:
            >>> from trit.verification import VerifyEvery
            >>> VerifyEvery(lambda: [], client, "run-7", every=10)(20)
            {}
        """
        step = unsigned(step, 2**63, "step")
        if step % self.every:
            self._ask()
            return None
        self._asked = True
        reports: Dict[str, Report] = {}
        for layer in self._layers():
            try:
                if not reports:
                    self._begin(layer, step)
                reports[layer.name] = _verify(
                    layer, self._client, VerifyMode.LATENT, self.run, step, self._attempt
                )
            except Error as error:
                self._fail(layer.name, step, error)
                if isinstance(error, (Unavailable, DeadlineExceeded)):
                    break  # the other layers would wait for the daemon in vain
        for report in reports.values():
            self._attempt = report.attempt or self._attempt
        self.history[step] = reports
        if self._callback is not None:
            self._callback(step, reports)
        return reports

    def _begin(self, layer: Latents, step: int) -> None:
        """Finds the attempt that the step belongs to."""
        if not self.run:
            return
        if self._from is None:
            self._from, self._attempt = self._found(layer)
        # The number is the same on every rank, whichever comes first.
        self._attempt = self._attempt + 1 if step < self._from else self._attempt
        self._from = step

    def _ask(self) -> None:
        """At the first call: finds the run's newest step, which an earlier job has stored.

        Ranks train in step, so none of this job can have stored a report yet.
        """
        if self._asked or not self.run:
            return
        self._asked = True
        for layer in self._layers():
            try:
                newest, self._attempt = self._found(layer)
            except Error:
                return  # the first verification asks again, and tells what fails
            self._from = newest + 1
            return

    def _found(self, layer: Latents) -> Tuple[int, int]:
        """The newest step of the run and its attempt, from before this object."""
        try:
            stored = _daemon(layer, self._client).reports.latest(self.run)
        except NotFound:  # a new run
            return -1, 0
        except PermissionDenied as error:
            _log.warning(
                "the newest step of run %r is not known: %s. A job that starts again from an "
                "older checkpoint stays in the run's attempt",
                self.run,
                error,
            )
            return -1, 0
        attempt = max((one.attempt or 0 for one in stored), default=0)
        steps = (one.step for one in stored if one.attempt == attempt)
        return max(steps, default=-1), attempt

    def _fail(self, layer: str, step: int, error: Error) -> None:
        if self.strict:
            raise error
        status: str = ffi.string(lib.trit_status_name(error.status)).decode()
        known = self.failures.get(status, 0)
        self.failures[status] = known + 1
        if not known:
            _log.warning(
                "%s was not verified at step %d: %s: %s. Training goes on; more failures of "
                "this status are only counted",
                layer,
                step,
                status,
                error,
            )
