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
from typing import Any, Callable, Dict, Iterator, Optional, Tuple

import torch.nn.functional as F
from torch import Tensor, nn

from . import _export, _passes, _torch_projection
from ._arguments import PathLike, flag, member, positive, wrong_type
from ._arrays import memory_is_freed
from ._retry import Fallback, check_fallback, projected
from ._selection import Patterns
from ._torch_candidates import find
from ._torch_layers import OnNaN, Ternary, project_all, turn, weight_property
from ._weight import plain, uncompiled
from .client import Client
from .conversion import Conversion, Plan
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
    return _torch_projection.project(latent, group_size, exact)[0]


@uncompiled
def _apply_uncompiled(latent: Tensor, project: Callable[[Tensor], Tensor]) -> Tensor:
    ternary: Tensor = _torch_projection.StraightThrough.apply(latent, project)
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

    apply = _torch_projection.StraightThrough.apply if client is None else _apply_uncompiled
    result: Tensor = apply(plain(latent), project)
    return result


# ---- layers ---------------------------------------------------------------------------


class TernaryLinear(Ternary, nn.Linear):
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

    weight = weight_property

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


class TernaryEmbedding(Ternary, nn.Embedding):
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

    weight = weight_property

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
    plan = Plan(find(model, tuple(_kinds())), modules, include, exclude)
    owners: Dict[int, str] = {}
    for name in plan.chosen:
        module = modules[name]
        if not isinstance(module, Ternary):  # else it occurs twice in the model
            module.__class__ = _kinds()[type(module)]
            module.group_size, module.client = group_size, client
            module.nan, module.fallback = nan, fallback
        owners.setdefault(id(module.weight), name)
    for module in modules.values():
        if isinstance(module, nn.TransformerEncoder) and any(
            isinstance(one, Ternary) for one in module.modules()
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
        if isinstance(module, Ternary):
            module.dotted_name = name
    if not isinstance(model, Ternary):
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
    return any(isinstance(one, Ternary) and one.client is not None for one in model.modules())


@uncompiled
def _begin(model: nn.Module) -> None:
    _passes.start(model)
    try:
        project_all(model)
    except BaseException:
        _passes.stop(model)
        raise


@uncompiled
def _end(model: nn.Module) -> None:
    _passes.stop(model)


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
        if isinstance(module, Ternary):
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
    layers = _export.layers_of(model, (Ternary,))
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
    own = (one.client for one in model.modules() if isinstance(one, Ternary) and one.client)
    _export.load(model, path, client or next(own, None), (Ternary,), project_local)
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
        if not isinstance(module, Ternary):
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
            latent = turn(module, latent)
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
        if isinstance(module, Ternary):
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
    layers = functools.partial(_ternary_layers, model)
    return VerifyEvery(layers, client, run, every, callback, strict)
