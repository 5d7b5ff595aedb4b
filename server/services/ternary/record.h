/* SPDX-License-Identifier: Apache-2.0 */
/* A report on its way to the store, for a call whose request carries a layer.
 *
 *   NONE -> WANTED -> OPEN -> COMMITTING -> NONE
 *                       \-> NONE (aborted)
 */
#ifndef TERNARY_RECORD_H
#define TERNARY_RECORD_H

#include "store/store.h"

struct call;
struct wire_layer_ref;

enum record_state {
    RECORD_NONE,
    RECORD_WANTED, /* the request carries a layer */
    RECORD_OPEN,
    RECORD_COMMITTING,
};

struct record {
    struct store_put put; /* put.report is the call's only report, filed or not */
    struct call *call;
    enum record_state state;
    void (*filed)(struct call *call); /* put.failure, put.report */
};

/* Checks names and step; no store is touched. */
int record_check(const struct wire_layer_ref *layer, struct failure *failure);

/* From here on put.report holds the identity: shape and group size are set by
 * the caller before. */
int record_open(struct record *record, struct call *call);

/* The next 2-bit codes of the tensor; throttles the call while the store has
 * enough to write. */
void record_codes(struct record *record, const void *bytes, size_t count);

/* Files put.report; `filed` follows on the loop unless the call is gone. */
void record_commit(struct record *record, void (*filed)(struct call *call));

/* Aborts what is open; harmless otherwise. */
void record_drop(struct record *record);

#endif
