/* SPDX-License-Identifier: Apache-2.0 */
#include "store/cells.h"

#include <math.h>
#include <string.h>

/* How the values of several reports become one. */
enum merge { MERGE_MEAN, MERGE_MIN, MERGE_MAX, MERGE_FAR };

static const enum merge merges[STORE_FIELDS] = {
    [STORE_ZERO_FRACTION] = MERGE_MEAN,      [STORE_ZERO_GROUPS] = MERGE_MAX,
    [STORE_ZERO_GROUP_FRACTION] = MERGE_MAX, [STORE_FLIPS] = MERGE_MEAN,
    [STORE_FLIP_FRACTION] = MERGE_MEAN,      [STORE_SCALE_MIN] = MERGE_MIN,
    [STORE_SCALE_MEAN] = MERGE_MEAN,         [STORE_SCALE_MAX] = MERGE_MAX,
    [STORE_SCALE_DRIFT] = MERGE_FAR,         [STORE_SQNR_DB] = MERGE_MIN,
    [STORE_NEAR_THRESHOLD] = MERGE_MAX,      [STORE_NON_FINITE] = MERGE_MAX,
};

static double share(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : NAN;
}

void cell_of_report(struct cell *cell, const struct trit_report *r, double drift)
{
    const bool flips = r->has_previous, scales = r->has_scales;

    *cell = (struct cell){
        .first = r->step,
        .last = r->step,
        .count = 1,
        .health = r->health,
        .values =
            {
                [STORE_ZERO_FRACTION] = share(r->zeros, r->elements),
                [STORE_ZERO_GROUPS] = (double)r->zero_groups,
                [STORE_ZERO_GROUP_FRACTION] = share(r->zero_groups, r->groups),
                [STORE_FLIPS] = flips ? (double)r->flips : NAN,
                [STORE_FLIP_FRACTION] = flips ? r->flip_fraction : NAN,
                [STORE_SCALE_MIN] = scales ? (double)r->scale_min : NAN,
                [STORE_SCALE_MEAN] = scales ? r->scale_mean : NAN,
                [STORE_SCALE_MAX] = scales ? (double)r->scale_max : NAN,
                [STORE_SCALE_DRIFT] = drift,
                [STORE_SQNR_DB] = r->has_sqnr_db ? r->sqnr_db : NAN,
                [STORE_NEAR_THRESHOLD] = r->near_threshold_fraction,
                [STORE_NON_FINITE] = (double)r->non_finite,
            },
    };
}

/* ---- merging ------------------------------------------------------------------------ */

/* A factor and its inverse are equally far. */
static double farther(double a, double b)
{
    return fmax(a, 1 / a) >= fmax(b, 1 / b) ? a : b;
}

static double merged(enum merge how, double a, double a_count, double b, double b_count)
{
    if (isnan(a) || isnan(b))
        return isnan(a) ? b : a;
    switch (how) {
    case MERGE_MIN:
        return fmin(a, b);
    case MERGE_MAX:
        return fmax(a, b);
    case MERGE_FAR:
        return farther(a, b);
    case MERGE_MEAN:
        break;
    }
    return (a * a_count + b * b_count) / (a_count + b_count);
}

double cell_worse(enum store_field field, double a, double b)
{
    const enum merge how = merges[field];

    return merged(how == MERGE_MEAN ? MERGE_MAX : how, a, 1, b, 1);
}

void cell_merge(struct cell *cell, const struct cell *other, uint32_t wanted)
{
    if (cell->count == 0) {
        *cell = *other;
        return;
    }
    for (size_t i = 0; i < STORE_FIELDS; i++)
        if (wanted >> i & 1)
            cell->values[i] = merged(merges[i], cell->values[i], cell->count,
                                     other->values[i], other->count);
    cell->first = cell->first < other->first ? cell->first : other->first;
    cell->last = cell->last > other->last ? cell->last : other->last;
    cell->count += other->count;
    cell->health = cell->health > other->health ? cell->health : other->health;
}

void cells_insert(struct cell *cells, size_t *count, const struct cell *cell)
{
    size_t at = *count;

    for (; at > 0 && cells[at - 1].first > cell->first; at--)
        cells[at] = cells[at - 1];
    cells[at] = *cell;
    ++*count;
}

/* ---- bytes -------------------------------------------------------------------------- */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ &&
                   sizeof(struct cell) == CELL_BYTES,
               "a cell in memory is a cell on disk");

void cells_encode(const struct cell *cells, size_t count, uint8_t *bytes)
{
    memcpy(bytes, cells, count * CELL_BYTES);
}

void cells_decode(const uint8_t *bytes, size_t count, struct cell *cells)
{
    memcpy(cells, bytes, count * CELL_BYTES);
}
