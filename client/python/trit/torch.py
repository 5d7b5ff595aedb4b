# SPDX-License-Identifier: Apache-2.0
"""Ternary layers for PyTorch (1.13 and later), projected by tritd.

Each forward pass projects the latent weights: by RPC if the layer has a client, else in
torch. The bits are the same. The gradient goes through the projection unchanged
(straight-through estimator).

torch.compile breaks its graph for a projection by RPC and compiles projections in torch.
grad and vjp of torch.func go through both.

Example:
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(256, 64), torch.nn.Linear(64, 10))
    >>> model = trit.torch.convert(model, exclude="1", client=client)
    >>> after_step = trit.torch.verify_every(model, run="run-7", every=20, client=client)
    >>> model(torch.ones(2, 256)).shape
    torch.Size([2, 10])
    >>> after_step(20)["0"].is_ternary
    True
"""

from __future__ import annotations

import functools
import sys
import warnings
from typing import Any, Callable, Dict, Iterator, Literal, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import _export, _passes
from ._arguments import PathLike, flag, member, positive, wrong_type
from ._arrays import memory_is_freed
from ._retry import Fallback, check_fallback, projected
from ._selection import Patterns
from ._weight import TernaryParameter, adopt, plain, uncompiled
from .client import Client
from .conversion import ALREADY, LORA_STAYS, Candidate, Conversion, Plan, is_lora
from .errors import InvalidArgument
from .reports import Report, Shard
from .types import (
    GROUP_SIZE,
    AnyEncoding,
    AnyPartialGroup,
    AnyVerifyMode,
    Encoding,
    PartialGroup,
    ReportDetail,
    VerifyMode,
)
from .verification import Latents, VerifyEvery, check_client, verify_layers

__all__ = [
    "Conversion",
    "TernaryEmbedding",
    "TernaryLinear",
    "VerifyEvery",
    "convert",
    "export",
    "invalidate",
    "load",
    "materialize",
    "project_local",
    "set_client",
    "ternary_projection",
    "verify_every",
    "verify_ternary_weights",
]


OnNaN = Literal["raise", "warn"]


def _on_nan(nan: OnNaN) -> OnNaN:
    if nan not in ("raise", "warn"):
        raise InvalidArgument(f'nan: {nan!r} is not one of "raise", "warn"', "nan")
    return nan


# ---- the projection -------------------------------------------------------------------


def project_local(
    latent: Tensor,
    group_size: int = GROUP_SIZE,
    partial_group: AnyPartialGroup = PartialGroup.PADDED,
) -> Tensor:
    """Projects in torch, without a daemon and without a gradient, to the daemon's bits.

    Args:
        latent: f32, f16 or bf16 [..., columns].
        group_size: Weights of a row that share a scale.
        partial_group: What the scale of a row's short last group divides by.

    Returns:
        t*s, of the shape, dtype and device of `latent`.

    Raises:
        InvalidArgument: `group_size` or `partial_group` has no valid value.
        InvalidType: An argument has the wrong type.

    Example:
        >>> import torch
        >>> trit.torch.project_local(torch.tensor([[0.5, 0.1, 1.0, 0.8]]), group_size=4)
        tensor([[0.6000, 0.0000, 0.6000, 0.6000]])
    """
    if not isinstance(latent, Tensor):
        raise wrong_type("latent", "a torch.Tensor", latent)
    group_size = positive(group_size, "group_size")
    exact = member(PartialGroup, partial_group, "partial_group") == PartialGroup.EXACT
    return _local(latent, group_size, exact)[0]


_LANES = 16  # kernels/NUMERICS.md: the sum of a group has 16 lanes


def _sum_of_lanes(values: Tensor) -> Tensor:
    """f64 [..., elements] to [...], in the order of the numeric contract."""
    padded = F.pad(values, (0, -values.shape[-1] % _LANES))
    lanes = padded.reshape(*values.shape[:-1], -1, _LANES)
    total = lanes[..., 0, :]
    for i in range(1, lanes.shape[-2]):
        total = total + lanes[..., i, :]
    half = _LANES // 2
    while half:
        total = total[..., :half] + total[..., half:]
        half //= 2
    return total[..., 0]


