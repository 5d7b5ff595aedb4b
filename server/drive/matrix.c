/* SPDX-License-Identifier: Apache-2.0 */
#include "drive/matrix.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "checkpoint/rotation.h"
#include "checkpoint/transpose.h"
#include "drive/foreign_read.h"
#include "kernels/interleave.h"
#include "kernels/kernels.h"

enum {
    SMALL_BYTES_MAX = 4 << 20,
    BLOCK_BYTES_MAX = 4 << 20, /* of a transposed matrix; at least one row */
    CODES_A_BYTE = 4,
};

static int no_memory(struct failure *failure, uint64_t bytes)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                "out of memory for a matrix of %" PRIu64 " bytes", bytes);
}

/* `count` bytes of the tensor from byte `from`, malloc'ed; NULL with *failure. */
static void *load(struct reader *reader, const struct tensor_entry *entry, uint64_t from,
                  uint64_t count, struct failure *failure)
{
    void *bytes = count < PTRDIFF_MAX ? malloc((size_t)count + 1) : NULL;

    if (!bytes) {
        no_memory(failure, count);
        return NULL;
    }
    if (reader_read(reader, entry, from, bytes, count, failure) < 0 ||
        reader_unchanged_of(reader, entry, failure) < 0) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

int matrix_read_rows(struct reader *reader, const struct tensor_entry *entry,
                     uint64_t from, const struct head_order *heads, uint64_t first,
                     uint64_t count, uint64_t row_bytes, uint8_t *to,
                     struct failure *failure)
{
    if (heads->rows == 0)
        return reader_read(reader, entry, from + first * row_bytes, to, count * row_bytes,
                           failure);
    for (uint64_t i = 0; i < count; i++)
        if (reader_read(reader, entry,
                        from + head_order_row(heads, first + i) * row_bytes,
                        to + i * row_bytes, row_bytes, failure) < 0)
            return -1;
    return 0;
}

int matrix_read_quarters(struct reader *reader, const struct tensor_entry *entry,
                         const struct head_order *heads, uint64_t rows, uint64_t first,
                         uint64_t count, uint8_t *to, uint8_t *row,
                         struct failure *failure)
{
    const uint64_t quarter = rows / INTERLEAVED, bytes = entry->bytes / quarter;

    memset(to, 0, (size_t)(count * bytes));
    for (uint64_t i = 0; i < count * INTERLEAVED; i++) {
        const uint64_t place = i % INTERLEAVED, at = first + i / INTERLEAVED;
        const uint64_t from = head_order_row(heads, place * quarter + at);
        uint8_t *codes = to + i / INTERLEAVED * bytes;

        if (reader_read(reader, entry, from % quarter * bytes, row, bytes, failure) < 0)
            return -1;
        for (uint64_t j = 0; j < bytes; j++)
            codes[j] =
                (uint8_t)(codes[j] | (row[j] >> 2 * (from / quarter) & 3) << 2 * place);
    }
    return 0;
}

static int load_quarters(struct reader *reader, const struct tensor_entry *entry,
                         const struct matrices *matrices, uint8_t *data,
                         struct failure *failure)
{
    const uint64_t rows = matrices->rows / INTERLEAVED;
    uint8_t *row = malloc((size_t)(entry->bytes / rows) + 1);
    int result = row ? 0 : no_memory(failure, entry->bytes / rows);

    if (result == 0)
        result = matrix_read_quarters(reader, entry, &matrices->heads, matrices->rows, 0,
                                      rows, data, row, failure);
    free(row);
    return result;
}

/* Behind the rows may be a tail, as of i2_s. */
static int load_heads(struct reader *reader, const struct tensor_entry *entry,
                      const struct matrices *matrices, uint64_t number, void **data,
                      uint64_t *bytes, struct failure *failure)
{
    *bytes = entry->bytes / matrices->count;
    const uint64_t tail = entry->type->tail_bytes, rows = *bytes - tail;
    *data = *bytes < PTRDIFF_MAX ? malloc((size_t)*bytes + 1) : NULL;
    if (!*data)
        return no_memory(failure, *bytes);
    if (matrices->quarters
            ? load_quarters(reader, entry, matrices, *data, failure) == 0
            : matrix_read_rows(reader, entry, number * *bytes, &matrices->heads, 0,
                               matrices->rows, rows / matrices->rows, *data,
                               failure) == 0 &&
                  reader_read(reader, entry, entry->bytes - tail, (char *)*data + rows,
                              tail, failure) == 0 &&
                  reader_unchanged_of(reader, entry, failure) == 0)
        return 0;
    free(*data);
    *data = NULL;
    return -1;
}

int matrix_load(struct reader *reader, const struct tensor_entry *entry,
                const struct matrices *matrices, uint64_t number, void **data,
                uint64_t *bytes, struct failure *failure)
{
    if (matrices->heads.rows)
        return load_heads(reader, entry, matrices, number, data, bytes, failure);
    const uint64_t part = entry->bytes / matrices->count;
    void *stored = load(reader, entry, number * part, part, failure);
    void *turned = NULL;

    if (!stored)
        return -1;
    if (matrices->transposed) {
        turned = malloc((size_t)part + 1);
        if (turned)
            transpose(turned, stored, matrices->columns, matrices->rows,
                      entry->type->bits / 8);
        free(stored);
        if (!turned)
            return no_memory(failure, part);
    }
    *data = turned ? turned : stored;
    *bytes = part;
    return 0;
}

/* ---- some rows of a matrix that is stored otherwise -------------------------------------------------- */

static uint64_t row_bytes(const struct matrix_block *block)
{
    return block->columns * block->width;
}

/* Of a row as it is given. */
static uint64_t given_bytes(const struct matrix_block *block)
{
    return block->basis.block ? block->columns * sizeof(float)
           : block->as_int8   ? row_bytes(block) * CODES_A_BYTE
                              : row_bytes(block);
}

static int allocate_converted(struct matrix_block *block, struct failure *failure)
{
    const uint64_t bytes = block->count_max * given_bytes(block);

    if (block->basis.block == 0 && !block->as_int8)
        return 0;
    block->converted = malloc((size_t)bytes);
    block->scratch = malloc((size_t)(block->basis.block + 1) * sizeof(*block->scratch));
    return block->converted && block->scratch ? 0 : no_memory(failure, bytes);
}

static int block_allocate(struct matrix_block *block, struct failure *failure)
{
    const uint64_t fitting = BLOCK_BYTES_MAX / row_bytes(block);
    uint64_t bytes;

    if (block->rows)
        return 0;
    block->count_max = u64_min(fitting ? fitting : 1, block->all_rows);
    bytes = block->count_max * row_bytes(block);
    block->rows = malloc((size_t)bytes);
    block->stored = malloc(block->transposed ? (size_t)bytes
                           : block->quarters ? (size_t)row_bytes(block)
                                             : 1);
    return block->rows && block->stored ? allocate_converted(block, failure)
                                        : no_memory(failure, bytes);
}

/* Reads the rows from `first` on: a strip of each of the file's rows where it is
 * transposed. */
static int block_fill(struct matrix *matrix, uint64_t first)
{
    struct matrix_block *block = &matrix->block;

    if (block_allocate(block, matrix->failure) < 0)
        return -1;
    block->first = first;
    block->count = u64_min(block->count_max, block->all_rows - first);
    if (block->quarters)
        return matrix_read_quarters(matrix->reader, matrix->entry, &block->heads,
                                    block->all_rows * INTERLEAVED, first, block->count,
                                    block->rows, block->stored, matrix->failure);
    if (!block->transposed)
        return matrix_read_rows(matrix->reader, matrix->entry, matrix->from,
                                &block->heads, first, block->count, row_bytes(block),
                                block->rows, matrix->failure);
    const uint64_t strip = block->count * block->width;
    for (uint64_t i = 0; i < block->columns; i++)
        if (reader_read(matrix->reader, matrix->entry,
                        matrix->from + (i * block->all_rows + first) * block->width,
                        block->stored + i * strip, strip, matrix->failure) < 0)
            return -1;
    transpose(block->rows, block->stored, block->columns, block->count, block->width);
    return 0;
}

static void expand(int8_t *to, const uint8_t *codes, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes * CODES_A_BYTE; i++)
        to[i] = (int8_t)((codes[i / CODES_A_BYTE] >> 2 * (i % CODES_A_BYTE) & 3) - 1);
}

