/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes at an offset: a regular file, or memory in tests and fuzzers. Files are
 * read with pread into the caller's buffer and never mapped, so a file that
 * shrinks meanwhile is an error and not a SIGBUS. */
#ifndef FILES_SOURCE_H
#define FILES_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct source; /* any number of threads may read one */

/* Opens a regular file; pipes, devices and folders are refused
 * (INVALID_ARGUMENT), a missing file is NOT_FOUND. */
int source_open(struct source **source, const char *path, struct failure *failure);

/* Takes `fd`, also on failure. `name` is what messages call it. */
int source_adopt(struct source **source, int fd, const char *name,
                 struct failure *failure);

/* Borrows `bytes` until source_close. */
int source_memory(struct source **source, const void *bytes, uint64_t count,
                  const char *name, struct failure *failure);

void source_close(struct source *source); /* NULL is harmless */

const char *source_name(const struct source *source); /* last part of the path */
uint64_t source_bytes(const struct source *source);   /* as it was when opened */

/* All `count` bytes, or a failure: ABORTED where the file has become shorter,
 * UNAVAILABLE where the system cannot read it. */
int source_read(struct source *source, uint64_t offset, void *buffer, uint64_t count,
                struct failure *failure);

/* ABORTED: the file was written to since it was opened. Called after the last read,
 * success means that all reads saw the same file. */
int source_unchanged(const struct source *source, struct failure *failure);

#endif
