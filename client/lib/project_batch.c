/* SPDX-License-Identifier: Apache-2.0 */
/* Many projections in one stream. Groups never cross rows, so tensors whose rows are whole
 * groups may be joined to one long tensor; each gets the bits that it would get alone. A
 * short last group is filled with zeros, as the daemon would do.
 *
 * The stream asks for int8 codes and f32 scales, a quarter of the bytes of f32 results. The
 * dense weights are made of them as they arrive. A zero code has no sign, so a zero gets
 * that of its latent, as in the daemon's dense output. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "client/lib/project_stream.h"
#include "kernels/kernels.h"
#include "proto/names.h"

/* Groups in a row of the joined tensor, where their number allows it. Short rows cost the
 * daemon time. */
enum { ROW_GROUPS_MAX = 32 };

/* How far ahead latents and weights are fetched: the processor itself begins anew with each
 * group. */
enum { AHEAD_BYTES = 4096, LINE_BYTES = 64 };

struct part {
    const uint8_t *data;
    uint8_t *out;
    struct extent extent;
    uint64_t padded; /* columns, with zeros up to whole groups */
    uint64_t first;  /* element of the joined tensor */
};

struct batch {
    struct projecting project;
    struct part *parts;
    size_t count, at; /* the part of the last bytes */
    uint64_t elements;
    size_t element_bytes;
    uint32_t group_size;
    uint8_t *scales; /* f32, not aligned */
    uint64_t scale_bytes, scales_filled;
    bool disordered; /* codes came before their scales */
};

static struct part *part_at(struct batch *batch, uint64_t element)
{
    if (element < batch->parts[batch->at].first)
        batch->at = 0; /* the call began again */
    while (batch->at + 1 < batch->count && element >= batch->parts[batch->at + 1].first)
        batch->at++;
    return &batch->parts[batch->at];
}

/* ---- request -------------------------------------------------------------------------- */

/* Copies bytes of a part, zeros after each row included. */
static void copy_rows(const struct batch *batch, const struct part *part, uint64_t at,
                      uint8_t *to, uint64_t count)
{
    const uint64_t row_bytes = part->extent.columns * batch->element_bytes;
    const uint64_t padded_bytes = part->padded * batch->element_bytes;

    if (row_bytes == padded_bytes) {
        memcpy(to, part->data + at, count);
        return;
    }
    while (count > 0) {
        const uint64_t row = at / padded_bytes, in = at % padded_bytes;
        const uint64_t end = in < row_bytes ? row_bytes : padded_bytes;
        const uint64_t some = end - in < count ? end - in : count;

        if (in < row_bytes)
            memcpy(to, part->data + row * row_bytes + in, some);
        else
            memset(to, 0, some);
        at += some;
        to += some;
        count -= some;
    }
}

/* Is the joined tensor's trit_read. */
static int batch_read(void *arg, uint64_t offset, void *memory, uint64_t count)
{
    struct batch *batch = arg;
    uint8_t *to = memory;

    while (count > 0) {
        const struct part *part = part_at(batch, offset / batch->element_bytes);
        const uint64_t at = offset - part->first * batch->element_bytes;
        const uint64_t left =
            part->extent.rows * part->padded * batch->element_bytes - at;
        const uint64_t some = left < count ? left : count;

        copy_rows(batch, part, at, to, some);
        offset += some;
        to += some;
        count -= some;
    }
    return 0;
}

/* Is the joined tensor's chunks_find. */
static const uint8_t *batch_find(void *arg, uint64_t offset, uint64_t *together)
{
    struct batch *batch = arg;
    const struct part *part = part_at(batch, offset / batch->element_bytes);
    const uint64_t at = offset - part->first * batch->element_bytes;

    if (part->padded != part->extent.columns)
        return NULL;
    *together = part->extent.elements * batch->element_bytes - at;
    return part->data + at;
}

/* ---- reply ---------------------------------------------------------------------------- */

