/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes at an offset, from a regular file, or from memory in tests and fuzzers. Files are
 * read with pread into the caller's buffer and never mapped, so a file that is truncated
 * while it is read gives an error instead of a SIGBUS. */
#ifndef FILES_SOURCE_H
#define FILES_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct source; /* any number of threads may read one */

/* Opens a regular file; pipes, devices and folders are refused
 * (INVALID_ARGUMENT), a missing file is NOT_FOUND. A symbolic link is followed, but not in
 * /proc/self/fd/N/NAME, by which the daemon names a file in a folder that it holds open:
 * INVALID_ARGUMENT. */
int source_open(struct source **source, const char *path, struct failure *failure);

/* Takes ownership of `fd`, also on failure. `name` is used in messages. */
int source_adopt(struct source **source, int fd, const char *name,
                 struct failure *failure);

/* Borrows `bytes` until source_close. */
int source_memory(struct source **source, const void *bytes, uint64_t count,
                  const char *name, struct failure *failure);

void source_close(struct source *source); /* NULL is harmless */

/* A source of source_open may be closed while nobody reads it, and be opened again. Waking
 * is ABORTED where the file has changed. */
bool source_is_open(const struct source *source);
bool source_rest(struct source *source); /* false: it has no path, and stays open */
int source_wake(struct source *source, struct failure *failure);

const char *source_name(const struct source *source); /* last part of the path */
uint64_t source_bytes(const struct source *source);   /* as it was when opened */

/* Which file it is, and which content. A file that was changed since has another one, if the
 * system's clock for files had passed `changed_ns` when it was opened. Of memory: zeros. */
struct source_identity {
    uint64_t device, inode, bytes;
    int64_t modified_ns, changed_ns; /* Unix time */
};
struct source_identity source_identity(const struct source *source);

/* Reads all `count` bytes or fails: ABORTED if the file has become shorter, UNAVAILABLE
 * if the system cannot read it. */
int source_read(struct source *source, uint64_t offset, void *buffer, uint64_t count,
                struct failure *failure);

/* The same for a caller that must not wait for a disk. False: not all of the bytes are in
 * memory, or they cannot be read; source_read gets them, or says why not. */
bool source_try_read(struct source *source, uint64_t offset, void *buffer,
                     uint64_t count);

/* ABORTED: the file was changed since it was opened. Success after the last read means
 * that all reads saw the same file. */
int source_unchanged(const struct source *source, struct failure *failure);

/* ABORTED: its path leads to another file, or to none, or it was changed. Of several sources
 * that were opened one after another this says that they were there at one time. */
int source_in_place(const struct source *source, struct failure *failure);

#endif
