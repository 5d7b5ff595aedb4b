/* SPDX-License-Identifier: Apache-2.0 */
/* A matrix becomes dense, some rows at a time. The scales that the output's type rounds are
 * counted here, because the engine does not know which groups they belong to. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/number.h"
#include "checkpoint/decode.h"
#include "drive/pack_impl.h"
#include "kernels/kernels.h"

enum { CALL_ELEMENTS = 1 << 20 }; /* at least a row */

/* Rows [first, first + count) of the matrix. */
struct rows {
    uint64_t first, count;
    void *data; /* malloc'ed */
    uint64_t bytes;
};

/* The scales of rows that begin with `first`; NULL: the encoding has none of their own. */
static const void *scales_at(const struct pack_work *work, uint64_t first)
{
    const uint64_t row = work->scales.scale_bytes / work->piece->what.matrices.rows;

    return work->scales.scales ? (const char *)work->scales.scales + first * row : NULL;
}

static int call_unpack(struct pack_work *work, const struct rows *rows)
{
    const struct matrices *matrices = &work->piece->what.matrices;
    const bool all = rows->count == matrices->rows;
    struct matrix part = work->source;
    struct engine_pack asked = pack_asked(work);
    struct engine_projected unpacked = {.scales = NULL};

    part.data = rows->data;
    part.bytes = rows->bytes;
    asked.source.matrix = &part;
    asked.rows = rows->count;
    asked.scales = scales_at(work, rows->first);
    asked.scale_bytes = all ? work->scales.scale_bytes
                            : rows->count * (work->scales.scale_bytes / matrices->rows);
    return pack_call(work, &asked, &unpacked);
}

/* Groups of a row that the type of the output holds only rounded. */
static uint64_t row_rounded(const struct pack_work *work, const float *values)
{
    const uint64_t columns = work->piece->what.matrices.columns;
    const uint64_t size = work->content->terms.group_size;
    uint64_t rounded = 0, count;

    for (uint64_t at = 0; at < columns; at += count) {
        count = size ? u64_min(size, columns - at) : columns;
        rounded += !floats_fit(TRIT_F32, values + at, pack_dtype(work), count);
    }
    return rounded;
}

/* Rows whose values are decoded again, to see which of them the output rounds. */
struct counting {
    struct pack_work *work;
    struct encoded_matrix matrix;
    float *values; /* of a row */
};

static void count_rows(void *arg)
{
    struct counting *counting = arg;
    struct pack_work *work = counting->work;
    const struct kernels *kernels =
        kernels_select(NULL); /* it asks the CPU, which is slow */

    for (uint64_t row = 0; row < counting->matrix.rows; row++) {
        matrix_decode(kernels, &counting->matrix, row, 1, counting->values);
        work->piece->rounded += row_rounded(work, counting->values);
    }
}

