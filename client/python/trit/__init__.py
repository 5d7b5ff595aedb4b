# SPDX-License-Identifier: Apache-2.0
"""Client of tritd: ternary weights for NumPy, PyTorch and MLX.

`trit.Client` blocks, `trit.aio.Client` is the same for asyncio. `trit.torch` and `trit.mlx`
have layers that train with ternary weights, `trit.transformers` and `trit.lightning` callbacks
for trainers, `trit.local` has the projection without a daemon. These modules are imported when
they are first used, and so is what they need.

Example:
    >>> with trit.Client(address) as client:
    ...     projection = client.project(weights, encoding="pq2_0")
    ...     print(projection.report.verdict, client.verify(projection).is_ternary)
    pass True
"""

from __future__ import annotations

import importlib
from pkgutil import extend_path
from typing import Any

from ._buffer import Buffer
from ._retry import RetryPolicy
from ._secure import TLS
from ._version import VERSION as __version__
from .checkpoint import CheckpointInfo, PackResult, ProjectResult, VerifyResult
from .checkpoints import DiffResult, Job, JobInfo, JobPackResult, JobProgress, LayerDifference
from .client import Client
from .errors import (
    Aborted,
    AlreadyExists,
    Cancelled,
    DataLoss,
    DeadlineExceeded,
    Error,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    InvalidType,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Unknown,
)
from .layers import ForwardResult, Gradients, HeldLayer, LayerSpec
from .reports import (
    Comparison,
    FiledReport,
    Finding,
    HealthReason,
    Report,
    ReportKey,
    ReportWatch,
    Shard,
)
from .types import (
    Activations,
    DType,
    Durability,
    Encoding,
    LayerKind,
    LayerPart,
    LayerRef,
    PartialGroup,
    Projection,
    ReportDetail,
    VerifyMode,
)

# The stubs that protoc makes of proto/ are the package trit.v1, wherever it is on the path.
__path__ = extend_path(__path__, __name__)

__all__ = [
    "TLS",
    "Aborted",
    "Activations",
    "AlreadyExists",
    "Buffer",
    "Cancelled",
    "CheckpointInfo",
    "Client",
    "Comparison",
    "DType",
    "DataLoss",
    "DeadlineExceeded",
    "DiffResult",
    "Durability",
    "Encoding",
    "Error",
    "FailedPrecondition",
    "FiledReport",
    "Finding",
    "ForwardResult",
    "Gradients",
    "HealthReason",
    "HeldLayer",
    "Internal",
    "InvalidArgument",
    "InvalidType",
    "Job",
    "JobInfo",
    "JobPackResult",
    "JobProgress",
    "LayerDifference",
    "LayerKind",
    "LayerPart",
    "LayerRef",
    "LayerSpec",
    "NotFound",
    "OutOfRange",
    "PackResult",
    "PartialGroup",
    "PermissionDenied",
    "ProjectResult",
    "Projection",
    "Report",
    "ReportDetail",
    "ReportKey",
    "ReportWatch",
    "ResourceExhausted",
    "RetryPolicy",
    "Shard",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unknown",
    "VerifyMode",
    "VerifyResult",
    "__version__",
]

_ON_DEMAND = ("aio", "lightning", "local", "mlx", "torch", "transformers")


def __getattr__(name: str) -> Any:
    if name in _ON_DEMAND:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
