# SPDX-License-Identifier: Apache-2.0
"""`Client.pack` changes the encoding of ternary weights, not their values."""

import numpy as np
import pytest
import trit

BLOCKS = {"pq2_0": 128, "q2_0": 64, "ptq1_0": 128, "tq1_0": 256, "tq2_0": 256}
ENCODINGS = ["int8", *BLOCKS, "mlx_2bit", "i2_s", "hf_bitnet"]


@pytest.fixture
def dense(random):
    """f32 [8, 512], with one magnitude that is exact in f16."""
    return (random.integers(-1, 2, (8, 512)) * 0.375).astype(np.float32)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_dense_weights_are_packed(client, dense, encoding):
    group_size = BLOCKS.get(encoding)
    packed = client.pack(dense, encoding=encoding, group_size=group_size)
    assert packed.encoding.name.lower() == encoding and packed.shape == dense.shape
    assert packed.report.is_ternary and packed.report.positives == (dense > 0).sum()
    made = client.project(np.sign(dense), encoding=encoding, group_size=group_size)
    assert packed.data.shape == made.data.shape and packed.data.dtype == made.data.dtype
    assert packed.group_size == made.group_size
    assert (client.unpack(packed) == dense).all()
    assert client.verify(packed).is_ternary


@pytest.mark.parametrize("target", ENCODINGS)
@pytest.mark.parametrize("source", ENCODINGS)
def test_a_projection_is_packed_again(client, dense, source, target):
    first = client.pack(dense, encoding=source, group_size=BLOCKS.get(source))
    # MLX supports groups of 64 or 128; each gets the scale of its block of 256.
    group_size = 128 if target == "mlx_2bit" else None
    packed = client.pack(first, encoding=target, group_size=group_size)
    assert (client.unpack(packed) == dense).all()
    assert client.verify(packed).is_ternary


def test_packed_bytes_bring_their_shape_and_scales(client, dense):
    made = client.pack(dense, encoding="int8")
    again = client.pack(
        made.data,
        source_encoding="int8",
        scales=made.scales.astype(np.float16),
        encoding="pq2_0",
        report="none",
    )
    assert again.report is None
    assert again.data.tobytes() == client.pack(dense, encoding="pq2_0").data.tobytes()
    with pytest.raises(trit.InvalidArgument) as refused:
        client.pack(again.data, source_encoding="pq2_0", encoding="int8")
    assert refused.value.field == "shape"


@pytest.mark.parametrize("encoding", ["int8", "pq2_0", "tq1_0", "mlx_2bit", "i2_s", "hf_bitnet"])
def test_a_stream_gives_the_same_bytes(client, daemon, random, encoding):
    dense = (random.integers(-1, 2, (64, 4096)) * 0.375).astype(np.float32)
    packed = client.pack(dense, encoding=encoding)
    with trit.Client(daemon.rpc, stream_bytes_min=1) as streaming:
        same = streaming.pack(dense, encoding=encoding)
        assert same.data.tobytes() == packed.data.tobytes()
        assert same.report.digest == packed.report.digest
        back = streaming.pack(packed, encoding="int8", group_size=128)
        assert back.data.tobytes() == np.sign(dense).astype(np.int8).tobytes()
        for one_scale in ("i2_s", "hf_bitnet"):
            whole = streaming.pack(packed, encoding=one_scale)
            assert (streaming.unpack(whole) == dense).all()


def test_other_weights_are_refused(client, dense):
    dense[1, 200] = 0.25
    with pytest.raises(trit.InvalidArgument, match=r"group 5 .*row 1\) is not ternary") as refused:
        client.pack(dense, encoding="pq2_0")
    assert refused.value.field == "tensor.data"
    with pytest.raises(trit.InvalidArgument) as refused:
        client.pack(dense, encoding="dense")
    assert refused.value.field == "options.encoding"


def test_a_scale_is_rounded_if_allowed(client, dense):
    dense = (dense / 0.375 * np.float32(0.1)).astype(np.float32)
    with pytest.raises(trit.InvalidArgument, match="options.allow_rounded_scales"):
        client.pack(dense, encoding="pq2_0")
    layer = ("pack", "l", 1)
    packed = client.pack(dense, encoding="pq2_0", allow_rounded_scales=True, layer=layer)
    assert [finding.kind for finding in packed.report.findings] == ["scale_rounded"]
    assert packed.report.verdict == "pass"
    assert client.reports.get("pack", "l").digest == packed.report.digest
    expected = np.sign(dense) * np.float32(np.float16(0.1))
    assert (client.unpack(packed) == expected).all()
