/* SPDX-License-Identifier: Apache-2.0 */
/* A call with one reply message. Its request is one message or a stream of messages. */
#ifndef LIB_UNARY_H
#define LIB_UNARY_H

#include "client/lib/call.h"
#include "client/lib/reply.h"

/* Decodes the small fields of the complete reply; its blobs are in their sinks. */
typedef int (*unary_decode)(void *result, const struct scan *reply,
                            struct failure *failure);

struct unary {
    struct outgoing request; /* borrowed until unary_run returns */
    /* For a stream: returns the next message; `rewind` starts again at the first. */
    int (*next)(void *source, struct outgoing *message, struct failure *failure);
    void (*rewind)(void *source);
    void *source;
    /* For a stream whose reply has messages before the last one: 1: this is such a message.
     * NULL: there are none. */
    int (*interim)(void *source, const struct scan *message, struct failure *failure);
    struct reply reply;
    unary_decode decode;
    void *result;
    bool begun;   /* the request was asked for: a daemon may have got some of it */
    bool settled; /* after unary_run: the daemon has ended each attempt that it began */
};

/* Prepares the exchange of a call that is run together with others. */
void unary_init(struct unary *unary, const char *path, struct exchange *exchange);

/* Runs the call, checks that the sinks are full, and releases the reply. */
int unary_run(struct unary *unary, const char *path, const struct call *call,
              struct failure *failure);

#endif
