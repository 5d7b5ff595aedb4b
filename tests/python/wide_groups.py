# SPDX-License-Identifier: Apache-2.0
"""Groups whose f64 sum depends on the order of the additions, and whose scale shows it."""

import numpy as np


def wide_groups(columns, rows=400):
    """f32 [rows, columns]: in each row the sum lies beside the middle of two f32 values.

    The sum of 2^30 and 2^6 is the middle. Weights below half a unit of its last place in f64
    are lost one by one, but not if they are added to each other first.
    """
    random = np.random.default_rng(columns)
    w = np.zeros((rows, columns), np.float32)
    for row in w:
        tiny = random.integers(1, min(columns - 2, 14))
        places = random.permutation(columns)[: tiny + 2]
        row[places] = [2.0**30, 2.0**6, *(2.0**-23 * random.integers(1, 4, tiny))]
    return w * random.choice([-1, 1], w.shape).astype(np.float32)
