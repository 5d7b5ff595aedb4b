# SPDX-License-Identifier: Apache-2.0
"""Tensors above the daemon's message limit: every call takes them, with the bits of one
message."""

import numpy as np
import pytest

import trit
import trit.local
from daemon import Daemon

LIMIT = 1 << 20  # --message-max
SECONDS = 300


@pytest.fixture(scope="module")
def small_messages(tmp_path_factory):
    """A client of a daemon that takes messages of 1 MiB."""
    daemon = Daemon(tmp_path_factory.mktemp("small"), "--message-max", str(LIMIT))
    with trit.Client(daemon.rpc, timeout=SECONDS, stream_bytes_min=200_000) as client:
        yield client
    assert daemon.stop() == 0, daemon.log()


SHAPES = {
    "dense": (900, 501),
    "int8": (900, 501),
    "pq2_0": (3, 300 * 512),
    "q2_0": (1, 1000 * 512),
    "ptq1_0": (4, 200, 512),
    "tq1_0": (700, 512),
    "tq2_0": (700, 512),
    "mlx_2bit": (700, 640),
    "i2_s": (700, 512),
    "hf_bitnet": (1200, 333),
}


@pytest.mark.parametrize("dtype", ["f32", "f16"])
@pytest.mark.parametrize("encoding", SHAPES)
def test_unpack(client, small_messages, random, encoding, dtype):
    """unpack gives the same in pieces as in one message, for every encoding."""
    weights = random.standard_normal(SHAPES[encoding]).astype(np.float32)
    assert weights.nbytes > LIMIT
    if encoding == "dense" and dtype == "f16":
        pytest.skip("f16 does not hold the scales")
    group_size = 256 if encoding in ("tq1_0", "tq2_0") else None
    packed = small_messages.project(weights, encoding=encoding, group_size=group_size)
    assert small_messages.verify(packed, reference=weights).verdict == "pass"
    whole = client.unpack(packed, dtype=dtype)
    assert whole.nbytes < 4 << 20, "the other client sends it in one message"
    assert (small_messages.unpack(packed, dtype=dtype) == whole).all()


def test_unpack_with_scales_of_another_type_and_groups_of_any_size(client, small_messages, random):
    weights = random.standard_normal((40, 9000)).astype(np.float32)
    made = small_messages.project(weights, encoding="int8", group_size=100)
    ask = dict(
        encoding="int8",
        shape=weights.shape,
        group_size=100,
        scales=made.scales.astype(np.float16),
    )
    assert (small_messages.unpack(made.data, **ask) == client.unpack(made.data, **ask)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("shape", [(900_001,), (901, 999), (1,), (3, 5)])
def test_backward(small_messages, random, shape, dtype):
    gradient = random.standard_normal(shape).astype(dtype)
    assert (small_messages.backward(gradient) == gradient).all()


def test_an_invalid_code_is_refused_with_the_piece_that_has_it(small_messages):
    codes = np.zeros((500, 1000), np.int8)
    codes[400, 7] = 5
    scales = np.ones((500, 8), np.float32)
    with pytest.raises(trit.InvalidArgument, match=r"^elements 400000 to 4\d+: ") as refused:
        small_messages.unpack(codes, encoding="int8", scales=scales)
    assert "element 7" in refused.value.message  # of those


def test_progress_counts_all_bytes_once(small_messages, random):
    gradient = random.standard_normal((1000, 1000)).astype(np.float32)
    seen = []
    small_messages.backward(gradient, progress=seen.append)
    assert sum(seen) == gradient.nbytes


def test_project_verify_pack(small_messages, random):
    """Large tensors are streamed by project, verify and pack."""
    weights = random.standard_normal((600, 1024)).astype(np.float32)
    made = small_messages.project(weights)
    assert (made.data == trit.local.project(weights)).all()
    assert small_messages.verify(made, reference=weights).verdict == "pass"
    packed = small_messages.pack(made, encoding="int8")
    assert (small_messages.unpack(packed) == made.data).all()
