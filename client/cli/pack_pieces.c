/* SPDX-License-Identifier: Apache-2.0 */
/* The tensors of a file that is packed or unpacked: lanes do the pieces, the main thread
 * counts what was rounded. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "checkpoint/decode.h"
#include "client/cli/pack.h"
#include "client/lib/matrix_call.h"
#include "drive/put.h"
#include "kernels/kernels.h"

enum { UNPACKED_ELEMENTS = 1 << 20 }; /* of one call; at least a row */

/* ---- pack ----------------------------------------------------------------------------- */

static int put_packed(struct pack_work *work, const struct trit_projection *packed)
{
    const struct encoded encoded = {packed->scales, packed->data_bytes,
                                    packed->scale_bytes};

    if (!work->streamed &&
        data_put_write(&work->data, 0, packed->data, packed->data_bytes) < 0)
        return -1;
    return data_put_end(&work->data) < 0
               ? -1
               : put_scales(work->p->writer, &work->p->plan, &work->piece->what, &encoded,
                            work->failure);
}

static int pack_matrix(struct pack_work *work)
{
    const struct trit_tensor tensor =
        matrix_tensor(&work->source, work->dtype, &work->piece->what.matrices);
    const struct trit_pack_options options = pack_options(work);
    struct trit_projection packed = TRIT_PROJECTION_INIT;
    struct trit_report report = TRIT_REPORT_INIT;
    struct trit_error error = TRIT_ERROR_INIT;
    int result;

    packed.report = &report;
    result = call_ended(trit_pack(work->p->client, &tensor, &options, &packed, &error),
                        &error, work->failure);
    if (result == 0) {
        work->piece->rounded = pack_rounded(&report);
        result = put_packed(work, &packed);
    }
    trit_projection_free(&packed);
    return result;
}

/* ---- unpack: some rows a call ---------------------------------------------------------- */

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

