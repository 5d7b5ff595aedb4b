/* SPDX-License-Identifier: Apache-2.0 */
/* A reader has its own connection, which cannot write. Each function is one transaction,
 * so it sees one consistent state. walk.h checks that rows are intact and that none is
 * missing. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/path.h"
#include "store/statements.h"
#include "store/store.h"
#include "store/walk.h"

struct store_reader {
    struct db db;
};

int store_reader_open(struct store_reader **reader, struct store *store,
                      struct failure *failure)
{
    struct store_reader *r = calloc(1, sizeof(*r));

    if (!r)
        return fail(failure, TRIT_UNAVAILABLE, NULL, "store reader: out of memory");
    if (db_open(&r->db, store_path(store), DB_READS, failure)) {
        free(r);
        return fail_context(failure, "store reader");
    }
    *reader = r;
    return 0;
}

void store_reader_close(struct store_reader *reader)
{
    if (!reader)
        return;
    db_close(&reader->db);
    free(reader);
}

/* Until end_read, all reads see the state as it is now. */
static int begin_read(struct db *db, struct failure *failure)
{
    return statement_run(db, ST_BEGIN_READ, failure);
}

static void end_read(struct db *db)
{
    struct failure ignored = {0};

    statement_run(db, ST_ROLLBACK, &ignored);
}

/* ---- one report ------------------------------------------------------------ */

/* Tells whether the run or the layer is missing. `next` is the layer after the missing
 * one. */
static int layer_not_found(const struct layer_key *key, const struct layer_row *next,
                           struct failure *failure)
{
    bool run =
        strcmp(next->key.run, key->run) == 0 || strcmp(next->previous.run, key->run) == 0;

    return run ? fail(failure, TRIT_NOT_FOUND, "layer", "no layer \"%s\" in run \"%s\"",
                      key->layer, key->run)
               : fail(failure, TRIT_NOT_FOUND, "run", "no run \"%s\"", key->run);
}

static int step_not_found(const struct layer_key *key, uint64_t step,
                          struct failure *failure)
{
    return fail(failure, TRIT_NOT_FOUND, "step",
                "no report at step %" PRIu64 " of layer \"%s\" in run \"%s\"", step,
                key->layer, key->run);
}

static int decode(void *arg, const struct report_row *row, struct failure *failure)
{
    return report_row_decode(row, arg, failure) ? -1 : 0;
}

static int read_latest(struct db *db, const struct layer_row *layer,
                       struct trit_report *report, struct failure *failure)
{
    const struct report_walk walk = {
        .layer = layer,
        .from = layer->step_max,
        .to = INT64_MAX,
        .backwards = true,
        .visit = decode,
        .arg = report,
    };

    return walk_reports(db, &walk, failure);
}

static int read_step(struct db *db, const struct layer_row *layer, uint64_t step,
                     struct trit_report *report, struct failure *failure)
{
    struct report_row row;

    if (step > INT64_MAX)
        return step_not_found(&layer->key, step, failure);
    int found = find_report(db, layer, (int64_t)step, &row, failure);

    if (found < 0)
        return -1;
    int outcome = found ? report_row_decode(&row, report, failure)
                        : step_not_found(&layer->key, step, failure);

    report_row_release(&row);
    return outcome;
}

int store_read_report(struct store_reader *reader, const char *run_name,
                      const char *layer_name, bool has_step, uint64_t step,
                      struct trit_report *report, struct failure *failure)
{
    struct db *db = &reader->db;
    struct layer_row layer;
    struct layer_key key;
    int outcome;

    layer_key_set(&key, run_name, layer_name);
    if (begin_read(db, failure))
        return -1;
    int found = find_layer(db, &key, &layer, failure);

    if (found == 1)
        outcome = has_step ? read_step(db, &layer, step, report, failure)
                           : read_latest(db, &layer, report, failure);
    else
        outcome = found < 0 ? -1 : layer_not_found(&key, &layer, failure);
    end_read(db);
    return outcome;
}

/* ---- many reports ---------------------------------------------------------- */

/* A query that is being answered. */
struct listing {
    struct db *db;
    const struct store_query *query;
    bool (*visit)(void *arg, const struct trit_report *report);
    void *arg;
    uint32_t left; /* reports until the limit */
};

static int list_report(void *arg, const struct report_row *row, struct failure *failure)
{
    struct listing *listing = arg;
    struct trit_report report;

    if (report_row_decode(row, &report, failure))
        return -1;
    listing->left--;
    return listing->visit(listing->arg, &report) && listing->left > 0;
}

/* The range of steps that the query wants of this layer. False: none. */
static bool steps_of(const struct store_query *query, const struct layer_row *layer,
                     int64_t *from, int64_t *to)
{
    const struct store_key *after = query->after;
    uint64_t first = query->step_from;
    uint64_t last = query->step_to < INT64_MAX ? query->step_to : INT64_MAX;
    bool resumes = after && strcmp(after->run, layer->key.run) == 0 &&
                   strcmp(after->layer, layer->key.layer) == 0;

    if (query->latest_only) {
        *from = *to = layer->step_max;
        return !resumes && first <= (uint64_t)layer->step_max &&
               (uint64_t)layer->step_max <= last;
    }
    if (resumes && query->newest_first) {
        if (after->step == 0)
            return false;
        last = last < after->step - 1 ? last : after->step - 1;
    } else if (resumes) {
        if (after->step >= INT64_MAX)
            return false;
        first = first > after->step + 1 ? first : after->step + 1;
    }
    if (first > last)
        return false;
    *from = (int64_t)first;
    *to = (int64_t)last;
    return true;
}

