/* SPDX-License-Identifier: Apache-2.0 */
/* A large matrix that is hf_bitnet, or becomes it. Byte row r holds the rows r, r + R,
 * r + 2 R and r + 3 R of the matrix, where R is a quarter of its rows. So some byte rows,
 * and those rows of each quarter, are a matrix of their own, and a call does one of them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "checkpoint/decode.h"
#include "drive/pack_impl.h"
#include "kernels/interleave.h"
#include "kernels/kernels.h"

enum { CALL_ELEMENTS = 1 << 20 }; /* at least one byte row */

struct quarters {
    struct pack_work *work;
    uint64_t rows, columns; /* rows: of a quarter */
    bool from, to;          /* source, output are hf_bitnet */
    uint64_t first, count;  /* byte rows of this call */
    uint8_t *data, *scales; /* of the source, for this call */
    uint64_t data_bytes, scale_bytes;
    uint8_t *out; /* what a call gave, unless `to` */
    uint64_t out_bytes, out_capacity;
    struct data_put puts[INTERLEAVED]; /* of each quarter, unless `to` */
    uint8_t *scales_out;               /* of the whole output, unless `to` */
    uint64_t scales_out_bytes;
    float scale; /* of the output, if `to` */
    bool scale_is_known;
};

static int no_memory(const struct quarters *q)
{
    return fail(q->work->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

/* ---- the source ------------------------------------------------------------------------ */

static int read_data(struct quarters *q)
{
    struct matrix *source = &q->work->source;
    const uint64_t row = source->bytes / (q->from ? q->rows : q->rows * INTERLEAVED);
    const uint64_t part = q->count * row;

    q->data_bytes = q->from ? part : part * INTERLEAVED;
    for (uint64_t i = 0; i < (q->from ? 1 : INTERLEAVED); i++)
        if (matrix_read(source, (i * q->rows + q->first) * row, q->data + i * part,
                        part) < 0)
            return -1;
    return 0;
}

/* The scales of the rows; one for all if the source is hf_bitnet. */
static void take_scales(struct quarters *q)
{
    const struct side_matrix *scales = &q->work->scales;
    const uint64_t row = scales->scale_bytes / (q->rows * INTERLEAVED);

    q->scale_bytes = q->from ? scales->scale_bytes : q->count * row * INTERLEAVED;
    if (q->from && scales->scales)
        memcpy(q->scales, scales->scales, (size_t)q->scale_bytes);
    for (uint64_t i = 0; !q->from && scales->scales && i < INTERLEAVED; i++)
        memcpy(q->scales + i * q->count * row,
               (const char *)scales->scales + (i * q->rows + q->first) * row,
               (size_t)(q->count * row));
}

/* ---- the output ------------------------------------------------------------------------ */

static int put_quarters(struct quarters *q)
{
    const uint64_t part = q->out_bytes / INTERLEAVED;

    for (uint64_t i = 0; i < INTERLEAVED; i++)
        if (data_put_write(&q->puts[i], 0, q->out + i * part, part) < 0)
            return -1;
    return 0;
}

static int keep_scales(struct quarters *q, const uint8_t *scales, uint64_t bytes)
{
    const uint64_t row = bytes / (q->count * INTERLEAVED);
    const uint64_t all = row * q->rows * INTERLEAVED;

    if (!q->scales_out)
        q->scales_out = malloc((size_t)all + 1);
    if (!q->scales_out)
        return no_memory(q);
    q->scales_out_bytes = all;
    for (uint64_t i = 0; i < INTERLEAVED; i++)
        memcpy(q->scales_out + (i * q->rows + q->first) * row,
               scales + i * q->count * row, (size_t)(q->count * row));
    return 0;
}

/* Rows of zeros fit any scale. */
static int share_scale(struct quarters *q, float scale, bool zeros)
{
    if (!zeros && q->scale_is_known && scale != q->scale)
        return fail(q->work->failure, TRIT_INVALID_ARGUMENT, NULL,
                    "hf_bitnet has one scale for the tensor, but there are %.9g and %.9g",
                    (double)q->scale, (double)scale);
    if (!q->scale_is_known && (!zeros || q->first == 0))
        q->scale = scale;
    q->scale_is_known |= !zeros;
    return 0;
}

static int take_packed(struct quarters *q, const struct engine_projected *packed)
{
    float scale;

    if (!q->to)
        return put_quarters(q) < 0 ||
                       (packed->scale_bytes &&
                        keep_scales(q, packed->scales, packed->scale_bytes) < 0)
                   ? -1
                   : 0;
    if (packed->scale_bytes != sizeof(scale))
        return fail(q->work->failure, TRIT_INTERNAL, NULL, "the result has no scale");
    memcpy(&scale, packed->scales, sizeof(scale));
    return share_scale(q, scale, packed->report.zeros == packed->report.elements);
}

/* ---- calls ----------------------------------------------------------------------------- */

/* Of a call's result, whose quarters are put when it is complete. */
static int collect(void *arg, uint64_t offset, const void *from, uint64_t bytes)
{
    struct quarters *q = arg;

    if (q->to)
        return data_put_write(&q->work->data, offset, from, bytes);
    if (offset > q->out_capacity || bytes > q->out_capacity - offset)
        return fail(q->work->failure, TRIT_INTERNAL, NULL, "the result is too long");
    memcpy(q->out + offset, from, (size_t)bytes);
    q->out_bytes = offset + bytes;
    return 0;
}

static int call_engine(struct quarters *q)
{
    struct engine_pack asked = pack_asked(q->work);
    struct engine_projected packed = {.scales = NULL};
    struct matrix part = q->work->source;
    int result;

    part.data = q->data;
    part.bytes = q->data_bytes;
    asked.source.matrix = &part;
    asked.rows = q->count * INTERLEAVED;
    asked.scales = q->scale_bytes ? q->scales : NULL;
    asked.scale_bytes = q->scale_bytes;
    asked.write = collect;
    asked.write_arg = q;
    q->out_bytes = 0;
    result = pack_call(q->work, &asked, &packed);
    if (result == 0)
        result =
            asked.to == TRIT_ENCODING_DENSE ? put_quarters(q) : take_packed(q, &packed);
    free(packed.scales);
    return result;
}

static int discard(void *arg, uint64_t offset, const void *from, uint64_t bytes)
{
    (void)arg, (void)offset, (void)from, (void)bytes;
    return 0;
}

/* A call was refused, and names groups and rows of its own rows. Packs the matrix in one
 * call, which is refused for the first group of the matrix that does not fit. Always -1. */
static int refuse_matrix(struct quarters *q)
{
    struct pack_work *work = q->work;
    const struct failure found = *work->failure;
    struct engine_pack asked = pack_asked(work);
    struct engine_projected packed = {.scales = NULL};

    if (found.status != TRIT_INVALID_ARGUMENT)
        return -1;
    asked.write = discard;
    *work->failure = (struct failure){.status = TRIT_OK};
    work->progress.before = 0;
    pthread_mutex_lock(&work->p->whole); /* all its codes are in memory */
    pack_call(work, &asked, &packed);
    pthread_mutex_unlock(&work->p->whole);
    free(packed.scales);
    if (work->failure->status != TRIT_INVALID_ARGUMENT)
        *work->failure = found;
    return -1;
}

/* One call, for `count` byte rows from `first` on. */
static int run_call(struct quarters *q)
{
    struct pack_work *work = q->work;

    if (read_data(q) < 0)
        return -1;
    take_scales(q);
    if (call_engine(q) == 0) {
        work->progress.before += q->data_bytes;
        return progress_update(&work->progress, 0, 0) == 0
                   ? 0
                   : fail(work->failure, TRIT_CANCELLED, NULL, "stopped");
    }
    if (work->p->plan.terms.encoding != TRIT_ENCODING_DENSE)
        return refuse_matrix(q);
    /* The engine counts from the first row that it was given. */
    return fail_context(
        work->failure, "in rows %" PRIu64 " to %" PRIu64 " of each quarter of the matrix",
        q->first, q->first + q->count - 1);
}

static int allocate(struct quarters *q, uint64_t each)
{
    const struct pack_work *work = q->work;
    const uint64_t rows = q->rows * INTERLEAVED;

    q->data = malloc((size_t)(each * INTERLEAVED * (work->source.bytes / rows + 1) +
                              each * q->columns));
    q->scales =
        malloc((size_t)(each * INTERLEAVED * (work->scales.scale_bytes / rows) + 4));
    /* No output takes more than the dense values. */
    q->out_capacity = each * INTERLEAVED * q->columns * sizeof(float);
    q->out = malloc(q->to ? 1 : (size_t)q->out_capacity);
    return q->data && q->scales && q->out ? 0 : no_memory(q);
}

static int run_calls(struct quarters *q)
{
    const uint64_t fitting = CALL_ELEMENTS / INTERLEAVED / q->columns;
    const uint64_t each = u64_min(fitting ? fitting : 1, q->rows);

    if (allocate(q, each) < 0)
        return -1;
    for (; q->first < q->rows; q->first += q->count) {
        q->count = u64_min(each, q->rows - q->first);
        if (run_call(q) < 0)
            return -1;
    }
    return 0;
}

static int put_rest(struct quarters *q)
{
    struct pack_work *work = q->work;
    const size_t index = work->p->plan.items[work->piece->what.index].data;
    struct encoded encoded = {.scales = q->to ? (void *)&q->scale : (void *)q->scales_out,
                              .data_bytes = work->p->plan.table.entries[index].bytes /
                                            work->piece->what.matrices.count,
                              .scale_bytes =
                                  q->to ? sizeof(q->scale) : q->scales_out_bytes};

    for (uint64_t i = 0; i < INTERLEAVED; i++)
        if (data_put_end(&q->puts[i]) < 0)
            return -1;
    return data_put_end(&work->data) < 0
               ? -1
               : put_scales(work->p->writer, &work->p->plan, &work->piece->what, &encoded,
                            work->failure);
}

int pack_quarters(struct pack_work *work)
{
    const struct matrices *matrices = &work->piece->what.matrices;
    struct quarters q = {
        .work = work,
        .rows = matrices->rows / INTERLEAVED,
        .columns = matrices->columns,
        .from = work->content->terms.encoding == TRIT_ENCODING_HF_BITNET,
        .to = work->p->plan.terms.encoding == TRIT_ENCODING_HF_BITNET,
    };
    int result;

    for (uint64_t i = 0; i < INTERLEAVED; i++) {
        data_put_open(&q.puts[i], work->p->writer, &work->p->plan, &work->piece->what,
                      work->failure);
        q.puts[i].at = i * q.rows * q.puts[i].row_bytes;
    }
    result = run_calls(&q);
    if (result == 0)
        result = put_rest(&q);
    for (uint64_t i = 0; i < INTERLEAVED; i++)
        data_put_close(&q.puts[i]);
    free(q.data);
    free(q.scales);
    free(q.out);
    free(q.scales_out);
    return result;
}
