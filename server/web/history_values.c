/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of a history that was read. */
#include <math.h>
#include <stdlib.h>

#include "web/history.h"
#include "web/text.h"

void history_fini(struct history *history)
{
    free(history->layers);
    free(history->row_steps);
    free(history->row_values);
    free(history->row_damaged);
    free(history->steps);
    *history = (struct history){0};
}

double history_value(const struct history *history, const struct history_layer *layer,
                     size_t *row, uint64_t step, size_t field)
{
    const uint64_t *steps = history->row_steps + layer->first;

    while (*row < layer->rows && steps[*row] < step)
        ++*row;
    if (*row == layer->rows || steps[*row] != step)
        return (double)NAN;
    return history->row_values[(layer->first + *row) * history->field_count + field];
}

void history_values(const struct history *history, const struct history_layer *layer,
                    size_t field, double *values)
{
    size_t row = 0;

    for (size_t i = 0; i < history->step_count; i++)
        values[i] = history_value(history, layer, &row, history->steps[i], field);
}

uint64_t history_every(uint64_t step_min, uint64_t step_max, uint64_t columns)
{
    uint64_t steps = step_max > step_min ? step_max - step_min + 1 : 1;

    return steps <= columns ? 1 : (steps + columns - 2) / (columns - 1);
}

void history_means(const struct history *history, size_t field, double *means)
{
    double *counts = means + history->step_count;

    for (size_t i = 0; i < 2 * history->step_count; i++)
        means[i] = 0;
    for (size_t layer = 0; layer < history->layer_count; layer++) {
        size_t row = 0;

        for (size_t i = 0; i < history->step_count; i++) {
            double value = history_value(history, &history->layers[layer], &row,
                                         history->steps[i], field);

            means[i] += isnan(value) ? 0 : value;
            counts[i] += !isnan(value);
        }
    }
    for (size_t i = 0; i < history->step_count; i++)
        means[i] = counts[i] > 0 ? means[i] / counts[i] : (double)NAN;
}

void history_put_part(struct text *text, const struct history *history)
{
    if (history->more)
        text_format(text, " of the first %zu layers by name", history->layer_count);
}
