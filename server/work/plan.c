/* SPDX-License-Identifier: Apache-2.0 */
#include "work/plan.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/checked.h"
#include "base/limits.h"
#include "kernels/interleave.h"
#include "kernels/kernels.h"
#include "proto/names.h"

enum { WHOLE_ALIGN = 128 /* elements of an I2_S block */ };
enum { SHAPE_TEXT_BYTES = TRIT_RANK_MAX * 22 + 3 };

/* "[4096, 128]" */
static const char *shape_text(const struct plan_spec *spec, char text[SHAPE_TEXT_BYTES])
{
    int at = snprintf(text, SHAPE_TEXT_BYTES, "[");

    for (uint32_t i = 0; i < spec->rank; i++)
        at += snprintf(text + at, SHAPE_TEXT_BYTES - (size_t)at, "%s%" PRIu64,
                       i > 0 ? ", " : "", spec->shape[i]);
    snprintf(text + at, SHAPE_TEXT_BYTES - (size_t)at, "]");
    return text;
}

static int check_shape(struct plan *plan, struct failure *failure)
{
    const struct plan_spec *spec = &plan->spec;
    char text[SHAPE_TEXT_BYTES];

    if (spec->rank == 0)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "tensor.shape",
                          "rank 0; must be at least 1");
    if (spec->rank > TRIT_RANK_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "tensor.shape",
                          "rank %" PRIu32 "; must be at most %d", spec->rank,
                          TRIT_RANK_MAX);
    for (uint32_t i = 0; i < spec->rank; i++)
        if (spec->shape[i] == 0)
            return fail_field(failure, TRIT_INVALID_ARGUMENT, "tensor.shape",
                              "axis %" PRIu32 " of %s is 0; must be at least 1", i,
                              shape_text(spec, text));
    plan->elements = 1;
    for (uint32_t i = 0; i < spec->rank; i++)
        if (mul_overflows(plan->elements, spec->shape[i], &plan->elements))
            return fail_field(failure, TRIT_INVALID_ARGUMENT, "tensor.shape",
                              "element count of %s overflows 64 bits",
                              shape_text(spec, text));
    plan->row_len = spec->shape[spec->rank - 1];
    plan->rows = plan->elements / plan->row_len;
    return 0;
}

static int check_dtype(const struct plan_spec *spec, struct failure *failure)
{
    bool dense = spec->in == TRIT_ENCODING_DENSE ||
                 (spec->has_out && spec->out == TRIT_ENCODING_DENSE);

    if (!dense || spec->dtype == TRIT_F32 || spec->dtype == TRIT_F16 ||
        spec->dtype == TRIT_BF16)
        return 0;
    return fail_field(failure, TRIT_INVALID_ARGUMENT, "tensor.dtype",
                      "%d; must be f32 (%d), f16 (%d) or bf16 (%d)", (int)spec->dtype,
                      TRIT_F32, TRIT_F16, TRIT_BF16);
}

bool plan_spec_equal(const struct plan_spec *a, const struct plan_spec *b)
{
    if (a->rank != b->rank || a->rank > TRIT_RANK_MAX)
        return false;
    for (uint32_t i = 0; i < a->rank; i++)
        if (a->shape[i] != b->shape[i])
            return false;
    return a->dtype == b->dtype && a->group_size == b->group_size &&
           a->partial == b->partial && a->in == b->in &&
           a->in_scales_dtype == b->in_scales_dtype && a->out == b->out &&
           a->has_out == b->has_out && a->regroups == b->regroups &&
           a->wide_tiles == b->wide_tiles;
}

static bool has_one_scale(enum trit_encoding encoding)
{
    const struct encoding_layout *layout = encoding_layout(encoding);

    return layout && layout->scales == SCALES_TENSOR;
}

bool plan_is_whole(const struct plan_spec *spec)
{
    return has_one_scale(spec->in) || (spec->has_out && has_one_scale(spec->out));
}

/* Whether the tensor is one group. Not if it is regrouped and one of its encodings has
 * groups. */
