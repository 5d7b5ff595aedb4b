/* SPDX-License-Identifier: Apache-2.0 */
#include "drive/foreign_read.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "kernels/kernels.h"

enum { PIECE_BYTES = 1 << 20 }; /* of values that are decoded together, or one row */

/* A matrix of a packed layer. */
struct packed_matrix {
    struct reader *reader;
    const struct tensor_entry *data, *scales, *biases; /* biases: or NULL */
    const struct foreign_form *form;
    struct matrices matrices;
    uint64_t number;
    struct failure *failure;
};

/* The runs of the matrix's part of a tensor, one after another; malloc'ed. */
static void *load(const struct packed_matrix *m, const struct tensor_entry *entry,
                  const struct foreign_runs *runs)
{
    const uint64_t from = m->number * (entry->bytes / m->matrices.count) + runs->offset;
    char *loaded = malloc((size_t)(runs->bytes * runs->count) + 1);
    int result =
        loaded ? 0 : fail(m->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");

    for (uint64_t i = 0; result == 0 && i < runs->count; i++)
        result = reader_read(m->reader, entry, from + i * runs->stride,
                             loaded + i * runs->bytes, runs->bytes, m->failure);
    if (result == 0)
        return loaded;
    free(loaded);
    return NULL;
}

static int decode_rows(const struct packed_matrix *m, uint64_t first, uint64_t count,
                       void *values)
{
    const struct foreign_rows rows =
        foreign_rows_of(m->form, m->matrices.columns, first, count);
    void *data = load(m, m->data, &rows.data);
    void *scales = data ? load(m, m->scales, &rows.scales) : NULL;
    void *biases = scales && m->biases ? load(m, m->biases, &rows.scales) : NULL;
    const bool loaded = scales && (biases || !m->biases);

    if (loaded)
        foreign_decode(m->form, m->matrices.columns, first, count, data, scales, biases,
                       values);
    free(data);
    free(scales);
    free(biases);
    return loaded ? 0 : -1;
}

static int read_values(const struct packed_matrix *m, uint64_t offset, char *values,
                       uint64_t bytes)
{
    const uint64_t row_bytes = m->matrices.columns * dtype_bytes(m->form->dtype);
    const uint64_t fitting = PIECE_BYTES / row_bytes, rows = fitting ? fitting : 1;
    char *decoded = malloc((size_t)(rows * row_bytes));
    int result = decoded
                     ? 0
                     : fail(m->failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                            "out of memory for a row of %" PRIu64 " bytes", row_bytes);

    while (result == 0 && bytes > 0) {
        const uint64_t first = offset / row_bytes, skipped = offset % row_bytes;
        const uint64_t count =
            u64_min(rows, u64_min(m->matrices.rows - first,
                                  (skipped + bytes + row_bytes - 1) / row_bytes));
        const uint64_t taken = u64_min(bytes, count * row_bytes - skipped);

        result = decode_rows(m, first, count, decoded);
        if (result == 0)
            memcpy(values, decoded + skipped, (size_t)taken);
        offset += taken;
        values += taken;
        bytes -= taken;
    }
    free(decoded);
    return result;
}

static struct packed_matrix packed_of(struct reader *reader,
                                      const struct contents *contents, size_t index,
                                      uint64_t number, struct failure *failure)
{
    const struct content *item = &contents->items[index];
    const struct tensor_entry *entries = contents->table->entries;

    return (struct packed_matrix){
        .reader = reader,
        .data = &entries[index],
        .scales = &entries[item->scales],
        .biases = item->biases == CONTENT_NONE ? NULL : &entries[item->biases],
        .form = &item->foreign,
        .matrices = content_matrices(item),
        .number = number,
        .failure = failure,
    };
}

int foreign_read(struct reader *reader, const struct contents *contents, size_t index,
                 uint64_t number, uint64_t offset, void *values, uint64_t bytes,
                 struct failure *failure)
{
    const struct packed_matrix matrix =
        packed_of(reader, contents, index, number, failure);

    return bytes ? read_values(&matrix, offset, values, bytes) : 0;
}

/* Of rows that have a suspect scale. */
static int find_faults(const struct packed_matrix *m, const struct foreign_rows *rows,
                       uint64_t first, uint64_t count, const void *scales,
                       struct scale_faults *faults)
{
    void *data = load(m, m->data, &rows->data);
    void *biases = data && m->biases ? load(m, m->biases, &rows->scales) : NULL;
    const bool loaded = data && (biases || !m->biases);

    if (loaded)
        foreign_find_faults(m->form, m->matrices.columns, first, count, data, scales,
                            biases, faults);
    free(data);
    free(biases);
    return loaded ? 0 : -1;
}

int foreign_read_faults(struct reader *reader, const struct contents *contents,
                        size_t index, uint64_t number, struct scale_faults *faults,
                        struct failure *failure)
{
    const struct packed_matrix m = packed_of(reader, contents, index, number, failure);
    const uint64_t columns = m.matrices.columns;
    const uint64_t fitting = PIECE_BYTES / (columns ? columns : 1);
    const uint64_t step = fitting ? fitting : 1;
    int result = 0;

    for (uint64_t first = 0; result == 0 && first < m.matrices.rows; first += step) {
        const uint64_t count = u64_min(step, m.matrices.rows - first);
        const struct foreign_rows rows = foreign_rows_of(m.form, columns, first, count);
        void *scales = load(&m, m.scales, &rows.scales);

        result = scales ? 0 : -1;
        if (scales && foreign_has_suspect_scale(m.form, columns, first, count, scales))
            result = find_faults(&m, &rows, first, count, scales, faults);
        free(scales);
    }
    return result;
}
