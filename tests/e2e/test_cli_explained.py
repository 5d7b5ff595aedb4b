# SPDX-License-Identifier: Apache-2.0
"""trit verify --against says what differs and why. The claims are made here with NumPy."""
import json

import numpy as np
import pytest

import schemas
from checkpoints import bf16, load, save
from tritd import cli

ROWS, COLUMNS = 24, 640


def means(latents, size, exact=False):
    """The mean magnitude of each weight's group, in f32."""
    scales = np.empty_like(latents)
    for start in range(0, latents.shape[1], size):
        group = np.abs(latents[:, start:start + size].astype(np.float64))
        divisor = group.shape[1] if exact else size
        scales[:, start:start + size] = (group.sum(1, keepdims=True) / divisor)
    return scales.astype(np.float32)


def ternary(latents, scales, threshold=.5):
    return np.where(np.abs(latents) > threshold * scales, np.sign(latents), 0) * scales


@pytest.fixture
def judge(daemon, tmp_path, random):
    """Verifies a claim against the latents; returns the findings by kind."""
    def judge(claim, latents, *words, code=1):
        save(tmp_path / "latents.safetensors", {"fc.weight": latents})
        save(tmp_path / "claim.safetensors", {"fc.weight": claim})
        done = cli(daemon, "verify", tmp_path / "claim.safetensors", "--against",
                   tmp_path / "latents.safetensors", "--json", *words)
        assert done.returncode == code, done.stdout + done.stderr
        return {one["kind"]: one for one in schemas.read(done.stdout)["findings"]}
    return judge


@pytest.fixture
def latents(random):
    return (random.standard_normal((ROWS, COLUMNS)) * .02).astype(np.float32)


def test_equal(judge, latents):
    """No reason is given for an equal projection."""
    assert judge(ternary(latents, means(latents, 128)), latents, code=0) == {}


@pytest.mark.parametrize("size,told", [(32, "32"), (64, "64"), (256, "256"),
                                       (COLUMNS, f"{COLUMNS} (a row)")])
def test_granularity(judge, latents, size, told):
    """The group size that explains all weights is found."""
    found = judge(ternary(latents, means(latents, size)), latents, "--tolerance", "0.4")
    assert found["granularity_differs"]["got"] == told
    assert found["granularity_differs"]["expected"] == "128"


@pytest.mark.parametrize("exact", [False, True])
def test_partial_group(judge, random, exact):
    """The other divisor of a row's short last group is found."""
    latents = (random.standard_normal((ROWS, 200)) * .02).astype(np.float32)
    claim = ternary(latents, means(latents, 128, exact))
    words = ("--partial", "padded" if exact else "exact")
    found = judge(claim, latents, *words)
    assert found["partial_group_differs"]["got"] == ("exact" if exact else "padded")


@pytest.mark.parametrize("threshold", [.3, .7])
def test_threshold(judge, latents, threshold):
    """Another threshold is found between the largest zeroed and the smallest kept weight."""
    found = judge(ternary(latents, means(latents, 128), threshold), latents)
    low, high = map(float, found["threshold_differs"]["got"].split(" to "))
    assert low <= threshold + 1e-3 and high >= threshold - 1e-3 and high - low < .05
    moves = found["codes_differ"]["hint"]
    assert ("-1 -> 0" if threshold > .5 else "0 -> -1") in moves


def test_scales_rounded_on_their_way(judge, latents):
    """f32 weights whose scales were rounded to f16 or bf16 are reported as such."""
    scales = means(latents, 128)
    half = scales.astype(np.float16).astype(np.float32)
    found = judge(ternary(latents, scales, .5) / scales * half, latents)
    assert found["scale_rounded"]["got"] == "f16" and "codes_differ" not in found
    assert "scales differ, by up to 0.0" in found["scales_differ"]["hint"]


