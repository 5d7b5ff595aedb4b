# SPDX-License-Identifier: Apache-2.0
"""Arrays of NumPy, torch and mlx as what libtrit takes: an address, a dtype, a shape.

A contiguous array in host memory is borrowed without a copy; a strided one, or one on
another device, is copied once. This module never imports torch or mlx: whoever passes an
array of theirs has imported them. Results are made in NumPy memory; torch shares it, mlx
copies it.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

import numpy as np
import numpy.typing as npt

from ._arguments import wrong_type
from .errors import InvalidArgument, InvalidType
from .types import DType

Array = npt.NDArray[Any]

# The NumPy dtype of results. NumPy has no bfloat16 of its own.
STORAGE: Dict[DType, np.dtype[Any]] = {
    DType.F32: np.dtype("<f4"),
    DType.F16: np.dtype("<f2"),
    DType.BF16: np.dtype("<u2"),
    DType.I8: np.dtype("i1"),
    DType.U8: np.dtype("u1"),
}

_NUMPY = {
    "float32": DType.F32,
    "float16": DType.F16,
    "bfloat16": DType.BF16,
    "int8": DType.I8,
    "uint8": DType.U8,
}

Wrap = Callable[[Array, Optional[DType]], Any]


class View(NamedTuple):
    """An array as libtrit sees it.

    `owner` keeps the memory. `wrap` makes an array of the same library (and device) from a
    result; its dtype BF16 says that the result's uint16 are bfloat16.
    """

    dtype: Optional[DType]  # None: not an element type, such as uint32 codes
    shape: Tuple[int, ...]
    address: int
    nbytes: int
    owner: Any
    wrap: Wrap

    @property
    def element(self) -> DType:
        """The dtype, where it is known to be an element type."""
        assert self.dtype is not None
        return self.dtype


# ---- NumPy -------------------------------------------------------------------------------


def wrap_numpy(array: Array, dtype: Optional[DType]) -> Array:
    """A result as NumPy's array."""
    if dtype != DType.BF16:
        return array
    try:
        import ml_dtypes
    except ImportError:
        raise ImportError("bfloat16 as a NumPy array needs the package ml_dtypes") from None
    return array.view(ml_dtypes.bfloat16)


def dtype_of(array: Array) -> Optional[DType]:
    """The element type of NumPy's array; None: it is none of the daemon's."""
    return _NUMPY.get(array.dtype.name)


def _view_numpy(array: Array, wrap: Wrap = wrap_numpy) -> View:
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if not array.flags.c_contiguous:
        array = np.ascontiguousarray(array)
    address = array.__array_interface__["data"][0]
    return View(dtype_of(array), array.shape, address, array.nbytes, array, wrap)


# ---- torch -------------------------------------------------------------------------------


def memory_is_freed(tensor: Any) -> bool:
    """Whether a tensor of torch has less memory than elements.

    FSDP frees the memory of gathered parameters and leaves their views.
    """
    storage = tensor.untyped_storage() if hasattr(tensor, "untyped_storage") else tensor.storage()
    needed = (tensor.storage_offset() + tensor.numel()) * tensor.element_size()
    return tensor.numel() > 0 and bool(storage.nbytes() < needed)


def _wraps_another(tensor: Any, torch: Any) -> bool:
    """Whether a tensor of torch has its numbers elsewhere, as the class of it computes them."""
    kind, plain = type(tensor), torch.Tensor
    return bool(
        getattr(kind, "__torch_dispatch__", None) != getattr(plain, "__torch_dispatch__", None)
    )


def _check_torch(tensor: Any, torch: Any, field: str) -> None:
    """Refuses a tensor that has no plain memory, or no data at all."""
    wrong = None
    if hasattr(tensor, "full_tensor"):
        wrong = "it is a DTensor; pass tensor.full_tensor(), which every rank must call"
    elif _wraps_another(tensor, torch):
        kind = type(tensor).__name__
        wrong = f"it is a {kind}, which has no memory of its own; pass a plain tensor instead"
    elif torch.nn.parameter.is_lazy(tensor):
        wrong = "it has no shape yet; run the lazy module once, or load its weights"
    elif getattr(tensor, "is_nested", False):
        wrong = "it is a nested tensor; pass its parts one by one"
    elif tensor.layout is not torch.strided:
        wrong = f"its layout is {tensor.layout}, which is not read; pass tensor.to_dense()"
    elif tensor.is_quantized:
        wrong = f"its dtype is {tensor.dtype}, which is not read; pass tensor.dequantize()"
    elif tensor.device.type == "meta":
        wrong = "it is on the device meta and has no data; load its weights first"
    elif tensor.is_contiguous() and memory_is_freed(tensor):
        wrong = "its memory was freed, as FSDP does between passes"
    if wrong:
        raise InvalidArgument(f"{field}: {wrong}", field)


