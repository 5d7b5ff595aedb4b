# SPDX-License-Identifier: Apache-2.0
"""One daemon for the session; tests store reports under runs of their own names."""

import json
import pathlib
import struct

import numpy as np
import pytest

import trit
from daemon import Daemon

DATA = pathlib.Path(__file__).resolve().parents[1] / "data"


@pytest.fixture(scope="session")
def daemon(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    subject = Daemon(tmp_path_factory.mktemp("daemon"), "--checkpoint-root", str(root))
    subject.root = root
    yield subject
    assert subject.stop() == 0, subject.log()


@pytest.fixture(scope="session")
def client(daemon):
    with trit.Client(daemon.rpc, timeout=30) as subject:
        yield subject


@pytest.fixture
def run(request):
    return request.node.name


@pytest.fixture
def random():
    return np.random.default_rng(20)


@pytest.fixture(scope="session")
def golden():
    """Tensors of the golden file by name."""
    kinds = {"F32": "<f4", "I8": "i1", "I32": "<i4"}
    raw = (DATA / "mlx_ternary_golden.safetensors").read_bytes()
    head = 8 + struct.unpack("<Q", raw[:8])[0]
    table = json.loads(raw[8:head])
    table.pop("__metadata__")
    return {
        name: np.frombuffer(
            raw[head + one["data_offsets"][0] : head + one["data_offsets"][1]], kinds[one["dtype"]]
        ).reshape(one["shape"])
        for name, one in table.items()
    }