/* The same, in the form that is wanted. */
static int block_take(struct matrix *matrix, uint64_t first)
{
    struct matrix_block *block = &matrix->block;

    if (block_fill(matrix, first) < 0) {
        block->count = 0;
        return -1;
    }
    if (block->basis.block)
        basis_rotate(&block->basis, matrix->entry->type->dtype, block->rows, block->count,
                     block->columns, block->scratch, block->converted);
    else if (block->as_int8)
        expand(block->converted, block->rows, block->count * row_bytes(block));
    return 0;
}

static int block_read(struct matrix *matrix, uint64_t offset, uint8_t *to, uint64_t bytes)
{
    struct matrix_block *block = &matrix->block;
    const uint64_t each = given_bytes(block);

    while (bytes) {
        const uint64_t row = offset / each;

        if (row >= block->all_rows) /* the tail */
            return reader_read(matrix->reader, matrix->entry, matrix->from + offset, to,
                               bytes, matrix->failure);
        if ((row < block->first || row >= block->first + block->count) &&
            block_take(matrix, row) < 0)
            return -1;
        const uint64_t at = offset - block->first * each;
        const uint64_t piece = u64_min(bytes, block->count * each - at);

        memcpy(to, (uint8_t *)(block->converted ? block->converted : block->rows) + at,
               (size_t)piece);
        to += piece;
        offset += piece;
        bytes -= piece;
    }
    return 0;
}

