/* SPDX-License-Identifier: Apache-2.0 */
/* A client: the daemon's address, the options, the connections. */
#ifndef LIB_CLIENT_H
#define LIB_CLIENT_H

#include <trit.h>

#include <stdatomic.h>

#include "client/lib/buffer.h"
#include "client/lib/pool.h"
#include "client/lib/retry.h"
#include "client/lib/shared.h"
#include "client/lib/sized.h"
#include "client/lib/token.h"

enum {
    CLOSE_MS = 1000, /* that calls have for a connection after trit_close_begin */
    CONNECTIONS_DEFAULT = 2,
    CONNECTIONS_MAX = 16, /* of one split transfer */
    STREAM_BYTES_MIN_DEFAULT = 4 << 20,
    /* A tensor of this size is always streamed, because it does not fit in one
     * message. */
    UNARY_BYTES_MAX = 1 << 30,
    MESSAGE_BYTES_MAX_DEFAULT = 1 << 30,
};

struct trit_client {
    struct pool pool;
    struct token token;
    struct shared shared;
    struct buffers buffers;
    uint64_t timeout_ms; /* 0 = none */
    struct retry_policy retry;
    struct throttle throttle;
    bool wait_for_ready;
    /* trit_close_begin: from then on no call waits for a connection; 0: not called. */
    _Atomic uint64_t closing_ns;
    uint32_t connections;
    uint64_t stream_bytes_min;
    uint64_t message_bytes_max;
    /* The daemon is of a version whose Layers.Forward takes no shared memory. */
    _Atomic bool forward_sends_bytes;
    _Atomic uint32_t streams; /* watches and jobs that run now: each keeps a connection */
};

/* Watches and streams of jobs of a client, together; RESOURCE_EXHAUSTED. The other connections
 * are for calls that end. */
enum { CLIENT_STREAMS_MAX = CHANNELS_MAX - IDLE_CHANNELS_MAX };

/* The first check of a call: the client is not NULL, and `error` (or NULL) can be written
 * to. */
int client_check(const struct trit_client *client, const struct trit_error *error,
                 struct failure *failure);
int error_check(const struct trit_error *error, struct failure *failure);

/* INVALID_ARGUMENT: `wait` is not a value of its enum. */
int wait_check(const char *field, enum trit_wait wait, struct failure *failure);

/* Copies the failure, or success, to the caller's `error`, which may be NULL. Leaves an
 * error of an impossible size alone. */
enum trit_status client_answer(const struct failure *failure, struct trit_error *error);

#endif
