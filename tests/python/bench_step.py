# SPDX-License-Identifier: Apache-2.0
"""Measures the projections of a training step of 48 layers of 512 x 512: by one call, as a pass
of a model has them, and by a call for each layer. Both take turns, and medians are
compared. Prints entries of bench.json: over a Unix socket, as on one machine, and over TCP."""

import json
import os
import statistics
import sys
import tempfile
import time

import numpy as np

import trit
from daemon import Daemon

LAYERS, WIDTH, TURNS = 48, 512, 15
GOAL = 0.5


def measure(address):
    """The median milliseconds of a step: by one call, by a call for each layer."""
    draw, together, singly = np.random.default_rng(1), [], []
    with trit.Client(address, timeout=60) as client:
        latents = [draw.standard_normal((WIDTH, WIDTH), np.float32) for _ in range(LAYERS)]
        for _ in range(TURNS + 1):
            for times, project in (
                (together, lambda: client.project_batch(latents)),
                (singly, lambda: [client.project(one, report="none") for one in latents]),
            ):
                began = time.perf_counter()
                project()
                times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(together[1:]), statistics.median(singly[1:])


def main():
    with tempfile.TemporaryDirectory() as folder:
        socket = f"unix:{os.path.join(folder, 'socket')}"
        daemon = Daemon(folder, "--listen", socket)
        tcp = daemon.rpc.split(",")[0]
        try:
            for way, address in (("a Unix socket", socket), ("TCP", tcp)):
                together, singly = measure(address)
                print(
                    json.dumps(
                        {
                            "measure": f"projections of a step, {LAYERS} layers of {WIDTH} x "
                            f"{WIDTH}, by one call over {way}",
                            "figure": round(together, 2),
                            "unit": "ms",
                            "goal": f"<= {GOAL} of a call for each",
                            "holds": together <= GOAL * singly,
                            "against": f"{singly:.2f} ms, a ratio of {together / singly:.2f}",
                        }
                    )
                )
        finally:
            daemon.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
