# SPDX-License-Identifier: Apache-2.0
"""Client of tritd: ternary weights for NumPy, PyTorch and MLX.

    import trit
    with trit.Client("127.0.0.1:6561") as client:
        projection = client.project(weights, encoding="pq2_0")
        print(projection.report.zero_fraction, client.verify(projection).is_ternary)

trit.aio has the same for asyncio, trit.torch and trit.mlx have layers that train
through it, trit.local the projection without a daemon. Those are imported when
they are asked for, and so are torch and mlx.
"""
from __future__ import annotations

import importlib
from pkgutil import extend_path
from typing import Any

from ._version import VERSION as __version__
from .client import Client
from .errors import *  # noqa: F401,F403
from .errors import __all__ as _errors
from .layers import Gradients, HeldLayer, LayerSpec, Product
from .reports import Finding, Report
from .types import (Activations, DType, Encoding, LayerKind, LayerPart, LayerRef,
                    PartialGroup, Projection, ReportDetail, VerifyMode)

# Stubs made of proto/ are in the package trit.v1, wherever they lie on the path.
__path__ = extend_path(__path__, __name__)

__all__ = ["Activations", "Client", "DType", "Encoding", "Finding", "Gradients", "HeldLayer", "LayerKind",
           "LayerPart", "LayerRef", "LayerSpec", "PartialGroup", "Product", "Projection",
           "Report", "ReportDetail", "VerifyMode", "__version__",
           *(name for name in _errors if name != "error_of")]

_ON_DEMAND = ("aio", "local", "mlx", "torch")


def __getattr__(name: str) -> Any:
    if name in _ON_DEMAND:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
