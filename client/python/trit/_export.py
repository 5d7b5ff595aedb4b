# SPDX-License-Identifier: Apache-2.0
"""Models of trit.torch as files and back, and as models of ordinary layers."""

from __future__ import annotations

import copy
import os
import sys
import tempfile
from typing import Any, Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np
import torch
from torch import Tensor, nn

from . import local
from ._arguments import PathLike, path_of
from ._arrays import Array
from ._checkpoint_calls import CheckpointProgress
from ._checkpoint_project import Planned, ToFile, check_out, put_matrix
from ._native import ffi
from ._rules import Options, Output
from ._sources import Arrays, File
from ._weight import plain
from .errors import FailedPrecondition, InvalidArgument
from .types import ONE_SCALE, Encoding

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_BITS = {torch.float32: torch.int32, torch.float16: torch.int16, torch.bfloat16: torch.int16}
_OWN = ("group_size", "client", "nan", "fallback", "dotted_name")


class Layer(NamedTuple):
    """Latents of a model.

    `module` is the first ternary layer that has them, `all` are all of these; `keys` are the
    names of the latents in the state dict.
    """

    name: str
    module: Any
    keys: Tuple[str, ...] = ()
    all: Tuple[Any, ...] = ()


# ---- what is a layer -----------------------------------------------------------------------


def layers_of(model: nn.Module, kinds: Any) -> List[Layer]:
    """The latents of a model's ternary layers."""
    found: Dict[int, Layer] = {}
    for name, module in model.named_modules():
        if not isinstance(module, kinds):
            continue
        latent = module._parameters.get("weight")
        if latent is None:
            raise InvalidArgument(
                f"{name or 'model'}: its weight is computed by pruning or a parametrization: "
                "remove that first",
                "model",
            )
        known = found.get(id(latent), Layer(name, module))
        found[id(latent)] = known._replace(all=(*known.all, module))
    for prefix, module in model.named_modules(remove_duplicate=False):
        for key, one in module._parameters.items():
            if id(one) in found:
                layer = found[id(one)]
                full = f"{prefix}.{key}" if prefix else key
                found[id(one)] = layer._replace(keys=(*layer.keys, full))
    if not found:
        raise InvalidArgument("model: none of its layers is ternary: convert it first", "model")
    return list(found.values())


def group_size_of(layers: List[Layer]) -> int:
    """The group size that the layers have, because a file has one."""
    sizes = sorted({module.group_size for one in layers for module in one.all})
    if len(sizes) > 1:
        raise InvalidArgument(
            f"model: its layers have the group sizes {', '.join(map(str, sizes))}, but a file "
            "has one",
            "model",
        )
    return int(sizes[0])


def turned(layers: List[Layer]) -> List[Layer]:
    """Those whose weight is [in, out]."""
    return [one for one in layers if one.module.turned]


def patterns(layers: List[Layer]) -> List[str]:
    """Shell patterns that match the layers' weights and nothing else."""
    return [
        "".join(f"[{one}]" if one in "*?[" else one for one in key)
        for layer in layers
        for key in layer.keys
    ]


# ---- files ---------------------------------------------------------------------------------


def export_locally(
    model: nn.Module, out: PathLike, layers: List[Layer], encoding: Encoding, force: bool
) -> None:
    """Writes what `Checkpoint.project` writes, without a daemon: DENSE and INT8."""
    if encoding not in (Encoding.DENSE, Encoding.INT8):
        raise FailedPrecondition(
            f"encoding: {encoding.name.lower()} is packed by a daemon: give a client", "client"
        )
    state = dict(model.state_dict())
    check_out(out, state, force, encoding)
    size = group_size_of(layers)
    options = Options(
        patterns(layers),
        encoding=encoding,
        group_size=size,
        transposed=patterns(turned(layers)) or None,
        again=True,
    )
    source = Arrays(state, "model")
    planned = Planned(source, options, CheckpointProgress(None, 0))
    planned.check()
    progress = CheckpointProgress(None, 0)
    modules = {key: one.module for one in layers for key in one.keys}
    with Output(out, planned.plan, ffi.NULL, 0, force) as output:
        file = ToFile(output)
        for name in source.tensors:
            layer = planned.layers.get(name)
            if layer is None:
                file.keep(source, name, progress)
                continue
            parts = {one["role"]: one for one in layer["outputs"]}
            put_matrix(file, layer, parts, *_encoded(modules[name], encoding))
        output.commit()


