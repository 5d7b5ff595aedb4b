/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop for modules that may not include uv.h: messages from other threads, and
 * timers. Only the loop's thread may call these functions, except mailbox_post
 * and mailbox_post_all. */
#ifndef ASYNC_LOOP_H
#define ASYNC_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/status.h"

struct uv_loop_s;

/* A message is part of its sender's object. deliver() runs once, on the loop. */
struct mailbox_message {
    struct list link;
    void (*deliver)(struct mailbox_message *message);
};

/* Messages from any thread to the loop's thread. Posting locks a mutex. The loop takes
 * the whole list of messages and delivers them in order, without the mutex. An open
 * mailbox keeps the loop running. */
struct mailbox;
int mailbox_create(struct mailbox **mailbox, struct uv_loop_s *loop,
                   struct failure *failure);

/* Any thread may call it. Borrows the message until deliver(), which the loop calls,
 * never this function. Do not call it after mailbox_close has returned. */
void mailbox_post(struct mailbox *mailbox, struct mailbox_message *message);

/* The same for all messages of a list, which is empty then: one lock, and one wake-up. */
void mailbox_post_all(struct mailbox *mailbox, struct list *messages);

/* Whether something waits for the mailbox's loop: a message, or a descriptor that it watches.
 * Timers do not count. For the loop's thread; a system call. */
bool mailbox_loop_wanted(const struct mailbox *mailbox);

/* Delivers all messages, with those that these deliveries post, then closes; the close
 * callback frees the memory. Harmless on NULL. A deliver() may call it. */
void mailbox_close(struct mailbox *mailbox);

/* Timers that share one libuv handle. A timer is part of its owner's object; arming
 * allocates nothing and cannot fail. It never fires early; it is late by at most a
 * millisecond plus the time that the loop is busy. Timers with equal times fire in
 * the order in which they were armed. */
struct timers;
struct timer {
    uint64_t due_ns; /* monotonic; 0: not armed */
    void (*fire)(struct timer *timer);
    uint64_t sequence; /* do not touch this field and those below */
    struct timer *child, *next, *prev;
};
int timers_create(struct timers **timers, struct uv_loop_s *loop,
                  struct failure *failure);
void timer_init(struct timer *timer, void (*fire)(struct timer *timer));

/* The loop calls fire() once; this function never calls it. The timer is disarmed before
 * fire(), which may arm it again or free it. Arming an armed timer changes its time. */
void timer_arm(struct timers *timers, struct timer *timer, uint64_t due_ns);
void timer_disarm(struct timers *timers, struct timer *timer); /* harmless twice */

/* No timer may be armed. The close callback frees the memory. Harmless on NULL. */
void timers_close(struct timers *timers);

#endif
