/* One HTTP/2 connection to the daemon, carrying one exchange at a time. It
 * belongs to whoever took it from the pool; no two threads touch it at once.
 * The only part of libtrit that knows nghttp2. Never blocks: its owner polls.
 *
 *     channel_open -> (channel_begin -> channel_step* -> channel_settle)* ->
 * channel_close */
#ifndef LIB_CHANNEL_H
#define LIB_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "client/lib/address.h"
#include "client/lib/exchange.h"

struct channel;

/* Connects. NULL with *failure filled: UNAVAILABLE, DEADLINE_EXCEEDED, or
 * RESOURCE_EXHAUSTED for lack of memory. */
struct channel *channel_open(const struct address *address, uint64_t deadline_ns,
                             struct failure *failure);
/* Says good-bye where the socket takes it at once. NULL is harmless. */
void channel_close(struct channel *channel);
/* Closes the socket without a word: in a forked child it is the parent's. */
void channel_abandon(struct channel *channel);

/* True while an idle channel can carry another exchange: reads what came since
 * (a GOAWAY, the connection's end) without waiting. */
bool channel_usable(struct channel *channel);

/* Sends the request of *exchange (idle) with what is left until `deadline_ns`
 * as its grpc-timeout. Bytes move in channel_step. */
void channel_begin(struct channel *channel, struct exchange *exchange,
                   uint64_t deadline_ns);

int channel_fd(const struct channel *channel);
short channel_events(const struct channel *channel); /* POLLIN, POLLOUT */

/* Moves what can be moved now. The exchange may be DONE afterwards; a lost
 * connection ends it with UNAVAILABLE. */
void channel_step(struct channel *channel);

/* Payload taken from the exchange that the kernel has not accepted yet. */
uint64_t channel_queued_bytes(const struct channel *channel);

/* Lets go of the exchange, resetting the stream where it is still open
 * (CANCEL, or NO_ERROR where the reply came before the request's end). True:
 * clean, fit for the next exchange. False: close it; nothing of the caller's
 * memory may stay behind in its queue. */
bool channel_settle(struct channel *channel);

#endif
