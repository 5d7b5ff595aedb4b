# SPDX-License-Identifier: Apache-2.0
"""safetensors files as memory: tensors are read and written in mapped files.

The package safetensors is used only to check the header of a file that is read. Its own
readers would copy every tensor and know only NumPy's dtypes, and its writer needs the whole
file in memory. Here the bytes of a tensor of any dtype are pages of the file, and pages that
are no longer needed are released.
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

from ._arguments import PathLike, path_of, wrong_type
from ._arrays import Array, View, view_of
from ._native import ffi
from .errors import Aborted, AlreadyExists, InvalidArgument
from .types import DType

METADATA = "__metadata__"
LENGTH_BYTES = 8
ELEMENTS = {"F32": DType.F32, "F16": DType.F16, "BF16": DType.BF16, "I8": DType.I8, "U8": DType.U8}
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
        dtype: Its element type, as safetensors names it: "F32", "BF16".
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


def bytes_of(view: View) -> Array:
    """A view's bytes, borrowed for as long as the view exists."""
    if view.nbytes == 0:
        return np.empty(0, np.uint8)
    return np.frombuffer(ffi.buffer(ffi.cast("void *", view.address), view.nbytes), np.uint8)


# ---- sources -----------------------------------------------------------------------------


class Arrays:
    """A state dict: arrays of NumPy, torch or mlx by name. It owns no memory."""

    def __init__(self, arrays: Mapping[str, Any], field: str) -> None:
        self.metadata: Dict[str, str] = {}
        self.arrays = arrays
        self.tensors: Dict[str, Tensor] = {}
        for name, array in arrays.items():
            if not isinstance(name, str):
                raise wrong_type(field, "a state dict with names (str) as keys", name)
            if not hasattr(array, "dtype"):
                raise InvalidArgument(f"{name}: {type(array).__name__} is not an array", field)
            dtype = str(array.dtype).rpartition(".")[2]
            if dtype not in _NAMES:
                raise InvalidArgument(f"{name}: safetensors has no dtype {dtype}", field)
            view = view_of(array, name)
            self.tensors[name] = Tensor(name, _NAMES[dtype], tuple(view.shape), view.nbytes)

    def view(self, name: str) -> View:
        """Borrows a tensor."""
        return view_of(self.arrays[name], name)

    def release(self, name: str) -> None:
        """Does nothing: the memory is the caller's."""

    def check_unchanged(self) -> None:
        """Does nothing: the memory is the caller's."""

    def close(self) -> None:
        """Does nothing: the memory is the caller's."""


class File:
    """A safetensors file, mapped for reading."""

    def __init__(self, path: PathLike, field: str) -> None:
        self.path = path_of(path, field)
        _check_header(self.path)
        with open(self.path, "rb") as file:
            self._opened = os.fstat(file.fileno())
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._memory: Array = np.frombuffer(self._map, np.uint8)
        begin = LENGTH_BYTES + int.from_bytes(self._map[:LENGTH_BYTES], "little")
        header = json.loads(self._map[LENGTH_BYTES:begin])
        self.metadata: Dict[str, str] = header.pop(METADATA, None) or {}
        offsets = {name: one["data_offsets"] for name, one in header.items()}
        in_order = sorted(header, key=lambda one: (offsets[one][0], offsets[one][1], one.encode()))
        self.tensors: Dict[str, Tensor] = {
            name: Tensor(
                name,
                header[name]["dtype"],
                tuple(header[name]["shape"]),
                offsets[name][1] - offsets[name][0],
                begin + offsets[name][0],
            )
            for name in in_order
        }

    def view(self, name: str) -> View:
        """Borrows a tensor's pages."""
        tensor = self.tensors[name]
        begin = tensor.offset or 0
        array = self._memory[begin : begin + tensor.nbytes]
        address = array.__array_interface__["data"][0]
        return View(
            ELEMENTS.get(tensor.dtype), tensor.shape, address, tensor.nbytes, array, _unchanged
        )

    def release(self, name: str) -> None:
        """A tensor's pages need not stay in this process's memory."""
        tensor = self.tensors[name]
        _release_pages(self._map, tensor.offset or 0, tensor.nbytes)

    def check_unchanged(self) -> None:
        """Raises Aborted if the file is no longer the one that was opened."""
        now = os.stat(self.path)
        then = self._opened
        if (now.st_ino, now.st_size, now.st_mtime_ns) != (
            then.st_ino,
            then.st_size,
            then.st_mtime_ns,
        ):
            raise Aborted(f"{self.path} changed while it was read")

    def close(self) -> None:
        """Unmaps the file."""
        del self._memory
        _unmap(self._map)


Source = Union[File, Arrays]


def open_source(source: Union[PathLike, Mapping[str, Any]], field: str) -> Source:
    """A file by its path, or a state dict."""
    check_source(source, field)
    return Arrays(source, field) if isinstance(source, Mapping) else File(source, field)


def check_source(source: Union[PathLike, Mapping[str, Any]], field: str) -> None:
    """Refuses an object that is neither a path nor a state dict."""
    if not isinstance(source, (str, os.PathLike, Mapping)):
        raise wrong_type(field, "a path (str or os.PathLike) or a state dict", source)


