# SPDX-License-Identifier: Apache-2.0
"""Measures the projections of a training step of 48 layers of 512 x 512: by one call, as a pass
of a model has them, and by a call for each layer. Both take turns, and medians are
compared. Prints entries of bench.json: over a Unix socket, as on one machine, and over TCP. The
last one is what the bytes of such a call alone take over TCP: latents there, codes and scales
back, by a process that only reads and writes."""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

import trit
from daemon import Daemon

LAYERS, WIDTH, TURNS = 48, 512, 15
GOAL = 0.5


def measure(address):
    """The milliseconds of each step: by one call, by a call for each layer."""
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
    return together[1:], singly[1:]


UP = LAYERS * WIDTH * WIDTH * 4
DOWN = LAYERS * WIDTH * WIDTH * (1 + 4 / 128)
ECHO = """
import socket, sys
up, down = map(int, sys.argv[1:])
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    peer, _ = listener.accept()
    data, buffer = bytes(256 << 10), bytearray(256 << 10)
    while True:
        got = sent = 0
        while got < up:
            count = peer.recv_into(buffer)
            if not count:
                sys.exit()
            got += count
            while sent < got * down // up:
                sent += peer.send(data[: got * down // up - sent])
"""


def measure_bytes():
    """The median milliseconds that the bytes of a call take, each way at once."""
    command = [sys.executable, "-c", ECHO, str(UP), str(int(DOWN))]
    times, data = [], bytes(UP)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as echo:
        port = int(echo.stdout.readline())
        with socket.create_connection(("127.0.0.1", port)) as peer:
            buffer = bytearray(256 << 10)
            for _ in range(TURNS + 1):
                began = time.perf_counter()
                sender = threading.Thread(target=peer.sendall, args=(data,))
                sender.start()
                left = int(DOWN)
                while left > 0:
                    left -= peer.recv_into(buffer)
                sender.join()
                times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times[1:])


def main():
    with tempfile.TemporaryDirectory() as folder:
        unix = f"unix:{os.path.join(folder, 'socket')}"
        daemon = Daemon(folder, "--listen", unix)
        tcp = daemon.rpc.split(",")[0]
        try:
            for way, address in (("a Unix socket", unix), ("TCP", tcp)):
                times, times_singly = measure(address)
                together, singly = statistics.median(times), statistics.median(times_singly)
                times.sort()
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
                            "q1": round(times[TURNS // 4], 2),
                            "q3": round(times[-1 - TURNS // 4], 2),
                        }
                    )
                )
        finally:
            daemon.stop()
    print(
        json.dumps(
            {
                "measure": "the bytes of such a call alone, over TCP",
                "figure": round(measure_bytes(), 2),
                "unit": "ms",
                "goal": None,
                "holds": None,
                "against": None,
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
