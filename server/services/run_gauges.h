/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of runs, and whether layers became stale. A job on the pool reads them from
 * the store: soon after reports were filed, and from time to time, because layers become
 * stale without a report. It looks at the newest runs: those that are shown, and at least
 * 32. Only the loop's thread calls these functions. */
#ifndef SERVICES_RUN_GAUGES_H
#define SERVICES_RUN_GAUGES_H

#include <stddef.h>

struct run_gauges;
struct services;
struct timers;

/* NULL: no memory. Begins to read at the first reports_filed or timer. */
struct run_gauges *run_gauges_create(struct services *services, struct timers *timers,
                                     size_t shown_max);

/* No job may be under way: after pool_stop, and after its messages were delivered or
 * dropped. NULL is harmless. */
void run_gauges_destroy(struct run_gauges *gauges);

/* No timer fires any more. NULL is harmless. */
void run_gauges_stop(struct run_gauges *gauges);

void run_gauges_filed(struct run_gauges *gauges);

#endif