static int count_rounded(struct pack_work *work, const struct rows *rows)
{
    const uint64_t columns = work->piece->what.matrices.columns;
    struct counting counting = {
        .work = work,
        .matrix = {.rows = rows->count,
                   .columns = columns,
                   .terms = work->content->terms,
                   .dtype = work->dtype,
                   .data = rows->data,
                   .scales = scales_at(work, rows->first),
                   .scales_dtype = work->scales.matrix.scales_dtype},
        .values = malloc((size_t)columns * sizeof(float) + 1)};

    if (!counting.values)
        return fail(work->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    const int result = engine_compute(work->p->engine, rows->count * columns, count_rows,
                                      &counting, work->failure);
    free(counting.values);
    return result;
}

void pack_count_scale(struct pack_work *work)
{
    float scale;

    if (!work->scales.scales || pack_dtype(work) == TRIT_F32)
        return;
    scale = float_at(work->scales.matrix.scales_dtype, work->scales.scales, 0);
    work->piece->rounded += !floats_fit(TRIT_F32, &scale, pack_dtype(work), 1);
}

/* Bytes behind the rows that belong to each of them: the scale of i2_s. */
static uint64_t tail_bytes(const struct pack_work *work)
{
    return encoding_layout(work->content->terms.encoding)->tail_bytes;
}

static int unpack_rows(struct pack_work *work, const struct rows *rows)
{
    const int result = call_unpack(work, rows);

    if (result < 0 || pack_dtype(work) == TRIT_F32)
        return result;
    return work->streamed || tail_bytes(work) ? count_rounded(work, rows) : 0;
}

struct converting {
    enum trit_dtype from, to;
    const void *in;
    void *out;
    uint64_t count, bad;
    bool good;
    bool wants_finite, is_finite; /* `bad` is not */
};

static void convert(void *arg)
{
    struct converting *c = arg;

    c->is_finite =
        !c->wants_finite || floats_are_finite(c->from, c->in, c->count, &c->bad);
    c->good =
        c->is_finite && floats_convert(c->from, c->in, c->to, c->out, c->count, &c->bad);
}

/* The rows begin with row `first` of the matrix. */
static int refuse_element(struct pack_work *work, const struct converting *c,
                          uint64_t first)
{
    const uint64_t columns = work->piece->what.matrices.columns;

    if (!c->is_finite)
        return refuse_non_finite(c->from, c->in, c->bad, first, columns, work->failure);
    return fail(work->failure, TRIT_INVALID_ARGUMENT, NULL,
                "%s rounds element %" PRIu64 " to 0 or infinity; use f32",
                element_type_of(c->to)->name, first * columns + c->bad);
}

/* A dense layer in the type that is asked for; rounding is counted as for a packed one. What
 * other programs packed may have codes or products that are not finite. */
static int convert_rows(struct pack_work *work, const struct rows *rows)
{
    const uint64_t columns = work->piece->what.matrices.columns;
    struct converting c = {.from = work->dtype,
                           .to = pack_dtype(work),
                           .in = rows->data,
                           .count = rows->count * columns,
                           .wants_finite = content_is_foreign(work->content)};
    const uint64_t bytes = c.count * dtype_bytes(c.to);
    int result;

    c.out = malloc((size_t)bytes + 1);
    if (!c.out)
        return fail(work->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    result = engine_compute(work->p->engine, c.count, convert, &c, work->failure);
    if (result == 0)
        result = c.good ? data_put_write(&work->data, 0, c.out, bytes)
                        : refuse_element(work, &c, rows->first);
    free(c.out);
    return result < 0 || c.to == TRIT_F32 ? result : count_rounded(work, rows);
}

static int load_piece(struct pack_work *work, struct rows *rows)
{
    const uint64_t tail = tail_bytes(work);
    const uint64_t row_bytes =
        (work->source.bytes - tail) / work->piece->what.matrices.rows;
    const uint64_t bytes = rows->count * row_bytes;

    rows->bytes = bytes + tail;
    rows->data = malloc((size_t)rows->bytes + 1);
    if (!rows->data)
        return fail(work->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    if (matrix_read(&work->source, rows->first * row_bytes, rows->data, bytes) == 0 &&
        (!tail || matrix_read(&work->source, work->source.bytes - tail,
                              (char *)rows->data + bytes, tail) == 0))
        return 0;
    free(rows->data);
    return -1;
}

static int unpack_piece(struct pack_work *work, struct rows *rows)
{
    const bool dense = work->content->terms.encoding == TRIT_ENCODING_DENSE;
    const uint64_t all = work->piece->what.matrices.rows;
    int result;

    if (load_piece(work, rows) < 0)
        return -1;
    result = (dense ? convert_rows : unpack_rows)(work, rows);
    free(rows->data);
    if (result < 0)
        /* The engine counts elements from the first row that it was given. */
        return dense || rows->count == all
                   ? -1
                   : fail_context(work->failure, "counted from row %" PRIu64,
                                  rows->first);
    work->progress.before += rows->bytes;
    return progress_update(&work->progress, 0, 0) == 0
               ? 0
               : fail(work->failure, TRIT_CANCELLED, NULL, "stopped");
}

int pack_unpack(struct pack_work *work)
{
    const struct matrices *matrices = &work->piece->what.matrices;
    const uint64_t fitting = CALL_ELEMENTS / matrices->columns;
    const uint64_t each = fitting ? fitting : 1;
    struct rows rows = {
        .count = matrices->rows, .data = work->source.data, .bytes = work->source.bytes};
    int result = 0;

    if (rows.data) /* the matrix is in memory */
        return unpack_rows(work, &rows) < 0 ? -1 : data_put_end(&work->data);
    for (; result == 0 && rows.first < matrices->rows; rows.first += rows.count) {
        rows.count = u64_min(each, matrices->rows - rows.first);
        result = unpack_piece(work, &rows);
    }
    return result < 0 ? -1 : data_put_end(&work->data);
}
