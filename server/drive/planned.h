/* SPDX-License-Identifier: Apache-2.0 */
/* The file or folder that a plan describes, for libtrit and trit. */
#ifndef DRIVE_PLANNED_H
#define DRIVE_PLANNED_H

#include "checkpoint/plan.h"
#include "files/reader.h"
#include "files/writer.h"

/* Do both paths name the same file: an equal path, a link, another spelling? */
bool paths_are_same(const char *a, const char *b);

/* Does the path end as a file's, not a folder's? */
bool path_names_file(const char *path);

/* Is the output a folder? It is if the source is one, unless the output's name ends as a
 * file's. `source` NULL: it is not. */
bool planned_is_folder(const char *path, const struct reader *source);

/* Makes the plan one of the output `path` before it is shown or opened: a GGUF output gets
 * GGUF's types, and, where config.json tells a model that llama.cpp knows, its names, keys and
 * tokenizer (plan_llama.h, planned_gguf.h). Other outputs stay as they are. */
int planned_prepare(struct plan *plan, const char *path, struct reader *source,
                    struct failure *failure);

/* Opens the output of a plan: a file, or a folder that gets the source's config.json and
 * its other small files, such as the tokenizer. A GGUF output of a GGUF source gets its
 * values. `shard_bytes` as in folder_options. INVALID_ARGUMENT: `path` is a file of the source,
 * or its folder, which would be replaced. */
int planned_create(struct writer **writer, const char *path, enum target_mode mode,
                   struct plan *plan, struct reader *source, uint64_t shard_bytes,
                   struct failure *failure);

#endif
