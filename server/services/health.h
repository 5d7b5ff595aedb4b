/* SPDX-License-Identifier: Apache-2.0 */
/* What grpc.health.v1 says: whether the daemon is draining, and whether the store
 * commits reports. Only the loop's thread uses it. */
#ifndef SERVICES_HEALTH_H
#define SERVICES_HEALTH_H

#include "base/status.h"

struct call;
struct health;

void health_init(struct health *health);
void health_fini(struct health *health);

/* A commit of the call's report ended with this status. */
void health_store_ended(const struct call *call, enum trit_status status);

#endif
