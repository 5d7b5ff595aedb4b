/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a run, in steps of bounded work. The loop creates a chore; then it belongs to
 * the writer's thread, until its message is delivered. */
#ifndef STORE_CHORE_H
#define STORE_CHORE_H

#include "base/list.h"
#include "store/fork.h"
#include "store/store.h"

struct writer;

enum chore_kind {
    CHORE_REWIND,
    CHORE_FORK,
    CHORE_DELETE,
    CHORE_CLEAN, /* deletes what is left of a fork that did not end */
};

struct chore {
    struct list link;
    struct mailbox_message message;
    struct mailbox *mailbox; /* that carries it; NULL: the store's */
    enum chore_kind kind;
    struct store_change *change; /* NULL: tritd began it by itself */
    bool begun;
    bool dropped;        /* DELETE: shards that waited */
    struct layer_key at; /* DELETE, CLEAN: the layer to go on with */
    uint64_t reports;    /* deleted or copied so far */
    uint32_t attempt;    /* REWIND: that was started */
    struct failure failure;
    struct fork fork;
    char clean[TRIT_NAME_BYTES_MAX + 1]; /* CLEAN: the run */
};

/* A chore that deletes what is left of a fork. NULL: no memory. free() frees it. */
struct chore *chore_create_clean(const char *run);

/* One step, for writer_slice: `chore` is a struct chore. */
int chore_step(struct writer *writer, void *chore, struct failure *failure);

/* Makes it end with this failure of a step, which was rolled back; `reports` is the count
 * before the step. A fork becomes a CLEAN chore that still has to be run: true. */
bool chore_fail(struct chore *chore, uint64_t reports, const struct failure *failure);

#endif
