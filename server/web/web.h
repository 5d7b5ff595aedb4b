/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP for people and Prometheus: libmicrohttpd on its own thread (epoll). It serves
 * GET and HEAD only, and every bound is set. README.md describes pages and JSON. */
#ifndef WEB_H
#define WEB_H

#include <stddef.h>

#include "base/status.h"
#include "web/config.h"

struct web;

/* Writes the address that the socket has to `bound`. */
int web_start(struct web **web, const struct web_config *config, char *bound,
              size_t bound_bytes, struct failure *failure);
void web_stop(struct web *web);

#endif
