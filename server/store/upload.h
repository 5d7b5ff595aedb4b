/* SPDX-License-Identifier: Apache-2.0 */
/* One put between the loop and the writer. The loop makes it at begin and frees
 * it when its last letter arrives; between commit or abort and that letter it
 * is the writer's. */
#ifndef STORE_UPLOAD_H
#define STORE_UPLOAD_H

#include "store/codes.h"
#include "store/store.h"

/* What the loop asks of the writer, in order. */
enum order_kind { ORDER_CODES, ORDER_COMMIT, ORDER_ABORT };
struct order {
    struct list link;
    enum order_kind kind;
    struct store_upload *upload;
    const uint8_t *bytes; /* CODES: they follow the struct in its allocation */
    size_t count;         /* of them; COMMIT: bytes that no memory was there for */
};

/* NONE -> WANTED (above a bound, in the waiting list) -> POSTED (letter on its
 * way to the loop) -> NONE. The loop makes the first and the last move. */
enum drain_state { DRAIN_NONE, DRAIN_WANTED, DRAIN_POSTED };

/* OPEN -> BROKEN: rows or bytes of its codes were lost. */
enum upload_state { UPLOAD_OPEN, UPLOAD_BROKEN };

struct store_upload {
    /* loop */
    struct store_put *put; /* NULL once aborted */
    void (*drained)(struct store_put *put);
    /* under the store's mutex */
    size_t pending;
    enum drain_state drain;
    struct list waiting;
    /* letters from the writer; a commit's is the put's own */
    struct letter drained_letter, aborted_letter;
    struct order end; /* ORDER_COMMIT or ORDER_ABORT: cannot fail for memory */
    /* writer */
    enum upload_state state;
    struct failure cause; /* of BROKEN */
    struct codes codes;
    struct codes before; /* as they were when the put was filed: to file it again */
    bool repeatable;     /* `before` holds, with all bytes of its buffer */
    struct list touched; /* in the writer's list while the transaction has rows of it */
};

#endif