def _local(latent: Tensor, group_size: int, exact: bool = False) -> Tuple[Tensor, Tensor]:
    """The projection in torch, and its scales in f32."""
    columns = latent.shape[-1]
    # Contiguous, as the daemon's results are; see below.
    rows = plain(latent).detach().reshape(-1, columns).contiguous().double()
    width = min(group_size, columns)  # zeros beyond a row do not change its sums
    short = -columns % width
    padded = F.pad(rows, (0, short)).reshape(rows.shape[0], -1, width)
    divisor = torch.full(
        padded.shape[1:2], float(group_size), dtype=torch.float64, device=rows.device
    )
    if exact and columns % group_size:
        divisor[-1] = columns % group_size
    scales = (_sum_of_lanes(padded.abs()) / divisor).float()
    s = scales.double().unsqueeze(-1)
    nonzero = (2 * padded.abs() > s).float()
    # The scale is rounded once to the output's type; a zero keeps its weight's sign.
    rounded = scales.to(latent.dtype).float().unsqueeze(-1)
    dense = torch.copysign(nonzero * rounded, padded.float()).reshape(rows.shape[0], -1)
    if short:
        # Without a clone the rows would keep their padding. For such a stride a matrix
        # product may use another kernel, whose last bits differ.
        dense = dense[:, :columns].clone(memory_format=torch.contiguous_format)
    return dense.to(latent.dtype).reshape(latent.shape), scales


class _Projection(torch.autograd.Function):
    """Forward is the projection. Backward returns the gradient unchanged."""

    @staticmethod
    def forward(*args: Any) -> Tensor:
        latent, project = args[-2:]  # torch 1.13 passes the context before them
        ternary: Tensor = project(latent)
        return ternary

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Does nothing, but torch.func requires it."""

    @staticmethod
    def backward(ctx: Any, grad_ternary: Tensor) -> Tuple[Tensor, None]:
        return grad_ternary, None


@uncompiled
def _apply_uncompiled(latent: Tensor, project: Callable[[Tensor], Tensor]) -> Tensor:
    ternary: Tensor = _Projection.apply(latent, project)
    return ternary


def ternary_projection(
    latent: Tensor,
    client: Optional[Client] = None,
    *,
    group_size: int = GROUP_SIZE,
    partial_group: AnyPartialGroup = PartialGroup.PADDED,
) -> Tensor:
    """Projects latents, with the straight-through estimator as gradient.

    Args:
        latent: f32, f16 or bf16 [..., columns].
        client: The client to project with; None to project in torch.
        group_size: Weights of a row that share a scale.
        partial_group: What the scale of a row's short last group divides by.

    Returns:
        t*s, of the shape, dtype and device of `latent`.

    Raises:
        Error: The call to the daemon failed.
        InvalidArgument: `group_size` or `partial_group` has no valid value.

    Example:
        >>> import torch
        >>> latent = torch.ones(2, 128, requires_grad=True)
        >>> trit.torch.ternary_projection(latent, client).sum().backward()
        >>> bool((latent.grad == 1).all())
        True
    """
    check_client(client)

    def by_daemon(w: Tensor) -> Tensor:
        assert client is not None
        ternary: Tensor = client.project(
            w, group_size=group_size, partial_group=partial_group, report=ReportDetail.NONE
        ).data
        return ternary

    def project(w: Tensor) -> Tensor:
        return projected(
            client, lambda: by_daemon(w), lambda: project_local(w, group_size, partial_group)
        )

    apply = _Projection.apply if client is None else _apply_uncompiled
    result: Tensor = apply(plain(latent), project)
    return result


# ---- layers ---------------------------------------------------------------------------


class _Ternary(nn.Module):
    """What both layers share.

    `weight` is the latent Parameter. A product with it uses the ternary weights, whoever
    multiplies; see trit._weight.
    """

    group_size: int
    client: Optional[Client]
    nan: OnNaN = "raise"
    fallback: Fallback = None
    dotted_name: str = ""  # in the model that was converted, for messages
    turned: bool = False  # the weight is [in, out], so that groups lie along its columns

    def _latent(self) -> Tensor:
        latent = self._parameters.get("weight")
        if latent is None:
            latent = self.__dict__.get("weight")  # of torch.nn.utils.prune and the like
        return self.weight if latent is None else latent  # None: a parametrization's

    def ternary_weight(self) -> Tensor:
        """Projects the latents, as each forward pass does.

        Returns:
            The ternary weights, of the shape and dtype of `weight`.

        Raises:
            Error: The call to the daemon failed.

        Example:
            >>> layer = trit.torch.TernaryLinear(256, 10, client=client)
            >>> client.verify(layer.ternary_weight()).is_ternary
            True
        """
        if self.client is None and _passes.compiling():
            rows = _rows(self, self._latent())
            return _rows(self, ternary_projection(rows, group_size=self.group_size))
        return _projected(self)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if not keep_vars and f"{prefix}weight" in destination:
            destination[f"{prefix}weight"] = plain(destination[f"{prefix}weight"])

    def extra_repr(self) -> str:
        """The line that torch shows for the layer.

        Returns:
            The sizes and the group size.

        Example:
            >>> trit.torch.TernaryLinear(256, 10).extra_repr()
            'in_features=256, out_features=10, bias=True, group_size=128'
        """
        return f"{super().extra_repr()}, group_size={self.group_size}"


def _rows(layer: _Ternary, weight: Tensor) -> Tensor:
    """A layer's weight as [out, in], or back.

    Either way the result of a projection is contiguous as [out, in], because the kernel that a
    matrix product chooses may depend on it.
    """
    return weight.t() if layer.turned else weight


@uncompiled
def _projected(layer: _Ternary) -> Tensor:
    """The projection of a layer's latents: one that is kept, or a new one."""
    latent = layer._latent()
    if type(latent) is nn.Parameter:
        adopt(latent, layer)

    def project(w: Tensor) -> Tensor:
        return _project(layer, w) if ternary is None else ternary

    ternary = None
    if torch.jit.is_tracing():
        warnings.warn(
            f"{layer.dotted_name or type(layer).__name__}: the trace keeps the ternary weights "
            "of now, whatever becomes of the latents; trit.torch.materialize(model) is made for "
            "tracing and export",
            RuntimeWarning,
            stacklevel=2,
        )
    if _passes.keepable(latent):
        size, recorded = layer.group_size, _passes.tracked(latent)
        ternary = _passes.recall(latent, size, recorded)
        if ternary is None and recorded and layer.client is not None:
            root = _passes.start_backward(latent)
            if root is not None:
                _project_all(root, again=True)
                ternary = _passes.recall(latent, size, recorded)
        if ternary is None:
            # Inference tensors have no version counter and cannot be used while training.
            with torch.inference_mode(False), torch.no_grad():
                ternary = _project(layer, plain(latent).detach())
                ternary = _passes.remember(latent, size, recorded, ternary)
        if not recorded:
            return ternary
    result: Tensor = _Projection.apply(plain(latent), project)
    return result