def test_reciprocal(judge, latents):
    """Scales that are 1 / mean are reported as such."""
    scales = means(latents, 128)
    codes = ternary(latents, scales) / scales
    found = judge((codes * (np.float32(1) / scales)).astype(np.float32), latents)
    assert "scale_reciprocal" in found and "granularity_differs" not in found


def test_one_flipped_code(judge, latents):
    """A single wrong code is counted with its position, and no reason is given."""
    claim = ternary(latents, means(latents, 128))
    row, column = np.argwhere(claim > 0)[1000]
    claim[row, column] *= -1
    found = judge(claim, latents)
    assert found["codes_differ"]["hint"] == "+1 -> -1: 1"
    assert set(found) == {"codes_differ"}


def test_narrow_types(judge, latents):
    """A bf16 claim is compared after the scales are rounded to bf16."""
    def narrow(values):
        bits = values.astype(np.float32).view(np.uint32)
        return (((bits + 0x7fff + (bits >> 16 & 1)) >> 16) << 16).astype(np.uint32).view(np.float32)
    scales = means(latents, 64)
    claim = ternary(latents, scales) / scales * narrow(scales)
    found = judge(bf16(claim.astype(np.float32)), latents, "--tolerance", "0.4")
    assert found["granularity_differs"]["got"] == "64"


def test_one_scale_for_the_tensor(judge, random):
    """Weights that share one scale, the mean of all latents, are reported as such."""
    latents = (random.standard_normal((ROWS, COLUMNS)) * .02).astype(np.float32)
    mean = np.full_like(latents, np.abs(latents.astype(np.float64)).mean())
    found = judge(ternary(latents, mean), latents)
    assert found["granularity_differs"]["got"] == "the tensor"


@pytest.mark.parametrize("linear_class", ["autobitlinear", "bitlinear", None])
@pytest.mark.parametrize("stored", ["mean", "reciprocal"])
def test_bitnet_scale_conventions(daemon, tmp_path, random, linear_class, stored):
    """A bitnet file is read as its config.json says. Scales of the declared convention pass,
    those of the other fail."""
    latents = (random.standard_normal((16, 256)) * .02).astype(np.float32)
    (tmp_path / "release").mkdir()
    save(tmp_path / "latents.safetensors", {"l.weight": latents})
    release = tmp_path / "release" / "model.safetensors"
    done = cli(daemon, "project", tmp_path / "latents.safetensors", "-o", release, "-e", "hf_bitnet")
    assert done.returncode == 0, done.stderr
    tensors = load(release)
    if stored == "reciprocal":
        tensors["l.weight_scale"] = 1 / tensors["l.weight_scale"]
    save(release, tensors, {"format": "pt"})
    block = {"quant_method": "bitnet"}
    if linear_class:
        block["linear_class"] = linear_class
    (tmp_path / "release" / "config.json").write_text(json.dumps({"quantization_config": block}))
    done = cli(daemon, "verify", tmp_path / "release")
    assert done.returncode == 0, done.stdout
    done = cli(daemon, "verify", tmp_path / "release", "--against",
               tmp_path / "latents.safetensors", "--json")
    findings = {one["kind"]: one for one in schemas.read(done.stdout)["findings"]}
    declared = "mean" if linear_class == "autobitlinear" else "reciprocal"
    assert done.returncode == (0 if stored == declared else 1), findings
    if stored != declared:
        kind = "scale_reciprocal" if declared == "mean" else "scales_differ"
        assert findings[kind]["severity"] == "error"
    elif declared == "reciprocal":
        assert findings["scales_differ"]["severity"] == "note"
    done = cli(daemon, "unpack", tmp_path / "release", "-o", tmp_path / "dense")
    assert done.returncode == 0, done.stderr
    scale = tensors["l.weight_scale"]
    dense = load(tmp_path / "dense" / "model.safetensors")["l.weight"]
    assert np.abs(dense).max() == (scale if declared == "mean" else 1 / scale)
