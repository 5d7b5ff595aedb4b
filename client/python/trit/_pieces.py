# SPDX-License-Identifier: Apache-2.0
"""Matrices that go through a call piece by piece, so that none is in memory as a whole."""

from __future__ import annotations

from typing import Any, Optional

from .types import DType

# A smaller matrix is in memory, and one message.
STREAMED_BYTES = 4 << 20


class Pieces:
    """A matrix that a call reads: what `c_tensor` needs to know.

    `reader` is trit_tensor.read and `handle` its argument.
    """

    def __init__(self, dtype: Optional[DType], nbytes: int, reader: Any, handle: Any) -> None:
        self.dtype, self.nbytes = dtype, nbytes
        self.reader, self.handle = reader, handle

    @property
    def element(self) -> DType:
        """The dtype, where it is known to be an element type."""
        assert self.dtype is not None
        return self.dtype

    @property
    def raised(self) -> Optional[BaseException]:
        """Why it could not be read."""
        raise NotImplementedError


def check_raised(*parts: Any) -> None:
    """Raises why a matrix could not be read during the call."""
    for part in parts:
        raised = getattr(part, "raised", None)
        if raised is not None:
            raise raised
