/* SPDX-License-Identifier: Apache-2.0 */
/* A server session (h2) that counts its requests and is fed with raw frames. */
#ifndef TESTS_LIB_CROWD_H
#define TESTS_LIB_CROWD_H

#include <nghttp2/nghttp2.h>

#include "base/limits.h"
#include "h2/session.h"

enum { NO_FRAME = -1 };

enum crowd_answers { ANSWERS_NEVER, ANSWERS_AT_END, ANSWERS_EARLY };

struct crowd {
    enum crowd_answers answers;
    struct h2_events events;
    struct limits limits;
    struct h2_session *session;
    size_t requests, closed, body_bytes;
    size_t malformed;
    char path[20], why[100]; /* of the last malformed one */
    uint8_t output[65536];
    size_t output_bytes;
    struct failure failure;
    int result;
};

/* The preface and empty SETTINGS. */
#define HELLO "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"

struct crowd *crowd_create(void);

/* Checks that each request was closed once. */
void crowd_destroy(struct crowd *crowd);

/* Nothing is fed after a failure. */
void crowd_feed(struct crowd *crowd, const void *bytes, size_t count);

/* Takes all output; keeps the first 64 KiB. */
void crowd_take(struct crowd *crowd);

/* For h2_create. */
void crowd_wake(void *waker);

/* The error code of the last GOAWAY, or of the last RST_STREAM of a stream, that was
 * sent; NO_FRAME. */
int64_t goaway_code(const struct crowd *crowd);
int64_t reset_code(const struct crowd *crowd, uint32_t stream);

/* A frame with `payload`; at most 100 bytes in all. */
size_t frame(uint8_t *at, uint8_t type, uint8_t flags, uint32_t stream,
             const char *payload, size_t bytes);

/* POST http://h/x */
size_t headers_frame(uint8_t *at, uint32_t stream, uint8_t flags);

#endif
