/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of gRPC over HTTP/2 that are only text and bytes: message prefixes,
 * timeouts, status texts. The functions are pure and do not allocate. */
#ifndef PROTO_FRAMING_H
#define PROTO_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trit/types.h"

enum { GRPC_PREFIX_BYTES = 5 };

/* Cuts a stream of bytes into messages, however the bytes arrive. */
struct deframer {
    uint8_t prefix[GRPC_PREFIX_BYTES];
    uint32_t prefix_seen;
    uint32_t message_left; /* bytes of the current message still to come */
    bool in_message;
};

enum deframe_event {
    DEFRAME_MORE,    /* all input consumed, nothing complete */
    DEFRAME_MESSAGE, /* a prefix was read: `length`, `compressed` */
    DEFRAME_BYTES,   /* `bytes`/`count` of the current message (borrowed) */
    DEFRAME_END,     /* the current message is complete */
};

struct deframed {
    uint32_t length;
    bool compressed;
    bool reserved; /* the prefix has a flag that gRPC does not define */
    const uint8_t *bytes;
    size_t count;
};

void deframer_init(struct deframer *deframer);

/* Consumes bytes, advances *bytes and *count, and returns what it found. Call it until
 * it returns DEFRAME_MORE. A message of length 0 gives DEFRAME_MESSAGE, then
 * DEFRAME_END. */
enum deframe_event deframe(struct deframer *deframer, const uint8_t **bytes,
                           size_t *count, struct deframed *out);

/* Gives back the last `unread` bytes that a DEFRAME_BYTES took. */
void deframe_unread(struct deframer *deframer, const uint8_t **bytes, size_t *count,
                    size_t unread);

/* True between two messages, where a stream may end. */
bool deframer_idle(const struct deframer *deframer);

void frame_prefix(uint8_t prefix[GRPC_PREFIX_BYTES], uint32_t length);

/* grpc-timeout: at most 8 digits and a unit (H M S m u n). -1: malformed. */
int timeout_parse(const char *text, uint64_t *timeout_ns);
/* Rounds up to a value that 8 digits can hold. */
enum { TIMEOUT_TEXT_BYTES = 10 };
void timeout_format(uint64_t timeout_ns, char text[TIMEOUT_TEXT_BYTES]);

/* For grpc-message: percent-encodes all bytes except 0x20-0x24 and 0x26-0x7E. A byte that
 * is not UTF-8 becomes U+FFFD. Writes at most `bytes` - 1 bytes and a NUL, and never a
 * part of a character. */
void message_escape(const char *text, char *out, size_t bytes);
/* Keeps invalid escapes as they are. */
void message_unescape(const char *text, char *out, size_t bytes);

/* HTTP/2's error codes (RFC 9113, 7), for modules that do not see nghttp2. */
enum http2_code {
    HTTP2_NO_ERROR = 0x0,
    HTTP2_PROTOCOL_ERROR = 0x1,
    HTTP2_INTERNAL_ERROR = 0x2,
    HTTP2_FLOW_CONTROL_ERROR = 0x3,
    HTTP2_SETTINGS_TIMEOUT = 0x4,
    HTTP2_STREAM_CLOSED = 0x5,
    HTTP2_FRAME_SIZE_ERROR = 0x6,
    HTTP2_REFUSED_STREAM = 0x7,
    HTTP2_CANCEL = 0x8,
    HTTP2_COMPRESSION_ERROR = 0x9,
    HTTP2_CONNECT_ERROR = 0xa,
    HTTP2_ENHANCE_YOUR_CALM = 0xb,
    HTTP2_INADEQUATE_SECURITY = 0xc,
    HTTP2_HTTP_1_1_REQUIRED = 0xd,
};

/* The gRPC status that a client derives from an HTTP status without grpc-status, and
 * from the HTTP/2 error code that ended a stream. */
enum trit_status status_from_http(int http_status);
enum trit_status status_from_h2(uint32_t error_code);

#endif