static bool is_one_group(const struct plan_spec *spec)
{
    if (!spec->regroups)
        return plan_is_whole(spec);
    return has_one_scale(spec->out) &&
           (has_one_scale(spec->in) || spec->in == TRIT_ENCODING_DENSE);
}

/* A tensor with one scale is packed in blocks across its rows: are they whole? */
static int check_whole_shape(const struct plan *plan, enum trit_encoding encoding,
                             struct failure *failure)
{
    char text[SHAPE_TEXT_BYTES];

    if (!has_one_scale(encoding))
        return 0;
    shape_text(&plan->spec, text);
    if (encoding_layout(encoding)->interleaved) {
        if (plan->rows % INTERLEAVED == 0)
            return 0;
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "tensor.shape",
                          "%s has %" PRIu64 " row%s; %s needs a multiple of %d", text,
                          plan->rows, plan->rows == 1 ? "" : "s", encoding_name(encoding),
                          INTERLEAVED);
    }
    if (plan->elements % WHOLE_ALIGN != 0 || plan->row_len % 4 != 0)
        return fail_field(
            failure, TRIT_INVALID_ARGUMENT, "tensor.shape",
            "%s has %" PRIu64 " elements in rows of %" PRIu64
            "; %s needs a multiple of %d elements in rows of a multiple of 4",
            text, plan->elements, plan->row_len, encoding_name(encoding), WHOLE_ALIGN);
    return 0;
}

/* Checks a tensor with one scale, and makes it one row with one group. */
static int check_whole(struct plan *plan, struct failure *failure)
{
    struct plan_spec *spec = &plan->spec;
    enum trit_encoding encoding = has_one_scale(spec->in) ? spec->in : spec->out;
    char text[SHAPE_TEXT_BYTES];

    if (spec->group_size != 0 && is_one_group(spec))
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.group_size",
                          "%" PRIu32 ", but %s has one scale for the whole tensor; use 0",
                          spec->group_size, encoding_name(encoding));
    if (check_whole_shape(plan, spec->in, failure) < 0 ||
        (spec->has_out && check_whole_shape(plan, spec->out, failure) < 0))
        return -1;
    if (plan->elements > WHOLE_ELEMENTS_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "tensor.shape",
                          "%s has %" PRIu64 " elements; %s supports at most %d",
                          shape_text(spec, text), plan->elements, encoding_name(encoding),
                          WHOLE_ELEMENTS_MAX);
    plan->whole = !spec->regroups || has_one_scale(spec->out);
    if (!is_one_group(spec))
        return 0;
    plan->rows = 1;
    plan->row_len = plan->elements;
    spec->group_size = (uint32_t)plan->elements;
    return 0;
}

static int check_groups(struct plan *plan, struct failure *failure)
{
    struct plan_spec *spec = &plan->spec;

    if (plan_is_whole(spec) && check_whole(plan, failure) < 0)
        return -1;
    if (spec->group_size == 0)
        spec->group_size = GROUP_SIZE_DEFAULT;
    if (spec->group_size > GROUP_SIZE_MAX && !is_one_group(spec))
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.group_size",
                          "%" PRIu32 "; must be at most %d", spec->group_size,
                          GROUP_SIZE_MAX);
    if (spec->partial != TRIT_PARTIAL_PADDED && spec->partial != TRIT_PARTIAL_EXACT)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.partial_group",
                          "%d; must be padded (%d) or exact (%d)", (int)spec->partial,
                          TRIT_PARTIAL_PADDED, TRIT_PARTIAL_EXACT);

    plan->groups_per_row = div_up(plan->row_len, spec->group_size);
    plan->groups = plan->rows * plan->groups_per_row; /* at most `elements` */
    plan->tail_len =
        (uint32_t)(plan->row_len - (plan->groups_per_row - 1) * spec->group_size);
    plan->tail_divisor =
        spec->partial == TRIT_PARTIAL_EXACT ? plan->tail_len : spec->group_size;
    return 0;
}