static void expand_f32(uint8_t *to, const uint8_t *latents, const int8_t *codes,
                       uint64_t count, uint32_t scale)
{
    for (uint64_t i = 0; i < count; i++) {
        const uint32_t code = (uint32_t)(int32_t)codes[i];
        uint32_t bits;

        memcpy(&bits, latents + 4 * i, 4);
        bits = code ? (code & 0x80000000u) | scale : bits & 0x80000000u;
        memcpy(to + 4 * i, &bits, 4);
    }
}

static void expand_16(uint8_t *to, const uint8_t *latents, const int8_t *codes,
                      uint64_t count, uint16_t scale)
{
    for (uint64_t i = 0; i < count; i++) {
        const uint16_t code = (uint16_t)(int16_t)codes[i];
        uint16_t bits;

        memcpy(&bits, latents + 2 * i, 2);
        bits = code ? (uint16_t)((code & 0x8000u) | scale) : (uint16_t)(bits & 0x8000u);
        memcpy(to + 2 * i, &bits, 2);
    }
}

static void fetch_ahead(const uint8_t *latents, const uint8_t *weights, uint64_t bytes)
{
    for (uint64_t line = 0; line < bytes; line += LINE_BYTES) {
        __builtin_prefetch(latents + AHEAD_BYTES + line);
        __builtin_prefetch(weights + AHEAD_BYTES + line, 1);
    }
}

/* The dense weights of elements that share a scale, which is rounded once to their type. */
static void expand(const struct batch *batch, const struct part *part, uint64_t element,
                   const int8_t *codes, uint64_t count, const uint8_t scale[4])
{
    uint8_t *to = part->out + element * batch->element_bytes;
    const uint8_t *latents = part->data + element * batch->element_bytes;
    uint32_t bits;
    float value;

    fetch_ahead(latents, to, count * batch->element_bytes);
    memcpy(&bits, scale, 4);
    memcpy(&value, scale, 4);
    if (batch->element_bytes == 4)
        expand_f32(to, latents, codes, count, bits);
    else
        expand_16(to, latents, codes, count,
                  batch->project.tensor->dtype == TRIT_F16 ? f32_to_f16(value)
                                                           : f32_to_bf16(value));
}

/* Is the scales' trit_write. */
static int batch_scales(void *arg, uint64_t offset, const void *from, uint64_t count)
{
    struct batch *batch = arg;

    memcpy(batch->scales + offset, from, count);
    batch->scales_filled = offset + count;
    return 0;
}

/* Is the codes' trit_write. */
static int batch_codes(void *arg, uint64_t offset, const void *from, uint64_t count)
{
    struct batch *batch = arg;
    const int8_t *codes = from;

    while (count > 0) {
        const struct part *part = part_at(batch, offset);
        const uint64_t row = (offset - part->first) / part->padded;
        const uint64_t column = (offset - part->first) % part->padded;
        const uint64_t left = batch->group_size - column % batch->group_size;
        const uint64_t some = left < count ? left : count;
        const uint64_t scale = offset / batch->group_size * 4;

        if (scale + 4 > batch->scales_filled) {
            batch->disordered = true;
            return -1;
        }
        if (column < part->extent.columns) {
            const uint64_t real = part->extent.columns - column;

            expand(batch, part, row * part->extent.columns + column, codes,
                   real < some ? real : some, batch->scales + scale);
        }
        offset += some;
        codes += some;
        count -= some;
    }
    return 0;
}

/* ---- the call ------------------------------------------------------------------------- */

static int too_many(struct failure *failure)
{
    return fail_field(failure, TRIT_INVALID_ARGUMENT, "tensors",
                      "their elements overflow 64 bits");
}

static int take_part(struct batch *batch, size_t i, const struct trit_tensor *given,
                     void *out, struct trit_tensor *joined, struct failure *failure)
{
    struct part *part = &batch->parts[i];
    struct trit_tensor tensor;
    uint64_t elements;
    char name[40];

    snprintf(name, sizeof(name), "tensors[%zu]", i);
    if (!given)
        return fail_null(failure, name);
    if (tensor_take(name, given, &tensor, failure) < 0 ||
        tensor_check(name, &tensor, &part->extent, failure) < 0)
        return -1;
    if (i > 0 && tensor.dtype != joined->dtype)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, name,
                          "%s, but the first tensor is %s; make a call for each type",
                          dtype_name(tensor.dtype), dtype_name(joined->dtype));
    if (!out) {
        snprintf(name, sizeof(name), "outs[%zu]", i);
        return fail_null(failure, name);
    }
    joined->dtype = tensor.dtype;
    part->data = tensor.data;
    part->out = out;
    part->first = batch->elements;
    part->padded = div_up(part->extent.columns, batch->group_size);
    if (mul_overflows(part->padded, batch->group_size, &part->padded) ||
        mul_overflows(part->extent.rows, part->padded, &elements) ||
        add_overflows(batch->elements, elements, &batch->elements))
        return too_many(failure);
    return 0;
}

