/* SPDX-License-Identifier: Apache-2.0 */
#include "shards/box.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

static const char field_shape[] = "layer.shard.global_shape";
static const char field_offset[] = "layer.shard.offset";

/* ---- does it fit? ----------------------------------------------------------------- */

static int fill_layer(struct shard_box *box, const struct shard_place *place,
                      struct failure *failure)
{
    uint64_t elements = 1;

    box->rank = place->global_rank;
    box->group_size = place->group_size;
    box->rows = 1;
    for (uint32_t i = 0; i < box->rank; i++) {
        box->global[i] = place->global_shape[i];
        box->offset[i] = place->offset[i];
        if (box->global[i] == 0)
            return fail_field(failure, TRIT_INVALID_ARGUMENT, field_shape,
                              "axis %" PRIu32 " is 0; must be at least 1", i);
        if (mul_overflows(elements, box->global[i], &elements))
            return fail_field(failure, TRIT_INVALID_ARGUMENT, field_shape,
                              "element count overflows 64 bits at axis %" PRIu32, i);
        if (i + 1 < box->rank)
            box->rows *= box->global[i];
    }
    box->row_len = box->global[box->rank - 1];
    box->groups_per_row = div_up(box->row_len, box->group_size);
    return 0;
}

static int fill_box(struct shard_box *box, const struct shard_place *place,
                    struct failure *failure)
{
    box->elements = 1;
    for (uint32_t i = 0; i < box->rank; i++) {
        box->shape[i] = place->shape[i];
        if (box->shape[i] > box->global[i] ||
            box->offset[i] > box->global[i] - box->shape[i])
            return fail_field(failure, TRIT_INVALID_ARGUMENT, field_offset,
                              "axis %" PRIu32 ": %" PRIu64 " elements from %" PRIu64
                              " on, but global_shape has %" PRIu64,
                              i, box->shape[i], box->offset[i], box->global[i]);
        box->elements *= box->shape[i];
    }
    return 0;
}

static int fill_run(struct shard_box *box, const struct shard_place *place,
                    struct failure *failure)
{
    const uint64_t elements = box->rows * box->row_len;

    box->flat = true;
    box->elements = place->shape[0];
    for (uint32_t i = 0; i < box->rank; i++) {
        if (box->offset[i] >= box->global[i])
            return fail_field(failure, TRIT_INVALID_ARGUMENT, field_offset,
                              "axis %" PRIu32 ": %" PRIu64
                              ", but global_shape has %" PRIu64,
                              i, box->offset[i], box->global[i]);
        box->first = box->first * box->global[i] + box->offset[i];
    }
    if (box->elements > elements || box->first > elements - box->elements)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, field_offset,
                          "%" PRIu64 " elements from element %" PRIu64
                          " on, but global_shape has %" PRIu64,
                          box->elements, box->first, elements);
    return 0;
}

/* Whether a row may be cut before this column. */
static int check_cut(const struct shard_box *box, uint64_t column,
                     struct failure *failure)
{
    const uint64_t group = column / box->group_size;
    const uint64_t before = group * box->group_size;
    const uint64_t after = before + box->group_size;

    if (column == box->row_len || column == before)
        return 0;
    return fail_field(failure, TRIT_INVALID_ARGUMENT, field_offset,
                      "shard_cuts_group: column %" PRIu64 " is inside group %" PRIu64
                      " of a row of %" PRIu64 "; cut at column %" PRIu64 " or %" PRIu64
                      ": a multiple of group_size %" PRIu32 ", or the row's end",
                      column, group, box->row_len, before,
                      after < box->row_len ? after : box->row_len, box->group_size);
}

/* The groups of a flat shard are those of the layer only if rows are whole groups, or if
 * it lies in one row. */
static int check_run(const struct shard_box *box, struct failure *failure)
{
    const uint64_t end = box->first + box->elements;
    const uint64_t row = box->first / box->row_len, last = (end - 1) / box->row_len;

    if (row != last && box->row_len % box->group_size != 0)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, field_shape,
                          "shard_cuts_group: a flat shard of rows %" PRIu64 " to %" PRIu64
                          " needs rows of whole groups, but a row has %" PRIu64
                          " elements and group_size is %" PRIu32
                          "; send whole rows as a matrix of %" PRIu64 " columns",
                          row, last, box->row_len, box->group_size, box->row_len);
    return check_cut(box, box->first % box->row_len, failure) < 0 ||
                   check_cut(box, (end - 1) % box->row_len + 1, failure) < 0
               ? -1
               : 0;
}

int shard_box_init(struct shard_box *box, const struct shard_place *place,
                   struct failure *failure)
{
    const bool flat = place->rank == 1 && place->global_rank > 1;

    *box = (struct shard_box){.rank = 0};
    if (place->rank != place->global_rank && !flat)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, field_shape,
                          "%" PRIu32 " axes, but the tensor has %" PRIu32
                          "; give as many, or a flat tensor of one axis",
                          place->global_rank, place->rank);
    if (fill_layer(box, place, failure) < 0)
        return -1;
    if (flat)
        return fill_run(box, place, failure) < 0 ? -1 : check_run(box, failure);
    if (fill_box(box, place, failure) < 0)
        return -1;
    const uint32_t last = box->rank - 1;

    return check_cut(box, box->offset[last], failure) < 0 ||
                   check_cut(box, box->offset[last] + box->shape[last], failure) < 0
               ? -1
               : 0;
}

/* ---- two shards ------------------------------------------------------------------- */

