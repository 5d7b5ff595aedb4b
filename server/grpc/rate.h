/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that are too slow. What a call holds, it holds until its peer has sent the rest of
 * a message or has taken the replies, so both must go on at rate_bytes_min a second,
 * measured over rate_ms. */
#ifndef GRPC_RATE_H
#define GRPC_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct call;

enum rate_verdict {
    RATE_GOOD,
    RATE_SLOW_SENDER, /* inside a message, though the peer has credit */
    RATE_SLOW_READER, /* of replies */
};

/* When rate_check is due next. UINT64_MAX: never, the limit is off. */
uint64_t rate_due_ns(const struct call *call);

/* Call it when it is due; earlier it finds nothing. A peer is too slow if it was in every
 * part of a window: the message begun and the credit given, or the replies waiting. A
 * stream that has its turn among others of a connection that flows is not slow; one that
 * its own window holds up is. */
enum rate_verdict rate_check(struct call *call, uint64_t now_ns);

#endif
