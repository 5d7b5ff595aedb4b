# SPDX-License-Identifier: Apache-2.0
"""safetensors files as memory: what a file holds is lent without a copy, and what a
file shall hold is written where it will lie.

The package safetensors checks a file's header and is needed for reading alone. It has
no part in the bytes: it would copy every tensor, has NumPy's dtypes only, and writes
nothing before it holds everything. Here whatever dtype a tensor has, its bytes are
pages of the file, and pages done with are let go.
"""
from __future__ import annotations

import json
import mmap
import os
import pathlib
import re
import secrets
import stat
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

import numpy as np

from ._arrays import View, view
from ._native import ffi
from .errors import Aborted, AlreadyExists, InvalidArgument
from .types import DType

PathLike = Union[str, "os.PathLike[str]"]

METADATA = "__metadata__"
LENGTH_BYTES = 8
ELEMENTS = {"F32": DType.F32, "F16": DType.F16, "BF16": DType.BF16, "I8": DType.I8,
            "U8": DType.U8}
# Arrays that have no DType of ours, by the names NumPy, torch and mlx share.
_NAMES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "float64": "F64",
          "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64", "uint8": "U8",
          "uint16": "U16", "uint32": "U32", "uint64": "U64", "bool": "BOOL",
          "bool_": "BOOL", "complex64": "C64", "float8_e4m3fn": "F8_E4M3",
          "float8_e5m2": "F8_E5M2", "float8_e8m0fnu": "F8_E8M0",
          "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2fnuz": "F8_E5M2FNUZ"}


class Tensor(NamedTuple):
    """A tensor of a file, of one to be written, or of a state dict. `dtype` is what
    safetensors calls it; `offset` counts from the start of the file that has it."""

    name: str
    dtype: str
    shape: Tuple[int, ...]
    nbytes: int
    offset: Optional[int] = None


def as_is(array: np.ndarray, dtype: Optional[DType]) -> np.ndarray:
    return array


def raw(seen: View) -> np.ndarray:
    """A view's bytes, lent for as long as the view is there."""
    if seen.nbytes == 0:
        return np.empty(0, np.uint8)
    return np.frombuffer(ffi.buffer(ffi.cast("void *", seen.address), seen.nbytes), np.uint8)


# ---- sources ------------------------------------------------------------------------

class Arrays:
    """A state dict: arrays of any family by name."""

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self.metadata: Dict[str, str] = {}
        self.arrays = arrays
        self.tensors: Dict[str, Tensor] = {}
        for name, array in arrays.items():
            if not isinstance(name, str):
                raise InvalidArgument(f"source: {name!r} is no name of a tensor", "source")
            if not hasattr(array, "dtype"):
                raise InvalidArgument(f"{name}: {type(array).__name__} is no array", "source")
            kind = str(array.dtype).rpartition(".")[2]
            if kind not in _NAMES:
                raise InvalidArgument(f"{name}: {kind} is no dtype of safetensors", "source")
            seen = view(array, name)
            self.tensors[name] = Tensor(name, _NAMES[kind], tuple(seen.shape), seen.nbytes)

    def lend(self, name: str) -> View:
        return view(self.arrays[name], name)

    def release(self, name: str) -> None:
        """Nothing: the memory is the caller's."""

    def check_unchanged(self) -> None:
        """Nothing: likewise."""

    def close(self) -> None:
        """Nothing: likewise."""


class File:
    """A safetensors file, mapped for reading."""

    def __init__(self, path: PathLike) -> None:
        self.path = os.fspath(path)
        _check_header(self.path)
        with open(self.path, "rb") as file:
            self._opened = os.fstat(file.fileno())
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._memory = np.frombuffer(self._map, np.uint8)
        begin = LENGTH_BYTES + int.from_bytes(self._map[:LENGTH_BYTES], "little")
        header = json.loads(self._map[LENGTH_BYTES:begin])
        self.metadata: Dict[str, str] = header.pop(METADATA, None) or {}
        found = [Tensor(name, one["dtype"], tuple(one["shape"]),
                        one["data_offsets"][1] - one["data_offsets"][0],
                        begin + one["data_offsets"][0]) for name, one in header.items()]
        found.sort(key=lambda one: (one.offset, one.nbytes, one.name.encode()))
        self.tensors = {one.name: one for one in found}

    def lend(self, name: str) -> View:
        tensor = self.tensors[name]
        begin = tensor.offset or 0
        array = self._memory[begin:begin + tensor.nbytes]
        return View(ELEMENTS.get(tensor.dtype), tensor.shape,
                    array.__array_interface__["data"][0], tensor.nbytes, array, as_is)

    def release(self, name: str) -> None:
        """The tensor's pages need not stay in this process's memory."""
        tensor = self.tensors[name]
        _let_go(self._map, tensor.offset or 0, tensor.nbytes)

    def check_unchanged(self) -> None:
        now = os.stat(self.path)
        then = self._opened
        if (now.st_ino, now.st_size, now.st_mtime_ns) != \
                (then.st_ino, then.st_size, then.st_mtime_ns):
            raise Aborted(f"{self.path} changed while it was read")

    def close(self) -> None:
        del self._memory
        _unmap(self._map)


def open_source(source: Union[PathLike, Mapping[str, Any]]) -> Union[File, Arrays]:
    return Arrays(source) if isinstance(source, Mapping) else File(source)


