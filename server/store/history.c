/* SPDX-License-Identifier: Apache-2.0 */
/* Answers a query of the history in three passes:
 *   1. Over the rows of layers: which are concerned, with which range of steps. This gives
 *      the width of a column and the level of the cells that are read.
 *   2. Over their cells: each layer's columns.
 *   3. The columns that some layer has are the answer's; each layer's values are placed
 *      into them. */
#include "store/history.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/number.h"
#include "store/history_query.h"
#include "store/levels.h"
#include "store/reader.h"
#include "store/rebuild.h"
#include "store/scan.h"

/* ---- 1. which layers ---------------------------------------------------------------- */

/* The range of a row that the query wants; false: none. */
static bool range_of(const struct query *q, const struct layer_row *row, int64_t *from,
                     int64_t *to)
{
    const struct store_history_query *asked = q->asked;

    if (row->key.replica != (int64_t)asked->replica || asked->from > INT64_MAX ||
        !visible_steps(q->run, asked->attempt, row, from, to))
        return false;
    if ((int64_t)asked->from > *from)
        *from = (int64_t)asked->from;
    if (asked->to < (uint64_t)*to)
        *to = (int64_t)asked->to;
    *from = *from > row->step_min ? *from : row->step_min;
    *to = *to < row->step_max ? *to : row->step_max;
    return *from <= *to;
}

static int add_strip(struct query *q, const char *name, struct failure *failure)
{
    struct strip *grown =
        array_grow(q->strips, &q->strip_space, q->strip_count + 1, sizeof(*q->strips));

    if (!grown)
        return history_no_memory(failure);
    q->strips = grown;
    q->strips[q->strip_count] = (struct strip){.name = strdup(name)};
    if (!q->strips[q->strip_count].name)
        return history_no_memory(failure);
    q->strip_count++;
    return 0;
}

static bool is_asked(const struct query *q, const char *layer)
{
    const char *pattern = q->asked->layer;

    return !pattern || !pattern[0] || fnmatch(pattern, layer, 0) == 0;
}

static int add_segment(struct query *q, const struct segment *segment,
                       struct failure *failure)
{
    const char *layer = segment->key.layer;
    struct segment *grown;

    if ((q->strip_count == 0 || strcmp(q->strips[q->strip_count - 1].name, layer) != 0) &&
        add_strip(q, layer, failure))
        return -1;
    grown = array_grow(q->segments, &q->segment_space, q->segment_count + 1,
                       sizeof(*q->segments));
    if (!grown)
        return history_no_memory(failure);
    q->segments = grown;
    q->segments[q->segment_count] = *segment;
    q->segments[q->segment_count++].layer = q->strip_count - 1;
    return 1;
}

static int note_layer(void *arg, const struct layer_row *row, struct failure *failure)
{
    struct query *q = arg;
    struct segment segment = {.key = row->key,
                              .step_min = row->step_min,
                              .step_max = row->step_max,
                              .reports = row->reports};

    return range_of(q, row, &segment.from, &segment.to) && is_asked(q, row->key.layer)
               ? add_segment(q, &segment, failure)
               : 1;
}

/* The layer's row is damaged: nothing is known but the newest step that the table has, or
 * without one, where the range begins. */
static int note_damaged(void *arg, const struct layer_key *key, struct failure *failure)
{
    struct query *q = arg;
    const struct layer_row row = {.key = *key, .step_min = 0, .step_max = INT64_MAX};
    struct segment segment = {.key = *key, .reports = 1, .lost = true};

    if (!is_asked(q, key->layer) || !range_of(q, &row, &segment.from, &segment.to))
        return 1;
    int64_t newest = segment.from;

    if (scan_newest(q->db, key, segment.from, segment.to, &newest, failure) < 0)
        return -1;
    if (newest >= segment.from && newest <= segment.to)
        segment.from = newest;
    segment.to = segment.step_min = segment.step_max = segment.from;
    return add_segment(q, &segment, failure);
}

/* The usual distance of two steps. */
static uint64_t spacing_of(const struct segment *segment)
{
    return segment->reports > 1 ? (uint64_t)((segment->step_max - segment->step_min) /
                                             (segment->reports - 1))
                                : 1;
}