static int unpack_call(struct pack_work *work, const struct rows *rows, void **data,
                       uint64_t *bytes)
{
    const struct matrices *matrices = &work->piece->what.matrices;
    const bool all = rows->count == matrices->rows;
    struct trit_tensor tensor = matrix_tensor(&work->source, work->dtype, matrices);
    struct trit_unpack_options options = unpack_options(work);
    struct trit_error error = TRIT_ERROR_INIT;

    tensor.shape[0] = rows->count;
    tensor.data = rows->data;
    tensor.bytes = rows->bytes;
    options.scales = scales_at(work, rows->first);
    options.scale_bytes = all ? work->scales.scale_bytes
                              : rows->count * (work->scales.scale_bytes / matrices->rows);
    return call_ended(
        trit_unpack(work->p->client, &tensor, &options, data, bytes, &error), &error,
        work->failure);
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

static int count_rounded(struct pack_work *work, const struct rows *rows)
{
    const struct encoded_matrix matrix = {.rows = rows->count,
                                          .columns = work->piece->what.matrices.columns,
                                          .terms = work->content->terms,
                                          .dtype = work->dtype,
                                          .data = rows->data,
                                          .scales = scales_at(work, rows->first),
                                          .scales_dtype =
                                              work->scales.matrix.scales_dtype};
    float *values = malloc((size_t)matrix.columns * sizeof(*values) + 1);
    struct kernels_env env;

    if (!values)
        return fail(work->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    kernels_enter(&env);
    for (uint64_t row = 0; row < rows->count; row++) {
        matrix_decode(kernels_select(NULL), &matrix, row, 1, values);
        work->piece->rounded += row_rounded(work, values);
    }
    kernels_leave(&env);
    free(values);
    return 0;
}

/* One scale of a matrix that is in memory. */
static void count_rounded_scale(struct pack_work *work)
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
    void *data = NULL;
    uint64_t bytes = 0;
    int result = unpack_call(work, rows, &data, &bytes);

    if (result == 0)
        result = data_put_write(&work->data, 0, data, bytes);
    trit_free(data);
    if (result < 0 || pack_dtype(work) == TRIT_F32)
        return result;
    return work->streamed || tail_bytes(work) ? count_rounded(work, rows) : 0;
}

/* A dense layer in the type that is asked for; rounding is counted as for a packed one. */
static int convert_rows(struct pack_work *work, const struct rows *rows)
{
    const enum trit_dtype to = pack_dtype(work);
    const uint64_t columns = work->piece->what.matrices.columns;
    const uint64_t count = rows->count * columns, bytes = count * dtype_bytes(to);
    void *data = malloc((size_t)bytes + 1);
    uint64_t bad;
    int result;

    if (!data)
        return fail(work->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    result = floats_convert(work->dtype, rows->data, to, data, count, &bad)
                 ? data_put_write(&work->data, 0, data, bytes)
                 : fail(work->failure, TRIT_INVALID_ARGUMENT, NULL,
                        "%s rounds element %" PRIu64 " to 0 or infinity; use f32",
                        element_type_of(to)->name, rows->first * columns + bad);
    free(data);
    return result < 0 || to == TRIT_F32 ? result : count_rounded(work, rows);
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
    /* The daemon counts elements from the first row that it was sent. */
    return result < 0 && !dense && rows->count < all
               ? fail_context(work->failure, "from row %" PRIu64 " on", rows->first)
               : result;
}

static int unpack_matrix(struct pack_work *work)
{
    const struct matrices *matrices = &work->piece->what.matrices;
    const uint64_t fitting = UNPACKED_ELEMENTS / matrices->columns;
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

/* ---- a piece -------------------------------------------------------------------------- */

/* The scales of each row, in the order of the matrix's rows. */
static int order_scales(struct pack_work *work)
{
    const struct matrices *matrices = &work->piece->what.matrices;
    const uint64_t row = work->scales.scale_bytes / matrices->rows;
    uint8_t *ordered;

    if (!matrices->heads.rows)
        return 0;
    ordered = malloc((size_t)work->scales.scale_bytes + 1);
    if (!ordered)
        return fail(work->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    for (uint64_t i = 0; i < matrices->rows; i++)
        memcpy(ordered + i * row,
               (const char *)work->scales.scales +
                   head_order_row(&matrices->heads, i) * row,
               (size_t)row);
    free(work->scales.scales);
    work->scales.scales = ordered;
    work->scales.matrix.scales = ordered;
    return 0;
}

static int load_scales(struct pack_work *work)
{
    const struct plan_piece *what = &work->piece->what;

    if (work->content->scales == CONTENT_NONE)
        return 0;
    if (side_load_scales(&work->p->input, what->index, what->number, &work->scales,
                         work->failure) < 0)
        return -1;
    if (matrix_is_whole(work->content->terms.encoding))
        return 0;
    if (order_scales(work) < 0)
        return -1;
    return work->p->plan.terms.encoding == TRIT_ENCODING_DENSE ? 0 : pack_regroup(work);
}

static int open_source(struct pack_work *work)
{
    struct packing_run *p = work->p;
    const struct plan_piece *what = &work->piece->what;
    const struct tensor_entry *entry = &p->plan.contents.table->entries[what->index];
    struct matrices data = what->matrices;

    if (content_is_foreign(work->content)) {
        matrix_open_packed(&work->source, p->input.input.reader, &p->input.contents,
                           what->index, what->number, work->failure);
        return work->streamed ? 0
                              : matrix_piece(&work->source, 0, work->source.bytes,
                                             &work->source.data);
    }
    if (data.heads.rows && work->content->terms.encoding == TRIT_ENCODING_HF_BITNET)
        return fail(work->failure, TRIT_INVALID_ARGUMENT, NULL,
                    "llama.cpp has its rows in another order, in which hf_bitnet is not "
                    "read; unpack the checkpoint first");
    data.transposed &= encoding_keeps_layout(work->content->terms.encoding);
    if (matrix_open(&work->source, work->streamed, p->input.input.reader, entry, &data,
                    what->number, work->failure) < 0)
        return -1;
    return load_scales(work);
}

/* Does source or output have one scale? */
static bool is_whole(const struct pack_work *work)
{
    return matrix_is_whole(work->content->terms.encoding) ||
           matrix_is_whole(work->p->plan.terms.encoding);
}

/* Does each byte of source or output hold a row of each quarter of the matrix? The daemon
 * takes i2_s as a whole. */
static bool has_quarters(const struct pack_work *work)
{
    const enum trit_encoding from = work->content->terms.encoding;
    const enum trit_encoding to = work->p->plan.terms.encoding;

    return is_whole(work) && from != TRIT_ENCODING_I2_S && to != TRIT_ENCODING_I2_S;
}

static int run_matrix(struct pack_work *work)
{
    struct packing_run *p = work->p;
    const bool unpack = p->plan.terms.encoding == TRIT_ENCODING_DENSE;
    int result =
        work->piece->what.number == 0
            ? side_check_biases(&p->input, work->piece->what.index, work->failure)
            : 0;

    if (result == 0)
        result = open_source(work);

    data_put_open(&work->data, p->writer, &p->plan, &work->piece->what, work->failure);
    if (result == 0 && work->streamed && has_quarters(work))
        result = pack_quarters(work);
    else if (result == 0)
        result = (unpack ? unpack_matrix : pack_matrix)(work);
    if (result == 0 && unpack && is_whole(work))
        count_rounded_scale(work);
    data_put_close(&work->data);
    matrix_close(&work->source);
    side_unload(&work->scales);
    return result;
}

static int run_layer(struct pack_work *work)
{
    struct packing_run *p = work->p;
    const size_t index = work->piece->what.index;

    work->content = &p->input.contents.items[index];
    work->dtype = content_dtype(&p->input.contents, index);
    /* A small matrix with one scale is one message. */
    work->streamed = !is_whole(work) ||
                     !matrix_is_small(&work->content->dense, &work->piece->what.matrices);
    return run_matrix(work);
}

static int run_piece(void *owner, void *arg, const atomic_bool *stopped,
                     struct failure *failure)
{
    struct packing_run *p = owner;
    struct pack_piece *piece = arg;
    const struct plan_piece *what = &piece->what;
    const struct tensor_entry *entry = &p->plan.contents.table->entries[what->index];
    struct pack_work work = {.p = p, .piece = piece, .failure = failure};
    int result = interrupt_check(failure);

    work.call = (struct trit_call_options)TRIT_CALL_OPTIONS_INIT;
    work.call.progress = progress_update;
    work.call.progress_arg = &work.progress;
    progress_piece_begin(&work.progress, &p->bar.progress, what->name, stopped);
    if (result == 0)
        result = what->is_layer
                     ? run_layer(&work)
                     : put_kept(p->writer, &p->plan, what->index, p->input.input.reader,
                                &work.progress, failure);
    progress_piece_end(&work.progress, entry->bytes / what->matrices.count);
    return result < 0 ? fail_context(failure, "%s", what->name) : 0;
}

static bool next_piece(void *owner, void *piece)
{
    struct packing_run *p = owner;

    return plan_cursor_next(&p->plan, &p->cursor, &((struct pack_piece *)piece)->what);
}

static int take_piece(void *owner, void *arg, struct failure *failure)
{
    struct packing_run *p = owner;
    const struct pack_piece *piece = arg;

    (void)failure;
    p->rounded += piece->rounded;
    return 0;
}

int pack_pieces(struct packing_run *p)
{
    const struct lanes_work work = {.owner = p,
                                    .piece_bytes = sizeof(struct pack_piece),
                                    .next = next_piece,
                                    .run = run_piece,
                                    .take = take_piece};

    return lanes_run(&work, &p->failure);
}
