/* SPDX-License-Identifier: Apache-2.0 */
/* A put as the loop and the writer see it. store_begin creates it; the delivery of its
 * last message frees it. Between commit or abort and that message it belongs to the
 * writer. */
#ifndef STORE_UPLOAD_H
#define STORE_UPLOAD_H

#include "base/states.h"
#include "store/codes.h"
#include "store/store.h"

/* What the loop asks of the writer. The writer executes commands in the order in which
 * they were queued. */
enum command_kind { COMMAND_CODES, COMMAND_SCALES, COMMAND_COMMIT, COMMAND_ABORT };
struct command {
    struct list link;
    enum command_kind kind;
    struct store_upload *upload;
    const uint8_t *bytes; /* CODES, SCALES: they follow the struct in its allocation */
    size_t count; /* CODES, SCALES: of bytes. COMMIT: bytes lost for lack of memory */
};

/* The put, on the loop.
 *
 *   OPEN --store_commit--> COMMITTING
 *    |
 *    +-----store_abort---> ABORTING
 */
enum put_state { PUT_OPEN, PUT_COMMITTING, PUT_ABORTING, PUT_STATES };
extern const struct states put_states;

/* Whether an upload waits for drained(). The writer makes the move to POSTED, the loop
 * makes the others.
 *
 *   IDLE --too much is pending--> WAITING --fits again--> POSTED --delivered--> IDLE
 *                                    |                                           ^
 *                                    +--------------commit or abort--------------+
 */
enum drain_state { DRAIN_IDLE, DRAIN_WAITING, DRAIN_POSTED, DRAIN_STATES };
extern const struct states drain_states;

/* The upload, on the writer's thread. BROKEN: rows or bytes of its codes were lost. It
 * may break again; its commit then tells the last cause.
 *
 *   SOUND --loss--> BROKEN --loss--> BROKEN
 */
enum upload_state { UPLOAD_SOUND, UPLOAD_BROKEN, UPLOAD_STATES };
extern const struct states upload_states;

struct store_upload {
    struct mailbox *mailbox; /* of the put's loop; constant */
    /* the loop's */
    enum put_state put_state;
    struct store_put *put; /* not valid when ABORTING */
    void (*drained)(struct store_put *put);
    void (*filed)(void *arg); /* of the store's config, to be called after done() */
    void *filed_arg;
    /* under the store's mutex */
    size_t pending; /* bytes of codes in the queue */
    enum drain_state drain;
    struct list waiting; /* in the store's list, while WAITING */
    /* messages from the writer; the message of a commit is a field of the put */
    struct mailbox_message drained_message, aborted_message;
    struct command end; /* COMMIT or ABORT: here, so that it needs no memory */
    /* the writer's */
    enum upload_state state;
    struct failure cause; /* why it is BROKEN */
    struct codes codes, scales;
    struct trit_report *expected; /* the report at begin, if flips are counted early */
    enum trit_partial_group expected_partial;
    struct codes_early early;
    /* Both when the commit began, to be able to repeat it. */
    struct codes codes_before, scales_before;
    bool repeatable;     /* they are valid, and their buffers hold all bytes */
    struct list touched; /* in the writer's list while the transaction has its rows */
};

#endif