/* ---- a matrix that is read ---------------------------------------------------------------- */

bool matrix_is_whole(enum trit_encoding encoding)
{
    const struct encoding_layout *layout = encoding_layout(encoding);

    return !layout || layout->scales == SCALES_TENSOR;
}

bool matrix_is_small(const struct tensor_entry *entry, const struct matrices *matrices)
{
    return entry->bytes / matrices->count < SMALL_BYTES_MAX;
}

struct tensor_entry matrix_entry(const struct tensor_entry *entry,
                                 const struct matrices *matrices)
{
    return matrices->count <= 1
               ? *entry
               : (struct tensor_entry){.type = entry->type,
                                       .rank = 2,
                                       .shape = {entry->shape[1], entry->shape[2]}};
}

int matrix_open(struct matrix *matrix, bool streamed, struct reader *reader,
                const struct tensor_entry *entry, const struct matrices *matrices,
                uint64_t number, struct failure *failure)
{
    const uint64_t bytes = entry->bytes / matrices->count;

    *matrix = (struct matrix){.reader = reader,
                              .entry = entry,
                              .from = number * bytes,
                              .bytes = bytes,
                              .failure = failure};
    if (streamed) {
        matrix->block = (struct matrix_block){
            .used = matrices->transposed || matrices->heads.rows ||
                    matrices->basis.block || matrices->as_int8,
            .as_int8 = matrices->as_int8,
            .transposed = matrices->transposed,
            .quarters = matrices->quarters,
            .heads = matrices->heads,
            .basis = matrices->basis,
            .all_rows = matrices->rows,
            .columns = matrices->transposed
                           ? matrices->columns
                           : (bytes - entry->type->tail_bytes) / matrices->rows /
                                 (entry->type->bits / 8),
            .width = entry->type->bits / 8};
        if (matrices->quarters) { /* of bytes */
            matrix->block.all_rows = matrices->rows / INTERLEAVED;
            matrix->block.columns = bytes / matrix->block.all_rows;
        }
        if (matrices->basis.block || matrices->as_int8)
            matrix->bytes = matrices->rows * given_bytes(&matrix->block);
        return 0;
    }
    return matrix_load(reader, entry, matrices, number, &matrix->data, &matrix->bytes,
                       failure);
}

