/* SPDX-License-Identifier: Apache-2.0 */
/* Writes weights into a file or a folder of shards. The output is written under a
 * temporary name or none, flushed to the disk, and gets its name in one step, so that the
 * name never refers to an incomplete output. One thread, unless a function says
 * otherwise. */
#ifndef FILES_WRITER_H
#define FILES_WRITER_H

#include "files/folder_options.h"
#include "files/table.h"
#include "files/target.h"

struct writer;

/* The path that the output was created with, for messages. */
const char *writer_path(const struct writer *writer);

/* Plans the file from `table` and writes its header. Borrows path and table until
 * writer_destroy, and sets the table's offsets. A `path` ending in ".npy" gives a .npy file, any
 * other safetensors. INVALID_ARGUMENT if the suffix is that of another format. */
int writer_create(struct writer **writer, const char *path, enum target_mode mode,
                  struct tensor_table *table, struct failure *failure);

/* Plans a folder of safetensors as transformers reads it, and writes all files except the
 * shards. Tensors go into shards in the table's order; each entry's offset becomes that
 * in its shard. A single shard is model.safetensors with all metadata. Several shards are
 * model-00001-of-0000N.safetensors, which have only the metadata "format", and
 * model.safetensors.index.json has the other metadata. The options are used only during
 * the call; NULL = defaults.
 *
 * INVALID_ARGUMENT: a name in the options is not a plain file name, is that of a shard or
 * the index, or occurs twice; the folder to be replaced contains anything but weights
 * (folder_target.h); there are more than 4096 shards.
 *
 * A shard's file is open from the first put into it until all its tensors are complete,
 * so fill the tensors of one shard together. A failed put is final. */
int writer_create_folder(struct writer **writer, const char *path, enum target_mode mode,
                         struct tensor_table *table, const struct folder_options *options,
                         struct failure *failure);

/* Writes the next bytes of tensor `index` of the table as it was given. Tensors may be
 * filled in any order, each from its start to its end. */
int writer_put(struct writer *writer, size_t index, const void *data, uint64_t count,
               struct failure *failure);

/* Bytes of tensor `index` from byte `offset` of it. Several threads may put at the same
 * time. No byte may be put twice, by this function or by writer_put. */
int writer_put_at(struct writer *writer, size_t index, uint64_t offset, const void *data,
                  uint64_t count, struct failure *failure);

/* ---- an output that another process can go on with (TARGET_KEPT) ---- */

/* False: it is like any other output, and none of the following may be called. */
bool writer_is_kept(const struct writer *writer);

/* What the unfinished output has as bytes of tensor `index`, perhaps of an earlier process.
 * -1: it has less, or cannot be read. Before the first put. */
int writer_read(struct writer *writer, size_t index, uint64_t offset, void *buffer,
                uint64_t count, struct failure *failure);

/* All bytes of the tensor are those that it has; nothing is put. Before the first put into
 * it. */
void writer_reuse(struct writer *writer, size_t index);

/* From now on calls put() after each put, on its thread. */
void writer_watch(struct writer *writer,
                  void (*put)(void *arg, size_t index, uint64_t offset, const void *data,
                              uint64_t count),
                  void *arg);

/* What was put is on the disk afterwards. A failure is final, as that of the commit. While
 * others put, too. */
int writer_flush(struct writer *writer, struct failure *failure);

/* writer_destroy will leave the unfinished output where it is. */
void writer_keep(struct writer *writer);

/* Every tensor must be complete, and nothing is put afterwards. After success the output is on
 * the disk, without its name; `mark` tells it from others once writer_commit gave it that. At
 * most once. */
int writer_finish(struct writer *writer, struct output_mark *mark,
                  struct failure *failure);

/* Every tensor must be complete. After success the output has its name and survives a
 * power failure. After a failure the name refers to what it referred to before, except if
 * flushing the parent folder or removing the replaced folder failed; then it may refer to
 * either, and the message says so. */
int writer_commit(struct writer *writer, struct failure *failure);

/* Without a commit it leaves no file behind. NULL is harmless. */
void writer_destroy(struct writer *writer);

/* The format that writer_create chooses for a path: "npy" or "safetensors". */
const char *writer_format(const char *path);

/* The name of another format that the path's suffix belongs to, or NULL: "GGUF" for
 * "model.gguf". Ignores case. */
const char *writer_other_format(const char *path);

#endif
