/* SPDX-License-Identifier: Apache-2.0 */
/* When a failed exchange is tried again, by the rules of gRPC's retry policy (gRFC A6). Only
 * arithmetic: call.c keeps the attempts and waits. */
#ifndef LIB_RETRY_H
#define LIB_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include <trit.h>

#include "base/status.h"

enum {
    RETRY_ATTEMPTS_DEFAULT = 5,
    RETRY_ATTEMPTS_MAX = 1000,
    RETRY_TOKENS_MAX = 1000,
    RETRY_INITIAL_MS_DEFAULT = 100,
    RETRY_MAX_MS_DEFAULT = 10 * 1000,
    RETRY_BACKOFF_MS_MAX = 24 * 60 * 60 * 1000,
};

struct retry_policy {
    uint32_t attempts_max; /* with the first one; 1: no retry */
    double initial_ms, max_ms, multiplier;
    double jitter; /* a pause is this share shorter or longer, at random */
    double tokens_max, token_ratio; /* 0 tokens: no throttling */
};

/* The tokens of a client, which its calls share. Thread-safe. */
struct throttle {
    uint32_t max, ratio; /* in thousandths of a token; max 0: no throttling */
    _Atomic uint32_t tokens;
};
void throttle_init(struct throttle *throttle, const struct retry_policy *policy);
/* An attempt failed. Whether it may be tried again. */
bool throttle_failed(struct throttle *throttle);
void throttle_succeeded(struct throttle *throttle);

/* Never tries again. */
extern const struct retry_policy retry_none;
/* Pauses between attempts to connect, of calls that wait for the daemon. */
extern const struct retry_policy retry_connect;

/* Reads the caller's policy; NULL is retry_none. INVALID_ARGUMENT: a member is out of its
 * range; `field` names the policy. */
int retry_policy_take(const char *field, const struct trit_retry_policy *given,
                      struct retry_policy *policy, struct failure *failure);

/* The pause before a retry: `number` 1 is the first one; `random` is in [0, 1). */
uint64_t retry_pause_ns(const struct retry_policy *policy, uint32_t number,
                        double random);

/* A number in [0, 1) from the kernel. */
double retry_random(void);

#endif
