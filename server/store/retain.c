/* SPDX-License-Identifier: Apache-2.0 */
#include "store/retain.h"

#include "base/clock.h"
#include "store/erase.h"
#include "store/retain_waiting.h"
#include "store/scan.h"
#include "store/slots.h"
#include "store/statements.h"
#include "store/walk.h"

/* One step, with what it may still do. */
struct tidy {
    struct db *db;
    struct retain *retain;
    size_t left; /* rows */
};

bool retain_due(const struct retain *retain, uint64_t now_ns)
{
    const uint64_t pause = RETAIN_PAUSE_SECONDS * 1000000000ull;

    if (retain->rules.count == 0)
        return false;
    return retain->running || retain->begun_ns == 0 ||
           now_ns - retain->begun_ns >= (retain->filed ? pause : 6 * pause);
}

int retain_failed(struct retain *retain, const struct failure *failure)
{
    if (failure->status != TRIT_DATA_LOSS || retain->layers_done || retain->layers == 0) {
        retain->running = false;
        return 0;
    }
    retain->stops = retain->layers > 1;
    if (retain->stops) {
        retain->stop = retain->at;
        retain->at = retain->begun_at;
        retain->step = retain->begun_step;
    } else {
        retain->at.attempt++;
        retain->step = 0;
    }
    return 1;
}

/* Deletes steps of a layer. The layer may be gone then: layer->reports is 0. */
static int delete_range(struct tidy *tidy, struct layer_row *layer, int64_t from,
                        int64_t to, size_t max, struct failure *failure)
{
    size_t deleted = ERASE_REPORTS_MAX;

    if (max > tidy->left)
        max = tidy->left;
    while (max > 0 && layer->reports > 0 && deleted >= ERASE_REPORTS_MAX) {
        if (erase_reports(tidy->db, layer, from, to, max, NULL, &deleted, failure))
            return -1;
        max -= deleted < max ? deleted : max;
        tidy->left -= deleted < tidy->left ? deleted : tidy->left;
        tidy->retain->deleted += deleted;
    }
    return 0;
}

/* ---- age ------------------------------------------------------------------- */

/* The reports at the start of a layer that are too old. A damaged one does not say when it
 * was filed: it goes with an old one behind it. */
struct ages {
    int64_t before; /* wall time */
    size_t seen, count, max;
};

static int see_age(void *arg, const struct scanned *row, struct failure *failure)
{
    struct ages *ages = arg;

    (void)failure;
    if (row->intact && row->intact->time_unix_ns >= ages->before)
        return 0;
    ages->seen++;
    if (row->intact)
        ages->count = ages->seen;
    return ages->seen < ages->max;
}

static int apply_age(struct tidy *tidy, struct layer_row *layer, uint64_t age,
                     struct failure *failure)
{
    struct ages ages = {.before = clock_unix_ns() - (int64_t)age, .max = tidy->left};
    const struct scan scan = {.key = &layer->key, .visit = see_age, .arg = &ages};

    if (scan_reports(tidy->db, &scan, failure))
        return -1;
    if (layer->time_unix_ns < ages.before)
        ages.count = ages.seen; /* no report of the layer is newer */
    return delete_range(tidy, layer, 0, INT64_MAX, ages.count, failure);
}

/* ---- count ----------------------------------------------------------------- */

/* The oldest of the newest steps, which all stay. */
struct border {
    int64_t step; /* STEP_NONE: there are not as many */
    uint64_t newest;
};

static int pass_newest(void *arg, const struct scanned *row, struct failure *failure)
{
    struct border *border = arg;

    (void)failure;
    if (--border->newest > 0)
        return 1;
    border->step = row->step;
    return 0;
}

static int find_border(struct tidy *tidy, const struct layer_row *layer, uint64_t newest,
                       int64_t *step, struct failure *failure)
{
    struct border border = {.step = STEP_NONE, .newest = newest};
    const struct scan scan = {.key = &layer->key,
                              .from = layer->step_max,
                              .backwards = true,
                              .visit = pass_newest,
                              .arg = &border};
    int result = scan_reports(tidy->db, &scan, failure);

    *step = border.step;
    return result;
}

