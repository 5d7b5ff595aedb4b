/* SPDX-License-Identifier: Apache-2.0 */
#include "drive/put.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "checkpoint/decode.h"
#include "checkpoint/transpose.h"
#include "drive/matrix.h"

enum {
    COPY_BYTES = 1 << 20,
    DATA_BYTES = 1 << 20,
    TRANSPOSED_BYTES_MAX = 4 << 20, /* at least one row */
};

static int no_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

/* A write that failed names the output: the disk may be full, the tensor is not at fault. */
static int put_bytes(struct writer *writer, size_t index, uint64_t offset,
                     const void *data, uint64_t bytes, struct failure *failure)
{
    return writer_put_at(writer, index, offset, data, bytes, failure) == 0
               ? 0
               : fail_context(failure, "%s", writer_path(writer));
}

static int copy(struct writer *writer, size_t index, uint64_t start,
                struct reader *reader, const struct tensor_entry *entry,
                struct progress_piece *progress, struct failure *failure)
{
    uint8_t *buffer = malloc(COPY_BYTES);
    int result = buffer ? 0 : no_memory(failure);

    for (uint64_t at = 0; result == 0 && at < entry->bytes; at += COPY_BYTES) {
        const uint64_t piece = u64_min(entry->bytes - at, COPY_BYTES);

        result = progress_check(progress->progress, failure);
        if (result == 0)
            result = reader_read(reader, entry, at, buffer, piece, failure);
        if (result == 0)
            result = put_bytes(writer, index, start + at, buffer, piece, failure);
        progress_update(progress, at + piece, entry->bytes);
    }
    free(buffer);
    return result;
}

/* A kept tensor as one matrix, so that its rows can be read in another order. */
static struct matrices kept_matrices(const struct plan *plan, size_t index)
{
    const struct tensor_entry *entry = &plan->contents.table->entries[index];
    const struct plan_item *item = &plan->items[index];
    struct matrices matrices = {.count = 1, .rows = 1, .columns = 1};

    if (entry->rank == 2)
        return matrices_of(item->turned ? LAYOUT_IN_OUT : LAYOUT_OUT_IN, 2, entry->shape);
    matrices.rows = entry->bytes / (entry->type->bits / 8);
    return matrices;
}

/* A kept tensor under way to the output. */
struct kept {
    struct writer *writer;
    const struct plan *plan;
    size_t index; /* in the input */
    struct progress_piece *progress;
    struct failure *failure;
};

/* Where it begins in its tensor of the output. */
static uint64_t kept_start(const struct kept *kept)
{
    const struct plan_item *item = &kept->plan->items[kept->index];

    return item->part * plan_item_bytes(kept->plan, item, item->data);
}

/* Pieces of the matrix in the output's type. */
static int put_converted(const struct kept *kept, struct matrix *matrix)
{
    const size_t index = kept->plan->items[kept->index].data;
    const struct element_type *from = matrix->entry->type;
    const struct element_type *to = kept->plan->table.entries[index].type;
    const uint64_t each = from->bits / 8, wide = to->bits / 8;
    uint8_t *got = malloc(COPY_BYTES), *made = malloc(COPY_BYTES * wide / each);
    uint64_t put = kept_start(kept), bad;
    int result = got && made ? 0 : no_memory(kept->failure);

    for (uint64_t at = 0; result == 0 && at < matrix->bytes; at += COPY_BYTES) {
        const uint64_t bytes = u64_min(matrix->bytes - at, COPY_BYTES);
        const uint64_t count = bytes / each;

        result = progress_check(kept->progress->progress, kept->failure);
        if (result == 0)
            result = matrix_read(matrix, at, got, bytes);
        if (result == 0 && from != to &&
            !floats_convert(from->dtype, got, to->dtype, made, count, &bad))
            result = fail(kept->failure, TRIT_INTERNAL, NULL, "a value does not fit %s",
                          to->name);
        if (result == 0)
            result = put_bytes(kept->writer, index, put, from == to ? got : made,
                               count * wide, kept->failure);
        put += count * wide;
        progress_update(kept->progress, at + bytes, matrix->bytes);
    }
    free(got);
    free(made);
    return result;
}

int put_kept(struct writer *writer, const struct plan *plan, size_t index,
             struct reader *reader, struct progress_piece *progress,
             struct failure *failure)
{
    const struct tensor_entry *entry = &plan->contents.table->entries[index];
    const struct kept kept = {writer, plan, index, progress, failure};
    struct matrix matrix;

    if (entry->bytes == 0 || plan_item_is_copied(plan, index))
        return copy(writer, plan->items[index].data, kept_start(&kept), reader, entry,
                    progress, failure);
    struct matrices matrices = kept_matrices(plan, index);
    matrices.heads = plan->contents.items[index].heads;
    int result = matrix_open(&matrix, true, reader, entry, &matrices, 0, failure);
    if (result == 0)
        result = put_converted(&kept, &matrix);
    matrix_close(&matrix);
    return result;
}

/* The bytes of one matrix in tensor `index` of the output. */
static uint64_t part_bytes(const struct plan *plan, const struct plan_piece *piece,
                           size_t index)
{
    return plan_item_bytes(plan, &plan->items[piece->index], index) /
           piece->matrices.count;
}

/* The place of the matrix in tensor `index`. */
static uint64_t part_start(const struct plan *plan, const struct plan_piece *piece,
                           size_t index)
{
    const struct plan_item *item = &plan->items[piece->index];

    return item->part * plan_item_bytes(plan, item, index) +
           piece->number * part_bytes(plan, piece, index);
}

