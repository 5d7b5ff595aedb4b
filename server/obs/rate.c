/* SPDX-License-Identifier: Apache-2.0 */
#include "obs/rate.h"

#include <stdio.h>
#include <string.h>

enum { WINDOW_NS = 1000000000 };

static bool over(const struct rate *rate, uint64_t now)
{
    return now - rate->window_ns >= WINDOW_NS;
}

static void caller_of(const char *peer, char caller[RATE_CALLER_BYTES])
{
    const char *colon = peer ? strrchr(peer, ':') : NULL;
    size_t length = peer ? strlen(peer) : 0;

    if (colon && strncmp(peer, "unix:", 5) != 0)
        length = (size_t)(colon - peer);
    snprintf(caller, RATE_CALLER_BYTES, "%.*s", (int)length, peer ? peer : "");
}

struct rate *rate_of(struct rates *rates, const char *event, const char *peer,
                     uint64_t now)
{
    struct rate *last = &rates->pairs[RATE_PAIRS_MAX - 1], *spare = NULL;
    char caller[RATE_CALLER_BYTES];

    caller_of(peer, caller);
    for (struct rate *rate = rates->pairs; rate < last; rate++) {
        if (!rate->event || (rate->suppressed == 0 && over(rate, now))) {
            spare = spare ? spare : rate;
            if (!rate->event)
                break;
        }
        if (strcmp(rate->event, event) == 0 && strcmp(rate->caller, caller) == 0)
            return rate;
    }
    if (!spare) {
        last->event = "others";
        return last;
    }
    *spare = (struct rate){.event = event};
    memcpy(spare->caller, caller, sizeof(caller));
    return spare;
}

bool rate_admit(struct rate *rate, uint64_t now)
{
    if (rate->seen == 0 || over(rate, now)) {
        rate->window_ns = now;
        rate->seen = 0;
    }
    if (rate->seen < RATE_EVENTS_MAX) {
        rate->seen++;
        return true;
    }
    rate->suppressed++;
    return false;
}

bool rate_take_suppressed(struct rates *rates, uint64_t now, struct rate *taken)
{
    for (struct rate *rate = rates->pairs; rate < rates->pairs + RATE_PAIRS_MAX; rate++) {
        if (rate->suppressed == 0 || !over(rate, now))
            continue;
        *taken = *rate;
        rate->suppressed = 0;
        rate->first[0] = '\0';
        return true;
    }
    return false;
}
