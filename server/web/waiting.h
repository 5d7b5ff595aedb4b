/* SPDX-License-Identifier: Apache-2.0 */
/* The layers of a run that wait for shards, on its page. */
#ifndef WEB_WAITING_H
#define WEB_WAITING_H

#include "web/config.h"
#include "web/text.h"

/* -1: the store's failure. */
int html_waiting(const struct web_config *web, struct text *text, const char *run,
                 struct failure *failure);

#endif
