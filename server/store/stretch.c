/* SPDX-License-Identifier: Apache-2.0 */
#include "store/stretch.h"

#include "store/scan.h"
#include "store/walk.h"

/* ---- a layer whose rows are intact ---------------------------------------------------- */

static void set_next(struct stretch *stretch, const struct report_row *row)
{
    struct report_row next = *row;

    next.previous = stretch->before;
    stretch->next_intact = true;
    stretch->next_crc = report_row_crc(&next);
}

static int collect(void *arg, const struct report_row *row, struct failure *failure)
{
    struct stretch *stretch = arg;

    (void)failure;
    if (stretch->count == stretch->max || row->step > stretch->to) {
        stretch->has_next = true;
        stretch->next_step = row->step;
        set_next(stretch, row);
        return 0;
    }
    if (stretch->count == 0)
        stretch->before = row->previous;
    stretch->sequences[stretch->count++] = row->sequence;
    stretch->last = row->step;
    return 1;
}

/* ---- a layer with damaged or missing rows --------------------------------------------- */

struct search {
    struct stretch *stretch;
    const struct layer_row *layer;
    int64_t from;
    int64_t row;     /* the last one that was seen, or STEP_NONE */
    bool begun;      /* a row was seen */
    bool has_before; /* the first one is intact and names a step below `from` */
};

/* Counts a report that this row names and that is not there. */
static void count_lost(struct search *search, const struct report_row *row)
{
    struct stretch *stretch = search->stretch;
    const bool named = row->previous >= search->from && row->previous <= stretch->to;

    if (!search->begun && row->previous < search->from) {
        stretch->before = row->previous;
        search->has_before = true;
    } else if (named && row->previous > search->row) {
        stretch->lost++;
        stretch->last = row->previous;
    }
}

static int collect_damaged(void *arg, const struct scanned *row, struct failure *failure)
{
    struct search *search = arg;
    struct stretch *stretch = search->stretch;
    /* A report beyond the newest is none. */
    const bool known = row->step <= search->layer->step_max;

    (void)failure;
    if (row->intact && known)
        count_lost(search, row->intact);
    search->begun = true;
    if (stretch->count == stretch->max || row->step > stretch->to) {
        stretch->has_next = known;
        stretch->next_step = row->step;
        return 0;
    }
    stretch->sequences[stretch->count++] = row->sequence;
    stretch->last = search->row = row->step;
    return 1;
}

static int take_step(void *arg, const struct scanned *row, struct failure *failure)
{
    (void)failure;
    *(int64_t *)arg = row->step;
    return 0;
}

/* The step before, where no intact row names it. If reports are missing and no row says
 * where, they may have been before `from`: then the next report names a step that is not
 * there, so that the reports before it are not taken for absent. */
static int find_before(struct db *db, struct search *search, struct failure *failure)
{
    struct stretch *stretch = search->stretch;
    const struct layer_row *layer = search->layer;
    int64_t rows = 0, step = STEP_NONE;
    const struct scan down = {.key = &layer->key,
                              .from = search->from - 1,
                              .backwards = true,
                              .visit = take_step,
                              .arg = &step};

    if (scan_reports(db, &down, failure) || scan_count(db, &layer->key, &rows, failure))
        return -1;
    if (layer->reports > rows + (int64_t)stretch->lost && layer->step_min < search->from)
        step = search->from - 1;
    stretch->before = step;
    return 0;
}

static int set_damaged_next(struct db *db, const struct layer_row *layer,
                            struct stretch *stretch, struct failure *failure)
{
    struct failure reason = {0};
    struct report_row row;
    /* The row itself is what counts, not what it names. */
    const struct layer_row alone = {.key = layer->key, .step_max = INT64_MAX};
    const int found = find_report(db, &alone, stretch->next_step, &row, &reason);

    if (found == 1)
        set_next(stretch, &row);
    if (found >= 0)
        report_row_release(&row);
    else if (!damage_is_of_rows(db, &reason))
        return fail_as(failure, &reason);
    return 0;
}

static int find_damaged(struct db *db, const struct layer_row *layer, int64_t from,
                        struct stretch *stretch, struct failure *failure)
{
    struct search search = {
        .stretch = stretch, .layer = layer, .from = from, .row = STEP_NONE};
    const struct scan scan = {
        .key = &layer->key, .from = from, .visit = collect_damaged, .arg = &search};

    stretch->damaged = true;
    if (scan_reports(db, &scan, failure))
        return -1;
    stretch->ends = !stretch->has_next && stretch->to >= layer->step_max;
    if (stretch->ends && stretch->last < layer->step_max && layer->step_max >= from) {
        stretch->last = layer->step_max; /* the newest itself is missing */
        stretch->lost++;
    }
    return (!search.has_before && find_before(db, &search, failure)) ||
                   (stretch->has_next && set_damaged_next(db, layer, stretch, failure))
               ? -1
               : 0;
}

/* ---- either --------------------------------------------------------------------------- */

int stretch_find(struct db *db, const struct layer_row *layer, int64_t from, int64_t to,
                 size_t max, struct stretch *stretch, struct failure *failure)
{
    const struct stretch empty = {.max = max < STRETCH_REPORTS_MAX ? max
                                                                   : STRETCH_REPORTS_MAX,
                                  .before = STEP_NONE,
                                  .last = STEP_NONE,
                                  .to = to};
    /* One report beyond `to` may have to name another one before it. */
    const struct report_walk walk = {
        .layer = layer, .from = from, .to = INT64_MAX, .visit = collect, .arg = stretch};

    *stretch = empty;
    if (walk_reports(db, &walk, failure) >= 0) {
        stretch->ends = !stretch->has_next;
        return 0;
    }
    if (!damage_is_of_rows(db, failure))
        return -1;
    *stretch = empty;
    return find_damaged(db, layer, from, stretch, failure);
}