/* Checks group size and row length against the blocks of an encoding. */
static int check_encoding(const struct plan *plan, enum trit_encoding encoding,
                          struct failure *failure)
{
    const struct encoding_layout *layout = encoding_layout(encoding);
    uint32_t group_size = plan->spec.group_size;
    bool regroups = plan->spec.regroups;

    if (!layout)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.encoding",
                          "%d is unknown", (int)encoding);
    if (regroups && has_one_scale(encoding)) /* check_whole_shape has checked it */
        return 0;
    if (layout->group_size != 0 && (layout->group_size % group_size != 0 ||
                                    group_size % layout->block_elements != 0))
        return fail_field(
            failure, TRIT_INVALID_ARGUMENT, "options.group_size",
            "%" PRIu32 " is not supported by %s; use %" PRIu32 " or %" PRIu32, group_size,
            encoding_name(encoding), layout->block_elements, layout->group_size);
    if (layout->group_size != 0 && plan->row_len % group_size != 0)
        return fail_field(
            failure, TRIT_INVALID_ARGUMENT, "tensor.shape",
            "rows have %" PRIu64
            " elements; %s needs a multiple of group_size, which is %" PRIu32,
            plan->row_len, encoding_name(encoding), group_size);
    if (layout->scales == SCALES_IN_BLOCK && !regroups &&
        group_size % layout->block_elements != 0)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.group_size",
                          "%" PRIu32 "; %s needs a multiple of %" PRIu32
                          ", the elements of a block",
                          group_size, encoding_name(encoding), layout->block_elements);
    if (plan->row_len % layout->block_elements != 0)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "tensor.shape",
                          "rows have %" PRIu64
                          " elements; %s needs a multiple of %" PRIu32
                          ", the elements of a block",
                          plan->row_len, encoding_name(encoding), layout->block_elements);
    if (layout->block_elements % group_size != 0 &&
        group_size % layout->block_elements != 0)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.group_size",
                          "%" PRIu32 "; %s needs a multiple or a divisor of %" PRIu32
                          ", the elements of a block",
                          group_size, encoding_name(encoding), layout->block_elements);
    return 0;
}

/* Bytes of the first `elements` elements, which end at a block. For all elements, with
 * what follows the last block. True: overflow. */
static bool encoded_overflows(const struct plan *plan, enum trit_encoding encoding,
                              uint64_t elements, uint64_t *bytes)
{
    const struct encoding_layout *layout = encoding_layout(encoding);

    if (layout->block_bytes == 0)
        return mul_overflows(elements, dtype_bytes(plan->spec.dtype), bytes);
    return mul_overflows(elements / layout->block_elements, layout->block_bytes, bytes) ||
           add_overflows(*bytes, elements == plan->elements ? layout->tail_bytes : 0,
                         bytes);
}

/* `dtype` of the separate scales; UNSPECIFIED: there are none. True: overflow. */
static bool scales_overflow(const struct plan *plan, enum trit_encoding encoding,
                            enum trit_dtype dtype, uint64_t *bytes)
{
    return mul_overflows(has_one_scale(encoding) ? 1 : plan->groups, dtype_bytes(dtype),
                         bytes);
}

static int check_scales_dtype(const struct plan_spec *spec, struct failure *failure)
{
    switch (spec->in_scales_dtype) {
    case TRIT_DTYPE_UNSPECIFIED:
        return 0;
    case TRIT_F32:
    case TRIT_F16:
    case TRIT_BF16:
        if (encoding_scales_dtype(spec->in) != TRIT_DTYPE_UNSPECIFIED)
            return 0;
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.scales_dtype",
                          "%s, but %s has no separate scales; leave it out",
                          dtype_name(spec->in_scales_dtype), encoding_name(spec->in));
    case TRIT_I8:
    case TRIT_U8:
        break;
    }
    return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.scales_dtype",
                      "%d; must be F32 (%d), F16 (%d) or BF16 (%d)",
                      (int)spec->in_scales_dtype, TRIT_F32, TRIT_F16, TRIT_BF16);
}

