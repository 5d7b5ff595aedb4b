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
        # A list and an argument refer to it, in every Python, and each array that is made of it.
        kept = [self._kept.pop()] if self._kept else [None]
        if kept[0] is None or kept[0].nbytes != nbytes or sys.getrefcount(kept[0]) > 2:
            kept[0] = np.empty(nbytes, np.uint8)
        memory = kept[0]
        if nbytes <= self.BYTES_MAX:
            self._kept[:] = [memory]
        return memory