static void measure(struct query *q)
{
    q->from = UINT64_MAX;
    q->spacing = UINT64_MAX;
    for (size_t i = 0; i < q->segment_count; i++) {
        const struct segment *s = &q->segments[i];
        const uint64_t spacing = spacing_of(s) ? spacing_of(s) : 1;
        const uint64_t inside = (uint64_t)(s->to - s->from) / spacing + 1;

        q->reports += u64_min(inside, (uint64_t)s->reports);
        q->spacing = u64_min(q->spacing, spacing);
        q->from = u64_min(q->from, (uint64_t)s->from);
        q->to = (uint64_t)s->to > q->to ? (uint64_t)s->to : q->to;
    }
}

/* Sets the width of a column, and cuts the range to what columns_max columns can hold. */
static void choose_columns(struct query *q)
{
    uint64_t every = q->asked->every;
    uint64_t width = q->spacing;

    if (every)
        q->from -= (q->from - q->asked->from) % every;
    const uint64_t steps = q->to - q->from;

    /* Widths of 4, 16, 64 reports are those of cells, so that cells do not reach over the
     * edges of columns. */
    while (every == 0 && steps / width >= q->columns_max && width < UINT64_MAX / 8)
        width *= HISTORY_FAN;
    if (every == 0)
        every = steps / q->spacing < q->columns_max ? 1 : width;
    q->out->every = every;
    width = (q->spacing + every - 1) / every *
            every; /* the next answer goes on with a column */
    if (steps / width >= q->columns_max) {
        q->to = q->from + width * q->columns_max - 1;
        q->out->has_next = true;
        q->out->next = q->to + 1;
    }
}

/* The cells that are read: of at most half a column each, or of a whole one where they
 * begin where columns begin. */
static unsigned level_of(const struct query *q, const struct segment *segment)
{
    const uint64_t every = q->out->every;
    uint64_t span = spacing_of(segment) ? spacing_of(segment) : 1;
    unsigned level = 0;

    if (q->reports <=
        (q->asked->exact_max ? q->asked->exact_max : HISTORY_EXACT_REPORTS_MAX))
        return 0;
    while (level + 1 < HISTORY_LEVELS && 2 * span * HISTORY_FAN <= every) {
        span *= HISTORY_FAN;
        level++;
    }
    const uint64_t first = (uint64_t)segment->step_min;

    if (level + 1 < HISTORY_LEVELS && span * HISTORY_FAN == every &&
        (first > q->from ? first - q->from : q->from - first) % every == 0)
        level++;
    return level;
}

/* ---- 2. cells ----------------------------------------------------------------------- */

/* Where a cell counts: where it begins. Damaged reports up to an intact one count at the last of
 * them: only that is known to be the step of a report. */
static uint64_t place_of(const struct query *q, const struct cell *cell)
{
    const bool lacks_all = cell->state & CELL_DAMAGED && cell->count == 1;

    return lacks_all ? u64_min(cell->last, (uint64_t)q->range.to) : cell->first;
}

/* Adds a cell to its column. Cells come nearly in order. */
static int add_cell(void *arg, const struct cell *cell, struct failure *failure)
{
    struct query *q = arg;
    const uint64_t number = (place_of(q, cell) - q->from) / q->out->every;
    size_t at = q->column_count;
    struct column *grown;

    q->cells++;
    if (cell->last >= q->newest) {
        q->newest = cell->last;
        q->newest_health = cell_health(cell);
    }
    while (at > 0 && q->columns[at - 1].number > number)
        at--;
    if (at > 0 && q->columns[at - 1].number == number) {
        cell_add(&q->columns[at - 1].sum, cell, q->asked->fields);
        return 0;
    }
    grown = array_grow(q->columns, &q->column_space, q->column_count + 1,
                       sizeof(*q->columns));
    if (!grown)
        return history_no_memory(failure);
    q->columns = grown;
    memmove(&q->columns[at + 1], &q->columns[at],
            (q->column_count - at) * sizeof(*q->columns));
    q->columns[at] = (struct column){.number = number, .sum = *cell};
    q->column_count++;
    return 0;
}

