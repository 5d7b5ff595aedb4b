/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/matrix.h"

#include <inttypes.h>
#include <stdlib.h>

#include "checkpoint/transpose.h"
#include "client/cli/foreign_read.h"
#include "kernels/kernels.h"

/* libtrit sends smaller tensors in one message. */
enum { STREAMED_BYTES_MIN = 4 << 20 };

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
    if (reader_read(reader, entry, from, bytes, count, failure) < 0) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

int matrix_load(struct reader *reader, const struct tensor_entry *entry,
                const struct matrices *matrices, uint64_t number, void **data,
                uint64_t *bytes, struct failure *failure)
{
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

const void *matrix_stored(const void *data, uint64_t bytes,
                          const struct matrices *matrices, size_t width, void **copy)
{
    *copy = NULL;
    if (!matrices->transposed)
        return data;
    *copy = malloc((size_t)bytes + 1);
    if (*copy)
        transpose(*copy, data, matrices->rows, matrices->columns, width);
    return *copy;
}

/* ---- arguments of calls ---------------------------------------------------------------- */

bool matrix_is_small(const struct tensor_entry *entry, const struct matrices *matrices)
{
    return entry->bytes / matrices->count < STREAMED_BYTES_MIN;
}

bool matrix_is_streamed(enum trit_encoding encoding, const struct tensor_entry *entry,
                        const struct matrices *matrices)
{
    const struct encoding_layout *layout = encoding_layout(encoding);

    return layout && layout->scales != SCALES_TENSOR && !matrices->transposed &&
           !matrix_is_small(entry, matrices);
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
    if (streamed)
        return 0;
    return matrix_load(reader, entry, matrices, number, &matrix->data, &matrix->bytes,
                       failure);
}

static int read_values(const struct matrix *matrix, uint64_t offset, void *to,
                       uint64_t bytes)
{
    return foreign_read(matrix->reader, matrix->packed, matrix->layer, matrix->number,
                        offset, to, bytes, matrix->failure);
}

int matrix_piece(const struct matrix *matrix, uint64_t offset, uint64_t bytes,
                 void **data)
{
    if (!matrix->packed) {
        *data = load(matrix->reader, matrix->entry, matrix->from + offset, bytes,
                     matrix->failure);
        return *data ? 0 : -1;
    }
    *data = malloc((size_t)bytes + 1);
    if (!*data)
        return no_memory(matrix->failure, bytes);
    if (read_values(matrix, offset, *data, bytes) == 0)
        return 0;
    free(*data);
    *data = NULL;
    return -1;
}

int matrix_open_packed(struct matrix *matrix, struct reader *reader,
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
    if (matrix->bytes >= STREAMED_BYTES_MIN)
        return 0;
    return matrix_piece(matrix, 0, matrix->bytes, &matrix->data);
}

void matrix_close(struct matrix *matrix)
{
    free(matrix->data);
    *matrix = (struct matrix){.data = NULL};
}

/* Fits trit_read. */
static int read_piece(void *arg, uint64_t offset, void *to, uint64_t bytes)
{
    const struct matrix *matrix = arg;

    if (matrix->packed)
        return read_values(matrix, offset, to, bytes);
    return reader_read(matrix->reader, matrix->entry, matrix->from + offset, to, bytes,
                       matrix->failure);
}

struct trit_tensor matrix_tensor(struct matrix *matrix, enum trit_dtype dtype,
                                 const struct matrices *matrices)
{
    return (struct trit_tensor){.size = sizeof(struct trit_tensor),
                                .dtype = dtype,
                                .rank = 2,
                                .shape = {matrices->rows, matrices->columns},
                                .data = matrix->data,
                                .bytes = matrix->bytes,
                                .read = read_piece,
                                .read_arg = matrix};
}
