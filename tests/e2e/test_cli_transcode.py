# SPDX-License-Identifier: Apache-2.0
"""A packed file becomes a packed file of any other encoding and container without loss, or is
refused with the first group that does not fit."""
import concurrent.futures
import re

import numpy as np
import pytest

import schemas
from checkpoints import save
from tritd import SLOW, cli

GGUF = ["pq2_0", "q2_0", "ptq1_0", "tq1_0", "tq2_0"]
FORMS = [(encoding, "safetensors") for encoding in
         ("int8", *GGUF, "mlx_2bit", "hf_bitnet")] + [(encoding, "gguf") for encoding in GGUF]
WHOLE = {"hf_bitnet"}        # one scale for the tensor
WIDE = {"tq1_0", "tq2_0"}      # one scale for 256 weights


def name_of(form):
    return ".".join(form)


def groups_of(source, target):
    """The option that gives both encodings a group they can have."""
    if target[0] in WHOLE:
        return ()
    return "-g", 256 if target[0] in WIDE else 128


def pack(daemon, folder, source, target, origin="dense.safetensors"):
    path = folder / (origin if source is None else name_of(source))
    out = folder / f"{'' if source is None else name_of(source) + '-to-'}{name_of(target)}"
    return out, cli(daemon, "pack", path, "-o", out, "-e", target[0], *groups_of(source, target))


@pytest.fixture
def packed(daemon, tmp_path, random):
    """A ternary layer of one scale, which f16 holds, in every form."""
    t = random.integers(-1, 2, (8, 512)).astype(np.float32)
    save(tmp_path / "dense.safetensors", {"l.weight": t * np.float32(.375), "n.weight": t[0]})
    for form in FORMS:
        _, done = pack(daemon, tmp_path, None, form)
        assert done.returncode == 0, (form, done.stderr)
    return tmp_path


def test_every_form_becomes_every_other(daemon, packed):
    """Codes and scales are those of the dense file, and other tensors are as they were."""
    pairs = [(source, target) for source in FORMS for target in FORMS][::11 if SLOW else 1]

    def run(pair):
        source, target = pair
        out, done = pack(daemon, packed, source, target)
        if done.returncode != 0:
            return pair, done.stderr
        told = cli(None, "diff", packed / "dense.safetensors", out, "--json")
        found = schemas.read(told.stdout)
        assert len(found["layers"]) == 1
        return (pair, None) if found["equal"] else (pair, told.stdout)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        failed = [(pair, why) for pair, why in pool.map(run, pairs) if why]
    assert failed == []


def test_what_would_be_lost_is_refused(daemon, tmp_path, random):
    """Scales that differ within a group of the target: the layer and the first group are named, and
    nothing is written."""
    t = random.integers(-1, 2, (8, 512)).astype(np.float32)
    t[:, ::9] = 1
    t[3, 384:] *= 2
    save(tmp_path / "dense.safetensors", {"l.weight": t * np.float32(.375)})
    sources = [form for form in FORMS if form[0] not in WHOLE | WIDE]
    targets = [form for form in FORMS if form[0] in WHOLE | WIDE]
    pairs = [(source, target) for source in sources for target in targets][::7 if SLOW else 1]
    for source in {source for source, _ in pairs}:
        _, done = pack(daemon, tmp_path, None, source)
        assert done.returncode == 0, done.stderr
    for pair in pairs:
        out, done = pack(daemon, tmp_path, *pair)
        assert done.returncode == 1 and not out.exists(), (pair, done.stderr)
        assert "l.weight" in done.stderr and re.search(r"group (7|15|14)\b", done.stderr), (
            pair, done.stderr)
