/* SPDX-License-Identifier: Apache-2.0 */
#include "store/mend.h"

#include <string.h>

#include "store/codes.h"
#include "store/kept.h"
#include "store/past.h"
#include "store/question.h"
#include "store/run.h"
#include "store/scan.h"
#include "store/statements.h"
#include "store/walk.h"

/* ---- the newest report ---------------------------------------------------------------- */

static int take_report(struct db *db, struct layer_row *layer,
                       const struct report_row *row, struct failure *failure)
{
    struct store_question question = {0};
    struct kept_row kept = {0};
    struct trit_report report;

    if (report_row_decode(row, &report, failure))
        return -1;
    question_decode(row->question, row->question_bytes, &question);
    if (find_kept(db, row->sequence, &kept, failure) < 0 &&
        !damage_is_of_rows(db, failure))
        return -1;
    layer->time_unix_ns = row->time_unix_ns;
    layer->group_size = report.group_size;
    layer->partial = (int64_t)question.partial;
    codes_shape(&report, layer->shape);
    layer->upload = kept.upload;
    return 0;
}

int layer_take_newest(struct db *db, struct layer_row *layer, int64_t step,
                      struct failure *failure)
{
    struct report_row row;
    int found = find_report(db, layer, step, &row, failure);
    int result = found < 0 ? -1 : 0;

    layer->step_max = step;
    layer->group_size = layer->partial = layer->upload = 0;
    layer->shape[0] = '\0';
    if (found == 1)
        result = take_report(db, layer, &row, failure);
    else if (found == 0)
        result = fail(failure, TRIT_DATA_LOSS, NULL, "a report is missing");
    if (found >= 0)
        report_row_release(&row);
    return result;
}

/* ---- a layer's row -------------------------------------------------------------------- */

struct making {
    struct layer_row row;
    int64_t time_max; /* of all its reports */
    bool sound;       /* each report is intact and names the one before it */
};

static int add_report(void *arg, const struct scanned *report, struct failure *failure)
{
    struct making *making = arg;
    struct layer_row *row = &making->row;

    (void)failure;
    if (!report->intact || report->intact->previous != row->step_max)
        making->sound = false;
    if (report->intact && report->intact->time_unix_ns > making->time_max)
        making->time_max = report->intact->time_unix_ns;
    if (row->reports++ == 0)
        row->step_min = report->step;
    row->step_max = report->step;
    return 1;
}

/* The layer before this one: the nearest intact row. A layer between whose row is damaged,
 * too, has reports. */
static int find_previous(struct db *db, struct layer_row *row, struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_LAYERS_DOWN, failure);
    struct layer_key nearest;
    struct layer_row before;
    int found = 1;

    row->previous = (struct layer_key){.run = ""};
    if (!select)
        return -1;
    int bound = bind_key(select, 1, &row->key);

    if (bound)
        found = db_fail(db, bound, failure);
    while (found == 1 && (found = db_step(db, select, failure)) == 1) {
        struct failure reason = {0};

        if (layer_row_read(db, select, &before, &reason) == 0 &&
            layer_key_compare(&before.key, &row->key) < 0) {
            row->previous = before.key;
            break;
        }
        if (reason.status != TRIT_OK && !damage_is_of_rows(db, &reason))
            found = fail_as(failure, &reason);
    }
    db_reset(select);
    if (found < 0 || scan_report_before(db, &row->key, &nearest, failure))
        return -1;
    return layer_key_compare(&nearest, &row->previous) > 0
               ? fail(failure, TRIT_DATA_LOSS, NULL,
                      "the row of the layer before it is damaged, too")
               : 0;
}

static int make(struct db *db, struct making *making, const struct layer_key *key,
                struct failure *failure)
{
    const struct scan scan = {.key = key, .visit = add_report, .arg = making};

    *making = (struct making){
        .row = {.key = *key, .step_min = STEP_NONE, .step_max = STEP_NONE},
        .time_max = INT64_MIN,
        .sound = true};
    return scan_reports(db, &scan, failure) ||
                   (making->row.reports > 0 &&
                    (layer_take_newest(db, &making->row, making->row.step_max, failure) ||
                     find_previous(db, &making->row, failure)))
               ? -1
               : 0;
}

/* ---- the proof ------------------------------------------------------------------------ */

/* What is left of a damaged row. */
struct rest {
    bool there; /* under its key */
    int64_t crc, step_max, reports;
};

enum { STEP_MAX_COLUMN = 5, REPORTS_COLUMN = 6, CRC_COLUMN = 16 }; /* of LAYER_COLUMNS */

/* 1: the row is intact. */
static int read_rest(struct db *db, const struct layer_key *key, struct rest *rest,
                     struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_LAYER_AT, failure);
    struct failure reason = {0};
    struct layer_row row = {.key = {.run = ""}};
    int result = 0;

    *rest = (struct rest){.there = false};
    if (!select)
        return -1;
    int bound = bind_key(select, 1, key);
    int found = bound ? db_fail(db, bound, failure) : db_step(db, select, failure);

    if (found == 1) {
        const bool intact = layer_row_read(db, select, &row, &reason) == 0;

        rest->there = layer_key_compare(&row.key, key) == 0;
        rest->crc = sqlite3_column_int64(select, CRC_COLUMN);
        rest->step_max = sqlite3_column_int64(select, STEP_MAX_COLUMN);
        rest->reports = sqlite3_column_int64(select, REPORTS_COLUMN);
        result = intact && rest->there;
        if (!intact && !damage_is_of_rows(db, &reason))
            found = fail_as(failure, &reason);
    }
    db_reset(select);
    return found < 0 ? -1 : result;
}

