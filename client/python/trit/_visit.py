# SPDX-License-Identifier: Apache-2.0
"""Lists that libtrit shows one entry at a time."""
from __future__ import annotations

from typing import Any, Callable, List, Optional

from ._native import ffi


class Visit:
    """What a list has shown so far, each entry as `read` makes it, and what went wrong."""

    def __init__(self, read: Callable[[Any], Any]) -> None:
        self._found: List[Any] = []
        self._raised: Optional[BaseException] = None
        self._read = read
        self.handle = ffi.new_handle(self)

    def __call__(self, entry: Any) -> int:
        try:
            self._found.append(self._read(entry))
        except BaseException as raised:
            self._raised = raised
        return int(self._raised is not None)

    def all(self) -> List[Any]:
        """Once the call is over."""
        if self._raised is not None:
            raise self._raised
        return self._found


@ffi.callback("int(void *, const struct trit_report *)", error=1)
def on_report(arg, report):
    return ffi.from_handle(arg)(report)


@ffi.callback("int(void *, const struct trit_layer_spec *)", error=1)
def on_layer_spec(arg, spec):
    return ffi.from_handle(arg)(spec)
