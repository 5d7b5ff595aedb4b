/* SPDX-License-Identifier: Apache-2.0 */
/* The answer to a request that is not gRPC: that of a web server, with a sentence. */
#ifndef GRPC_HTTP_REFUSAL_H
#define GRPC_HTTP_REFUSAL_H

#include <stdbool.h>

struct h2_stream;

/* `why` becomes the body, unless there is no memory for it. `body` false: none, as HEAD
 * wants it. 405 also says which method is allowed. */
void http_refuse(struct h2_stream *stream, int http_status, const char *why, bool body);

#endif
