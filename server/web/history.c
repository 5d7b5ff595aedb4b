/* SPDX-License-Identifier: Apache-2.0 */
#include "web/history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "store/history.h"
#include "web/pattern.h"

/* ---- from reports ---------------------------------------------------------------------- */

/* A history that is being read. */
struct reading {
    struct history *history;
    const struct history_query *query;
    const char *pattern; /* NULL: every layer that the store gives */
    uint32_t reports;
    uint32_t
        counts[HISTORY_FIELDS_MAX]; /* of the last row: reports that have the field */
    bool failed;                    /* out of memory */
    bool ended;                     /* no more rows are taken */
};

static struct history_layer *last_layer(struct history *history)
{
    return history->layer_count ? &history->layers[history->layer_count - 1] : NULL;
}

static bool add_layer(struct history *history, const char *name)
{
    struct history_layer *layers =
        array_grow(history->layers, &history->layer_capacity, history->layer_count + 1,
                   sizeof(layers[0]));

    if (!layers)
        return false;
    history->layers = layers;
    struct history_layer *layer = &layers[history->layer_count++];

    *layer = (struct history_layer){.first = history->row_count};
    strcpy(layer->name, name);
    return true;
}

static bool add_row(struct history *history, uint64_t step, bool damaged)
{
    size_t count = history->row_count + 1;
    uint64_t *steps =
        array_grow(history->row_steps, &history->step_capacity, count, sizeof(steps[0]));
    double *values;

    if (!steps)
        return false;
    history->row_steps = steps;
    values = array_grow(history->row_values, &history->value_capacity,
                        count * history->field_count, sizeof(values[0]));
    if (!values)
        return false;
    history->row_values = values;
    bool *flags = array_grow(history->row_damaged, &history->damaged_capacity, count,
                             sizeof(flags[0]));

    if (!flags)
        return false;
    history->row_damaged = flags;
    flags[history->row_count] = damaged;
    steps[history->row_count] = step;
    for (size_t i = 0; i < history->field_count; i++)
        values[history->row_count * history->field_count + i] = (double)NAN;
    history->row_count = count;
    last_layer(history)->rows++;
    return true;
}

/* Folds a report into the last row. Reports come in the order of their steps. */
static void fold(struct reading *reading, const struct trit_report *report)
{
    struct history *history = reading->history;
    const struct history_query *query = reading->query;
    double *row = history->row_values + (history->row_count - 1) * history->field_count;

    for (size_t i = 0; i < query->field_count; i++) {
        const struct field *field = query->fields[i];
        double value;

        if (!field->get(report, &value))
            continue;
        row[i] = fold_values(field->fold, row[i], reading->counts[i], value, 1);
        reading->counts[i]++;
    }
    last_layer(history)->health = report->health;
    last_layer(history)->step = report->step;
}

/* Gives up the layer that does not fit, unless it is the only one. */
static bool stop(struct history *history)
{
    struct history_layer *layer = last_layer(history);

    if (history->layer_count > 1) {
        history->row_count = layer->first;
        history->layer_count--;
        history->more = true;
    } else {
        history->cut = true;
    }
    return false;
}

/* Makes the row of this step the last one. False: the reading ends. */
static bool begin_row(struct reading *reading, const char *name, uint64_t step)
{
    struct history *history = reading->history;
    const struct history_query *query = reading->query;
    struct history_layer *layer = last_layer(history);

    if (!layer || strcmp(layer->name, name) != 0) {
        if (history->layer_count == query->layers_max) {
            history->more = true;
            return false;
        }
        reading->failed = !add_layer(history, name);
        if (reading->failed)
            return false;
        layer = last_layer(history);
    }
    if (query->every > 1)
        step -= (step - query->from) % query->every;
    if (layer->rows == 0 || history->row_steps[history->row_count - 1] != step) {
        if ((history->row_count + 1) * history->field_count > HISTORY_CELLS_MAX)
            return stop(history);
        reading->failed = !add_row(history, step, false);
        memset(reading->counts, 0, sizeof(reading->counts));
    }
    return !reading->failed;
}

static bool is_wanted(const struct reading *reading, const char *layer)
{
    return !reading->pattern || pattern_matches(reading->pattern, layer);
}

static bool visit(void *arg, const struct trit_report *report)
{
    struct reading *reading = arg;

    if (reading->ended)
        return false;
    if (++reading->reports > HISTORY_REPORTS_MAX)
        return last_layer(reading->history) ? stop(reading->history) : false;
    if (!is_wanted(reading, report->layer))
        return true;
    reading->ended = !begin_row(reading, report->layer, report->step);
    if (!reading->ended)
        fold(reading, report);
    return !reading->ended;
}