static int measure(const struct plan *plan, enum trit_encoding encoding,
                   enum trit_dtype scales_dtype, uint64_t *bytes, uint64_t *scale_bytes,
                   struct failure *failure)
{
    char text[SHAPE_TEXT_BYTES];

    if (encoded_overflows(plan, encoding, plan->elements, bytes) ||
        scales_overflow(plan, encoding, scales_dtype, scale_bytes))
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "tensor.shape",
                          "byte count of %s as %s overflows 64 bits",
                          shape_text(&plan->spec, text), encoding_name(encoding));
    return 0;
}

/* Number of groups in a block of the encoding. A tile must hold all of them. */
static uint64_t groups_bound(const struct plan *plan, enum trit_encoding encoding)
{
    uint32_t block = encoding_layout(encoding)->block_elements;

    return block > plan->spec.group_size ? block / plan->spec.group_size : 1;
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

/* Whether an element takes at most 2 bytes. */
static bool is_narrow(const struct plan *plan, enum trit_encoding encoding)
{
    return encoding != TRIT_ENCODING_DENSE || dtype_bytes(plan->spec.dtype) <= 2;
}

static uint64_t tile_elements_max(const struct plan *plan)
{
    const struct plan_spec *spec = &plan->spec;

    return spec->wide_tiles && is_narrow(plan, spec->in) &&
                   (!spec->has_out || is_narrow(plan, spec->out))
               ? TILE_WIDE_ELEMENTS_MAX
               : TILE_ELEMENTS_MAX;
}

/* A tile has as many groups as fit, but always whole blocks. What fits depends on the
 * longest group: where rows are shorter than group_size, that is a row. */
static void cut_tiles(struct plan *plan)
{
    const struct plan_spec *spec = &plan->spec;
    uint64_t longest = plan->groups_per_row > 1 ? spec->group_size : plan->tail_len;
    uint64_t in = groups_bound(plan, spec->in);
    uint64_t out = spec->has_out ? groups_bound(plan, spec->out) : 1;
    uint64_t bound = in / common_divisor(in, out) * out;
    uint64_t fit = tile_elements_max(plan) / longest;

    if (plan->groups == 1) {
        plan->piece_groups = plan->tile_groups = plan->tiles = 1;
        return;
    }
    if (fit > TILE_GROUPS_MAX)
        fit = TILE_GROUPS_MAX;
    assert(bound <= fit); /* blocks are small: 256 elements at most */
    plan->piece_groups = fit / bound * bound;
    plan->tile_groups = plan->whole ? plan->groups : plan->piece_groups;
    plan->tiles = div_up(plan->groups, plan->tile_groups);
}

enum trit_dtype plan_in_scales_dtype(const struct plan_spec *spec)
{
    return spec->in_scales_dtype != TRIT_DTYPE_UNSPECIFIED
               ? spec->in_scales_dtype
               : encoding_scales_dtype(spec->in);
}

int plan_init(struct plan *plan, const struct plan_spec *spec, struct failure *failure)
{
    struct plan p = {.spec = *spec};

    if (check_shape(&p, failure) != 0 || check_dtype(spec, failure) != 0 ||
        check_groups(&p, failure) != 0 || check_encoding(&p, spec->in, failure) != 0 ||
        check_scales_dtype(spec, failure) != 0 ||
        measure(&p, spec->in, plan_in_scales_dtype(spec), &p.in_bytes, &p.in_scale_bytes,
                failure) != 0)
        return -1;
    if (spec->has_out && (check_encoding(&p, spec->out, failure) != 0 ||
                          measure(&p, spec->out, encoding_scales_dtype(spec->out),
                                  &p.out_bytes, &p.out_scale_bytes, failure) != 0))
        return -1;
    cut_tiles(&p);
    *plan = p;
    return 0;
}

/* Where a group begins in the tensor. The index may be one past the last, for the
 * end. */
struct position {
    uint64_t element, in, out, code;
};

static uint64_t code_bytes(uint64_t group_len)
{
    return div_up(group_len, 4);
}

static uint64_t row_code_bytes(const struct plan *plan)
{
    return (plan->groups_per_row - 1) * code_bytes(plan->spec.group_size) +
           code_bytes(plan->tail_len);
}

static struct position locate(const struct plan *plan, uint64_t group)
{
    if (group == 0)
        return (struct position){0};
    uint64_t row = group / plan->groups_per_row;
    uint64_t column = group % plan->groups_per_row;
    struct position at = {
        .element = row * plan->row_len + column * plan->spec.group_size,
        .code = row * row_code_bytes(plan) + column * code_bytes(plan->spec.group_size),
    };

    /* Cannot overflow: plan_init has checked the whole tensor. */
    (void)encoded_overflows(plan, plan->spec.in, at.element, &at.in);
    if (plan->spec.has_out)
        (void)encoded_overflows(plan, plan->spec.out, at.element, &at.out);
    return at;
}

/* At most `most` groups from `first` on. */
static void cut_span(const struct plan *plan, uint64_t first, uint64_t most,
                     struct tile_span *span)
{
    uint64_t left = plan->groups - first;
    uint64_t groups = left < most ? left : most;
    struct position begin = locate(plan, first);
    struct position end = locate(plan, first + groups);

    assert(first < plan->groups);
    *span = (struct tile_span){
        .first_group = first,
        .groups = groups,
        .first_element = begin.element,
        .elements = end.element - begin.element,
        .in_offset = begin.in,
        .in_bytes = end.in - begin.in,
        .out_offset = begin.out,
        .out_bytes = end.out - begin.out,
        .code_bytes = end.code - begin.code,
    };
}

void plan_tile(const struct plan *plan, uint64_t index, struct tile_span *span)
{
    if (plan->tiles == 1) { /* most tensors of small calls: nothing to divide */
        *span = (struct tile_span){
            .groups = plan->groups,
            .elements = plan->elements,
            .in_bytes = plan->in_bytes,
            .out_bytes = plan->out_bytes,
            .code_bytes = plan->rows * row_code_bytes(plan),
        };
        return;
    }
    cut_span(plan, index * plan->tile_groups, plan->tile_groups, span);
    span->index = index;
}

void plan_piece(const struct plan *plan, uint64_t first_group, struct tile_span *span)
{
    cut_span(plan, first_group, plan->piece_groups, span);
}

/* How many groups from `group` on have the same length; at most `left`. */
static uint64_t equal_groups(const struct plan *plan, uint64_t group, uint64_t left)
{
    uint64_t column = group % plan->groups_per_row;
    uint64_t full = plan->groups_per_row - 1 - column; /* before the row's tail */

    if (plan->by_rows && left > full + 1)
        left = full + 1;
    if (plan->groups_per_row == 1 || plan->tail_len == plan->spec.group_size)
        return left;
    if (full == 0)
        return 1;
    return full < left ? full : left;
}

bool plan_next_range(const struct plan *plan, const struct tile_span *span, uint64_t *at,
                     struct group_range *range)
{
    uint64_t group = span->first_group + *at;
    struct position begin, tile;
    bool tail;

    if (*at >= span->groups)
        return false;
    begin = locate(plan, group);
    tile = locate(plan, span->first_group);
    tail = group % plan->groups_per_row == plan->groups_per_row - 1;
    *range = (struct group_range){
        .first_group = *at,
        .count = equal_groups(plan, group, span->groups - *at),
        .group_len = tail ? plan->tail_len : plan->spec.group_size,
        .divisor = tail ? plan->tail_divisor : plan->spec.group_size,
        .element = begin.element - tile.element,
        .in_offset = begin.in - tile.in,
        .out_offset = begin.out - tile.out,
        .code_offset = begin.code - tile.code,
    };
    *at += range->count;
    return true;
}
