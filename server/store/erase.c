/* SPDX-License-Identifier: Apache-2.0 */
#include "store/erase.h"

#include <string.h>

#include "store/codes.h"
#include "store/joined.h"
#include "store/kept.h"
#include "store/layer_link.h"
#include "store/levels.h"
#include "store/mend.h"
#include "store/question.h"
#include "store/rebuild.h"
#include "store/run.h"
#include "store/scan.h"
#include "store/statements.h"
#include "store/stretch.h"
#include "store/walk.h"

static int delete_report(struct db *db, int64_t sequence, struct failure *failure)
{
    sqlite3_stmt *delete;

    if (kept_release(db, sequence, failure) || joined_delete(db, sequence, failure))
        return -1;
    delete = statement(db, ST_REPORT_DELETE, failure);
    return delete ? db_run_bound(db, delete, db_bind_i64(delete, 1, sequence), failure)
                  : -1;
}

static int link_next(struct db *db, const struct layer_row *layer,
                     const struct stretch *stretch, struct failure *failure)
{
    sqlite3_stmt *link = statement(db, ST_REPORT_LINK, failure);

    if (!link)
        return -1;
    int bound =
        bind_key(link, 1, &layer->key) | db_bind_i64(link, 5, stretch->next_step) |
        db_bind_i64(link, 6, stretch->before) | db_bind_i64(link, 7, stretch->next_crc);

    return db_run_bound(db, link, bound, failure);
}

/* The report before the stretch is the layer's newest now. If it is damaged, nothing is
 * known of its tensor, so that no flips will be counted against it. */
static int step_back(struct db *db, struct layer_row *layer, int64_t step,
                     struct failure *failure)
{
    return layer_take_newest(db, layer, step, failure) && !damage_is_of_rows(db, failure)
               ? -1
               : 0;
}

static int remove_layer(struct db *db, struct layer_row *layer, struct failure *failure)
{
    bool last_of_run;

    if (layer_link_out(db, layer, &last_of_run, failure))
        return -1;
    if (past_delete(db, &layer->key, failure))
        return -1;
    return last_of_run ? run_row_delete(db, layer->key.run, failure) : 0;
}

/* The rules by which the layer's history is read again from the reports that are left. NULL:
 * it keeps what it has of those that go, or needs no more than a cut. */
static const struct health_rules *reads_again(const struct db *db,
                                              const struct stretch *stretch,
                                              const struct health_rules *rules)
{
    if (stretch->before == STEP_NONE)
        return NULL;
    return rules || !stretch->ends ? rules : db->rules;
}

/* The past of a layer that stays has to know the reports that go: they cannot be added to
 * it later. A damaged one stays as it is. */
static int keep_past(struct db *db, const struct layer_row *layer,
                     const struct stretch *stretch, const struct health_rules *rules,
                     struct failure *failure)
{
    if ((int64_t)stretch->count == layer->reports || reads_again(db, stretch, rules) ||
        past_write_until(db, layer, stretch->last, failure) == 0)
        return 0;
    return damage_is_of_rows(db, failure) ? 0 : -1;
}

static int erase_history(struct db *db, const struct layer_row *layer,
                         const struct stretch *stretch, const struct health_rules *rules,
                         struct failure *failure)
{
    const struct health_rules *again = reads_again(db, stretch, rules);

    if (stretch->before == STEP_NONE)
        return history_trim(db, &layer->key, layer->step_min, failure);
    return again ? past_rebuild(db, again, layer, failure) : 0;
}

static int pass(void *arg, const struct report_row *row, struct failure *failure)
{
    (void)arg;
    (void)row;
    (void)failure;
    return 1;
}

/* Where rows were damaged or missing, their number is not known. If all that is left is
 * intact, it is the number of rows. */
static int count_again(struct db *db, struct layer_row *layer, struct failure *failure)
{
    const struct report_walk walk = {
        .layer = layer, .from = layer->step_min, .to = INT64_MAX, .visit = pass};
    int64_t rows = 0;

    if (scan_count(db, &layer->key, &rows, failure))
        return -1;
    if (walk_reports(db, &walk, failure) == 1)
        layer->reports = rows;
    else if (!damage_is_of_rows(db, failure))
        return -1;
    if (layer->reports < rows || layer->reports < 1)
        layer->reports = rows < 1 ? 1 : rows;
    return 0;
}