/* The tensor that all parts make together. */
static int join(struct batch *batch, struct trit_tensor *joined, struct failure *failure)
{
    uint64_t groups = batch->elements / batch->group_size, row = 1;

    while (row < ROW_GROUPS_MAX && groups % (2 * row) == 0)
        row *= 2;
    batch->element_bytes = dtype_bytes(joined->dtype);
    joined->rank = 2;
    joined->shape[0] = groups / row;
    joined->shape[1] = row * batch->group_size;
    joined->read = batch_read;
    joined->read_arg = batch;
    if (mul_overflows(batch->elements, batch->element_bytes, &joined->bytes))
        return too_many(failure);
    return 0;
}

/* ---- no result may replace a tensor or another result ----------------------------------- */

struct range {
    const uint8_t *begin, *end;
    size_t number;
    bool is_out;
};

static int by_begin(const void *a, const void *b)
{
    const struct range *x = a, *y = b;

    if (x->begin != y->begin)
        return x->begin > y->begin ? 1 : -1;
    return (x->number > y->number) - (x->number < y->number);
}

static int fail_overlap(const struct range *a, const struct range *b,
                        struct failure *failure)
{
    const struct range *out = a->is_out ? a : b, *other = a->is_out ? b : a;
    char name[40];

    snprintf(name, sizeof(name), "outs[%zu]", out->number);
    return fail_field(failure, TRIT_INVALID_ARGUMENT, name,
                      "overlaps %s[%zu]; each result needs memory of its own",
                      other->is_out ? "outs" : "tensors", other->number);
}

/* `ranges` are in the order of their begins. Of those before each, the ones that reach farthest
 * tell. */
static int check_sorted(const struct range *ranges, size_t count, struct failure *failure)
{
    const struct range *out = NULL, *tensor = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct range *one = &ranges[i];
        const struct range **farthest = one->is_out ? &out : &tensor;

        if (out && one->begin < out->end)
            return fail_overlap(out, one, failure);
        if (one->is_out && tensor && one->begin < tensor->end)
            return fail_overlap(tensor, one, failure);
        if (!*farthest || one->end > (*farthest)->end)
            *farthest = one;
    }
    return 0;
}

static int check_overlaps(const struct batch *batch, struct failure *failure)
{
    struct range *ranges = calloc(batch->count, 2 * sizeof(*ranges));
    int result;

    if (!ranges)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for a call");
    for (size_t i = 0; i < batch->count; i++) {
        const struct part *part = &batch->parts[i];
        const size_t bytes = part->extent.elements * batch->element_bytes;

        ranges[2 * i] = (struct range){part->data, part->data + bytes, i, false};
        ranges[2 * i + 1] = (struct range){part->out, part->out + bytes, i, true};
    }
    qsort(ranges, 2 * batch->count, sizeof(*ranges), by_begin);
    result = check_sorted(ranges, 2 * batch->count, failure);
    free(ranges);
    return result;
}