static int add_in_range(void *arg, const struct cell *cell, struct failure *failure)
{
    const struct query *q = arg;

    return (int64_t)cell->last < q->range.from || (int64_t)cell->first > q->range.to
               ? 0
               : add_cell(arg, cell, failure);
}

static int note_newest(struct query *q, const struct segment *segment,
                       const struct past_row *row)
{
    struct strip *strip = &q->strips[segment->layer];

    strip->step = q->newest;
    strip->health = q->newest == (uint64_t)row->step ? row->health : q->newest_health;
    return 0;
}

/* The layer has a mark that something is damaged, and no values. */
static int mark_lost(struct query *q, const struct segment *segment,
                     struct failure *failure)
{
    struct cell cell;

    if (segment->from > (int64_t)u64_min(q->to, INT64_MAX))
        return 0;
    cell_of_damage(&cell, segment->from, segment->from);
    q->range = (struct step_range){segment->from, segment->from};
    if (add_cell(q, &cell, failure))
        return -1;
    q->strips[segment->layer].step = (uint64_t)segment->from;
    q->strips[segment->layer].health = TRIT_HEALTH_WARNING;
    return 0;
}

static int read_segment(struct query *q, const struct segment *segment,
                        struct failure *failure)
{
    const struct layer_row layer = {.key = segment->key,
                                    .step_min = segment->step_min,
                                    .step_max = segment->step_max};
    struct past_row row;
    const int64_t to = (uint64_t)segment->to < q->to ? segment->to : (int64_t)q->to;
    const struct history_walk walk = {.row = &row,
                                      .level = level_of(q, segment),
                                      .from = segment->from,
                                      .to = to,
                                      .visit = add_cell,
                                      .arg = q};

    q->newest = 0;
    if (segment->lost)
        return mark_lost(q, segment, failure);
    q->range = (struct step_range){segment->from, to};
    if (q->from_reports)
        return past_of_reports(q->db, &layer, &row, add_in_range, q, failure) == 0
                   ? note_newest(q, segment, &row)
                   : -1;
    if (past_read(q->db, &layer, &row, failure))
        return -1;
    q->out->exact &= walk.level == 0;
    if (history_walk(q->db, &walk, failure))
        return fail_context(failure, "history of run \"%s\", layer \"%s\"",
                            segment->key.run, segment->key.layer);
    return note_newest(q, segment, &row);
}

static int read_segments(struct query *q, size_t strip, size_t *next,
                         struct failure *failure)
{
    q->column_count = 0;
    for (; *next < q->segment_count && q->segments[*next].layer == strip; ++*next)
        if (read_segment(q, &q->segments[*next], failure))
            return -1;
    return 0;
}

/* If summaries are damaged, the reports are read instead. */
static int read_strip(struct query *q, size_t strip, size_t *next,
                      struct failure *failure)
{
    const size_t first = *next;

    q->from_reports = false;
    if (read_segments(q, strip, next, failure) == 0)
        return 0;
    if (!damage_is_of_rows(q->db, failure))
        return -1;
    q->from_reports = true;
    *next = first;
    return read_segments(q, strip, next, failure);
}

/* Keeps what is wanted of the columns that were read. */
static int finish_strip(struct query *q, struct strip *strip, struct failure *failure)
{
    const size_t count = q->column_count;
    size_t at = 0;

    q->values += count * q->field_count;
    if (q->values > HISTORY_VALUES_MAX)
        return history_too_large(failure);
    strip->count = count;
    strip->columns = calloc(count + 1, sizeof(*strip->columns));
    strip->health_of = calloc(count + 1, 1);
    strip->damaged = calloc(count + 1, sizeof(*strip->damaged));
    strip->values = calloc(count * q->field_count + 1, sizeof(*strip->values));
    if (!strip->columns || !strip->health_of || !strip->damaged || !strip->values)
        return history_no_memory(failure);
    for (size_t i = 0; i < count; i++) {
        strip->columns[i] = q->columns[i].number;
        strip->health_of[i] = (uint8_t)cell_health(&q->columns[i].sum);
        strip->damaged[i] = q->columns[i].sum.state & CELL_DAMAGED;
    }
    for (size_t field = 0; field < STORE_FIELDS; field++)
        if (q->asked->fields & 1u << field)
            for (size_t i = 0; i < count; i++)
                strip->values[at++] = q->columns[i].sum.values[field];
    return 0;
}

