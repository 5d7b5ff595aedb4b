/* SPDX-License-Identifier: Apache-2.0 */
/* Group commit: a batch of commands becomes one transaction.
 *
 *   IDLE --first write--> OPEN --COMMIT--> IDLE
 *     |                    |
 *     |                    +--SQLite finds damage: ROLLBACK--> IDLE, and start over
 *     |                    |
 *     +--------------------+--storage fails: ROLLBACK--> FAILED --end of batch--> IDLE
 *
 * In a failed batch every commit fails, because nothing of its open transaction is on
 * disk. Uploads that had rows in it are broken and fail at their commit. The next batch
 * starts afresh.
 *
 * Damage fails only the put that meets it. Damage that a checksum finds leaves nothing
 * to undo. Damage that SQLite finds makes SQLite refuse to commit the transaction. The
 * writer then rolls back, repeats the commits one by one, and from then on is *careful*:
 * it gives each command its own transaction. A put whose codes were too many to be kept
 * until COMMIT cannot be repeated. It fails with UNAVAILABLE and must be sent again.
 *
 * Only the writer's thread calls these functions. */
#ifndef STORE_WRITER_H
#define STORE_WRITER_H

#include "store/commit.h"
#include "store/directory.h"
#include "store/evict.h"
#include "store/mending.h"
#include "store/orphans.h"
#include "store/retain.h"

enum {
    WRITER_KEPT_BYTES_MAX = 4 << 20, /* codes of committed puts, kept until COMMIT */
};

/* Whether COMMIT waits for the disk: SQLite's setting `synchronous`. */
enum flush { FLUSH_UNSET, FLUSH_NORMAL, FLUSH_FULL };

enum batch_state { BATCH_IDLE, BATCH_OPEN, BATCH_FAILED, BATCH_STATES };
extern const struct states batch_states;

struct writer {
    struct db db;
    const struct directory *directory; /* NULL: the store is in memory */
    const struct kernels *kernels;
    const struct health_rules *rules;
    struct counters next;
    int64_t begun_with;   /* next.sequence when the last transaction began */
    int64_t data_version; /* of the database when the last transaction began */
    int changes;          /* that the connection had made until then */
    struct evict evict;
    struct retain retain;
    size_t buffered;  /* bytes in the buffers of all uploads */
    enum flush flush; /* SQLite's present setting */
    struct orphans orphans;
    struct mender mender;
    bool careful; /* SQLite has found damage: each command has its own transaction */
    /* the batch */
    enum batch_state state;
    struct failure failure; /* why it FAILED */
    struct list touched;    /* uploads with rows in the open transaction */
    struct list in_commit;  /* end commands of the open transaction */
    struct list finished;   /* end commands that have their result */
    size_t kept;            /* bytes of codes that puts of the transaction still hold */
    uint64_t added;         /* new reports in the transaction */
    uint64_t transactions;  /* committed by the batch */
    uint64_t reports;       /* new ones in them */
    struct failure damage;  /* the first that a put of the batch met */
};

/* `path`: of the database in `directory`, which is borrowed until writer_close; without a
 * directory the store is in memory. 0 with `damage` set: the store opened, but some rows are
 * damaged. */
int writer_open(struct writer *writer, const char *path,
                const struct directory *directory, const struct kernels *kernels,
                const struct health_rules *rules, struct failure *damage,
                struct failure *failure);
void writer_close(struct writer *writer);

/* Runs one step of other work in a transaction of its own, between two batches. `step`
 * returns 1 if more steps are to follow, 0 at the end, -1 for failure, and so does
 * writer_slice; after a failure the step is rolled back. `durable`: COMMIT waits for the
 * disk. */
int writer_slice(struct writer *writer,
                 int (*step)(struct writer *writer, void *arg, struct failure *failure),
                 void *arg, bool durable, struct failure *failure);

/* Begins a batch. `durable`: it has a commit. A batch of nothing but codes and aborts
 * need not wait for the disk: losing it in a crash loses nothing acknowledged. */
void writer_begin(struct writer *writer, bool durable);
void writer_execute(struct writer *writer, struct command *command);

struct batch_result {
    uint64_t transactions;  /* committed */
    uint64_t reports;       /* new ones in them */
    struct failure failure; /* why the batch failed, or OK */
    struct failure damage;  /* the first damage that a put met, or OK */
};
/* Ends the batch. Appends its end commands to `finished`; the results of their puts
 * are set. */
void writer_end(struct writer *writer, struct list *finished,
                struct batch_result *result);

#endif
