/* A report on its way to the store, for a call whose request carries a layer.
 *
 *   NONE   OPEN -> COMMITTING -> NONE
 *            \-> NONE (aborted)
 */
#ifndef RPC_FILING_H
#define RPC_FILING_H

#include "store/store.h"

struct call;
struct wire_layer_ref;

enum filing_state { FILING_NONE, FILING_OPEN, FILING_COMMITTING };

struct filing {
    struct store_put put;
    struct call *call;
    enum filing_state state;
    void (*filed)(struct call *call); /* put.failure, put.report */
};

/* Checks names and step; no store is touched. */
int filing_check(const struct wire_layer_ref *layer, struct failure *failure);

/* From here on put.report holds the identity: shape and group size are set by
 * the caller before. */
int filing_open(struct filing *filing, struct call *call);

/* The next 2-bit codes of the tensor; throttles the call while the store has
 * enough to write. */
void filing_codes(struct filing *filing, const void *bytes, size_t count);

/* Files put.report; `filed` follows on the loop unless the call is gone. */
void filing_commit(struct filing *filing, void (*filed)(struct call *call));

/* Aborts what is open; harmless otherwise. */
void filing_drop(struct filing *filing);

#endif