def _project(layer: _Ternary, w: Tensor) -> Tensor:
    """Projects as the layer says; latents that are not finite raise or warn."""
    client, size, rows = layer.client, layer.group_size, _rows(layer, w)

    def by_daemon() -> Optional[Tensor]:
        assert client is not None
        made: Tensor = client.project(rows, group_size=size, report=ReportDetail.NONE).data
        return made

    refused = None
    try:
        made = projected(client, by_daemon, lambda: None, layer.fallback)
    except InvalidArgument as error:
        made, refused = None, error
    if made is not None:
        return _rows(layer, made)
    ternary, scales = _local(rows, size)
    ternary = _rows(layer, ternary)
    if type(w) is not Tensor or w.is_meta or bool(torch.isfinite(scales).all()):
        if refused is not None:
            raise refused
        return ternary
    wrong = torch.isfinite(w.reshape(-1)).logical_not().nonzero()
    text = (
        f"{layer.dotted_name or type(layer).__name__}.weight: {len(wrong)} of {w.numel()} "
        f"latents are NaN or infinite, the first at flat index {int(wrong[0])}"
    )
    if layer.nan == "raise":
        raise InvalidArgument(text, "weight") from refused
    warnings.warn(f"{text}; their groups are NaN", RuntimeWarning, stacklevel=2)
    return ternary


def _read(self: _Ternary) -> Tensor:
    latent = self._parameters.get("weight")
    if latent is None:
        latent = self.__dict__.get("weight")
    if latent is None:
        raise AttributeError(f"{type(self).__name__} has no weight")
    return adopt(latent, self)


def _write(self: _Ternary, computed: Tensor) -> None:
    """Stores what a hook computes; torch stores a Parameter itself."""
    self.__dict__["weight"] = computed


def _remove(self: _Ternary) -> None:
    self.__dict__.pop("weight", None)


