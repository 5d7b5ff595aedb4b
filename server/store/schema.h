/* SPDX-License-Identifier: Apache-2.0 */
/* Prepares a database for the writer: settings, migrations, checks, removal of orphans.
 * The tables are defined by an append-only list of steps. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include "base/status.h"

struct db;

enum {
    STORE_APPLICATION_ID = 0x74726974,  /* "trit", in the header of the file */
    STORE_MEMORY_BYTES_MAX = 256 << 20, /* of a store without a directory */
};

enum schema_place {
    SCHEMA_IN_MEMORY, /* it has no file */
    SCHEMA_ON_DISK,   /* it may be new */
    SCHEMA_KEPT,      /* it was there before: without tables it was lost */
};

/* For a new database or one of an older tritd. UNAVAILABLE:
 * storage. DATA_LOSS: the tables are damaged or lost. FAILED_PRECONDITION: the file belongs to
 * another program or to a newer tritd. 0 with `damage` set: some rows were damaged. Those of
 * layers and runs were made again where that is possible. If not all were, no orphans were
 * removed. */
int schema_prepare(struct db *db, enum schema_place place, struct failure *damage,
                   struct failure *failure);

/* Checks a database that is not to be changed: that it is a store of this version, and the
 * definitions of its tables. FAILED_PRECONDITION: of another program or version; an older
 * one is migrated when tritd starts. */
int schema_check(struct db *db, enum schema_place place, struct failure *failure);

/* DATA_LOSS: the database of a directory in which a store was kept is missing or empty.
 * Returns -1. */
int schema_lost(struct failure *failure);

/* The version after all steps. */
int schema_version(void);

/* Runs the steps from `version` to `to`, each in a transaction. Tests use it to create
 * stores of older versions. */
int schema_migrate(struct db *db, int64_t version, int64_t to, struct failure *failure);

#endif
