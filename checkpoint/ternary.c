/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/ternary.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

int ternary_probe_create(struct ternary_probe *probe, const struct layer_terms *terms,
                         const struct tensor_entry *dense, enum layer_layout layout,
                         struct failure *failure)
{
    const struct matrices matrices = matrices_of(layout, dense->rank, dense->shape);
    /* A row of one weight always has one magnitude and proves nothing. */
    const bool any = matrices.columns > 1 && matrices.rows > 0 && matrices.count > 0;

    *probe = (struct ternary_probe){
        .dtype = dense->type->dtype,
        .columns = matrices.columns,
        .group_size = terms->group_size,
        .padded = terms->group_size != 0 && terms->partial_group == TRIT_PARTIAL_PADDED,
        .ternary = any,
        .row_ternary = any,
        .row_count = matrices.transposed ? matrices.rows : 1,
    };
    for (uint32_t size = PROBE_GROUP_MIN;
         any && size <= PROBE_GROUP_MAX && size < matrices.columns; size++)
        probe->sizes[probe->size_count++] = (uint16_t)size;
    probe->rows = calloc(probe->row_count + 1, sizeof(*probe->rows));
    return probe->rows ? 0
                       : fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

void ternary_probe_destroy(struct ternary_probe *probe)
{
    free(probe->rows);
    *probe = (struct ternary_probe){.rows = NULL};
}

/* Adds a magnitude; false if the group already has a different one. */
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

/* Zeros make the mean smaller than the magnitude. */
static void group_end(struct ternary_probe *probe, struct probe_group *group,
                      bool is_short)
{
    if (group->magnitude != 0 && (group->zeros || (is_short && probe->padded)))
        probe->changes = true;
    *group = (struct probe_group){.magnitude = 0};
}

/* Two weights of a row have different magnitudes: drops the sizes of groups that have both
 * in one group. */
static void part_columns(struct ternary_probe *probe, uint64_t left, uint64_t right)
{
    uint32_t kept = 0;

    probe->row_ternary = false;
    for (uint32_t i = 0; i < probe->size_count; i++)
        if (left / probe->sizes[i] != right / probe->sizes[i])
            probe->sizes[kept++] = probe->sizes[i];
    probe->size_count = kept;
}

static void take(struct ternary_probe *probe, uint32_t magnitude, bool finite)
{
    struct probe_row *row = &probe->rows[probe->row];
    struct probe_group *group = probe->group_size ? &row->group : &probe->rows[0].group;
    const uint64_t end = probe->column + 1;
    const bool row_ends = end == probe->columns;

    if (!finite) {
        probe->ternary = probe->row_ternary = false;
        probe->size_count = 0;
    }
    if (!group_take(group, magnitude))
        probe->ternary = false;
    if (magnitude != 0) {
        if (row->magnitude != 0 && row->magnitude != magnitude)
            part_columns(probe, row->last, probe->column);
        row->magnitude = magnitude;
        row->last = probe->column;
    }
    if (row_ends)
        row->magnitude = 0;
    if (probe->group_size && (end % probe->group_size == 0 || row_ends))
        group_end(probe, group, end % probe->group_size != 0);
    if (++probe->row == probe->row_count) {
        probe->row = 0;
        probe->column = row_ends ? 0 : end;
    }
}

static bool may_be_ternary(const struct ternary_probe *probe)
{
    return probe->ternary || probe->row_ternary || probe->size_count > 0;
}

bool ternary_probe_feed(struct ternary_probe *probe, const void *data, uint64_t bytes)
{
    const unsigned char *at = data;
    const size_t width = probe->dtype == TRIT_F32 ? 4 : 2;

    for (uint64_t left = bytes; left >= width; left -= width, at += width) {
        uint32_t bits;
        uint16_t half;

        if (!may_be_ternary(probe))
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
    return may_be_ternary(probe);
}

uint64_t ternary_probe_group(const struct ternary_probe *probe)
{
    if (probe->row_ternary)
        return probe->columns;
    if (probe->ternary && probe->group_size)
        return probe->group_size;
    return probe->size_count ? probe->sizes[probe->size_count - 1] : 0;
}

bool ternary_probe_refuses(struct ternary_probe *probe)
{
    if (probe->group_size == 0)
        group_end(probe, &probe->rows[0].group, false);
    if (probe->ternary)
        return probe->changes;
    /* Other groups than the projection's, which mixes their magnitudes. */
    return probe->row_ternary || probe->size_count > 0;
}