class TernaryLinear(_Ternary, nn.Linear):
    """Computes y = x @ Wt.T + bias, where Wt is the projection of the latent `weight`.

    Attributes:
        weight: The latents [out_features, in_features].
        bias: [out_features], or None.
        group_size: Weights of a row that share a scale.
        client: The client to project with; None to project in torch.
        nan: "raise" or "warn": what latents that are not finite do. The message has the
            layer's name, their count and the first flat index. A layer that torch.compile
            projects in torch does not look.

    Example:
        >>> import torch
        >>> layer = trit.torch.TernaryLinear(256, 10, client=client)
        >>> layer(torch.ones(2, 256)).shape
        torch.Size([2, 10])
    """

    weight = property(_read, _write, _remove)

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        group_size: int = GROUP_SIZE,
        client: Optional[Client] = None,
        nan: OnNaN = "raise",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Makes a layer with random latents.

        Args:
            in_features: Length of x's last axis.
            out_features: Length of y's last axis.
            bias: Whether it has a bias.
            group_size: Weights of a row that share a scale.
            client: The client to project with; None to project in torch.
            nan: Whether latents that are not finite raise InvalidArgument or warn.
            device: torch's device of the parameters.
            dtype: torch's dtype of the parameters: float32, float16 or bfloat16.

        Raises:
            InvalidArgument: `group_size` or `nan` has no valid value.
            InvalidType: `client` is not a trit.Client.

        Example:
            >>> trit.torch.TernaryLinear(256, 10, bias=False).weight.shape
            torch.Size([10, 256])
        """
        super().__init__(in_features, out_features, bias, device=device, dtype=dtype)
        check_client(client)
        self.group_size, self.client = positive(group_size, "group_size"), client
        self.nan = _on_nan(nan)

    def reset_parameters(self) -> None:
        """Draws the latents from N(0, 1) * in_features^-0.5 and sets the bias to zero.

        Example:
            >>> trit.torch.TernaryLinear(256, 10).reset_parameters()
        """
        nn.init.normal_(self.weight, std=self.in_features**-0.5)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Computes y.

        Args:
            x: [..., in_features].

        Returns:
            [..., out_features].

        Raises:
            Error: The call to the daemon failed.

        Example:
            >>> import torch
            >>> trit.torch.TernaryLinear(256, 10).forward(torch.ones(2, 256)).shape
            torch.Size([2, 10])
        """
        return F.linear(x, self.ternary_weight(), self.bias)


class TernaryEmbedding(_Ternary, nn.Embedding):
    """Gives rows of the projection of the latent `weight` by id.

    Attributes:
        weight: The latents [num_embeddings, embedding_dim].
        group_size: Weights of a row that share a scale.
        client: The client to project with; None to project in torch.
        nan: "raise" or "warn": what latents that are not finite do. The message has the
            layer's name, their count and the first flat index. A layer that torch.compile
            projects in torch does not look.

    Example:
        >>> import torch
        >>> layer = trit.torch.TernaryEmbedding(10, 256, client=client)
        >>> layer(torch.tensor([1, 2, 3])).shape
        torch.Size([3, 256])
    """

    weight = property(_read, _write, _remove)

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: Optional[int] = None,
        *,
        group_size: int = GROUP_SIZE,
        client: Optional[Client] = None,
        nan: OnNaN = "raise",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Makes a layer with random latents.

        Args:
            num_embeddings: Number of ids.
            embedding_dim: Length of a row.
            padding_idx: The id of padding, whose row is zero; None for none.
            group_size: Weights of a row that share a scale.
            client: The client to project with; None to project in torch.
            nan: Whether latents that are not finite raise InvalidArgument or warn.
            device: torch's device of the weights.
            dtype: torch's dtype of the weights: float32, float16 or bfloat16.

        Raises:
            InvalidArgument: `group_size` or `nan` has no valid value.
            InvalidType: `client` is not a trit.Client.

        Example:
            >>> trit.torch.TernaryEmbedding(10, 256).weight.shape
            torch.Size([10, 256])
        """
        super().__init__(num_embeddings, embedding_dim, padding_idx, device=device, dtype=dtype)
        check_client(client)
        self.group_size, self.client = positive(group_size, "group_size"), client
        self.nan = _on_nan(nan)

    def reset_parameters(self) -> None:
        """Draws the latents from N(0, 1) * embedding_dim^-0.5; the row of padding is zero.

        Example:
            >>> trit.torch.TernaryEmbedding(10, 256).reset_parameters()
        """
        nn.init.normal_(self.weight, std=self.embedding_dim**-0.5)
        self._fill_padding_idx_with_zero()

    def forward(self, ids: Tensor) -> Tensor:
        """Gives rows.

        Args:
            ids: Integers [...].

        Returns:
            [..., embedding_dim].

        Raises:
            Error: The call to the daemon failed.

        Example:
            >>> import torch
            >>> trit.torch.TernaryEmbedding(10, 256).forward(torch.tensor([[1, 2]])).shape
            torch.Size([1, 2, 256])
        """
        return F.embedding(ids, self.ternary_weight(), self.padding_idx)

    def as_linear(self, x: Tensor) -> Tensor:
        """Computes x @ Wt.T: the output layer that shares the embedding's weights.

        Args:
            x: [..., embedding_dim].

        Returns:
            Logits [..., num_embeddings].

        Raises:
            Error: The call to the daemon failed.

        Example:
            >>> import torch
            >>> trit.torch.TernaryEmbedding(10, 256).as_linear(torch.ones(2, 256)).shape
            torch.Size([2, 10])
        """
        return F.linear(x, self.ternary_weight())


# ---- models ---------------------------------------------------------------------------

_KINDS: Dict[type, type] = {nn.Linear: TernaryLinear, nn.Embedding: TernaryEmbedding}


def _kinds() -> Dict[type, type]:
    """The ternary class of each class that can be converted.

    This module never imports transformers: whoever has a Conv1D has imported it.
    """
    if "transformers.pytorch_utils" not in sys.modules:
        return _KINDS
    from ._conv1d import Conv1D, TernaryConv1D

    return {**_KINDS, Conv1D: TernaryConv1D}


def _find(model: nn.Module) -> Iterator[Candidate]:
    """The modules that hold a matrix of weights."""
    kinds = tuple(_kinds())
    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, nn.utils.parametrize.ParametrizationList):
            continue  # the layer whose weight it computes is reported instead
        matrices = [
            key
            for key, one in module._parameters.items()
            if one is not None and not _is_vector(one)
        ]
        if isinstance(module, _Ternary):
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
            yield Candidate(name, _why_not(module))
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

    The latter is what torch's own quantized layers have.
    """
    return callable(getattr(type(module), "weight", None)) or any(
        "weight" in key and one is not None and one.ndim > 1
        for key, one in module._buffers.items()
    )