static int list_layer(void *arg, const struct layer_row *layer, struct failure *failure)
{
    struct listing *listing = arg;
    const struct store_query *query = listing->query;
    struct report_walk walk = {
        .layer = layer,
        .backwards = query->newest_first || query->latest_only,
        .visit = list_report,
        .arg = arg,
    };

    if (query->layer && query->layer[0] && strcmp(query->layer, layer->key.layer) != 0)
        return 1;
    if (!steps_of(query, layer, &walk.from, &walk.to))
        return 1;
    return walk_reports(listing->db, &walk, failure);
}

/* Lists one layer, if it exists and comes after `after`. */
static int list_one_layer(struct listing *listing, const struct layer_key *key,
                          struct failure *failure)
{
    const struct store_key *after = listing->query->after;
    struct layer_key last;
    struct layer_row layer;

    if (after) {
        layer_key_set(&last, after->run, after->layer);
        int past = layer_key_compare(key, &last);

        if (listing->query->newest_first ? past > 0 : past < 0)
            return 0;
    }
    int found = find_layer(listing->db, key, &layer, failure);

    return found == 1 ? list_layer(listing, &layer, failure) : found;
}

/* Sorts behind every name, as no UTF-8 text has this byte. */
static const char behind_all[] = "\xff";

/* Begins with the layer of `after`, or with the first layer of the run, or of all. */
static int list_layers(struct listing *listing, const char *run_name,
                       struct failure *failure)
{
    const struct store_query *query = listing->query;
    struct layer_walk walk = {
        .backwards = query->newest_first,
        .run = run_name,
        .visit = list_layer,
        .arg = listing,
    };
    struct layer_key resume;

    if (query->newest_first)
        layer_key_set(&walk.start, run_name ? run_name : behind_all, behind_all);
    else
        layer_key_set(&walk.start, run_name ? run_name : "", "");
    if (query->after) {
        layer_key_set(&resume, query->after->run, query->after->layer);
        int past = layer_key_compare(&resume, &walk.start);

        if (query->newest_first ? past < 0 : past > 0)
            walk.start = resume;
    }
    return walk_layers(listing->db, &walk, failure);
}

int store_read_reports(struct store_reader *reader, const struct store_query *query,
                       bool (*visit)(void *arg, const struct trit_report *report),
                       void *arg, struct failure *failure)
{
    struct listing listing = {.db = &reader->db,
                              .query = query,
                              .visit = visit,
                              .arg = arg,
                              .left = query->limit};
    bool one_run = query->run && query->run[0];
    struct layer_key key;
    int outcome;

    if (query->limit == 0)
        return 0;
    if (begin_read(&reader->db, failure))
        return -1;
    if (one_run && query->layer && query->layer[0]) {
        layer_key_set(&key, query->run, query->layer);
        outcome = list_one_layer(&listing, &key, failure);
    } else {
        outcome = list_layers(&listing, one_run ? query->run : NULL, failure);
    }
    end_read(&reader->db);
    return outcome < 0 ? -1 : 0;
}

/* ---- runs ------------------------------------------------------------------ */

/* The run whose layers are being visited, with sums so far. */
struct summary {
    struct store_run_info info; /* run NULL before the first */
    char run[TRIT_NAME_BYTES_MAX + 2];
    bool (*visit)(void *arg, const struct store_run_info *info);
    void *arg;
};

static int sum_layer(void *arg, const struct layer_row *layer, struct failure *failure)
{
    struct summary *summary = arg;
    struct store_run_info *info = &summary->info;
    bool new_run = !info->run || strcmp(info->run, layer->key.run) != 0;

    (void)failure;
    if (new_run && info->run && !summary->visit(summary->arg, info))
        return 0;
    if (new_run) {
        memcpy(summary->run, layer->key.run, sizeof(summary->run));
        *info = (struct store_run_info){
            .run = summary->run,
            .step_min = (uint64_t)layer->step_min,
            .step_max = (uint64_t)layer->step_max,
            .time_unix_ns = layer->time_unix_ns,
        };
    }
    info->layers++;
    info->reports += (uint64_t)layer->reports;
    if ((uint64_t)layer->step_min < info->step_min)
        info->step_min = (uint64_t)layer->step_min;
    if ((uint64_t)layer->step_max > info->step_max)
        info->step_max = (uint64_t)layer->step_max;
    if (layer->time_unix_ns > info->time_unix_ns)
        info->time_unix_ns = layer->time_unix_ns;
    return 1;
}

int store_read_runs(struct store_reader *reader,
                    bool (*visit)(void *arg, const struct store_run_info *info),
                    void *arg, struct failure *failure)
{
    struct summary summary = {.visit = visit, .arg = arg};
    const struct layer_walk walk = {.visit = sum_layer, .arg = &summary};

    if (begin_read(&reader->db, failure))
        return -1;
    int outcome = walk_layers(&reader->db, &walk, failure);

    end_read(&reader->db);
    if (outcome > 0 && summary.info.run)
        visit(arg, &summary.info);
    return outcome < 0 ? -1 : 0;
}
