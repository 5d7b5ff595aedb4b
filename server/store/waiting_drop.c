/* SPDX-License-Identifier: Apache-2.0 */
/* Shards that wait and are given up; and a report of those that still wait. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "proto/finding.h"
#include "store/statements.h"
#include "store/store.h"
#include "store/waiting.h"

/* ---- giving up -------------------------------------------------------------------- */

struct choice {
    bool (*chosen)(void *arg, const struct waiting *waiting);
    void *arg;
    struct layer_key key;
    int64_t step;
    bool found;
};

static int choose(void *arg, const struct waiting *waiting, struct failure *failure)
{
    struct choice *choice = arg;

    (void)failure;
    choice->key = waiting->key;
    choice->step = waiting->step;
    choice->found = choice->chosen(choice->arg, waiting);
    return !choice->found;
}

int waiting_drop(struct db *db, size_t max,
                 bool (*chosen)(void *arg, const struct waiting *waiting), void *arg,
                 struct failure *failure)
{
    struct choice choice = {.chosen = chosen, .arg = arg, .step = -1};
    int dropped = 0;

    while (db->waiting.layers > 0 && (size_t)dropped < max) {
        struct waiting waiting;

        choice.found = false;
        const struct layer_key after = choice.key;

        if (waiting_walk(db, &after, choice.step, choose, &choice, failure))
            return -1;
        if (!choice.found)
            return dropped;
        int found = waiting_find(db, &choice.key, choice.step, &waiting, failure);

        if (found <= 0)
            return found < 0 ? -1 : dropped;
        found = waiting_delete(db, &waiting, failure);
        waiting_fini(&waiting);
        if (found)
            return -1;
        dropped++;
    }
    return dropped;
}

int waiting_drop_damaged(struct db *db, const char *run, const char *layer, int64_t from,
                         int64_t to, struct failure *failure)
{
    sqlite3_stmt *delete = statement(db, ST_SHARDS_DELETE_OF, failure);

    if (!delete)
        return -1;
    int bound = db_bind_text(delete, 1, run) | db_bind_text(delete, 2, layer) |
                db_bind_i64(delete, 3, from) | db_bind_i64(delete, 4, to);

    if (db_run_bound(db, delete, bound, failure))
        return -1;
    const int count = sqlite3_changes(db->sqlite);

    return waiting_sum(db, failure) ? -1 : count;
}

struct older {
    const char *run;
    int64_t attempt;
};

static bool is_older(void *arg, const struct waiting *waiting)
{
    const struct older *older = arg;

    return strcmp(waiting->key.run, older->run) == 0 &&
           waiting->key.attempt < older->attempt;
}

int waiting_drop_older(struct db *db, const char *run, int64_t attempt,
                       struct failure *failure)
{
    struct older older = {run, attempt};

    return waiting_drop(db, SIZE_MAX, is_older, &older, failure) < 0 ? -1 : 0;
}

/* ---- a report --------------------------------------------------------------------- */

struct summing {
    struct trit_report *report;
    struct shard_found found;
    bool packed;
};

static int add_part(void *arg, size_t index, const struct waiting_part *part,
                    struct failure *failure)
{
    struct summing *summing = arg;

    (void)failure;
    if (index == 0) {
        summing->packed = part->state.terms[SHARD_METHOD] == STORE_METHOD_VERIFY &&
                          part->state.terms[SHARD_ENCODING] != TRIT_ENCODING_DENSE;
        summing->report->dtype = (enum trit_dtype)part->state.terms[SHARD_DTYPE];
        summing->report->group_size = (uint32_t)part->state.terms[SHARD_GROUP_SIZE];
    }
    shard_found_add(&summing->found, &part->state.box, &part->state.found);
    return 1;
}

static uint32_t clamp(uint64_t count)
{
    return count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
}

static void add_missing(struct trit_report *report, const struct waiting *waiting)
{
    struct trit_finding *finding = report_find(report, TRIT_FINDING_SHARDS_MISSING);
    const uint64_t expected = shard_list_expected(&waiting->list);

    report->shards_present = (uint32_t)waiting->list.count;
    report->shards_expected = clamp(expected);
    if (!finding)
        return;
    finding->has_count = true;
    finding->count = expected - waiting->list.count;
    snprintf(finding->expected, sizeof(finding->expected), "%" PRIu64 " shards",
             expected);
    snprintf(finding->got, sizeof(finding->got), "%zu shards", waiting->list.count);
    snprintf(finding->hint, sizeof(finding->hint),
             "%zu of %" PRIu64 " shards are here; the layer is judged when all have come",
             waiting->list.count, expected);
}

/* What is wrong with the shards that are here is wrong with the layer. */
static void add_errors(struct trit_report *report, const struct shard_found *found,
                       bool packed)
{
    struct trit_finding *finding = NULL;

    if (found->counts.non_finite > 0 && !packed &&
        (finding = report_find(report, TRIT_FINDING_NON_FINITE))) {
        finding->has_index = finding->has_count = true;
        finding->index = found->counts.first_non_finite;
        finding->count = found->counts.non_finite;
    }
    if (found->check.invalid.count > 0 &&
        (finding = report_find(report, packed ? TRIT_FINDING_CODE_OUT_OF_RANGE
                                              : TRIT_FINDING_NOT_TERNARY))) {
        finding->has_index = finding->has_count = true;
        finding->index = found->check.invalid.first;
        finding->count = found->check.invalid.count;
    }
}

static void take_counts(struct trit_report *report, const struct ternary_counts *counts)
{
    report->negatives = counts->negatives;
    report->zeros = counts->zeros;
    report->positives = counts->positives;
    report->zero_groups = counts->zero_groups;
    report->non_finite = counts->non_finite;
}

int waiting_report(struct db *db, const struct waiting *waiting,
                   struct trit_report *report, struct failure *failure)
{
    const struct shard_box *layer = &waiting->list.entries[0].box;
    struct summing summing = {.report = report};

    *report = (struct trit_report){.step = (uint64_t)waiting->step,
                                   .time_unix_ns = waiting->time_unix_ns,
                                   .attempt = (uint32_t)waiting->key.attempt,
                                   .replica = (uint32_t)waiting->key.replica,
                                   .rank = layer->rank,
                                   .groups = layer->rows * layer->groups_per_row,
                                   .elements = shard_layer_elements(layer),
                                   .has_stored = true,
                                   .stored = true};
    memcpy(report->run, waiting->key.run, sizeof(report->run));
    memcpy(report->layer, waiting->key.layer, sizeof(report->layer));
    memcpy(report->shape, layer->global, sizeof(report->shape));
    shard_found_init(&summing.found);
    if (waiting_parts(db, waiting, add_part, &summing, failure))
        return -1;
    take_counts(report, &summing.found.counts);
    add_errors(report, &summing.found, summing.packed);
    add_missing(report, waiting);
    return 0;
}

int waiting_get(struct db *db, const struct store_get *get, struct trit_report *report,
                struct failure *failure)
{
    const int64_t step = !get->has_step          ? 0
                         : get->step > INT64_MAX ? INT64_MAX
                                                 : (int64_t)get->step;
    struct waiting waiting;
    struct layer_key key;

    layer_key_set(&key, get->run, get->layer);
    key.replica = get->replica;
    key.attempt = get->attempt;
    int found = waiting_find_newest(db, &key, step, get->has_step ? step : INT64_MAX,
                                    &waiting, failure);

    if (found != 1)
        return found;
    found = waiting_report(db, &waiting, report, failure) ? -1 : 1;
    waiting_fini(&waiting);
    return found;
}
