/* SPDX-License-Identifier: Apache-2.0 */
/* Which names this server answers to. */
#ifndef WEB_HOST_H
#define WEB_HOST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/* Whether a request with this Host header is answered. A page under a domain name
 * that points here (DNS rebinding) is refused: allowed are IP addresses, names without
 * a dot, *.localhost, the name that was bound, and `names`, each of them perhaps several
 * with commas; "*" among them allows every name. A
 * request without the header is allowed, because every browser sends it. */
bool host_allowed(const char *host, const char *bound_name, const char *const *names,
                  size_t count);

/* INVALID_ARGUMENT: one of `names` has no name, or one that no Host header can have. */
int host_names_check(const char *const *names, size_t count, struct failure *failure);

#endif
