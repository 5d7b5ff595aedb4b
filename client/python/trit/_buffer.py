# SPDX-License-Identifier: Apache-2.0
"""Memory that needs no copy on its way to a daemon on the same machine."""

from __future__ import annotations

import math
import numbers
from typing import Any, Sequence, Tuple, Union

import numpy as np

from ._arguments import positive, shape_of, unsigned
from ._arrays import Array
from ._handle import Handle
from ._native import ffi, lib, new
from .errors import InvalidArgument, error_of

__all__ = ["Buffer"]

Shape = Union[int, Sequence[int]]


class Buffer:
    """Memory for tensors and results, shared with a daemon behind a Unix socket.

    `Client.buffer` makes it. A call whose tensor lies in it sends only where it lies; with `out`
    in it, `Client.project` and `Layers.forward` have the daemon write the result there. Over TCP
    it is ordinary memory, and the results are the same. Arrays and tensors of it keep it alive;
    after `Client.close` they are ordinary memory. After a fork both processes have the same
    memory, not a copy of it: what one writes the other reads.

    Attributes:
        nbytes: Its size.

    Example:
        >>> buffer = client.buffer(weights.nbytes)
        >>> buffer.array(weights.shape)[:] = weights
        >>> buffer.nbytes == weights.nbytes
        True
    """

    def __init__(self, handle: Handle, nbytes: int) -> None:
        self.nbytes = positive(nbytes, "nbytes")
        made, error = ffi.new("struct trit_buffer **"), new("struct trit_error *")
        status = lib.trit_buffer_create(handle.client(), self.nbytes, made, error)
        if status != lib.TRIT_OK:
            raise error_of(
                status, ffi.string(error.message).decode(), ffi.string(error.field).decode()
            )
        self._buffer = buffer = made[0]
        # Arrays keep the memory alive, which keeps `first` alive.
        first = ffi.gc(
            ffi.cast("char *", lib.trit_buffer_data(buffer)),
            lambda _: handle.free_buffer(buffer),
        )
        self._memory = ffi.buffer(first, self.nbytes)

    def __repr__(self) -> str:
        return f"Buffer({self.nbytes} bytes, {'shared' if self.shared else 'not shared'})"

    def __reduce__(self) -> Any:
        raise TypeError(
            "a trit.Buffer cannot be pickled or copied, as its memory is shared with the daemon; "
            "make another one with Client.buffer"
        )

    @property
    def shared(self) -> bool:
        """Whether the daemon knows the memory now.

        Returns:
            Over TCP: False.

        Example:
            >>> client.buffer(64).shared
            False
        """
        return bool(lib.trit_buffer_is_shared(self._buffer))

    def _part(self, shape: Shape, itemsize: int, offset: int) -> Tuple[Tuple[int, ...], int]:
        sizes = (shape,) if isinstance(shape, numbers.Integral) else shape
        sizes = shape_of(sizes, "shape")
        begin = unsigned(offset, 2**63, "offset")
        count = math.prod(sizes)
        if begin + count * itemsize > self.nbytes:
            raise InvalidArgument(
                f"shape: {count * itemsize} bytes from {begin} on, but the buffer has "
                f"{self.nbytes}",
                "shape",
            )
        return sizes, count

    def array(self, shape: Shape, dtype: Any = "float32", offset: int = 0) -> Array:
        """A NumPy array over a part of the memory.

        Args:
            shape: Of the array.
            dtype: A NumPy dtype, or what makes one.
            offset: Of its first byte in the buffer.

        Returns:
            The array, which keeps the memory alive.

        Raises:
            InvalidArgument: It does not fit.

        Example:
            >>> buffer = client.buffer(2 * 256 * 256 * 4)
            >>> latents = buffer.array((256, 256))
            >>> latents[:] = weights
            >>> ternary = buffer.array((256, 256), offset=latents.nbytes)
            >>> client.project(latents, out=ternary).data is ternary
            True
        """
        kind = np.dtype(dtype)
        if kind.hasobject or kind.itemsize == 0:
            raise InvalidArgument(f"dtype: {kind} is not a type of bytes in memory", "dtype")
        sizes, count = self._part(shape, kind.itemsize, offset)
        return np.frombuffer(self._memory, kind, count, offset).reshape(sizes)

    def tensor(self, shape: Shape, dtype: Any = None, offset: int = 0) -> Any:
        """A torch tensor over a part of the memory.

        Args:
            shape: Of the tensor.
            dtype: Of torch; None for torch.float32.
            offset: Of its first byte in the buffer.

        Returns:
            The tensor, which keeps the memory alive.

        Raises:
            InvalidArgument: It does not fit.

        Example:
            >>> import torch
            >>> client.buffer(64).tensor((2, 4), torch.bfloat16).shape
            torch.Size([2, 4])
        """
        import torch  # only where it is asked for

        kind = torch.float32 if dtype is None else dtype
        sizes, count = self._part(shape, torch.empty(0, dtype=kind).element_size(), offset)
        if count == 0:  # which frombuffer refuses
            return torch.empty(sizes, dtype=kind)
        flat = torch.frombuffer(self._memory, dtype=kind, count=count, offset=offset)
        return flat.reshape(sizes)
