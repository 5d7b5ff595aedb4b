/* SPDX-License-Identifier: Apache-2.0 */
/* One matrix of a layer at a time, as [out, in] whatever the file's layout: in memory, or
 * read piece by piece. */
#ifndef DRIVE_MATRIX_H
#define DRIVE_MATRIX_H

#include "checkpoint/contents.h"
#include "files/reader.h"

/* Reads rows [first, first + count) in the order of `heads`, of a matrix that begins at byte
 * `from` of the tensor and is stored row by row. */
int matrix_read_rows(struct reader *reader, const struct tensor_entry *entry,
                     uint64_t from, const struct head_order *heads, uint64_t first,
                     uint64_t count, uint64_t row_bytes, uint8_t *to,
                     struct failure *failure);

/* The same of hf_bitnet's byte rows: each gets the codes of the rows that it holds in the order
 * of `heads`, of a matrix with `rows` rows. `row` has room for a byte row. */
int matrix_read_quarters(struct reader *reader, const struct tensor_entry *entry,
                         const struct head_order *heads, uint64_t rows, uint64_t first,
                         uint64_t count, uint8_t *to, uint8_t *row,
                         struct failure *failure);

/* Loads matrix `number` of `matrices.count` equal parts of the tensor, malloc'ed; where
 * matrices.transposed, it is transposed to [rows, columns] of elements. *bytes are those
 * of the part. */
int matrix_load(struct reader *reader, const struct tensor_entry *entry,
                const struct matrices *matrices, uint64_t number, void **data,
                uint64_t *bytes, struct failure *failure);

/* A matrix that is read. */
struct matrix {
    struct reader *reader;
    const struct tensor_entry *entry;
    uint64_t from, bytes;    /* its place in the tensor */
    void *data;              /* NULL: it is read piece by piece */
    struct failure *failure; /* why a piece could not be read */
    /* Of a matrix that is stored transposed, with its rows in another order, or in another
     * basis: some of its rows, as [rows, columns]. */
    struct matrix_block {
        bool used, transposed, quarters, as_int8;
        struct head_order heads;
        struct rotated_basis basis;
        uint64_t all_rows, columns;
        size_t width; /* of an element, as it is stored */
        uint8_t *rows, *stored;
        void *converted; /* the rows in the basis, or as int8 */
        double *scratch; /* of a block of the basis */
        uint64_t first, count, count_max;
    } block;
    /* Of a layer that another program packed: its values are decoded as they are read. */
    const struct contents *packed; /* NULL: it is read as it is stored */
    size_t layer;
    uint64_t number;
};

/* Whether a matrix of this encoding has one scale. To project or verify it, the daemon
 * has all its codes in memory. */
bool matrix_is_whole(enum trit_encoding encoding);

/* Whether it is so small that several may be in memory. */
bool matrix_is_small(const struct tensor_entry *entry, const struct matrices *matrices);

/* What one of the tensor's matrices is by itself: of several, one of rank 2. */
struct tensor_entry matrix_entry(const struct tensor_entry *entry,
                                 const struct matrices *matrices);

/* Loads the matrix as matrix_load does, or, where `streamed`, leaves its bytes in the file. A
 * matrix in another basis must be streamed; its elements are F32.
 * Borrows the arguments until matrix_close. */
int matrix_open(struct matrix *matrix, bool streamed, struct reader *reader,
                const struct tensor_entry *entry, const struct matrices *matrices,
                uint64_t number, struct failure *failure);

/* The values of a layer that another program packed (content_is_foreign), which are decoded
 * piece by piece. */
void matrix_open_packed(struct matrix *matrix, struct reader *reader,
                        const struct contents *contents, size_t layer, uint64_t number,
                        struct failure *failure);
void matrix_close(struct matrix *matrix); /* harmless on a zeroed one */

/* Copies bytes of a matrix, which is [rows, columns] whatever its layout in the file. A
 * transposed one is read some rows at a time, so pieces should come from front to back. If
 * the file was changed since it was opened, reading the last piece fails with ABORTED: the
 * pieces before may be of another version. */
int matrix_read(void *matrix, uint64_t offset, void *to, uint64_t bytes);

/* The same for a thread that must not wait for a disk. False: nothing is wrong, but
 * matrix_read has to be called, on another thread. */
bool matrix_try_read(const struct matrix *matrix, uint64_t offset, void *to,
                     uint64_t bytes);

/* The same bytes, malloc'ed. */
int matrix_piece(struct matrix *matrix, uint64_t offset, uint64_t bytes, void **data);

#endif
