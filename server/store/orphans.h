/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads that no layer refers to, because their report was not stored, and which could not
 * be deleted with their batch. The writer's thread calls these functions. */
#ifndef STORE_ORPHANS_H
#define STORE_ORPHANS_H

#include "store/upload.h"

enum { ORPHANS_MAX = 64 }; /* what exceeds it is deleted at the next start */

struct orphans {
    int64_t at[ORPHANS_MAX];
    size_t count;
};

/* The codes and scales of the upload are to be deleted. */
void orphans_remember(struct orphans *orphans, const struct store_upload *upload);

/* Deletes them, each upload in its own transaction, while none is open. If a full disk
 * refuses, they stay for the next batch; if their rows are damaged, for the next start. */
void orphans_remove(struct orphans *orphans, struct db *db);

#endif
