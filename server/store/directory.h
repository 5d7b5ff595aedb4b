/* SPDX-License-Identifier: Apache-2.0 */
/* The data directory. One process at a time may use it. */
#ifndef STORE_DIRECTORY_H
#define STORE_DIRECTORY_H

#include "base/status.h"

struct directory {
    int lock_fd;    /* holds the lock; the kernel releases it when the process ends */
    char *database; /* path of the database file */
    char *slots;    /* path of the file of slots */
};

/* Creates the directory (mode 0700, not its parents) and its files (mode 0600) if they
 * are missing, and locks the directory. FAILED_PRECONDITION: another process
 * uses it; the message names that process. UNAVAILABLE: any other failure. */
int directory_open(struct directory *directory, const char *path,
                   struct failure *failure);

/* Harmless if it did not open. */
void directory_close(struct directory *directory);

#endif
