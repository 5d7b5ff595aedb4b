/* SPDX-License-Identifier: Apache-2.0 */
#include "store/retain_waiting.h"

#include "base/clock.h"
#include "store/scan.h"
#include "store/statements.h"
#include "store/waiting.h"

struct judging {
    struct db *db;
    const struct store_retention *rules;
    int64_t now_ns;
    struct failure *failure;
    bool failed;
};

static int pass_later(void *arg, const struct scanned *row, struct failure *failure)
{
    int64_t *left = arg;

    (void)row;
    (void)failure;
    return --*left > 0;
}

/* Whether the layer has `count` reports of later steps. */
static bool is_behind(struct judging *judging, const struct waiting *waiting,
                      uint64_t count)
{
    int64_t left = count > INT64_MAX ? INT64_MAX : (int64_t)count;
    const struct scan scan = {.key = &waiting->key,
                              .from = waiting->step + 1,
                              .visit = pass_later,
                              .arg = &left};

    judging->failed =
        judging->failed || scan_reports(judging->db, &scan, judging->failure) < 0;
    return left <= 0;
}

static bool has_to_go(void *arg, const struct waiting *waiting)
{
    struct judging *judging = arg;
    bool go = false;

    for (size_t i = 0; i < judging->rules->count && !go && !judging->failed; i++) {
        const struct store_rule *rule = &judging->rules->rules[i];

        if (rule->kind == STORE_RETAIN_AGE)
            go = waiting->time_unix_ns < judging->now_ns - (int64_t)rule->value;
        else if (rule->kind == STORE_RETAIN_COUNT || rule->kind == STORE_RETAIN_THIN)
            go = is_behind(judging, waiting, rule->value);
    }
    return go;
}

int retain_waiting(struct db *db, const struct store_retention *rules, size_t max,
                   struct failure *failure)
{
    struct judging judging = {
        .db = db, .rules = rules, .now_ns = clock_unix_ns(), .failure = failure};
    int dropped = waiting_drop(db, max, has_to_go, &judging, failure);

    return judging.failed ? -1 : dropped;
}

static bool is_older(void *arg, const struct waiting *waiting)
{
    const int64_t *oldest = arg;

    return *oldest == 0 || waiting->time_unix_ns < *oldest;
}

int retain_oldest_waiting(struct db *db, struct failure *failure)
{
    int64_t oldest = statement_number(db, ST_TIME_OLDEST);

    return waiting_drop(db, 1, is_older, &oldest, failure);
}
