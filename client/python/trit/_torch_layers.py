# SPDX-License-Identifier: Apache-2.0
"""What the ternary layers of torch share: latents, and when they are projected."""

from __future__ import annotations

import functools
import warnings
from typing import Any, Dict, Literal, Optional, Tuple

import torch
from torch import Tensor, nn

from . import _passes, _torch_projection
from ._retry import Fallback, projected
from ._weight import adopt, plain, uncompiled
from .client import Client
from .errors import InvalidArgument
from .types import ReportDetail

OnNaN = Literal["raise", "warn"]


class Ternary(nn.Module):
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
            rows = turn(self, self._latent())
            return turn(self, _torch_projection.straight_through(rows, self.group_size))
        return _projection_of(self)

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


def turn(layer: Ternary, weight: Tensor) -> Tensor:
    """A layer's weight as [out, in], or back as it lies.

    Either way the result of a projection is contiguous as [out, in], because the kernel that a
    matrix product chooses may depend on it.
    """
    return weight.t() if layer.turned else weight


@uncompiled
def _projection_of(layer: Ternary) -> Tensor:
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
                project_all(root, again=True)
                ternary = _passes.recall(latent, size, recorded)
        if ternary is None:
            # Inference tensors have no version counter and cannot be used while training.
            with torch.inference_mode(False), torch.no_grad():
                ternary = _project(layer, plain(latent).detach())
                ternary = _passes.remember(latent, size, recorded, ternary)
        if not recorded:
            return ternary
    result: Tensor = _torch_projection.StraightThrough.apply(plain(latent), project)
    return result


def _project(layer: Ternary, w: Tensor) -> Tensor:
    """Projects as the layer says; latents that are not finite raise or warn."""
    client, size, rows = layer.client, layer.group_size, turn(layer, w)

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
        return turn(layer, made)
    ternary, scales = _torch_projection.project(rows, size)
    ternary = turn(layer, ternary)
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


def _read(self: Ternary) -> Tensor:
    latent = self._parameters.get("weight")
    if latent is None:
        latent = self.__dict__.get("weight")
    if latent is None:
        raise AttributeError(f"{type(self).__name__} has no weight")
    return adopt(latent, self)


def _write(self: Ternary, computed: Tensor) -> None:
    """Stores what a hook computes; torch stores a Parameter itself."""
    self.__dict__["weight"] = computed


def _remove(self: Ternary) -> None:
    self.__dict__.pop("weight", None)


weight_property = property(_read, _write, _remove)  # `weight` of each class of layers


def project_all(model: nn.Module, again: bool = False) -> None:
    """Projects by RPC what is not kept, in one call for each client and group size.

    With `again`, only what backward passes have computed again before.
    """
    batches: Dict[Any, Tuple[Client, Dict[int, Tensor]]] = {}
    owners: Dict[int, Ternary] = {}
    for layer in model.modules():
        if not isinstance(layer, Ternary) or layer.client is None:
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
                these = [turn(owners[place], plain(one)) for place, one in latents.items()]
                call = functools.partial(client.project_batch, these, group_size=size)
                made = projected(client, call, lambda: None, fallback)
            except InvalidArgument:
                continue  # the layer whose latents are at fault calls, and says so
            if made is None:
                continue  # the layers project in torch
            for (place, latent), ternary in zip(latents.items(), made):
                ternary = turn(owners[place], ternary)
                _passes.remember(latent, size, recorded[place], ternary)