def _is_vector(parameter: Tensor) -> bool:
    return not isinstance(parameter, nn.parameter.UninitializedParameter) and parameter.ndim < 2


def _why_not(module: nn.Module) -> Optional[str]:
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
    if kind not in _kinds():
        base = next(one.__name__ for one in _kinds() if isinstance(module, one))
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


def convert(
    model: nn.Module,
    include: Patterns = None,
    exclude: Patterns = None,
    *,
    group_size: int = GROUP_SIZE,
    client: Optional[Client] = None,
    nan: OnNaN = "raise",
    fallback: Fallback = None,
) -> nn.Module:
    """Makes the nn.Linear and nn.Embedding layers of a model ternary, in place.

    LoRA factors stay as they are, whether peft comes before or after the conversion. Merging
    them adds them to the latents, which are projected again, so the outputs change.

    Conv1D layers of transformers (GPT-2) are made ternary, too. Their weight is [in, out], so
    their groups lie along the first axis, as in `checkpoint.project` with `transposed`.

    Modules and parameters stay the same objects, so hooks, attributes, optimizers and tied
    weights keep working. A weight that a converted layer shares with another module is
    ternary there, too.

    Each call of the model projects all its layers by one call to the daemon, and weights that
    layers share once. Without gradients a projection is kept for the calls that follow; see
    `invalidate`.

    `model.trit_conversion` says what was converted, what was skipped and why. The logger
    "trit" logs the same: converted layers and what the patterns skip as INFO; other modules
    with a matrix of weights (subclasses of the two, parametrized layers,
    nn.MultiheadAttention, convolutions, LoRA factors) as WARNING.

    Args:
        model: The model.
        include: Shell pattern(s) of dotted module names, such as "blocks.*.attn.*": only
            these are converted.
        exclude: Shell pattern(s) of dotted module names that are not converted; stronger
            than `include`.
        group_size: Weights of a row that share a scale.
        client: The client to project with; None to project in torch.
        nan: Whether latents that are not finite raise InvalidArgument or warn. The message
            has the layer's name, their count and the first flat index.
        fallback: "local": while the daemon cannot be reached, the layers project in torch,
            to the same bits. None for what the client says.

    Returns:
        The model.

    Raises:
        InvalidArgument: A pattern matches no module, or an embedding uses an option that has
            no ternary form (max_norm, scale_grad_by_freq, sparse) and is not excluded.
        InvalidType: An argument has the wrong type.

    Example:
        >>> import torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(256, 64), torch.nn.Linear(64, 10))
        >>> trit.torch.convert(model, exclude="1", client=client).trit_conversion
        Conversion: 1 converted, 1 skipped
          converted  0
          skipped    1: excluded by pattern '1'
    """
    _check_model(model)
    check_client(client)
    group_size, nan = positive(group_size, "group_size"), _on_nan(nan)
    fallback = check_fallback(fallback)
    modules = dict(model.named_modules(remove_duplicate=False))
    plan = Plan(_find(model), modules, include, exclude)
    owners: Dict[int, str] = {}
    for name in plan.chosen:
        module = modules[name]
        if not isinstance(module, _Ternary):  # else it occurs twice in the model
            module.__class__ = _kinds()[type(module)]
            module.group_size, module.client = group_size, client
            module.nan, module.fallback = nan, fallback
        owners.setdefault(id(module.weight), name)
    for module in modules.values():
        if isinstance(module, nn.TransformerEncoder) and any(
            isinstance(one, _Ternary) for one in module.modules()
        ):
            # Nested tensors need torch's fast path in all layers of the encoder.
            module.enable_nested_tensor = module.use_nested_tensor = False
    for name, module in modules.items():
        shared = {owners[id(one)] for one in module._parameters.values() if id(one) in owners}
        if shared and name not in plan.chosen:
            plan.skip(
                name,
                f"its weight is that of {shared.pop()}, so it multiplies by the ternary weights",
            )
    plan.record(model)
    _watch(model)
    return model


