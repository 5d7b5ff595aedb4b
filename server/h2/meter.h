/* A token bucket: how much of something dubious a peer may do. Refilled only
 * when it runs dry, so that an honest peer never costs a clock reading. */
#ifndef H2_METER_H
#define H2_METER_H

#include <stdbool.h>
#include <stdint.h>

enum {
    /* nghttp2 1.67's glitch limiter: an accident-prone peer survives, a flood
     * is over within 10 000 frames. Debian 12's nghttp2 has none. */
    METER_BURST = 10000,
    METER_PER_SECOND = 330,
};

struct meter {
    uint32_t tokens;
    uint64_t refilled_ns; /* monotonic */
};

void meter_init(struct meter *meter);

/* False: the bucket is dry. */
bool meter_take(struct meter *meter);

void meter_give(struct meter *meter, uint32_t tokens);

#endif