/* Reports up to this step are damaged in the store. */
static bool visit_damaged(void *arg, const struct store_key *key)
{
    struct reading *reading = arg;
    struct history *history = reading->history;

    if (reading->ended || !is_wanted(reading, key->layer))
        return !reading->ended;
    reading->ended = !begin_row(reading, key->layer, key->step);
    if (reading->ended)
        return false;
    history->row_damaged[history->row_count - 1] = true;
    last_layer(history)->health = TRIT_HEALTH_WARNING;
    last_layer(history)->step = key->step;
    return true;
}

static int read_reports(struct history *history, struct store_reader *reader,
                        const struct history_query *query, struct failure *failure)
{
    bool named = query->layer && query->layer[0];
    bool wild = named && !query->exact && pattern_is_wild(query->layer);
    struct store_key after = {0};
    struct store_query asked = {
        .run = query->run,
        .layer = named && !wild ? query->layer : NULL,
        .attempt = query->attempt,
        .replica = query->replica,
        .step_from = query->from,
        .step_to = query->to,
        .limit = UINT32_MAX,
        .after = query->after ? &after : NULL,
        .passed = visit_damaged,
    };
    struct reading reading = {
        .history = history,
        .query = query,
        .pattern = wild ? query->layer : NULL,
    };

    strcpy(after.run, query->run);
    strcpy(after.layer, query->after ? query->after : "");
    after.replica = query->replica;
    after.step = INT64_MAX; /* nothing more of that layer */
    if (store_read_reports(reader, &asked, visit, &reading, failure) < 0)
        return -1;
    return reading.failed ? fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory")
                          : 0;
}

/* ---- from the store's summaries -------------------------------------------------------- */

/* The summaries that a query needs, as bits. False: they do not have all of it. */
static bool summarized(const struct history_query *query, uint32_t *wanted)
{
    *wanted = 0;
    for (size_t i = 0; i < query->field_count; i++) {
        int field = store_field_by_name(query->fields[i]->name);

        if (field >= 0)
            *wanted |= (uint32_t)1 << field;
        else if (query->fields[i]->kind != FIELD_HEALTH)
            return false;
    }
    return true;
}

/* The layers of the query as a shell pattern, in which `[` and `\\` are special too. */
static void write_pattern(char *pattern, const struct history_query *query)
{
    const char *special = query->exact ? "*?[\\" : "[\\";

    for (const char *at = query->layer ? query->layer : ""; *at; at++) {
        if (strchr(special, *at))
            *pattern++ = '\\';
        *pattern++ = *at;
    }
    *pattern = '\0';
}

/* The values of a field; NULL: they are those of its health. */
static const double *values_of(const struct field *field,
                               const struct store_history_layer *layer)
{
    return field->kind == FIELD_HEALTH ? NULL
                                       : layer->values[store_field_by_name(field->name)];
}

static double value_of(const double *values, const struct store_history_layer *layer,
                       size_t column)
{
    if (values)
        return values[column];
    return layer->column_health[column] == TRIT_HEALTH_ABSENT
               ? (double)NAN
               : (double)layer->column_health[column];
}

/* Takes over the columns in which the layer has something. -1: out of memory. 0: the
 * history is full. */
static int copy_layer(struct history *history, const struct history_query *query,
                      const struct store_history *from,
                      const struct store_history_layer *layer)
{
    const double *values[HISTORY_FIELDS_MAX];

    if (!add_layer(history, layer->name))
        return -1;
    for (size_t i = 0; i < query->field_count; i++)
        values[i] = values_of(query->fields[i], layer);
    last_layer(history)->health = layer->health;
    last_layer(history)->step = layer->step;
    for (size_t column = 0; column < from->column_count; column++) {
        bool empty = !layer->damaged[column];

        for (size_t i = 0; i < query->field_count; i++)
            empty &= isnan(value_of(values[i], layer, column));
        if (empty)
            continue;
        if ((history->row_count + 1) * history->field_count > HISTORY_CELLS_MAX) {
            stop(history);
            return 0;
        }
        if (!add_row(history, from->steps[column], layer->damaged[column]))
            return -1;
        for (size_t i = 0; i < query->field_count; i++)
            history->row_values[(history->row_count - 1) * history->field_count + i] =
                value_of(values[i], layer, column);
    }
    return 1;
}

