# SPDX-License-Identifier: Apache-2.0
"""A file that `trit project` wrote verifies against its latents, for every encoding that files
can hold, every element type, partial group and group size."""

import pytest

import reference as ref
import schemas
from checkpoints import Raw, save
from tritd import cli

CASES = [("dense", 0, 320), ("dense", 100, 320), ("dense", 4096, 300), ("int8", 0, 320),
         ("int8", 64, 192), ("int8", 2, 7), ("pq2_0", 0, 384), ("pq2_0", 256, 512),
         ("ptq1_0", 0, 384), ("ptq1_0", 256, 384), ("q2_0", 64, 192), ("q2_0", 0, 320),
         ("tq1_0", 256, 512), ("tq2_0", 256, 512), ("tq2_0", 512, 768), ("hf_bitnet", 0, 96)]
DTYPES = {"F32": ref.F32, "F16": ref.F16, "BF16": ref.BF16}


@pytest.mark.parametrize("partial", ["padded", "exact"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("encoding, group, columns", CASES, ids=lambda value: str(value))
def test_a_written_file_passes_against_its_latents(daemon, tmp_path, random, encoding, group,
                                                   columns, dtype, partial):
    latents, out = tmp_path / "latents.safetensors", tmp_path / "out.safetensors"
    values = random.standard_normal((12, columns)) * 0.02
    save(latents, {"fc.weight": Raw(dtype, values.shape, ref.narrow(values, DTYPES[dtype]))})
    words = ["--group-size", str(group)] if group else []
    done = cli(daemon, "project", latents, "-o", out, "-e", encoding, "--partial", partial, *words)
    assert done.returncode == 0, done.stderr
    done = cli(daemon, "verify", out, "--against", latents, "--json")
    found = schemas.read(done.stdout)
    assert done.returncode == 0 and found["verdict"] == "pass" and found["findings"] == []
    assert found["layers"][0]["reference_mismatches"] == 0
