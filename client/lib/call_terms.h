/* SPDX-License-Identifier: Apache-2.0 */
/* What a call was told: its client, deadline, progress callback, and when it is tried again. */
#ifndef LIB_CALL_TERMS_H
#define LIB_CALL_TERMS_H

#include "client/lib/client.h"

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

#endif
