/* SPDX-License-Identifier: Apache-2.0 */
#include "framing.h"

#include <stdio.h>
#include <string.h>

#include "utf8.h"

/* ---- messages -------------------------------------------------------------- */

void deframer_init(struct deframer *deframer)
{
    memset(deframer, 0, sizeof(*deframer));
}

static enum deframe_event take_prefix(struct deframer *deframer, const uint8_t **bytes,
                                      size_t *count, struct deframed *out)
{
    uint8_t *prefix = deframer->prefix;
    while (deframer->prefix_seen < GRPC_PREFIX_BYTES) {
        if (*count == 0)
            return DEFRAME_MORE;
        prefix[deframer->prefix_seen++] = *(*bytes)++;
        --*count;
    }
    deframer->message_left = (uint32_t)prefix[1] << 24 | (uint32_t)prefix[2] << 16 |
                             (uint32_t)prefix[3] << 8 | prefix[4];
    deframer->prefix_seen = 0;
    deframer->in_message = true;
    out->length = deframer->message_left;
    out->compressed = (prefix[0] & 1) != 0;
    out->reserved = prefix[0] > 1;
    return DEFRAME_MESSAGE;
}

enum deframe_event deframe(struct deframer *deframer, const uint8_t **bytes,
                           size_t *count, struct deframed *out)
{
    if (!deframer->in_message)
        return take_prefix(deframer, bytes, count, out);
    if (deframer->message_left == 0) {
        deframer->in_message = false;
        return DEFRAME_END;
    }
    if (*count == 0)
        return DEFRAME_MORE;
    size_t taken = *count < deframer->message_left ? *count : deframer->message_left;
    out->bytes = *bytes;
    out->count = taken;
    deframer->message_left -= (uint32_t)taken;
    *bytes += taken;
    *count -= taken;
    return DEFRAME_BYTES;
}

void deframe_unread(struct deframer *deframer, const uint8_t **bytes, size_t *count,
                    size_t unread)
{
    deframer->message_left += (uint32_t)unread;
    *bytes -= unread;
    *count += unread;
}

bool deframer_idle(const struct deframer *deframer)
{
    return !deframer->in_message && deframer->prefix_seen == 0;
}

void frame_prefix(uint8_t prefix[GRPC_PREFIX_BYTES], uint32_t length)
{
    prefix[0] = 0;
    prefix[1] = (uint8_t)(length >> 24);
    prefix[2] = (uint8_t)(length >> 16);
    prefix[3] = (uint8_t)(length >> 8);
    prefix[4] = (uint8_t)length;
}

/* ---- timeouts ---------------------------------------------------------------- */

enum { TIMEOUT_DIGITS_MAX = 8 };

static const struct timeout_unit {
    char letter;
    uint64_t ns;
} timeout_units[] = {
    {'n', 1},
    {'u', 1000},
    {'m', 1000000},
    {'S', 1000000000},
    {'M', 60 * UINT64_C(1000000000)},
    {'H', 3600 * UINT64_C(1000000000)},
};
enum { TIMEOUT_UNITS = sizeof(timeout_units) / sizeof(timeout_units[0]) };

int timeout_parse(const char *text, uint64_t *timeout_ns)
{
    uint64_t number = 0;
    size_t digits = 0;
    while (text[digits] >= '0' && text[digits] <= '9') {
        if (digits == TIMEOUT_DIGITS_MAX)
            return -1;
        number = 10 * number + (uint64_t)(text[digits++] - '0');
    }
    if (digits == 0 || text[digits] == '\0' || text[digits + 1] != '\0')
        return -1;
    for (size_t i = 0; i < TIMEOUT_UNITS; i++) {
        uint64_t ns = timeout_units[i].ns;
        if (timeout_units[i].letter != text[digits])
            continue;
        /* 99999999 hours exceed 2^64 ns, which are 584 years. Both mean: no deadline. */
        *timeout_ns = number > UINT64_MAX / ns ? UINT64_MAX : number * ns;
        return 0;
    }
    return -1;
}