/* Puts bytes of a matrix, from byte `offset` of its part of tensor `index`. */
static int put_part(struct writer *writer, const struct plan *plan,
                    const struct plan_piece *piece, size_t index, uint64_t offset,
                    const void *data, uint64_t bytes, struct failure *failure)
{
    return put_bytes(writer, index, part_start(plan, piece, index) + offset, data, bytes,
                     failure);
}

/* ---- data ---------------------------------------------------------------------------- */

void data_put_open(struct data_put *put, struct writer *writer, const struct plan *plan,
                   const struct plan_piece *piece, struct failure *failure)
{
    const size_t index = plan->items[piece->index].data;
    const uint64_t bytes = part_bytes(plan, piece, index);

    *put = (struct data_put){
        .writer = writer,
        .plan = plan,
        .piece = piece,
        .failure = failure,
        .transposed = piece->matrices.transposed && plan_keeps_layout(plan),
        .row_bytes = bytes / piece->matrices.rows,
        .width = plan->table.entries[index].type->bits / 8,
        .capacity = u64_min(bytes, DATA_BYTES),
        .start = plan->table.entries[index].offset + part_start(plan, piece, index)};
    if (put->transposed) {
        const uint64_t fitting = TRANSPOSED_BYTES_MAX / put->row_bytes;

        put->capacity =
            u64_min(fitting ? fitting : 1, piece->matrices.rows) * put->row_bytes;
    }
}

static int data_put_allocate(struct data_put *put)
{
    if (put->buffer)
        return 0;
    put->buffer = malloc((size_t)put->capacity + 1);
    if (put->transposed)
        put->stored = malloc((size_t)put->capacity + 1);
    return put->buffer && (put->stored || !put->transposed) ? 0 : no_memory(put->failure);
}

/* A strip of each row that the file has. */
static int put_strips(const struct data_put *put)
{
    const uint64_t rows = put->filled / put->row_bytes;
    const uint64_t columns = put->row_bytes / put->width, strip = rows * put->width;
    const uint64_t first = put->at / put->row_bytes;
    const size_t index = put->plan->items[put->piece->index].data;

    transpose(put->stored, put->buffer, rows, columns, put->width);
    for (uint64_t i = 0; i < columns; i++)
        if (put_part(put->writer, put->plan, put->piece, index,
                     (i * put->piece->matrices.rows + first) * put->width,
                     put->stored + i * strip, strip, put->failure) < 0)
            return -1;
    return 0;
}

int data_put_end(struct data_put *put)
{
    int result;

    if (put->filled == 0)
        return 0;
    result = put->transposed ? put_strips(put)
                             : put_part(put->writer, put->plan, put->piece,
                                        put->plan->items[put->piece->index].data, put->at,
                                        put->buffer, put->filled, put->failure);
    put->at += put->filled;
    put->filled = 0;
    return result;
}

/* Where the buffer is full. A write ends at a multiple of DATA_BYTES of the file, because one
 * that begins or ends within a page takes much longer. */
static uint64_t data_end(const struct data_put *put)
{
    return put->transposed || put->capacity < DATA_BYTES
               ? put->capacity
               : DATA_BYTES - (put->start + put->at) % DATA_BYTES;
}

int data_put_write(void *arg, uint64_t offset, const void *from, uint64_t bytes)
{
    struct data_put *put = arg;
    const uint8_t *at = from;

    (void)offset; /* pieces come in order */
    if (data_put_allocate(put) < 0)
        return -1;
    while (bytes) {
        const uint64_t end = data_end(put);
        const uint64_t taken = u64_min(bytes, end - put->filled);

        memcpy(put->buffer + put->filled, at, (size_t)taken);
        put->filled += taken;
        at += taken;
        bytes -= taken;
        if (put->filled == end && data_put_end(put) < 0)
            return -1;
    }
    return 0;
}

void data_put_close(struct data_put *put)
{
    free(put->buffer);
    free(put->stored);
    *put = (struct data_put){.buffer = NULL};
}

/* ---- scales -------------------------------------------------------------------------- */

/* MLX's biases: the f16 scales with the sign bit flipped. */
static int put_biases(struct writer *writer, const struct plan *plan,
                      const struct plan_piece *piece, const struct encoded *encoded,
                      struct failure *failure)
{
    uint16_t part[512];

    for (uint64_t at = 0; at < encoded->scale_bytes; at += sizeof(part)) {
        const size_t count = (size_t)u64_min(encoded->scale_bytes - at, sizeof(part));

        memcpy(part, (const char *)encoded->scales + at, count);
        for (size_t i = 0; i < count / sizeof(*part); i++)
            part[i] ^= 0x8000;
        if (put_part(writer, plan, piece, plan->items[piece->index].biases, at, part,
                     count, failure) < 0)
            return -1;
    }
    return 0;
}

int put_scales(struct writer *writer, const struct plan *plan,
               const struct plan_piece *piece, const struct encoded *encoded,
               struct failure *failure)
{
    const struct plan_item *item = &plan->items[piece->index];
    const uint64_t data_bytes = part_bytes(plan, piece, item->data);
    const uint64_t scale_bytes =
        item->scales == PLAN_NONE ? 0 : part_bytes(plan, piece, item->scales);

    if (encoded->data_bytes != data_bytes || encoded->scale_bytes != scale_bytes)
        return fail(failure, TRIT_INTERNAL, NULL,
                    "the daemon sent %" PRIu64 " bytes and %" PRIu64
                    " of scales, not %" PRIu64 " and %" PRIu64,
                    encoded->data_bytes, encoded->scale_bytes, data_bytes, scale_bytes);
    if (item->scales == PLAN_NONE)
        return 0;
    if (put_part(writer, plan, piece, item->scales, 0, encoded->scales, scale_bytes,
                 failure) < 0)
        return -1;
    return item->biases == PLAN_NONE ? 0
                                     : put_biases(writer, plan, piece, encoded, failure);
}
