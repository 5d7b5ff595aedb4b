# SPDX-License-Identifier: Apache-2.0
"""Training histories for tests of health: latents that move a little from step to step, and
what a test makes of them."""
import numpy as np

import reference as ref
from tritd import CALL_SECONDS, tensor_pb2, ternary_pb2

GROUPS, GROUP = 256, 16


def latents(random, layers, steps, rate):
    """Yields for each step an array [layers, GROUPS, GROUP]. `rate(step)` is the share of the
    latents that is replaced, from 0 to 1."""
    values = random.standard_normal((layers, GROUPS, GROUP))
    for step in range(steps):
        share = rate(step)
        noise = random.standard_normal(values.shape)
        values = np.sqrt(1 - share ** 2) * values + share * noise
        yield step, 0.02 * values


def file_step(daemon, run, names, step, values):
    """Files one report a layer, all at the same time."""
    calls = [daemon.ternary.Verify.future(ternary_pb2.VerifyRequest(
        options=ternary_pb2.VerifyOptions(mode=ternary_pb2.VERIFY_LATENT, group_size=GROUP),
        layer=tensor_pb2.LayerRef(run=run, layer=name, step=step),
        tensor=ref.tensor(values[i].astype(np.float32))), timeout=CALL_SECONDS)
        for i, name in enumerate(names)]
    return [call.result().report for call in calls]
