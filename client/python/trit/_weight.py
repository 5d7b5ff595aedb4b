# SPDX-License-Identifier: Apache-2.0
"""The `weight` of a ternary layer in torch.

It is the layer's own Parameter, so that optimizers, initializers, checkpoints and
`weight.grad` reach the latents. Products are different: whoever multiplies by the weight
(F.linear(x, layer.weight), x @ layer.weight.T, rows by index, a fused kernel of torch)
computes with the ternary weights, as the layer itself does. That is also true of tensors that
are made of the weight on the way to a product: views, casts, concatenations, sums and
multiples are made again from the ternary weights. All other functions (in-place changes,
norms, copies) read and write latents.

torch calls `__torch_function__` before each of its functions. The fast paths of
nn.TransformerEncoder and nn.MultiheadAttention do not run on such tensors.
"""

from __future__ import annotations

import functools
import weakref
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

# Names of torch's functions and methods, without the underscores of f_ and __f__.
_PRODUCTS = frozenset(
    """
    linear bilinear embedding embedding_bag matmul rmatmul imatmul mm bmm mv addmm addmv addbmm
    baddbmm dot vdot vecdot inner outer ger kron einsum tensordot chain_matmul multi_dot cdist
    linalg_matmul linalg_multi_dot linalg_vecdot
    conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d
    multi_head_attention_forward scaled_dot_product_attention
    _native_multi_head_attention _transformer_encoder_layer_fwd
    index_select gather take take_along_dim""".split()
)
_DERIVED = frozenset(
    """
    getitem t T mT H mH adjoint transpose swapaxes swapdims permute movedim moveaxis view reshape
    view_as reshape_as flatten unflatten ravel squeeze unsqueeze expand expand_as broadcast_to
    repeat tile narrow select chunk split tensor_split unbind diagonal flip roll pad
    data detach clone contiguous to type type_as float double half bfloat16 cpu cuda
    cat concat concatenate stack hstack vstack
    add radd sub rsub subtract mul rmul multiply div truediv true_divide divide neg negative
    where masked_fill lerp addcmul""".split()
)

_WRITES = frozenset(
    """
    __setitem__ __set__ __delete__ __iadd__ __isub__ __imul__ __itruediv__ __ifloordiv__
    __imod__ __ipow__ __iand__ __ior__ __ixor__ __ilshift__ __irshift__ __imatmul__""".split()
)

_Disabled = (
    getattr(torch._C, "DisableTorchFunctionSubclass", None) or torch._C.DisableTorchFunction
)


# ---- the tensors ----------------------------------------------------------------------


class _Latent:
    """What both kinds of tensor below share.

    Their operations go through _call; a copy or a pickle is an ordinary tensor.
    """

    __slots__ = ()

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Any = (), kwargs: Optional[Dict[str, Any]] = None
    ) -> Any:
        return _call(func, args, kwargs or {})

    def __deepcopy__(self, memo: Dict[int, Any]) -> Any:
        return _copy(self, memo)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _ordinary(self).__reduce_ex__(protocol)

    def __repr__(self) -> str:
        return repr(_ordinary(self))

    def __setattr__(self, name: str, value: Any) -> None:
        _set(self, name, value)


class TernaryParameter(_Latent, nn.Parameter):
    """The latents of a ternary layer. Products use their projection.

    An nn.Parameter becomes one in place; a copy, a pickle or nn.Parameter() of it is an
    nn.Parameter again.
    """


class Derived(_Latent, Tensor):
    """A tensor made of latents that a product may use later.

    `_remake` makes it from the ternary weights instead. It is valid only while the latents
    have the versions of `_sources`.
    """


def _ordinary(tensor: Tensor) -> Tensor:
    """A Parameter or a Tensor of the same memory."""
    ordinary = plain(tensor)
    if isinstance(tensor, TernaryParameter) and "_remake" not in tensor.__dict__:
        return nn.Parameter(ordinary.detach(), tensor.requires_grad)
    return ordinary


def _copy(tensor: Tensor, memo: Dict[int, Any]) -> Tensor:
    ordinary = _ordinary(tensor)
    copy: Tensor = ordinary.__deepcopy__(memo)
    # The memo has the copy under the id of `ordinary`. If that went, another tensor could get
    # its id, and this copy for its own.
    memo.setdefault(id(memo), []).append(ordinary)
    memo[id(tensor)] = copy
    return copy


def _set(tensor: Tensor, name: str, value: Any) -> None:
    if name == "_is_param":  # nn.Parameter(tensor) sets it on the result of detach()
        tensor.__dict__.clear()
        tensor.__class__ = nn.Parameter
    else:
        object.__setattr__(tensor, name, value)


def plain(tensor: Tensor) -> Tensor:
    """The latents as an ordinary tensor that shares their memory and their gradient."""
    if not isinstance(tensor, (TernaryParameter, Derived)):
        return tensor
    with _Disabled():
        return tensor.as_subclass(Tensor)


