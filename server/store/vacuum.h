/* SPDX-License-Identifier: Apache-2.0 */
/* Gives free pages back to the file system, some at a time. Only in files that were
 * created so: the free pages of an older file are used again, but it does not shrink. */
#ifndef STORE_VACUUM_H
#define STORE_VACUUM_H

#include <stdbool.h>

#include "base/status.h"

struct db;

enum {
    VACUUM_PAGES_MAX = 256,   /* of one step: 1 MiB */
    VACUUM_PAGES_LEFT = 1024, /* free pages that stay, for what is written next */
};

bool vacuum_due(struct db *db);

/* One step. 1: more are to follow. */
int vacuum_step(struct db *db, struct failure *failure);

#endif