static int pass_oldest(void *arg, const struct report_row *row, struct failure *failure)
{
    (void)row;
    (void)failure;
    return --*(size_t *)arg > 0;
}

/* Reports that are missing are in the number of the layer, but not in the table. So where
 * the oldest are not intact, the newest are counted instead. */
static int apply_count(struct tidy *tidy, struct layer_row *layer, uint64_t count,
                       struct failure *failure)
{
    int64_t border;

    if ((uint64_t)layer->reports <= count)
        return 0;
    const uint64_t surplus = (uint64_t)layer->reports - count;
    size_t left = surplus < tidy->left ? (size_t)surplus : tidy->left;
    const struct report_walk walk = {
        .layer = layer, .to = INT64_MAX, .visit = pass_oldest, .arg = &left};

    if (walk_reports(tidy->db, &walk, failure) >= 0)
        return delete_range(tidy, layer, 0, INT64_MAX, (size_t)surplus, failure);
    if (!damage_is_of_rows(tidy->db, failure))
        return -1;
    if (find_border(tidy, layer, count, &border, failure))
        return -1;
    return border > 0 ? delete_range(tidy, layer, 0, border - 1, SIZE_MAX, failure) : 0;
}

/* ---- thinning -------------------------------------------------------------- */

/* Looks for the first step that has to go. */
struct thinning {
    struct tidy *tidy;
    int64_t every, to;
    int64_t found, last; /* found: STEP_NONE: none; last: that was looked at */
};

static int see_step(void *arg, const struct scanned *row, struct failure *failure)
{
    struct thinning *thinning = arg;

    (void)failure;
    if (row->step > thinning->to)
        return 0;
    if (row->step % thinning->every != 0) {
        thinning->found = row->step;
        return 0;
    }
    thinning->last = row->step;
    return --thinning->tidy->left > 0;
}

/* Sets retain->step to where it stopped, if it stopped for lack of room. */
static int apply_thin(struct tidy *tidy, struct layer_row *layer,
                      const struct store_rule *rule, struct failure *failure)
{
    struct thinning thinning = {
        .tidy = tidy, .every = (int64_t)rule->every, .last = STEP_NONE};
    struct scan scan = {.key = &layer->key, .visit = see_step, .arg = &thinning};
    int64_t border;

    if ((uint64_t)layer->reports <= rule->value)
        return 0;
    if (find_border(tidy, layer, rule->value, &border, failure))
        return -1;
    scan.from = tidy->retain->step;
    thinning.to = border - 1;
    while (tidy->left > 0 && scan.from <= thinning.to) {
        thinning.found = STEP_NONE;
        if (scan_reports(tidy->db, &scan, failure))
            return -1;
        if (thinning.found == STEP_NONE && tidy->left > 0)
            return 0;
        if (thinning.found != STEP_NONE) {
            int64_t next = thinning.found - thinning.found % thinning.every;
            int64_t last =
                next > INT64_MAX - thinning.every ? INT64_MAX : next + thinning.every - 1;

            if (delete_range(tidy, layer, thinning.found,
                             last < thinning.to ? last : thinning.to, SIZE_MAX, failure))
                return -1;
            scan.from = thinning.found;
        } else {
            scan.from = thinning.last + 1;
        }
        tidy->retain->step = scan.from;
    }
    return 0;
}

/* ---- layers ---------------------------------------------------------------- */

static int apply_rules(struct tidy *tidy, struct layer_row *layer,
                       struct failure *failure)
{
    const struct store_retention *rules = &tidy->retain->rules;

    for (size_t i = 0; i < rules->count && layer->reports > 0; i++) {
        const struct store_rule *rule = &rules->rules[i];
        int result = 0;

        if (rule->kind == STORE_RETAIN_AGE)
            result = apply_age(tidy, layer, rule->value, failure);
        else if (rule->kind == STORE_RETAIN_COUNT)
            result = apply_count(tidy, layer, rule->value, failure);
        else if (rule->kind == STORE_RETAIN_THIN)
            result = apply_thin(tidy, layer, rule, failure);
        if (result)
            return -1;
    }
    return 0;
}