def adopt(latent: Tensor, layer: nn.Module) -> Tensor:
    """What a reader of the layer's `weight` gets for its latents."""
    if type(latent) is nn.Parameter:
        latent.__class__ = TernaryParameter
    if type(latent) is TernaryParameter:
        owner = latent.__dict__.get("_owner")
        if owner is None or owner() is not layer:
            latent.__dict__["_owner"] = weakref.ref(layer)
        return latent
    # torch.func.functional_call and hooks that compute a weight replace it by tensors.
    if type(latent) not in (Tensor, Derived):
        return latent
    try:
        view = plain(latent).view_as(latent)
    except RuntimeError:  # FSDP: a view of parameters that were gathered since, to be replaced
        return latent
    return _derive(view, layer.ternary_weight, ())


# ---- functions of torch --------------------------------------------------------------------


def _name(func: Any) -> str:
    """The name of a function, a method (f, f_, __f__) or a property."""
    name = getattr(func, "__name__", "")
    if name == "__get__":
        name = getattr(func.__self__, "__name__", "")
    return name


# Keeps torch.compile out of a function; torch before 2.1 cannot.
uncompiled = getattr(getattr(torch, "compiler", None), "disable", lambda function: function)


@uncompiled
def _call(func: Callable[..., Any], args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> Any:
    name = _name(func)
    base = name.strip("_") if name.startswith("__") else name.rstrip("_")
    in_place = name in _WRITES or (name.endswith("_") and not name.startswith("__"))
    if base in _PRODUCTS or (base == "getitem" and _picks(args[1])):
        skipped = args[:1] if in_place else ()
        out = {"out": kwargs["out"]} if "out" in kwargs else {}
        args, kwargs = skipped + _ternary(args[len(skipped) :]), {**_ternary(kwargs), **out}
        with _Disabled():
            return func(*args, **kwargs)
    with _Disabled():
        result = func(*args, **kwargs)
    if in_place:
        written = args[0] if args else next(iter(kwargs.values()), None)
        if name != "requires_grad_" and isinstance(written, (TernaryParameter, Derived)):
            written.__dict__.pop("_remake", None)
    elif base in _DERIVED:
        sources = _sources((args, tuple(kwargs.values())))
        if sources:
            _follow(result, lambda: func(*_ternary(args), **_ternary(kwargs)), sources)
            if base == "detach" and type(args[0]) is TernaryParameter:
                result.__class__ = TernaryParameter  # nn.Parameter(tensor) requires it
    return result


def _picks(index: Any) -> bool:
    """Whether an index gathers rows, as an embedding does, instead of making a view."""
    return any(
        isinstance(one, (Tensor, list)) or hasattr(one, "__array__")
        for one in (index if isinstance(index, tuple) else (index,))
    )


def _ternary(value: Any) -> Any:
    """Arguments, with latents and tensors made of them replaced by ternary weights."""
    if isinstance(value, (TernaryParameter, Derived)):
        if _is_fresh(value):
            return value.__dict__["_remake"]()
        layer = _layer_of(value)
        return plain(value) if layer is None else layer.ternary_weight()
    if type(value) in (list, tuple):
        return type(value)(_ternary(one) for one in value)
    if type(value) is dict:
        return {name: _ternary(one) for name, one in value.items()}
    return value


def _layer_of(value: Tensor) -> Optional[nn.Module]:
    """The layer whose latents they are, if it still exists and still has them."""
    layer = value.__dict__["_owner"]() if "_owner" in value.__dict__ else None
    return layer if layer is not None and layer._parameters.get("weight") is value else None


def _sources(value: Any) -> Tuple[Tensor, ...]:
    """The latents, and tensors made of them, among arguments."""
    if isinstance(value, (TernaryParameter, Derived)):
        return (value,) if _is_fresh(value) or _layer_of(value) is not None else ()
    if type(value) in (list, tuple):
        return tuple(found for one in value for found in _sources(one))
    return ()


def _version(tensor: Tensor) -> int:
    with _Disabled():
        version: int = tensor._version
        return version


def _is_fresh(derived: Tensor) -> bool:
    return "_remake" in derived.__dict__ and all(
        _version(source) == version for source, version in derived.__dict__["_sources"]
    )


def _follow(result: Any, remake: Callable[[], Any], sources: Sequence[Tensor]) -> None:
    """Makes the result or results of a function remember how to make them again."""
    if type(result) in (list, tuple):
        for i, one in enumerate(result):
            _follow(one, functools.partial(_item, remake, i), sources)
    elif type(result) is Tensor:
        _derive(result, remake, sources)


def _item(remake: Callable[[], Any], index: int) -> Any:
    return remake()[index]


def _derive(result: Tensor, remake: Callable[[], Tensor], sources: Sequence[Tensor]) -> Tensor:
    grad = torch.is_grad_enabled()

    def in_its_mode() -> Tensor:
        with torch.set_grad_enabled(grad), _Disabled():
            return remake()

    versions = [
        known
        for source in sources
        for known in source.__dict__.get("_sources", [(source, _version(source))])
    ]
    result.__class__ = Derived
    result.__dict__.update(_remake=in_its_mode, _sources=versions)
    return result
