/* SPDX-License-Identifier: Apache-2.0 */
/* Queries of runs: their sums. */
#include <string.h>

#include "store/reader.h"

/* The run whose layers are being visited, with sums so far. */
struct summary {
    struct db *db;
    uint32_t attempt;           /* 0: the lineage; otherwise only its reports count */
    struct store_run_info info; /* run NULL before the first */
    struct run_row run;
    bool readable, lost;                 /* lost: its row is damaged */
    char layer[TRIT_NAME_BYTES_MAX + 2]; /* the last one that was counted */
    bool (*visit)(void *arg, const struct store_run_info *info);
    void *arg;
};

static int begin_run(struct summary *summary, const char *run, struct failure *failure)
{
    int found = find_readable_run(summary->db, run, &summary->run, failure);

    /* A query of this run alone fails: its attempts are not known. */
    summary->lost =
        found < 0 && summary->visit && damage_is_of_rows(summary->db, failure);
    if (summary->lost) {
        summary->run = (struct run_row){.attempts = 0};
        strcpy(summary->run.run, run);
        found = 1;
    }
    summary->readable = found == 1;
    summary->layer[0] = '\0';
    summary->info = (struct store_run_info){.run = summary->run.run,
                                            .attempt = summary->run.attempts,
                                            .time_unix_ns = INT64_MIN};
    return found < 0 ? -1 : 0;
}

/* The layer and its steps, as far as they belong to the attempt or the lineage. */
static int add_steps(struct summary *summary, const struct layer_row *layer,
                     struct failure *failure)
{
    struct store_run_info *info = &summary->info;
    int64_t from, to;

    if (!visible_steps(&summary->run, summary->attempt, layer, &from, &to))
        return 0;
    if (strcmp(summary->layer, layer->key.layer) != 0)
        info->layers++;
    memcpy(summary->layer, layer->key.layer, sizeof(summary->layer));
    /* If the newest report is damaged, it is of step `to` or an earlier one. */
    if (find_newest_step(summary->db, layer, to, &to, failure) &&
        !damage_is_of_rows(summary->db, failure))
        return -1;
    if (!info->has_steps || (uint64_t)layer->step_min < info->step_min)
        info->step_min = (uint64_t)layer->step_min;
    if (!info->has_steps || (uint64_t)to > info->step_max)
        info->step_max = (uint64_t)to;
    info->has_steps = true;
    return 0;
}

/* 1: *counts says whether the layer counts. 0: stop. */
static int enter(struct summary *summary, const struct layer_key *key, bool *counts,
                 struct failure *failure)
{
    struct store_run_info *info = &summary->info;

    if (!info->run || strcmp(info->run, key->run) != 0) {
        if (info->run && summary->readable && !summary->visit(summary->arg, info))
            return 0;
        if (begin_run(summary, key->run, failure))
            return -1;
    }
    *counts =
        summary->readable && (!summary->attempt || key->attempt == summary->attempt);
    return 1;
}

static int sum_damaged(void *arg, const struct layer_key *key, struct failure *failure)
{
    struct summary *summary = arg;
    bool counts = false;
    const int go_on = enter(summary, key, &counts, failure);

    if (!counts)
        return go_on;
    summary->info.damaged++;
    if (strcmp(summary->layer, key->layer) != 0)
        summary->info.layers++;
    memcpy(summary->layer, key->layer, sizeof(summary->layer));
    return 1;
}

static int sum_layer(void *arg, const struct layer_row *layer, struct failure *failure)
{
    struct summary *summary = arg;
    struct store_run_info *info = &summary->info;
    bool counts = false;
    const int go_on = enter(summary, &layer->key, &counts, failure);

    if (!counts)
        return go_on;
    if (summary->lost)
        return sum_damaged(arg, &layer->key, failure);
    info->reports += (uint64_t)layer->reports;
    if (layer->time_unix_ns > info->time_unix_ns)
        info->time_unix_ns = layer->time_unix_ns;
    return add_steps(summary, layer, failure) ? -1 : 1;
}

int store_read_runs(struct store_reader *reader,
                    bool (*visit)(void *arg, const struct store_run_info *info),
                    void *arg, struct failure *failure)
{
    struct summary summary = {.db = &reader->db, .visit = visit, .arg = arg};
    const struct layer_walk walk = {
        .visit = sum_layer, .damaged = sum_damaged, .arg = &summary};

    if (begin_read(&reader->db, failure))
        return -1;
    int outcome = walk_layers(&reader->db, &walk, failure);

    end_read(&reader->db);
    if (outcome > 0 && summary.info.run && summary.readable)
        visit(arg, &summary.info);
    return outcome < 0 ? -1 : 0;
}

int store_read_run(struct store_reader *reader, const char *run, uint32_t attempt,
                   struct store_run_info *info, struct failure *failure)
{
    struct summary summary = {.db = &reader->db, .attempt = attempt};
    struct layer_walk walk = {
        .run = run, .visit = sum_layer, .damaged = sum_damaged, .arg = &summary};

    *info = (struct store_run_info){0};
    layer_key_set(&walk.start, run, "");
    if (begin_read(&reader->db, failure))
        return -1;
    int outcome = walk_layers(&reader->db, &walk, failure);

    end_read(&reader->db);
    if (outcome < 0)
        return -1;
    if (!summary.info.run || !summary.readable)
        return fail(failure, TRIT_NOT_FOUND, "run", "no run \"%s\"", run);
    if (run_check_attempt(&summary.run, attempt, failure))
        return -1;
    *info = summary.info;
    info->run = run;
    return 0;
}
