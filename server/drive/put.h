/* SPDX-License-Identifier: Apache-2.0 */
/* Puts tensors into an output, in the layout that its plan promised. Several threads may
 * put different pieces at the same time. */
#ifndef DRIVE_PUT_H
#define DRIVE_PUT_H

#include "drive/plan_cursor.h"
#include "drive/progress.h"
#include "files/reader.h"
#include "files/writer.h"

/* Puts tensor `index` of the input, which the plan keeps: byte for byte, or in the type and
 * the order that the output has. */
int put_kept(struct writer *writer, const struct plan *plan, size_t index,
             struct reader *reader, struct progress_piece *progress,
             struct failure *failure);

/* The data of one matrix of a layer, which come as [out, in] from front to back and are put
 * in the layout of the output: some MiB at a time, so that few system calls are made, and
 * where the output stores the matrix transposed, some rows at a time. Zeroed before
 * data_put_open; data_put_close frees. */
struct data_put {
    struct writer *writer;
    const struct plan *plan;
    const struct plan_piece *piece;
    struct failure *failure;
    bool transposed;
    uint64_t row_bytes;       /* of a row [in] */
    size_t width;             /* of an element of a transposed matrix */
    uint8_t *buffer, *stored; /* stored: of a transposed matrix */
    uint64_t at;              /* of the buffer's first byte in the matrix */
    uint64_t filled, capacity;
    uint64_t start; /* of the matrix in its file */
};

void data_put_open(struct data_put *put, struct writer *writer, const struct plan *plan,
                   const struct plan_piece *piece, struct failure *failure);
/* The next bytes. Fits trit_write. */
int data_put_write(void *put, uint64_t offset, const void *from, uint64_t bytes);
/* Puts what is left. */
int data_put_end(struct data_put *put);
void data_put_close(struct data_put *put);

/* What belongs to a matrix and its data: the scales (NULL: none) and, where the plan has
 * them, biases. `data_bytes` are those of the data. INTERNAL where the sizes are not those
 * of the plan. */
struct encoded {
    const void *scales;
    uint64_t data_bytes, scale_bytes;
};

int put_scales(struct writer *writer, const struct plan *plan,
               const struct plan_piece *piece, const struct encoded *encoded,
               struct failure *failure);

#endif
