# SPDX-License-Identifier: Apache-2.0
"""The same client for asyncio: each call runs on a thread of the client's own, so
the loop is never blocked; cancelling the task cancels the call."""
from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import threading
from typing import Any, Callable, Dict, List, Optional

from . import checkpoint as whole
from . import client as blocking
from . import layers as held
from . import reports as filed
from ._safetensors import PathLike
from .checkpoint import Contents, Projected, Source, Verified
from .layers import Gradients, HeldLayer, LayerSpec, Product
from .reports import Report
from .types import Projection

__all__ = ["Checkpoint", "Client", "Layers", "Reports"]

THREADS = 8


async def _on_thread(executor: concurrent.futures.Executor, call: Callable[..., Any],
                     *args: Any, **named: Any) -> Any:
    cancelled = threading.Event()
    submitted = executor.submit(functools.partial(call, *args, _cancelled=cancelled, **named))
    running = asyncio.wrap_future(submitted)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if submitted.cancel():  # it waited for a thread
            raise
        # The arrays are lent until the call is over: wait for that, at most a
        # tenth of a second, then leave.
        cancelled.set()
        await asyncio.wait([running])
        running.exception()
        raise


class Reports:
    """trit.Reports, awaited."""

    def __init__(self, reports: filed.Reports, executor: concurrent.futures.Executor):
        self._reports, self._executor = reports, executor

    async def get(self, run: str, layer: str, step: Optional[int] = None,
                  **options: Any) -> Report:
        """See trit.reports.Reports.get."""
        return await _on_thread(self._executor, self._reports.get, run, layer, step,
                                **options)

    async def list(self, run: str = "", layer: str = "", **options: Any) -> List[Report]:
        """See trit.reports.Reports.list."""
        return await _on_thread(self._executor, self._reports.list, run, layer, **options)

    async def latest(self, run: str = "", layer: str = "", **options: Any) -> List[Report]:
        """See trit.reports.Reports.latest."""
        return await _on_thread(self._executor, self._reports.latest, run, layer, **options)


class Checkpoint:
    """trit.checkpoint.Checkpoint, awaited; the whole of a checkpoint on one thread."""

    def __init__(self, checkpoint: whole.Checkpoint, executor: concurrent.futures.Executor):
        self._checkpoint, self._executor = checkpoint, executor

    async def project(self, source: Source, out: Optional[PathLike] = None,
                      **options: Any) -> Projected:
        """See trit.checkpoint.Checkpoint.project."""
        return await _on_thread(self._executor, self._checkpoint.project, source, out, **options)

    async def verify(self, source: Source, **options: Any) -> Verified:
        """See trit.checkpoint.Checkpoint.verify."""
        return await _on_thread(self._executor, self._checkpoint.verify, source, **options)

    async def inspect(self, source: Source, **options: Any) -> Contents:
        """See trit.checkpoint.Checkpoint.inspect."""
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, functools.partial(self._checkpoint.inspect, source, **options))


class Layers:
    """trit.layers.Layers, awaited."""

    def __init__(self, layers: held.Layers, executor: concurrent.futures.Executor):
        self._layers, self._executor = layers, executor

    async def create(self, name: str, in_features: int, out_features: int,
                     **options: Any) -> LayerSpec:
        """See trit.layers.Layers.create."""
        return await _on_thread(self._executor, self._layers.create, name, in_features,
                                out_features, **options)

    async def load(self, name: str, weight: Any, bias: Any = None,
                   **options: Any) -> LayerSpec:
        """See trit.layers.Layers.load."""
        return await _on_thread(self._executor, self._layers.load, name, weight, bias,
                                **options)

    async def forward(self, name: str, x: Any, **options: Any) -> Any:
        """See trit.layers.Layers.forward."""
        return await _on_thread(self._executor, self._layers.forward, name, x, **options)

    async def forward_with_error(self, name: str, x: Any, **options: Any) -> Product:
        """See trit.layers.Layers.forward_with_error."""
        return await _on_thread(self._executor, self._layers.forward_with_error, name, x,
                                **options)

    async def backward(self, name: str, x: Any, grad_output: Any,
                       **options: Any) -> Gradients:
        """See trit.layers.Layers.backward."""
        return await _on_thread(self._executor, self._layers.backward, name, x, grad_output,
                                **options)

    async def embed(self, name: str, ids: Any, **options: Any) -> Any:
        """See trit.layers.Layers.embed."""
        return await _on_thread(self._executor, self._layers.embed, name, ids, **options)

    async def as_linear(self, name: str, x: Any, **options: Any) -> Any:
        """See trit.layers.Layers.as_linear."""
        return await _on_thread(self._executor, self._layers.as_linear, name, x, **options)

    async def get(self, name: str, *args: Any, **options: Any) -> HeldLayer:
        """See trit.layers.Layers.get."""
        return await _on_thread(self._executor, self._layers.get, name, *args, **options)

    async def list(self, prefix: str = "", **options: Any) -> List[LayerSpec]:
        """See trit.layers.Layers.list."""
        return await _on_thread(self._executor, self._layers.list, prefix, **options)

    async def delete(self, name: str, **options: Any) -> None:
        """See trit.layers.Layers.delete."""
        return await _on_thread(self._executor, self._layers.delete, name, **options)

    async def verify(self, prefix: str = "", **options: Any) -> Dict[str, Report]:
        """See trit.layers.Layers.verify."""
        return await _on_thread(self._executor, self._layers.verify, prefix, **options)


class Client:
    """trit.Client, awaited: `async with trit.aio.Client(address) as client: ...`

    Up to `threads` calls run at once, the others wait their turn. A progress
    callback is called on the call's thread.
    """

    def __init__(self, address: Optional[str] = None, *, threads: int = THREADS,
                 **options: Any) -> None:
        self._client = blocking.Client(address, **options)
        self._executor = concurrent.futures.ThreadPoolExecutor(threads, "trit")
        self.reports = Reports(self._client.reports, self._executor)
        self.checkpoint = Checkpoint(self._client.checkpoint, self._executor)
        self.layers = Layers(self._client.layers, self._executor)

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()

    async def close(self) -> None:
        """Waits for running calls, then disconnects."""
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    def _close(self) -> None:
        self._executor.shutdown()
        self._client.close()

    async def ping(self, service: str = "", **options: Any) -> bool:
        """See trit.Client.ping."""
        return await _on_thread(self._executor, self._client.ping, service, **options)

    async def project(self, tensor: Any, **options: Any) -> Projection:
        """See trit.Client.project."""
        return await _on_thread(self._executor, self._client.project, tensor, **options)

    async def verify(self, tensor: Any, **options: Any) -> Report:
        """See trit.Client.verify."""
        return await _on_thread(self._executor, self._client.verify, tensor, **options)

    async def unpack(self, packed: Any, **options: Any) -> Any:
        """See trit.Client.unpack."""
        return await _on_thread(self._executor, self._client.unpack, packed, **options)

    async def backward(self, grad_ternary: Any, **options: Any) -> Any:
        """See trit.Client.backward."""
        return await _on_thread(self._executor, self._client.backward, grad_ternary,
                                **options)
