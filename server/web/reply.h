/* SPDX-License-Identifier: Apache-2.0 */
/* Replies that handlers and the server share: JSON, and errors. */
#ifndef WEB_REPLY_H
#define WEB_REPLY_H

#include "web/request.h"

struct json_t;

/* An empty reply: 200, plain text. */
void reply_begin(struct reply *reply);

/* Takes `value` and writes it as the reply's body. `value` NULL: out of memory. */
int reply_json(struct reply *reply, struct json_t *value, struct failure *failure);

/* Header fields that every reply has. Ends with a NULL name. */
struct reply_header {
    const char *name, *value;
};
extern const struct reply_header reply_headers[];

/* Fills in all header fields of a reply, which borrow from it. `last`: the connection
 * closes after it. Returns how many there are. */
enum { REPLY_HEADERS_MAX = 16 };
size_t reply_fields(const struct reply *reply, bool last,
                    struct reply_header fields[REPLY_HEADERS_MAX]);

unsigned http_status_of(enum trit_status status);

/* Writes the body of an error reply and sets its type and its status (`http_status` 0:
 * the one that fits the failure). */
void reply_error(struct reply *reply, unsigned http_status,
                 const struct failure *failure);

/* Writes a whole HTTP reply for an error, after which the connection closes. `body`:
 * false for the reply to a HEAD request. */
void reply_document(struct text *out, unsigned http_status, bool body,
                    const struct failure *failure);

/* A step of a run, or null where it has none. NULL: out of memory. */
struct json_t *json_step(bool has_steps, uint64_t step);

#endif
