/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the layers that became stale in a span of time. */
#include <stdlib.h>
#include <string.h>

#include "store/reader.h"
#include "store/rebuild.h"
#include "store/stale.h"

struct search {
    struct store_reader *reader;
    const struct store_stale_query *query;
    struct run_row run; /* of the layer that is visited */
    bool readable;
    bool (*visit)(void *arg, int64_t since_unix_ns, const struct trit_report *report);
    void *arg;
};

/* 1: go on. 0: stop. */
static int tell(struct search *search, const struct layer_row *layer, int64_t since,
                const struct trit_health_reason *reason, struct failure *failure)
{
    struct trit_report report;
    struct report_row row;
    int found = find_report(&search->reader->db, layer, (int64_t)reason->since_step, &row,
                            failure);

    /* Of a damaged report only queries that ask for it fail. */
    if (found < 0)
        return damage_is_of_rows(&search->reader->db, failure) ? 1 : -1;
    if (found == 0)
        found = 1;
    else if (read_report_row(&row, &search->run, &report, failure))
        found = -1;
    else {
        health_add(&report, reason);
        found = search->visit(search->arg, since, &report);
    }
    report_row_release(&row);
    return found;
}

static int look_at(void *arg, const struct layer_row *layer, struct failure *failure)
{
    struct search *search = arg;
    const struct store_stale_query *query = search->query;
    struct db *db = &search->reader->db;
    struct trit_health_reason reason;
    struct past_row past;
    int64_t step, since;

    if (strcmp(search->run.run, layer->key.run) != 0) {
        int found = find_readable_run(db, layer->key.run, &search->run, failure);

        if (found < 0)
            return -1;
        search->readable = found == 1;
    }
    if (!search->readable)
        return 1;
    int newest = newest_in_row(db, &search->run, layer, INT64_MAX, &step, failure);

    /* Of a damaged report only queries that ask for it fail. */
    if (newest < 0 && !damage_is_of_rows(db, failure))
        return -1;
    if (newest <= 0)
        return 1;
    if (past_read_or_make(db, layer, &past, failure))
        return damage_is_of_rows(db, failure) ? 1 : -1;
    since = became_stale_ns(&search->reader->rules, &past.past, query->now_unix_ns);
    if (since <= query->after_unix_ns ||
        !health_is_stale(&search->reader->rules, &past.past, (uint64_t)step,
                         query->now_unix_ns, &reason))
        return 1;
    return tell(search, layer, since, &reason, failure);
}

/* A layer whose row is damaged takes no report: it is not told that none comes. */
static int pass_damaged(void *arg, const struct layer_key *key, struct failure *failure)
{
    (void)arg, (void)key, (void)failure;
    return 1;
}

static int search_layers(struct search *search, struct failure *failure)
{
    const struct store_stale_query *query = search->query;
    const bool one_run = query->run && query->run[0];
    struct layer_walk walk = {.run = one_run ? query->run : NULL,
                              .visit = look_at,
                              .damaged = pass_damaged,
                              .arg = search};

    layer_key_set(&walk.start, one_run ? query->run : "", "");
    if (query->after) {
        layer_key_set(&walk.start, query->after->run, query->after->layer);
        walk.start.replica = query->after->replica;
        walk.start.attempt = INT64_MAX; /* nothing more of that layer and replica */
    }
    return walk_layers(&search->reader->db, &walk, failure);
}

int store_read_stale(struct store_reader *reader, const struct store_stale_query *query,
                     bool (*visit)(void *arg, int64_t since_unix_ns,
                                   const struct trit_report *report),
                     void *arg, struct failure *failure)
{
    struct search *search = calloc(1, sizeof(*search));
    int outcome = -1;

    if (!search)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory for the query");
    search->reader = reader;
    search->query = query;
    search->visit = visit;
    search->arg = arg;
    if (begin_read(&reader->db, failure) == 0) {
        outcome = search_layers(search, failure);
        end_read(&reader->db);
    }
    free(search);
    return outcome < 0 ? -1 : 0;
}
