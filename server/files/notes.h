/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with the files of a checkpoint that can be read nevertheless: index and
 * shards contradict each other, or a file is shorter than its header says. */
#ifndef FILES_NOTES_H
#define FILES_NOTES_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum reader_note_kind {
    READER_INDEX_DISAGREES, /* the index lists a tensor that the shard does not hold */
    READER_NOT_IN_INDEX,    /* a shard holds a tensor that the index does not list */
    READER_NOT_READ,        /* other files of weights in the folder, of one kind */
    READER_ONE_OF_SHARDS,   /* the file is one of several shards, and was named alone */
    READER_DUPLICATE,       /* two shards hold a tensor of one name */
    READER_TRUNCATED,       /* the file ends before the tensor does */
    READER_SPLIT_DISAGREES, /* a key of a part of a split GGUF file says otherwise */
};

struct reader_note {
    enum reader_note_kind kind;
    const char *tensor; /* NULL: the whole shard is meant */
    const char *shard;  /* NOT_READ, ONE_OF_SHARDS: the first that is not read */
    const char *other;  /* DUPLICATE: the shard whose tensor is in the table;
                              NOT_READ: the first shard that is read; ONE_OF_SHARDS: the
                              file; SPLIT_DISAGREES: the key */
    uint64_t bytes,
        found;      /* TRUNCATED: of the tensor; SPLIT_DISAGREES: its value, and what
                              is there */
    uint64_t count; /* tensors that the index lists in a missing shard, 0: not known;
                              NOT_READ, ONE_OF_SHARDS: files that are not read */
};

struct reader_notes {
    struct reader_note *list;
    size_t count, capacity;
};

struct arena;
struct tensor_table;

/* Copies the note and, to the arena, the tensor's name; borrows its other texts. */
int reader_notes_add(struct reader_notes *notes, struct arena *strings,
                     struct reader_note note, struct failure *failure);

/* The tensors that a file of this name lacks. */
int reader_notes_add_cuts(struct reader_notes *notes, struct arena *strings,
                          const struct tensor_table *table, const char *name,
                          struct failure *failure);

#endif
