/* Inside a flow: what bytes that come, tiles that are merged and tiles that leave
 * ask of each other. */
#ifndef RPC_FLOW_IMPL_H
#define RPC_FLOW_IMPL_H

#include "rpc/flow.h"

/* A full tile goes to the pool, or is computed here. -1: no memory. */
int flow_submit(struct flow *flow, struct tile *tile);

/* A stream's reply: [scales as one message][the output as one message]. */
void flow_emit(struct flow *flow, struct tile *tile);

/* The tile waits for a unary reply. It no longer counts as in flight: the reply needs
 * all of them. */
void flow_hold(struct flow *flow, struct tile *tile);

/* Gives a tile that was in flight back to the rpc. */
void flow_tile_back(struct flow *flow, struct tile *tile);

#endif
