# SPDX-License-Identifier: Apache-2.0
"""A ProjectStream that a test keeps open while it does something else."""
import functools
import queue

import numpy as np

import reference as ref
from tritd import CALL_SECONDS

# Several tiles, so that replies come when half of it is sent.
VALUES = np.random.default_rng(1).standard_normal((1024, 1024)).astype(np.float32)
CHUNK_BYTES = 512 << 10


@functools.cache
def expected():
    """The projection of VALUES."""
    return ref.dense(VALUES, *ref.project(VALUES))


class HalfSent:
    """Half of VALUES is uploaded and the first reply has arrived."""

    def __init__(self, daemon, layer=None, timeout=CALL_SECONDS, metadata=None):
        requests = list(ref.stream_requests(VALUES.tobytes(), VALUES.shape, CHUNK_BYTES, layer))
        half = len(requests) // 2 + 1
        self._rest = requests[half:]
        self._outbox = queue.Queue()
        for request in requests[:half]:
            self._outbox.put(request)
        self.call = daemon.ternary.ProjectStream(iter(self._outbox.get, None), timeout=timeout,
                                                metadata=metadata)
        try:
            self._replies = [next(self.call)]
        except BaseException:
            self.abandon()
            raise

    def finish(self):
        """Uploads the rest and checks the result."""
        for request in self._rest:
            self._outbox.put(request)
        self._outbox.put(None)
        data, _, report = ref.gather([*self._replies, *self.call])
        assert data == expected()
        return report

    def abandon(self):
        """Stops the upload, so that grpcio's sending thread ends."""
        self._outbox.put(None)
