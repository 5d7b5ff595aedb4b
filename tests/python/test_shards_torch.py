# SPDX-License-Identifier: Apache-2.0
"""The code of docs/shards.md with PyTorch's own shards: FSDP2, tensor parallelism and DDP, on
two ranks. Needs a PyTorch that has DTensor (make test-python-torch)."""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("torch.distributed.tensor", reason="this PyTorch has no public DTensor")
import torch  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
RANKS = 2
SHAPE = (6, 512)

# A rank. `report` is the function of the page.
RANK = """
import os, sys
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Shard, distribute_tensor

rank, run, store, weights = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
mesh = init_device_mesh("cpu", (2,))
full = torch.load(weights)
linear = torch.nn.Linear(full.shape[1], full.shape[0], bias=False)
linear.weight.data.copy_(full)
fully_shard(linear, mesh=mesh)
shards = {
    "fsdp": linear.weight.detach(),
    "column": distribute_tensor(full, mesh, [Shard(0)]),
    "row": distribute_tensor(full, mesh, [Shard(1)]),
    "ddp": full,
    "one row": distribute_tensor(full[:1].clone(), mesh, [Shard(0)]),
}
for name, weight in shards.items():
    print(name, report(run, name, weight, 1) is not None)
dist.destroy_process_group()
"""


def test_the_code_of_the_page(client, daemon, run, random, tmp_path):
    """Each layer's report is that of the whole layer; replicas are compared."""
    weights = random.standard_normal(SHAPE).astype(np.float32)
    torch.save(torch.from_numpy(weights), tmp_path / "weights")
    page = (ROOT / "docs" / "shards.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, re.S)[1]
    (tmp_path / "rank.py").write_text(code + RANK)
    ranks = [
        subprocess.Popen(
            [sys.executable, tmp_path / "rank.py", str(rank), run, tmp_path / "store",
             tmp_path / "weights"],
            env=dict(os.environ, TRITD_ADDRESS=daemon.rpc),
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(RANKS)
    ]  # fmt: skip
    try:
        out = [rank.communicate(timeout=300)[0].split("\n") for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0]
    assert "one row True" in out[0] and "one row False" in out[1]
    assert client.reports.list(run, waiting=True) == []
    whole = client.verify(weights, mode="latent").digest
    for layer in ("fsdp", "column", "row", "ddp"):
        report = client.reports.get(run, layer, 1)
        assert (report.digest, report.shape, report.verdict) == (whole, SHAPE, "pass"), layer
    assert client.reports.get(run, "ddp", 1, replica=1).digest == whole
