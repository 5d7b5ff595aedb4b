/* SPDX-License-Identifier: Apache-2.0 */
/* The tables, as an append-only list of steps, and a database made ready for
 * the writer: settings, migrations, checks, leftovers removed. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include "base/status.h"

struct db;

enum {
    STORE_APPLICATION_ID = 0x74726974,  /* "trit", in the file's header */
    STORE_MEMORY_BYTES_MAX = 256 << 20, /* of a store without a directory */
};

/* On a fresh or an older database; `in_memory` where no file is behind it. -1:
 * UNAVAILABLE; DATA_LOSS (damaged); FAILED_PRECONDITION (somebody else's, or a
 * newer daemon's). 0 with `damage` set: rows are damaged that only some queries
 * need; no leftovers were removed then. */
int schema_prepare(struct db *db, bool in_memory, struct failure *damage,
                   struct failure *failure);

/* The version that the steps of this daemon lead to. */
int schema_version(void);

/* Runs the steps from `version` to `to`, each in a transaction; for tests, which make
 * stores of older daemons. */
int schema_migrate(struct db *db, int64_t version, int64_t to, struct failure *failure);

#endif
