/* SPDX-License-Identifier: Apache-2.0 */
/* Files that hold what one rank of a training has. */
#ifndef FILES_RANK_SHARD_H
#define FILES_RANK_SHARD_H

#include "base/status.h"
#include "files/table.h"

/* torch.distributed.checkpoint's HuggingFaceStorageWriter gives each rank a file
 * shard-00001-NAME with its parts of the tensors, if save_distributed is set, and says in
 * the metadata where the parts begin. Nothing in the file says how large the tensors are.
 * INVALID_ARGUMENT: `name` is such a file. */
int rank_shard_check(const struct tensor_table *table, const char *name,
                     struct failure *failure);

#endif
