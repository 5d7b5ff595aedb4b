/* SPDX-License-Identifier: Apache-2.0 */
/* Reads files of weights: a table of what is there, then any piece of any
 * tensor. The format is found by looking (the probe list in reader.c). A reader
 * is constant once open: several threads may read pieces at once. */
#ifndef FILES_READER_H
#define FILES_READER_H

#include "files/read_options.h"
#include "files/source.h"
#include "files/table.h"

struct reader;

/* Reads and checks the whole table; no tensor's bytes. INVALID_ARGUMENT says
 * which rule of the format the file breaks. Options NULL = defaults. */
int reader_open(struct reader **reader, const char *path,
                const struct read_options *options, struct failure *failure);

/* The same from a source, which it takes, also on failure. */
int reader_open_source(struct reader **reader, struct source *source,
                       const struct read_options *options, struct failure *failure);

void reader_close(struct reader *reader); /* NULL is harmless */

const struct tensor_table *reader_table(const struct reader *reader);
const char *reader_format(const struct reader *reader); /* "safetensors" */

/* `count` bytes of a tensor of this reader's table, from byte `offset` of it. */
int reader_read(struct reader *reader, const struct tensor_entry *entry, uint64_t offset,
                void *buffer, uint64_t count, struct failure *failure);

/* All bytes of a tensor, malloc'ed. */
int reader_load(struct reader *reader, const struct tensor_entry *entry, void **data,
                struct failure *failure);

/* As source_unchanged: ask when the last byte was read. */
int reader_unchanged(const struct reader *reader, struct failure *failure);

#endif