static bool is_full(const struct query *q)
{
    return q->asked->values_max > 0 &&
           (q->values >= q->asked->values_max || q->cells >= HISTORY_SUMMARIES_MAX);
}

static int read_layers(struct query *q, struct failure *failure)
{
    const char *after = q->asked->after;
    size_t next = 0;

    while (after && q->first < q->strip_count &&
           strcmp(q->strips[q->first].name, after) <= 0)
        q->first++;
    while (next < q->segment_count && q->segments[next].layer < q->first)
        next++;
    for (q->end = q->first; q->end < q->strip_count && !is_full(q); q->end++) {
        if (read_strip(q, q->end, &next, failure) ||
            finish_strip(q, &q->strips[q->end], failure))
            return -1;
    }
    q->out->more = q->end < q->strip_count;
    return 0;
}

/* ---- the query ---------------------------------------------------------------------- */

static int find(struct query *q, struct failure *failure)
{
    const int found = find_readable_run(q->db, q->asked->run, q->run, failure);

    if (found < 0)
        return -1;
    if (found == 0)
        return fail(failure, TRIT_NOT_FOUND, "run", "no run \"%s\"", q->asked->run);
    if (run_check_attempt(q->run, q->asked->attempt, failure))
        return -1;
    q->out->attempt = q->asked->attempt ? q->asked->attempt : q->run->attempts;
    return 0;
}

static int answer(struct query *q, struct failure *failure)
{
    struct layer_walk walk = {
        .run = q->asked->run, .visit = note_layer, .damaged = note_damaged, .arg = q};

    layer_key_set(&walk.start, q->asked->run, "");
    if (find(q, failure) || walk_layers(q->db, &walk, failure) < 0)
        return -1;
    if (q->segment_count == 0) {
        q->out->every = q->asked->every ? q->asked->every : 1;
        return 0;
    }
    measure(q);
    choose_columns(q);
    return read_layers(q, failure) || history_assemble(q, failure) ? -1 : 0;
}

static void query_fini(struct query *q)
{
    for (size_t i = 0; i < q->strip_count; i++) {
        free(q->strips[i].name);
        free(q->strips[i].columns);
        free(q->strips[i].health_of);
        free(q->strips[i].damaged);
        free(q->strips[i].values);
    }
    free(q->strips);
    free(q->segments);
    free(q->columns);
    free(q->run);
}

int store_read_history(struct store_reader *reader,
                       const struct store_history_query *asked,
                       struct store_history *history, struct failure *failure)
{
    struct query q = {.db = &reader->db,
                      .asked = asked,
                      .out = history,
                      .run = malloc(sizeof(*q.run)),
                      .columns_max = asked->columns_max};
    int outcome = -1;

    *history = (struct store_history){.exact = true};
    if (q.columns_max == 0 || q.columns_max > HISTORY_COLUMNS_MAX)
        q.columns_max = HISTORY_COLUMNS_MAX;
    for (unsigned i = 0; i < STORE_FIELDS; i++)
        q.field_count += asked->fields >> i & 1;
    if (!q.run)
        history_no_memory(failure);
    else if (begin_read(&reader->db, failure) == 0) {
        outcome = answer(&q, failure);
        end_read(&reader->db);
    }
    query_fini(&q);
    return outcome;
}

void store_history_fini(struct store_history *history)
{
    for (size_t i = 0; i < history->layer_count; i++) {
        free(history->layers[i].name);
        free(history->layers[i].column_health);
        free(history->layers[i].damaged);
        for (size_t field = 0; field < STORE_FIELDS; field++)
            free(history->layers[i].values[field]);
    }
    free(history->layers);
    free(history->steps);
    *history = (struct store_history){0};
}
