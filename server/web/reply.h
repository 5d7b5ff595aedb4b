/* SPDX-License-Identifier: Apache-2.0 */
/* Replies that handlers and the server share: JSON, and errors. */
#ifndef WEB_REPLY_H
#define WEB_REPLY_H

#include "web/request.h"

struct json_t;

/* Takes `value` and writes it as the reply's body. `value` NULL: out of memory. */
int reply_json(struct reply *reply, struct json_t *value, struct failure *failure);

/* Writes the body of an error reply and sets its type. */
void reply_error(struct reply *reply, const struct failure *failure);

#endif
