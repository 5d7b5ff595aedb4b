/* SPDX-License-Identifier: Apache-2.0 */
/* Files of weights beside those that a checkpoint is read from. */
#ifndef FILES_OTHERS_H
#define FILES_OTHERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "files/folder.h"

/* Files of one kind. */
struct other_kind {
    char *first; /* the name of the first one, malloc'ed; NULL: there is none */
    uint64_t count;
};

enum { OTHER_KINDS = 16 };

struct other_files {
    struct other_kind kinds[OTHER_KINDS];
};

/* Finds the files and folders in `folder` that are named like weights, by kind, and that
 * is_read does not name. `names` are the folder's files. others_fini is due in either case. */
int others_find(struct other_files *others, const char *folder,
                const struct folder_names *names,
                bool (*is_read)(const void *arg, const char *name), const void *arg,
                struct failure *failure);
void others_fini(struct other_files *others); /* harmless on a zeroed one */

/* The other shards of the model of which the file at `path` is one, by its name or by an index
 * in its folder. `count` is 0 if it is none, or if the folder or its index cannot be read. */
int others_of_shard(struct other_kind *others, const char *path, struct failure *failure);

#endif
