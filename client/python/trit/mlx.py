# SPDX-License-Identifier: Apache-2.0
"""Ternary layers for MLX, projected by tritd; see trit.torch, of which this is the
twin. Without a client the projection is trit.local's: the bits are the same.

A projection by RPC needs its weights' values, so it cannot be inside mx.compile;
mx.grad and nn.value_and_grad are fine.
"""
from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, Optional, Union, cast

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from . import local
from ._selection import Patterns
from .client import Client
from .conversion import ALREADY, LORA_STAYS, Conversion, Found, Plan, is_lora
from .reports import Report
from .types import GROUP_SIZE, PartialGroup, ReportDetail, VerifyMode
from .verification import Layer, VerifyEvery, verify_layers

__all__ = ["Conversion", "TernaryEmbedding", "TernaryLinear", "convert", "project_local", "set_client",
           "ternary_projection", "verify_every", "verify_ternary_weights"]


# ---- the projection -------------------------------------------------------------------

def _numpy(array: Any) -> np.ndarray:
    """The array's own memory."""
    return np.asarray(memoryview(array))


def project_local(latent: mx.array, group_size: int = GROUP_SIZE,
                  partial_group: Union[PartialGroup, str] = PartialGroup.PADDED) -> mx.array:
    """t*s of a f32, f16 or bf16 array [..., columns], without a daemon."""
    wide = _numpy(latent.astype(mx.float32))
    codes, scales = local.codes_and_scales(wide, group_size, partial_group)
    rounded = mx.array(scales).astype(latent.dtype).astype(mx.float32)
    s = np.repeat(_numpy(rounded), group_size, axis=1)[:, :wide.shape[-1]]
    dense = np.copysign(np.abs(codes).astype(np.float32), wide) * s.reshape(wide.shape)
    return mx.array(dense).astype(latent.dtype)


def ternary_projection(latent: mx.array, client: Optional[Client] = None, *,
                       group_size: int = GROUP_SIZE,
                       partial_group: Union[PartialGroup, str] = PartialGroup.PADDED,
                       ) -> mx.array:
    """t*s of `latent` (f32, f16, bf16 [..., columns]), differentiable by the
    straight-through estimator; by RPC where a client is given."""
    @mx.custom_function
    def project(w: mx.array) -> mx.array:
        if client is None:
            return project_local(w, group_size, partial_group)
        return client.project(w, group_size=group_size, partial_group=partial_group,
                              report=ReportDetail.NONE).data

    @project.vjp
    def straight_through(primal: Any, cotangent: mx.array, output: Any) -> mx.array:
        return cotangent

    return cast(mx.array, project(latent))


# ---- layers ---------------------------------------------------------------------------

