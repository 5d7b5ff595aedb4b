# SPDX-License-Identifier: Apache-2.0
"""Lists that libtrit gives one entry at a time."""

from __future__ import annotations

from typing import Any, Callable, Generic, List, Optional, Tuple, TypeVar

from ._call import called_back, interrupted, interrupted_void
from ._native import ffi

_Entry = TypeVar("_Entry")


class Visit(Generic[_Entry]):
    """Collects the entries of a list as `read` gives them; keeps an exception of `read`."""

    def __init__(self, read: Callable[[Any], _Entry]) -> None:
        self._entries: List[_Entry] = []
        self.damaged: List[Tuple[str, str, int, int, int]] = []
        self._raised: Optional[BaseException] = None
        self._read = read
        self.handle = ffi.new_handle(self)

    def __call__(self, entry: Any) -> int:
        try:
            self._entries.append(self._read(entry))
        except BaseException as raised:
            self._raised = raised
        return int(self._raised is not None)

    def all(self) -> List[_Entry]:
        """The entries, once the call is over."""
        if self._raised is not None:
            raise self._raised
        return self._entries


@ffi.callback(  # type: ignore[untyped-decorator]
    "int(void *, const struct trit_report *)", error=1, onerror=interrupted
)
@called_back
def on_report(arg: Any, report: Any) -> Any:
    """Visits a report for libtrit."""
    return ffi.from_handle(arg)(report)


@ffi.callback(  # type: ignore[untyped-decorator]
    "void(void *, const char *, const char *, uint64_t, uint32_t, uint32_t)",
    onerror=interrupted_void,
)
@called_back
def on_damaged(arg: Any, run: Any, layer: Any, step: int, attempt: int, replica: int) -> None:
    """Takes the key of a report that is damaged in the daemon's store."""
    names = (ffi.string(run).decode(), ffi.string(layer).decode())
    ffi.from_handle(arg).damaged.append((*names, step, attempt, replica))


@ffi.callback(  # type: ignore[untyped-decorator]
    "int(void *, const struct trit_layer_spec *)", error=1, onerror=interrupted
)
@called_back
def on_layer_spec(arg: Any, spec: Any) -> Any:
    """Visits a layer for libtrit."""
    return ffi.from_handle(arg)(spec)
