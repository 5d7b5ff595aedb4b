# SPDX-License-Identifier: Apache-2.0
"""Ternary layers for MLX, projected by tritd; the twin of trit.torch.

Each forward pass projects the latent weights: by RPC if the layer has a client, else in MLX
itself. The bits are the same. The gradient goes through the projection unchanged
(straight-through estimator).

Without a client everything works inside of mx.compile, mx.grad and nn.value_and_grad. A
projection by RPC needs the values of the weights, so it cannot be inside of mx.compile.

`layer.weight` is the latents: mx.array has no hook that could tell a product from an optimizer.
Code that multiplies uses `layer(x)`, `as_linear(x)` or `ternary_weight()`. `convert` refuses a
layer whose `weight` is read by the model's own code, and a read of a converted layer's `weight`
in a forward pass raises.

A layer projects an array of latents once, as long as the array lives and is not written to:
so tied weights are projected once a step, and a model that is not being trained once in all.
The layers of a converted model project by RPC together, in one call.

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

import functools
import re
import sys
import warnings
import weakref
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Literal,
    Optional,
    Tuple,
    Union,
    cast,
)

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from ._arguments import member, positive, real, wrong_type
from ._arrays import Array
from ._local_report import local_report
from ._mlx_projection import project_with, scales_of
from ._mlx_reads import check_reader, readers_of_weights
from ._retry import Fallback, check_fallback, projected
from ._selection import Patterns
from .client import Client
from .conversion import ALREADY, LORA_STAYS, Candidate, Conversion, Plan, is_lora
from .errors import FailedPrecondition, InvalidArgument
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
    "GROUP_SIZE",
    "Conversion",
    "TernaryEmbedding",
    "TernaryLinear",
    "VerifyEvery",
    "convert",
    "invalidate",
    "project_local",
    "set_client",
    "ternary_projection",
    "verify_every",
    "verify_ternary_weights",
]

OnNaN = Literal["raise", "warn"]
TOLERANCE = 1e-5


# ---- the projection -------------------------------------------------------------------


def _numpy(array: Any) -> Array:
    """The array's own memory."""
    memory: Array = np.asarray(memoryview(array))
    return memory


def _is_traced(error: Exception) -> bool:
    """Whether a value was asked for while mx.compile or mx.vmap traces, where there is none."""
    return "function transformations" in str(error)


# Before this version mx.compile takes kernels of f16 for bf16, or crashes.
_COMPILES_FROM = "0.31.2"


def _check_compiles() -> None:
    """Refuses mx.compile of an MLX that would compute something else."""
    found, needed = (
        tuple(map(int, re.findall(r"\d+", one)[:3])) for one in (mx.__version__, _COMPILES_FROM)
    )
    if found < needed:
        raise FailedPrecondition(
            f"mlx: mx.compile of ternary layers needs mlx {_COMPILES_FROM} or later, which "
            f"compiles them right; this is {mx.__version__}",
            "mlx",
        )


def project_local(
    latent: mx.array,
    group_size: int = GROUP_SIZE,
    partial_group: AnyPartialGroup = PartialGroup.PADDED,
) -> mx.array:
    """Projects in MLX, without a daemon and without a gradient, to the daemon's bits.

    A group that has a NaN or infinity becomes NaN.

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
    return project_with(latent, scales_of(latent, group_size, partial_group), group_size)


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
        client: The client to project with; None to project in MLX.
        group_size: Weights of a row that share a scale.
        partial_group: What the scale of a row's short last group divides by.

    Returns:
        t*s, of the shape and dtype of `latent`.

    Raises:
        Error: The call to the daemon failed.
        FailedPrecondition: There is a client, and mx.compile or mx.vmap is tracing.
        InvalidArgument: `group_size` or `partial_group` has no valid value.

    Example:
        >>> import mlx.core as mx
        >>> grad = mx.grad(lambda w: trit.mlx.ternary_projection(w, client).sum())
        >>> bool((grad(mx.ones((2, 128))) == 1).all())
        True
    """
    check_client(client)

    def by_daemon(w: mx.array) -> mx.array:
        assert client is not None
        ternary: mx.array = client.project(
            w, group_size=group_size, partial_group=partial_group, report=ReportDetail.NONE
        ).data
        return ternary

    return _straight_through(
        latent,
        lambda w: projected(
            client, lambda: by_daemon(w), lambda: project_local(w, group_size, partial_group)
        ),
    )


