/* SPDX-License-Identifier: Apache-2.0 */
/* Group commit: a batch of orders becomes one transaction.
 *
 *   IDLE --first write--> OPEN --COMMIT--> IDLE
 *                          |  failure: ROLLBACK
 *                          v
 *                        FAILED --end of batch--> IDLE
 *
 * In a failed batch every commit fails, also the ones that were fine: nothing
 * of its open transaction is on disk. Uploads that had rows in it are broken and
 * fail at their commit; the next batch starts afresh.
 *
 * Damage is no such failure: it concerns the put that meets it. What a checksum
 * tells leaves nothing to undo. What SQLite itself finds spoils the transaction,
 * which SQLite will not commit then: it is rolled back, the puts in it are filed
 * again one by one, and from then on every order has a transaction of its own. Only
 * puts whose codes are gone, being too many to be kept until COMMIT, fail with
 * UNAVAILABLE and have to be sent again. Writer thread only. */
#ifndef STORE_WRITER_H
#define STORE_WRITER_H

#include "store/upload.h"

enum {
    WRITER_GARBAGE_MAX = 64,
    WRITER_KEPT_BYTES_MAX = 4 << 20, /* codes of filed puts, kept until COMMIT */
};

/* What COMMIT waits for; a setting of SQLite's, made where it changes. */
enum flush { FLUSH_UNSET, FLUSH_NORMAL, FLUSH_FULL };

enum batch_state { BATCH_IDLE, BATCH_OPEN, BATCH_FAILED };

struct writer {
    struct db db;
    const struct kernels *kernels;
    int64_t next_upload;
    size_t buffered;  /* bytes in the buffers of all uploads */
    enum flush flush; /* as SQLite is set */
    /* Uploads whose rows could not be removed with their batch. Beyond the
     * bound they wait for the next start. */
    int64_t garbage[WRITER_GARBAGE_MAX];
    size_t garbage_count;
    bool careful; /* SQLite has found damage: a transaction an order */
    /* the batch */
    enum batch_state state;
    struct failure failure;         /* why it failed */
    struct list touched;            /* uploads with rows in the open transaction */
    struct list finished;           /* end orders whose letters wait for its COMMIT */
    struct list settled;            /* those that wait for the end of the batch only */
    size_t kept;                    /* bytes of codes that those filed puts still hold */
    uint64_t filed;                 /* new reports in the transaction */
    uint64_t transactions, reports; /* committed by the batch */
    struct failure damage;          /* the first that a put of the batch met */
};

/* `damage`: what the store opened in spite of, or left alone. */
int writer_open(struct writer *writer, const char *path, bool in_memory,
                const struct kernels *kernels, struct failure *damage,
                struct failure *failure);
void writer_close(struct writer *writer);

/* `durable`: an end order is among what comes; else only codes do, whose loss
 * in a crash costs nothing, and the disk need not be waited for. */
void writer_begin(struct writer *writer, bool durable);
void writer_order(struct writer *writer, struct order *order);

struct batch_result {
    uint64_t transactions;  /* that reached the disk */
    uint64_t filed;         /* new reports in them */
    struct failure failure; /* why one did not */
    struct failure damage;  /* what a put could not be filed for; the first */
};
/* Ends the batch and gives the finished end orders, their puts' results set. */
void writer_end(struct writer *writer, struct list *finished,
                struct batch_result *result);

#endif
