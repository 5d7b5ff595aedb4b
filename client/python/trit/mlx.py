# SPDX-License-Identifier: Apache-2.0
"""Ternary layers for MLX, projected by tritd; the twin of trit.torch.

Each forward pass projects the latent weights: by RPC if the layer has a client, else in NumPy
(`trit.local`). The bits are the same. The gradient goes through the projection unchanged
(straight-through estimator).

A projection by RPC needs the values of the weights, so it cannot be inside of mx.compile.
mx.grad and nn.value_and_grad work.

Example:
    >>> import mlx.core as mx, mlx.nn as nn
    >>> model = nn.Sequential(nn.Linear(256, 64), nn.Linear(64, 10))
    >>> model = trit.mlx.convert(model, exclude="layers.1", client=client)
    >>> after_step = trit.mlx.verify_every(model, run="run-7", every=20, client=client)
    >>> model(mx.ones((2, 256))).shape
    (2, 10)
    >>> after_step(20)["layers.0"].is_ternary
    True
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, Optional, cast

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from . import local
from ._arguments import positive, wrong_type
from ._arrays import Array
from ._selection import Patterns
from .client import Client
from .conversion import ALREADY, LORA_STAYS, Candidate, Conversion, Plan, is_lora
from .reports import Report
from .types import (
    GROUP_SIZE,
    AnyPartialGroup,
    AnyVerifyMode,
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
    "project_local",
    "set_client",
    "ternary_projection",
    "verify_every",
    "verify_ternary_weights",
]


# ---- the projection -------------------------------------------------------------------


def _numpy(array: Any) -> Array:
    """The array's own memory."""
    memory: Array = np.asarray(memoryview(array))
    return memory


def project_local(
    latent: mx.array,
    group_size: int = GROUP_SIZE,
    partial_group: AnyPartialGroup = PartialGroup.PADDED,
) -> mx.array:
    """Projects in NumPy, without a daemon and without a gradient, to the daemon's bits.

    Args:
        latent: f32, f16 or bf16 [..., columns].
        group_size: Weights of a row that share a scale.
        partial_group: What the scale of a row's short last group divides by.

    Returns:
        t*s, of the shape and dtype of `latent`.

    Raises:
        InvalidArgument: `group_size` or `partial_group` has no valid value.
        InvalidType: An argument has the wrong type.

    Example:
        >>> import mlx.core as mx
        >>> trit.mlx.project_local(mx.array([[0.5, 0.1, 1.0, 0.8]]), group_size=4)
        array([[0.6, 0, 0.6, 0.6]], dtype=float32)
    """
    if not isinstance(latent, mx.array):
        raise wrong_type("latent", "an mlx.core.array", latent)
    wide = _numpy(latent.astype(mx.float32))
    codes, scales = local.codes_and_scales(wide, group_size, partial_group)
    rounded = mx.array(scales).astype(latent.dtype).astype(mx.float32)
    s = np.repeat(_numpy(rounded), group_size, axis=1)[:, : wide.shape[-1]]
    dense = np.copysign(np.abs(codes).astype(np.float32), wide) * s.reshape(wide.shape)
    return mx.array(dense).astype(latent.dtype)


def ternary_projection(
    latent: mx.array,
    client: Optional[Client] = None,
    *,
    group_size: int = GROUP_SIZE,
    partial_group: AnyPartialGroup = PartialGroup.PADDED,
) -> mx.array:
    """Projects latents, with the straight-through estimator as gradient.

    Args:
        latent: f32, f16 or bf16 [..., columns].
        client: The client to project with; None to project in NumPy.
        group_size: Weights of a row that share a scale.
        partial_group: What the scale of a row's short last group divides by.

    Returns:
        t*s, of the shape and dtype of `latent`.

    Raises:
        Error: The call to the daemon failed.
        InvalidArgument: `group_size` or `partial_group` has no valid value.

    Example:
        >>> import mlx.core as mx
        >>> grad = mx.grad(lambda w: trit.mlx.ternary_projection(w, client).sum())
        >>> bool((grad(mx.ones((2, 128))) == 1).all())
        True
    """
    check_client(client)

    @mx.custom_function
    def project(w: mx.array) -> mx.array:
        if client is None:
            return project_local(w, group_size, partial_group)
        return client.project(
            w, group_size=group_size, partial_group=partial_group, report=ReportDetail.NONE
        ).data

    @project.vjp
    def straight_through(primal: Any, cotangent: mx.array, output: Any) -> mx.array:
        return cotangent

    return cast(mx.array, project(latent))


# ---- layers ---------------------------------------------------------------------------


