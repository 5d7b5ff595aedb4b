/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/ternary.h"

#include <string.h>

#include "base/limits.h"

/* Packings have groups of 32 weights or of multiples of it. */
enum { FINE_GROUP = 32 };

void ternary_probe_init(struct ternary_probe *probe, const struct layer_terms *terms,
                        const struct tensor_entry *dense)
{
    const struct matrix matrix = matrix_of(dense->rank, dense->shape);
    uint64_t elements = matrix.rows * matrix.columns;

    *probe = (struct ternary_probe){
        .dtype = dense->type->dtype,
        .columns = matrix.columns,
        .group_size = terms->group_size,
        .padded = terms->group_size != 0 && terms->partial_group == TRIT_PARTIAL_PADDED,
        /* One weight a row has always one magnitude: that says nothing. */
        .ternary = matrix.columns > 1 && elements > 0,
        .ternary_fine = matrix.columns > 1 && elements > 0,
    };
}

/* Takes a magnitude in; false where the group has another one already. */
static bool group_take(struct probe_group *group, uint32_t magnitude)
{
    if (magnitude == 0) {
        group->zeros = true;
        return true;
    }
    if (group->magnitude == 0)
        group->magnitude = magnitude;
    return group->magnitude == magnitude;
}

/* Zeros beside a magnitude pull the mean below it. */
static void group_end(struct ternary_probe *probe, bool is_short)
{
    if (probe->group.magnitude != 0 &&
        (probe->group.zeros || (is_short && probe->padded)))
        probe->changes = true;
    probe->group = (struct probe_group){.magnitude = 0};
}

static void take(struct ternary_probe *probe, uint32_t magnitude, bool finite)
{
    if (!finite)
        probe->ternary = probe->ternary_fine = false;
    if (!group_take(&probe->group, magnitude))
        probe->ternary = false;
    if (!group_take(&probe->fine, magnitude))
        probe->ternary_fine = false;
    probe->column++;
    const bool row_ends = probe->column == probe->columns;
    if (probe->column % FINE_GROUP == 0 || row_ends)
        probe->fine = (struct probe_group){.magnitude = 0};
    if (probe->group_size && (probe->column % probe->group_size == 0 || row_ends))
        group_end(probe, probe->column % probe->group_size != 0);
    if (row_ends)
        probe->column = 0;
}

bool ternary_probe_feed(struct ternary_probe *probe, const void *data, uint64_t bytes)
{
    const unsigned char *at = data;
    const size_t width = probe->dtype == TRIT_F32 ? 4 : 2;

    for (uint64_t left = bytes; left >= width; left -= width, at += width) {
        uint32_t bits;
        uint16_t half;

        if (!probe->ternary && !probe->ternary_fine)
            return false;
        if (width == 4) {
            memcpy(&bits, at, sizeof(bits));
            bits &= 0x7fffffff;
            take(probe, bits, bits < 0x7f800000);
        } else {
            memcpy(&half, at, sizeof(half));
            bits = half & 0x7fffu;
            take(probe, bits, bits < (probe->dtype == TRIT_F16 ? 0x7c00u : 0x7f80u));
        }
    }
    return probe->ternary || probe->ternary_fine;
}

bool ternary_probe_refuses(struct ternary_probe *probe)
{
    if (probe->group_size == 0)
        group_end(probe, false);
    if (probe->ternary)
        return probe->changes;
    return probe->ternary_fine; /* finer groups than the projection's: it mixes them */
}
