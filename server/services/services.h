/* SPDX-License-Identifier: Apache-2.0 */
/* What tritd serves over gRPC: the table of methods, and what they share. grpc calls
 * them; they decode, plan, hand out work, merge, file and answer. They see no socket and
 * no SQL. Everything runs on the loop's thread, but the work that is handed to the pool.
 */
#ifndef SERVICES_SERVICES_H
#define SERVICES_SERVICES_H

#include <stddef.h>

#include "base/status.h"
#include "services/config.h"

struct method;
struct services;

int services_create(struct services **services, const struct services_config *config,
                    struct failure *failure);

/* After grpc is idle. NULL is harmless. */
void services_destroy(struct services *services);

/* The table of methods, for grpc_config and as the labels of metrics. */
const struct method *const *services_methods(size_t *count);

/* For grpc_config.observe: brings the gauges of budget and pool up to date. */
void services_observe(void *services);

#endif