static int prepare(struct batch *batch, const struct trit_tensor *const *tensors,
                   void *const *outs, struct trit_tensor *joined, struct failure *failure)
{
    struct projecting *project = &batch->project;
    struct encoded_size size;

    batch->parts = calloc(batch->count, sizeof(*batch->parts));
    if (!batch->parts)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for a call");
    for (size_t i = 0; i < batch->count; i++)
        if (take_part(batch, i, tensors[i], outs[i], joined, failure) < 0)
            return -1;
    if (join(batch, joined, failure) < 0 || check_overlaps(batch, failure) < 0 ||
        tensor_check("tensors", joined, &project->extent, failure) < 0 ||
        encoded_size(TRIT_ENCODING_INT8, joined->dtype, &project->extent,
                     batch->group_size, &size, failure) < 0)
        return -1;
    batch->scale_bytes = size.scales;
    batch->scales = malloc(size.scales);
    if (!batch->scales)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "out of memory for %" PRIu64 " bytes of scales", size.scales);
    output_init_write(&project->data, "data", size.data, batch_codes, batch);
    output_init_write(&project->scales, "scales", size.scales, batch_scales, batch);
    project->data.rewinds = true;
    project->tensor = joined;
    project->find = batch_find;
    project->request = (struct wire_project){
        .group_size = batch->group_size,
        .partial_group = TRIT_PARTIAL_PADDED,
        .encoding = TRIT_ENCODING_INT8,
        .report = TRIT_REPORT_NONE,
        .allow_lost_scales = true, /* as a dense result */
        .tensor = tensor_wire(joined),
    };
    return 0;
}

/* The number of elements that are NaN or infinite, and the first one. */
static uint64_t count_wrong(const struct batch *batch, const struct part *part,
                            uint64_t *first)
{
    const enum trit_dtype dtype = batch->project.tensor->dtype;
    const uint32_t wrong = dtype == TRIT_F32   ? 0x7f800000u
                           : dtype == TRIT_F16 ? 0x7c00u
                                               : 0x7f80u;
    uint64_t count = 0;

    for (uint64_t i = 0; i < part->extent.elements; i++) {
        uint32_t bits = 0;
        uint16_t half;

        if (batch->element_bytes == 4) {
            memcpy(&bits, part->data + 4 * i, 4);
        } else {
            memcpy(&half, part->data + 2 * i, 2);
            bits = half;
        }
        if ((bits & wrong) == wrong && count++ == 0)
            *first = i;
    }
    return count;
}

/* The daemon's message counts elements of the joined tensor: names the tensor at fault. */
static void name_tensor(const struct batch *batch, struct failure *failure)
{
    uint64_t count, first = 0;
    char name[40];

    for (size_t i = 0; i < batch->count; i++) {
        count = count_wrong(batch, &batch->parts[i], &first);
        if (count == 0)
            continue;
        snprintf(name, sizeof(name), "tensors[%zu]", i);
        *failure = (struct failure){.status = TRIT_OK};
        fail_field(failure, TRIT_INVALID_ARGUMENT, name,
                   "%" PRIu64
                   " values are NaN or infinite, the first at flat index %" PRIu64,
                   count, first);
        return;
    }
}

static int batch_run(struct batch *batch, struct failure *failure)
{
    if (project_stream(&batch->project, 1, failure) == 0)
        return 0;
    if (batch->disordered) {
        *failure = (struct failure){.status = TRIT_OK};
        return fail(failure, TRIT_INTERNAL, NULL,
                    "the reply has codes before their scales");
    }
    if (failure->status == TRIT_INVALID_ARGUMENT)
        name_tensor(batch, failure);
    return -1;
}

enum trit_status trit_project_batch(struct trit_client *client,
                                    const struct trit_tensor *const *tensors,
                                    void *const *outs, size_t count,
                                    const struct trit_batch_options *options,
                                    struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct batch batch = {.count = count};
    struct trit_tensor joined = {.data = NULL};
    struct trit_batch_options o;

    if (client_check(client, error, &failure) == 0 &&
        sized_take_optional(&sized_batch_options, "options", options, &o, &failure) ==
            0 &&
        count > 0 && (tensors || fail_null(&failure, "tensors") == 0) &&
        (outs || fail_null(&failure, "outs") == 0)) {
        batch.group_size = o.group_size ? o.group_size : GROUP_SIZE_DEFAULT;
        if (prepare(&batch, tensors, outs, &joined, &failure) == 0 &&
            call_init(&batch.project.call, client, "options.call", o.call, joined.bytes,
                      &failure) == 0)
            batch_run(&batch, &failure);
    }
    free(batch.parts);
    free(batch.scales);
    return client_answer(&failure, error);
}