def _check_header(path: str) -> None:
    """By the reference reader: sizes, offsets, dtypes, no hole, no overlap."""
    try:
        import safetensors
    except ImportError:
        raise ImportError("reading a checkpoint file needs the package safetensors") from None
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with safetensors.safe_open(path, framework="numpy"):
            pass
    except safetensors.SafetensorError as why:
        raise InvalidArgument(f"{path}: {why}", "path") from None


def _unmap(mapped: mmap.mmap) -> None:
    """Now, or with the last array of it, which a traceback may still hold."""
    try:
        mapped.close()
    except BufferError:
        pass


def _let_go(mapped: mmap.mmap, begin: int, count: int) -> None:
    """Whole pages inside a range; a dirty one stays in the system's cache."""
    page = mmap.PAGESIZE
    first, last = -(-begin // page) * page, (begin + count) // page * page
    if last > first and hasattr(mapped, "madvise"):
        mapped.madvise(mmap.MADV_DONTNEED, first, last - first)


# ---- the target -----------------------------------------------------------------------

def _width(dtype: str) -> int:
    """Whole bytes of an element; 0 for those of 4 and 6 bits."""
    bits = re.search(r"\d+", dtype)
    return int(bits.group()) // 8 if bits else 1


class Target:
    """A file that takes its name when it is complete: `with Target(...) as target:`
    fill each `room`, then `commit`. Without a commit nothing is left behind.

    A name that is taken is AlreadyExists; with `replace` the file that has it is
    replaced, and a symbolic link itself, never what it leads to.

    Its layout is that of `trit project`: the widest elements first, so that every
    tensor is aligned to its own.
    """

    def __init__(self, path: PathLike, forms: List[Tensor], metadata: Dict[str, str],
                 replace: bool = False) -> None:
        self._path, self._replace = pathlib.Path(os.fspath(path)), replace
        mode = self._check()
        header, self._places = _header(forms, metadata)
        size = len(header) + sum(form.nbytes for form in forms)
        self._unnamed = self._path.with_name(
            f".{self._path.name}.trit-{secrets.token_hex(4)}")
        self._file = open(self._unnamed, "x+b")
        try:
            if mode is not None:
                os.fchmod(self._file.fileno(), mode)
            os.posix_fallocate(self._file.fileno(), 0, size)  # a full disk is an error, no SIGBUS
            self._map = mmap.mmap(self._file.fileno(), size)
        except BaseException:
            self._remove()
            raise
        self._map[:len(header)] = header
        self._memory: Any = np.frombuffer(self._map, np.uint8)

    def _check(self) -> Optional[int]:
        """The permissions of the file that is replaced; None: there is none."""
        try:
            found = os.lstat(self._path)
        except FileNotFoundError:
            return None
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(f"{self._path} is a folder")
        if not stat.S_ISREG(found.st_mode) and not (
                stat.S_ISLNK(found.st_mode) and
                (not self._path.exists() or self._path.is_file())):
            raise InvalidArgument(f"out: {self._path} is no regular file", "out")
        if not self._replace:
            raise AlreadyExists(f"out: {self._path} exists already; force=True replaces it", "out")
        return stat.S_IMODE(found.st_mode) & 0o777 if stat.S_ISREG(found.st_mode) else None

    def __enter__(self) -> "Target":
        return self

    def __exit__(self, *_: Any) -> None:
        if not self._file.closed:
            self._unmap()
            self._remove()

    def room(self, name: str) -> np.ndarray:
        """The bytes of a tensor, to be filled."""
        begin, count = self._places[name]
        return self._memory[begin:begin + count]

    def release(self, name: str) -> None:
        """Its bytes are complete: they need not stay in this process's memory."""
        _let_go(self._map, *self._places[name])

    def commit(self) -> None:
        """Flushed to the disk, then named."""
        self._unmap()
        os.fsync(self._file.fileno())
        if self._replace:
            os.replace(self._unnamed, self._path)
        else:
            self._take_name()
        self._file.close()
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _take_name(self) -> None:
        """A name that was taken meanwhile stays with whoever took it."""
        try:
            os.link(self._unnamed, self._path)
            os.unlink(self._unnamed)
        except FileExistsError:
            self._check()
            raise
        except OSError:  # a file system without hard links
            self._check()
            os.replace(self._unnamed, self._path)

    def _unmap(self) -> None:
        self._memory = None
        _unmap(self._map)

    def _remove(self) -> None:
        self._file.close()
        os.unlink(self._unnamed)


def _header(forms: List[Tensor], metadata: Dict[str, str]
            ) -> Tuple[bytes, Dict[str, Tuple[int, int]]]:
    """The file's first bytes, and where each tensor lies behind them."""
    offsets, end = {}, 0
    for form in sorted(forms, key=lambda form: -_width(form.dtype)):
        offsets[form.name] = end
        end += form.nbytes
    entries: Dict[str, Any] = {METADATA: metadata} if metadata else {}
    for form in forms:
        begin = offsets[form.name]
        entries[form.name] = {"dtype": form.dtype, "shape": list(form.shape),
                              "data_offsets": [begin, begin + form.nbytes]}
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % LENGTH_BYTES)
    start = LENGTH_BYTES + len(text)
    return (len(text).to_bytes(LENGTH_BYTES, "little") + text,
            {form.name: (start + offsets[form.name], form.nbytes) for form in forms})