def _encoded(module: Any, encoding: Encoding) -> Tuple[Array, Optional[Array]]:
    """The bytes of a layer's ternary weights as [out, in], and of their scales."""
    latent = plain(module._latent()).detach().cpu()
    dense = module.ternary_weight().detach().cpu() if encoding == Encoding.DENSE else None
    if module.turned:
        latent, dense = latent.t().contiguous(), None if dense is None else dense.t()
    if dense is not None:
        return _bytes(dense), None
    if not torch.isfinite(latent).all():
        module.ternary_weight()  # raises or warns
    codes, scales = local.codes_and_scales(latent.float().numpy(), module.group_size)
    return codes.reshape(-1).view(np.uint8), scales.reshape(-1).view(np.uint8)


def _bytes(tensor: Tensor) -> Array:
    whole = tensor.contiguous().reshape(-1)
    raw: Array = whole.view(_BITS[whole.dtype]).numpy().view(np.uint8)
    return raw


def load(
    model: nn.Module, path: PathLike, client: Any, kinds: Tuple[type, ...], project: Any
) -> None:
    """See `trit.torch.load`; `project` is the projection in torch."""
    turned_keys = _turned_keys(model)
    with tempfile.TemporaryDirectory() as folder:
        values, found = _read(path_of(path, "path"), client, folder, turned_keys)
    ternary, has_record = found
    expected = model.state_dict()
    missing = sorted(set(expected) - set(values))
    extra = sorted(set(values) - set(expected))
    if missing or extra:
        parts = [("lacks", missing), ("has, but the model has not,", extra)]
        texts = "; ".join(f"{verb} {', '.join(names)}" for verb, names in parts if names)
        raise InvalidArgument(f"path: the file {texts}", "path")
    converted = {
        key: one
        for one in (layers_of(model, kinds) if _has(model, kinds) else [])
        for key in one.keys
    }
    sizes: List[Tuple[Any, int]] = []
    for key, layer in converted.items():
        if key not in ternary and has_record:
            raise InvalidArgument(
                f"{key}: the file keeps it as it was, but the model's layer is ternary: exclude "
                f"{layer.name or 'it'} from the conversion, or load into a model that is not "
                "converted",
                "path",
            )
        size = ternary.get(key) or layer.module.group_size
        target = values[key].to(expected[key].dtype)
        if layer.module.turned:
            target = target.t().contiguous()
        if _is_ternary(target, size):
            latents = latents_of(target, size, key, project)
            values[key] = latents.t() if layer.module.turned else latents
            sizes += [(module, size) for module in layer.all]
    for module, size in sizes:
        module.group_size = size
    try:
        model.load_state_dict(values)
    except RuntimeError as error:  # shapes
        raise InvalidArgument(f"path: {error}", "path") from None


def _has(model: nn.Module, kinds: Tuple[type, ...]) -> bool:
    return any(isinstance(one, kinds) for one in model.modules())


def _turned_keys(model: nn.Module) -> FrozenSet[str]:
    """The names of weights that are [in, out]: those of Conv1D, converted or not."""
    utils = sys.modules.get("transformers.pytorch_utils")
    if utils is None:
        return frozenset()
    return frozenset(
        f"{name}.weight" if name else "weight"
        for name, module in model.named_modules(remove_duplicate=False)
        if isinstance(module, utils.Conv1D)
    )


def _read(
    path: str, client: Any, folder: str, turned_keys: FrozenSet[str] = frozenset()
) -> Tuple[Dict[str, Tensor], Tuple[Mapping[str, int], bool]]:
    """The tensors of a file, dense, and what it says of them.

    That is the group size of its layers by name (0: one scale), and whether it has a record.
    """
    file = File(path, "path")
    try:
        contents = file.table.contents(Options())
        encoding = Encoding[contents["encoding"].upper()]
        size = 0 if encoding in ONE_SCALE else contents["group_size"]
        layers = {one["name"]: size for one in contents["tensors"] if one["kind"] == "layer"}
        found = layers, bool(contents["has_record"])
        if encoding == Encoding.DENSE:
            return {name: _tensor(file, name) for name in file.tensors}, found
        if encoding == Encoding.INT8:
            return _of_int8(file, layers, turned_keys), found
    finally:
        file.close()
    if client is None:
        raise FailedPrecondition(
            f"path: {encoding.name.lower()} is unpacked by a daemon: give a client", "client"
        )
    dense = os.path.join(folder, "dense.safetensors")
    client.checkpoint.unpack(path, dense, transposed=sorted(turned_keys & set(layers)) or None)
    return _read(dense, None, folder, turned_keys)[0], found


def _tensor(file: File, name: str) -> Tensor:
    one = file.tensors[name]
    if one.dtype not in _DTYPES:
        raise InvalidArgument(f"{name}: torch has no dtype {one.dtype}", "path")
    if one.nbytes == 0:
        return torch.empty(one.shape, dtype=_DTYPES[one.dtype])
    raw = torch.from_numpy(file.read(name, 0, one.nbytes))
    return raw.view(_DTYPES[one.dtype]).reshape(one.shape)