def _straight_through(latent: mx.array, project: Callable[[mx.array], mx.array]) -> mx.array:
    """`project(latent)`, whose gradient goes to `latent` unchanged."""
    forward = mx.custom_function(project)

    @forward.vjp
    def unchanged(primal: Any, cotangent: mx.array, output: Any) -> mx.array:
        return cotangent

    try:
        return cast(mx.array, forward(latent))
    except (RuntimeError, ValueError) as error:
        if not _is_traced(error):
            raise
        raise FailedPrecondition(
            "client: a projection by RPC needs the weights' values, which mx.compile and "
            "mx.vmap do not have: use trit.mlx.set_client(model, None)",
            "client",
        ) from None


# ---- layers ---------------------------------------------------------------------------


def _address(array: mx.array) -> int:
    """Where the array's values are in memory."""
    bits = array if array.dtype != mx.bfloat16 else array.view(mx.uint16)
    address: int = _numpy(bits).__array_interface__["data"][0]
    return address


class _Projected:
    """The projection of a layer's latents, for as long as these live and are not written to."""

    def __init__(self) -> None:
        self._kept: Optional[Tuple[Any, ...]] = None

    def __reduce__(self) -> Any:
        return _Projected, ()  # a copy of the layer has another array

    def get(self, latent: mx.array, question: Any) -> Optional[mx.array]:
        """The projection, if it is known."""
        kept = self._kept
        if kept is None or kept[0]() is not latent or kept[1] != question:
            return None
        return cast(mx.array, kept[4]) if kept[2] == _address(latent) else None

    def clear(self) -> None:
        """Keeps nothing."""
        self._kept = None

    def put(self, latent: mx.array, question: Any, ternary: mx.array) -> None:
        """Keeps a projection."""
        # An array that is written to in place gets other memory, because `held` shares the
        # memory that it has now.
        held = latent.reshape(latent.shape)
        alive = weakref.ref(latent, self._forget)
        self._kept = (alive, question, _address(latent), held, ternary)

    def _forget(self, reference: Any) -> None:
        kept = self._kept
        if kept is not None and kept[0] is reference:
            self._kept = None


class _Model:
    """The ternary layers of a model. They project by RPC together, in one call."""

    def __init__(self, layers: Iterable[_Ternary] = ()) -> None:
        self._layers = [weakref.ref(layer) for layer in layers]

    def __reduce__(self) -> Any:
        return _Model, ()  # a copy of the model has other layers

    def waiting(self, asking: _Ternary) -> List[_Ternary]:
        """The layers that will ask the same client, `asking` first."""
        assert asking.client is not None
        found = {id(asking): asking}
        for layer in (one() for one in self._layers):
            if (
                layer is not None
                and layer.client is asking.client
                and layer.group_size == asking.group_size
                and layer._projected.get(layer["weight"], layer.group_size) is None
                and layer._arrived.get(layer["weight"], layer.group_size) is None
            ):
                found[id(layer)] = layer
        return list(found.values())


def _is_finite(array: mx.array) -> bool:
    return bool(mx.isfinite(array).all().item())


