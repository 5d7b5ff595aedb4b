/* SPDX-License-Identifier: Apache-2.0 */
/* What microhttpd has read of a request: its header fields and its parameters. */
#ifndef WEB_RECEIVED_H
#define WEB_RECEIVED_H

#include "web/request.h"

struct MHD_Connection;

/* The value of a field, or NULL. Of several lines it is the first one. */
const char *received_field(struct MHD_Connection *connection, const char *name);

/* The value of a field that is a list, or NULL. Several lines are joined by commas (RFC
 * 9110, 5.3); such a text is kept in request->joined. Without memory for it the field is
 * ignored. */
const char *received_list(struct MHD_Connection *connection, const char *name,
                          struct request *request);

/* The Authorization field, with the password of Basic, which is how a browser sends a
 * token, as the token. Writes the text to `own` where it is not the field itself. */
const char *received_authorization(struct MHD_Connection *connection, char *own,
                                   size_t bytes);

/* Reads the parameters of the query. -1: INVALID_ARGUMENT. */
int received_parameters(struct MHD_Connection *connection, struct request *request,
                        const struct route *route, struct failure *failure);

#endif
