/* SPDX-License-Identifier: Apache-2.0 */
/* A file that takes its name when it is complete. Happy path: target_open makes
 * a file without a name in the target's folder, target_write fills it,
 * target_commit flushes it, gives it the target's name (by way of a temporary one
 * where it replaces another file) and flushes the folder. Anything that fails before
 * it has the name leaves the target as it was; target_close removes what is left. A crash
 * leaves nothing, for a file without a name dies with its descriptor (where the file
 * system has no such files, one `.NAME.trit-XXXXXXXX` may stay). */
#ifndef FILES_TARGET_H
#define FILES_TARGET_H

#include <stdint.h>

#include "base/status.h"

struct target;

enum target_mode {
    TARGET_NEW,     /* ALREADY_EXISTS where the name is taken, by a link too */
    TARGET_REPLACE, /* a regular file is replaced; so is a symbolic link, never what it
                       leads to */
};

int target_open(struct target **target, const char *path, enum target_mode mode,
                struct failure *failure);

int target_write(struct target *target, uint64_t offset, const void *data, uint64_t count,
                 struct failure *failure);

/* Call it once. A failed fsync is final: the data may be lost, and a second fsync
 * would report success. */
int target_commit(struct target *target, struct failure *failure);

void target_close(struct target *target); /* NULL is harmless */

#endif
