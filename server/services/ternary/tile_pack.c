/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/tile_pack.h"

#include <math.h>
#include <string.h>

#include "services/ternary/tile_encode.h"
#include "services/ternary/tile_read.h"
#include "services/ternary/tile_storage.h"

enum { CODE_ZERO_BYTE = 0x55 }; /* four codes of t = 0 */

int tile_pack_check_groups(const struct plan *plan, const char *field,
                           struct failure *failure)
{
    const struct encoding_layout *in = encoding_layout(plan->spec.in);

    if (in->scales != SCALES_IN_BLOCK || plan->spec.group_size % 4 == 0)
        return 0;
    return fail_field(failure, TRIT_INVALID_ARGUMENT, field,
                      "%u; a source in blocks needs a multiple of 4",
                      (unsigned)plan->spec.group_size);
}

/* ---- reading ------------------------------------------------------------------ */

void tile_pack_read(struct tile *tile, const struct task *task,
                    const struct group_range *range)
{
    size_t unit = task_unit_elements(task);
    size_t elements = (size_t)range->count * range->group_len;
    size_t first_unit = unit ? (size_t)range->element / unit : 0;
    struct ternary_counts counts;
    struct ternary_check check;
    struct verify_job job = {
        .encoding = tile_read_encoding(task),
        .dtype = task->plan.spec.dtype,
        .count = unit ? elements / unit : (size_t)range->count,
        .group_len = unit ? unit : range->group_len,
        .in = tile_read_from(tile, task, range),
        .in_scales = tile_read_scales(tile, task, range),
        .scales_dtype = task->plan.spec.in_scales_dtype,
        .inexact =
            unit ? tile->unit_inexact + first_unit : tile->inexact + range->first_group,
        .divisor = range->divisor,
        .scales =
            unit ? tile->unit_scales + first_unit : tile->scales + range->first_group,
        .codes = tile->codes + range->code_offset,
    };

    memset(job.inexact, 0, job.count);
    ternary_counts_init(&counts);
    ternary_check_init(&check);
    verify(task->kernels, &job, &counts, &check);
    ternary_counts_add(&tile->counts, &counts, range->element,
                       unit ? first_unit : range->first_group);
    ternary_check_add(&tile->check, &check, range->element,
                      unit ? first_unit : range->first_group);
}

/* ---- what does not fit --------------------------------------------------------- */

struct group_ref { /* one group of a tile */
    const struct group_range *range;
    uint64_t group; /* in the tile */
};

static uint64_t group_begin(const struct tile *tile, const struct group_ref *at)
{
    return tile->span.first_element + at->range->element +
           (at->group - at->range->first_group) * at->range->group_len;
}

static bool fits(const struct tile *tile)
{
    return tile->misfit.kind == MISFIT_NONE;
}

static void set_misfit(struct tile *tile, const struct group_ref *at,
                       enum misfit_kind kind, float a, float b)
{
    uint64_t first = group_begin(tile, at);

    tile->misfit = (struct misfit){
        .kind = kind,
        .group = tile->span.first_group + at->group,
        .first = first,
        .end = first + at->range->group_len,
        .at = tile->span.first_element + tile->check.invalid.first,
        .a = a,
        .b = b,
    };
}

