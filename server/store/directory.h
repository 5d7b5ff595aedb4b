/* SPDX-License-Identifier: Apache-2.0 */
/* The data directory: made if missing, and this daemon's alone while it runs. */
#ifndef STORE_DIRECTORY_H
#define STORE_DIRECTORY_H

#include "base/status.h"

struct directory {
    int lock_fd;    /* holds the lock; the kernel drops it with the process */
    char *database; /* path of the database file */
};

/* Makes the directory (mode 0700, not its parents) and the database file (mode
 * 0600) where they are missing, and locks. -1: FAILED_PRECONDITION where another
 * process has it, naming that process; else UNAVAILABLE. */
int directory_open(struct directory *directory, const char *path,
                   struct failure *failure);

/* Harmless on one that did not open. */
void directory_close(struct directory *directory);

#endif
