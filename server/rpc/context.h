/* What all calls share: the rpc behind rpc.h. */
#ifndef RPC_CONTEXT_H
#define RPC_CONTEXT_H

#include <pthread.h>

#include "base/list.h"
#include "rpc/rpc.h"

struct tile;

struct rpc {
    struct rpc_config config;
    struct list calls;
    size_t call_count;
    struct list spare_tiles; /* recycled, without blocks */
    size_t spare_count;
    pthread_mutex_t reader_lock; /* config.reader, between queries on the pool */
    bool draining;
    void (*idle)(void *arg);
    void *idle_arg;
};

/* Brings the gauges of budget and pool up to date: at the ends of calls. */
void rpc_gauge(struct rpc *rpc);

/* A zeroed tile, recycled or new; NULL on lack of memory. */
struct tile *rpc_tile_get(struct rpc *rpc);
void rpc_tile_put(struct rpc *rpc, struct tile *tile); /* blocks go back first */

#endif
