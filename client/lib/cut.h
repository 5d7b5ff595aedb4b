/* SPDX-License-Identifier: Apache-2.0 */
/* A unary method over a tensor that is too large for one message: one call for each piece
 * of it, several at a time. */
#ifndef LIB_CUT_H
#define LIB_CUT_H

#include "client/lib/tensor.h"
#include "client/lib/unary.h"

/* Pieces of a tensor in an encoding. A piece is whole rows or, of rows that are too long, a
 * part of one. An interleaved encoding holds a row of each of its four planes (quarters of
 * the rows) in one row of bytes: there a piece is that part of each plane. */
struct cut {
    uint64_t planes;        /* 1, or 4 */
    uint64_t rows, columns; /* of a plane; with one scale and one plane all is one row */
    uint64_t piece_rows;    /* of a plane */
    uint64_t piece_columns; /* all columns where piece_rows is above 1 */
    uint64_t pieces;
};

/* Pieces of at most `bytes_max` dense bytes, if a row or a run of whole groups and blocks is
 * not larger. The tensor has been checked. */
void cut_init(struct cut *cut, enum trit_encoding encoding, uint32_t group_size,
              const struct extent *extent, uint64_t element_bytes, uint64_t bytes_max);

struct cut_part {
    uint64_t row, rows, column, columns; /* of a plane */
    uint64_t from, count; /* elements of a plane; they lie one after another */
};
struct cut_part cut_part(const struct cut *cut, uint64_t number);

/* The call of one piece. begin() fills unary, output and data; end() takes the result. */
struct cut_call {
    struct cut_part part;
    struct unary unary;
    struct output output; /* where a piece needs one of its own */
    struct sink data;
    struct wire_tensor dense; /* of the piece */
    struct exchange exchange;
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
};
struct cut_ops {
    const char *path;
    void (*begin)(void *owner, struct cut_call *call);
    void (*end)(void *owner, struct cut_call *call); /* NULL: nothing to do */
};

/* Makes all calls. A failure names the elements of its piece, because the daemon's message
 * counts from the first of them. */
int cut_run(const struct cut *cut, const struct cut_ops *ops, void *owner,
            const struct call *call, struct failure *failure);

#endif
