/* SPDX-License-Identifier: Apache-2.0 */
#include "store/rebuild.h"

#include <inttypes.h>

#include "store/levels.h"
#include "store/statements.h"
#include "store/walk.h"

struct rebuild {
    struct db *db;
    const struct health_rules *rules;
    struct past_row *row;
};

int past_add_report(struct db *db, const struct health_rules *rules, struct past_row *row,
                    struct trit_report *report, struct failure *failure)
{
    const enum trit_health filed = report->health;
    const double drift = health_judge(rules, &row->past, NULL, report);
    struct cell cell;

    /* What the report was told when it was filed holds. */
    if (filed != TRIT_HEALTH_ABSENT)
        report->health = filed;
    row->step = (int64_t)report->step;
    row->health = report->health;
    cell_of_report(&cell, report, drift);
    return history_add(db, row, &cell, failure);
}

static int add_report(void *arg, const struct report_row *row, struct failure *failure)
{
    struct rebuild *rebuild = arg;
    struct trit_report report;

    if (report_row_decode(row, &report, failure))
        return -1;
    report.step = (uint64_t)row->step;
    return past_add_report(rebuild->db, rebuild->rules, rebuild->row, &report, failure)
               ? -1
               : 1;
}

/* ---- reading ------------------------------------------------------------------------ */

/* A reader cannot write the row of the history that one more report would need. */
static int catch_up(void *arg, const struct report_row *row, struct failure *failure)
{
    const struct rebuild *rebuild = arg;

    if (rebuild->row->open_count == HISTORY_BLOCK)
        return fail(failure, TRIT_DATA_LOSS, NULL,
                    "what is kept of its layer lacks too many reports");
    return add_report(arg, row, failure);
}

static int add_newer(struct db *db, const struct layer_row *layer, struct past_row *row,
                     struct failure *failure)
{
    const struct health_rules rules = health_rules_default();
    struct rebuild rebuild = {
        .db = db, .rules = db->rules ? db->rules : &rules, .row = row};
    const struct report_walk walk = {.layer = layer,
                                     .from = row->step + 1,
                                     .to = INT64_MAX,
                                     .visit = catch_up,
                                     .arg = &rebuild};

    return walk_reports(db, &walk, failure) < 0 ? -1 : 0;
}

int past_read(struct db *db, const struct layer_row *layer, struct past_row *row,
              struct failure *failure)
{
    if (past_row_read(db, &layer->key, row, failure))
        return -1;
    return row->step < layer->step_max ? add_newer(db, layer, row, failure) : 0;
}

int past_write_until(struct db *db, const struct layer_row *layer, int64_t step,
                     struct failure *failure)
{
    struct past_row row;

    if (past_read(db, layer, &row, failure))
        return -1;
    return row.written < step ? past_row_put(db, &row, failure) : 0;
}

/* ---- making ------------------------------------------------------------------------- */

static int rebuild_from(struct db *db, const struct health_rules *rules,
                        const struct layer_row *layer, int64_t from,
                        struct failure *failure)
{
    struct past_row row;
    struct rebuild rebuild = {.db = db, .rules = rules, .row = &row};
    const struct report_walk walk = {.layer = layer,
                                     .from = from,
                                     .to = INT64_MAX,
                                     .visit = add_report,
                                     .arg = &rebuild};

    past_row_init(&row, &layer->key);
    if (past_delete(db, &layer->key, failure) || walk_reports(db, &walk, failure) < 0)
        return -1;
    return past_row_put(db, &row, failure);
}

int past_rebuild(struct db *db, const struct health_rules *rules,
                 const struct layer_row *layer, struct failure *failure)
{
    return rebuild_from(db, rules, layer, 0, failure);
}

static int note_intact(void *arg, const struct report_row *row, struct failure *failure)
{
    struct trit_report report;

    if (report_row_decode(row, &report, failure))
        return -1;
    *(int64_t *)arg = row->step;
    return 1;
}

/* The first step behind the last damaged report; STEP_NONE: the newest one is damaged. */
static int64_t first_intact(struct db *db, const struct layer_row *layer)
{
    int64_t step = STEP_NONE;
    struct failure damage = {0};
    const struct report_walk walk = {.layer = layer,
                                     .from = 0,
                                     .to = INT64_MAX,
                                     .backwards = true,
                                     .visit = note_intact,
                                     .arg = &step};

    (void)walk_reports(db, &walk, &damage);
    return step;
}

/* Of damaged reports nothing can be made. The history begins behind the last one of them, and
 * says so where older steps are asked for. Without any report behind it there is no row. */
static int fill_layer(struct db *db, const struct layer_row *layer,
                      struct failure *failure)
{
    const struct health_rules rules = health_rules_default();
    struct failure reason = {0};

    if (past_rebuild(db, &rules, layer, &reason) == 0)
        return 0;
    if (reason.status != TRIT_DATA_LOSS || db->damaged)
        return fail(failure, reason.status, NULL, "%s", reason.message);
    const int64_t from = first_intact(db, layer);

    return from == STEP_NONE ? past_delete(db, &layer->key, failure)
                             : rebuild_from(db, &rules, layer, from, failure);
}

int past_fill(struct db *db, struct failure *failure)
{
    const struct layer_key first = {.run = ""};
    sqlite3_stmt *select = statement(db, ST_LAYERS_FROM, failure);
    int found = -1;

    if (!select)
        return -1;
    int bound = bind_key(select, 1, &first);

    if (bound)
        db_fail(db, bound, failure);
    while (!bound && (found = db_step(db, select, failure)) == 1) {
        struct failure reason = {0};
        struct layer_row layer;

        if (layer_row_read(db, select, &layer, &reason)) {
            if (reason.status == TRIT_DATA_LOSS)
                continue;
            found = fail(failure, reason.status, NULL, "%s", reason.message);
            break;
        }
        if (fill_layer(db, &layer, failure)) {
            found = -1;
            break;
        }
    }
    db_reset(select);
    return found;
}

int past_check(struct db *db, const struct layer_row *layer, struct failure *failure)
{
    struct past_row row;

    if (past_read(db, layer, &row, failure))
        return -1;
    if (row.step != layer->step_max)
        return fail(failure, TRIT_DATA_LOSS, NULL,
                    "its newest step is %" PRId64 ", that of its reports is %" PRId64,
                    row.step, layer->step_max);
    return history_check(db, &row, layer->step_min, failure);
}
