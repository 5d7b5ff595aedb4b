/* SPDX-License-Identifier: Apache-2.0 */
/* Which calls may use the workers. A call is refused before its work begins if it would
 * miss its deadline or wait longer than queue_ms_max: RESOURCE_EXHAUSTED, with the time
 * after which the peer should try again. So under overload the workers finish the calls
 * that they begin. What work costs is learned per method (work/turns.h). */
#ifndef SERVICES_ADMISSION_H
#define SERVICES_ADMISSION_H

#include <stdint.h>

struct call;

/* Before the first work of a call: `units` of it are to be done on the pool. 0 if the
 * call was admitted earlier. -1: it is refused, with call->failure. */
int call_admit(struct call *call, uint64_t units);

#endif
