/* SPDX-License-Identifier: Apache-2.0 */
/* Options for reading a file. */
#ifndef FILES_READ_OPTIONS_H
#define FILES_READ_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct read_options {
    uint64_t header_bytes_max; /* 0 = FILES_HEADER_BYTES_MAX; no more is allowed */
    bool void2_is_bf16;        /* .npy: '|V2' holds bf16, as ml_dtypes saves it */
    /* A file that is shorter than its header says is read: the tensors that it holds as a
     * whole are in the table, the others are notes of the reader. */
    bool may_be_cut;
};

#endif