static int copy_layers(struct history *history, const struct history_query *query,
                       const struct store_history *from)
{
    history->exact = from->exact;
    history->has_next = from->has_next;
    history->next = from->next;
    for (size_t i = 0; i < from->layer_count; i++) {
        history->more = history->layer_count == query->layers_max;
        if (history->more)
            return 0;
        int copied = copy_layer(history, query, from, &from->layers[i]);

        if (copied <= 0)
            return copied;
    }
    history->more = from->more;
    return 0;
}

/* The axis: the columns that were taken over. */
static int copy_steps(struct history *history, const struct store_history *from)
{
    bool *used = calloc(from->column_count + 1, sizeof(*used));

    history->steps = array_grow(NULL, &history->axis_capacity, from->column_count + 1,
                                sizeof(history->steps[0]));
    for (size_t i = 0; used && i < history->layer_count; i++) {
        const struct history_layer *layer = &history->layers[i];
        size_t column = 0;

        for (size_t row = layer->first; row < layer->first + layer->rows; row++) {
            while (from->steps[column] < history->row_steps[row])
                column++;
            used[column] = true;
        }
    }
    for (size_t i = 0; used && history->steps && i < from->column_count; i++)
        if (used[i])
            history->steps[history->step_count++] = from->steps[i];
    const bool done = used && history->steps;

    free(used);
    return done ? 0 : -1;
}

static int read_summaries(struct history *history, struct store_reader *reader,
                          const struct history_query *query, uint32_t wanted,
                          struct failure *failure)
{
    char pattern[2 * TRIT_NAME_BYTES_MAX + 1];
    const struct store_history_query asked = {
        .run = query->run,
        .attempt = query->attempt,
        .replica = query->replica,
        .layer = pattern,
        .from = query->from,
        .to = query->to,
        .every = query->every ? query->every : 1,
        .fields = wanted,
        .after = query->after,
        .values_max = query->values_max,
    };
    struct store_history found = {0};
    int result;

    write_pattern(pattern, query);
    result = store_read_history(reader, &asked, &found, failure);
    if (result == 0 &&
        (copy_layers(history, query, &found) < 0 || copy_steps(history, &found) < 0))
        result = fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    store_history_fini(&found);
    return result;
}

/* ---- both ------------------------------------------------------------------------------- */

static int compare_steps(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

/* The steps of all layers. */
static bool make_axis(struct history *history)
{
    size_t count = 0;

    history->steps = array_grow(NULL, &history->axis_capacity, history->row_count + 1,
                                sizeof(history->steps[0]));
    if (!history->steps)
        return false;
    if (history->row_count)
        memcpy(history->steps, history->row_steps,
               history->row_count * sizeof(history->steps[0]));
    qsort(history->steps, history->row_count, sizeof(history->steps[0]), compare_steps);
    for (size_t i = 0; i < history->row_count; i++)
        if (count == 0 || history->steps[count - 1] != history->steps[i])
            history->steps[count++] = history->steps[i];
    history->step_count = count;
    return true;
}

int history_read(struct history *history, struct store_reader *reader,
                 const struct history_query *query, struct failure *failure)
{
    uint32_t wanted;
    int result;

    history->field_count = query->field_count;
    history->end = query->to;
    if (summarized(query, &wanted))
        return read_summaries(history, reader, query, wanted, failure);
    history->exact = true;
    result = read_reports(history, reader, query, failure);
    if (result == 0 && !make_axis(history))
        result = fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    return result;
}

/* ---- health now ------------------------------------------------------------------------- */

struct staleness {
    struct history *history;
    const struct history_query *query;
};

static int compare_names(const void *name, const void *layer)
{
    return strcmp(name, ((const struct history_layer *)layer)->name);
}

static bool visit_stale(void *arg, int64_t since_unix_ns,
                        const struct trit_report *report)
{
    const struct staleness *staleness = arg;
    const struct history *history = staleness->history;
    const struct history_query *query = staleness->query;
    struct history_layer *layer = NULL;

    (void)since_unix_ns;
    if (report->replica == query->replica &&
        (query->attempt == 0 || query->attempt == report->attempt) &&
        history->layer_count > 0)
        layer = bsearch(report->layer, history->layers, history->layer_count,
                        sizeof(history->layers[0]), compare_names);
    if (layer && layer->step == report->step && report->health > layer->health)
        layer->health = report->health;
    return true;
}

int history_add_staleness(struct history *history, struct store_reader *reader,
                          const struct history_query *query, struct failure *failure)
{
    struct staleness staleness = {history, query};
    const struct store_stale_query asked = {
        .run = query->run, .after_unix_ns = INT64_MIN, .now_unix_ns = clock_unix_ns()};

    return store_read_stale(reader, &asked, visit_stale, &staleness, failure);
}
