/* SPDX-License-Identifier: Apache-2.0 */
/* Work for the pool whose caller, a thread of a run, waits for it. */
#ifndef CHECKPOINTS_ERRAND_H
#define CHECKPOINTS_ERRAND_H

#include <stdint.h>

#include "base/status.h"

struct pool;

/* Calls run(arg) on a worker, in the kernels' floating-point environment, and returns
 * afterwards. `elements` says how much work it is: it takes its turn between calls as a call
 * with so much work would. RESOURCE_EXHAUSTED: no memory. */
int errand_run(struct pool *pool, uint64_t elements, void (*run)(void *arg), void *arg,
               struct failure *failure);

/* The same, with memory of the worker: job->scratch (work/pool.h). */
int errand_run_in(struct pool *pool, uint64_t elements,
                  void (*run)(void *arg, uint8_t *scratch), void *arg,
                  struct failure *failure);

#endif
