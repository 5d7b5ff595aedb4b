/* SPDX-License-Identifier: Apache-2.0 */
#include "store/stale.h"

#include "store/rebuild.h"
#include "store/walk.h"

/* Whether a later attempt of the layer has steps of the lineage up to `until`. */
static int has_later(struct db *db, const struct run_row *run,
                     const struct layer_row *layer, int64_t until,
                     struct failure *failure)
{
    struct layer_key key = layer->key;
    int64_t from, to;

    while (key.attempt < (int64_t)run->attempts) {
        struct layer_row later;

        key.attempt++;
        int found = find_layer(db, &key, &later, failure);

        if (found < 0)
            return -1;
        if (found == 1 && visible_steps(run, 0, &later, &from, &to) && from <= until &&
            later.step_min <= until)
            return 1;
    }
    return 0;
}

int newest_in_row(struct db *db, const struct run_row *run, const struct layer_row *layer,
                  int64_t until, int64_t *step, struct failure *failure)
{
    int64_t from, to;

    if (!visible_steps(run, 0, layer, &from, &to) || layer->step_min > until)
        return 0;
    int later = has_later(db, run, layer, until, failure);

    if (later != 0)
        return later < 0 ? -1 : 0;
    to = to < until ? to : until;
    *step = layer->step_max;
    if (to < *step && find_newest_step(db, layer, to, step, failure))
        return -1;
    return 1;
}

int find_staleness(struct db *db, const struct health_rules *rules,
                   const struct layer_row *layer, int64_t step, int64_t now_unix_ns,
                   struct trit_health_reason *reason, struct failure *failure)
{
    struct past_row past;

    if (past_read_or_make(db, layer, &past, failure))
        return -1;
    return health_is_stale(rules, &past.past, (uint64_t)step, now_unix_ns, reason);
}

int64_t became_stale_ns(const struct health_rules *rules, const struct health_past *past,
                        int64_t now_unix_ns)
{
    int64_t at = health_stale_ns(rules, past, TRIT_HEALTH_FAILING);

    if (at > now_unix_ns)
        at = health_stale_ns(rules, past, TRIT_HEALTH_WARNING);
    return at > now_unix_ns ? INT64_MIN : at;
}
