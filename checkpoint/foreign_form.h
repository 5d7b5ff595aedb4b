/* SPDX-License-Identifier: Apache-2.0 */
/* How a weight that another program packed is decoded. */
#ifndef CHECKPOINT_FOREIGN_FORM_H
#define CHECKPOINT_FOREIGN_FORM_H

#include "checkpoint/packing.h"
#include "trit/types.h"

enum foreign_codes {
    CODES_UNSIGNED, /* `bits` wide, one after another, the lowest bits first */
    CODES_INT8,
    CODES_E4M3, /* fp8 as in OCP's format: no infinity, NaN is 0x7f */
    CODES_E5M2,
    CODES_BASE3, /* Keras: five in a byte, the first one is the lowest digit */
};

/* How a packed weight is decoded. */
struct foreign_form {
    enum packing packing; /* PACKING_NONE: it cannot be decoded */
    enum foreign_codes codes;
    unsigned bits;
    uint64_t block_rows, block_columns; /* the weights that share a scale */
    uint64_t scale_columns;             /* scales in a row of blocks */
    uint64_t row_bytes;                 /* of the codes */
    int64_t zero;                       /* the code of a weight of 0 */
    bool biases_are_zeros;              /* `biases` has the codes of 0 instead */
    /* Codes and scales lie as [in, out]: `codes_a_word` codes of a column, the first one
     * lowest, in words of `word_bytes`, of which a row has `rows`. 0: they lie row by row.
     * The last word of a column may be filled up. */
    uint64_t codes_a_word, word_bytes, rows;
    double divisor;        /* of the scales */
    const char *unread;    /* why it cannot be decoded, and what to do; NULL: not known */
    enum trit_dtype dtype; /* of scales, biases and values */
};

#endif
