# SPDX-License-Identifier: Apache-2.0
"""What type checkers see of the package. `make lint-python` checks this file; it is never run.
An ignored error must occur: mypy reports an unneeded ignore."""

from __future__ import annotations

from typing import Any, Dict, List, Literal, Optional

import numpy as np
from typing_extensions import assert_type

import trit
import trit.aio


def blocking(client: trit.Client, weights: np.ndarray[Any, np.dtype[np.float32]]) -> None:
    """Results of the blocking client have their types."""
    projection = client.project(weights, encoding="pq2_0", layer=("run", "fc", 20))
    assert_type(projection, trit.Projection)
    assert_type(projection.encoding, trit.Encoding)
    assert_type(client.pack(projection, encoding="int8"), trit.Projection)
    report = client.verify(projection, mode="latent")
    assert_type(report.verdict, Literal["pass", "fail", "inconclusive"])
    assert_type(report.mse, Optional[float])
    assert_type(client.reports.list("run"), List[trit.Report])
    assert_type(client.layers.create("fc", 64, 10, kind="embedding"), trit.LayerSpec)
    result = client.checkpoint.verify("model.safetensors", against={"w": weights})
    assert_type(result, trit.VerifyResult)
    assert_type(client.checkpoint.inspect("model.safetensors"), trit.CheckpointInfo)
    job = client.checkpoints.verify("model.safetensors", against="latents")
    assert_type(list(job), List[trit.JobProgress])
    assert_type(job.result(), trit.VerifyResult)
    assert_type(client.checkpoints.diff("a", "b").result(), trit.DiffResult)
    assert_type(client.checkpoints.jobs(), List[trit.JobInfo])


def wrong(client: trit.Client, weights: Any) -> None:
    """Names and types that do not exist are errors."""
    client.project(weights, encoding="pq2")  # type: ignore[arg-type]
    client.project(weights, groups=128)  # type: ignore[call-arg]
    client.pack(weights)  # type: ignore[call-arg]
    client.unpack(weights, dtype="i8")  # type: ignore[arg-type]
    client.checkpoint.project("model.safetensors", include=3)  # type: ignore[arg-type]
    client.checkpoints.project("model.safetensors")  # type: ignore[call-arg]
    trit.Client(7661)  # type: ignore[arg-type]


async def asynchronous(client: trit.aio.Client, weights: Any) -> None:
    """The asyncio twin has the same parameters and results."""
    projection = await client.project(weights, encoding="pq2_0", group_size=128)
    assert_type(projection, trit.Projection)
    assert_type(await client.verify(projection, tolerance=0), trit.Report)
    assert_type(await client.ping("trit.v1.Layers", timeout=1.5), bool)
    assert_type(await client.reports.get("run", "fc", step=20), trit.Report)
    assert_type(await client.reports.compare(("r", "l", 1), ("r", "l", 2)), trit.Comparison)
    async for filed in client.reports.watch("run", cursor="0"):
        assert_type(filed, trit.FiledReport)
    assert_type(await client.layers.verify(prefix="fc"), Dict[str, trit.Report])
    assert_type(await client.layers.delete("fc"), None)
    result = await client.checkpoint.project("in.safetensors", "out.safetensors", step=3)
    assert_type(result, trit.ProjectResult)
    job = await client.checkpoints.project("in.safetensors", "out.gguf", detach=True)
    async for progress in job:
        assert_type(progress, trit.JobProgress)
    assert_type(await job.result(), trit.ProjectResult)


async def asynchronously_wrong(client: trit.aio.Client, weights: Any) -> None:
    """What is wrong for the blocking client is wrong for the asyncio client."""
    await client.project(weights, encoding="pq2")  # type: ignore[arg-type]
    await client.project(weights, groups=128)  # type: ignore[call-arg]
    await client.project()  # type: ignore[call-arg]
    await client.layers.forward("fc", weights, activations="int4")  # type: ignore[arg-type]
    await client.reports.get("run")  # type: ignore[call-arg]
    await client.checkpoint.verify("model.safetensors", agains="x")  # type: ignore[call-arg]
    trit.aio.Client("127.0.0.1:6561", threads="8")  # type: ignore[arg-type]
