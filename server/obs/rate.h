/* SPDX-License-Identifier: Apache-2.0 */
/* Which events of a log are written. Each pair of event name and caller has a limit of its
 * own, so that a noisy caller hides neither other events nor other callers. The table is
 * bounded. It is not thread-safe: the log locks it. */
#ifndef OBS_RATE_H
#define OBS_RATE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    RATE_EVENTS_MAX =
        20, /* of one event and caller in a second; the others are counted */
    RATE_PAIRS_MAX = 256, /* pairs that are limited each on its own */
    RATE_CALLER_BYTES = 64,
    RATE_FIRST_BYTES = 256,
};

struct rate {
    const char *event; /* NULL: the place is free */
    char caller[RATE_CALLER_BYTES];
    uint64_t window_ns;           /* when its second began */
    uint64_t seen, suppressed;    /* within it */
    char first[RATE_FIRST_BYTES]; /* the first suppressed line of the second */
};

struct rates {
    struct rate pairs[RATE_PAIRS_MAX];
};

/* `event` is a literal. `peer`: "host:port", "unix:..." or NULL; the port is no part of
 * the caller. The pair's place. If all places are in use, pairs that have none share the
 * last one, whose event is "others". */
struct rate *rate_of(struct rates *rates, const char *event, const char *peer,
                     uint64_t now);

/* True: write the event. False: it was counted. */
bool rate_admit(struct rate *rate, uint64_t now);

/* Copies one pair whose second is over at `now` and that suppressed events, and forgets
 * its count. False: there is none. */
bool rate_take_suppressed(struct rates *rates, uint64_t now, struct rate *taken);

#endif
