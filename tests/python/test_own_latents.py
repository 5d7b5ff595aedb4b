# SPDX-License-Identifier: Apache-2.0
"""A projection passes against the latents that it was made of: every encoding, element type,
partial group and group size, in one message, in a stream and in a file. It remembers how it
was made, and so does what is packed from it and what is stored."""

import copy
import pickle

import numpy as np
import pytest

import trit

SECONDS = 300
ROWS = 12

# encoding: group sizes that it holds, columns that fit them. None is the default.
SIZES = {
    "dense": [(None, 320), (128, 320), (100, 320), (64, 192), (1, 7), (4096, 300)],
    "int8": [(None, 320), (128, 320), (100, 320), (64, 192), (1, 7), (4096, 300)],
    "pq2_0": [(None, 384), (128, 384), (256, 384), (384, 768)],
    "ptq1_0": [(None, 384), (128, 384), (256, 384)],
    "q2_0": [(64, 192), (128, 192), (None, 320), (192, 384)],
    "tq1_0": [(256, 512), (512, 768)],
    "tq2_0": [(256, 512), (512, 768)],
    "mlx_2bit": [(64, 192), (128, 384), (None, 256)],
    "i2_s": [(None, 256)],
    "hf_bitnet": [(None, 96), (None, 33)],
}
CASES = [(encoding, *size) for encoding, sizes in SIZES.items() for size in sizes]
IN_FILES = ("dense", "int8", "mlx_2bit", "hf_bitnet")

cases = pytest.mark.parametrize(
    "encoding, group_size, columns", CASES, ids=[f"{e}-{g}x{c}" for e, g, c in CASES]
)
dtypes = pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
partials = pytest.mark.parametrize("partial_group", ["padded", "exact"])


@pytest.fixture(scope="module")
def streaming(daemon):
    """A client that streams every tensor that can be streamed."""
    with trit.Client(daemon.rpc, timeout=SECONDS, stream_bytes_min=1) as client:
        yield client


def latents(random, columns, dtype, rows=ROWS):
    """An array of NumPy, or of torch for bf16."""
    values = (random.standard_normal((rows, columns)) * 0.02).astype(np.float32)
    if dtype != "bf16":
        return values.astype({"f32": np.float32, "f16": np.float16}[dtype])
    try:
        import torch
    except ImportError:
        return values.astype(pytest.importorskip("ml_dtypes").bfloat16)
    return torch.from_numpy(values).bfloat16()


@partials
@dtypes
@cases
def test_a_projection_passes_against_its_latents(
    client, streaming, random, encoding, group_size, columns, dtype, partial_group
):
    w = latents(random, columns, dtype)
    whole = encoding in ("i2_s", "hf_bitnet")
    made = client.project(w, encoding=encoding, group_size=group_size, partial_group=partial_group)
    assert made.group_size == (group_size or (0 if whole else 128))
    assert made.partial_group.name.lower() == partial_group
    for again in (made, copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        report = client.verify(again, reference=w)
        assert report.verdict == "pass" and not report.findings, report.findings
        assert report.digest == made.report.digest
        assert report.reference_mismatches == 0
    report = streaming.verify(made, reference=w)
    assert report.verdict == "pass" and report.digest == made.report.digest
    streamed = streaming.project(
        w, encoding=encoding, group_size=group_size, partial_group=partial_group
    )
    assert streamed.report.digest == made.report.digest


# What each may be packed as, where groups of 256 fit.
@partials
@pytest.mark.parametrize("source", ["dense", "int8"])
def test_what_is_packed_remembers_it_too(client, random, source, partial_group):
    """A packed tensor knows how it was made, also if its last group is short, and after a second
    packing."""
    w = latents(random, 200, "f32")
    made = client.project(w, encoding=source, partial_group=partial_group, group_size=96)
    packed = client.pack(made, encoding="int8")
    for one in (packed, client.pack(packed, encoding="int8")):
        assert one.partial_group == made.partial_group and one.group_size == 96
        report = client.verify(one, reference=w)
        assert report.verdict == "pass" and report.digest == made.report.digest
    assert (
        np.abs(client.unpack(packed))
        == np.abs(client.project(w, partial_group=partial_group, group_size=96).data)
    ).all()


@partials
@dtypes
@pytest.mark.parametrize(
    "encoding, group_size, columns",
    [(e, g, c) for e, g, c in CASES if e in IN_FILES and c > 8],
)
def test_a_file_says_how_it_was_made(
    client, tmp_path, random, encoding, group_size, columns, dtype, partial_group
):
    """Its record has encoding, group size and partial group, so verify needs no options."""
    state = {"fc.weight": latents(random, columns, dtype)}
    path = tmp_path / "model.safetensors"
    client.checkpoint.project(
        state, path, encoding=encoding, group_size=group_size, partial_group=partial_group
    )
    result = client.checkpoint.verify(path, against=state)
    assert result.verdict == "pass", result.findings
    record = client.checkpoint.inspect(path)
    assert record.encoding.name.lower() == encoding
