# SPDX-License-Identifier: Apache-2.0
"""Ternary layers for PyTorch (1.13 and later), projected by tritd.

    model = trit.torch.convert(model, exclude="head", client=client)
    after_step = trit.torch.verify_every(model, run="run-7", every=20, client=client)

Each forward pass projects the latent weights, by RPC where the layer has a
client and in torch where it has none: the bits are the same. The gradient goes
through the projection unchanged (straight-through estimator).

torch.compile leaves its graph for a projection by RPC and goes on after it;
projections in torch are compiled. torch.func's grad and vjp go through both.
"""
from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._selection import Patterns
from ._weight import TernaryParameter, adopt, plain, uncompiled
from .client import Client
from .conversion import ALREADY, LORA_STAYS, Conversion, Found, Plan, is_lora
from .reports import Report
from .types import GROUP_SIZE, PartialGroup, ReportDetail, VerifyMode, member
from .verification import Layer, VerifyEvery, verify_layers

__all__ = ["Conversion", "TernaryEmbedding", "TernaryLinear", "convert", "project_local", "set_client",
           "ternary_projection", "verify_every", "verify_ternary_weights"]


# ---- the projection -------------------------------------------------------------------

def project_local(latent: Tensor, group_size: int = GROUP_SIZE,
                  partial_group: Union[PartialGroup, str] = PartialGroup.PADDED) -> Tensor:
    """t*s of a f32, f16 or bf16 tensor [..., columns], without a daemon and without
    a gradient; the daemon's bits."""
    columns = latent.shape[-1]
    rows = plain(latent).detach().reshape(-1, columns).double()
    short = -columns % group_size
    padded = F.pad(rows, (0, short)).reshape(rows.shape[0], -1, group_size)
    divisor = torch.full(padded.shape[1:2], float(group_size), dtype=torch.float64,
                         device=rows.device)
    if short and member(PartialGroup, partial_group, "partial_group") == PartialGroup.EXACT:
        divisor[-1] = group_size - short
    scales = (padded.abs().sum(-1) / divisor).float()
    s = scales.double().unsqueeze(-1)
    nonzero = (2 * padded.abs() > s).float()
    # The scale is rounded once to the output's type; a zero keeps its weight's sign.
    rounded = scales.to(latent.dtype).float().unsqueeze(-1)
    dense = torch.copysign(nonzero * rounded, padded.float()).reshape(rows.shape[0], -1)
    if short:
        # Without a clone the rows would lie padded, a stride that matrix products may
        # meet with another kernel, and so with other bits than the daemon's result.
        dense = dense[:, :columns].clone(memory_format=torch.contiguous_format)
    return dense.to(latent.dtype).reshape(latent.shape)


class _Projection(torch.autograd.Function):
    """Forward: the projection. Backward: the gradient as it is."""

    @staticmethod
    def forward(*args: Any) -> Tensor:
        latent, project = args[-2:]  # torch 1.13 has the context before them
        return project(latent)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """torch.func asks for one."""

    @staticmethod
    def backward(ctx: Any, grad_ternary: Tensor):
        return grad_ternary, None


@uncompiled
def _apply_uncompiled(latent: Tensor, project: Callable[[Tensor], Tensor]) -> Tensor:
    return _Projection.apply(latent, project)


def ternary_projection(latent: Tensor, client: Optional[Client] = None, *,
                       group_size: int = GROUP_SIZE,
                       partial_group: Union[PartialGroup, str] = PartialGroup.PADDED,
                       ) -> Tensor:
    """t*s of `latent` (f32, f16, bf16 [..., columns]), differentiable by the
    straight-through estimator; by RPC where a client is given."""
    def project(w: Tensor) -> Tensor:
        if client is None:
            return project_local(w, group_size, partial_group)
        return client.project(w, group_size=group_size, partial_group=partial_group,
                              report=ReportDetail.NONE).data

    apply = _Projection.apply if client is None else _apply_uncompiled
    return apply(plain(latent), project)


# ---- layers ---------------------------------------------------------------------------

class _Ternary(nn.Module):
    """What both layers are. `weight` is the latent Parameter, and a product with it is
    one with the ternary weights, whoever multiplies: see trit._weight."""

    group_size: int
    client: Optional[Client]

    def _latent(self) -> Tensor:
        latent = self._parameters.get("weight")
        if latent is None:
            latent = self.__dict__.get("weight")  # of torch.nn.utils.prune and the like
        return self.weight if latent is None else latent  # None: a parametrization's

    def ternary_weight(self) -> Tensor:
        return ternary_projection(self._latent(), self.client, group_size=self.group_size)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)  # type: ignore[misc]
        if not keep_vars and f"{prefix}weight" in destination:
            destination[f"{prefix}weight"] = plain(destination[f"{prefix}weight"])

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, group_size={self.group_size}"


