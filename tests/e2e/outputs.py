# SPDX-License-Identifier: Apache-2.0
"""The expected outputs and reports of a model (models.py), computed with NumPy."""
import functools
import hashlib
from typing import NamedTuple

import numpy as np

import claims
import packings
import reference as ref
from checkpoints import Raw
from models import raw

GROUP = 128


class Matrix(NamedTuple):
    """A matrix of a layer and its projection; `held` are the scales in the output's type."""

    name: str
    weights: np.ndarray
    codes: np.ndarray
    scales: np.ndarray
    held: np.ndarray
    group: int

    @property
    def values(self):
        """t*s of the output, in f32."""
        s = np.repeat(self.held, self.group, axis=1) if self.held.size > 1 else self.held
        return self.codes * s.astype(np.float32)


def is_layer(model, name, encoding):
    if encoding == "hf_bitnet":  # experts of rank 3 and the embedding stay
        return name in model.layers and model.weights[name].ndim == 2
    if encoding == "mlx_2bit":  # other names than NAME.weight are excluded
        return name in model.layers + model.tables and name.endswith(".weight")
    return name in model.layers + model.tables


def held(encoding, scales):
    if encoding == "dense":
        return ref.widen(ref.narrow(scales, ref.BF16), ref.BF16).reshape(scales.shape)
    if encoding in ("pq2_0", "mlx_2bit"):
        return scales.astype(np.float16).astype(np.float32)
    return scales


@functools.cache
def matrices(model, name, encoding):
    """The matrices of a layer."""
    return tuple(_matrices(model, name, encoding))


def _matrices(model, name, encoding):
    weights = model.weights[name]
    many = weights.ndim == 3
    if name in model.turned:
        weights = weights.swapaxes(-1, -2)
    for i, w in enumerate(weights if many else [weights]):
        w = np.ascontiguousarray(w)
        if encoding == "hf_bitnet":
            codes, scales = ref.project(w.reshape(1, -1), w.size)
            codes, group = codes.reshape(w.shape), w.size
        else:
            codes, scales = ref.project(w, GROUP)
            group = GROUP
        yield Matrix(f"{name}[{i}]" if many else name, w, codes, scales, held(encoding, scales),
                     group)


@functools.cache
def tensors_of(model, name, encoding):
    """The output's tensors for one tensor of the model: role to name and Raw."""
    if not is_layer(model, name, encoding):
        return {"data": (name, raw(model, name))}
    parts = matrices(model, name, encoding)
    if encoding == "dense":
        data = [ref.dense(one.weights, one.codes, one.scales, ref.BF16) for one in parts]
        return {"data": (name, Raw("BF16", model.weights[name].shape,
                                   as_stored(model, name, data, "<u2")))}
    return packed(model, name, encoding, parts, [one.scales for one in parts])


def as_stored(model, name, data, dtype):
    """Matrices [out, in], each as its bytes, as the model stores them."""
    shape = model.weights[name].shape
    if name not in model.turned:
        return b"".join(data)
    rows, columns = shape[-1], shape[-2]
    return b"".join(np.frombuffer(one, dtype).reshape(rows, columns).T.tobytes() for one in data)


def packed(model, name, encoding, parts, scales):
    """The tensors of a layer of these codes and scales: role to name and Raw."""
    stack, (rows, columns) = model.weights[name].shape[:-2], parts[0].codes.shape
    number = claims.NAMES.index(encoding)
    made = [packings.encode(number, one.codes, s) for one, s in zip(parts, scales)]
    data, scales = ([one[i] for one in made] for i in (0, 1))
    data, scales = (as_stored(model, name, data, "i1") if encoding == "int8" else b"".join(data),
                    b"".join(scales))
    groups = (*stack, rows, columns // GROUP)
    if encoding == "int8":
        return {"data": (name, Raw("I8", model.weights[name].shape, data)),
                "scales": (name + ".scales", Raw("F32", groups, scales))}
    if encoding == "pq2_0":
        return {"data": (name, Raw("U8", (*stack, rows, columns // 128 * 34), data))}
    if encoding == "hf_bitnet":
        return {"data": (name, Raw("U8", (rows // 4, columns), data)),
                "scales": (name + "_scale", Raw("F32", (1,), scales))}
    stem = name.removesuffix("weight")
    negative = (-np.frombuffer(scales, "<f2")).tobytes()
    return {"data": (name, Raw("U32", (*stack, rows, columns // 16), data)),
            "scales": (stem + "scales", Raw("F16", groups, scales)),
            "biases": (stem + "biases", Raw("F16", groups, negative))}


def digest(one):
    """SHA-256 over geometry, codes and scales (server/services/README.md)."""
    codes = (one.codes.reshape(-1, one.group // 4, 4) + 1).astype(np.uint8)
    packed = codes[..., 0] | codes[..., 1] << 2 | codes[..., 2] << 4 | codes[..., 3] << 6
    rows = 1 if one.held.size == 1 else one.codes.shape[0]
    text = b"trit-digest-1" + np.array([rows, one.codes.size // rows, one.group], "<u8").tobytes()
    for piece in (packed.astype(np.uint8), one.held.astype("<f4")):
        text += hashlib.sha256(piece.tobytes()).digest()
    return hashlib.sha256(text).hexdigest()


def counts(one, scales):
    """Fields of a report that do not depend on the method."""
    return {
        "elements": one.codes.size, "shape": list(one.codes.shape), "group_size": one.group,
        "groups": one.scales.size, "is_ternary": True, "fraction_valid": 1.0,
        "max_round_error": 0.0, "negatives": int((one.codes < 0).sum()),
        "zeros": int((one.codes == 0).sum()), "positives": int((one.codes > 0).sum()),
        "zero_fraction": float((one.codes == 0).mean()),
        "zero_groups": int((one.codes.reshape(-1, one.group) == 0).all(axis=1).sum()),
        "non_finite": 0, "scale_min": float(scales.min()), "scale_max": float(scales.max()), "digest": digest(one),
        "scales_lossy_fp16": int((scales.astype(np.float16).astype(np.float32) != scales).sum()),
        "previous_step": None, "flips": None, "transitions": None, "verdict": "pass"}


def errors(one, values):
    """Errors of the output's values against the latents."""
    w, v = one.weights.astype(np.float64), values.astype(np.float64)
    noise = ((w - v) ** 2).sum()
    s = np.repeat(one.scales.astype(np.float64).reshape(-1, 1), one.group, axis=1)
    size = np.abs(w).reshape(s.shape)
    near = (size >= .475 * s) & (size <= .525 * s) & (s > 0)
    return {"mse": float(noise / w.size), "sqnr_db": float(10 * np.log10((w * w).sum() / noise)),
            "cosine": float((w * v).sum() / np.sqrt((w * w).sum() * (v * v).sum())),
            "near_threshold_fraction": float(near.mean())}
