# SPDX-License-Identifier: Apache-2.0
"""Ternary training with Hugging Face transformers.

Example:
    >>> from transformers import LlamaConfig, LlamaForCausalLM
    >>> config = LlamaConfig(vocab_size=32, hidden_size=128, intermediate_size=128,
    ...     num_hidden_layers=1, num_attention_heads=2)
    >>> model = trit.transformers.convert(LlamaForCausalLM(config), client=client)
    >>> len(model.trit_conversion.converted), sorted(model.trit_conversion.skipped)
    (7, ['lm_head', 'model.embed_tokens'])
    >>> verifying = trit.transformers.VerifyCallback("run-7", every=100, client=client)
    >>> # trainer = transformers.Trainer(model, ..., callbacks=[verifying])
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

from torch import nn
from transformers import TrainerCallback

from . import torch as _torch
from ._arguments import c_text, flag, positive, wrong_type
from ._retry import Fallback
from ._selection import Patterns, patterns_of
from ._torch_layers import OnNaN
from .client import Client
from .reports import Report
from .types import GROUP_SIZE
from .verification import VerifyEvery, check_client

__all__ = ["VerifyCallback", "convert"]

# The last part of names that the rules of checkpoints keep: routers and tables of positions.
_KEPT = frozenset(
    """
    gate router shared_expert_gate
    wpe position_embeddings position_embedding embed_positions positional_embedding
    relative_attention_bias pos_embed""".split()
)


def convert(
    model: nn.Module,
    include: Patterns = None,
    exclude: Patterns = None,
    *,
    embeddings: bool = False,
    head: bool = False,
    group_size: int = GROUP_SIZE,
    client: Optional[Client] = None,
    nan: OnNaN = "raise",
    fallback: Fallback = None,
) -> nn.Module:
    """Makes the layers of a model of transformers ternary, in place.

    As `trit.torch.convert`, but what ternary models keep stays as it is: embedding and head
    (by the model's own get_input_embeddings and get_output_embeddings), router gates and
    tables of positions. Conv1D layers (GPT-2) are converted: see `trit.torch.convert`. What
    else holds weights, such as experts in one tensor, is left out and named in
    `model.trit_conversion.skipped`.

    Args:
        model: A transformers.PreTrainedModel.
        include: Shell pattern(s) of dotted module names: only these are converted, even if
            they are kept otherwise.
        exclude: Shell pattern(s) of dotted module names that are not converted.
        embeddings: Whether the input embedding is ternary, too.
        head: Whether the output layer is ternary, too. With tied weights it is what the
            embedding is.
        group_size: Weights of a row that share a scale.
        client: The client to project with; None to project in torch.
        nan: Whether latents that are not finite raise InvalidArgument or warn.
        fallback: "local": while the daemon cannot be reached, the layers project in torch.

    Returns:
        The model.

    Raises:
        InvalidArgument: A pattern matches no module, or nothing of the model is converted.
        InvalidType: `model` has no input embedding, as models of transformers have.

    Example:
        >>> from transformers import GPT2Config, GPT2LMHeadModel
        >>> model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=32, n_head=2, vocab_size=8))
        >>> trit.transformers.convert(model, client=client).trit_conversion.converted[:2]
        ('transformer.h.0.attn.c_attn', 'transformer.h.0.attn.c_proj')
    """
    if not isinstance(model, nn.Module) or not hasattr(model, "get_input_embeddings"):
        raise wrong_type("model", "a transformers.PreTrainedModel", model)
    flag(embeddings, "embeddings")
    flag(head, "head")
    excluded = list(patterns_of(exclude, "exclude"))
    if include is None:
        ends = [(model.get_input_embeddings(), embeddings), (model.get_output_embeddings(), head)]
        tied = ends[1][0] is not None and (
            getattr(ends[0][0], "weight", None) is getattr(ends[1][0], "weight", ends)
        )
        kept = [one for one, wanted in ends if one is not None and not wanted]
        if tied and (embeddings or head):
            kept = []  # one weight is ternary for both
        names = {
            name
            for name, module in model.named_modules(remove_duplicate=False)
            if any(module is one for one in kept)
            or (name.rpartition(".")[2] in _KEPT and isinstance(module, (nn.Linear, nn.Embedding)))
        }
        excluded += sorted(names)
    return _torch.convert(
        model,
        include,
        excluded,
        group_size=group_size,
        client=client,
        nan=nan,
        fallback=fallback,
    )


class VerifyCallback(TrainerCallback):
    """A callback of transformers.Trainer that verifies the model every N-th step.

    It is `trit.torch.verify_every` for a Trainer: the layers are verified at the end of a step
    of the optimizer. A call that fails does not end the training.

    Attributes:
        run: The run that the reports are stored under.
        verifying: The `trit.torch.VerifyEvery`, with `history` and `failures`; None before
            training begins.

    Example:
        >>> trit.transformers.VerifyCallback("run-7", every=100, client=client).run
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
            >>> callback = trit.transformers.VerifyCallback("run-7", client=client)
        """
        c_text(run, "run")
        check_client(client)
        self.run = run
        self.verifying: Optional[VerifyEvery] = None
        self._options = (positive(every, "every"), client, callback, flag(strict, "strict"))

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Is called by the Trainer before the first step.

        Args:
            args: The Trainer's arguments.
            state: The Trainer's state.
            control: The Trainer's control.
            kwargs: The model, among others.

        Raises:
            Error: With `strict`: a verification failed.

        Example:
            >>> # The Trainer calls it.
        """
        every, client, callback, strict = self._options
        self.verifying = _torch.verify_every(
            kwargs["model"], self.run, every, client, callback, strict
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Is called by the Trainer after each step.

        Args:
            args: The Trainer's arguments.
            state: The Trainer's state.
            control: The Trainer's control.
            kwargs: The model, among others.

        Raises:
            Error: With `strict`: a verification failed.

        Example:
            >>> # The Trainer calls it.
        """
        if self.verifying is not None:
            self.verifying(state.global_step)
