/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/request_reader.h"

#include <inttypes.h>

#include "base/account.h"
#include "grpc/call.h"
#include "obs/metrics.h"

_Static_assert((int)SCAN_PART_BYTES_MAX == (int)ENVELOPE_BYTES_MAX,
               "one bound, two names");

enum {
    INFLATED_PIECE_BYTES = 16384, /* on the stack */
    /* Decompressed in one turn of the loop, some 2 ms. Then other calls have theirs. */
    TURN_BYTES_MAX = 1 << 20,
};

/* Whether bytes that came must wait. Those of an uncompressed message go to the method
 * even when the peer gets no credit: they are no more than its window. */
static bool must_stop(const struct call *call)
{
    uint32_t reasons = THROTTLE_REPLY | THROTTLE_TURN;

    if (call->decoded.active)
        reasons |= THROTTLE_TILES | THROTTLE_STORE;
    return call->throttle & reasons;
}

static int check_prefix(struct call *call, const struct deframed *found)
{
    if (found->reserved)
        return fail(&call->failure, TRIT_INTERNAL, NULL,
                    "a message's prefix has a flag that gRPC does not define");
    if (found->compressed && call->request_coding == CODING_IDENTITY)
        return fail(&call->failure, TRIT_INTERNAL, NULL,
                    "a message is flagged compressed, but grpc-encoding names nothing");
    if (call->messages > 0 && !call->method->streaming)
        return fail(&call->failure, TRIT_UNIMPLEMENTED, NULL,
                    "a second message in a unary request");
    return 0;
}

static int too_large(struct call *call, uint64_t bytes, uint64_t bytes_max,
                     const char *how)
{
    metric_limit(call->config->metrics, L_MESSAGE);
    return fail_field(&call->failure, TRIT_RESOURCE_EXHAUSTED, "message",
                      "%s%" PRIu64 " bytes, the limit message_bytes_max is %" PRIu64, how,
                      bytes, bytes_max);
}

static int message_begin(struct call *call, const struct deframed *found)
{
    const struct limits *limits = call->config->limits;
    /* The first message of a stream may hold the scales of a whole tensor. */
    uint64_t bytes_max = call->method->streaming && call->messages > 0
                             ? (uint64_t)CHUNK_BYTES_MAX + 4 * ENVELOPE_BYTES_MAX
                             : limits->message_bytes_max;

    if (bytes_max > limits->message_bytes_max)
        bytes_max = limits->message_bytes_max;
    if (check_prefix(call, found) < 0)
        return -1;
    if (found->length > bytes_max)
        return too_large(call, found->length, bytes_max, "");
    call->messages++;
    /* An empty message is empty, whatever its flag says. */
    call->decoded.active = found->compressed && found->length > 0;
    call->decoded.compressed = found->compressed;
    call->decoded.bytes = 0;
    call->decoded.bytes_max = bytes_max;
    scan_init(&call->scan, call->method->scan,
              call->decoded.active ? SCAN_UNSIZED : found->length);
    if (!call->decoded.active)
        return 0;
    if (!call->inflater)
        call->inflater = inflater_create(call->request_coding, call->account);
    if (!call->inflater)
        return fail(&call->failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "no memory to decompress the request");
    inflater_begin(call->inflater);
    return 0;
}

static int scan_bytes(struct call *call, const uint8_t *bytes, size_t count)
{
    const struct method *method = call->method;
    struct scanned found = {0};

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

static int message_bytes(struct call *call, const uint8_t *bytes, size_t count)
{
    return scan_bytes(call, bytes, count) < 0 ? -1 : charge_scan(call);
}

/* Decompresses bytes of a message until the call must stop. */
static int inflate_bytes(struct call *call, const uint8_t **bytes, size_t *count)
{
    struct decoded *decoded = &call->decoded;
    uint8_t piece[INFLATED_PIECE_BYTES];
    size_t produced;

    do {
        if (inflater_step(call->inflater, bytes, count, piece, sizeof(piece), &produced) <
            0)
            return fail(&call->failure, TRIT_INTERNAL, NULL, "message %u is not valid %s",
                        (unsigned)call->messages, coding_name(call->request_coding));
        decoded->bytes += produced;
        decoded->turn_bytes += produced;
        if (decoded->bytes > decoded->bytes_max)
            return too_large(call, decoded->bytes, decoded->bytes_max,
                             "decompresses to more than ");
        if (message_bytes(call, piece, produced) < 0)
            return -1;
        if (call->state != CALL_RECEIVING)
            return 0;
        if (decoded->turn_bytes >= TURN_BYTES_MAX) {
            call->throttle |= THROTTLE_TURN;
            call_resume_soon(call);
        }
    } while ((*count > 0 || inflater_pending(call->inflater)) && !must_stop(call));
    return 0;
}

static int message_end(struct call *call)
{
    bool inflated = call->decoded.active;
    int result = 0;

    call->decoded.active = false;
    if (inflated && !inflater_done(call->inflater))
        result = fail(&call->failure, TRIT_INTERNAL, NULL,
                      "message %u is cut inside its %s data", (unsigned)call->messages,
                      coding_name(call->request_coding));
    else if (!scan_complete(&call->scan))
        result = fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "message",
                            "truncated inside a field");
    else if (call->method->message)
        result = call->method->message(call);
    scan_fini(&call->scan);
    charge_scan(call); /* only releases */
    return result;
}

/* Handles bytes of a message; those that must wait are given back. */
static int take_bytes(struct call *call, const struct deframed *found,
                      const uint8_t **bytes, size_t *count)
{
    const uint8_t *left = found->bytes;
    size_t left_count = found->count;

    if (!call->decoded.active)
        return message_bytes(call, left, left_count);
    if (inflate_bytes(call, &left, &left_count) < 0)
        return -1;
    deframe_unread(&call->deframer, bytes, count, left_count);
    return 0;
}

int request_reader_feed(struct call *call, const uint8_t **bytes, size_t *count)
{
    struct deframed found;

    for (;;) {
        int result = 0;

        if (must_stop(call))
            return READER_STOPPED;
        if (call->decoded.active && inflater_pending(call->inflater)) {
            size_t none = 0;
            const uint8_t *nothing = NULL;

            result = inflate_bytes(call, &nothing, &none);
        } else {
            switch (deframe(&call->deframer, bytes, count, &found)) {
            case DEFRAME_MORE:
                return 0;
            case DEFRAME_MESSAGE:
                result = message_begin(call, &found);
                break;
            case DEFRAME_BYTES:
                result = take_bytes(call, &found, bytes, count);
                break;
            case DEFRAME_END:
                result = message_end(call);
                break;
            }
        }
        if (result < 0)
            return -1;
        if (call->state != CALL_RECEIVING)
            return 0;
    }
}
