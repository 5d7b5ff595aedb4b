# SPDX-License-Identifier: Apache-2.0
"""What a checkpoint is read from: a state dict, or a file or folder that libtrit reads."""

from __future__ import annotations

import os
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from ._arguments import PathLike, c_text, flag, path_of, wrong_type
from ._arrays import Array, View, view_of
from ._native import ffi, lib, new
from ._rules import Matrix, Table, check
from ._tensors import address_of
from .errors import InvalidArgument
from .types import DType

ELEMENTS = {"F32": DType.F32, "F16": DType.F16, "BF16": DType.BF16, "I8": DType.I8, "U8": DType.U8}
# The blocks of GGUF's ternary types are sent as bytes.
ELEMENTS.update((name, DType.U8) for name in ("PQ2_0", "Q2_0", "PTQ1_0", "TQ1_0", "TQ2_0"))
# safetensors' names of dtypes, by the names that NumPy, torch and mlx share.
_NAMES = {
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "float64": "F64",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "uint8": "U8",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "bool": "BOOL",
    "bool_": "BOOL",
    "complex64": "C64",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "float8_e8m0fnu": "F8_E8M0",
    "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
}


class Tensor(NamedTuple):
    """A tensor of a file or of a state dict.

    Attributes:
        name: Its name.
        dtype: Its element type, as safetensors or GGUF names it: "F32", "BF16", "PQ2_0".
        shape: Its shape.
        nbytes: Its size in bytes.
        offset: Where it begins in its file, in bytes; None for a state dict's.

    Example:
        >>> info = client.checkpoint.inspect({"fc.weight": weights})
        >>> info.tensors["fc.weight"].dtype, info.tensors["fc.weight"].nbytes
        ('F32', 262144)
    """

    name: str
    dtype: str
    shape: Tuple[int, ...]
    nbytes: int
    offset: Optional[int] = None


def _unchanged(array: Array, dtype: Optional[DType]) -> Array:
    return array


def loaded(matrix: Matrix) -> View:
    """A small matrix, in memory."""
    return bytes_view(matrix.read(0, matrix.nbytes), matrix.dtype)


def bytes_view(data: Array, dtype: Optional[DType]) -> View:
    """Bytes as a view of some elements."""
    address = data.__array_interface__["data"][0]
    return View(dtype, data.shape, address, data.nbytes, data, _unchanged)


def turned(data: Array, rows: int, columns: int) -> Array:
    """The bytes of the transpose of a matrix [rows, columns], of elements of any type."""
    width = data.nbytes // (rows * columns) if data.nbytes else 1
    matrix = data.reshape(rows, columns, width)
    result: Array = np.ascontiguousarray(matrix.swapaxes(0, 1)).reshape(-1)
    return result