/* What is left of the layer: its chain, its row, its history. */
static int mend_layer(struct db *db, struct layer_row *layer,
                      const struct stretch *stretch, const struct health_rules *rules,
                      struct failure *failure)
{
    if (stretch->next_intact && link_next(db, layer, stretch, failure))
        return -1;
    if (stretch->before == STEP_NONE)
        layer->step_min = stretch->has_next ? stretch->next_step : layer->step_max;
    if (stretch->ends && step_back(db, layer, stretch->before, failure))
        return -1;
    if ((stretch->damaged && count_again(db, layer, failure)) ||
        layer_row_update(db, layer, failure))
        return -1;
    return erase_history(db, layer, stretch, rules, failure);
}

int erase_reports(struct db *db, struct layer_row *layer, int64_t from, int64_t to,
                  size_t max, const struct health_rules *rules, size_t *deleted,
                  struct failure *failure)
{
    struct stretch stretch;

    *deleted = 0;
    if (stretch_find(db, layer, from, to, max, &stretch, failure))
        return -1;
    if (stretch.count + stretch.lost == 0)
        return 0;
    const bool all = stretch.ends && stretch.before == STEP_NONE;

    if (keep_past(db, layer, &stretch, rules, failure))
        return -1;
    for (size_t i = 0; i < stretch.count; i++)
        if (delete_report(db, stretch.sequences[i], failure))
            return -1;
    *deleted = stretch.count;
    layer->reports -= (int64_t)(stretch.count + stretch.lost);
    if ((layer->reports == 0) != all)
        stretch.damaged = true; /* its number was wrong */
    if (!all)
        return mend_layer(db, layer, &stretch, rules, failure);
    layer->reports = 0;
    return remove_layer(db, layer, failure);
}

/* The oldest report is damaged, or its layer is. */
static int erase_damaged_oldest(struct db *db, size_t *deleted, struct failure *failure)
{
    struct layer_key key = {.run = ""};
    int64_t step = 0, sequence = 0;
    struct layer_row layer;
    int found = scan_oldest(db, &key, &step, &sequence, failure);

    if (found <= 0)
        return found;
    found = find_layer(db, &key, &layer, failure);
    if (found == 1 && erase_reports(db, &layer, step, step, 1, NULL, deleted, failure))
        return -1;
    if (found < 0 && !damage_is_of_rows(db, failure))
        return -1;
    if (*deleted > 0)
        return 0;
    *deleted = 1; /* it belongs to no layer that is known */
    return delete_report(db, sequence, failure);
}

int erase_oldest(struct db *db, size_t *deleted, struct failure *failure)
{
    struct layer_row layer;
    int64_t step = 0;
    int found = find_filed(db, ST_REPORTS_SINCE, 0, &layer, &step, failure);

    *deleted = 0;
    if (found == 1)
        return erase_reports(db, &layer, step, step, 1, NULL, deleted, failure);
    if (found < 0 && damage_is_of_rows(db, failure))
        return erase_damaged_oldest(db, deleted, failure);
    return found;
}

int erase_strays(struct db *db, const char *run, const char *layer, size_t *deleted,
                 struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_REPORTS_OF, failure);
    int64_t sequences[ERASE_REPORTS_MAX];
    size_t count = 0;
    int found = 1;

    *deleted = 0;
    if (!select)
        return -1;
    int bound = db_bind_text(select, 1, run) | db_bind_text(select, 2, layer);

    if (bound)
        found = db_fail(db, bound, failure);
    while (found == 1 && count < ERASE_REPORTS_MAX &&
           (found = db_step(db, select, failure)) == 1)
        sequences[count++] = sqlite3_column_int64(select, 0);
    db_reset(select);
    if (found < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (delete_report(db, sequences[i], failure))
            return -1;
    *deleted = count;
    return 0;
}

int erase_layer_row(struct db *db, const struct layer_key *key, struct failure *failure)
{
    return layer_drop(db, key, failure) || past_delete(db, key, failure) ? -1 : 0;
}

int erase_note_sequence(struct db *db, int64_t sequence, struct failure *failure)
{
    struct totals_row totals;

    if (totals_read(db, &totals, failure))
        return -1;
    if (totals.sequence >= sequence)
        return 0;
    totals.sequence = sequence;
    return totals_put(db, &totals, failure);
}
