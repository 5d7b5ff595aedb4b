/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/request_reader.h"

#include <inttypes.h>

#include "base/account.h"
#include "grpc/call.h"
#include "obs/metrics.h"

_Static_assert((int)SCAN_PART_BYTES_MAX == (int)ENVELOPE_BYTES_MAX,
               "one bound, two names");

static int message_begin(struct call *call, const struct deframed *found)
{
    const struct limits *limits = call->config->limits;
    /* The first message of a stream may hold the scales of a whole tensor. */
    uint64_t bytes_max = call->method->streaming && call->messages > 0
                             ? (uint64_t)CHUNK_BYTES_MAX + 4 * ENVELOPE_BYTES_MAX
                             : limits->message_bytes_max;

    if (bytes_max > limits->message_bytes_max)
        bytes_max = limits->message_bytes_max;
    if (found->compressed)
        return fail(&call->failure, TRIT_INTERNAL, NULL,
                    "a message is flagged compressed, but grpc-encoding names nothing");
    if (call->messages > 0 && !call->method->streaming)
        return fail(&call->failure, TRIT_UNIMPLEMENTED, NULL,
                    "a second message in a unary request");
    if (found->length > bytes_max) {
        metric_limit(call->config->metrics, L_MESSAGE);
        return fail_field(&call->failure, TRIT_RESOURCE_EXHAUSTED, "message",
                          "%u bytes, the limit message_bytes_max is %" PRIu64,
                          (unsigned)found->length, bytes_max);
    }
    call->messages++;
    scan_init(&call->scan, call->method->scan, found->length);
    return 0;
}

static int message_bytes(struct call *call, const uint8_t *bytes, size_t count)
{
    const struct method *method = call->method;
    struct scanned found;

    for (;;) {
        int result = 0;

        switch (scan(&call->scan, &bytes, &count, &found)) {
        case SCAN_MORE:
            return 0;
        case SCAN_ERROR:
            if (call->scan.status == TRIT_RESOURCE_EXHAUSTED)
                metric_limit(call->config->metrics, L_ENVELOPE);
            return fail_field(&call->failure, call->scan.status, "message", "%s",
                              call->scan.error);
        case SCAN_BLOB:
            result = method->blob_begin(call, found.blob, found.length);
            break;
        case SCAN_BLOB_BYTES:
            result = method->blob_bytes(call, found.blob, found.bytes, found.count);
            break;
        case SCAN_BLOB_END:
            result = method->blob_end(call, found.blob);
            break;
        }
        if (result < 0)
            return -1;
        if (call->state != CALL_RECEIVING)
            return 0;
    }
}

/* Charges the small fields that the scan has collected. */
static int charge_scan(struct call *call)
{
    const size_t held = scan_held(&call->scan);

    if (held < call->scan_charged) {
        account_release(call->account, call->scan_charged - held);
    } else if (held > call->scan_charged &&
               !account_reserve(call->account, held - call->scan_charged)) {
        metric_limit(call->config->metrics, L_MEMORY);
        call->failure.retry_ms = MEMORY_RETRY_MS;
        return fail(
            &call->failure, TRIT_RESOURCE_EXHAUSTED, NULL,
            "no memory for the message's small fields within the connection's share "
            "of memory_bytes_max = %" PRIu64 "; try again later",
            call->config->limits->memory_bytes_max);
    }
    call->scan_charged = held;
    return 0;
}

static int message_end(struct call *call)
{
    int result = 0;

    if (!scan_complete(&call->scan))
        result = fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "message",
                            "truncated inside a field");
    else if (call->method->message)
        result = call->method->message(call);
    scan_fini(&call->scan);
    charge_scan(call); /* only releases */
    return result;
}

int request_reader_feed(struct call *call, const uint8_t *bytes, size_t count)
{
    struct deframed found;

    for (;;) {
        int result = 0;

        switch (deframe(&call->deframer, &bytes, &count, &found)) {
        case DEFRAME_MORE:
            return 0;
        case DEFRAME_MESSAGE:
            result = message_begin(call, &found);
            break;
        case DEFRAME_BYTES:
            result = message_bytes(call, found.bytes, found.count);
            if (result == 0)
                result = charge_scan(call);
            break;
        case DEFRAME_END:
            result = message_end(call);
            break;
        }
        if (result < 0)
            return -1;
        if (call->state != CALL_RECEIVING)
            return 0;
    }
}