class _Ternary(nn.Module):
    """What both layers share."""

    group_size: int
    client: Optional[Client]
    nan: OnNaN
    fallback: Fallback
    dotted_name: str

    def _set_up(
        self, group_size: int, client: Optional[Client], nan: OnNaN, fallback: Fallback
    ) -> None:
        check_client(client)
        self.group_size, self.client = positive(group_size, "group_size"), client
        self.nan, self.fallback = _on_nan(nan), check_fallback(fallback)
        self.dotted_name = ""
        self._projected, self._arrived, self._model = _Projected(), _Projected(), _Model()

    def __getattr__(self, key: str) -> Any:
        # MLX keeps arrays in the dict that a module is, so each read of one comes here.
        # Optimizers, files and this module use the dict.
        if key == "weight" and self.dotted_name:
            check_reader(self.dotted_name, sys._getframe(1))
        return super().__getattr__(key)

    def _by_daemon(self) -> mx.array:
        """Projects by RPC, together with the layers of the model that have not done so."""
        size = self.group_size
        arrived = self._arrived.get(self["weight"], size)
        if arrived is not None:
            self._arrived.clear()
            return arrived
        assert self.client is not None
        layers = self._model.waiting(self)
        try:
            ternary = self.client.project_batch([one["weight"] for one in layers], group_size=size)
        except InvalidArgument:
            layers = [one for one in layers if one is self or _is_finite(one["weight"])]
            ternary = self.client.project_batch([one["weight"] for one in layers], group_size=size)
        for layer, result in zip(layers[1:], ternary[1:]):
            layer._arrived.put(layer["weight"], size, result)
        return cast(mx.array, ternary[0])

    def _project(self, w: mx.array) -> mx.array:
        return projected(
            self.client,
            self._by_daemon,
            lambda: project_local(w, self.group_size),
            self.fallback,
        )

    def _report_nan(self) -> bool:
        """Raises or warns if a latent is a NaN or infinity; says whether it warned."""
        finite = mx.isfinite(self["weight"]).reshape(-1)
        count = finite.size - int(finite.sum().item())
        if count == 0:
            return False
        first = int(mx.argmin(finite).item())
        message = (
            f"{self.dotted_name or type(self).__name__}.weight: {count} of {finite.size} latents "
            f"are NaN or infinite, the first at flat index {first}"
        )
        if self.nan != "warn":
            raise InvalidArgument(message, "weight")
        warnings.warn(f"{message}; their groups are NaN", RuntimeWarning, stacklevel=4)
        return True

    def ternary_weight(self) -> mx.array:
        """Projects the latents, as each forward pass does.

        Returns:
            The ternary weights, of the shape and dtype of `weight`.

        Raises:
            Error: The call to the daemon failed.
            InvalidArgument: A latent is a NaN or infinity; not with nan="warn".

        Example:
            >>> layer = trit.mlx.TernaryLinear(256, 10, client=client)
            >>> client.verify(layer.ternary_weight()).is_ternary
            True
        """
        latent = self["weight"]
        known = self._projected.get(latent, self.group_size)
        if known is not None:
            return known
        try:
            ternary = _straight_through(latent, self._project)
        except InvalidArgument:
            if not self._report_nan():
                raise
            ternary = ternary_projection(latent, group_size=self.group_size)
        else:
            try:
                if not _is_finite(ternary):
                    self._report_nan()
            except ValueError as error:
                if not _is_traced(error):
                    raise
                _check_compiles()
                return ternary  # mx.compile has no values yet: a NaN goes through
        self._projected.put(latent, self.group_size, ternary)
        return ternary


