/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's kernel for peers that are not written in C: f32 to PQ2_0. */
#include <stdlib.h>

#include "kernels/kernels.h"
#include "tests/bench/peer_pack.h"

enum { GROUP = 128, GROUP_BYTES = 512, PACKED_BYTES = 34 };

size_t peer_packed_bytes(size_t bytes)
{
    return bytes / GROUP_BYTES * PACKED_BYTES;
}

/* In pieces that stay in the cache, as the daemon's tiles do. */
void peer_pack(const void *in, size_t bytes, void *out)
{
    enum { PIECE_GROUPS = 512 };
    float scales[PIECE_GROUPS];
    struct kernels_env env;

    kernels_enter(&env);
    for (size_t at = 0, groups = bytes / GROUP_BYTES; at < groups; at += PIECE_GROUPS) {
        const size_t count = groups - at < PIECE_GROUPS ? groups - at : PIECE_GROUPS;
        const struct ternarize_job job = {
            .dtype = TRIT_F32,
            .count = count,
            .group_len = GROUP,
            .divisor = GROUP,
            .in = (const uint8_t *)in + at * GROUP_BYTES,
            .encoding = TRIT_ENCODING_PQ2_0,
            .out = (uint8_t *)out + at * PACKED_BYTES,
            .scales = scales,
        };
        struct ternary_counts counts;

        ternary_counts_init(&counts);
        ternarize(kernels_select(NULL), &job, &counts);
        if (counts.non_finite)
            abort();
    }
    kernels_leave(&env);
}
