/* A call with one reply message; its request is one message, or a stream of them. */
#ifndef LIB_UNARY_H
#define LIB_UNARY_H

#include "client/lib/call.h"
#include "client/lib/reply.h"

/* Reads the small fields of the whole reply; the bytes are in their sinks. */
typedef int (*unary_decode)(void *result, const struct scan *reply,
                            struct failure *failure);

struct unary {
    struct outgoing request; /* borrowed until unary_run returns */
    /* Where the request is a stream, its messages; `rewind`: from the first again. */
    int (*next)(void *source, struct outgoing *message, struct failure *failure);
    void (*rewind)(void *source);
    void *source;
    struct reply reply;
    unary_decode decode;
    void *result;
};

/* Runs the call and releases the reply. Sinks are checked to be full. */
int unary_run(struct unary *unary, const char *path, const struct call *call,
              struct failure *failure);

#endif
