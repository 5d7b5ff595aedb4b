/* SPDX-License-Identifier: Apache-2.0 */
/* The gRPC part of one stream: it gives out messages, takes headers, bytes and trailers,
 * and ends with a status. It knows no nghttp2 and no socket: a channel, or a test,
 * moves the bytes.
 *
 * Words. *Exchange*: one attempt at one call on one stream. *Owner*: the method that
 * gives the messages and takes the reply (`struct exchange_ops`).
 *
 *     IDLE --exchange_start--> OPEN --trailers, reset, loss, refusal--> DONE
 *       ^--------------------------exchange_rewind-----------------------'  */
#ifndef LIB_EXCHANGE_H
#define LIB_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/status.h"
#include "proto/framing.h"

enum {
    MESSAGE_SLICES_MAX = 6,
    DETAILS_TEXT_BYTES_MAX = 8192, /* grpc-status-details-bin, base64 */
};

/* A message to send, without its gRPC prefix, as borrowed slices. A slice shorter than
 * EXCHANGE_COPY_BYTES_MAX is copied when it is sent, so a head must stay valid only
 * until the next message is asked for. The caller's own bytes stay valid until the call
 * ends. */
enum { EXCHANGE_COPY_BYTES_MAX = 4096 };
struct outgoing {
    struct iovec slices[MESSAGE_SLICES_MAX];
    size_t count;
    uint32_t payload; /* bit i: slices[i] counts as progress */
    uint64_t shared;  /* bytes in shared memory, which count as progress too */
    bool last;        /* the last one of the request */
};
void outgoing_head(struct outgoing *message, const uint8_t *bytes, size_t count);
void outgoing_payload(struct outgoing *message, const void *bytes, uint64_t count);

/* What a method does. Each function returns 0, or -1 with *failure filled, which ends
 * the exchange. All calls come on one thread: next()* for the request, and meanwhile
 * (message(), bytes()*, end())* for the reply; finish() after status OK. next() may return
 * EXCHANGE_PAUSED instead: there is no message before more of the reply has come. */
enum { EXCHANGE_PAUSED = 1 };
struct exchange_ops {
    int (*next)(void *owner, struct outgoing *message, struct failure *failure);
    int (*message)(void *owner, uint32_t length, struct failure *failure);
    int (*bytes)(void *owner, const uint8_t *bytes, size_t count,
                 struct failure *failure);
    int (*end)(void *owner, struct failure *failure);
    /* A field of the response's headers. A NUL follows the value. NULL: not wanted. */
    void (*header)(void *owner, const char *name, const char *value, size_t value_len);
    int (*finish)(void *owner,
                  struct failure *failure); /* checks that the reply is complete */
    void (*rewind)(void *owner);            /* starts again before the first next() */
    /* Whether it can start again after a part of the reply was taken. NULL: always. */
    bool (*may_rewind)(const void *owner);
    bool
        resumes; /* a rewound exchange goes on where the last one ended: no attempt is lost */
};

enum exchange_state { EXCHANGE_IDLE, EXCHANGE_OPEN, EXCHANGE_DONE };

struct exchange {
    const char *path; /* "/trit.v1.Ternary/Project"; borrowed */
    const struct exchange_ops *ops;
    void *owner;
    uint32_t previous_attempts; /* at the same call; the call sets it after a rewind */

    /* Only exchange.c changes the fields below. */
    enum exchange_state state;
    struct failure failure; /* in state DONE; status TRIT_OK: the call succeeded */
    bool response_started;  /* a part of a response has arrived */
    bool unprocessed;       /* the peer has said that it did nothing */
    bool has_pushback;      /* the peer has said when to try again: */
    int64_t pushback_ms;    /* negative: never */
    bool asked_all;         /* the last outgoing message was given */
    bool paused;            /* no message is ready; the channel asks again */
    uint64_t
        payload_bytes; /* of slices that count as progress; the channel has taken them */

    struct outgoing message;
    uint8_t prefix[GRPC_PREFIX_BYTES];
    uint64_t message_left;  /* of `message`, with its prefix */
    size_t slice, slice_at; /* the position in it; slice 0 is the prefix */

    int http_status;
    bool is_grpc; /* the response's content-type says so */
    bool has_status;
    uint32_t grpc_status;
    char content_type[64];
    char text[TRIT_MESSAGE_BYTES_MAX + 1];
    char details[DETAILS_TEXT_BYTES_MAX + 1];
    struct deframer deframer;
};

void exchange_init(struct exchange *exchange, const char *path,
                   const struct exchange_ops *ops, void *owner);
/* Whether nothing of a reply has gone where it cannot be taken back. */
bool exchange_may_rewind(const struct exchange *exchange);
/* Prepares another attempt. */
void exchange_rewind(struct exchange *exchange);
void exchange_start(struct exchange *exchange);

/* ---- request ---- */

/* How many bytes can be taken now, at most `max`. *last: the request ends with them. 0
 * without *last: the exchange has failed. */
size_t exchange_available(struct exchange *exchange, size_t max, bool *last);
/* Takes the next of these bytes: at most `max`, from one slice. */
struct iovec exchange_take(struct exchange *exchange, size_t max);

/* ---- response ---- */

/* `final`: the headers end the stream (trailers, or Trailers-Only). */
void exchange_header(struct exchange *exchange, const char *name, const char *value,
                     size_t value_len, bool final);
void exchange_data(struct exchange *exchange, const uint8_t *bytes, size_t count);
/* The peer ended the stream. */
void exchange_ended(struct exchange *exchange);
/* The peer reset the stream, or its GOAWAY excludes it. */
void exchange_reset(struct exchange *exchange, uint32_t h2_code);
/* Ends the exchange: the connection is lost, the deadline has passed, or the call is
 * cancelled. Only the first failure counts. */
void exchange_abort(struct exchange *exchange, const struct failure *failure);

#endif
