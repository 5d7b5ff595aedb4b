/* SPDX-License-Identifier: Apache-2.0 */
/* Queries of layers whose shards have not all come. */
#include <string.h>

#include "store/reader.h"
#include "store/waiting.h"

static int64_t bounded(uint64_t step)
{
    return step > INT64_MAX ? INT64_MAX : (int64_t)step;
}

struct listing {
    struct db *db;
    const struct store_query *query;
    bool (*visit)(void *arg, const struct trit_report *report);
    void *arg;
    uint32_t left;
};

/* An empty name matches all. */
static bool matches(const char *wanted, const char *name)
{
    return !wanted || wanted[0] == '\0' || strcmp(wanted, name) == 0;
}

static int list_waiting(void *arg, const struct waiting *waiting, struct failure *failure)
{
    struct listing *listing = arg;
    const struct store_query *query = listing->query;
    struct trit_report report;

    if (!matches(query->run, waiting->key.run) ||
        !matches(query->layer, waiting->key.layer) ||
        (query->attempt != 0 && query->attempt != waiting->key.attempt) ||
        (uint64_t)waiting->step < query->step_from ||
        (uint64_t)waiting->step > query->step_to)
        return 1;
    if (waiting_report(listing->db, waiting, &report, failure))
        return -1;
    listing->left--;
    return listing->visit(listing->arg, &report) && listing->left > 0;
}

int store_read_waiting(struct store_reader *reader, const struct store_query *query,
                       bool (*visit)(void *arg, const struct trit_report *report),
                       void *arg, struct failure *failure)
{
    struct listing listing = {.db = &reader->db,
                              .query = query,
                              .visit = visit,
                              .arg = arg,
                              .left = query->limit};
    struct layer_key after = {.run = "", .attempt = -1};
    int64_t step = -1;

    if (query->limit == 0)
        return 0;
    if (query->after) {
        layer_key_set(&after, query->after->run, query->after->layer);
        after.replica = query->after->replica;
        after.attempt = query->after->attempt;
        step = bounded(query->after->step);
    } else if (query->run) {
        layer_key_set(&after, query->run, "");
    }
    if (begin_read(&reader->db, failure))
        return -1;
    int result = waiting_walk(&reader->db, &after, step, list_waiting, &listing, failure);

    end_read(&reader->db);
    return result;
}
