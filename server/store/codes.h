/* SPDX-License-Identifier: Apache-2.0 */
/* The 2-bit codes of a tensor at rest: chunk rows under an upload id, written
 * while the tensor arrives and read back chunk by chunk to count what flipped.
 * Memory does not grow with the tensor. Writer thread only. */
#ifndef STORE_CODES_H
#define STORE_CODES_H

#include "base/status.h"
#include "store/db.h"

struct kernels;

enum {
    CODES_CHUNK_BYTES = 256 << 10,
    CODES_BUFFERED_BYTES_MAX = 16 << 20, /* of all uploads together */
};

/* One upload, growing. Zeroed = nothing yet. */
struct codes {
    int64_t upload;  /* its id; 0 until the first row */
    int64_t chunks;  /* rows written */
    uint64_t bytes;  /* taken so far, rows and buffer */
    uint8_t *buffer; /* the chunk being filled */
    size_t count, capacity;
};

/* Copies bytes into the buffer until the chunk is full or the bytes end; gives
 * how many it took, 0 on lack of memory. A full chunk wants codes_flush. */
size_t codes_take(struct codes *codes, const uint8_t *bytes, size_t count);

/* Writes the buffer as the next row, inside the caller's transaction.
 * `next_upload` gives the id if there is none yet. */
int codes_flush(struct codes *codes, struct db *db, int64_t *next_upload,
                struct failure *failure);

void codes_free_buffer(struct codes *codes);

/* Whether each row of an upload is what was written; 0 names none. -1: DATA_LOSS where
 * one is not. Also before old rows are removed: SQLite frees the pages that a damaged
 * row points to, whosever they are. */
int codes_check(struct db *db, int64_t upload, struct failure *failure);

/* Removes an upload's rows; 0 names none. */
int codes_delete(struct db *db, int64_t upload, struct failure *failure);

/* Removes the uploads that no layer refers to, in transactions of its own; damaged
 * ones stay. */
int codes_remove_orphans(struct db *db, struct failure *failure);

/* How codes lie in a tensor: groups, byte by byte, row after row. Rows of
 * groups that fill their bytes are one long group. A group of several rows is one row. */
struct codes_layout {
    uint64_t rows, groups_per_row; /* groups: those of group_len */
    uint64_t group_len, tail_len;  /* elements; tail_len 0 = no tail */
    uint64_t bytes;                /* of the whole tensor's codes */
};

/* Whether one group is all rows of the tensor and parts bytes between them: codes that
 * lie as no group of one row could have them. */
bool codes_cross_rows(const struct trit_report *report);

/* -1 where the report's shape and group size make no sense. */
int codes_layout_init(struct codes_layout *layout, const struct trit_report *report);

/* Adds the table of `from` -> `to`, two whole uploads of that layout. -1: a row
 * is missing or damaged (DATA_LOSS) or cannot be read; the table is not to be used. */
int codes_transitions(struct db *db, const struct kernels *kernels, int64_t from,
                      int64_t to, const struct codes_layout *layout, uint64_t table[9],
                      struct failure *failure);

#endif
