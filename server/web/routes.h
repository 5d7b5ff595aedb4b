/* SPDX-License-Identifier: Apache-2.0 */
/* Which handler serves which path. */
#ifndef WEB_ROUTES_H
#define WEB_ROUTES_H

#include "web/request.h"

extern const struct route routes[]; /* ends with a NULL pattern */

#endif
