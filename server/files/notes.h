/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with the files of a checkpoint that can be read nevertheless: index and
 * shards contradict each other, or a file is shorter than its header says. */
#ifndef FILES_NOTES_H
#define FILES_NOTES_H

#include <stdint.h>

enum reader_note_kind {
    READER_INDEX_DISAGREES, /* the index lists a tensor that the shard does not hold */
    READER_NOT_IN_INDEX,    /* a shard holds a tensor that the index does not list */
    READER_DUPLICATE,       /* two shards hold a tensor of one name */
    READER_TRUNCATED,       /* the file ends before the tensor does */
};

struct reader_note {
    enum reader_note_kind kind;
    const char *tensor; /* NULL: the whole shard is meant */
    const char *shard;
    const char *other;     /* DUPLICATE: the shard whose tensor is in the table */
    uint64_t bytes, found; /* TRUNCATED: of the tensor */
    uint64_t count; /* tensors that the index lists in a missing shard; 0: not known */
};

#endif
