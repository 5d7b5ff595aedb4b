/* SPDX-License-Identifier: Apache-2.0 */
/* A post, on any thread:
 *   1. under the mutex, the message is appended to `posted`;
 *   2. if it is the first one there, the loop is woken.
 * Then, on the loop:
 *   3. under the mutex, all of `posted` moves to `taken`;
 *   4. without the mutex, the messages of `taken` are delivered one by one.
 *
 * The wake-up is sent under the mutex too: once the loop holds the mutex and finds a
 * message, its poster does not use the mailbox any more, and closing is safe.
 *
 * `taken` is a field of the mailbox, not a variable of step 4, so that a deliver()
 * that closes the mailbox delivers the remaining messages in order. */
#include "async/loop.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <uv.h>

struct mailbox {
    uv_async_t wake;
    pthread_mutex_t mutex;
    struct list posted; /* under the mutex */
    bool closed;        /* under the mutex; only ever set */
    struct list taken;  /* only the loop uses it */
};

static void mailbox_wake_cb(uv_async_t *wake);

int mailbox_create(struct mailbox **mailbox, struct uv_loop_s *loop,
                   struct failure *failure)
{
    struct mailbox *m = calloc(1, sizeof(*m));
    int rc;

    if (!m)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "mailbox: out of memory");
    rc = uv_async_init(loop, &m->wake, mailbox_wake_cb);
    if (rc != 0) {
        free(m);
        return fail(failure, TRIT_INTERNAL, NULL, "mailbox: %s", uv_strerror(rc));
    }
    pthread_mutex_init(&m->mutex, NULL);
    list_init(&m->posted);
    list_init(&m->taken);
    *mailbox = m;
    return 0;
}

void mailbox_post(struct mailbox *mailbox, struct mailbox_message *message)
{
    struct list messages;

    list_init(&messages);
    list_push(&messages, &message->link);
    mailbox_post_all(mailbox, &messages);
}

void mailbox_post_all(struct mailbox *mailbox, struct list *messages)
{
    bool first;

    if (list_empty(messages))
        return;
    pthread_mutex_lock(&mailbox->mutex);
    assert(!mailbox->closed);
    first = list_empty(&mailbox->posted);
    list_append(&mailbox->posted, messages);
    if (first)
        uv_async_send(&mailbox->wake);
    pthread_mutex_unlock(&mailbox->mutex);
}

bool mailbox_loop_wanted(const struct mailbox *mailbox)
{
    struct pollfd events = {.fd = uv_backend_fd(mailbox->wake.loop), .events = POLLIN};

    return poll(&events, 1, 0) != 0;
}

/* Delivers the messages that are there now. */
static void deliver_posted(struct mailbox *mailbox)
{
    struct list *link;

    pthread_mutex_lock(&mailbox->mutex);
    list_append(&mailbox->taken, &mailbox->posted);
    pthread_mutex_unlock(&mailbox->mutex);
    while ((link = list_pop(&mailbox->taken))) {
        struct mailbox_message *message = LIST_OWNER(link, struct mailbox_message, link);

        message->deliver(message);
    }
}

static void mailbox_wake_cb(uv_async_t *wake)
{
    deliver_posted(LIST_OWNER(wake, struct mailbox, wake));
}

/* False: there are more messages to deliver. */
static bool close_if_empty(struct mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->mutex);
    mailbox->closed = list_empty(&mailbox->posted);
    pthread_mutex_unlock(&mailbox->mutex);
    return mailbox->closed;
}

static void mailbox_close_cb(uv_handle_t *handle)
{
    struct mailbox *mailbox = LIST_OWNER(handle, struct mailbox, wake);

    pthread_mutex_destroy(&mailbox->mutex);
    free(mailbox);
}

void mailbox_close(struct mailbox *mailbox)
{
    if (!mailbox)
        return;
    do {
        deliver_posted(mailbox);
    } while (!close_if_empty(mailbox));
    uv_close((uv_handle_t *)&mailbox->wake, mailbox_close_cb);
}
