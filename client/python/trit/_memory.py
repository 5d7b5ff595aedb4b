# SPDX-License-Identifier: Apache-2.0
"""Memory of large results."""

from __future__ import annotations

import sys
from typing import Any, List

import numpy as np


class Reused:
    """Memory of the last large result; the next one gets it if no array uses it any more.

    The system gives memory page by page and fills it with zeros, which takes as long as a
    projection. A training step needs the same memory as the step before.
    """

    BYTES_MAX = 256 << 20  # more is not kept

    def __init__(self) -> None:
        self._kept: List[Any] = []

    def take(self, nbytes: int) -> Any:
        """Bytes whose content is unspecified."""
        try:
            memory = self._kept.pop()
        except IndexError:
            memory = None
        # Each array that is made of it refers to it; here are `memory` and an argument.
        if memory is None or memory.nbytes != nbytes or sys.getrefcount(memory) > 2:
            memory = np.empty(nbytes, np.uint8)
        if nbytes <= self.BYTES_MAX:
            self._kept[:] = [memory]
        return memory
