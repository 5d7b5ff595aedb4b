/* SPDX-License-Identifier: Apache-2.0 */
/* A file that gets its name when it is complete. target_open creates a file without a
 * name in the target's folder, target_write fills it, and target_commit flushes it, gives
 * it the target's name (through a temporary name if it replaces another file) and flushes
 * the folder. A failure before that leaves the target unchanged, and target_close removes
 * the new file. A crash leaves nothing, because a file without a name is deleted with its
 * descriptor, except with TARGET_KEPT. Where the file system has no such files, a crash may leave one
 * `.NAME.trit-XXXXXXXX`, which the next target_open of the name removes (leftover.h). */
#ifndef FILES_TARGET_H
#define FILES_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "files/output_mark.h"

struct target;

enum target_mode {
    TARGET_NEW,     /* ALREADY_EXISTS if the name exists, even as a link */
    TARGET_REPLACE, /* replaces a regular file or a symbolic link, never the link's
                       target */
    /* With either of them: what is unfinished has a name that follows from the target's, so
     * that it outlives its process and another one can go on with it. Where another process
     * is at work on the same target, or the system does not allow it, the target is one as
     * any other. */
    TARGET_KEPT = 2,
};

int target_open(struct target **target, const char *path, enum target_mode mode,
                struct failure *failure);

/* How large the file will be. RESOURCE_EXHAUSTED: the disk has no space for it. */
int target_reserve(struct target *target, uint64_t bytes, struct failure *failure);

int target_write(struct target *target, uint64_t offset, const void *data, uint64_t count,
                 struct failure *failure);

/* Of a target that is kept: what it has. -1: it has less, or cannot be read. */
int target_read(struct target *target, uint64_t offset, void *buffer, uint64_t count,
                struct failure *failure);
bool target_is_kept(const struct target *target);
/* What was written is on the disk afterwards. A failure is final, as that of the commit. */
int target_flush(struct target *target, struct failure *failure);
/* target_close will leave the unfinished file where it is. */
void target_keep(struct target *target);

/* Nothing is written afterwards: the file is on the disk, without its name. Call it at most
 * once. A failed fsync is final: the data may be lost, and a second fsync would report
 * success. */
int target_finish(struct target *target, struct output_mark *mark,
                  struct failure *failure);

/* Finishes the file, if target_finish did not, and gives it its name. Call it once. */
int target_commit(struct target *target, struct failure *failure);

void target_close(struct target *target); /* NULL is harmless */

#endif
