/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/retry.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/random.h>

#include "client/lib/sized.h"

const struct retry_policy retry_none = {.attempts_max = 1};
const struct retry_policy retry_connect = {
    .initial_ms = 20, .max_ms = 1000, .multiplier = 1.6, .jitter = 0.2};

static int bad_number(struct failure *failure, const char *field, const char *name,
                      double value, const char *expected)
{
    char path[64];

    snprintf(path, sizeof(path), "%s.%s", field, name);
    return fail_field(failure, TRIT_INVALID_ARGUMENT, path, "%g is not %s", value,
                      expected);
}

static int policy_check(const char *field, const struct retry_policy *policy,
                        struct failure *failure)
{
    if (policy->attempts_max < 2 || policy->attempts_max > RETRY_ATTEMPTS_MAX)
        return bad_number(failure, field, "max_attempts", policy->attempts_max,
                          "in 2 to 1000; without a policy there is one attempt");
    if (policy->initial_ms > RETRY_BACKOFF_MS_MAX)
        return bad_number(failure, field, "initial_backoff_ms", policy->initial_ms,
                          "at most 86400000 (a day)");
    if (policy->max_ms > RETRY_BACKOFF_MS_MAX)
        return bad_number(failure, field, "max_backoff_ms", policy->max_ms,
                          "at most 86400000 (a day)");
    if (!(policy->multiplier > 0) || !isfinite(policy->multiplier))
        return bad_number(failure, field, "multiplier", policy->multiplier,
                          "a finite number above 0");
    if (!(policy->jitter >= 0 && policy->jitter <= 1))
        return bad_number(failure, field, "jitter", policy->jitter, "in 0 to 1");
    if (!(policy->tokens_max >= 0 && policy->tokens_max <= RETRY_TOKENS_MAX))
        return bad_number(failure, field, "max_tokens", policy->tokens_max,
                          "in 0 to 1000; 0 is no throttling");
    if (!(policy->token_ratio >= 0.001 && policy->token_ratio <= RETRY_TOKENS_MAX))
        return bad_number(failure, field, "token_ratio", policy->token_ratio,
                          "in 0.001 to 1000");
    return 0;
}

int retry_policy_take(const char *field, const struct trit_retry_policy *given,
                      struct retry_policy *policy, struct failure *failure)
{
    struct trit_retry_policy o;
    struct retry_policy taken;

    if (!given) {
        *policy = retry_none;
        return 0;
    }
    if (sized_take(&sized_retry_policy, field, given, &o, failure) < 0)
        return -1;
    taken = (struct retry_policy){
        .attempts_max = o.max_attempts ? o.max_attempts : RETRY_ATTEMPTS_DEFAULT,
        .initial_ms = o.initial_backoff_ms ? (double)o.initial_backoff_ms
                                           : RETRY_INITIAL_MS_DEFAULT,
        .max_ms = o.max_backoff_ms ? (double)o.max_backoff_ms : RETRY_MAX_MS_DEFAULT,
        .multiplier = o.multiplier != 0 ? o.multiplier : 2,
        .jitter = o.has_jitter ? o.jitter : 0.2,
        .tokens_max = o.max_tokens,
        .token_ratio = o.token_ratio != 0 ? o.token_ratio : 0.1,
    };
    if (policy_check(field, &taken, failure) < 0)
        return -1;
    *policy = taken;
    return 0;
}

uint64_t retry_pause_ns(const struct retry_policy *policy, uint32_t number, double random)
{
    double pause_ms = policy->initial_ms;

    for (uint32_t i = 1; i < number && pause_ms < policy->max_ms; i++)
        pause_ms *= policy->multiplier;
    if (pause_ms > policy->max_ms)
        pause_ms = policy->max_ms;
    pause_ms *= 1 + policy->jitter * (2 * random - 1);
    return (uint64_t)(pause_ms * 1e6);
}

/* ---- throttling ------------------------------------------------------------------- */

enum { TOKEN = 1000 };

void throttle_init(struct throttle *throttle, const struct retry_policy *policy)
{
    throttle->max = (uint32_t)(policy->tokens_max * TOKEN);
    throttle->ratio = (uint32_t)(policy->token_ratio * TOKEN);
    atomic_init(&throttle->tokens, throttle->max);
}

bool throttle_failed(struct throttle *throttle)
{
    uint32_t tokens = atomic_load(&throttle->tokens), left;

    if (throttle->max == 0)
        return true;
    do
        left = tokens > TOKEN ? tokens - TOKEN : 0;
    while (!atomic_compare_exchange_weak(&throttle->tokens, &tokens, left));
    return left > throttle->max / 2;
}

void throttle_succeeded(struct throttle *throttle)
{
    uint32_t tokens = atomic_load(&throttle->tokens), more;

    do {
        if (tokens == throttle->max)
            return;
        more = throttle->max - tokens > throttle->ratio ? tokens + throttle->ratio
                                                        : throttle->max;
    } while (!atomic_compare_exchange_weak(&throttle->tokens, &tokens, more));
}

double retry_random(void)
{
    uint32_t bits = 0;

    /* Without random bits the pauses are the shortest; nothing else depends on them. */
    if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) < 0)
        bits = 0;
    return bits / 4294967296.0;
}
