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
    bool writes; /* not a reader */
    /* Gets the cells, in place of the row and the history. */
    int (*visit)(void *arg, const struct cell *cell, struct failure *failure);
    void *arg;
};

static void judge_filed(struct past_row *row, const struct health_rules *rules,
                        struct trit_report *report, struct cell *cell)
{
    const enum trit_health filed = report->health;
    const double drift = health_judge(rules, &row->past, NULL, report);

    /* What the report was told when it was filed holds. */
    if (filed != TRIT_HEALTH_ABSENT)
        report->health = filed;
    row->step = (int64_t)report->step;
    row->health = report->health;
    cell_of_report(cell, report, drift);
}

int past_add_report(struct db *db, const struct health_rules *rules, struct past_row *row,
                    struct trit_report *report, struct failure *failure)
{
    struct cell cell;

    judge_filed(row, rules, report, &cell);
    return history_add(db, row, &cell, failure);
}

/* ---- reports, also damaged ones ------------------------------------------------------ */

/* Only the writer can write the row of the history that one more cell may need. */
static int add_cell(struct rebuild *rebuild, const struct cell *cell,
                    struct failure *failure)
{
    if (rebuild->visit)
        return rebuild->visit(rebuild->arg, cell, failure);
    if (!rebuild->writes && rebuild->row->open_count == HISTORY_BLOCK)
        return fail(failure, TRIT_DATA_LOSS, NULL,
                    "what is kept of its layer lacks too many reports");
    return history_add(rebuild->db, rebuild->row, cell, failure);
}

static int add_report(struct rebuild *rebuild, struct trit_report *report,
                      struct failure *failure)
{
    struct cell cell;

    judge_filed(rebuild->row, rebuild->rules, report, &cell);
    return add_cell(rebuild, &cell, failure);
}

/* One cell for the reports between two intact ones: behind step `before`, up to `last`. */
static int add_damage(struct rebuild *rebuild, int64_t before, int64_t last,
                      struct failure *failure)
{
    struct past_row *row = rebuild->row;
    struct cell cell;

    if (before >= last)
        return 0;
    cell_of_damage(&cell, before + 1, last);
    row->step = row->damaged = last;
    row->health = cell_health(&cell);
    return add_cell(rebuild, &cell, failure);
}

/* Reads the row of a statement that gives REPORT_COLUMNS. 1: it is intact. 0: it is
 * damaged. */
static int read_intact(struct db *db, sqlite3_stmt *select, const struct layer_row *layer,
                       struct report_row *row, struct trit_report *report,
                       struct failure *failure)
{
    struct failure reason = {0};

    if (report_row_read(db, select, &layer->key, row, &reason) == 0 &&
        report_row_decode(row, report, &reason) == 0)
        return row->step <= layer->step_max;
    return damage_is_of_rows(db, &reason) ? 0 : fail_as(failure, &reason);
}

/* Adds the reports from step `from` on. Those that are damaged, or missing, become cells
 * without values. */
static int add_from(struct rebuild *rebuild, const struct layer_row *layer, int64_t from,
                    struct failure *failure)
{
    struct db *db = rebuild->db;
    sqlite3_stmt *select = statement(db, ST_REPORTS_FROM, failure);
    const int64_t first = from > layer->step_min ? from : layer->step_min;
    int64_t before = first - 1; /* the steps up to it are done */
    struct trit_report report;
    struct report_row row;
    bool damaged = false;
    int found = -1;

    if (!select)
        return -1;
    int bound = bind_key(select, 1, &layer->key) | db_bind_i64(select, 5, first);

    if (bound)
        db_fail(db, bound, failure);
    while (!bound && (found = db_step(db, select, failure)) == 1) {
        found = read_intact(db, select, layer, &row, &report, failure);
        if (found < 0)
            break;
        damaged = damaged || found == 0 || row.previous > before;
        if (found == 0)
            continue;
        report.step = (uint64_t)row.step;
        if ((damaged && add_damage(rebuild, before, row.previous, failure)) ||
            add_report(rebuild, &report, failure)) {
            found = -1;
            break;
        }
        before = row.step;
        damaged = false;
    }
    db_reset(select);
    return found < 0 ? -1 : add_damage(rebuild, before, layer->step_max, failure);
}

/* ---- reading ------------------------------------------------------------------------ */

int past_read(struct db *db, const struct layer_row *layer, struct past_row *row,
              struct failure *failure)
{
    const struct health_rules rules = health_rules_default();
    struct rebuild rebuild = {
        .db = db, .rules = db->rules ? db->rules : &rules, .row = row};

    if (past_row_read(db, &layer->key, row, failure))
        return -1;
    return row->step < layer->step_max ? add_from(&rebuild, layer, row->step + 1, failure)
                                       : 0;
}

int past_of_reports(struct db *db, const struct layer_row *layer, struct past_row *row,
                    int (*visit)(void *arg, const struct cell *cell,
                                 struct failure *failure),
                    void *arg, struct failure *failure)
{
    const struct health_rules rules = health_rules_default();
    struct rebuild rebuild = {.db = db,
                              .rules = db->rules ? db->rules : &rules,
                              .row = row,
                              .visit = visit,
                              .arg = arg};

    past_row_init(row, &layer->key);
    return add_from(&rebuild, layer, layer->step_min, failure);
}

static int ignore_cell(void *arg, const struct cell *cell, struct failure *failure)
{
    (void)arg;
    (void)cell;
    (void)failure;
    return 0;
}

int past_read_or_make(struct db *db, const struct layer_row *layer, struct past_row *row,
                      struct failure *failure)
{
    if (past_read(db, layer, row, failure) == 0)
        return 0;
    return damage_is_of_rows(db, failure)
               ? past_of_reports(db, layer, row, ignore_cell, NULL, failure)
               : -1;
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

static int make(struct rebuild *rebuild, const struct layer_row *layer,
                struct failure *failure)
{
    past_row_init(rebuild->row, &layer->key);
    return past_delete(rebuild->db, &layer->key, failure) ||
                   add_from(rebuild, layer, layer->step_min, failure)
               ? -1
               : past_row_put(rebuild->db, rebuild->row, failure);
}

int past_rebuild(struct db *db, const struct health_rules *rules,
                 const struct layer_row *layer, struct failure *failure)
{
    struct past_row row;
    struct rebuild rebuild = {.db = db, .rules = rules, .row = &row, .writes = true};

    return make(&rebuild, layer, failure);
}

int past_remake(struct db *db, const struct health_rules *rules,
                const struct layer_row *layer, struct past_row *row,
                struct failure *failure)
{
    struct rebuild rebuild = {.db = db, .rules = rules, .row = row, .writes = true};

    if (make(&rebuild, layer, failure) == 0)
        return 0;
    /* Some rows were written: they must not be committed. */
    db->damaged = db->damaged || failure->status == TRIT_DATA_LOSS;
    return -1;
}

int past_fill(struct db *db, struct failure *failure)
{
    const struct health_rules rules = health_rules_default();
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
            found = fail_as(failure, &reason);
            break;
        }
        if (past_rebuild(db, &rules, &layer, failure)) {
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