class TernaryLinear(nn.Module):
    """Computes y = x @ Wt.T + bias, where Wt is the projection of the latent `weight`.

    Attributes:
        weight: The latents [out_features, in_features].
        bias: [out_features], if it has one.
        group_size: Weights of a row that share a scale.
        client: The client to project with; None to project in NumPy.

    Example:
        >>> import mlx.core as mx
        >>> layer = trit.mlx.TernaryLinear(256, 10, client=client)
        >>> layer(mx.ones((2, 256))).shape
        (2, 10)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        group_size: int = GROUP_SIZE,
        client: Optional[Client] = None,
    ) -> None:
        """Makes a layer: latents from N(0, 1) * in_features^-0.5, the bias zero.

        Args:
            in_features: Length of x's last axis.
            out_features: Length of y's last axis.
            bias: Whether it has a bias.
            group_size: Weights of a row that share a scale.
            client: The client to project with; None to project in NumPy.

        Raises:
            InvalidType: `client` is not a trit.Client.

        Example:
            >>> trit.mlx.TernaryLinear(256, 10, bias=False).weight.shape
            (10, 256)
        """
        super().__init__()
        check_client(client)
        self.weight = mx.random.normal((out_features, in_features)) * in_features**-0.5
        if bias:
            self.bias = mx.zeros((out_features,))
        self.group_size, self.client = positive(group_size, "group_size"), client

    def ternary_weight(self) -> mx.array:
        """Projects the latents, as each forward pass does.

        Returns:
            The ternary weights, of the shape and dtype of `weight`.

        Raises:
            Error: The call to the daemon failed.

        Example:
            >>> layer = trit.mlx.TernaryLinear(256, 10, client=client)
            >>> client.verify(layer.ternary_weight()).is_ternary
            True
        """
        return ternary_projection(self.weight, self.client, group_size=self.group_size)

    def __call__(self, x: mx.array) -> mx.array:
        """Computes y.

        Args:
            x: [..., in_features].

        Returns:
            [..., out_features].

        Raises:
            Error: The call to the daemon failed.

        Example:
            >>> import mlx.core as mx
            >>> trit.mlx.TernaryLinear(256, 10)(mx.ones((2, 256))).shape
            (2, 10)
        """
        y = x @ self.ternary_weight().T
        return y + self.bias if "bias" in self else y


class TernaryEmbedding(nn.Module):
    """Gives rows of the projection of the latent `weight` by id.

    Attributes:
        weight: The latents [num_embeddings, dims].
        group_size: Weights of a row that share a scale.
        client: The client to project with; None to project in NumPy.

    Example:
        >>> import mlx.core as mx
        >>> layer = trit.mlx.TernaryEmbedding(10, 256, client=client)
        >>> layer(mx.array([1, 2, 3])).shape
        (3, 256)
    """

    def __init__(
        self,
        num_embeddings: int,
        dims: int,
        *,
        group_size: int = GROUP_SIZE,
        client: Optional[Client] = None,
    ) -> None:
        """Makes a layer with latents from N(0, 1) * dims^-0.5.

        Args:
            num_embeddings: Number of ids.
            dims: Length of a row.
            group_size: Weights of a row that share a scale.
            client: The client to project with; None to project in NumPy.

        Raises:
            InvalidType: `client` is not a trit.Client.

        Example:
            >>> trit.mlx.TernaryEmbedding(10, 256).weight.shape
            (10, 256)
        """
        super().__init__()
        check_client(client)
        self.weight = mx.random.normal((num_embeddings, dims)) * dims**-0.5
        self.group_size, self.client = positive(group_size, "group_size"), client

    def ternary_weight(self) -> mx.array:
        """Projects the latents, as each forward pass does.

        Returns:
            The ternary weights, of the shape and dtype of `weight`.

        Raises:
            Error: The call to the daemon failed.

        Example:
            >>> layer = trit.mlx.TernaryEmbedding(10, 256, client=client)
            >>> client.verify(layer.ternary_weight()).is_ternary
            True
        """
        return ternary_projection(self.weight, self.client, group_size=self.group_size)

    def __call__(self, ids: mx.array) -> mx.array:
        """Gives rows.

        Args:
            ids: Integers [...].

        Returns:
            [..., dims].

        Raises:
            Error: The call to the daemon failed.

        Example:
            >>> import mlx.core as mx
            >>> trit.mlx.TernaryEmbedding(10, 256)(mx.array([[1, 2]])).shape
            (1, 2, 256)
        """
        return self.ternary_weight()[ids]

    def as_linear(self, x: mx.array) -> mx.array:
        """Computes x @ Wt.T: the output layer that shares the embedding's weights.

        Args:
            x: [..., dims].

        Returns:
            Logits [..., num_embeddings].

        Raises:
            Error: The call to the daemon failed.

        Example:
            >>> import mlx.core as mx
            >>> trit.mlx.TernaryEmbedding(10, 256).as_linear(mx.ones((2, 256))).shape
            (2, 10)
        """
        return x @ self.ternary_weight().T


# ---- models ---------------------------------------------------------------------------

_KINDS: Dict[type, type] = {nn.Linear: TernaryLinear, nn.Embedding: TernaryEmbedding}


def _find(model: nn.Module) -> Iterator[Candidate]:
    """The modules that hold a matrix of weights, by name."""
    for name, module in sorted(model.named_modules(), key=lambda one: one[0]):
        matrices = [
            key
            for key, one in module.items()
            if isinstance(one, mx.array) and one.ndim >= 2 and not key.startswith("_")
        ]
        if isinstance(module, (TernaryLinear, TernaryEmbedding)):
            yield Candidate(name, ALREADY, quiet=True)
        elif matrices and (is_lora(name) or all(map(is_lora, matrices))):
            yield Candidate(name, LORA_STAYS)
        elif type(module) in _KINDS:
            kind = module.weight.dtype
            yield Candidate(
                name,
                None
                if kind in (mx.float32, mx.float16, mx.bfloat16)
                else f"its weight is {kind}: only float32, float16 and bfloat16 are projected",
            )
        elif isinstance(module, tuple(_KINDS)):
            yield Candidate(
                name,
                f"{type(module).__name__} is a subclass of nn.Linear or nn.Embedding "
                "and may use its weight in its own way: replace it by one of the two",
            )
        elif matrices:
            yield Candidate(
                name,
                f"{type(module).__name__} holds {', '.join(matrices)} itself: only "
                "nn.Linear and nn.Embedding are converted",
            )


def convert(
    model: nn.Module,
    include: Patterns = None,
    exclude: Patterns = None,
    *,
    group_size: int = GROUP_SIZE,
    client: Optional[Client] = None,
) -> nn.Module:
    """Makes the nn.Linear and nn.Embedding layers of a model ternary, in place.

    A layer that occurs twice in the model stays one layer; what is frozen stays frozen;
    attributes stay.

    `model.trit_conversion` says what was converted, what was skipped and why. The logger
    "trit" logs the same: converted layers and what the patterns skip as INFO; other modules
    with a matrix of weights as WARNING.

    `layer.weight` is the latents for every reader. To multiply by the weights of another
    module, use `layer.ternary_weight()` or `as_linear`.

    Args:
        model: The model.
        include: Shell pattern(s) of dotted module names, such as "layers.*.attn.*": only
            these are converted.
        exclude: Shell pattern(s) of dotted module names that are not converted; stronger
            than `include`.
        group_size: Weights of a row that share a scale.
        client: The client to project with; None to project in NumPy.

    Returns:
        The model.

    Raises:
        InvalidArgument: A pattern matches no module.
        InvalidType: An argument has the wrong type.

    Example:
        >>> import mlx.nn as nn
        >>> model = nn.Sequential(nn.Linear(256, 64), nn.Linear(64, 10))
        >>> trit.mlx.convert(model, exclude="layers.1", client=client).trit_conversion
        Conversion: 1 converted, 1 skipped
          converted  layers.0
          skipped    layers.1: excluded by pattern 'layers.1'
    """
    if not isinstance(model, nn.Module):
        raise wrong_type("model", "a mlx.nn.Module", model)
    check_client(client)
    group_size = positive(group_size, "group_size")
    modules = dict(model.named_modules())
    plan = Plan(_find(model), modules, include, exclude)
    for name in plan.chosen:
        module = modules[name]
        if type(module) in _KINDS:  # else it occurs twice in the model
            module.__class__ = _KINDS[type(module)]
            module.group_size, module.client = group_size, client
    plan.record(model)
    return model


def _ternary_layers(model: nn.Module) -> Iterator[Latents]:
    for name, module in sorted(model.named_modules(), key=lambda one: one[0]):
        if isinstance(module, (TernaryLinear, TernaryEmbedding)):
            yield Latents(name, module.weight, module.group_size, module.client)


def set_client(model: nn.Module, client: Optional[Client]) -> None:
    """Sets the client of all ternary layers of a model.

    Args:
        model: The model.
        client: The client to project with; None to project in NumPy.

    Raises:
        InvalidType: `client` is not a trit.Client.

    Example:
        >>> import mlx.nn as nn
        >>> model = trit.mlx.convert(nn.Linear(256, 10))
        >>> trit.mlx.set_client(model, client)
    """
    check_client(client)
    for _, module in model.named_modules():
        if isinstance(module, (TernaryLinear, TernaryEmbedding)):
            module.client = client


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
        >>> import mlx.nn as nn
        >>> model = trit.mlx.convert(nn.Sequential(nn.Linear(256, 10)))
        >>> trit.mlx.verify_ternary_weights(model, client)["layers.0"]["is_ternary"]
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
) -> VerifyEvery:
    """Makes a training callback that verifies the model every N-th step.

    Args:
        model: The model.
        run: The run that the reports are stored under.
        every: Steps between two verifications, 1 or more.
        client: The client to verify with; None for each layer's own.
        callback: Called with the step and the reports by layer after each verification.

    Returns:
        The callback; call it with each step that is done.

    Raises:
        InvalidArgument: `every` is below 1.
        InvalidType: An argument has the wrong type.

    Example:
        >>> import mlx.nn as nn
        >>> model = trit.mlx.convert(nn.Sequential(nn.Linear(256, 10)))
        >>> after_step = trit.mlx.verify_every(model, "run-7", every=20, client=client)
        >>> after_step(19), after_step(40)["layers.0"].is_ternary
        (None, True)
    """
    return VerifyEvery(lambda: _ternary_layers(model), client, run, every, callback)