void timeout_format(uint64_t timeout_ns, char text[TIMEOUT_TEXT_BYTES])
{
    const struct timeout_unit *unit = timeout_units;
    uint64_t number = timeout_ns;
    while (number > 99999999) { /* ends, because 2^64 ns are 5124096 hours */
        unit++;
        number = timeout_ns / unit->ns + (timeout_ns % unit->ns != 0);
    }
    snprintf(text, TIMEOUT_TEXT_BYTES, "%u%c", (unsigned)number, unit->letter);
}

/* ---- status texts -------------------------------------------------------------- */

static const char hex_digits[] = "0123456789ABCDEF";

/* Writes one byte, as it is or as an escape; returns the characters used. */
static size_t escape_byte(unsigned char byte, char out[3])
{
    if (byte >= 0x20 && byte <= 0x7E && byte != '%') {
        out[0] = (char)byte;
        return 1;
    }
    out[0] = '%';
    out[1] = hex_digits[byte >> 4];
    out[2] = hex_digits[byte & 15];
    return 3;
}

void message_escape(const char *text, char *out, size_t bytes)
{
    static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
    size_t at = 0, length;

    if (bytes == 0)
        return;
    for (; *text != '\0'; text += length) {
        char escaped[3 * UTF8_BYTES_MAX];
        uint32_t point;
        size_t used = 0;

        length = utf8_decode(text, UTF8_BYTES_MAX, &point);
        for (size_t i = 0; i < length; i++)
            used += escape_byte((unsigned char)text[i], escaped + used);
        for (size_t i = 0; length == 0 && replacement[i]; i++)
            used += escape_byte((unsigned char)replacement[i], escaped + used);
        if (bytes - 1 - at < used)
            break;
        memcpy(out + at, escaped, used);
        at += used;
        length += length == 0; /* a byte that is not UTF-8 */
    }
    out[at] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

void message_unescape(const char *text, char *out, size_t bytes)
{
    if (bytes == 0)
        return;
    size_t at = 0;
    while (*text != '\0' && at < bytes - 1) {
        int high = *text == '%' ? hex_value(text[1]) : -1;
        int low = high >= 0 ? hex_value(text[2]) : -1;
        if (low >= 0 && (high | low) != 0) { /* keeps %00, which would end the text */
            out[at++] = (char)(high << 4 | low);
            text += 3;
        } else {
            out[at++] = *text++;
        }
    }
    out[at] = '\0';
}

/* ---- statuses of the layers below -------------------------------------------------- */

/* gRPC's doc/http-grpc-status-mapping.md. */
enum trit_status status_from_http(int http_status)
{
    switch (http_status) {
    case 400:
    case 431: /* header fields too large */
        return TRIT_INTERNAL;
    case 401:
        return TRIT_UNAUTHENTICATED;
    case 403:
        return TRIT_PERMISSION_DENIED;
    case 404:
        return TRIT_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return TRIT_UNAVAILABLE;
    default:
        return TRIT_UNKNOWN;
    }
}

/* gRPC's doc/PROTOCOL-HTTP2.md, "Errors". */
enum trit_status status_from_h2(uint32_t error_code)
{
    switch (error_code) {
    case HTTP2_NO_ERROR:
    case HTTP2_PROTOCOL_ERROR:
    case HTTP2_INTERNAL_ERROR:
    case HTTP2_FLOW_CONTROL_ERROR:
    case HTTP2_SETTINGS_TIMEOUT:
    case HTTP2_STREAM_CLOSED: /* not in the document; as grpc-go maps it */
    case HTTP2_FRAME_SIZE_ERROR:
    case HTTP2_COMPRESSION_ERROR:
    case HTTP2_CONNECT_ERROR:
    case HTTP2_HTTP_1_1_REQUIRED: /* likewise */
        return TRIT_INTERNAL;
    case HTTP2_REFUSED_STREAM: /* not processed, safe to retry */
        return TRIT_UNAVAILABLE;
    case HTTP2_CANCEL:
        return TRIT_CANCELLED;
    case HTTP2_ENHANCE_YOUR_CALM:
        return TRIT_RESOURCE_EXHAUSTED;
    case HTTP2_INADEQUATE_SECURITY:
        return TRIT_PERMISSION_DENIED;
    default:
        return TRIT_UNKNOWN;
    }
}
