/* SPDX-License-Identifier: Apache-2.0 */
/* What grpc.health.v1 says: whether the daemon is draining, and whether the store
 * commits reports. Only the loop's thread uses it, except where noted. */
#ifndef SERVICES_HEALTH_H
#define SERVICES_HEALTH_H

#include <stdbool.h>

#include "base/status.h"

struct call;
struct health;

void health_init(struct health *health);
void health_fini(struct health *health);

/* A commit failed less than HEALTH_STORE_FAILED_MS ago. Any thread. */
bool health_store_fails(const struct health *health);

/* A commit of the call's report ended with this status. `wrote`: it put something on disk. */
void health_store_ended(const struct call *call, enum trit_status status, bool wrote);

#endif
