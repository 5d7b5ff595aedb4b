# SPDX-License-Identifier: Apache-2.0
"""One rank of a run, as a process of its own: sends its rows of each layer, and sends a shard
again until it is acknowledged. Prints a line for each answer.

    rank.py ADDRESS_FILE RANK RANKS STEPS

ADDRESS_FILE names the daemon; it changes when the daemon is started again."""
import pathlib
import sys
import time

import grpc
import numpy as np

import sharded
from tritd import CALL_SECONDS, UNLIMITED, ternary_pb2_grpc

SHAPE = (32, 256)


def weights(step):
    return np.random.default_rng(step).standard_normal(SHAPE).astype(np.float32)


class Connection:
    def __init__(self, address):
        self.channel = grpc.insecure_channel(address, options=UNLIMITED)
        self.ternary = ternary_pb2_grpc.TernaryStub(self.channel)


def main(file, rank, ranks, steps):
    boxes = sharded.grid(SHAPE, [SHAPE[0] * i // ranks for i in range(1, ranks)], [])
    deadline = time.monotonic() + 4 * CALL_SECONDS
    for step in range(steps):
        while True:
            connection = Connection(pathlib.Path(file).read_text())
            try:
                report = sharded.send(connection, sharded.project, weights(step), [boxes[rank]],
                                      "r", step=step)[0]
                break
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            finally:
                connection.channel.close()
        print(step, report.digest.hex(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
