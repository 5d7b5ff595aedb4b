/* SPDX-License-Identifier: Apache-2.0 */
/* Queries of many reports. */
#include <string.h>

#include "store/listing_beside.h"
#include "store/scan.h"
#include "store/stale.h"

/* The newest visible step of the layer in the range of the query. 1: *from and *to are set
 * to it. */
static int latest_step(struct listing *listing, const struct layer_row *layer,
                       int64_t *from, int64_t *to, struct failure *failure)
{
    const struct store_query *query = listing->query;
    const int64_t until =
        query->step_to < INT64_MAX ? (int64_t)query->step_to : INT64_MAX;

    if (resumes_in(query, layer) || layer->step_min > until)
        return 0;
    if (query->attempt == 0) {
        int newest = newest_in_row(listing->db, &listing->run, layer, until, to, failure);

        if (newest <= 0)
            return newest;
    } else if (find_newest_step(listing->db, layer, until < *to ? until : *to, to,
                                failure)) {
        return -1;
    }
    if (*to < *from || (uint64_t)*to < query->step_from)
        return 0;
    *from = *to;
    return 1;
}

/* The range of steps that the query wants of this layer. 0: none. */
static int steps_of(struct listing *listing, const struct layer_row *layer, int64_t *from,
                    int64_t *to, struct failure *failure)
{
    const struct store_query *query = listing->query;
    const struct store_key *after = query->after;
    uint64_t first = query->step_from, last = query->step_to;

    if (!listing->readable ||
        (!query->all_replicas && layer->key.replica != query->replica) ||
        !visible_steps(&listing->run, query->attempt, layer, from, to))
        return 0;
    if (query->latest_only)
        return latest_step(listing, layer, from, to, failure);
    if (after && strcmp(after->run, layer->key.run) == 0 &&
        strcmp(after->layer, layer->key.layer) == 0) {
        if (query->newest_first ? after->step == 0 : after->step >= INT64_MAX)
            return 0;
        if (query->newest_first)
            last = last < after->step - 1 ? last : after->step - 1;
        else
            first = first > after->step + 1 ? first : after->step + 1;
    }
    if (first > INT64_MAX)
        return 0;
    *from = *from > (int64_t)first ? *from : (int64_t)first;
    *to = last < (uint64_t)*to ? (int64_t)last : *to;
    return *from <= *to;
}

/* Before its reports are walked: whether the layer is stale. It costs a few reads, so it is
 * not looked up for steps that do not include the newest. */
static int note_staleness(struct listing *listing, const struct layer_row *layer,
                          int64_t from, int64_t to, struct failure *failure)
{
    int found = 0;

    if (listing->query->now_unix_ns != 0)
        found = newest_in_row(listing->db, &listing->run, layer, INT64_MAX,
                              &listing->newest, failure);
    /* If the damaged report is in the range, the walk fails. */
    if (found < 0 && damage_is_of_rows(listing->db, failure))
        found = 0;
    if (found == 1 && (listing->newest < from || listing->newest > to))
        found = 0;
    if (found == 1)
        found =
            find_staleness(listing->db, &listing->reader->rules, layer, listing->newest,
                           listing->query->now_unix_ns, &listing->why, failure);
    listing->is_stale = found == 1;
    return found < 0 ? -1 : 0;
}

/* ---- layers ---------------------------------------------------------------- */

static int list_steps(struct listing *listing, const struct layer_row *layer,
                      struct failure *failure)
{
    const struct store_query *query = listing->query;
    struct report_walk walk = {
        .layer = layer,
        .backwards = query->newest_first || query->latest_only,
        .visit = list_report,
        .arg = listing,
    };
    int wanted = steps_of(listing, layer, &walk.from, &walk.to, failure);

    if (wanted <= 0)
        return wanted < 0 ? -1 : 1;
    if (note_staleness(listing, layer, walk.from, walk.to, failure) &&
        !(query->passed && damage_is_of_rows(listing->db, failure)))
        return -1;
    return query->passed && !query->latest_only
               ? list_damaged_layer(listing, layer, walk.from, walk.to, failure)
               : walk_reports(listing->db, &walk, failure);
}

/* Reads the row of the run, if it is another one than that of the last layer. */
static int enter_run(struct listing *listing, const char *run, struct failure *failure)
{
    if (strcmp(listing->run.run, run) == 0)
        return 0;
    const int found = find_readable_run(listing->db, run, &listing->run, failure);

    listing->readable = found == 1;
    listing->lost = found < 0;
    if (found >= 0)
        return 0;
    if (!listing->query->passed || !damage_is_of_rows(listing->db, failure))
        return -1;
    listing->run = (struct run_row){.attempts = 0};
    strcpy(listing->run.run, run);
    return 0;
}

static int list_lost_layer(void *arg, const struct layer_key *key,
                           struct failure *failure)
{
    struct listing *listing = arg;

    return enter_run(listing, key->run, failure) ? -1 : pass_layer(listing, key, failure);
}