def reordered(data: Array, heads: Dict[str, Any], rows: int) -> Array:
    """The bytes of a matrix of `rows` rows, with the rows of each head in the other order.

    llama.cpp stores row i and row i + size / 2 of a head of `size` rows next to each other.
    `heads` is libtrit's JSON: the rows of a head, and whether the result is in that order.
    """
    size = int(heads["rows"])
    pair = (2, size // 2) if heads["interleaves"] else (size // 2, 2)
    halves = data.reshape(rows // size, *pair, data.nbytes // rows)
    result: Array = np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(-1)
    return result


class _Source:
    """What both kinds of sources have in common.

    `tensors` are in the source's order; `table` is what libtrit knows of them.
    """

    tensors: Dict[str, Tensor]
    metadata: Dict[str, str]
    table: Table

    def read(self, name: str, at: int, count: int) -> Array:
        """Bytes of a tensor, from `at` on."""
        raise NotImplementedError

    def matrix(
        self,
        name: str,
        number: int,
        count: int,
        turn: Optional[Sequence[int]] = None,
        heads: Optional[Dict[str, Any]] = None,
    ) -> View:
        """Matrix `number` of a tensor that holds `count` of them.

        With `turn`, the shape [rows, columns] that it has, where it is stored transposed; with
        `heads` where its rows are wanted in another order (`reordered`).
        """
        part = self.tensors[name].nbytes // count
        data = self.read(name, number * part, part)
        if turn is not None:
            data = turned(data, turn[1], turn[0])
        if heads is not None:
            data = reordered(data, heads, self.tensors[name].shape[0])
        return bytes_view(data, ELEMENTS.get(self.tensors[name].dtype))

    @property
    def total_bytes(self) -> int:
        """The bytes of all tensors."""
        return sum(one.nbytes for one in self.tensors.values())

    def check_unchanged(self) -> None:
        """Raises Aborted if a file is no longer the one that was opened."""

    def close(self) -> None:
        """Closes the file."""


class Arrays(_Source):
    """A state dict: arrays of NumPy, torch or mlx by name. It owns no memory."""

    def __init__(self, arrays: Mapping[str, Any], field: str) -> None:
        self.metadata = {}
        self.arrays = arrays
        self.tensors = {}
        for name, array in arrays.items():
            if not isinstance(name, str):
                raise wrong_type(field, "a state dict with names (str) as keys", name)
            if not hasattr(array, "dtype"):
                raise InvalidArgument(f"{name}: {type(array).__name__} is not an array", field)
            view = view_of(array, name)
            # NumPy's str() of a dtype may have the order of its bytes: ">f4".
            dtype = getattr(array.dtype, "name", str(array.dtype)).rpartition(".")[2]
            if dtype not in _NAMES:
                raise InvalidArgument(
                    f"{name}: safetensors has no dtype {dtype}; convert it to one that it has",
                    field,
                )
            self.tensors[name] = Tensor(name, _NAMES[dtype], tuple(view.shape), view.nbytes)
        self.table = Table.of(
            ((one.name, one.dtype, one.shape) for one in self.tensors.values()), self.metadata
        )
        self._last: Tuple[str, Optional[View]] = "", None

    def view(self, name: str) -> View:
        """Borrows a tensor; a copy of a strided one is kept until the next is asked for."""
        if self._last[0] != name or self._last[1] is None:
            self._last = name, view_of(self.arrays[name], name)
        view = self._last[1]
        assert view is not None
        return view

    def read(self, name: str, at: int, count: int) -> Array:
        """Bytes of a tensor, borrowed."""
        if count == 0:
            return np.empty(0, np.uint8)
        view = self.view(name)
        memory = ffi.buffer(ffi.cast("char *", view.address) + at, count)
        return np.frombuffer(memory, np.uint8)

    def matrix(
        self,
        name: str,
        number: int,
        count: int,
        turn: Optional[Sequence[int]] = None,
        heads: Optional[Dict[str, Any]] = None,
    ) -> View:
        """As of every source; the owner of borrowed memory goes with it."""
        found = super().matrix(name, number, count, turn, heads)
        return found._replace(owner=(found.owner, self.view(name)))


class File(_Source):
    """A safetensors or .npy file, a folder of shards, or the index in one."""

    def __init__(
        self, path: PathLike, field: str, may_be_cut: bool = False, npy_bf16: bool = False
    ) -> None:
        self.path = path_of(path, field)
        if not os.path.lexists(self.path):
            raise FileNotFoundError(f"{self.path}: no such file")
        out = ffi.new("struct trit_file **")
        options = new("struct trit_file_options *")
        options.may_be_cut, options.npy_bf16 = may_be_cut, npy_bf16
        check(lib.trit_file_open, out, c_text(self.path, field), options)
        self.c = out[0]
        self.table = Table(lib.trit_file_checkpoint(self.c))
        found = self.table.read()
        self.metadata = found["metadata"]
        self.tensors = {
            one["name"]: Tensor(
                one["name"], one["dtype"], tuple(one["shape"]), one["bytes"], one["offset"]
            )
            for one in found["tensors"]
        }

    def read(self, name: str, at: int, count: int) -> Array:
        """Bytes of a tensor, in memory of their own."""
        data = np.empty(count, np.uint8)
        check(lib.trit_file_read, self.c, c_text(name, "tensor"), at, address_of(data), count)
        return data

    def check_unchanged(self) -> None:
        """Raises Aborted if a file is no longer the one that was opened."""
        check(lib.trit_file_unchanged, self.c)

    def close(self) -> None:
        """Closes the file; nothing of it may be used any more."""
        lib.trit_file_close(self.c)


Source = Union[File, Arrays]


def open_source(
    source: Union[PathLike, Mapping[str, Any]],
    field: str,
    may_be_cut: bool = False,
    npy_bf16: bool = False,
) -> Source:
    """A file by its path, or a state dict.

    `may_be_cut`: also a file that is shorter than its header says. `npy_bf16`: elements '|V2'
    of a .npy file are bf16.
    """
    check_source(source, field)
    if isinstance(source, Mapping):
        return Arrays(source, field)
    return File(source, field, may_be_cut, flag(npy_bf16, "npy_bf16"))


def check_source(source: Union[PathLike, Mapping[str, Any]], field: str) -> None:
    """Refuses an object that is neither a path nor a state dict."""
    if not isinstance(source, (str, os.PathLike, Mapping)):
        raise wrong_type(field, "a path (str or os.PathLike) or a state dict", source)
