# SPDX-License-Identifier: Apache-2.0
"""Histories of a run as a training writes them: many layers over many steps, of which some fall
sick at a known step."""
import numpy as np

import reference as ref
from tritd import CALL_SECONDS, tensor_pb2, ternary_pb2

GROUP, GROUPS = 16, 256
SICK = {"layers.3.mlp.up": "dead groups", "layers.10.attn.q": "scale drift",
        "layers.2.mlp.down": "non finite"}
ONSET = {"layers.3.mlp.up": 0.5, "layers.10.attn.q": 0.6, "layers.2.mlp.down": 0.95}
PARTS = ("attn.q", "mlp.up", "mlp.down")


def names(layers):
    return [f"layers.{i // len(PARTS)}.{PARTS[i % len(PARTS)]}" for i in range(layers)]


def weights(base, layer, part):
    """The latents of a layer after this part of the training."""
    w = base.astype(np.float32)
    if part <= ONSET.get(layer, 2):
        return w
    if SICK[layer] == "dead groups":
        w[:238] = 0
    elif SICK[layer] == "scale drift":
        w *= np.float32(10)
    else:
        w[7, 3] = np.nan
    return w


def onsets(steps):
    """The first step of each sickness."""
    return {name: next(step for step in range(1, steps + 1) if step / steps > part)
            for name, part in ONSET.items()}


def file_history(daemon, run, layers=24, steps=200, at=lambda step: step):
    """Files a report of each layer at each step. Returns the steps as they are filed. A layer
    with NaN is filed by Verify, as Project refuses it."""
    random = np.random.default_rng(7)
    bases = {name: random.standard_normal((GROUPS, GROUP)) * 0.02 * (1 + i % 5)
             for i, name in enumerate(names(layers))}
    for step in range(1, steps + 1):
        waiting = []
        for name, base in bases.items():
            base += random.standard_normal(base.shape) * np.abs(base).mean() * 0.02 / step ** 0.25
            w = weights(base, name, step / steps)
            ref_layer = tensor_pb2.LayerRef(run=run, layer=name, step=at(step))
            if np.isnan(w).any():
                waiting.append(daemon.ternary.Verify.future(ternary_pb2.VerifyRequest(
                    options=ternary_pb2.VerifyOptions(mode=ternary_pb2.VERIFY_LATENT,
                                                      group_size=GROUP),
                    layer=ref_layer, tensor=ref.tensor(w)), timeout=CALL_SECONDS))
            else:
                waiting.append(daemon.ternary.Project.future(ref.project_request(
                    w, layer=ref_layer, group_size=GROUP), timeout=CALL_SECONDS))
        for one in waiting:
            one.result()
    return [at(step) for step in range(1, steps + 1)]
