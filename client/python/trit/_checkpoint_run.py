# SPDX-License-Identifier: Apache-2.0
"""The plan of a file, done by libtrit as the command `trit` does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Optional

from ._call import Call, Progress, called_back, interrupted
from ._checkpoint_calls import Run, with_name
from ._native import ffi, lib, new
from ._rules import Output, Plan
from ._sources import File
from .reports import Report, report_of

if TYPE_CHECKING:
    from .client import Client


class _Reports:
    """The reports by matrix; keeps an exception."""

    def __init__(self) -> None:
        self.found: Dict[str, Report] = {}
        self.raised: Optional[BaseException] = None
        self.handle = ffi.new_handle(self)

    def __call__(self, matrix: Any, report: Any) -> int:
        try:
            name = ffi.string(matrix).decode()
            self.found[name] = with_name(report_of(report), name)
        except BaseException as raised:
            self.raised = raised
        return int(self.raised is not None)


@ffi.callback(  # type: ignore[untyped-decorator]
    "int(void *, const char *, const struct trit_report *)", error=1, onerror=interrupted
)
@called_back
def _on_matrix(arg: Any, matrix: Any, report: Any) -> Any:
    return ffi.from_handle(arg)(matrix, report)


def run_plan(
    client: Client,
    plan: Plan,
    source: File,
    output: Output,
    run: Run,
    progress: Optional[Progress],
    timeout: Optional[float],
    allow_lost: bool = False,
    allow_rounded: bool = False,
) -> Dict[str, Report]:
    """Puts every tensor into the output; returns the reports by matrix."""
    call, reports = Call(timeout, progress), _Reports()
    options = new(
        "struct trit_run_options *",
        {
            "allow_lost_scales": allow_lost,
            "allow_rounded_scales": allow_rounded,
            "visit": _on_matrix,
            "visit_arg": reports.handle,
        },
    )
    names = run.fill(options.layer, "")
    call.fill(options.call)
    status = lib.trit_plan_run(
        plan.c, client._handle.client(), source.c, output.c, options, call.error
    )
    del names
    if reports.raised is not None:
        raise reports.raised
    call.check(status)
    return reports.found
