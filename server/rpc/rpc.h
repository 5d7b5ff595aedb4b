/* What a call means: decode, plan, hand out tiles, merge, file, answer. This is
 * the daemon's service over h2 streams; it sees no socket and no SQL.
 *
 * Words. *Call*: one RPC on one stream. *Method*: its row in the table
 * (method.h). *Flow*: a tensor's way through a call, cut into tiles. *Merge*:
 * tile results becoming a report, in tile order. *Record*: a report on its way
 * to the store. Everything here lives on the loop's thread, but tile_run. */
#ifndef RPC_H
#define RPC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/limits.h"
#include "base/status.h"

struct blocks;
struct h2_events;
struct kernels;
struct layers;
struct log;
struct metrics;
struct pool;
struct rpc;
struct store;
struct store_reader;
struct timers;

struct rpc_config { /* everything borrowed for the life of the rpc */
    const struct limits *limits;
    const struct kernels *kernels;
    struct pool *pool;
    struct blocks *blocks;
    struct budget *budget;
    struct timers *timers;
    struct store *store;
    struct layers *layers;
    struct store_reader *reader; /* used by queries on the pool, one at a time */
    struct metrics *metrics;
    struct log *log;
    const char *version;
};

int rpc_create(struct rpc **rpc, const struct rpc_config *config,
               struct failure *failure);

/* The stream events; their owner is the rpc. */
const struct h2_events *rpc_events(void);

/* The path of method `id`, its metric id; NULL beyond the last. */
const char *rpc_method_path(size_t id);

/* From now on health says NOT_SERVING. Running calls go on. */
void rpc_drain(struct rpc *rpc);
bool rpc_draining(const struct rpc *rpc);

/* `idle` is called once on the loop when no call is left: after every session
 * has been destroyed, tiles may still be running. */
void rpc_on_idle(struct rpc *rpc, void (*idle)(void *arg), void *arg);

/* After idle. NULL is harmless. */
void rpc_destroy(struct rpc *rpc);

#endif
