/* SPDX-License-Identifier: Apache-2.0 */
/* A token bucket: limits how often a peer may do something suspicious. It is
 * refilled only when it is empty, so an honest peer costs no reading of the clock. */
#ifndef H2_METER_H
#define H2_METER_H

#include <stdbool.h>
#include <stdint.h>

enum {
    /* The figures of nghttp2 1.67's limit of glitches: a peer with a bug survives, a
     * flood ends within 10 000 frames. nghttp2 1.52 (Debian 12) has no such limit. */
    METER_BURST = 10000,
    METER_PER_SECOND = 330,
};

struct meter {
    uint32_t tokens;
    uint64_t refilled_ns; /* monotonic */
};

void meter_init(struct meter *meter);

/* False: the bucket is empty. */
bool meter_take(struct meter *meter);

void meter_give(struct meter *meter, uint32_t tokens);

#endif
