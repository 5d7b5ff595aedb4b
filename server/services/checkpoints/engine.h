/* SPDX-License-Identifier: Apache-2.0 */
/* The engine (drive/engine.h) of the daemon: matrices are read on the threads of a run and
 * computed by the worker pool, with the tiles, merges and reports of the service Ternary, so
 * that results have the same bits. */
#ifndef CHECKPOINTS_ENGINE_H
#define CHECKPOINTS_ENGINE_H

#include "drive/engine.h"

struct kernels;
struct metrics;
struct pool;

struct kernel_engine {
    struct engine engine; /* for runs */
    const struct kernels *kernels;
    struct pool *pool;
    struct metrics *metrics; /* or NULL */
    const char *version;     /* of the daemon, for reports */
};

/* Borrows everything. A run must have ended before pool_stop. */
void kernel_engine_init(struct kernel_engine *engine, const struct kernels *kernels,
                        struct pool *pool, struct metrics *metrics, const char *version);

#endif
