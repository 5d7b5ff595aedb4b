/* SPDX-License-Identifier: Apache-2.0 */
/* Some rows of a matrix of a side, so that memory does not follow the matrix. */
#include <stdlib.h>

#include "checkpoint/transpose.h"
#include "drive/foreign_read.h"
#include "drive/matrix.h"
#include "drive/side.h"
#include "kernels/interleave.h"
#include "kernels/kernels.h"

/* Rows [first, first + count) of one tensor of a layer. */
struct rows {
    struct reader *reader;
    const struct tensor_entry *entry;
    uint64_t from; /* first byte of the matrix in the tensor */
    uint64_t all;  /* rows of the matrix */
    uint64_t row_bytes;
    uint64_t tail_bytes; /* behind all rows: the scale of i2_s */
    const struct head_order *heads;
    uint64_t first, count;
};

static struct rows rows_of(const struct side *side, size_t tensor,
                           const struct matrices *matrices, uint64_t number,
                           const struct head_order *heads, uint64_t first, uint64_t count)
{
    const struct tensor_entry *entry = &side->contents.table->entries[tensor];
    const uint64_t tail = entry->type->tail_bytes;
    const uint64_t bytes = (entry->bytes - tail) / matrices->count;

    return (struct rows){.reader = side->input.reader,
                         .entry = entry,
                         .from = number * bytes,
                         .all = matrices->rows,
                         .row_bytes = bytes / matrices->rows,
                         .tail_bytes = tail,
                         .heads = heads,
                         .first = first,
                         .count = count};
}

static void *allocate(uint64_t bytes, struct failure *failure)
{
    void *memory = malloc((size_t)bytes + 1);

    if (!memory)
        fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    return memory;
}

/* From a tensor that stores row after row. */
static int load_rows(const struct rows *rows, void **data, uint64_t *bytes,
                     struct failure *failure)
{
    const uint64_t tail = rows->count * rows->row_bytes;

    *bytes = tail + rows->tail_bytes;
    *data = allocate(*bytes, failure);
    if (!*data ||
        matrix_read_rows(rows->reader, rows->entry, rows->from, rows->heads, rows->first,
                         rows->count, rows->row_bytes, *data, failure) < 0)
        return -1;
    return rows->tail_bytes ? reader_read(rows->reader, rows->entry,
                                          rows->from + rows->all * rows->row_bytes,
                                          (char *)*data + tail, rows->tail_bytes, failure)
                            : 0;
}

static int read_columns(const struct rows *rows, uint64_t columns, size_t width,
                        char *stored, struct failure *failure)
{
    const uint64_t strip = rows->count * width;

    for (uint64_t i = 0; i < columns; i++)
        if (reader_read(rows->reader, rows->entry,
                        rows->from + (i * rows->all + rows->first) * width,
                        stored + i * strip, strip, failure) < 0)
            return -1;
    return 0;
}

/* From a tensor that stores column after column. */
static int load_columns(const struct rows *rows, void **data, uint64_t *bytes,
                        struct failure *failure)
{
    const size_t width = rows->entry->type->bits / 8;
    const uint64_t columns = rows->row_bytes / width;
    char *stored;
    int result = -1;

    *bytes = rows->count * rows->row_bytes;
    *data = allocate(*bytes, failure);
    stored = *data ? allocate(*bytes, failure) : NULL;
    if (stored)
        result = read_columns(rows, columns, width, stored, failure);
    if (result == 0)
        transpose(*data, stored, columns, rows->count, width);
    free(stored);
    return result;
}