def _of_int8(
    file: File, layers: Mapping[str, int], turned_keys: FrozenSet[str]
) -> Dict[str, Tensor]:
    values = {}
    for name in file.tensors:
        stem = name[: -len(".scales")]
        if name.endswith(".scales") and stem in layers:
            continue
        values[name] = _tensor(file, name)
        if name in layers:
            codes, scales = values[name].float(), _tensor(file, f"{name}.scales")
            rows = codes.t() if name in turned_keys else codes
            each = scales.repeat_interleave(layers[name], -1)[..., : rows.shape[-1]]
            values[name] = rows * each
            if name in turned_keys:
                values[name] = values[name].t()
    return values


# ---- latents of ternary weights --------------------------------------------------------------


def _groups(w: Tensor, size: int) -> Tensor:
    rows = w.reshape(-1, w.shape[-1])
    padded = nn.functional.pad(rows.double(), (0, -rows.shape[1] % size))
    return padded.reshape(rows.shape[0], -1, size)


def _is_ternary(w: Tensor, size: int) -> bool:
    """Whether the nonzero magnitudes of each group are equal."""
    if w.dtype not in _BITS or w.ndim != 2:
        return False
    magnitudes = _groups(w, size).abs()
    largest = magnitudes.amax(-1, keepdim=True)
    return bool(((magnitudes == 0) | (magnitudes == largest)).all())


def latents_of(ternary: Tensor, size: int, name: str, project: Any) -> Tensor:
    """Latents whose projection is `ternary`, bit for bit.

    A projection makes scales smaller: the mean counts zeros too. So the n nonzero weights of
    a group become s * size / n. Some are rounded up and a zero takes what is left, so that
    the mean is s after its rounding.
    """
    w = _groups(ternary, size)
    real = _groups(torch.ones_like(ternary), size) > 0
    nonzero = w != 0
    scale = w.abs().amax(-1, keepdim=True)
    n = nonzero.sum(-1, keepdim=True).clamp(min=1)
    total = scale * size
    exact = total / n
    below = exact.to(ternary.dtype)
    bits = below.view(_BITS[below.dtype])
    bits = torch.where(below.double() > exact, bits - 1, bits)
    below, above = (one.view(ternary.dtype).double() for one in (bits, bits + 1))
    up = (total - n * below) / (above - below)
    zero = real & ~nonzero
    up = torch.where(zero.any(-1, keepdim=True), up.floor(), up.round())
    made = torch.where(nonzero.cumsum(-1) <= up, above, below) * nonzero
    left = total - made.sum(-1, keepdim=True)
    takers = zero & (zero.cumsum(-1) <= 2)
    left = left.clamp(min=0) / takers.sum(-1, keepdim=True).clamp(min=1)
    made = torch.where(takers & (scale > 0), left, made)
    made = torch.copysign(made, w).reshape(w.shape[0], -1)[:, : ternary.shape[-1]]
    latents = made.to(ternary.dtype).reshape(ternary.shape)
    if not torch.equal(project(latents, size), ternary):
        raise InvalidArgument(
            f"{name}: no {ternary.dtype} latents have these ternary weights as their "
            "projection: load into a model that is not converted, or into one of float32",
            "path",
        )
    return latents


# ---- ordinary layers -------------------------------------------------------------------------


def materialize(model: nn.Module, plain_kinds: Dict[type, type], unhook: Any) -> nn.Module:
    """See `trit.torch.materialize`."""
    kinds = tuple(plain_kinds)
    for name, module in model.named_modules():
        if isinstance(module, kinds) and type(module) not in plain_kinds:
            raise InvalidArgument(
                f"{name or 'model'}: {type(module).__name__} is a subclass of a ternary layer or "
                "parametrized, and has no ordinary equal",
                "model",
            )
    layers = layers_of(model, kinds)
    clients = {id(one.module.client): one.module.client for one in layers}
    made = copy.deepcopy(model, dict(clients))
    ternary: Dict[int, nn.Parameter] = {}
    with torch.no_grad():
        for layer in layers:
            latent = layer.module._parameters["weight"]
            weight = layer.module.ternary_weight().detach().clone()
            ternary[id(latent)] = nn.Parameter(weight, plain(latent).requires_grad)
    for old, new in zip(model.modules(), made.modules()):
        for key, one in old._parameters.items():
            if id(one) in ternary:
                new._parameters[key] = ternary[id(one)]
        if type(new) in plain_kinds:
            new.__class__ = plain_kinds[type(new)]
            for name in _OWN:
                new.__dict__.pop(name, None)
        unhook(new)
        new.__dict__.pop("trit_conversion", None)
    return made
