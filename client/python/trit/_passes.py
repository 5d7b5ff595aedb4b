# SPDX-License-Identifier: Apache-2.0
"""Ternary weights that are used more than once before their latents change.

Without gradients a projection is kept with the latents, as long as these have the same
storage, shape and version counter. torch counts all changes but those through `.data`.

With gradients a projection is kept for one forward pass of the model, because optimizers may
write through `.data`. The pass begins with the projection of all layers by RPC in one call.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any, Callable, Dict, List, NamedTuple, Optional

import torch
from torch import Tensor, nn

from ._weight import TernaryParameter, plain

_KEPT = "_kept"  # the attribute of latents that has their projection

compiling: Callable[[], bool] = getattr(
    getattr(torch, "compiler", None), "is_compiling", lambda: False
)


class Kept(NamedTuple):
    """A projection, and what the latents were when it was made.

    `latent` shares the latents' memory. It keeps that memory, so that its address is not
    used for another tensor.
    """

    latent: Tensor
    version: int
    group_size: int
    ternary: Tensor
    ternary_version: int

    def serves(self, latent: Tensor, group_size: int) -> bool:
        """Whether it is the projection of these latents as they are now."""
        old, now = self.latent, plain(latent)
        return (
            self.group_size == group_size
            and self.version == now._version
            and old.data_ptr() == now.data_ptr()
            and old.dtype == now.dtype
            and old.shape == now.shape
            and old.stride() == now.stride()
            and old.device == now.device
            and self.ternary._version == self.ternary_version
        )


class _Pass:
    """A forward pass of `root`: the projections that it has made so far, by latents."""

    def __init__(self, root: nn.Module, backward: bool = False) -> None:
        self.root = weakref.ref(root)
        self.kept: Dict[int, Kept] = {}
        self.backward, self.over = backward, False

    def end(self) -> None:
        """Ends it, from any thread."""
        self.over = True
        self.kept.clear()


class _Passes(threading.local):
    """The forward passes that this thread is in, the outermost first."""

    def __init__(self) -> None:
        self.active: List[_Pass] = []


_passes = _Passes()


def _live() -> List[_Pass]:
    """The passes that are not over."""
    _passes.active = [one for one in _passes.active if not one.over]
    return _passes.active


def tracked(latent: Tensor) -> bool:
    """Whether gradients of these latents are being recorded."""
    return torch.is_grad_enabled() and bool(plain(latent).requires_grad)


def keepable(latent: Any) -> bool:
    """Whether they are a Parameter whose changes torch counts."""
    return type(latent) is TernaryParameter and not plain(latent).is_inference()


def recall(latent: Any, group_size: int, recorded: bool) -> Optional[Tensor]:
    """The projection of latents that is kept, as a tensor of its own; None: there is none.

    `recorded` says whether gradients of them are recorded (`tracked`).
    """
    if not keepable(latent):
        return None
    # A part of a pass may be without gradients, as reentrant checkpoints are.
    found = [one.kept.get(id(latent)) for one in _live()]
    if not recorded:
        found.append(latent.__dict__.get(_KEPT))
    for kept in found:
        if kept is not None and kept.serves(latent, group_size):
            return kept.ternary.detach()
    return None


def remember(latent: Any, group_size: int, recorded: bool, ternary: Tensor) -> Tensor:
    """Keeps a projection, where it can be used again. Returns it as a tensor of its own."""
    if not keepable(latent) or ternary.is_inference():
        return ternary
    if recorded and not _live():
        latent.__dict__.pop(_KEPT, None)  # its memory is needed for training now
        return ternary
    now = plain(latent)
    kept = Kept(now.detach(), now._version, group_size, ternary, ternary._version)
    if recorded:
        latent.__dict__.pop(_KEPT, None)
        _live()[-1].kept[id(latent)] = kept
    else:
        latent.__dict__[_KEPT] = kept
    return ternary.detach()


def forget(latent: Any) -> None:
    """Drops what is kept of latents."""
    if isinstance(latent, TernaryParameter):
        latent.__dict__.pop(_KEPT, None)
    for one in _live():
        one.kept.pop(id(latent), None)


# ---- the pass of a model ------------------------------------------------------------------


def start(root: nn.Module) -> None:
    """Begins a pass; ends one of the same model that an exception left behind."""
    stop(root)
    _passes.active.append(_Pass(root))


def stop(root: nn.Module) -> None:
    """Ends the pass of a model, and those of models that no longer exist."""
    _passes.active = [one for one in _live() if one.root() not in (root, None)]


# ---- parts that are computed again --------------------------------------------------------

_ROOT, _AGAIN = "_root", "_again"  # attributes of latents: the model, computed in a backward


def belongs(latent: Any, root: nn.Module) -> None:
    """Notes whose pass projects latents."""
    latent.__dict__[_ROOT] = weakref.ref(root)


def is_recomputed(latent: Any) -> bool:
    """Whether they were projected in a backward pass before."""
    return bool(latent.__dict__.get(_AGAIN))


def start_backward(latent: Any) -> Optional[nn.Module]:
    """Begins a pass for the rest of the backward pass that this thread is in.

    torch.utils.checkpoint computes parts of a model again there, when the model's own pass is
    over. Returns the model; None if there is no backward pass, or nothing to begin.
    """
    known = latent.__dict__.get(_ROOT)
    root = None if known is None else known()
    if root is None or _live():
        if root is not None and _passes.active[-1].backward:
            latent.__dict__[_AGAIN] = True
        return None
    made = _Pass(root, backward=True)
    try:
        torch.autograd.Variable._execution_engine.queue_callback(made.end)
    except RuntimeError:  # torch has no other way to say that there is no backward pass
        return None
    latent.__dict__[_AGAIN] = True
    _passes.active.append(made)
    return root


def hook(root: nn.Module, before: Any, after: Any) -> None:
    """Has functions called before and after a model's forward, once each."""
    if any(one is before for one in root._forward_pre_hooks.values()):
        return
    root.register_forward_pre_hook(before)
    try:
        root.register_forward_hook(after, always_call=True)
    except TypeError:  # torch before 2.1
        root.register_forward_hook(after)


def unhook(root: nn.Module, before: Any, after: Any) -> None:
    """Takes away what `hook` has added."""
    for hooks, function in ((root._forward_pre_hooks, before), (root._forward_hooks, after)):
        for key in [key for key, one in hooks.items() if one is function]:
            del hooks[key]
            for name in ("_forward_hooks_with_kwargs", "_forward_hooks_always_called"):
                getattr(root, name, {}).pop(key, None)
