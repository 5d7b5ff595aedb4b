/* SPDX-License-Identifier: Apache-2.0 */
#include "store/erase.h"

#include <string.h>

#include "store/codes.h"
#include "store/joined.h"
#include "store/kept.h"
#include "store/layer_link.h"
#include "store/levels.h"
#include "store/question.h"
#include "store/rebuild.h"
#include "store/run.h"
#include "store/statements.h"
#include "store/walk.h"

/* A stretch of reports that is being deleted. */
struct stretch {
    size_t count, max;
    int64_t sequences[ERASE_REPORTS_MAX];
    int64_t before;    /* the step before the first, or STEP_NONE */
    int64_t last;      /* the last step that is deleted */
    bool has_next;     /* a report follows: */
    int64_t next_step; /* its step, and its CRC once it names `before` as previous */
    uint32_t next_crc;
    int64_t to;
};

static int collect(void *arg, const struct report_row *row, struct failure *failure)
{
    struct stretch *stretch = arg;

    (void)failure;
    if (stretch->count == stretch->max || row->step > stretch->to) {
        struct report_row next = *row;

        next.previous = stretch->before;
        stretch->has_next = true;
        stretch->next_step = row->step;
        stretch->next_crc = report_row_crc(&next);
        return 0;
    }
    if (stretch->count == 0)
        stretch->before = row->previous;
    stretch->sequences[stretch->count++] = row->sequence;
    stretch->last = row->step;
    return 1;
}

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

/* The report before the stretch is the layer's newest now. */
static int step_back(struct db *db, struct layer_row *layer, int64_t step,
                     struct failure *failure)
{
    struct store_question question = {0};
    struct kept_row kept = {0};
    struct trit_report report;
    struct report_row row;
    int found = find_report(db, layer, step, &row, failure);

    if (found < 0)
        return -1;
    int result = found == 1 ? report_row_decode(&row, &report, failure)
                            : fail(failure, TRIT_DATA_LOSS, NULL, "a report is missing");

    if (result == 0) {
        question_decode(row.question, row.question_bytes, &question);
        layer->step_max = step;
        layer->time_unix_ns = row.time_unix_ns;
        layer->group_size = report.group_size;
        layer->partial = (int64_t)question.partial;
        codes_shape(&report, layer->shape);
        result = find_kept(db, row.sequence, &kept, failure) < 0 ? -1 : 0;
        layer->upload = kept.upload;
    }
    report_row_release(&row);
    return result;
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

/* The past of a layer that stays has to know the reports that go: they cannot be added to
 * it later. A damaged one stays as it is. */
static int keep_past(struct db *db, const struct layer_row *layer,
                     const struct stretch *stretch, const struct health_rules *rules,
                     struct failure *failure)
{
    const bool rebuilt = rules && stretch->before != STEP_NONE;
    struct failure reason = {0};

    if ((int64_t)stretch->count == layer->reports || rebuilt ||
        past_write_until(db, layer, stretch->last, &reason) == 0)
        return 0;
    return reason.status == TRIT_DATA_LOSS && !db->damaged
               ? 0
               : fail(failure, reason.status, NULL, "%s", reason.message);
}

static int erase_history(struct db *db, const struct layer_row *layer,
                         const struct stretch *stretch, const struct health_rules *rules,
                         struct failure *failure)
{
    if (stretch->before == STEP_NONE)
        return history_trim(db, &layer->key, layer->step_min, failure);
    return rules ? past_rebuild(db, rules, layer, failure) : 0;
}

int erase_reports(struct db *db, struct layer_row *layer, int64_t from, int64_t to,
                  size_t max, const struct health_rules *rules, size_t *deleted,
                  struct failure *failure)
{
    struct stretch stretch = {.max = max < ERASE_REPORTS_MAX ? max : ERASE_REPORTS_MAX,
                              .to = to};
    /* One report beyond `to` may have to name another one before it. */
    const struct report_walk walk = {
        .layer = layer, .from = from, .to = INT64_MAX, .visit = collect, .arg = &stretch};

    *deleted = 0;
    if (walk_reports(db, &walk, failure) < 0)
        return -1;
    if (stretch.count == 0)
        return 0;
    if (keep_past(db, layer, &stretch, rules, failure))
        return -1;
    for (size_t i = 0; i < stretch.count; i++)
        if (delete_report(db, stretch.sequences[i], failure))
            return -1;
    *deleted = stretch.count;
    layer->reports -= (int64_t)stretch.count;
    if ((layer->reports == 0) != (!stretch.has_next && stretch.before == STEP_NONE))
        return fail(failure, TRIT_DATA_LOSS, NULL,
                    "the number of reports of layer \"%s\", run \"%s\" is wrong",
                    layer->key.layer, layer->key.run);
    if (layer->reports == 0)
        return remove_layer(db, layer, failure);
    if (stretch.has_next && link_next(db, layer, &stretch, failure))
        return -1;
    if (stretch.before == STEP_NONE)
        layer->step_min = stretch.next_step;
    if (!stretch.has_next && step_back(db, layer, stretch.before, failure))
        return -1;
    if (layer_row_update(db, layer, failure))
        return -1;
    return erase_history(db, layer, &stretch, rules, failure);
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
