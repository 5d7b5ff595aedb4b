/* SPDX-License-Identifier: Apache-2.0 */
/* What the log says of a call at its end: who called, what it was about, and the ids by
 * which a client finds it again. */
#ifndef GRPC_TRACE_H
#define GRPC_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/peer.h"
#include "base/status.h"
#include "grpc/metadata.h"

struct grpc_config;

enum {
    REQUEST_ID_BYTES_MAX = 64, /* a longer id is cut in the log */
    TRACEPARENT_BYTES = 55,
    CALL_LABELS_MAX = 3,
};

/* Copies of request headers, and who called; "" where there is none. */
struct call_trace {
    char caller[CALLER_NAME_BYTES];
    char request_id[REQUEST_ID_BYTES_MAX + 1]; /* x-request-id */
    char traceparent[TRACEPARENT_BYTES + 1];   /* W3C Trace Context, version 00 */
};

/* Takes only a well-formed traceparent, and printable characters of the request id. */
void call_trace_read(struct call_trace *trace, const struct request_headers *headers,
                     const char *caller);

struct call_label {
    const char *key, *value; /* the key is a literal */
};

/* A request that has ended; everything is borrowed. */
struct call_ended {
    const char *path;
    size_t method_id;
    uint64_t started_ns;
    const struct failure *failure;
    const struct peer *peer; /* may be NULL, as the trace may */
    const struct call_trace *trace;
    const struct call_label *labels;
    size_t label_count;
};

/* Counts the request and logs rpc_end. */
void call_trace_end(const struct grpc_config *config, const struct call_ended *ended);

#endif
