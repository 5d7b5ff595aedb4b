/* Runs exchanges to their end in the calling thread: takes channels, polls
 * them, retries what the daemon did not touch, keeps the deadline. */
#ifndef LIB_CALL_H
#define LIB_CALL_H

#include "client/lib/client.h"
#include "client/lib/exchange.h"

struct call {
    struct trit_client *client;
    uint64_t deadline_ns; /* monotonic; 0 = none */
    uint64_t timeout_ms;
    trit_progress progress; /* may be NULL */
    void *progress_arg;
    uint64_t bytes_total; /* of the caller's, to be sent */
    bool not_retriable;   /* when the daemon may have begun; set it after call_init */
};

/* `options` may be NULL. */
void call_init(struct call *call, struct trit_client *client,
               const struct trit_call_options *options, uint64_t bytes_total);

/* All `count` exchanges (at most CONNECTIONS_MAX), side by side as far as
 * channels are to be had. 0 when each of them succeeded; else -1 with the first
 * failure, the others cancelled. Nothing of the exchanges is in use afterwards. */
int call_run(const struct call *call, struct exchange *const *exchanges, size_t count,
             struct failure *failure);

#endif
