/* SPDX-License-Identifier: Apache-2.0 */
/* The part of a writer that distributes a table over the shards of a folder; writer.h is
 * the interface. One thread, except for writer_folder_write. */
#ifndef FILES_WRITER_FOLDER_H
#define FILES_WRITER_FOLDER_H

#include "files/folder_options.h"
#include "files/table.h"
#include "files/target.h"

struct writer_folder;

/* As writer_create_folder. The offsets of the table become those in the shards. */
int writer_folder_create(struct writer_folder **folder, const char *path,
                         enum target_mode mode, struct tensor_table *table,
                         const struct folder_options *options, struct failure *failure);

/* Bytes of tensor `index`, from byte `offset` of it. No byte may be written twice: a
 * shard is closed when it has all its bytes. Several threads may write at the same time. */
int writer_folder_write(struct writer_folder *folder, size_t index, uint64_t offset,
                        const void *data, uint64_t count, struct failure *failure);

/* The functions of writer.h for outputs that are kept. `bytes`: that were not written. */
bool writer_folder_is_kept(const struct writer_folder *folder);
int writer_folder_read(struct writer_folder *folder, size_t index, uint64_t offset,
                       void *buffer, uint64_t count, struct failure *failure);
void writer_folder_reuse(struct writer_folder *folder, size_t index, uint64_t bytes);
int writer_folder_flush(struct writer_folder *folder, struct failure *failure);
void writer_folder_keep(struct writer_folder *folder);

/* The functions of writer.h. Every byte of every tensor must have been written. */
int writer_folder_finish(struct writer_folder *folder, struct output_mark *mark,
                         struct failure *failure);
int writer_folder_commit(struct writer_folder *folder, struct failure *failure);

void writer_folder_destroy(struct writer_folder *folder); /* NULL is harmless */

#endif
