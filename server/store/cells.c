/* SPDX-License-Identifier: Apache-2.0 */
#include "store/cells.h"

#include <math.h>
#include <string.h>

static const enum store_field means[CELL_MEANS] = {STORE_ZERO_FRACTION, STORE_FLIPS,
                                                   STORE_FLIP_FRACTION, STORE_SCALE_MEAN};

enum trit_health cell_health(const struct cell *cell)
{
    return (enum trit_health)(cell->state & (CELL_DAMAGED - 1));
}

void cell_of_damage(struct cell *cell, int64_t first, int64_t last)
{
    *cell = (struct cell){.first = (uint64_t)first,
                          .last = (uint64_t)last,
                          .count = 1,
                          .state = TRIT_HEALTH_WARNING | CELL_DAMAGED};
    for (size_t i = 0; i < STORE_FIELDS; i++)
        cell->values[i] = NAN;
}

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
        .state = r->health,
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
    for (size_t i = 0; i < CELL_MEANS; i++)
        cell->have[i] = isnan(cell->values[means[i]]) ? 0u : 1u;
}

/* ---- merging ------------------------------------------------------------------------ */

double cell_worse(enum store_field field, double a, double b)
{
    const enum fold how = store_field_fold(field);

    return fold_values(how == FOLD_MEAN ? FOLD_MOST : how, a, 1, b, 1);
}

void cell_add(struct cell *cell, const struct cell *other, uint32_t wanted)
{
    if (cell->count == 0) {
        *cell = *other;
        return;
    }
    for (size_t i = 0; i < STORE_FIELDS; i++) {
        const enum fold how = store_field_fold((enum store_field)i);

        if (how != FOLD_MEAN && (wanted >> i & 1))
            cell->values[i] = fold_values(how, cell->values[i], 1, other->values[i], 1);
    }
    for (size_t i = 0; i < CELL_MEANS; i++) {
        const enum store_field field = means[i];

        if (!(wanted >> field & 1))
            continue;
        cell->values[field] = fold_values(FOLD_MEAN, cell->values[field], cell->have[i],
                                          other->values[field], other->have[i]);
        cell->have[i] += other->have[i];
    }
    cell->first = cell->first < other->first ? cell->first : other->first;
    cell->last = cell->last > other->last ? cell->last : other->last;
    cell->count += other->count;
    const uint32_t damaged = (cell->state | other->state) & CELL_DAMAGED;
    const enum trit_health a = cell_health(cell), b = cell_health(other);

    cell->state = (uint32_t)(a > b ? a : b) | damaged;
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
