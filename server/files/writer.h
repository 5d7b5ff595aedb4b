/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a file of weights so that its name never shows half of one: the bytes
 * go to a nameless or temporary file beside it, are flushed to the disk, and
 * take the name in one step. One thread. */
#ifndef FILES_WRITER_H
#define FILES_WRITER_H

#include "files/table.h"
#include "files/target.h"

struct writer;

/* Lays out the file by `table` (which it borrows until writer_destroy, and whose
 * offsets it sets) and writes its header. `path` ending in ".npy" is a .npy
 * file, anything else safetensors; INVALID_ARGUMENT where it ends as the files of
 * another format do. */
int writer_create(struct writer **writer, const char *path, enum target_mode mode,
                  struct tensor_table *table, struct failure *failure);

/* The next bytes of tensor `index` of the table as it was given. Tensors may be
 * filled in any order, each from its start to its end. */
int writer_put(struct writer *writer, size_t index, const void *data, uint64_t count,
               struct failure *failure);

/* Every tensor must be full. After success the file has its name and survives a
 * power failure; after failure the name shows what it showed before (except
 * UNAVAILABLE from the folder's own fsync: then it may show either). */
int writer_commit(struct writer *writer, struct failure *failure);

/* Without a commit nothing is left behind. NULL is harmless. */
void writer_destroy(struct writer *writer);

/* "npy" or "safetensors": what writer_create makes of a path. */
const char *writer_format(const char *path);

/* The format that the path's ending names where it is another than these, else NULL:
 * "GGUF" of "model.gguf". Letter case does not matter. */
const char *writer_other_format(const char *path);

#endif