def _read(self: _Ternary) -> Tensor:
    latent = self._parameters.get("weight")
    if latent is None:
        latent = self.__dict__.get("weight")
    if latent is None:
        raise AttributeError(f"{type(self).__name__} has no weight")
    return adopt(latent, self)


def _write(self: _Ternary, computed: Tensor) -> None:
    """A Parameter does not come here; what a hook computes does."""
    self.__dict__["weight"] = computed


def _remove(self: _Ternary) -> None:
    self.__dict__.pop("weight", None)


class TernaryLinear(_Ternary, nn.Linear):
    """y = x Wt^T + b, Wt the projection of the latent `weight` [out, in].

    x is [..., in_features]. Latents are drawn from N(0, 1) * in_features^-0.5,
    the bias is zero."""

    weight = property(_read, _write, _remove)  # type: ignore[assignment]

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *,
                 group_size: int = GROUP_SIZE, client: Optional[Client] = None,
                 device: Any = None, dtype: Any = None) -> None:
        super().__init__(in_features, out_features, bias, device=device, dtype=dtype)
        self.group_size, self.client = group_size, client

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=self.in_features ** -0.5)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.ternary_weight(), self.bias)


class TernaryEmbedding(_Ternary, nn.Embedding):
    """Rows of the projection of the latent `weight` [num_embeddings,
    embedding_dim]; latents are drawn from N(0, 1) * embedding_dim^-0.5."""

    weight = property(_read, _write, _remove)  # type: ignore[assignment]

    def __init__(self, num_embeddings: int, embedding_dim: int,
                 padding_idx: Optional[int] = None, *, group_size: int = GROUP_SIZE,
                 client: Optional[Client] = None, device: Any = None,
                 dtype: Any = None) -> None:
        super().__init__(num_embeddings, embedding_dim, padding_idx, device=device,
                         dtype=dtype)
        self.group_size, self.client = group_size, client

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=self.embedding_dim ** -0.5)
        self._fill_padding_idx_with_zero()

    def forward(self, ids: Tensor) -> Tensor:
        """ids: integers [...]; gives [..., embedding_dim]."""
        return F.embedding(ids, self.ternary_weight(), self.padding_idx)

    def as_linear(self, x: Tensor) -> Tensor:
        """Logits [..., num_embeddings] of x [..., embedding_dim], weights tied."""
        return F.linear(x, self.ternary_weight())


# ---- models ---------------------------------------------------------------------------

_KINDS: Dict[type, type] = {nn.Linear: TernaryLinear, nn.Embedding: TernaryEmbedding}


def _find(model: nn.Module) -> Iterator[Found]:
    """The modules that hold a matrix of weights."""
    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, nn.utils.parametrize.ParametrizationList):
            continue  # told with the layer whose weight it computes
        matrices = [key for key, one in module._parameters.items()
                    if one is not None and not _is_vector(one)]
        if isinstance(module, _Ternary):
            yield Found(name, ALREADY, quiet=True)
        elif is_lora(name) and matrices:
            yield Found(name, LORA_STAYS)
        elif type(module) is nn.Embedding and \
                (module.max_norm is not None or module.scale_grad_by_freq or module.sparse):
            yield Found(name, "an embedding with max_norm, scale_grad_by_freq or sparse has no "
                        "ternary equal", refused=True)
        elif isinstance(module, (nn.Linear, nn.Embedding)):
            yield Found(name, _why_not(module))
        elif isinstance(module, nn.MultiheadAttention):
            yield Found(name, f"nn.MultiheadAttention multiplies by its own {', '.join(matrices)}: "
                        "to have it ternary, write it with nn.Linear layers")
        elif matrices:
            yield Found(name, f"{type(module).__name__} holds {', '.join(matrices)} itself: only "
                        "nn.Linear and nn.Embedding are converted")
        elif _is_quantized(module):
            yield Found(name, f"{type(module).__name__} holds its weight quantized: convert the "
                        "model before that is done")


def _is_quantized(module: nn.Module) -> bool:
    """Whether its weight is no Parameter but a buffer (as GPTQ's layers have it), or is packed
    and given by a method (as torch's own quantized layers do)."""
    return callable(getattr(type(module), "weight", None)) or any(
        "weight" in key and one is not None and one.ndim > 1
        for key, one in module._buffers.items())


def _is_vector(parameter: Tensor) -> bool:
    return not isinstance(parameter, nn.parameter.UninitializedParameter) and parameter.ndim < 2


