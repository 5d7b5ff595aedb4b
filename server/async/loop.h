/* The event loop for rooms that may not see uv.h: mail from other threads, and
 * timers. Everything here belongs to the loop's thread unless it says
 * otherwise. */
#ifndef ASYNC_LOOP_H
#define ASYNC_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/status.h"

struct uv_loop_s;

/* A letter lives in its sender's object. deliver() runs once, on the loop. */
struct letter {
    struct list link;
    void (*deliver)(struct letter *letter);
};

/* Letters from any thread to the loop's thread: posted under a mutex, detached
 * in one batch, delivered outside it, in order. While it is open the mailbox
 * keeps the loop running. */
struct mailbox;
int mailbox_create(struct mailbox **mailbox, struct uv_loop_s *loop,
                   struct failure *failure);

/* Any thread. Borrows the letter until deliver(), which runs from the loop, never
 * from here. Not after mailbox_close returned: whoever posts is gone by then. */
void mailbox_post(struct mailbox *mailbox, struct letter *letter);

/* Delivers what is there, and what that posts, then closes; the memory goes in
 * the close callback. Harmless on NULL; may be called from a deliver(). */
void mailbox_close(struct mailbox *mailbox);

/* Timers with one underlying handle: arm, disarm, fire once. Embedded in their
 * owner; arming allocates nothing and cannot fail. Never early; at most a
 * millisecond late plus what the loop is busy with. Equal times fire in the
 * order they were armed. */
struct timers;
struct timer {
    uint64_t due_ns; /* monotonic; 0 = not armed */
    void (*fire)(struct timer *timer);
    uint64_t order; /* hands off, here and below */
    struct timer *child, *next, *prev;
};
int timers_create(struct timers **timers, struct uv_loop_s *loop,
                  struct failure *failure);
void timer_init(struct timer *timer, void (*fire)(struct timer *timer));

/* fire() runs once, from the loop, never from here; the timer is disarmed by
 * then and may be armed again or freed. Arming an armed timer moves it. */
void timer_arm(struct timers *timers, struct timer *timer, uint64_t due_ns);
void timer_disarm(struct timers *timers, struct timer *timer); /* harmless twice */

/* None may be armed. The memory goes in the close callback. Harmless on NULL. */
void timers_close(struct timers *timers);

#endif
