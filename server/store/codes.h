/* SPDX-License-Identifier: Apache-2.0 */
/* The stored 2-bit codes of tensors: rows of chunks under an upload number. They are
 * written while the tensor arrives and read back chunk by chunk to count flips, so
 * memory does not grow with the tensor. Only the writer's thread calls these
 * functions. */
#ifndef STORE_CODES_H
#define STORE_CODES_H

#include "base/status.h"
#include "store/row.h"
#include "store/slots.h"

struct kernels;

enum {
    CODES_CHUNK_BYTES = SLOT_BYTES,
    CODES_BUFFERED_BYTES_MAX = 16 << 20, /* of all uploads together */
};

/* The codes of one upload. Zeroed: none yet. */
struct codes {
    int64_t upload;  /* its number; 0 until the first row */
    int64_t chunks;  /* rows written */
    uint64_t bytes;  /* taken so far: in rows and in the buffer */
    uint8_t *buffer; /* the chunk being filled */
    size_t count, capacity;
    bool in_slots;   /* some of them are: */
    uint64_t losses; /* slots_losses when the first was written */
};

/* Copies bytes into the buffer until the chunk is full or the bytes end. Returns how
 * many it took; 0: no memory. Flush a full chunk before you go on. */
size_t codes_take(struct codes *codes, const uint8_t *bytes, size_t count);

/* Writes the buffer as the next row, inside the caller's transaction; a full one into a
 * slot. The first row takes its upload number from *next_upload and increments that. */
int codes_flush(struct codes *codes, struct db *db, int64_t *next_upload,
                struct failure *failure);

/* Whether the disk may have lost some of what was written into slots. */
bool codes_lost(const struct codes *codes, const struct db *db);

void codes_free_buffer(struct codes *codes);

/* Checks the CRCs of all rows of an upload; upload 0 has none. DATA_LOSS: a row is
 * damaged. Call it also before rows are deleted: SQLite frees the pages that a damaged
 * row points to, even if they belong to another row. */
int codes_check(struct db *db, int64_t upload, struct failure *failure);

/* Deletes the rows of an upload; upload 0 has none. */
int codes_delete(struct db *db, int64_t upload, struct failure *failure);

/* Deletes the uploads that no layer refers to, each in its own transaction. Damaged ones
 * stay. */
int codes_remove_orphans(struct db *db, struct failure *failure);

/* The order of codes: row after row, group after group; each group begins a byte. Groups
 * that fill their bytes are combined into one group per row. A group of several rows
 * counts as one row. */
struct codes_layout {
    uint64_t rows, groups_per_row; /* without the tail */
    uint64_t group_len, tail_len;  /* elements; tail_len 0: no tail */
    uint64_t bytes;                /* of the whole tensor's codes */
};

/* Whether the whole tensor is one group, and some byte has codes of two rows. Then its
 * codes cannot be compared with those of groups within rows. */
bool codes_cross_rows(const struct trit_report *report);

/* Two reports have codes of the same layout if this text, the group size and the
 * partial-group rule are equal. */
void codes_shape(const struct trit_report *report, char text[SHAPE_TEXT_BYTES]);

/* -1: the report's shape or group size is not valid. */
int codes_layout_init(struct codes_layout *layout, const struct trit_report *report);

/* Visits the bytes of two uploads side by side, piece after piece. If it fails, discard
 * what was visited. DATA_LOSS: a row is missing or damaged. */
struct codes_visit {
    void (*visit)(void *arg, const uint8_t *from, const uint8_t *to, size_t count);
    void *arg;
};
int codes_walk_pair(struct db *db, int64_t from, int64_t to, uint64_t bytes,
                    const struct codes_visit *visit, struct failure *failure);

/* The position of the next byte in the tensor. */
struct code_position {
    uint64_t group; /* within the row */
    uint64_t byte;  /* within the group */
};

/* Transitions that were counted while the codes arrived, chunk by chunk. */
struct codes_early {
    int64_t from;   /* the upload before; 0: nothing is counted early */
    int64_t chunks; /* that were counted, all of them full */
    struct codes_layout layout;
    struct code_position position;
    uint64_t table[9];
};

/* Counts the next chunk, which is full. If the upload before has no full chunk there, no
 * more is counted early. -1: neither, and the failure says why. */
int codes_count_chunk(struct db *db, const struct kernels *kernels,
                      struct codes_early *early, const uint8_t *bytes,
                      struct failure *failure);

/* Counts the transitions from one upload to another, which was just written, into
 * early->table; both are whole and of that layout. What was counted early is not counted
 * again, if it was between these two. -1: do not use the table. DATA_LOSS: a row is missing
 * or damaged. */
int codes_transitions(struct db *db, const struct kernels *kernels, int64_t from,
                      const struct codes *to, const struct codes_layout *layout,
                      struct codes_early *early, struct failure *failure);

#endif
