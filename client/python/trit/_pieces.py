# SPDX-License-Identifier: Apache-2.0
"""Matrices that go through a call piece by piece, so that none is in memory as a whole."""

from __future__ import annotations

from typing import Any, Callable, Optional

from ._call import called_back, interrupted
from ._native import ffi
from .types import DType

# A smaller matrix is in memory, and one message.
STREAMED_BYTES = 4 << 20


class Pieces:
    """A matrix that a call reads: what `c_tensor` needs to know, and the function that reads.

    `read(at, to, count)` copies bytes of the matrix to C memory. `raised` is what it raised.
    """

    def __init__(
        self, dtype: Optional[DType], nbytes: int, read: Callable[[int, Any, int], None]
    ) -> None:
        self.dtype, self.nbytes, self._read = dtype, nbytes, read
        self.reader, self.handle = on_read, ffi.new_handle(self)
        self.raised: Optional[BaseException] = None

    @property
    def element(self) -> DType:
        """The dtype, where it is known to be an element type."""
        assert self.dtype is not None
        return self.dtype

    def __call__(self, at: int, to: Any, count: int) -> int:
        try:
            self._read(at, to, count)
        except BaseException as raised:
            self.raised = raised
            return 1
        return 0


def check_raised(*parts: Any) -> None:
    """Raises what a function of the caller raised during the call."""
    for part in parts:
        raised = getattr(part, "raised", None)
        if raised is not None:
            raise raised


@ffi.callback(  # type: ignore[untyped-decorator]
    "int(void *, uint64_t, void *, uint64_t)", error=1, onerror=interrupted
)
@called_back
def on_read(arg: Any, at: int, to: Any, count: int) -> Any:
    """Is trit_tensor.read."""
    return ffi.from_handle(arg)(at, to, count)
