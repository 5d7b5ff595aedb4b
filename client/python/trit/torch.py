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

from ._selection import Patterns, selected
from .client import Client
from .reports import Report
from .types import GROUP_SIZE, PartialGroup, ReportDetail, VerifyMode, member
from .verification import Layer, VerifyEvery, verify_layers

__all__ = ["TernaryEmbedding", "TernaryLinear", "convert", "project_local", "set_client",
           "ternary_projection", "verify_every", "verify_ternary_weights"]


# ---- the projection -------------------------------------------------------------------

def project_local(latent: Tensor, group_size: int = GROUP_SIZE,
                  partial_group: Union[PartialGroup, str] = PartialGroup.PADDED) -> Tensor:
    """t*s of a f32, f16 or bf16 tensor [..., columns], without a daemon and without
    a gradient; the daemon's bits."""
    columns = latent.shape[-1]
    rows = latent.detach().reshape(-1, columns).double()
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
    dense = torch.copysign(nonzero * rounded, padded.float())
    return dense.reshape(rows.shape[0], -1)[:, :columns].to(latent.dtype).reshape(latent.shape)


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


# What torch.compile must not look into; torch before 2.1 has no such word.
_uncompiled = getattr(getattr(torch, "compiler", None), "disable", lambda function: function)


@_uncompiled
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
    return apply(latent, project)


# ---- layers ---------------------------------------------------------------------------

class TernaryLinear(nn.Linear):
    """y = x Wt^T + b, Wt the projection of the latent `weight` [out, in].

    x is [..., in_features]. Latents are drawn from N(0, 1) * in_features^-0.5,
    the bias is zero."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *,
                 group_size: int = GROUP_SIZE, client: Optional[Client] = None,
                 device: Any = None, dtype: Any = None) -> None:
        super().__init__(in_features, out_features, bias, device=device, dtype=dtype)
        self.group_size, self.client = group_size, client

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=self.in_features ** -0.5)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def ternary_weight(self) -> Tensor:
        return ternary_projection(self.weight, self.client, group_size=self.group_size)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.ternary_weight(), self.bias)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, group_size={self.group_size}"


class TernaryEmbedding(nn.Embedding):
    """Rows of the projection of the latent `weight` [num_embeddings,
    embedding_dim]; latents are drawn from N(0, 1) * embedding_dim^-0.5."""

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

    def ternary_weight(self) -> Tensor:
        return ternary_projection(self.weight, self.client, group_size=self.group_size)

    def forward(self, ids: Tensor) -> Tensor:
        """ids: integers [...]; gives [..., embedding_dim]."""
        return F.embedding(ids, self.ternary_weight(), self.padding_idx)

    def as_linear(self, x: Tensor) -> Tensor:
        """Logits [..., num_embeddings] of x [..., embedding_dim], weights tied."""
        return F.linear(x, self.ternary_weight())

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, group_size={self.group_size}"


# ---- models ---------------------------------------------------------------------------

def _ternary_of(module: nn.Module, group_size: int,
                client: Optional[Client]) -> Optional[nn.Module]:
    """A ternary layer over the very parameters of an ordinary one. Made on the
    meta device: drawing weights to throw them away would advance the generator."""
    more: Dict[str, Any] = {"group_size": group_size, "client": client, "device": "meta"}
    made: nn.Module
    if type(module) is nn.Linear:
        made = TernaryLinear(module.in_features, module.out_features,
                             module.bias is not None, **more)
        made.bias = module.bias
    elif type(module) is nn.Embedding:
        if module.max_norm is not None or module.scale_grad_by_freq or module.sparse:
            raise ValueError("an embedding with max_norm, scale_grad_by_freq or sparse has "
                             "no ternary equal: exclude it")
        made = TernaryEmbedding(module.num_embeddings, module.embedding_dim,
                                module.padding_idx, **more)
    else:
        return None
    made.weight = module.weight
    return made.train(module.training)


def convert(model: nn.Module, include: Patterns = None, exclude: Patterns = None, *,
            group_size: int = GROUP_SIZE, client: Optional[Client] = None) -> nn.Module:
    """Makes nn.Linear and nn.Embedding layers ternary, in place; gives the model
    (or, where the model is one such layer itself, its ternary equal).

    include, exclude: shell patterns of dotted module names ("blocks.*.attn.*").
    Parameters stay the same objects, so optimizers and tied weights go on."""
    whole = _ternary_of(model, group_size, client)
    if whole is not None:
        return whole
    made: Dict[int, nn.Module] = {}
    for name, module in list(model.named_modules(remove_duplicate=False)):
        parent = model.get_submodule(name.rpartition(".")[0])
        if not name or not selected(name, include, exclude):
            continue
        ternary = made.get(id(module)) or _ternary_of(module, group_size, client)
        if ternary is not None:
            made[id(module)] = ternary
            setattr(parent, name.rpartition(".")[2], ternary)
    return model


def _ternary_layers(model: nn.Module) -> Iterator[Layer]:
    for name, module in model.named_modules():
        if isinstance(module, (TernaryLinear, TernaryEmbedding)):
            yield Layer(name, module.weight, module.group_size, module.client)


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