class TernaryLinear(nn.Module):
    """y = x Wt^T + b, Wt the projection of the latent `weight` [out, in].

    x is [..., in_features]. Latents are drawn from N(0, 1) * in_features^-0.5,
    the bias is zero."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *,
                 group_size: int = GROUP_SIZE, client: Optional[Client] = None) -> None:
        super().__init__()
        self.weight = mx.random.normal((out_features, in_features)) * in_features ** -0.5
        if bias:
            self.bias = mx.zeros((out_features,))
        self.group_size, self.client = group_size, client

    def ternary_weight(self) -> mx.array:
        return ternary_projection(self.weight, self.client, group_size=self.group_size)

    def __call__(self, x: mx.array) -> mx.array:
        y = x @ self.ternary_weight().T
        return y + self.bias if "bias" in self else y


class TernaryEmbedding(nn.Module):
    """Rows of the projection of the latent `weight` [num_embeddings, dims];
    latents are drawn from N(0, 1) * dims^-0.5."""

    def __init__(self, num_embeddings: int, dims: int, *, group_size: int = GROUP_SIZE,
                 client: Optional[Client] = None) -> None:
        super().__init__()
        self.weight = mx.random.normal((num_embeddings, dims)) * dims ** -0.5
        self.group_size, self.client = group_size, client

    def ternary_weight(self) -> mx.array:
        return ternary_projection(self.weight, self.client, group_size=self.group_size)

    def __call__(self, ids: mx.array) -> mx.array:
        return self.ternary_weight()[ids]

    def as_linear(self, x: mx.array) -> mx.array:
        """Logits [..., num_embeddings] of x [..., dims], weights tied."""
        return x @ self.ternary_weight().T


# ---- models ---------------------------------------------------------------------------

_KINDS: Dict[type, type] = {nn.Linear: TernaryLinear, nn.Embedding: TernaryEmbedding}


def _find(model: nn.Module) -> Iterator[Found]:
    """The modules that hold a matrix of weights, by name."""
    for name, module in sorted(model.named_modules(), key=lambda one: one[0]):
        matrices = [key for key, one in module.items()
                    if isinstance(one, mx.array) and one.ndim >= 2 and not key.startswith("_")]
        if isinstance(module, (TernaryLinear, TernaryEmbedding)):
            yield Found(name, ALREADY, quiet=True)
        elif matrices and (is_lora(name) or all(map(is_lora, matrices))):
            yield Found(name, LORA_STAYS)
        elif type(module) in _KINDS:
            kind = module.weight.dtype
            yield Found(name, None if kind in (mx.float32, mx.float16, mx.bfloat16) else
                        f"its weight is {kind}: only float32, float16 and bfloat16 are projected")
        elif isinstance(module, tuple(_KINDS)):
            yield Found(name, f"{type(module).__name__} is a subclass of nn.Linear or nn.Embedding "
                        "and may use its weight in its own way: replace it by one of the two")
        elif matrices:
            yield Found(name, f"{type(module).__name__} holds {', '.join(matrices)} itself: only "
                        "nn.Linear and nn.Embedding are converted")


def convert(model: nn.Module, include: Patterns = None, exclude: Patterns = None, *,
            group_size: int = GROUP_SIZE, client: Optional[Client] = None) -> nn.Module:
    """Makes nn.Linear and nn.Embedding layers ternary, in place; gives the model. A layer
    in two places stays one; what is frozen stays frozen; attributes stay.

    include, exclude: shell patterns of dotted module names ("layers.*.attn.*"); one that
    matches no module is InvalidArgument. `model.trit_conversion` says what was converted,
    what was left and why, and so does the logger "trit": see trit.torch.convert.

    Here `layer.weight` is the latents to whoever reads it. Whoever multiplies by the
    weights of another module asks for `layer.ternary_weight()` or `as_linear`."""
    modules = dict(model.named_modules())
    plan = Plan(_find(model), modules, include, exclude)
    for name in plan.chosen:
        module = modules[name]
        if type(module) in _KINDS:  # else it is in two places
            module.__class__ = _KINDS[type(module)]
            module.group_size, module.client = group_size, client
    plan.told(model)
    return model


def _ternary_layers(model: nn.Module) -> Iterator[Layer]:
    for name, module in sorted(model.named_modules(), key=lambda one: one[0]):
        if isinstance(module, (TernaryLinear, TernaryEmbedding)):
            yield Layer(name, module.weight, module.group_size, module.client)


def set_client(model: nn.Module, client: Optional[Client]) -> None:
    """All ternary layers of the model project by this client; None: locally."""
    for _, module in model.named_modules():
        if isinstance(module, (TernaryLinear, TernaryEmbedding)):
            module.client = client


def verify_ternary_weights(model: nn.Module, client: Optional[Client] = None, *,
                           mode: Union[VerifyMode, str] = VerifyMode.LATENT,
                           tolerance: Optional[float] = None, run: str = "",
                           step: int = 0) -> Dict[str, Dict[str, Any]]:
    """For each ternary layer by name what the daemon finds; see
    trit.torch.verify_ternary_weights."""
    reports = verify_layers(_ternary_layers(model), client, mode=mode, run=run, step=step,
                            tolerance=tolerance)
    return {name: report.to_dict() for name, report in reports.items()}


def verify_every(model: nn.Module, run: str, every: int = 100,
                 client: Optional[Client] = None,
                 told: Optional[Callable[[int, Dict[str, Report]], Any]] = None) -> VerifyEvery:
    """A training callback; see VerifyEvery."""
    return VerifyEvery(lambda: _ternary_layers(model), client, run, every, told)
