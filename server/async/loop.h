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
 * in one batch, delivered outside it, in order. */
struct mailbox;
int mailbox_create(struct mailbox **mailbox, struct uv_loop_s *loop,
                   struct failure *failure);
void mailbox_post(struct mailbox *mailbox, struct letter *letter); /* any thread */

/* Delivers what is there and closes; the memory goes in the close callback. */
void mailbox_close(struct mailbox *mailbox);

/* Timers with one underlying handle: arm, disarm, fire once. Embedded in their
 * owner. */
struct timers;
struct timer {
    struct list link;    /* hands off */
    uint64_t due_ns;     /* monotonic; 0 = not armed */
    void *heap_slot[3];  /* hands off */
    void (*fire)(struct timer *timer);
};
int timers_create(struct timers **timers, struct uv_loop_s *loop,
                  struct failure *failure);
void timer_init(struct timer *timer, void (*fire)(struct timer *timer));
void timer_arm(struct timers *timers, struct timer *timer, uint64_t due_ns);
void timer_disarm(struct timers *timers, struct timer *timer); /* harmless twice */
void timers_close(struct timers *timers); /* none may be armed */

#endif
