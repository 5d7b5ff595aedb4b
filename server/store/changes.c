/* SPDX-License-Identifier: Apache-2.0 */
/* Rewind, fork and delete: the loop's side. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_impl.h"

static void deliver(struct mailbox_message *message)
{
    struct chore *chore = LIST_OWNER(message, struct chore, message);
    struct store_change *change = chore->change;

    if (change) {
        change->failure = chore->failure;
        change->attempt = chore->attempt;
        change->reports = chore->reports;
    }
    free(chore);
    if (change)
        change->done(change);
}

/* NULL: the failure is told. */
static struct chore *create(struct store_change *change, struct store *store,
                            enum chore_kind kind, struct failure *failure)
{
    struct chore *chore;

    if (kind != CHORE_DELETE && change->step > INT64_MAX) {
        fail_field(failure, TRIT_INVALID_ARGUMENT, "step",
                   "%" PRIu64 " is above %" PRId64, change->step, INT64_MAX);
        return NULL;
    }
    if (store_admit(store, failure))
        return NULL;
    chore = calloc(1, sizeof(*chore));
    if (!chore) {
        store_leave(store, 1);
        fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
        return NULL;
    }
    chore->kind = kind;
    chore->change = change;
    chore->mailbox = change->mailbox;
    chore->message.deliver = deliver;
    change->store = store;
    change->failure = (struct failure){0};
    change->attempt = 0;
    change->reports = 0;
    return chore;
}

static int queue(struct store *store, struct chore *chore)
{
    pthread_mutex_lock(&store->mutex);
    list_push(&store->chores, &chore->link);
    pthread_cond_signal(&store->work);
    pthread_mutex_unlock(&store->mutex);
    return 0;
}

int store_rewind(struct store_change *change, struct store *store,
                 struct failure *failure)
{
    struct chore *chore = create(change, store, CHORE_REWIND, failure);

    return chore ? queue(store, chore) : -1;
}

int store_fork(struct store_change *change, struct store *store, struct failure *failure)
{
    struct chore *chore = create(change, store, CHORE_FORK, failure);

    if (!chore)
        return -1;
    memcpy(chore->fork.from, change->run, sizeof(chore->fork.from));
    memcpy(chore->fork.to, change->new_run, sizeof(chore->fork.to));
    chore->fork.step = (int64_t)change->step;
    return queue(store, chore);
}

int store_delete(struct store_change *change, struct store *store,
                 struct failure *failure)
{
    struct chore *chore = create(change, store, CHORE_DELETE, failure);

    return chore ? queue(store, chore) : -1;
}
