/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP/2 connection to the daemon, with one exchange at a time. It belongs to the
 * call that took it from the pool; only one thread at a time uses it. No other part of
 * libtrit uses nghttp2. It never blocks: its owner polls.
 *
 *     channel_open -> channel_connect* -> (channel_begin -> channel_step* -> channel_release)*
 *     -> channel_close */
#ifndef LIB_CHANNEL_H
#define LIB_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "client/lib/connect.h"
#include "client/lib/exchange.h"
#include "client/lib/secure.h"

struct channel;

enum {
    CHANNEL_FRAME_BYTES_MAX = 256 << 10, /* of a DATA frame, either way */
    CHANNEL_POLLS_MAX = CONNECT_SOCKETS_MAX,
};

/* Begins to connect; plain if `secure` has no context. Both must outlive the channel. NULL:
 * *failure has UNAVAILABLE or RESOURCE_EXHAUSTED (out of memory). */
struct channel *channel_open(const struct address *address, const struct secure *secure,
                             uint64_t deadline_ns, struct failure *failure);
/* Goes on with it. 1: an exchange may begin. 0: not yet; poll. -1: UNAVAILABLE,
 * DEADLINE_EXCEEDED or RESOURCE_EXHAUSTED; close it. */
int channel_connect(struct channel *channel, struct failure *failure);
/* Sends GOAWAY if the socket takes it immediately, and closes. NULL is harmless. */
void channel_close(struct channel *channel);
/* Closes the descriptor and sends nothing: in a forked child the connection is the
 * parent's. */
void channel_abandon(struct channel *channel);

/* True when an idle channel can carry another exchange. Reads what arrived meanwhile
 * (a GOAWAY, the end of the connection) without waiting. */
bool channel_usable(struct channel *channel);

/* Submits the request of an IDLE exchange, with the time left until `deadline_ns` as
 * its grpc-timeout. channel_step moves the bytes. `authorization`: the value of that
 * header, "" for none. Where others could read it on its way, nothing is submitted, and
 * the exchange fails with FAILED_PRECONDITION. */
void channel_begin(struct channel *channel, struct exchange *exchange,
                   uint64_t deadline_ns, const char *authorization);

/* What to poll for: at most CHANNEL_POLLS_MAX entries. And when a channel that connects, or
 * waits for settings, has something to do, if nothing happens before; UINT64_MAX: never. */
size_t channel_polls(const struct channel *channel, struct pollfd *polls);
uint64_t channel_wake_ns(const struct channel *channel);

/* Writes and reads what the socket allows now. Afterwards the exchange may be DONE; a
 * lost connection ends it with UNAVAILABLE. */
void channel_step(struct channel *channel);

/* Whether the daemon has sent its HTTP/2 settings. If it has not when the time for connecting
 * (CONNECT_MS_MAX) is over, the connection is lost, and the channel is silent. */
bool channel_is_settled(const struct channel *channel);
bool channel_is_silent(const struct channel *channel);

/* Bytes taken from the exchange that the kernel has not accepted yet. */
uint64_t channel_queued_bytes(const struct channel *channel);

/* Gives the exchange back, and resets the stream when it is still open (CANCEL, or
 * NO_ERROR when the reply came before the end of the request). True: the channel can
 * carry another exchange. False: close it, because its queue may still point to the
 * caller's memory. */
bool channel_release(struct channel *channel);

#endif