bool shard_boxes_same(const struct shard_box *a, const struct shard_box *b)
{
    return a->flat == b->flat && a->elements == b->elements && a->first == b->first &&
           memcmp(a->offset, b->offset, sizeof(a->offset)) == 0 &&
           memcmp(a->shape, b->shape, sizeof(a->shape)) == 0;
}

/* The part of a row that a flat shard has: columns from *begin to *end. */
static bool run_in_row(const struct shard_box *box, uint64_t row, uint64_t *begin,
                       uint64_t *end)
{
    const uint64_t start = row * box->row_len, stop = box->first + box->elements;

    if (stop <= start || box->first >= start + box->row_len)
        return false;
    *begin = box->first > start ? box->first - start : 0;
    *end = stop - start < box->row_len ? stop - start : box->row_len;
    return true;
}

static bool box_has_row(const struct shard_box *box, uint64_t row)
{
    for (uint32_t i = box->rank - 1; i-- > 0;) {
        const uint64_t at = row % box->global[i];

        if (at < box->offset[i] || at - box->offset[i] >= box->shape[i])
            return false;
        row /= box->global[i];
    }
    return true;
}

uint64_t shard_covers(const struct shard_box *box, uint64_t row, uint64_t group)
{
    const uint64_t column = group * box->group_size;
    uint64_t begin, end;

    if (box->flat) {
        if (!run_in_row(box, row, &begin, &end))
            return 0;
    } else {
        begin = box->offset[box->rank - 1];
        end = begin + box->shape[box->rank - 1];
        if (column < begin || column >= end || !box_has_row(box, row))
            return 0;
    }
    return column < begin || column >= end ? 0 : div_up(end, box->group_size) - group;
}

/* Shards of one layer are all flat, or none is. */
bool shard_boxes_overlap(const struct shard_box *a, const struct shard_box *b)
{
    if (a->flat != b->flat)
        return true;
    if (a->flat)
        return a->first < b->first + b->elements && b->first < a->first + a->elements;
    for (uint32_t i = 0; i < a->rank; i++)
        if (a->offset[i] >= b->offset[i] + b->shape[i] ||
            b->offset[i] >= a->offset[i] + a->shape[i])
            return false;
    return true;
}

/* ---- positions -------------------------------------------------------------------- */

/* The row of the layer that is row `row` of the box. */
static uint64_t row_of(const struct shard_box *box, uint64_t row)
{
    uint64_t result = 0, scale = 1;

    for (uint32_t i = box->rank - 1; i-- > 0;) {
        result += (box->offset[i] + row % box->shape[i]) * scale;
        row /= box->shape[i];
        scale *= box->global[i];
    }
    return result;
}

uint64_t shard_element(const struct shard_box *box, uint64_t element)
{
    const uint32_t last = box->rank - 1;

    if (box->flat)
        return box->first + element;
    return row_of(box, element / box->shape[last]) * box->row_len + box->offset[last] +
           element % box->shape[last];
}

uint64_t shard_group(const struct shard_box *box, uint64_t group)
{
    const uint32_t last = box->rank - 1;

    if (box->flat)
        return box->first / box->row_len * box->groups_per_row +
               box->first % box->row_len / box->group_size + group;
    const uint64_t per_row = div_up(box->shape[last], box->group_size);

    return row_of(box, group / per_row) * box->groups_per_row +
           box->offset[last] / box->group_size + group % per_row;
}

uint64_t shard_groups(const struct shard_box *box)
{
    const uint64_t row_len = box->flat ? box->elements : box->shape[box->rank - 1];

    return box->elements / row_len * div_up(row_len, box->group_size);
}

uint64_t shard_code_bytes(const struct shard_box *box, uint64_t group, uint64_t count)
{
    const uint64_t full = div_up(box->group_size, 4);
    const bool to_end = group + count == box->groups_per_row;
    const uint64_t tail = box->row_len - (box->groups_per_row - 1) * box->group_size;

    return to_end ? (count - 1) * full + div_up(tail, 4) : count * full;
}

uint64_t shard_layer_elements(const struct shard_box *box)
{
    return box->rows * box->row_len;
}

bool shard_is_contiguous(const struct shard_box *box)
{
    uint32_t axis = 0;

    if (box->flat)
        return true;
    while (axis < box->rank && box->shape[axis] == 1)
        axis++;
    for (axis++; axis < box->rank; axis++)
        if (box->shape[axis] != box->global[axis])
            return false;
    return true;
}

static size_t put_axes(char *text, size_t bytes, const uint64_t *axes, uint32_t rank)
{
    size_t at = 0;

    for (uint32_t i = 0; i < rank; i++)
        at += (size_t)snprintf(text + at, bytes - at, "%s%" PRIu64, i ? ", " : "[",
                               axes[i]);
    return at + (size_t)snprintf(text + at, bytes - at, "]");
}

const char *shard_text(const struct shard_box *box, char text[SHARD_TEXT_BYTES])
{
    size_t at = (size_t)snprintf(text, SHARD_TEXT_BYTES, "offset ");

    at += put_axes(text + at, SHARD_TEXT_BYTES - at, box->offset, box->rank);
    at += (size_t)snprintf(text + at, SHARD_TEXT_BYTES - at, ", shape ");
    if (box->flat)
        put_axes(text + at, SHARD_TEXT_BYTES - at, &box->elements, 1);
    else
        put_axes(text + at, SHARD_TEXT_BYTES - at, box->shape, box->rank);
    return text;
}

const char *shard_axes(const uint64_t *axes, uint32_t rank, char text[SHARD_TEXT_BYTES])
{
    put_axes(text, SHARD_TEXT_BYTES, axes, rank);
    return text;
}
