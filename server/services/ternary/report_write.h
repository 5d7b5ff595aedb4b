/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a report to the store, for a call whose request carries a layer.
 *
 *   NONE --layer checked--> WANTED --open--> OPEN --commit--> COMMITTING --done--> CLOSED
 *                              |              |                                      ^
 *                              +-- no store --+-----------------drop-----------------+
 *
 * A DURABLE write (the default) holds up its call: until the store takes it, while the
 * store has too many codes to write, and until it is on disk. A BEST_EFFORT write does
 * not, and its call never fails with it:
 * - A store that refuses it leaves the call without a write.
 * - A store that is behind with its codes gets the report without codes, so that flips
 *   are not counted. A shard is not stored then: it needs its codes.
 * - The answer waits for the commit for at most limits.best_effort_ms, and not at all
 *   while an earlier answer's commit is late. The answer has the report as it was before
 *   the commit then, with `stored` false.
 * So its put has a report of its own, which the store may fill after the answer.
 */
#ifndef TERNARY_REPORT_WRITE_H
#define TERNARY_REPORT_WRITE_H

#include "async/loop.h"
#include "base/states.h"
#include "services/ternary/shard_report.h"
#include "store/store.h"

struct call;
struct wire_layer_ref;

enum report_write_state {
    REPORT_WRITE_NONE,
    REPORT_WRITE_WANTED, /* the request carries a layer */
    REPORT_WRITE_OPEN,
    REPORT_WRITE_COMMITTING,
    REPORT_WRITE_CLOSED, /* written, refused or dropped */
    REPORT_WRITE_STATES
};
extern const struct states report_write_states;

struct report_write {
    struct store_put put;
    struct trit_report *answer; /* the report of the call; put.report, if DURABLE */
    struct trit_report *filed;  /* put.report, if BEST_EFFORT; malloc'ed */
    struct shard_report *shard; /* put.shard is in it; NULL: of a whole layer */
    struct call *call;
    enum report_write_state state;
    bool best_effort, without_codes;
    bool waits; /* DURABLE: the store has too much to write */
    void (*drained)(struct report_write *report_write); /* it waits no longer; or NULL */
    bool answered;                                      /* `written` was called */
    struct timer patience;
    void (*written)(struct call *call); /* of report_write_commit */
};

/* `answer` is the report of the call, and outlives the write. */
void report_write_init(struct report_write *report_write, struct trit_report *answer);
void report_write_fini(struct report_write *report_write);

/* Copies the layer's key and shard into the report and makes the write WANTED. Does not
 * use the store. INVALID_ARGUMENT: a name, the step or the shard is invalid. */
int report_write_want(struct report_write *report_write,
                      const struct wire_layer_ref *layer, bool best_effort,
                      struct failure *failure);

/* Begins the put. DURABLE: RESOURCE_EXHAUSTED: the store's queue is full. */
int report_write_open(struct report_write *report_write, const struct plan *plan,
                      struct call *call);

/* Gives the next 2-bit codes of the tensor to the store if the write is OPEN. While the
 * store has too much to write, a DURABLE write throttles the call. */
void report_write_codes(struct report_write *report_write, const void *bytes,
                        size_t count);

/* The same for the scales of its groups. */
void report_write_scales(struct report_write *report_write, const float *scales,
                         size_t count);

/* In place of scales, for a shard: what the groups of a merged tile leave behind. */
void report_write_groups(struct report_write *report_write, const struct task *task,
                         const struct tile *tile);

/* Files the call's report, unless the write is CLOSED. `written` is called on the loop,
 * perhaps before this returns, unless the call has ended by then. The report then says
 * whether it is stored; put.failure says why a DURABLE one is not. */
void report_write_commit(struct report_write *report_write,
                         void (*written)(struct call *call));

/* Aborts the put of an OPEN write; does nothing in another state. */
void report_write_drop(struct report_write *report_write);

#endif
