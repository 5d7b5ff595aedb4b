/* SPDX-License-Identifier: Apache-2.0 */
/* Runs exchanges to their end in the calling thread: takes channels, polls them, waits for
 * the daemon and repeats requests as far as the client's options say, and keeps the
 * deadline. */
#ifndef LIB_CALL_H
#define LIB_CALL_H

#include "client/lib/client.h"
#include "client/lib/exchange.h"

struct call {
    struct trit_client *client;
    uint64_t deadline_ns; /* monotonic; 0: none */
    uint64_t timeout_ms;
    trit_progress progress; /* may be NULL */
    void *progress_arg;
    bool wait_for_ready;
    struct retry_policy retry;
    uint64_t bytes_before; /* sent by earlier runs of the same call */
    uint64_t bytes_total;  /* of the caller's memory that the request sends */
    bool no_retry;         /* the caller wants none */
    bool not_retriable;    /* when the daemon may have begun; set it after call_init */
};

/* `options` is the caller's struct, or NULL; `field` names it. */
int call_init(struct call *call, struct trit_client *client, const char *field,
              const struct trit_call_options *options, uint64_t bytes_total,
              struct failure *failure);

/* Runs `count` exchanges (at most CONNECTIONS_MAX), as many at a time as there are
 * channels. 0: each succeeded. -1: one failed, with *failure, and the others are
 * cancelled. Afterwards no channel uses the exchanges. */
int call_run(const struct call *call, struct exchange *const *exchanges, size_t count,
             struct failure *failure);

/* call_run of one exchange that may never end: a watch, or the stream of a job. It counts among
 * the client's CLIENT_STREAMS_MAX. */
int call_run_stream(const struct call *call, struct exchange *exchange,
                    struct failure *failure);

#endif
