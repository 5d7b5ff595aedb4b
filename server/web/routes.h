/* SPDX-License-Identifier: Apache-2.0 */
/* Which handler serves which path. */
#ifndef WEB_ROUTES_H
#define WEB_ROUTES_H

#include "web/request.h"

extern const struct route routes[]; /* ends with a NULL pattern */

/* The patterns of the routes, in their order: labels of metrics. */
extern const char *const route_patterns[];
extern const size_t route_count;

#endif
