/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a report to the store, for a call whose request carries a layer.
 *
 *   NONE --layer checked--> WANTED --open--> OPEN --commit--> COMMITTING --done--> CLOSED
 *                                             |                                      ^
 *                                             +-----------------drop-----------------+
 */
#ifndef TERNARY_REPORT_WRITE_H
#define TERNARY_REPORT_WRITE_H

#include "base/states.h"
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
    struct store_put put; /* put.report is the report of the call */
    struct call *call;
    enum report_write_state state;
    void (*written)(struct call *call); /* of report_write_commit */
};

/* Copies run, layer and step into put.report and makes the write WANTED. Does not use the
 * store. INVALID_ARGUMENT: a name or the step is invalid. */
int report_write_want(struct report_write *report_write,
                      const struct wire_layer_ref *layer, struct failure *failure);

/* Begins the put. RESOURCE_EXHAUSTED: the store's queue is full. */
int report_write_open(struct report_write *report_write, struct call *call);

/* Gives the next 2-bit codes of the tensor to the store if the write is OPEN. Throttles
 * the call while the store has too much to write. */
void report_write_codes(struct report_write *report_write, const void *bytes,
                        size_t count);

/* Commits put.report. `written` is called on the loop unless the call has ended by then;
 * put.failure and put.report have the result. */
void report_write_commit(struct report_write *report_write,
                         void (*written)(struct call *call));

/* Aborts the put of an OPEN write; does nothing in another state. */
void report_write_drop(struct report_write *report_write);

#endif
