/* SPDX-License-Identifier: Apache-2.0 */
/* Reads checkpoints: the table of tensors first, then any part of any tensor. A
 * checkpoint is a single file, whose format is detected, or the shards of a folder. An
 * open reader is constant: several threads may read from it. */
#ifndef FILES_READER_H
#define FILES_READER_H

#include "files/folder.h"
#include "files/notes.h"
#include "files/read_options.h"
#include "files/source.h"
#include "files/table.h"

struct reader;

/* Reads and checks the whole table, but no tensor's bytes. `path` names a file, a folder
 * or the index in one. INVALID_ARGUMENT says which rule of the format the file breaks. If
 * index and shards of a folder contradict each other, the reader opens nevertheless, and
 * reader_notes reports it; likewise a file that is too short, with options->may_be_cut.
 * Options NULL = defaults. */
int reader_open(struct reader **reader, const char *path,
                const struct read_options *options, struct failure *failure);

/* The same from a source. Takes ownership of it, also on failure. */
int reader_open_source(struct reader **reader, struct source *source,
                       const struct read_options *options, struct failure *failure);

void reader_close(struct reader *reader); /* NULL is harmless */

const struct tensor_table *reader_table(const struct reader *reader);

/* Contradictions between index and shards, and tensors that are cut off. */
const struct reader_note *reader_notes(const struct reader *reader, size_t *count);

/* The folder of the checkpoint: that of its shards, or that of the file. NULL if the
 * bytes came from memory. */
const char *reader_folder(const struct reader *reader);
bool reader_is_folder(const struct reader *reader);     /* or a single file */
const char *reader_format(const struct reader *reader); /* "safetensors" */

/* The index of the shards; NULL: there is none. */
const struct read_text *reader_index(const struct reader *reader);

/* The files that the tensors are in, by number, for their names and sizes; NULL: the file is
 * missing. */
size_t reader_file_count(const struct reader *reader);
const struct source *reader_file(const struct reader *reader, size_t number);

/* Any bytes of a file that is not missing. */
int reader_file_read(struct reader *reader, size_t number, uint64_t offset, void *buffer,
                     uint64_t count, struct failure *failure);

/* `count` bytes of a tensor of this reader's table, from byte `offset` of it. */
int reader_read(struct reader *reader, const struct tensor_entry *entry, uint64_t offset,
                void *buffer, uint64_t count, struct failure *failure);

/* The same, if the system has the bytes in memory; see source_try_read. */
bool reader_try_read(struct reader *reader, const struct tensor_entry *entry,
                     uint64_t offset, void *buffer, uint64_t count);

/* The same from its start; `reader` is a struct reader. For checkpoint_options.read_small. */
static inline int reader_read_small(void *reader, const struct tensor_entry *entry,
                                    void *values, size_t bytes)
{
    return reader_read(reader, entry, 0, values, bytes, NULL);
}

/* A pair of a GGUF file's table, pair->bytes as they are stored: key, type, value. */
int reader_read_pair(struct reader *reader, const struct tensor_pair *pair, void *buffer,
                     struct failure *failure);

/* All bytes of a tensor, malloc'ed. */
int reader_load(struct reader *reader, const struct tensor_entry *entry, void **data,
                struct failure *failure);

/* As source_unchanged, for every file, and for config.json of a folder. Call it after the last
 * read. */
int reader_unchanged(const struct reader *reader, struct failure *failure);

/* The same for the file that holds this tensor. */
int reader_unchanged_of(const struct reader *reader, const struct tensor_entry *entry,
                        struct failure *failure);

#endif
