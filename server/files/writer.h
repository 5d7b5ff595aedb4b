/* SPDX-License-Identifier: Apache-2.0 */
/* Writes weights, a file or a folder of shards, so that the name never shows half of
 * them: the bytes go to a nameless or temporary place beside it, are flushed to the disk,
 * and take the name in one step. One thread. */
#ifndef FILES_WRITER_H
#define FILES_WRITER_H

#include "files/folder_options.h"
#include "files/table.h"
#include "files/target.h"

struct writer;

/* Lays out the file by `table` (which it borrows until writer_destroy, and whose
 * offsets it sets) and writes its header. `path` ending in ".npy" is a .npy
 * file, anything else safetensors; INVALID_ARGUMENT where it ends as the files of
 * another format do. */
int writer_create(struct writer **writer, const char *path, enum target_mode mode,
                  struct tensor_table *table, struct failure *failure);

/* Lays the table out as a folder of safetensors, as transformers reads it, and writes all
 * files but the shards. Tensors go into shards in the table's order; each entry's offset
 * becomes that in its shard. One shard is model.safetensors with all the metadata; more
 * are model-00001-of-0000N.safetensors with "format" alone, and
 * model.safetensors.index.json has the other pairs. The options are used during the call
 * alone; NULL = defaults.
 *
 * INVALID_ARGUMENT where a name of the options is none for a file in a folder, is that of
 * a shard or the index, or is there twice; where a folder is to be replaced that holds
 * other things than weights (folder_target.h); more than 4096 shards.
 *
 * A shard's file is open from the first put to one of its tensors until all of them are
 * full: fill the tensors of one shard together. A failed put is final. */
int writer_create_folder(struct writer **writer, const char *path, enum target_mode mode,
                         struct tensor_table *table, const struct folder_options *options,
                         struct failure *failure);

/* The next bytes of tensor `index` of the table as it was given. Tensors may be
 * filled in any order, each from its start to its end. */
int writer_put(struct writer *writer, size_t index, const void *data, uint64_t count,
               struct failure *failure);

/* Every tensor must be full. After success the file has its name and survives a
 * power failure; after failure the name shows what it showed before (except
 * where the flush of the folder around it fails, or the removal of a replaced folder:
 * then it may show either, and the message says so). */
int writer_commit(struct writer *writer, struct failure *failure);

/* Without a commit it leaves no file behind. NULL is harmless. */
void writer_destroy(struct writer *writer);

/* The format that writer_create chooses for a path: "npy" or "safetensors". */
const char *writer_format(const char *path);

/* The name of another format that the path's ending stands for, or NULL: "GGUF" for
 * "model.gguf". Ignores letter case. */
const char *writer_other_format(const char *path);

#endif
