# SPDX-License-Identifier: Apache-2.0
"""Which modules of a torch model can be ternary, and why others cannot."""

from __future__ import annotations

from typing import Iterator, Optional, Tuple

import torch
from torch import Tensor, nn

from ._torch_layers import Ternary
from ._weight import TernaryParameter
from .conversion import ALREADY, LORA_STAYS, Candidate, is_lora


def find(model: nn.Module, kinds: Tuple[type, ...]) -> Iterator[Candidate]:
    """The modules that hold a matrix of weights. `kinds`: the classes that can be ternary."""
    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, nn.utils.parametrize.ParametrizationList):
            continue  # the layer whose weight it computes is reported instead
        matrices = [
            key
            for key, one in module._parameters.items()
            if one is not None and not _is_vector(one)
        ]
        if isinstance(module, Ternary):
            yield Candidate(name, ALREADY, quiet=True)
        elif is_lora(name) and matrices:
            yield Candidate(name, LORA_STAYS)
        elif type(module) is nn.Embedding and (
            module.max_norm is not None or module.scale_grad_by_freq or module.sparse
        ):
            yield Candidate(
                name,
                "an embedding with max_norm, scale_grad_by_freq or sparse has no ternary equal",
                refused=True,
            )
        elif isinstance(module, kinds):
            yield Candidate(name, _why_not(module, kinds))
        elif isinstance(module, nn.MultiheadAttention):
            yield Candidate(
                name,
                f"nn.MultiheadAttention multiplies by its own {', '.join(matrices)}: "
                "to have it ternary, write it with nn.Linear layers",
            )
        elif matrices:
            yield Candidate(
                name,
                f"{type(module).__name__} holds {', '.join(matrices)} itself: only "
                "nn.Linear, nn.Embedding and Conv1D of transformers are converted",
            )
        elif _is_quantized(module):
            yield Candidate(
                name,
                f"{type(module).__name__} holds its weight quantized: convert the "
                "model before that is done",
            )


def _is_quantized(module: nn.Module) -> bool:
    """Whether its weight is a buffer, as in GPTQ's layers, or packed behind a method.

    torch's own quantized layers have such a method.
    """
    return callable(getattr(type(module), "weight", None)) or any(
        "weight" in key and one is not None and one.ndim > 1
        for key, one in module._buffers.items()
    )


def _is_vector(parameter: Tensor) -> bool:
    return not isinstance(parameter, nn.parameter.UninitializedParameter) and parameter.ndim < 2


def _why_not(module: nn.Module, kinds: Tuple[type, ...]) -> Optional[str]:
    """Why a linear layer or an embedding cannot be converted; None if it can."""
    kind, weight = type(module), module._parameters.get("weight")
    if nn.utils.parametrize.is_parametrized(module) or weight is None:
        return (
            "its weight is computed by a parametrization, weight_norm or the like: remove "
            "that first, or make its factors nn.Linear layers"
        )
    if isinstance(module, nn.modules.linear.NonDynamicallyQuantizableLinear):
        return (
            "it belongs to nn.MultiheadAttention, which multiplies by its weight itself: to "
            "have it ternary, write the attention with nn.Linear layers"
        )
    if isinstance(weight, nn.parameter.UninitializedParameter):
        return f"{kind.__name__} has no weight yet: run the model once, then convert"
    if kind not in kinds:
        base = next(one.__name__ for one in kinds if isinstance(module, one))
        base = f"nn.{base}" if base in ("Linear", "Embedding") else base
        return (
            f"{kind.__name__} is a subclass of {base} and may use its weight in its own way: "
            f"replace it by {base}"
            + (f", or by trit.torch.Ternary{base[3:]}" if base.startswith("nn.") else "")
        )
    if type(weight) not in (nn.Parameter, TernaryParameter):
        return f"its weight is a {type(weight).__name__}, not an nn.Parameter"
    if weight.dtype not in (torch.float32, torch.float16, torch.bfloat16):
        return f"its weight is {weight.dtype}: only float32, float16 and bfloat16 are projected"
    if "forward" in module.__dict__:
        return (
            "its forward was replaced on the object, and would go on using the latents: "
            "convert before that is done"
        )
    return None