class TernaryLinear(_Ternary):
    """Computes y = x @ Wt.T + bias, where Wt is the projection of the latent `weight`.

    Attributes:
        in_features: Length of x's last axis.
        out_features: Length of y's last axis.
        weight: The latents [out_features, in_features].
        bias: [out_features], or None.
        group_size: Weights of a row that share a scale.
        client: The client to project with; None to project in MLX.
        nan: What a NaN or infinity in the latents does: "raise" or "warn".
        fallback: "local": the layer projects in MLX while the daemon cannot be reached. None
            for what the client says.
        dotted_name: The layer's name in the model, where `convert` knows it, else "".

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
        bias: bool = False,
        *,
        group_size: int = GROUP_SIZE,
        client: Optional[Client] = None,
        nan: OnNaN = "raise",
        fallback: Fallback = None,
    ) -> None:
        """Makes a layer: latents from N(0, 1) * in_features^-0.5, the bias zero.

        Args:
            in_features: Length of x's last axis.
            out_features: Length of y's last axis.
            bias: Whether it has a bias.
            group_size: Weights of a row that share a scale.
            client: The client to project with; None to project in MLX.
            nan: What a NaN or infinity in the latents does: "raise" or "warn".
            fallback: "local": the layer projects in MLX while the daemon cannot be reached.
                None for what the client says.

        Raises:
            InvalidArgument: An argument has no valid value.
            InvalidType: `client` is not a trit.Client.

        Example:
            >>> trit.mlx.TernaryLinear(256, 10).weight.shape
            (10, 256)
        """
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = mx.random.normal((out_features, in_features)) * in_features**-0.5
        self.bias = mx.zeros((out_features,)) if bias else None
        self._set_up(group_size, client, nan, fallback)

    def __call__(self, x: mx.array) -> mx.array:
        """Computes y.

        Args:
            x: [..., in_features].

        Returns:
            [..., out_features].

        Raises:
            Error: The call to the daemon failed.
            InvalidArgument: A latent is a NaN or infinity; not with nan="warn".

        Example:
            >>> import mlx.core as mx
            >>> trit.mlx.TernaryLinear(256, 10)(mx.ones((2, 256))).shape
            (2, 10)
        """
        y = x @ self.ternary_weight().T
        return y + self.bias if "bias" in self else y


class TernaryEmbedding(_Ternary):
    """Gives rows of the projection of the latent `weight` by id.

    Attributes:
        num_embeddings: Number of ids.
        embedding_dim: Length of a row.
        weight: The latents [num_embeddings, embedding_dim].
        group_size: Weights of a row that share a scale.
        client: The client to project with; None to project in MLX.
        nan: What a NaN or infinity in the latents does: "raise" or "warn".
        fallback: "local": the layer projects in MLX while the daemon cannot be reached. None
            for what the client says.
        dotted_name: The layer's name in the model, where `convert` knows it, else "".

    Example:
        >>> import mlx.core as mx
        >>> layer = trit.mlx.TernaryEmbedding(10, 256, client=client)
        >>> layer(mx.array([1, 2, 3])).shape
        (3, 256)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        group_size: int = GROUP_SIZE,
        client: Optional[Client] = None,
        nan: OnNaN = "raise",
        fallback: Fallback = None,
    ) -> None:
        """Makes a layer with latents from N(0, 1) * embedding_dim^-0.5.

        Args:
            num_embeddings: Number of ids.
            embedding_dim: Length of a row.
            group_size: Weights of a row that share a scale.
            client: The client to project with; None to project in MLX.
            nan: What a NaN or infinity in the latents does: "raise" or "warn".
            fallback: "local": the layer projects in MLX while the daemon cannot be reached.
                None for what the client says.

        Raises:
            InvalidArgument: An argument has no valid value.
            InvalidType: `client` is not a trit.Client.

        Example:
            >>> trit.mlx.TernaryEmbedding(num_embeddings=10, embedding_dim=256).weight.shape
            (10, 256)
        """
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = mx.random.normal((num_embeddings, embedding_dim)) * embedding_dim**-0.5
        self._set_up(group_size, client, nan, fallback)

    def __call__(self, ids: mx.array) -> mx.array:
        """Gives rows.

        Args:
            ids: Integers [...].

        Returns:
            [..., embedding_dim].

        Raises:
            Error: The call to the daemon failed.
            InvalidArgument: A latent is a NaN or infinity; not with nan="warn".

        Example:
            >>> import mlx.core as mx
            >>> trit.mlx.TernaryEmbedding(10, 256)(mx.array([[1, 2]])).shape
            (1, 2, 256)
        """
        return self.ternary_weight()[ids]

    def as_linear(self, x: mx.array) -> mx.array:
        """Computes x @ Wt.T: the output layer that shares the embedding's weights.

        Args:
            x: [..., embedding_dim].

        Returns:
            Logits [..., num_embeddings].

        Raises:
            Error: The call to the daemon failed.
            InvalidArgument: A latent is a NaN or infinity; not with nan="warn".

        Example:
            >>> import mlx.core as mx
            >>> trit.mlx.TernaryEmbedding(10, 256).as_linear(mx.ones((2, 256))).shape
            (2, 10)
        """
        return x @ self.ternary_weight().T


