# SPDX-License-Identifier: Apache-2.0
"""Findings and verdicts of single tensors, and projections verified against their latents."""

import numpy as np
import pytest

import trit


# ---- a projection against its own latents ----------------------------------------------

OWN = [
    ("dense", 128, 320),
    ("dense", 100, 320),
    ("int8", 128, 320),
    ("int8", 64, 192),
    ("pq2_0", 128, 384),
    ("pq2_0", 256, 512),
    ("ptq1_0", 128, 384),
    ("q2_0", 64, 192),
    ("q2_0", 128, 384),
    ("tq1_0", 256, 512),
    ("tq2_0", 256, 512),
    ("mlx_2bit", 64, 192),
    ("mlx_2bit", 128, 384),
    ("i2_s", None, 256),
    ("hf_bitnet", None, 96),
]


@pytest.mark.parametrize("partial_group", ["padded", "exact"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("encoding, group_size, columns", OWN)
def test_a_projection_is_that_of_its_latents(
    daemon, client, encoding, group_size, columns, dtype, partial_group
):
    """A projection passes when it is verified against its latents, unary and streamed."""
    weight = np.random.default_rng(3).standard_normal((8, columns)).astype(dtype)
    made = client.project(
        weight, encoding=encoding, group_size=group_size, partial_group=partial_group
    )
    report = client.verify(made, reference=weight)
    assert (
        report.verdict == "pass" and report.findings == () and report.digest == made.report.digest
    )
    with trit.Client(daemon.rpc, timeout=30, stream_bytes_min=1) as streaming:
        again = streaming.project(
            weight, encoding=encoding, group_size=group_size, partial_group=partial_group
        )
        report = streaming.verify(again, reference=weight)
    assert report.verdict == "pass" and report.digest == made.report.digest


@pytest.mark.parametrize("encoding", ["int8", "hf_bitnet"])
def test_scales_are_compared_in_the_dtype_they_came_in(client, encoding):
    """f16 scales of f32 latents verify as an f16 array, but not after widening to f32."""
    weight = np.random.default_rng(4).standard_normal((8, 256)).astype(np.float32)
    made = client.project(weight, encoding=encoding)
    narrow = made.scales.astype(np.float16)
    ask = dict(encoding=encoding, shape=weight.shape, reference=weight)
    assert client.verify(made.data, scales=narrow, **ask).verdict == "pass"
    wide = client.verify(made.data, scales=narrow.astype(np.float32), **ask)
    assert [one.kind for one in wide.findings] == ["scales_differ"]
    assert wide.findings[0].expected != wide.findings[0].got and wide.findings[0].hint
    with pytest.raises(trit.InvalidArgument, match="scales.dtype"):
        client.verify(made.data, scales=narrow.astype(np.float64), **ask)


def test_findings_say_what_where_and_what_to_do(client):
    weight = np.array([[1, -1, 0, np.nan]], np.float32)
    report = client.verify(weight)
    assert report.verdict == "fail"
    [finding] = report.findings
    assert (finding.kind, finding.severity, finding.index, finding.count) == (
        "non_finite",
        "error",
        3,
        1,
    )
    assert report.to_dict()["findings"] == [finding.to_dict()]
    dead = client.verify(np.zeros((2, 128), np.float32))
    assert dead.verdict == "fail" and dead.findings[0].kind == "dead_layer"
    assert dead.mse is None and dead.cosine is None and dead.sqnr_db is None