static float dense_value(const struct tile *tile, enum trit_dtype dtype, uint64_t element)
{
    const uint8_t *from = tile->in.bytes + element * dtype_bytes(dtype);
    uint16_t bits;
    float value;

    if (dtype == TRIT_F32) {
        memcpy(&value, from, sizeof(value));
        return value;
    }
    memcpy(&bits, from, sizeof(bits));
    return dtype == TRIT_F16 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

/* Finds why a dense group is not ternary. */
static void blame_values(struct tile *tile, const struct task *task,
                         const struct group_ref *at)
{
    uint64_t begin = group_begin(tile, at) - tile->span.first_element;
    uint64_t where = begin;
    float magnitude = 0, other = 0;

    for (uint64_t i = begin; i < begin + at->range->group_len; i++) {
        float value = dense_value(tile, task->plan.spec.dtype, i);

        if (!isfinite(value)) {
            set_misfit(tile, at, MISFIT_NOT_FINITE, value, 0);
            tile->misfit.at = tile->span.first_element + i;
            return;
        }
        if (magnitude == 0)
            magnitude = fabsf(value);
        if (other == 0 && value != 0 && fabsf(value) != magnitude) {
            other = fabsf(value);
            where = i;
        }
    }
    set_misfit(tile, at, MISFIT_MAGNITUDES, magnitude, other);
    tile->misfit.at = tile->span.first_element + where;
}

/* Finds why a group, or a unit of it with this scale, is not ternary. */
static void blame(struct tile *tile, const struct task *task, const struct group_ref *at,
                  float scale, bool all_zeros)
{
    if (task->plan.spec.in == TRIT_ENCODING_DENSE)
        blame_values(tile, task, at);
    else if (!(scale >= 0) || isinf(scale) || (scale == 0 && !all_zeros))
        set_misfit(tile, at, MISFIT_SCALE, scale, 0);
    else
        set_misfit(tile, at, MISFIT_CODE, scale, 0);
}

/* ---- one scale for several ----------------------------------------------------- */

static bool all_zeros(const uint8_t *codes, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (codes[i] != CODE_ZERO_BYTE)
            return false;
    return true;
}

/* False: it has another scale. */
static bool share(struct shared_scale *shared, float scale, bool zeros)
{
    if (zeros && (shared->known || shared->guessed))
        return true;
    if (shared->known)
        return shared->scale == scale;
    shared->scale = scale;
    shared->known = !zeros;
    shared->guessed = zeros;
    return true;
}

static size_t code_bytes(size_t elements)
{
    return (elements + 3) / 4;
}

static const uint8_t *group_codes(const struct tile *tile, const struct group_ref *at)
{
    return tile->codes + at->range->code_offset +
           (at->group - at->range->first_group) * code_bytes(at->range->group_len);
}

/* Makes the scale of a group of the plan from those of the input's blocks. Blocks are
 * several to a group, or one for several groups. */
static void gather_units(struct tile *tile, const struct task *task,
                         const struct group_ref *at)
{
    size_t unit = task_unit_elements(task);
    uint64_t begin = group_begin(tile, at) - tile->span.first_element;
    struct shared_scale shared = {.scale = 0};

    for (uint64_t i = begin; i < begin + at->range->group_len && fits(tile); i += unit) {
        const uint8_t *codes = tile->codes + i / unit * (unit / 4);
        float scale = tile->unit_scales[i / unit];
        bool zeros = all_zeros(codes, unit / 4);

        if (tile->unit_inexact[i / unit])
            blame(tile, task, at, scale, zeros);
        else if (!share(&shared, scale, zeros))
            set_misfit(tile, at, MISFIT_BLOCKS_DIFFER, shared.scale, scale);
    }
    tile->scales[at->group] = shared.scale;
    tile->counts.zero_groups +=
        all_zeros(group_codes(tile, at), code_bytes(at->range->group_len));
}

/* ---- the scales of the output -------------------------------------------------- */

/* How many groups of the plan have one scale in the output. */
static uint64_t groups_of_scale(const struct tile *tile, const struct task *task)
{
    const struct encoding_layout *out = encoding_layout(task->plan.spec.out);
    uint32_t group_size = task->plan.spec.group_size;

    if (out->scales == SCALES_TENSOR)
        return tile->span.groups;
    if (out->scales == SCALES_IN_BLOCK && out->block_elements > group_size)
        return out->block_elements / group_size;
    return 1;
}

/* Sets the scale of the groups [first, at->group). */
static void hold(struct tile *tile, const struct task *task, const struct group_ref *at,
                 uint64_t first, float scale)
{
    enum scale_place place = encoding_layout(task->plan.spec.out)->scales;
    enum trit_dtype type =
        place == SCALES_IN_BLOCK || place == SCALES_F16 ? TRIT_F16 : TRIT_F32;
    float held = f32_rounded_to(type, scale);

    if (held != scale && (!task->allows_rounded || scale_lost(type, scale))) {
        set_misfit(tile, at, scale_lost(type, scale) ? MISFIT_LOST : MISFIT_ROUNDED,
                   scale, 0);
        return;
    }
    for (uint64_t group = first; group <= at->group; group++) {
        tile->held_scales[group] = held;
        if (held != scale)
            occurrences_count(&tile->rounded, group);
    }
}

static bool has_zeros_only(const struct tile *tile, const struct group_ref *at)
{
    return all_zeros(group_codes(tile, at), code_bytes(at->range->group_len));
}

/* Finds the scale of a group, in tile->scales, or why it is not ternary. */
static void read_scale(struct tile *tile, const struct task *task,
                       const struct group_ref *at)
{
    if (task_unit_elements(task))
        gather_units(tile, task, at);
    else if (tile->inexact[at->group])
        blame(tile, task, at, tile->scales[at->group], has_zeros_only(tile, at));
}

static void settle_group(struct tile *tile, const struct task *task,
                         const struct group_ref *at, struct shared_scale *shared)
{
    uint64_t together = groups_of_scale(tile, task), in_set = at->group % together;
    bool last = in_set == together - 1;
    float scale;
    bool zeros;

    read_scale(tile, task, at);
    scale = tile->scales[at->group];
    zeros = together > 1 && has_zeros_only(tile, at);
    if (!fits(tile))
        return;
    if (in_set == 0)
        *shared = (struct shared_scale){.scale = 0};
    if (!share(shared, scale, zeros))
        set_misfit(tile, at, MISFIT_SCALES_DIFFER, shared->scale, scale);
    else if (last)
        hold(tile, task, at, at->group - in_set, shared->scale);
}

void tile_pack_write(struct tile *tile, const struct task *task)
{
    struct shared_scale shared = {.scale = 0};
    struct group_range range;
    uint64_t at = 0;

    if (task_unit_elements(task) && !task_gathers(task))
        tile->counts.zero_groups = 0; /* of blocks; gather_units counts groups */
    while (!task_gathers(task) && !task_cancelled(task) &&
           plan_next_range(&task->plan, &tile->span, &at, &range))
        for (uint64_t i = 0; i < range.count && fits(tile); i++)
            settle_group(tile, task, &(struct group_ref){&range, range.first_group + i},
                         &shared);
    if (fits(tile))
        tile_encode(tile, task);
}

/* ---- pieces of a tensor whose output has one scale -------------------------------- */

/* The tile's group is the tensor. */
static void refer_to_tensor(struct tile *tile, const struct task *task)
{
    tile->misfit.group = 0;
    tile->misfit.first = 0;
    tile->misfit.end = task->plan.elements;
}

/* The elements have one magnitude, but not that of those before. */
static void differ(struct tile *tile, const struct task *task, const struct group_ref *at,
                   float magnitude)
{
    uint64_t first = 0;

    while (dense_value(tile, task->plan.spec.dtype, first) == 0)
        first++;
    set_misfit(tile, at, MISFIT_MAGNITUDES, magnitude, tile->scales[0]);
    tile->misfit.at = tile->span.first_element + first;
}

/* Some elements of a dense tensor, which is one group. */
static void take_elements(struct tile *tile, const struct task *task,
                          struct shared_scale *shared)
{
    const struct group_range range = {.count = 1,
                                      .group_len = (uint32_t)tile->span.elements,
                                      .divisor = (uint32_t)tile->span.elements};
    const struct group_ref at = {&range, 0};

    tile_pack_read(tile, task, &range);
    if (tile->inexact[0])
        blame_values(tile, task, &at);
    else if (!share(shared, tile->scales[0], tile->scales[0] == 0))
        differ(tile, task, &at, shared->scale);
    if (!fits(tile))
        refer_to_tensor(tile, task);
}

static void take_groups(struct tile *tile, const struct task *task,
                        struct shared_scale *shared)
{
    struct group_range range;
    uint64_t at = 0;

    while (plan_next_range(&task->plan, &tile->span, &at, &range))
        tile_pack_read(tile, task, &range);
    if (task_unit_elements(task))
        tile->counts.zero_groups = 0;
    at = 0;
    while (plan_next_range(&task->plan, &tile->span, &at, &range))
        for (uint64_t i = 0; i < range.count && fits(tile); i++) {
            const struct group_ref group = {&range, range.first_group + i};

            read_scale(tile, task, &group);
            if (fits(tile) &&
                !share(shared, tile->scales[group.group], has_zeros_only(tile, &group)))
                set_misfit(tile, &group, MISFIT_SCALES_DIFFER, shared->scale,
                           tile->scales[group.group]);
        }
}

void tile_pack_piece(struct tile *tile, const struct task *task,
                     struct shared_scale *shared)
{
    if (task->plan.groups == 1)
        take_elements(tile, task, shared);
    else
        take_groups(tile, task, shared);
    tile_check_storage(tile, task);
}