/* From bytes that four rows share: t*s. */
static int decode_shared(const struct rows *rows, uint64_t columns, float scale,
                         uint8_t *bytes, float *values, struct failure *failure)
{
    const uint64_t apart = rows->all / INTERLEAVED;

    for (uint64_t at = rows->first; at < rows->first + rows->count; at++) {
        const uint64_t row = head_order_row(rows->heads, at);

        if (reader_read(rows->reader, rows->entry, row % apart * columns, bytes, columns,
                        failure) < 0)
            return -1;
        for (uint64_t i = 0; i < columns; i++) {
            const int code = bytes[i] >> 2 * (row / apart) & 3;

            if (code == 3)
                return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                            "a code is none of -1, 0 and +1");
            *values++ = (float)(code - 1) * scale;
        }
    }
    return 0;
}

/* The layer's scale is loaded; its values take their place. */
static int load_shared(const struct rows *rows, uint64_t columns,
                       struct side_matrix *loaded, struct failure *failure)
{
    const float scale = float_at(loaded->matrix.scales_dtype, loaded->scales, 0);
    uint8_t *bytes = allocate(columns, failure);
    int result = -1;

    loaded->data_bytes = rows->count * columns * sizeof(float);
    loaded->data = bytes ? allocate(loaded->data_bytes, failure) : NULL;
    if (loaded->data)
        result = decode_shared(rows, columns, scale, bytes, loaded->data, failure);
    free(bytes);
    loaded->matrix = (struct encoded_matrix){.rows = rows->count,
                                             .columns = columns,
                                             .terms = {.encoding = TRIT_ENCODING_DENSE},
                                             .dtype = TRIT_F32,
                                             .data = loaded->data};
    return result;
}

/* Of a layer that another program packed. */
static int load_values(struct side *side, size_t index, uint64_t number,
                       const struct rows *rows, struct side_matrix *loaded,
                       struct failure *failure)
{
    const uint64_t row_bytes = loaded->matrix.columns * dtype_bytes(loaded->matrix.dtype);

    loaded->data_bytes = loaded->matrix.rows * row_bytes;
    loaded->data = allocate(loaded->data_bytes, failure);
    loaded->matrix.data = loaded->data;
    const uint64_t run = rows->heads->rows ? 1 : rows->count;
    for (uint64_t i = 0; loaded->data && i < rows->count; i += run)
        if (foreign_read(side->input.reader, &side->contents, index, number,
                         head_order_row(rows->heads, rows->first + i) * row_bytes,
                         (char *)loaded->data + i * row_bytes, run * row_bytes,
                         failure) < 0)
            return -1;
    return loaded->data ? 0 : -1;
}

int side_load_rows(struct side *side, size_t index, uint64_t number,
                   const struct head_order *heads, uint64_t first, uint64_t count,
                   struct side_matrix *loaded, struct failure *failure)
{
    const struct content *content = &side->contents.items[index];
    const struct encoding_layout *layout = encoding_layout(content->terms.encoding);
    const struct matrices matrices = content_matrices(content);
    const struct rows data = rows_of(side, index, &matrices, number, heads, first, count);
    const bool turned =
        matrices.transposed && encoding_keeps_layout(content->terms.encoding);

    *loaded =
        (struct side_matrix){.matrix = {.rows = count,
                                        .columns = matrices.columns,
                                        .terms = content->terms,
                                        .dtype = content_dtype(&side->contents, index)}};
    if (content_is_foreign(content))
        return load_values(side, index, number, &data, loaded, failure);
    if (layout->interleaved)
        return side_load_scales(side, index, number, loaded, failure) < 0
                   ? -1
                   : load_shared(&data, matrices.columns, loaded, failure);
    if ((turned ? load_columns : load_rows)(&data, &loaded->data, &loaded->data_bytes,
                                            failure) < 0)
        return -1;
    loaded->matrix.data = loaded->data;
    if (content->scales == CONTENT_NONE)
        return 0;
    const struct rows scales =
        rows_of(side, content->scales, &matrices, number, heads, first, count);
    if (load_rows(&scales, &loaded->scales, &loaded->scale_bytes, failure) < 0)
        return -1;
    loaded->matrix.scales = loaded->scales;
    loaded->matrix.scales_dtype = scales.entry->type->dtype;
    return 0;
}
