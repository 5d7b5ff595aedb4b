/* SPDX-License-Identifier: Apache-2.0 */
/* The data directory. One process at a time may use it. */
#ifndef STORE_DIRECTORY_H
#define STORE_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "store/schema.h"

struct directory {
    int lock_fd; /* of tritd.lock; holds a lock, which the kernel releases when the process
                     * ends; -1: a directory that is read has none */
    int fd;      /* of the directory; holds a lock, too: tritd.lock may be removed */
    char *database; /* path of the database file */
    char *slots;    /* path of the file of slots */
    bool kept;      /* a store was kept here before */
};

/* Creates the directory (mode 0700, not its parents) and its files (mode 0600) if they
 * are missing, and locks the directory. FAILED_PRECONDITION: another process
 * uses it; the message names that process. UNAVAILABLE: any other failure. */
int directory_open(struct directory *directory, const char *path,
                   struct failure *failure);

/* The same for a directory that is only read: nothing is created or written, so it may be on
 * a file system that is read-only. It keeps daemons out, but not others that read. */
int directory_open_to_read(struct directory *directory, const char *path,
                           struct failure *failure);

/* NULL: the store has no directory. */
enum schema_place directory_place(const struct directory *directory);

/* What to do about an errno of the directory, for the end of a message: "" or "; ...". */
const char *directory_advice(int error);

/* Whether a lock file notes that a store was kept in its directory. */
bool directory_has_mark(int fd);
/* Notes, in the lock file, that a store is kept here. If that fails, a database that is lost
 * later is taken for a new one. */
void directory_note_kept(const struct directory *directory);

/* The number of the newest report that was acknowledged, as a lock file has it; 0: it has
 * none. */
int64_t directory_newest(int fd);
/* Notes that number, after the report is on disk. Numbers do not get smaller. If that fails, the
 * file has an older number. */
void directory_note_newest(const struct directory *directory, int64_t newest);

/* Harmless if it did not open. */
void directory_close(struct directory *directory);

#endif