def _view_torch(tensor: Any, torch: Any, field: str) -> View:
    dtypes = {
        torch.float32: DType.F32,
        torch.float16: DType.F16,
        torch.bfloat16: DType.BF16,
        torch.int8: DType.I8,
        torch.uint8: DType.U8,
    }
    device = tensor.device

    def wrap(array: Array, dtype: Optional[DType]) -> Any:
        # torch before 2.3 has no unsigned integers above 8 bits, and later ones can do
        # little with them.
        if array.dtype.kind == "u" and array.dtype.itemsize > 1:
            array = array.view(f"i{array.dtype.itemsize}")
        result = torch.from_numpy(array)
        if dtype == DType.BF16:
            result = result.view(torch.bfloat16)
        return result if device.type == "cpu" else result.to(device)

    _check_torch(tensor, torch, field)
    # torch keeps in flags that a view is that of the negated or conjugated numbers.
    host = tensor.detach().cpu().resolve_neg().resolve_conj().contiguous()
    if host.numel() > 0 and host.data_ptr() == 0:
        raise InvalidArgument(f"{field}: it has no memory; pass a plain tensor", field)
    return View(
        dtypes.get(tensor.dtype),
        tuple(tensor.shape),
        host.data_ptr(),
        host.numel() * host.element_size(),
        host,
        wrap,
    )


# ---- mlx ---------------------------------------------------------------------------------


def _view_mlx(array: Any, mx: Any) -> View:
    def wrap(result: Array, dtype: Optional[DType]) -> Any:
        copy = mx.array(result)
        return copy.view(mx.bfloat16) if dtype == DType.BF16 else copy

    if array.dtype != mx.bfloat16:
        return _view_numpy(np.asarray(memoryview(array)), wrap)
    bits: Array = np.asarray(memoryview(array.view(mx.uint16)))
    return _view_numpy(bits, wrap)._replace(dtype=DType.BF16)


def check_mask(array: Array, field: str) -> None:
    """Refuses a masked array: libtrit would take the elements that the mask hides."""
    if isinstance(array, np.ma.MaskedArray):
        raise InvalidType(
            f"{field}: is a masked array, whose mask would be lost; pass array.filled(0), or "
            "array.data to ignore the mask",
            field,
        )


# ---- all ---------------------------------------------------------------------------------


def view_of(array: Any, field: str) -> View:
    """Borrows an array of NumPy, torch, mlx, or any object with DLPack or a buffer.

    For an object of another library the results are NumPy's. A View is returned as it is.
    """
    if isinstance(array, View):
        return array
    if isinstance(array, np.ndarray):
        check_mask(array, field)
        return _view_numpy(array)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(array, torch.Tensor):
        return _view_torch(array, torch, field)
    mx = sys.modules.get("mlx.core")
    if mx is not None and isinstance(array, mx.array):
        return _view_mlx(array, mx)
    if hasattr(array, "__dlpack__"):
        return _view_numpy(np.from_dlpack(array))
    if hasattr(array, "__array_interface__") or hasattr(array, "__array__"):
        return _view_numpy(np.asarray(array))
    try:
        buffer = memoryview(array)
    except TypeError:
        raise wrong_type(field, "an array (NumPy, torch, mlx, DLPack, buffer)", array) from None
    return _view_numpy(np.asarray(buffer))


def copied(view: View) -> View:
    """A view of a copy, in memory of its own."""
    memory = np.empty(view.nbytes, np.uint8)
    address = memory.__array_interface__["data"][0]
    ctypes.memmove(address, view.address, view.nbytes)
    return view._replace(address=address, owner=memory)


def view_elements(array: Any, field: str) -> View:
    """Borrows an array of f32, f16 or bf16."""
    view = view_of(array, field)
    if view.dtype not in (DType.F32, DType.F16, DType.BF16):
        dtype = array.dtype if hasattr(array, "dtype") else "bytes"
        raise InvalidArgument(
            f"{field}.dtype: {dtype} is not one of f32, f16, bf16", f"{field}.dtype"
        )
    return view


def view_packed(array: Any, field: str) -> View:
    """Borrows packed codes: integers, or bytes of any kind that is not a number."""
    view = view_of(array, field)
    kind = view.owner.dtype
    if isinstance(view.owner, np.ndarray):
        packed = kind.kind in "iub" or (kind.kind == "V" and not kind.hasobject)
    else:
        packed = not (kind.is_floating_point or kind.is_complex)
    if not packed or view.dtype in (DType.F32, DType.F16, DType.BF16):
        raise InvalidArgument(
            f"{field}.dtype: {kind} is not a type of packed codes; pass integers or bytes",
            f"{field}.dtype",
        )
    return view


def view_integers(array: Any, field: str) -> Tuple[Array, Wrap]:
    """Integers as a NumPy array, and the function that wraps results.

    Python's own numbers and sequences are taken too.
    """
    if isinstance(array, (int, list, tuple, range)):
        try:
            array = np.asarray(array, None if np.size(array) else np.uint32)
        except ValueError:
            raise InvalidArgument(f"{field}: its rows differ in length", field) from None
    view = view_of(array, field)
    try:
        numbers = view.owner if isinstance(view.owner, np.ndarray) else view.owner.numpy()
    except TypeError:  # torch.bfloat16
        raise _not_integers(array.dtype, field) from None
    if numbers.dtype.kind not in "iu":
        raise _not_integers(numbers.dtype, field)
    return numbers, view.wrap


def _not_integers(dtype: Any, field: str) -> InvalidArgument:
    return InvalidArgument(f"{field}.dtype: {dtype} is not an integer type", field)