static int tidy_layers(struct tidy *tidy, struct failure *failure)
{
    struct retain *retain = tidy->retain;

    while (tidy->left > 0) {
        struct layer_row layer;

        tidy->left--;
        if (scan_layer(tidy->db, &retain->at, &layer, failure) < 0) {
            retain->layers = 0; /* which one is next is not known */
            return -1;
        }
        if (layer.key.run[0] == '\0') {
            int dropped = retain_waiting(tidy->db, &retain->rules, tidy->left, failure);

            if (dropped < 0 && damage_is_of_rows(tidy->db, failure))
                dropped = 0; /* the size comes next all the same */
            retain->layers_done = dropped >= 0 && (size_t)dropped < tidy->left;
            return dropped < 0 ? -1 : 0;
        }
        if (layer_key_compare(&layer.key, &retain->at) != 0)
            retain->step = 0;
        retain->at = layer.key;
        if (retain->stops && retain->layers > 0 &&
            layer_key_compare(&retain->stop, &layer.key) == 0)
            return 0;
        retain->layers++;
        if (apply_rules(tidy, &layer, failure))
            return -1;
        if (tidy->left == 0)
            return 0; /* perhaps not done with this one */
        retain->at.attempt++;
        retain->step = 0;
    }
    return 0;
}

/* ---- size ------------------------------------------------------------------ */

/* Of the pages and slots that are in use. */
static int used_bytes(struct db *db, uint64_t *bytes, struct failure *failure)
{
    int64_t pages = 0, unused = 0, size = 0;

    if (db_number(db, "PRAGMA page_count", &pages, failure) ||
        db_number(db, "PRAGMA freelist_count", &unused, failure) ||
        db_number(db, "PRAGMA page_size", &size, failure))
        return -1;
    *bytes = (uint64_t)(pages - unused) * (uint64_t)size + slots_used_bytes(db->slots);
    return 0;
}

/* 1: there is more to delete. */
static int tidy_size(struct tidy *tidy, uint64_t max, struct failure *failure)
{
    while (tidy->left > 0) {
        size_t deleted = 0;
        uint64_t bytes;

        if (used_bytes(tidy->db, &bytes, failure))
            return -1;
        if (bytes <= max)
            return 0;
        int dropped = retain_oldest_waiting(tidy->db, failure);

        if (dropped < 0 && !damage_is_of_rows(tidy->db, failure))
            return -1;
        if (dropped > 0) {
            tidy->left--;
            continue;
        }
        if (erase_oldest(tidy->db, &deleted, failure))
            return -1;
        if (deleted == 0)
            return 0;
        tidy->retain->deleted += deleted;
        tidy->left -= deleted < tidy->left ? deleted : tidy->left;
    }
    return 1;
}

static int tidy_sizes(struct tidy *tidy, struct failure *failure)
{
    const struct store_retention *rules = &tidy->retain->rules;
    int more = 0;

    for (size_t i = 0; i < rules->count && more == 0; i++)
        if (rules->rules[i].kind == STORE_RETAIN_BYTES)
            more = tidy_size(tidy, rules->rules[i].value, failure);
    return more;
}

/* ---- a pass ---------------------------------------------------------------- */

int retain_step(struct db *db, struct retain *retain, int64_t sequence,
                struct failure *failure)
{
    struct tidy tidy = {.db = db, .retain = retain, .left = RETAIN_ROWS_MAX};
    int more = 1;

    if (!retain->running) {
        retain->running = true;
        retain->filed = retain->layers_done = false;
        retain->begun_ns = clock_monotonic_ns();
        retain->at = (struct layer_key){.run = ""};
        retain->step = 0;
        retain->stops = false;
    }
    retain->begun_at = retain->at;
    retain->begun_step = retain->step;
    retain->layers = 0;
    retain->deleted = 0;
    if (!retain->layers_done ? tidy_layers(&tidy, failure)
                             : (more = tidy_sizes(&tidy, failure)) < 0)
        return -1;
    if (retain->deleted > 0 && erase_note_sequence(db, sequence, failure))
        return -1;
    retain->running = more == 1;
    return more;
}