static int list_layer(void *arg, const struct layer_row *layer, struct failure *failure)
{
    struct listing *listing = arg;
    const struct store_query *query = listing->query;

    if (query->layer && query->layer[0] && strcmp(query->layer, layer->key.layer) != 0)
        return 1;
    if (enter_run(listing, layer->key.run, failure))
        return -1;
    if (listing->lost)
        return pass_layer(listing, &layer->key, failure);
    const int outcome = list_steps(listing, layer, failure);

    /* Of the newest report nothing was visited before the damage was met. */
    return outcome < 0 && query->passed && query->latest_only &&
                   damage_is_of_rows(listing->db, failure)
               ? pass_latest(listing, layer, failure)
               : outcome;
}

/* Lists one row of a layer, if there is one. */
static int list_attempt(struct listing *listing, const struct layer_key *key,
                        struct layer_row *layer, struct failure *failure)
{
    int found = find_layer(listing->db, key, layer, failure);

    if (found == 1)
        return list_layer(listing, layer, failure);
    if (found == 0)
        return 1;
    if (!listing->query->passed || !damage_is_of_rows(listing->db, failure))
        return -1;
    found = scan_has_layer(listing->db, key, failure);
    return found == 1 ? pass_layer(listing, key, failure) : found == 0 ? 1 : -1;
}

/* Lists one layer, attempt after attempt. */
static int list_one_layer(struct listing *listing, struct failure *failure)
{
    const struct store_query *query = listing->query;
    struct layer_key key;
    int found = find_readable_run(listing->db, query->run, &listing->run, failure);

    if (found <= 0)
        return found;
    listing->readable = true;
    layer_key_set(&key, query->run, query->layer);
    key.replica = query->replica;
    for (uint32_t i = 0; i < listing->run.attempts; i++) {
        struct layer_row layer;

        key.attempt = query->newest_first ? listing->run.attempts - i : i + 1;
        found = list_attempt(listing, &key, &layer, failure);
        if (found <= 0)
            return found;
    }
    return 1;
}

/* Whether `after` is beyond the layer that the query names. */
static bool is_past(const struct store_query *query)
{
    struct layer_key last, key;

    if (!query->after)
        return false;
    layer_key_set(&last, query->after->run, query->after->layer);
    layer_key_set(&key, query->run, query->layer);
    int past = layer_key_compare(&key, &last);

    return query->newest_first ? past > 0 : past < 0;
}

/* Where the walk begins: at one end of the run or of all, or at `after`. */
static struct layer_key start_of(const struct store_query *query, bool one_run)
{
    const char *end = query->newest_first ? NAME_BEHIND_ALL : "";
    struct layer_key start, resume;

    layer_key_set(&start, one_run ? query->run : end, end);
    start.replica = query->newest_first ? INT64_MAX : 0;
    start.attempt = query->newest_first ? INT64_MAX : 0;
    if (!query->after)
        return start;
    layer_key_set(&resume, query->after->run, query->after->layer);
    resume.replica = start.replica;
    resume.attempt = start.attempt;
    int past = layer_key_compare(&resume, &start);

    return (query->newest_first ? past < 0 : past > 0) ? resume : start;
}

static bool see_waiting(void *arg, const struct trit_report *report)
{
    (void)report;
    *(bool *)arg = true;
    return false;
}

int store_check_listed(struct store_reader *reader, const struct store_query *query,
                       struct failure *failure)
{
    const bool has_layer = query->layer && query->layer[0];
    const struct store_query waiting = {
        .run = query->run, .layer = query->layer, .step_to = UINT64_MAX, .limit = 1};
    const struct store_get get = {.run = query->run,
                                  .layer = query->layer,
                                  .attempt = query->attempt,
                                  .replica = query->replica};
    struct failure missing = {.status = TRIT_OK};
    struct store_run_info run;
    struct trit_report report;
    bool waits = false;

    if (!query->run || !query->run[0])
        return 0;
    if ((has_layer
             ? store_read_report(reader, &get, &report, &missing)
             : store_read_run(reader, query->run, query->attempt, &run, &missing)) == 0 ||
        missing.status != TRIT_NOT_FOUND)
        return 0;
    if (store_read_waiting(reader, &waiting, see_waiting, &waits, failure))
        return -1;
    return waits ? 0 : fail_as(failure, &missing);
}

int store_read_reports(struct store_reader *reader, const struct store_query *query,
                       bool (*visit)(void *arg, const struct trit_report *report),
                       void *arg, struct failure *failure)
{
    struct listing listing = {.reader = reader,
                              .db = &reader->db,
                              .query = query,
                              .visit = visit,
                              .arg = arg,
                              .left = query->limit};
    bool one_run = query->run && query->run[0];
    bool one_layer = one_run && query->layer && query->layer[0];
    const struct layer_walk walk = {.start = start_of(query, one_run),
                                    .backwards = query->newest_first,
                                    .run = one_run ? query->run : NULL,
                                    .visit = list_layer,
                                    .damaged = query->passed ? list_lost_layer : NULL,
                                    .arg = &listing};

    if (query->limit == 0 || (one_layer && is_past(query)))
        return 0;
    if (begin_read(&reader->db, failure))
        return -1;
    int outcome = one_layer ? list_one_layer(&listing, failure)
                            : walk_layers(&reader->db, &walk, failure);

    end_read(&reader->db);
    return outcome < 0 ? -1 : 0;
}
