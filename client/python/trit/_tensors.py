# SPDX-License-Identifier: Apache-2.0
"""Tensors as libtrit's structs, and its results as arrays."""

from __future__ import annotations

from typing import Any, Sequence, Tuple, Union

import numpy as np

from ._arrays import Array, View
from ._native import ffi, lib, new
from ._pieces import Pieces
from .errors import InvalidArgument
from .types import Encoding


def c_tensor(view: Union[View, Pieces], shape: Sequence[int], dtype: int, field: str) -> Any:
    """A `struct trit_tensor *` of borrowed memory, or of a matrix that is read in pieces."""
    limit = lib.TRIT_RANK_MAX
    if len(shape) > limit:
        raise InvalidArgument(
            f"{field}.shape: rank {len(shape)} is above {limit}", f"{field}.shape"
        )
    fields = {
        "dtype": dtype,
        "rank": len(shape),
        "shape": list(shape),
        "bytes": view.nbytes,
    }
    if isinstance(view, Pieces):
        fields.update(read=view.reader, read_arg=view.handle)
    else:
        fields.update(data=ffi.cast("void *", view.address))
    return new("struct trit_tensor *", fields)


def address_of(array: Array) -> Any:
    """An array's memory as a `void *`."""
    return ffi.cast("void *", array.__array_interface__["data"][0])


def take(pointer: Any, count: int) -> Array:
    """Memory that the library allocated, as bytes that free themselves."""
    return np.frombuffer(ffi.buffer(ffi.gc(pointer, lib.trit_free, count), count), np.uint8)


def shaped(raw: Array, encoding: Encoding, shape: Tuple[int, ...]) -> Array:
    """Encoded bytes in the shape that `Projection` documents."""
    if encoding == Encoding.INT8:
        return raw.view(np.int8).reshape(shape)
    if encoding == Encoding.MLX_2BIT:
        return raw.view("<u4").reshape(*shape[:-1], -1)
    if encoding == Encoding.I2_S:
        return raw
    if encoding == Encoding.HF_BITNET:
        return raw.reshape(-1, shape[-1])
    return raw.reshape(*shape[:-1], -1)


def shaped_scales(raw: Array, encoding: Encoding, shape: Tuple[int, ...]) -> Array:
    """The bytes of scales in the shape that `Projection` documents."""
    if encoding == Encoding.INT8:
        return raw.view("<f4").reshape(*shape[:-1], -1)
    if encoding == Encoding.MLX_2BIT:
        return raw.view("<f2").reshape(*shape[:-1], -1)
    return raw.view("<f4") if raw.nbytes == 4 else raw
