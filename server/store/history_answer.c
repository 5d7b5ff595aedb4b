/* SPDX-License-Identifier: Apache-2.0 */
/* The answer of a query of the history: the columns that some layer has, and the values of
 * each layer in them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/history_query.h"

int history_no_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory for the history");
}

int history_too_large(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                "the history has more than %d values; ask for fewer layers, fields or "
                "columns",
                (int)HISTORY_VALUES_MAX);
}

/* Merges the columns of a strip into those of all. */
static int unite(uint64_t **all, size_t *count, const struct strip *strip,
                 struct failure *failure)
{
    uint64_t *merged = malloc((*count + strip->count + 1) * sizeof(*merged));
    size_t a = 0, b = 0, n = 0;

    if (!merged)
        return history_no_memory(failure);
    while (a < *count || b < strip->count) {
        if (b == strip->count || (a < *count && (*all)[a] < strip->columns[b])) {
            merged[n++] = (*all)[a++];
        } else {
            a += a < *count && (*all)[a] == strip->columns[b];
            merged[n++] = strip->columns[b++];
        }
    }
    free(*all);
    *all = merged;
    *count = n;
    return 0;
}

static bool has_all(const struct strip *strip, const uint64_t *columns, size_t count)
{
    return strip->count == count &&
           memcmp(strip->columns, columns, count * sizeof(*columns)) == 0;
}

/* Places the values of a strip; the layer takes its name. */
static int place(const struct query *q, struct strip *strip,
                 struct store_history_layer *layer, struct failure *failure)
{
    const size_t count = q->out->column_count;
    const uint64_t *numbers = q->out->steps;
    size_t from = 0, at;

    layer->name = strip->name;
    strip->name = NULL;
    layer->health = strip->health;
    layer->step = strip->step;
    layer->column_health = calloc(count + 1, 1);
    layer->damaged = calloc(count + 1, sizeof(*layer->damaged));
    if (!layer->column_health || !layer->damaged)
        return history_no_memory(failure);
    at = 0;
    for (size_t i = 0; i < strip->count; i++) {
        while (numbers[at] != strip->columns[i])
            at++;
        layer->column_health[at] = strip->health_of[i];
        layer->damaged[at] = strip->damaged[i];
    }
    for (size_t field = 0; field < STORE_FIELDS; field++) {
        if (!(q->asked->fields & 1u << field))
            continue;
        double *values = malloc((count + 1) * sizeof(*values));

        if (!values)
            return history_no_memory(failure);
        layer->values[field] = values;
        for (size_t i = 0; i < count; i++)
            values[i] = NAN;
        at = 0;
        for (size_t i = 0; i < strip->count; i++) {
            while (numbers[at] != strip->columns[i])
                at++;
            values[at] = strip->values[from + i];
        }
        from += strip->count;
    }
    return 0;
}

int history_assemble(struct query *q, struct failure *failure)
{
    struct store_history *out = q->out;

    out->layers = calloc(q->end - q->first + 1, sizeof(*out->layers));
    if (!out->layers)
        return history_no_memory(failure);
    for (size_t i = q->first; i < q->end; i++)
        if (!has_all(&q->strips[i], out->steps, out->column_count) &&
            unite(&out->steps, &out->column_count, &q->strips[i], failure))
            return -1;
    if ((uint64_t)out->column_count * q->field_count * (q->end - q->first) >
        HISTORY_VALUES_MAX)
        return history_too_large(failure);
    for (size_t i = q->first; i < q->end; i++)
        if (place(q, &q->strips[i], &out->layers[out->layer_count++], failure))
            return -1;
    for (size_t i = 0; i < out->column_count; i++)
        out->steps[i] = q->from + out->steps[i] * out->every;
    return 0;
}
