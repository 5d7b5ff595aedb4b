/* SPDX-License-Identifier: Apache-2.0 */
/* Runs exchanges to their end in the calling thread: takes channels, polls them, waits for
 * the daemon and repeats requests as far as the client's options say, and keeps the
 * deadline. */
#ifndef LIB_CALL_H
#define LIB_CALL_H

#include "client/lib/call_terms.h"
#include "client/lib/exchange.h"

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