def _why_not(module: nn.Module) -> Optional[str]:
    """Why a linear layer or an embedding has no ternary equal; None: it has."""
    kind, weight = type(module), module._parameters.get("weight")
    if nn.utils.parametrize.is_parametrized(module) or weight is None:
        return ("its weight is computed by a parametrization, weight_norm or the like: remove "
                "that first, or make its factors nn.Linear layers")
    if isinstance(module, nn.modules.linear.NonDynamicallyQuantizableLinear):
        return ("it belongs to nn.MultiheadAttention, which multiplies by its weight itself: to "
                "have it ternary, write the attention with nn.Linear layers")
    if isinstance(weight, nn.parameter.UninitializedParameter):
        return f"{kind.__name__} has no weight yet: run the model once, then convert"
    if kind not in _KINDS:
        base = "nn.Linear" if isinstance(module, nn.Linear) else "nn.Embedding"
        return (f"{kind.__name__} is a subclass of {base} and may use its weight in its own way: "
                f"replace it by {base}, or by trit.torch.Ternary{base[3:]}")
    if type(weight) not in (nn.Parameter, TernaryParameter):
        return f"its weight is a {type(weight).__name__}, no nn.Parameter"
    if weight.dtype not in (torch.float32, torch.float16, torch.bfloat16):
        return f"its weight is {weight.dtype}: only float32, float16 and bfloat16 are projected"
    if "forward" in module.__dict__:
        return ("its forward was replaced on the object, and would go on using the latents: "
                "convert before that is done")
    return None


def convert(model: nn.Module, include: Patterns = None, exclude: Patterns = None, *,
            group_size: int = GROUP_SIZE, client: Optional[Client] = None) -> nn.Module:
    """Makes nn.Linear and nn.Embedding layers ternary, in place; gives the model.

    include, exclude: shell patterns of dotted module names ("blocks.*.attn.*"); one that
    matches no module is InvalidArgument.
    Modules and parameters stay the same objects, so hooks, attributes, optimizers and tied
    weights go on. A weight that a converted layer shares with another module is ternary
    there, too.

    What was converted, what was left and why stands in `model.trit_conversion` and is
    logged once by the logger "trit": layers as INFO, what the patterns left as INFO, what
    else holds a matrix of weights (subclasses of the two, parametrized layers,
    nn.MultiheadAttention, convolutions, LoRA factors) as WARNING."""
    modules = dict(model.named_modules(remove_duplicate=False))
    plan = Plan(_find(model), modules, include, exclude)
    owners: Dict[int, str] = {}
    for name in plan.chosen:
        module = modules[name]
        if not isinstance(module, _Ternary):  # else it is in two places
            module.__class__ = _KINDS[type(module)]
            module.group_size, module.client = group_size, client
        owners.setdefault(id(module.weight), name)
    for module in modules.values():
        if isinstance(module, nn.TransformerEncoder) and \
                any(isinstance(one, _Ternary) for one in module.modules()):
            # Nested tensors need torch's fast path in all its layers.
            module.enable_nested_tensor = module.use_nested_tensor = False
    for name, module in modules.items():
        shared = {owners[id(one)] for one in module._parameters.values() if id(one) in owners}
        if shared and name not in plan.chosen:
            plan.leave(name, f"its weight is that of {shared.pop()}, so it multiplies by the "
                       "ternary weights")
    plan.told(model)
    return model


def _ternary_layers(model: nn.Module) -> Iterator[Layer]:
    for name, module in model.named_modules():
        if isinstance(module, (TernaryLinear, TernaryEmbedding)):
            yield Layer(name, plain(module.weight).detach(), module.group_size, module.client)


def set_client(model: nn.Module, client: Optional[Client]) -> None:
    """All ternary layers of the model project by this client; None: in torch."""
    for module in model.modules():
        if isinstance(module, (TernaryLinear, TernaryEmbedding)):
            module.client = client


def verify_ternary_weights(model: nn.Module, client: Optional[Client] = None, *,
                           mode: Union[VerifyMode, str] = VerifyMode.LATENT,
                           tolerance: Optional[float] = None, run: str = "",
                           step: int = 0) -> Dict[str, Dict[str, Any]]:
    """For each ternary layer by name what the daemon finds: is_ternary,
    fraction_valid, max_round_error, sample_values, shape and every other field of
    a Report.

    mode LATENT projects the weights first; TERNARY asks whether the weights
    themselves are ternary. `client` None: each layer's own. With `run` the
    reports are filed there under `step`."""
    reports = verify_layers(_ternary_layers(model), client, mode=mode, run=run, step=step,
                            tolerance=tolerance)
    return {name: report.to_dict() for name, report in reports.items()}


def verify_every(model: nn.Module, run: str, every: int = 100,
                 client: Optional[Client] = None,
                 told: Optional[Callable[[int, Dict[str, Report]], Any]] = None) -> VerifyEvery:
    """A training callback; see VerifyEvery."""
    return VerifyEvery(lambda: _ternary_layers(model), client, run, every, told)