static bool has_crc(const struct rest *rest, struct making *making)
{
    const int64_t of_newest = making->row.time_unix_ns;

    if (rest->there && rest->crc == (int64_t)layer_row_crc(&making->row))
        return true;
    making->row.time_unix_ns = making->time_max;
    if (rest->there && rest->crc == (int64_t)layer_row_crc(&making->row))
        return true;
    making->row.time_unix_ns =
        of_newest > making->time_max ? of_newest : making->time_max;
    return false;
}

/* Whether the newest report is the one that is there. 1, 0 or -1. */
static int is_whole(struct db *db, const struct rest *rest, struct making *making,
                    struct failure *failure)
{
    struct failure reason = {0};
    struct past_row past;

    if (has_crc(rest, making))
        return 1;
    if (!making->sound)
        return 0;
    if (rest->there && rest->step_max == making->row.step_max &&
        rest->reports == making->row.reports)
        return 1;
    if (past_row_read(db, &making->row.key, &past, &reason) == 0)
        return past.step == making->row.step_max;
    return damage_is_of_rows(db, &reason) ? 0 : fail_as(failure, &reason);
}

/* Whether the row after it, or the end, says that this layer is the one before. 1: yes. 0:
 * no, it names another. -1: failure. DATA_LOSS: it is damaged. */
static int is_named(struct db *db, const struct layer_key *key, struct failure *failure)
{
    struct layer_key after = *key;
    struct layer_row next;

    after.attempt++; /* no key is between these two */
    if (find_layer_from(db, &after, &next, failure))
        return -1;
    return layer_key_compare(&next.previous, key) == 0;
}

static int unmended(const struct layer_key *key, struct failure *failure)
{
    char later[KEY_TEXT_BYTES];

    fail_context(failure, "row of layer \"%s\"%s, run \"%s\", cannot be made again",
                 key->layer, key_text(key, later), key->run);
    return -1;
}

int layer_mend(struct db *db, const struct layer_key *key, struct failure *failure)
{
    struct failure reason = {0};
    struct making making;
    struct rest rest;
    int known = read_rest(db, key, &rest, failure);

    if (known != 0)
        return known < 0 ? -1 : 0;
    if (make(db, &making, key, failure))
        return unmended(key, failure);
    if (making.row.reports == 0)
        return 0;
    known = is_named(db, key, &reason);
    if (known < 0 && (!rest.there || !damage_is_of_rows(db, &reason)))
        return fail_as(failure, &reason);
    if (known == 0)
        return 0;
    known = is_whole(db, &rest, &making, failure);
    if (known == 0)
        fail(failure, TRIT_DATA_LOSS, NULL,
             "nothing shows that its newest report is there");
    if (known <= 0)
        return unmended(key, failure);
    return layer_row_delete(db, key, failure) ||
                   layer_row_insert(db, &making.row, failure)
               ? -1
               : 1;
}

/* No layer has the key: the damage changed it. */
static int drop_stray(struct db *db, const struct layer_key *key, struct failure *failure)
{
    struct failure reason = {0};
    const int named = is_named(db, key, &reason);

    if (named < 0 && !damage_is_of_rows(db, &reason))
        return fail_as(failure, &reason);
    if (named != 0)
        return 0;
    return layer_row_delete(db, key, failure) ? -1 : 1;
}

int layer_drop_stray(struct db *db, const struct layer_key *key, struct failure *failure)
{
    int64_t reports = 0;
    struct rest rest;
    const int intact = read_rest(db, key, &rest, failure);

    if (intact != 0 || !rest.there)
        return intact < 0 ? -1 : 0;
    if (scan_count(db, key, &reports, failure))
        return -1;
    return reports > 0 ? 0 : drop_stray(db, key, failure);
}

/* ---- a run's row ---------------------------------------------------------------------- */

/* The state, and the newest attempt, that the run's layers show. */
static int see_layers(struct db *db, const char *run, int64_t *state, int64_t *attempts,
                      struct failure *failure)
{
    struct layer_row layer;
    struct layer_key at;

    layer_key_set(&at, run, "");
    at.attempt = 0;
    *state = RUN_OPEN;
    *attempts = 0;
    while (scan_layer(db, &at, &layer, failure) == 0) {
        if (strcmp(layer.key.run, run) != 0)
            return 0;
        if (layer.key.replica > 0)
            *state = RUN_REPLICATED;
        if (layer.key.attempt > *attempts)
            *attempts = layer.key.attempt;
        at = layer.key;
        layer_key_step(&at);
    }
    return -1;
}

int run_mend(struct db *db, const char *run, struct failure *failure)
{
    struct run_row row, stored;
    int64_t state, attempts;

    run_row_forget(db, run); /* what the writer knows may be damaged on disk */
    int found = find_run(db, run, &row, failure);

    if (found >= 0 || !damage_is_of_rows(db, failure))
        return found < 0 ? -1 : 0;
    if (see_layers(db, run, &state, &attempts, failure))
        return -1;
    found = run_row_salvage(db, run, state, attempts, &stored, failure);
    if (found == 0)
        return fail(failure, TRIT_DATA_LOSS, NULL,
                    "the row of run \"%s\" cannot be made again: nothing shows where its "
                    "attempts began",
                    run);
    return found < 0 || run_row_put(db, &stored, failure) ? -1 : 1;
}
