/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/request.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

static void add(struct request *request, const char *name, const char *value,
                uint8_t flags)
{
    request->headers[request->count++] =
        (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value,
                     strlen(name), strlen(value), flags};
}

void request_headers(struct request *request, uint64_t deadline_ns)
{
    const uint64_t now = clock_monotonic_ns();

    request->count = 0;
    add(request, ":method", "POST", NGHTTP2_NV_FLAG_NONE);
    add(request, ":scheme", request->scheme, NGHTTP2_NV_FLAG_NONE);
    add(request, ":path", request->path, NGHTTP2_NV_FLAG_NONE);
    add(request, ":authority", request->authority, NGHTTP2_NV_FLAG_NONE);
    if (deadline_ns) {
        timeout_format(deadline_ns > now ? deadline_ns - now : 1, request->timeout);
        add(request, "grpc-timeout", request->timeout, NGHTTP2_NV_FLAG_NONE);
    }
    add(request, "te", "trailers", NGHTTP2_NV_FLAG_NONE);
    add(request, "content-type", "application/grpc", NGHTTP2_NV_FLAG_NONE);
    add(request, "user-agent", "libtrit/" TRITD_VERSION, NGHTTP2_NV_FLAG_NONE);
    if (request->previous_attempts > 0) {
        snprintf(request->previous, sizeof(request->previous), "%" PRIu32,
                 request->previous_attempts);
        add(request, "grpc-previous-rpc-attempts", request->previous,
            NGHTTP2_NV_FLAG_NONE);
    }
    if (*request->authorization)
        add(request, "authorization", request->authorization, NGHTTP2_NV_FLAG_NO_INDEX);
}