void matrix_open_packed(struct matrix *matrix, struct reader *reader,
                        const struct contents *contents, size_t layer, uint64_t number,
                        struct failure *failure)
{
    const struct content *content = &contents->items[layer];
    const struct matrices matrices = content_matrices(content);

    *matrix = (struct matrix){.reader = reader,
                              .entry = &contents->table->entries[layer],
                              .bytes = content->dense.bytes / matrices.count,
                              .failure = failure,
                              .packed = contents,
                              .layer = layer,
                              .number = number};
    matrix->block = (struct matrix_block){.heads = matrices.heads,
                                          .all_rows = matrices.rows,
                                          .columns = matrices.columns,
                                          .width = dtype_bytes(content->foreign.dtype)};
}

void matrix_close(struct matrix *matrix)
{
    free(matrix->data);
    free(matrix->block.rows);
    free(matrix->block.stored);
    free(matrix->block.converted);
    free(matrix->block.scratch);
    *matrix = (struct matrix){.data = NULL};
}

/* Values of a layer that another program packed, row by row where the order is another. */
static int packed_read(struct matrix *matrix, uint64_t offset, uint8_t *to,
                       uint64_t bytes)
{
    const uint64_t each = row_bytes(&matrix->block);

    if (!matrix->block.heads.rows)
        return foreign_read(matrix->reader, matrix->packed, matrix->layer, matrix->number,
                            offset, to, bytes, matrix->failure);
    while (bytes) {
        const uint64_t row = head_order_row(&matrix->block.heads, offset / each);
        const uint64_t piece = u64_min(bytes, each - offset % each);

        if (foreign_read(matrix->reader, matrix->packed, matrix->layer, matrix->number,
                         row * each + offset % each, to, piece, matrix->failure) < 0)
            return -1;
        to += piece;
        offset += piece;
        bytes -= piece;
    }
    return 0;
}

static int read_stored(struct matrix *matrix, uint64_t offset, void *to, uint64_t bytes)
{
    if (matrix->packed)
        return packed_read(matrix, offset, to, bytes);
    if (matrix->block.used)
        return block_read(matrix, offset, to, bytes);
    return reader_read(matrix->reader, matrix->entry, matrix->from + offset, to, bytes,
                       matrix->failure);
}

int matrix_read(void *arg, uint64_t offset, void *to, uint64_t bytes)
{
    struct matrix *matrix = arg;

    if (matrix->data) {
        memcpy(to, (const char *)matrix->data + offset, (size_t)bytes);
        return 0;
    }
    if (read_stored(matrix, offset, to, bytes) < 0)
        return -1;
    return offset + bytes < matrix->bytes
               ? 0
               : reader_unchanged_of(matrix->reader, matrix->entry, matrix->failure);
}

bool matrix_try_read(const struct matrix *matrix, uint64_t offset, void *to,
                     uint64_t bytes)
{
    return !matrix->data && !matrix->packed && !matrix->block.used &&
           offset <= matrix->bytes && bytes <= matrix->bytes - offset &&
           reader_try_read(matrix->reader, matrix->entry, matrix->from + offset, to,
                           bytes);
}

int matrix_piece(struct matrix *matrix, uint64_t offset, uint64_t bytes, void **data)
{
    *data = malloc((size_t)bytes + 1);
    if (!*data)
        return no_memory(matrix->failure, bytes);
    if (matrix_read(matrix, offset, *data, bytes) == 0)
        return 0;
    free(*data);
    *data = NULL;
    return -1;
}
