/* One gRPC call as the caller of HTTP/2 sees it: messages go out, headers,
 * bytes and trailers come in, a status comes of it. Knows no nghttp2 and no
 * socket: the channel feeds it; tests can.
 *
 * Words. *Exchange*: one attempt at one call on one stream. *Owner*: the method
 * that gives the messages and takes the reply (`struct exchange_ops`).
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

/* A message to send, without its gRPC prefix, as borrowed slices. What is
 * shorter than EXCHANGE_COPY_BYTES_MAX is copied when it is sent, so heads need
 * to live only until the next message is asked for; the caller's own bytes live
 * until the call ends. */
enum { EXCHANGE_COPY_BYTES_MAX = 4096 };
struct outgoing {
    struct iovec slices[MESSAGE_SLICES_MAX];
    size_t count;
    uint32_t payload; /* bit i: slices[i] counts for the caller's progress */
    bool last;        /* the request ends with it */
};
void outgoing_head(struct outgoing *message, const uint8_t *bytes, size_t count);
void outgoing_payload(struct outgoing *message, const void *bytes, uint64_t count);

/* What a method does. Everything returns 0, or -1 with *failure filled: the
 * exchange is then over with it. Called in this order on one thread:
 * next*, and beside it (message, bytes*, end)*, then finish after status OK. */
struct exchange_ops {
    int (*next)(void *owner, struct outgoing *message, struct failure *failure);
    int (*message)(void *owner, uint32_t length, struct failure *failure);
    int (*bytes)(void *owner, const uint8_t *bytes, size_t count,
                 struct failure *failure);
    int (*end)(void *owner, struct failure *failure);
    int (*finish)(void *owner, struct failure *failure); /* is the reply whole? */
    void (*rewind)(void *owner);                         /* as before the first next */
};

enum exchange_state { EXCHANGE_IDLE, EXCHANGE_OPEN, EXCHANGE_DONE };

struct exchange {
    const char *path; /* "/trit.v1.Ternary/Project"; borrowed */
    const struct exchange_ops *ops;
    void *owner;

    /* The rest is the exchange's own. */
    enum exchange_state state;
    struct failure failure; /* status TRIT_OK in state DONE: the call succeeded */
    bool response_started;  /* a part of a response has arrived */
    bool unprocessed;       /* the peer has said that it did nothing */
    bool asked_all;         /* the last outgoing message was given */
    uint64_t payload_bytes; /* of the caller's, taken by the channel */

    struct outgoing message;
    uint8_t prefix[GRPC_PREFIX_BYTES];
    uint64_t message_left;  /* of `message`, prefix included */
    size_t slice, slice_at; /* where in it; slice 0 is the prefix */

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
/* Ready for another attempt. */
void exchange_rewind(struct exchange *exchange);
void exchange_start(struct exchange *exchange);

/* ---- request ---- */

/* How many bytes can be taken now, up to `max`; *last tells whether the request
 * ends with them. 0 with *last unset: the exchange has failed. */
size_t exchange_available(struct exchange *exchange, size_t max, bool *last);
/* The next of the bytes promised: at most `max` from one slice. */
struct iovec exchange_take(struct exchange *exchange, size_t max);

/* ---- response ---- */

/* `final`: of the headers that end the stream (trailers, or Trailers-Only). */
void exchange_header(struct exchange *exchange, const char *name, const char *value,
                     size_t value_len, bool final);
void exchange_data(struct exchange *exchange, const uint8_t *bytes, size_t count);
/* The peer ended the stream. */
void exchange_ended(struct exchange *exchange);
/* The stream was reset, by the peer or by its GOAWAY. */
void exchange_reset(struct exchange *exchange, uint32_t h2_code);
/* It cannot go on: lost connection, deadline, cancellation. The first counts. */
void exchange_abort(struct exchange *exchange, const struct failure *failure);

#endif
