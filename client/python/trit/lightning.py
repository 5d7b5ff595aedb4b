# SPDX-License-Identifier: Apache-2.0
"""Ternary training with Lightning.

Convert the module's model by `trit.torch.convert`, and give the Trainer a callback.

Example:
    >>> verifying = trit.lightning.VerifyCallback("run-7", every=100, client=client)
    >>> # trainer = lightning.Trainer(callbacks=[verifying])
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

try:
    from lightning.pytorch import Callback
except ImportError:  # the package of its own
    from pytorch_lightning import Callback

from . import torch as _torch
from ._arguments import c_text, flag, positive
from .client import Client
from .reports import Report
from .verification import VerifyEvery, check_client

__all__ = ["VerifyCallback"]


class VerifyCallback(Callback):
    """A callback of lightning.Trainer that verifies the module every N-th step.

    It is `trit.torch.verify_every` for a Trainer: the layers are verified after a batch that
    ended a step of the optimizer. A call that fails does not end the training.

    Attributes:
        run: The run that the reports are stored under.
        verifying: The `trit.torch.VerifyEvery`, with `history` and `failures`; None before
            training begins.

    Example:
        >>> trit.lightning.VerifyCallback("run-7", every=100, client=client).run
        'run-7'
    """

    def __init__(
        self,
        run: str,
        every: int = 100,
        client: Optional[Client] = None,
        callback: Optional[Callable[[int, Dict[str, Report]], Any]] = None,
        strict: bool = False,
    ) -> None:
        """Makes the callback.

        Args:
            run: The run that the reports are stored under.
            every: Steps of the optimizer between two verifications, 1 or more.
            client: The client to verify with; None for each layer's own.
            callback: Called with the step and the reports by layer after each verification.
            strict: Whether a call that fails raises.

        Raises:
            InvalidArgument: `every` is below 1.
            InvalidType: An argument has the wrong type.

        Example:
            >>> callback = trit.lightning.VerifyCallback("run-7", client=client)
        """
        super().__init__()
        c_text(run, "run")
        check_client(client)
        self.run = run
        self.verifying: Optional[VerifyEvery] = None
        self._options = (positive(every, "every"), client, callback, flag(strict, "strict"))
        self._step = 0

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Is called by the Trainer before the first step.

        Args:
            trainer: The Trainer.
            pl_module: The module that is trained.

        Raises:
            Error: With `strict`: a verification failed.

        Example:
            >>> # The Trainer calls it.
        """
        every, client, callback, strict = self._options
        self._step = trainer.global_step
        self.verifying = _torch.verify_every(pl_module, self.run, every, client, callback, strict)

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Is called by the Trainer after each batch.

        Args:
            trainer: The Trainer.
            pl_module: The module that is trained.
            outputs: What its step gave.
            batch: The batch.
            batch_idx: Its number in the epoch.

        Raises:
            Error: With `strict`: a verification failed.

        Example:
            >>> # The Trainer calls it.
        """
        # With accumulated gradients several batches make a step.
        if self.verifying is not None and trainer.global_step != self._step:
            self._step = trainer.global_step
            self.verifying(self._step)
