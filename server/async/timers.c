/* SPDX-License-Identifier: Apache-2.0 */
/* One uv_timer, set to a time no later than that of the earliest timer, and a pairing
 * heap of the armed timers (Fredman, Sedgewick, Sleator, Tarjan 1986): arming is O(1),
 * disarming and firing are O(log n) amortized. The links of the heap are fields of the
 * timers.
 *
 * The uv_timer moves only when it would fire too late: an idle timeout that moves with
 * every byte makes no call into libuv. A wake-up that comes too early finds no timer
 * due and sets the next one.
 *
 * A pass fires the timers that are due when it begins. A timer that is armed during the
 * pass waits for the next pass, even when it is due now, so that the loop serves its
 * sockets in between. */
#include "async/loop.h"

#include <assert.h>
#include <stdlib.h>
#include <uv.h>

#include "base/clock.h"

struct timers {
    uv_timer_t wake;
    struct timer *root;
    uint64_t sequence; /* of the next timer armed */
    uint64_t wake_ns;  /* the time that `wake` is set to; 0: stopped */
};

static bool earlier(const struct timer *a, const struct timer *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->sequence < b->sequence;
}

/* In the heap, `child` is a node's first child, `next` its right sibling, and `prev`
 * its left sibling or, for a first child, its parent. */
static struct timer *meld(struct timer *a, struct timer *b)
{
    struct timer *top, *under;

    if (!a || !b)
        return a ? a : b;
    top = earlier(a, b) ? a : b;
    under = top == a ? b : a;
    under->prev = top;
    under->next = top->child;
    if (under->next)
        under->next->prev = under;
    top->child = under;
    top->next = top->prev = NULL;
    return top;
}

/* Melds neighbours from left to right, then the pairs from right to left. */
static struct timer *meld_siblings(struct timer *first)
{
    struct timer *pairs = NULL, *root = NULL;

    while (first) {
        struct timer *a = first, *b = first->next, *pair;

        first = b ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b)
            b->next = b->prev = NULL;
        pair = meld(a, b);
        pair->next = pairs;
        pairs = pair;
    }
    while (pairs) {
        struct timer *pair = pairs;

        pairs = pair->next;
        pair->next = NULL;
        root = meld(root, pair);
    }
    return root;
}

static void heap_remove(struct timers *timers, struct timer *timer)
{
    struct timer *orphans = meld_siblings(timer->child);

    if (timer == timers->root) {
        timers->root = orphans;
    } else {
        if (timer->prev->child == timer)
            timer->prev->child = timer->next;
        else
            timer->prev->next = timer->next;
        if (timer->next)
            timer->next->prev = timer->prev;
        timers->root = meld(timers->root, orphans);
    }
    timer->child = timer->next = timer->prev = NULL;
    timer->due_ns = 0;
}

int timers_create(struct timers **timers, struct uv_loop_s *loop, struct failure *failure)
{
    struct timers *t = calloc(1, sizeof(*t));

    if (!t)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "timers: out of memory");
    uv_timer_init(loop, &t->wake); /* always 0 */
    *timers = t;
    return 0;
}

void timer_init(struct timer *timer, void (*fire)(struct timer *timer))
{
    *timer = (struct timer){.fire = fire};
}

static void timers_wake_cb(uv_timer_t *wake);

/* Sets the uv_timer for the earliest timer, or stops it when there is none. */
static void program(struct timers *timers)
{
    uint64_t now, due, wait_ms;

    if (!timers->root) {
        if (timers->wake_ns != 0)
            uv_timer_stop(&timers->wake);
        timers->wake_ns = 0;
        return;
    }
    due = timers->root->due_ns;
    if (timers->wake_ns != 0 && timers->wake_ns <= due)
        return;
    now = clock_monotonic_ns();
    wait_ms = due > now ? (due - now) / 1000000 : 0;
    /* Rounded up, and never 0: libuv 1.44 runs a timer that starts itself with 0 again
     * in the same pass, without end. */
    uv_timer_start(&timers->wake, timers_wake_cb, wait_ms + 1, 0);
    timers->wake_ns = due;
}

void timer_arm(struct timers *timers, struct timer *timer, uint64_t due_ns)
{
    if (timer->due_ns != 0)
        heap_remove(timers, timer);
    timer->due_ns = due_ns > 0 ? due_ns : 1;
    timer->sequence = timers->sequence++;
    timers->root = meld(timers->root, timer);
    program(timers);
}

void timer_disarm(struct timers *timers, struct timer *timer)
{
    if (timer->due_ns == 0)
        return;
    heap_remove(timers, timer);
    if (!timers->root)
        program(timers);
}

static void timers_wake_cb(uv_timer_t *wake)
{
    struct timers *timers = LIST_OWNER(wake, struct timers, wake);
    uint64_t now = clock_monotonic_ns();
    uint64_t pass = timers->sequence;
    struct timer *timer;

    timers->wake_ns = 0;
    while ((timer = timers->root) && timer->due_ns <= now && timer->sequence < pass) {
        heap_remove(timers, timer);
        timer->fire(timer);
    }
    program(timers);
}

static void timers_close_cb(uv_handle_t *handle)
{
    free(LIST_OWNER(handle, struct timers, wake));
}

void timers_close(struct timers *timers)
{
    if (!timers)
        return;
    assert(!timers->root);
    uv_close((uv_handle_t *)&timers->wake, timers_close_cb);
}
