/* SPDX-License-Identifier: Apache-2.0 */
#include "web/newest_runs.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

static int compare_newest(const void *a, const void *b)
{
    const struct listed_run *left = a, *right = b;

    if (left->time_unix_ns != right->time_unix_ns)
        return left->time_unix_ns > right->time_unix_ns ? -1 : 1;
    return strcmp(left->run, right->run);
}

void newest_runs_finish(struct newest_runs *runs)
{
    if (runs->count > 1)
        qsort(runs->rows, runs->count, sizeof(runs->rows[0]), compare_newest);
    if (runs->count > runs->max) {
        runs->count = runs->max;
        runs->more = true;
    }
}

bool newest_runs_add(struct newest_runs *runs, const struct store_run_info *info)
{
    struct listed_run *rows;

    if (runs->count == 2 * runs->max)
        newest_runs_finish(runs);
    rows = array_grow(runs->rows, &runs->capacity, runs->count + 1, sizeof(rows[0]));
    runs->failed |= !rows;
    if (!rows)
        return false;
    runs->rows = rows;
    struct listed_run *row = &rows[runs->count++];

    *row = (struct listed_run){.reports = info->reports,
                               .has_steps = info->has_steps,
                               .step_min = info->step_min,
                               .step_max = info->step_max,
                               .time_unix_ns = info->time_unix_ns,
                               .damaged = info->damaged > 0};
    strcpy(row->run, info->run);
    return true;
}

void newest_runs_fini(struct newest_runs *runs)
{
    free(runs->rows);
    *runs = (struct newest_runs){0};
}