def _check_header(path: str) -> None:
    """Checks sizes, offsets and dtypes with the reference reader."""
    try:
        import safetensors
    except ImportError:
        raise ImportError("reading a checkpoint file needs the package safetensors") from None
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with safetensors.safe_open(path, framework="numpy"):
            pass
    except safetensors.SafetensorError as error:
        raise InvalidArgument(f"{path}: {error}", "path") from None


def _unmap(mapped: mmap.mmap) -> None:
    """Unmaps, or leaves that to the last array that a traceback may still hold."""
    try:
        mapped.close()
    except BufferError:
        pass


def _release_pages(mapped: mmap.mmap, begin: int, count: int) -> None:
    """Releases the whole pages of a range. A dirty one stays in the system's cache."""
    page = mmap.PAGESIZE
    first, last = -(-begin // page) * page, (begin + count) // page * page
    if last > first and hasattr(mapped, "madvise"):
        mapped.madvise(mmap.MADV_DONTNEED, first, last - first)


# ---- the target --------------------------------------------------------------------------


def _element_bytes(dtype: str) -> int:
    """Size of an element in whole bytes; 0 for 4 and 6 bits."""
    bits = re.search(r"\d+", dtype)
    return int(bits.group()) // 8 if bits else 1


class Target:
    """A file that gets its name when it is complete.

    In `with Target(...) as target:` fill each `buffer`, then `commit`. Without a commit
    nothing remains.

    An existing file of that name raises AlreadyExists. With `replace` it is replaced; a
    symbolic link is replaced itself, and what it points to stays.

    The layout is that of `trit project`: tensors with the widest elements come first, so that
    each is aligned to its elements.
    """

    def __init__(
        self,
        path: PathLike,
        tensors: List[Tensor],
        metadata: Dict[str, str],
        replace: bool = False,
    ) -> None:
        self._path, self._replace = pathlib.Path(path_of(path, "out")), replace
        mode = self._check()
        header, self._places = _header(tensors, metadata)
        size = len(header) + sum(tensor.nbytes for tensor in tensors)
        self._temporary = self._path.with_name(f".{self._path.name}.trit-{secrets.token_hex(4)}")
        self._file = open(self._temporary, "x+b")  # noqa: SIM115 (closed by __exit__)
        try:
            if mode is not None:
                os.fchmod(self._file.fileno(), mode)
            os.posix_fallocate(
                self._file.fileno(), 0, size
            )  # a full disk fails here, not as SIGBUS
            self._map = mmap.mmap(self._file.fileno(), size)
        except BaseException:
            self._remove()
            raise
        self._map[: len(header)] = header
        self._memory: Any = np.frombuffer(self._map, np.uint8)

    def _check(self) -> Optional[int]:
        """The permissions of the file to replace; None if there is no such file."""
        try:
            mode = os.lstat(self._path).st_mode
        except FileNotFoundError:
            return None
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(f"{self._path} is a folder")
        link = stat.S_ISLNK(mode) and (not self._path.exists() or self._path.is_file())
        if not stat.S_ISREG(mode) and not link:
            raise InvalidArgument(f"out: {self._path} is not a regular file", "out")
        if not self._replace:
            raise AlreadyExists(f"out: {self._path} exists already; force=True replaces it", "out")
        return stat.S_IMODE(mode) & 0o777 if stat.S_ISREG(mode) else None

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._file.closed:
            self._unmap()
            self._remove()

    def buffer(self, name: str) -> Array:
        """The memory of a tensor, for the caller to fill."""
        begin, count = self._places[name]
        memory: Array = self._memory[begin : begin + count]
        return memory

    def release(self, name: str) -> None:
        """A tensor is complete: its pages need not stay in this process's memory."""
        _release_pages(self._map, *self._places[name])

    def commit(self) -> None:
        """Flushes the file to the disk, then gives it its name."""
        self._unmap()
        os.fsync(self._file.fileno())
        if self._replace:
            os.replace(self._temporary, self._path)
        else:
            self._take_name()
        self._file.close()
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _take_name(self) -> None:
        """Names the file, unless another process has taken the name meanwhile."""
        try:
            os.link(self._temporary, self._path)
            os.unlink(self._temporary)
        except FileExistsError:
            self._check()
            raise
        except OSError:  # a file system without hard links
            self._check()
            os.replace(self._temporary, self._path)

    def _unmap(self) -> None:
        self._memory = None
        _unmap(self._map)

    def _remove(self) -> None:
        self._file.close()
        os.unlink(self._temporary)


def _header(
    tensors: List[Tensor], metadata: Dict[str, str]
) -> Tuple[bytes, Dict[str, Tuple[int, int]]]:
    """The header of a file, and begin and size of each tensor in it."""
    offsets, end = {}, 0
    for tensor in sorted(tensors, key=lambda one: -_element_bytes(one.dtype)):
        offsets[tensor.name] = end
        end += tensor.nbytes
    entries: Dict[str, Any] = {METADATA: metadata} if metadata else {}
    for tensor in tensors:
        begin = offsets[tensor.name]
        entries[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [begin, begin + tensor.nbytes],
        }
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % LENGTH_BYTES)
    start = LENGTH_BYTES + len(text)
    places = {one.name: (start + offsets[one.name], one.nbytes) for one in tensors}
    return len(text).to_bytes(LENGTH_BYTES, "little") + text, places
