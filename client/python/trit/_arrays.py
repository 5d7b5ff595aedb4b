# SPDX-License-Identifier: Apache-2.0
"""Arrays of three families as what libtrit takes: an address, a dtype, a shape.

A contiguous array in host memory is lent as it is; one that is strided or on
another device is copied once. torch and mlx are never imported here: an array
of theirs proves that its library is loaded already. Results are made as NumPy
memory and handed over: torch shares it, mlx copies it into its own.
"""
from __future__ import annotations

import sys
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

import numpy as np

from .errors import InvalidArgument
from .types import DType

# How results lie in NumPy, which has no bfloat16 of its own.
STORAGE: Dict[DType, "np.dtype[Any]"] = {
    DType.F32: np.dtype("<f4"), DType.F16: np.dtype("<f2"), DType.BF16: np.dtype("<u2"),
    DType.I8: np.dtype("i1"), DType.U8: np.dtype("u1")}

_NUMPY = {"float32": DType.F32, "float16": DType.F16, "bfloat16": DType.BF16,
          "int8": DType.I8, "uint8": DType.U8}

Give = Callable[[np.ndarray, Optional[DType]], Any]


class View(NamedTuple):
    """An array as libtrit sees it. `owner` keeps the memory; `give` makes an
    array of the same family (and device) of a result; a dtype of BF16 says that
    its uint16 are bfloat16."""

    dtype: Optional[DType]  # None: not an element type (uint32 codes, say)
    shape: Tuple[int, ...]
    address: int
    nbytes: int
    owner: Any
    give: Give

    @property
    def element(self) -> DType:
        """The dtype where it is known to be one."""
        assert self.dtype is not None
        return self.dtype


# ---- NumPy ------------------------------------------------------------------------

def give_numpy(array: np.ndarray, dtype: Optional[DType]) -> np.ndarray:
    if dtype != DType.BF16:
        return array
    try:
        import ml_dtypes
    except ImportError:
        raise ImportError("bfloat16 as a NumPy array needs the package ml_dtypes") from None
    return array.view(ml_dtypes.bfloat16)


def _view_numpy(array: np.ndarray, give: Give = give_numpy) -> View:
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if not array.flags.c_contiguous:
        array = np.ascontiguousarray(array)
    return View(_NUMPY.get(array.dtype.name), array.shape,
                array.__array_interface__["data"][0], array.nbytes, array, give)


# ---- torch ------------------------------------------------------------------------

def _view_torch(tensor: Any, torch: Any) -> View:
    dtypes = {torch.float32: DType.F32, torch.float16: DType.F16,
              torch.bfloat16: DType.BF16, torch.int8: DType.I8, torch.uint8: DType.U8}
    device = tensor.device

    def give(array: np.ndarray, dtype: Optional[DType]) -> Any:
        # Unsigned ones are new in torch 2.3, and few of its functions take them.
        if array.dtype.kind == "u" and array.dtype.itemsize > 1:
            array = array.view(f"i{array.dtype.itemsize}")
        made = torch.from_numpy(array)
        if dtype == DType.BF16:
            made = made.view(torch.bfloat16)
        return made if device.type == "cpu" else made.to(device)

    lent = tensor.detach().cpu().contiguous()
    return View(dtypes.get(tensor.dtype), tuple(tensor.shape), lent.data_ptr(),
                lent.numel() * lent.element_size(), lent, give)


# ---- mlx --------------------------------------------------------------------------

def _view_mlx(array: Any, mx: Any) -> View:
    def give(made: np.ndarray, dtype: Optional[DType]) -> Any:
        out = mx.array(made)
        return out.view(mx.bfloat16) if dtype == DType.BF16 else out

    if array.dtype != mx.bfloat16:
        return _view_numpy(np.asarray(memoryview(array)), give)
    bits = np.asarray(memoryview(array.view(mx.uint16)))
    return _view_numpy(bits, give)._replace(dtype=DType.BF16)


# ---- all --------------------------------------------------------------------------

def view(array: Any, field: str) -> View:
    """Lends an array: NumPy, torch, mlx, or anything with DLPack or a buffer
    (results are NumPy then). A view is what it is."""
    if isinstance(array, View):
        return array
    if isinstance(array, np.ndarray):
        return _view_numpy(array)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(array, torch.Tensor):
        return _view_torch(array, torch)
    mx = sys.modules.get("mlx.core")
    if mx is not None and isinstance(array, mx.array):
        return _view_mlx(array, mx)
    if hasattr(array, "__dlpack__"):
        return _view_numpy(np.from_dlpack(array))
    if hasattr(array, "__array_interface__") or hasattr(array, "__array__"):
        return _view_numpy(np.asarray(array))
    try:
        return _view_numpy(np.asarray(memoryview(array)))
    except TypeError:
        raise InvalidArgument(f"{field}: {type(array).__name__} is no array", field) from None


def view_elements(array: Any, field: str) -> View:
    """A view of f32, f16 or bf16."""
    found = view(array, field)
    if found.dtype not in (DType.F32, DType.F16, DType.BF16):
        raise InvalidArgument(
            f"{field}.dtype: {array.dtype if hasattr(array, 'dtype') else 'bytes'} "
            "is none of f32, f16, bf16", f"{field}.dtype")
    return found


def view_integers(array: Any, field: str) -> Tuple[np.ndarray, Give]:
    """Integers of any kind as NumPy's, and what gives results of their family. A
    sequence of Python's numbers is taken too."""
    if isinstance(array, (int, list, tuple, range)):
        array = np.asarray(array, None if np.size(array) else np.uint32)
    seen = view(array, field)
    try:
        found = seen.owner if isinstance(seen.owner, np.ndarray) else seen.owner.numpy()
    except TypeError:  # torch.bfloat16
        raise InvalidArgument(f"{field}.dtype: {array.dtype} is no integer", field) from None
    if found.dtype.kind not in "iu":
        raise InvalidArgument(f"{field}.dtype: {found.dtype} is no integer", field)
    return found, seen.give