def _on_nan(nan: OnNaN) -> OnNaN:
    if nan not in ("raise", "warn"):
        raise InvalidArgument(f"nan: {nan!r} is not one of raise, warn", "nan")
    return nan


def _become_ternary(layer: nn.Module) -> None:
    """Makes an nn.Linear or nn.Embedding a ternary layer, in place."""
    rows, columns = layer.weight.shape
    if type(layer) is nn.Linear:
        layer.__class__ = TernaryLinear
        layer.in_features, layer.out_features = columns, rows
        if "bias" not in layer:
            layer.bias = None
    else:
        layer.__class__ = TernaryEmbedding
        layer.num_embeddings, layer.embedding_dim = rows, columns


# ---- models ---------------------------------------------------------------------------

_KINDS = (nn.Linear, nn.Embedding)


def _named_modules(model: Any, prefix: str = "") -> Iterator[Tuple[str, nn.Module]]:
    """The modules by name, in the order of their definition."""
    if isinstance(model, nn.Module):
        yield prefix, model
    if isinstance(model, list):
        items: Any = enumerate(model)
    elif isinstance(model, dict):  # a module too
        items = model.items()
    else:
        return
    for key, value in items:
        yield from _named_modules(value, f"{prefix}.{key}" if prefix else str(key))


def _find(model: nn.Module) -> Iterator[Candidate]:
    """The modules that hold a matrix of weights, by name."""
    readers = readers_of_weights(module for _, module in _named_modules(model))
    for name, module in _named_modules(model):
        matrices = [
            key
            for key, one in module.items()
            if isinstance(one, mx.array) and one.ndim >= 2 and not key.startswith("_")
        ]
        if isinstance(module, _Ternary):
            yield Candidate(name, ALREADY, quiet=True)
        elif matrices and (is_lora(name) or all(map(is_lora, matrices))):
            yield Candidate(name, LORA_STAYS)
        elif type(module) in _KINDS:
            kind, reader = module.weight.dtype, readers.get(id(module))
            if kind not in (mx.float32, mx.float16, mx.bfloat16):
                why = f"its weight is {kind}: only float32, float16 and bfloat16 are projected"
                yield Candidate(name, why)
            elif reader is not None:
                use = "as_linear(x)" if type(module) is nn.Embedding else "layer(x)"
                why = f"{reader} reads its weight, which stays latent (use {use} there)"
                yield Candidate(name, why, refused=True)
            else:
                yield Candidate(name)
        elif isinstance(module, _KINDS):
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
    nan: OnNaN = "raise",
    fallback: Fallback = None,
) -> nn.Module:
    """Makes the nn.Linear and nn.Embedding layers of a model ternary, in place.

    A layer that occurs twice in the model stays one layer; what is frozen stays frozen;
    attributes stay. All layers project by one call to the daemon.

    `model.trit_conversion` says what was converted, what was skipped and why. The logger
    "trit" logs the same: converted layers and what the patterns skip as INFO; other modules
    with a matrix of weights as WARNING.

    `layer.weight` is the latents. To multiply by the weights of another module, use
    `layer.ternary_weight()` or `as_linear`. A layer is refused where a `__call__` of the model,
    or a method that it calls, reads `self.layer.weight`. A read that goes another way, such as
    `getattr` or a loop over layers, raises InvalidArgument when it happens in a `__call__`,
    unless it asks for the dtype, shape or the like. `layer["weight"]` is never refused. Code
    outside of any `__call__`, such as a loss function, is not watched: there a read is allowed,
    as weight decay needs it.

    Args:
        model: The model.
        include: Shell pattern(s) of dotted module names, such as "layers.*.attn.*": only
            these are converted.
        exclude: Shell pattern(s) of dotted module names that are not converted; stronger
            than `include`.
        group_size: Weights of a row that share a scale.
        client: The client to project with; None to project in MLX.
        nan: What a NaN or infinity in a layer's latents does in a forward pass: "raise" or
            "warn". Either names the layer.
        fallback: "local": while the daemon cannot be reached, the layers project in MLX, to
            the same bits. None for what the client says.

    Returns:
        The model.

    Raises:
        InvalidArgument: A pattern matches no module, or the model's code reads the weight of
            a layer that is to be converted.
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
    group_size, nan = positive(group_size, "group_size"), _on_nan(nan)
    fallback = check_fallback(fallback)
    modules = dict(_named_modules(model))
    plan = Plan(_find(model), modules, include, exclude)
    for name in plan.chosen:
        module = modules[name]
        if type(module) in _KINDS:  # else it occurs twice in the model
            _become_ternary(module)
            module._set_up(group_size, client, nan, fallback)
            module.dotted_name = name
    _join(model)
    plan.record(model)
    return model


def _join(model: nn.Module) -> None:
    """Has the ternary layers of a model project together."""
    layers = [one for _, one in _named_modules(model) if isinstance(one, _Ternary)]
    joined = _Model(layers)
    for layer in layers:
        layer._model = joined


def _ternary_layers(model: nn.Module) -> Iterator[Latents]:
    for name, module in _named_modules(model):
        if isinstance(module, _Ternary):
            yield Latents(name, module.weight, module.group_size, module.client)


def set_client(model: nn.Module, client: Optional[Client]) -> None:
    """Sets the client of all ternary layers of a model.

    Args:
        model: The model.
        client: The client to project with; None to project in MLX.

    Raises:
        InvalidType: `client` is not a trit.Client.

    Example:
        >>> import mlx.nn as nn
        >>> model = trit.mlx.convert(nn.Linear(256, 10))
        >>> trit.mlx.set_client(model, client)
    """
    check_client(client)
    for _, module in _named_modules(model):
        if isinstance(module, _Ternary):
            module.client = client
    _join(model)


def invalidate(model: nn.Module) -> None:
    """Makes all ternary layers of a model project anew.

    A layer keeps its projection as long as its latents are the same array and were not
    written to. MLX cannot know what is written through a NumPy view of an array: call this
    after that.

    Args:
        model: The model.

    Raises:
        InvalidType: `model` is not a mlx.nn.Module.

    Example:
        >>> import mlx.core as mx
        >>> layer = trit.mlx.TernaryLinear(256, 10)
        >>> before = layer(mx.ones(256))
        >>> np.asarray(memoryview(layer.weight))[:] *= -1
        >>> trit.mlx.invalidate(layer)
        >>> bool((layer(mx.ones(256)) == -before).all())
        True
    """
    if not isinstance(model, nn.Module):
        raise wrong_type("model", "a mlx.nn.Module", model)
    for _, module in _named_modules(model):
        if isinstance(module, _Ternary):
            module._projected.clear()
            module._arrived.clear()


def _verify_locally(module: _Ternary, tolerance: float) -> Dict[str, Any]:
    latent = module.weight
    scales = scales_of(latent, module.group_size)
    dense = project_with(latent, scales, module.group_size).astype(mx.float32)
    dtypes = {mx.float32: "f32", mx.float16: "f16", mx.bfloat16: "bf16"}
    return local_report(
        _numpy(dense).reshape(-1, latent.shape[-1]),
        _numpy(scales),
        dtype=dtypes[latent.dtype],
        shape=tuple(latent.shape),
        group_size=module.group_size,
        non_finite=latent.size - int(mx.isfinite(latent).sum().item()),
        tolerance=tolerance,
    )


def verify_ternary_weights(
    model: nn.Module,
    client: Union[Client, float, None] = None,
    *,
    tol: Optional[float] = None,
    mode: AnyVerifyMode = VerifyMode.LATENT,
    tolerance: Optional[float] = None,
    run: str = "",
    step: int = 0,
) -> Dict[str, Dict[str, Any]]:
    """Verifies all ternary layers of a model: by the daemon, or without one.

    A layer that has a client, or is given one here, is verified by the daemon. Else its
    projection is verified in this process; then the fields are those that need no daemon:
    dtype, shape, group_size, groups, elements, is_ternary, fraction_valid, max_round_error,
    sample_values, negatives, zeros, positives, zero_fraction, zero_groups, non_finite,
    scale_min, scale_mean, scale_max and verdict.

    Args:
        model: The model.
        client: The client to verify with; None for each layer's own. A number here is `tol`.
        tol: Another name of `tolerance`.
        mode: LATENT: project the weights, then verify the projection. TERNARY: the weights
            themselves claim to be ternary; this needs a client.
        tolerance: The largest |w/s - t| of a ternary weight; None for 1e-5. With 0 all
            magnitudes of a group must be bit-equal.
        run: The run that the reports are stored under; "" to store nothing. It needs a client.
        step: The training step of the reports, 0 or more.

    Returns:
        For each layer, by its name, the fields of its `trit.Report`.

    Raises:
        FailedPrecondition: There is no client, but `mode` or `run` needs one.
        AlreadyExists: Another report is stored under that run, layer and step.
        InvalidArgument: An argument has no valid value.

    Example:
        >>> import mlx.nn as nn
        >>> model = trit.mlx.convert(nn.Sequential(nn.Linear(256, 10)))
        >>> trit.mlx.verify_ternary_weights(model, client)["layers.0"]["is_ternary"]
        True
        >>> trit.mlx.verify_ternary_weights(model, tol=1e-5)["layers.0"]["max_round_error"]
        0.0
    """
    if isinstance(client, (int, float)):
        if tol is not None:
            raise InvalidArgument("tol: it is given twice", "tol")
        client, tol = None, client
    check_client(client)
    if tol is not None:
        if tolerance is not None:
            raise InvalidArgument("tol: give tol or tolerance, not both", "tol")
        tolerance = tol
    kind = member(VerifyMode, mode, "mode")
    reports: Dict[str, Dict[str, Any]] = {}
    for name, module in _named_modules(model):
        if not isinstance(module, _Ternary):
            continue
        daemon = client or module.client
        if daemon is not None or kind != VerifyMode.LATENT or run:
            latents = Latents(name, module.weight, module.group_size, daemon)
            found = verify_layers(
                [latents], daemon, mode=kind, run=run, step=step, tolerance=tolerance
            )
            reports[name] = found[name].to_dict()
        else:
            limit = TOLERANCE if tolerance is None else _tolerance(tolerance)
            reports[name] = _verify_locally(module, limit)
    return reports


def _tolerance(value: float) -> float:
    tolerance = real(value, "tolerance")
    if not 0 <= tolerance < 0.5:
        raise InvalidArgument(f"tolerance: {value} is not in 0 to 0.5", "tolerance")
    return tolerance


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
        >>> import mlx.nn as nn
        >>> model = trit.mlx.convert(nn.Sequential(nn.Linear(256, 10)))
        >>> after_step = trit.mlx.verify_every(model, "run-7", every=20, client=client)
        >>> after_step(19), after_step(40)["layers.0"].is_ternary
        (None, True)
    """
    layers = functools.partial(_ternary_layers, model)
    return VerifyEvery(layers, client, run, every, callback, strict)
