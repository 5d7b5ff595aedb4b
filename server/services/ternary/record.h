/* SPDX-License-Identifier: Apache-2.0 */
/* A report on its way to the store, for a call whose request carries a layer.
 *
 *   NONE --layer checked--> WANTED --open--> OPEN --commit--> COMMITTING --done--> CLOSED
 *                                             |                                      ^
 *                                             +-----------------drop-----------------+
 */
#ifndef TERNARY_RECORD_H
#define TERNARY_RECORD_H

#include "base/states.h"
#include "store/store.h"

struct call;
struct wire_layer_ref;

enum record_state {
    RECORD_NONE,
    RECORD_WANTED, /* the request carries a layer */
    RECORD_OPEN,
    RECORD_COMMITTING,
    RECORD_CLOSED, /* filed, refused or dropped */
    RECORD_STATES
};
extern const struct states record_states;

struct record {
    struct store_put put; /* put.report is the call's */
    struct call *call;
    enum record_state state;
    void (*filed)(struct call *call); /* of record_commit */
};

/* Takes run, layer and step into put.report and makes the record WANTED. The store is
 * not asked. INVALID_ARGUMENT: a name or the step is not valid. */
int record_want(struct record *record, const struct wire_layer_ref *layer,
                struct failure *failure);

/* Begins the put. RESOURCE_EXHAUSTED: the store's queue is full. */
int record_open(struct record *record, struct call *call);

/* The next 2-bit codes of the tensor; throttles the call while the store has
 * enough to write. */
void record_codes(struct record *record, const void *bytes, size_t count);

/* Files put.report. `filed` follows on the loop, unless the call has ended by then;
 * put.failure and put.report say what came of it. */
void record_commit(struct record *record, void (*filed)(struct call *call));

/* Aborts the put of an OPEN record; does nothing in another state. */
void record_drop(struct record *record);

#endif
