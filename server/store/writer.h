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
 * Damage is no such failure: it concerns one put. Each put's writes stand in a
 * savepoint. Where a put meets damage (DATA_LOSS) the writes are undone, what came
 * before them is committed at once, since SQLite writes nothing more in a transaction
 * that has met damage, and the batch goes on in a new transaction. Writer thread
 * only. */
#ifndef STORE_WRITER_H
#define STORE_WRITER_H

#include "store/upload.h"

enum { WRITER_GARBAGE_MAX = 64 };

enum batch_state { BATCH_IDLE, BATCH_OPEN, BATCH_FAILED };

struct writer {
    struct db db;
    const struct kernels *kernels;
    int64_t next_upload;
    size_t buffered; /* bytes in the buffers of all uploads */
    /* Uploads whose rows could not be removed with their batch. Beyond the
     * bound they wait for the next start. */
    int64_t garbage[WRITER_GARBAGE_MAX];
    size_t garbage_count;
    /* the batch */
    enum batch_state state;
    struct failure failure; /* why it failed */
    struct list touched;    /* uploads with rows in the open transaction */
    struct list finished;   /* end orders whose letters wait for its COMMIT */
    struct list settled;    /* those that wait for the end of the batch only */
    uint64_t filed;         /* new reports in the transaction */
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
