/* SPDX-License-Identifier: Apache-2.0 */
/* How a run and its layers do: what a page or JSON shows of the run. */
#ifndef WEB_RUN_STATE_H
#define WEB_RUN_STATE_H

#include "store/store.h"
#include "web/request.h"
#include "web/run_layers.h"

struct json_t;

struct run_state {
    char run[TRIT_NAME_BYTES_MAX + 1];
    struct store_run_info facts;
    struct run_layers layers;
    uint64_t attempt; /* that was asked for; 0: the newest */
};

/* Reads the attempt and replica of the request; of all replicas if that is 0. -1: NOT_FOUND,
 * RESOURCE_EXHAUSTED, the store's failure; call run_state_fini in any case. */
int run_state_read(struct run_state *state, const struct web_config *web,
                   const struct request *request, const char *run,
                   struct failure *failure);
void run_state_fini(struct run_state *state);

/* Adds reports, step_min, step_max and time_unix_ns to an object. Where rows of layers or of
 * the run are damaged, they are null, and `damaged` is the number of these rows. -1: out of
 * memory. */
int json_put_sums(struct json_t *object, const struct store_run_info *info);

#endif