def _check_model(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise wrong_type("model", "a torch.nn.Module", model)


# ---- a pass ---------------------------------------------------------------------------


def _watch(model: nn.Module) -> None:
    """Gives layers their names, and makes each call of the model a pass."""
    for name, module in model.named_modules():
        if isinstance(module, _Ternary):
            module.dotted_name = name
    if not isinstance(model, _Ternary):
        _passes.hook(model, _before, _after)


def _before(model: nn.Module, _args: Any) -> None:
    """Begins a pass: a hook of the model."""
    if not _passes.compiling() or _by_rpc(model):
        _begin(model)


def _after(model: nn.Module, _args: Any, _output: Any) -> None:
    """Ends a pass: a hook of the model."""
    if not _passes.compiling() or _by_rpc(model):
        _end(model)


def _by_rpc(model: nn.Module) -> bool:
    return any(isinstance(one, _Ternary) and one.client is not None for one in model.modules())


@uncompiled
def _begin(model: nn.Module) -> None:
    _passes.start(model)
    try:
        _project_all(model)
    except BaseException:
        _passes.stop(model)
        raise


@uncompiled
def _end(model: nn.Module) -> None:
    _passes.stop(model)


def _project_all(model: nn.Module, again: bool = False) -> None:
    """Projects by RPC what is not kept, in one call for each client and group size.

    With `again`, only what backward passes have computed again before.
    """
    batches: Dict[Any, Tuple[Client, Dict[int, Tensor]]] = {}
    owners: Dict[int, _Ternary] = {}
    for layer in model.modules():
        if not isinstance(layer, _Ternary) or layer.client is None:
            continue
        latent = layer._parameters.get("weight")
        if type(latent) is nn.Parameter:
            adopt(latent, layer)
        # FSDP keeps parts of latents, of rank 1, between its own calls.
        if not _passes.keepable(latent) or plain(latent).ndim != 2 or plain(latent).is_meta:
            continue
        _passes.belongs(latent, model)
        if again and not _passes.is_recomputed(latent):
            continue
        if _passes.recall(latent, layer.group_size, _passes.tracked(latent)) is None:
            key = id(layer.client), layer.group_size, layer.fallback
            batches.setdefault(key, (layer.client, {}))[1][id(latent)] = latent
            owners[id(latent)] = layer
    for (_, size, fallback), (client, latents) in batches.items():
        if len(latents) < 2:
            continue  # the layer calls
        recorded = {place: _passes.tracked(one) for place, one in latents.items()}
        with torch.inference_mode(False), torch.no_grad():
            try:
                these = [_rows(owners[place], plain(one)) for place, one in latents.items()]
                call = functools.partial(client.project_batch, these, group_size=size)
                made = projected(client, call, lambda: None, fallback)
            except InvalidArgument:
                continue  # the layer whose latents are at fault calls, and says so
            if made is None:
                continue  # the layers project in torch
            for (place, latent), ternary in zip(latents.items(), made):
                ternary = _rows(owners[place], ternary)
                _passes.remember(latent, size, recorded[place], ternary)


def invalidate(model: nn.Module) -> None:
    """Makes all ternary layers of a model project anew.

    Without gradients a layer keeps its projection as long as its latents have the same
    storage and version counter. torch does not count what is written through
    `weight.data`: call this after that.

    Args:
        model: The model.

    Raises:
        InvalidType: `model` is not a torch.nn.Module.

    Example:
        >>> import torch
        >>> model = trit.torch.convert(torch.nn.Linear(256, 10, bias=False), client=client)
        >>> with torch.no_grad():
        ...     before = model(torch.ones(256))
        ...     negated = model.weight.data.neg_()
        ...     trit.torch.invalidate(model)
        ...     print(torch.equal(model(torch.ones(256)), -before))
        True
    """
    _check_model(model)
    for module in model.modules():
        if isinstance(module, _Ternary):
            _passes.forget(module._latent())


# ---- files and other forms --------------------------------------------------------------


def export(
    model: nn.Module,
    path: PathLike,
    *,
    encoding: AnyEncoding = Encoding.DENSE,
    client: Optional[Client] = None,
    force: bool = False,
    timeout: Optional[float] = None,
) -> None:
    """Writes a converted model as a file of weights whose converted layers are ternary.

    Exactly the converted layers are ternary in the file, and its record names them. All else
    is written as it is, with the names of `model.state_dict()`. `client.checkpoint.project`
    takes a model, too, and has more options.

    Args:
        model: A model that `convert` has made.
        path: The file to write, a safetensors file.
        encoding: How the layers lie in the file.
        client: The client to project with; None for the layers' own, or none: DENSE and INT8
            need no daemon.
        force: Replace a file that exists.
        timeout: Seconds for the call of each layer; None for the client's, math.inf for no
            limit.

    Raises:
        InvalidArgument: No layer is ternary, the encoding does not hold one, latents are not
            finite, or layers have different group sizes.
        FailedPrecondition: The encoding needs a daemon, and there is no client.
        AlreadyExists: The file exists, and `force` is not set.

    Example:
        >>> import torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(256, 64), torch.nn.Linear(64, 10))
        >>> model = trit.torch.convert(model, exclude="1")
        >>> trit.torch.export(model, "exported.safetensors")
        >>> client.checkpoint.verify("exported.safetensors", exclude="1.weight").verdict
        'pass'
    """
    _check_model(model)
    check_client(client)
    kind = member(Encoding, encoding, "encoding")
    layers = _export.layers_of(model, (_Ternary,))
    daemon = client or next((one.module.client for one in layers if one.module.client), None)
    if daemon is None:
        _export.export_locally(model, path, layers, kind, flag(force, "force"))
    else:
        daemon.checkpoint.project(model, path, encoding=kind, force=force, timeout=timeout)


def load(model: nn.Module, path: PathLike, *, client: Optional[Client] = None) -> nn.Module:
    """Loads a file of ternary weights into a model, converted or not.

    The model computes with the weights t*s of the file, bit for bit. A layer that is not
    converted gets them as its weight. A converted layer gets latents whose projection they
    are, and the group size of the file, so that its training can go on.

    Args:
        model: A model whose state dict has the names and shapes of the file.
        path: A safetensors file, or a folder of shards.
        client: The client to unpack with; None for the layers' own. Files that are DENSE or
            INT8 need none.

    Returns:
        The model.

    Raises:
        InvalidArgument: Names or shapes differ, or a converted layer is one that the file
            keeps as it was.
        FailedPrecondition: The encoding needs a daemon, and there is no client.

    Example:
        >>> import torch
        >>> trained = trit.torch.convert(torch.nn.Sequential(torch.nn.Linear(256, 10)))
        >>> trit.torch.export(trained, "trained.safetensors", encoding="int8")
        >>> plain = torch.nn.Sequential(torch.nn.Linear(256, 10))
        >>> x = torch.ones(2, 256)
        >>> bool((trit.torch.load(plain, "trained.safetensors")(x) == trained(x)).all())
        True
    """
    _check_model(model)
    check_client(client)
    own = (one.client for one in model.modules() if isinstance(one, _Ternary) and one.client)
    _export.load(model, path, client or next(own, None), (_Ternary,), project_local)
    return model


def materialize(model: nn.Module) -> nn.Module:
    """Makes a copy of a model whose layers are ordinary ones that hold the ternary weights.

    The copy gives the same outputs bit for bit and knows nothing of trit: torch.jit, ONNX
    export, torch.export and quantization take it as any other model. The model stays as it is.

    Args:
        model: A converted model.

    Returns:
        A model with nn.Linear and nn.Embedding in place of ternary layers.

    Raises:
        InvalidArgument: No layer is ternary, or the weight of one is pruned or parametrized,
            or latents are not finite.
        Error: A call to the daemon failed.

    Example:
        >>> import torch
        >>> model = trit.torch.convert(torch.nn.Sequential(torch.nn.Linear(256, 10)))
        >>> scripted = torch.jit.script(trit.torch.materialize(model))
        >>> bool((scripted(torch.ones(2, 256)) == model(torch.ones(2, 256))).all())
        True
    """
    _check_model(model)
    plain_kinds = {ternary: kind for kind, ternary in _kinds().items()}
    return _export.materialize(
        model, plain_kinds, lambda module: _passes.unhook(module, _before, _after)
    )


def _ternary_layers(model: nn.Module) -> Iterator[Latents]:
    for name, module in model.named_modules():
        if not isinstance(module, _Ternary):
            continue
        latent = plain(module.weight).detach()
        shard, refused = None, ""
        if hasattr(latent, "to_local"):
            latent, shard = _shard(latent)
            if latent.numel() == 0:
                continue  # there are more ranks than rows
            if module.turned:
                refused = "a shard of a weight that is [in, out] cannot be verified"
        elif latent.ndim != 2 or memory_is_freed(latent):
            refused = (
                "FSDP has a flat shard of its latents here: verify inside of "
                "FSDP.summon_full_params(model), or use fully_shard"
            )
        if not refused:
            latent = _rows(module, latent)
        yield Latents(name, latent, module.group_size, module.client, shard, refused)


def _shard(latent: Any) -> Tuple[Tensor, Optional[Shard]]:
    """This rank's part of a DTensor, and where it lies; None: it is whole."""
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    local: Tensor = latent.to_local()
    _, offset = compute_local_shape_and_global_offset(
        latent.shape, latent.device_mesh, latent.placements
    )
    whole = tuple(latent.shape)
    return local, None if tuple(local.shape) == whole else Shard(whole, tuple(offset))


def set_client(model: nn.Module, client: Optional[Client]) -> None:
    """Sets the client of all ternary layers of a model.

    Args:
        model: The model.
        client: The client to project with; None to project in torch.

    Raises:
        InvalidType: `client` is not a trit.Client.

    Example:
        >>> import torch
        >>> model = trit.torch.convert(torch.nn.Linear(256, 10))
        >>> trit.torch.set_client(model, client)
    """
    check_client(client)
    for module in model.modules():
        if isinstance(module, _Ternary):
            module.client = client
    _watch(model)


def verify_ternary_weights(
    model: nn.Module,
    client: Optional[Client] = None,
    *,
    mode: AnyVerifyMode = VerifyMode.LATENT,
    tolerance: Optional[float] = None,
    run: str = "",
    step: int = 0,
) -> Dict[str, Dict[str, Any]]:
    """Verifies all ternary layers of a model by the daemon.

    Args:
        model: The model.
        client: The client to verify with; None for each layer's own.
        mode: LATENT: project the weights, then verify the projection. TERNARY: the weights
            themselves claim to be ternary.
        tolerance: The largest |w/s - t| of a ternary weight; None for 1e-5. With 0 all
            magnitudes of a group must be bit-equal.
        run: The run that the reports are stored under; "" to store nothing.
        step: The training step of the reports, 0 or more.

    Returns:
        For each layer, by its name, the fields of its `trit.Report`.

    Raises:
        FailedPrecondition: There is no client.
        AlreadyExists: Another report is stored under that run, layer and step.

    Example:
        >>> import torch
        >>> model = trit.torch.convert(torch.nn.Sequential(torch.nn.Linear(256, 10)))
        >>> trit.torch.verify_ternary_weights(model, client)["0"]["is_ternary"]
        True
    """
    reports = verify_layers(
        _ternary_layers(model), client, mode=mode, run=run, step=step, tolerance=tolerance
    )
    return {name: report.to_dict() for name, report in reports.items()}


def verify_every(
    model: nn.Module,
    run: str,
    every: int = 100,
    client: Optional[Client] = None,
    callback: Optional[Callable[[int, Dict[str, Report]], Any]] = None,
    strict: bool = False,
) -> VerifyEvery:
    """Makes a training callback that verifies the model every N-th step.

    A call that fails does not end the training; see `VerifyEvery`.

    Args:
        model: The model.
        run: The run that the reports are stored under.
        every: Steps between two verifications, 1 or more.
        client: The client to verify with; None for each layer's own.
        callback: Called with the step and the reports by layer after each verification.
        strict: Whether a call that fails raises.

    Returns:
        The callback; call it with each step that is done.

    Raises:
        InvalidArgument: `every` is below 1.
        InvalidType: An argument has the wrong type.

    Example:
        >>> import torch
        >>> model = trit.torch.convert(torch.nn.Sequential(torch.nn.Linear(256, 10)))
        >>> after_step = trit.torch.verify_every(model, "run-7", every=20, client=client)
        >>> after_step(19), after_step(40)["0"].is_ternary
        (None, True)
    """
    return VerifyEvery(lambda: _ternary_layers(model), client, run, every, callback, strict)
