/* SPDX-License-Identifier: Apache-2.0 */
/* A report on its way to the store, for a call whose request carries a layer.
 *
 *   NONE --layer checked--> WANTED --open--> OPEN --commit--> COMMITTING --done--> CLOSED
 *                                             |                                      ^
 *                                             +-----------------drop-----------------+
 */
#ifndef TERNARY_FILING_H
#define TERNARY_FILING_H

#include "base/states.h"
#include "store/store.h"

struct call;
struct wire_layer_ref;

enum filing_state {
    FILING_NONE,
    FILING_WANTED, /* the request carries a layer */
    FILING_OPEN,
    FILING_COMMITTING,
    FILING_CLOSED, /* filed, refused or dropped */
    FILING_STATES
};
extern const struct states filing_states;

struct filing {
    struct store_put put; /* put.report is the report of the call */
    struct call *call;
    enum filing_state state;
    void (*filed)(struct call *call); /* of filing_commit */
};

/* Takes run, layer and step into put.report and makes the filing WANTED. The store is
 * not asked. INVALID_ARGUMENT: a name or the step is not valid. */
int filing_want(struct filing *filing, const struct wire_layer_ref *layer,
                struct failure *failure);

/* Begins the put. RESOURCE_EXHAUSTED: the store's queue is full. */
int filing_open(struct filing *filing, struct call *call);

/* Gives the next 2-bit codes of the tensor to the store, if the filing is OPEN.
 * Throttles the call while the store has too much to write. */
void filing_codes(struct filing *filing, const void *bytes, size_t count);

/* Files put.report. `filed` follows on the loop, unless the call has ended by then;
 * put.failure and put.report say what came of it. */
void filing_commit(struct filing *filing, void (*filed)(struct call *call));

/* Aborts the put of an OPEN filing; does nothing in another state. */
void filing_drop(struct filing *filing);

#endif
