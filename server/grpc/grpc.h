/* SPDX-License-Identifier: Apache-2.0 */
/* A gRPC server core over HTTP/2 streams. It is given a table of methods and serves
 * them; it knows nothing of what they mean. README.md shows how to put a service of
 * your own on it.
 *
 * Words. *Call*: one RPC on one stream (call.h). *Method*: a row of the table
 * (method.h). *Service*: what the methods of a table share; grpc hands its pointer
 * through. Everything here runs on the loop's thread. */
#ifndef GRPC_GRPC_H
#define GRPC_GRPC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/limits.h"
#include "base/status.h"

struct grpc;
struct h2_events;
struct log;
struct mailbox;
struct method;
struct metrics;
struct peer;
struct timers;

struct grpc_config {             /* everything is borrowed for the life of the grpc */
    const struct limits *limits; /* message_bytes_max, memory_bytes_max, idle_ms_max */
    struct timers *timers;
    /* Of the loop: carries to calls what other threads did for them. NULL: that of the one
     * who did it. */
    struct mailbox *mailbox;
    struct metrics *metrics;             /* NULL: nothing is counted */
    struct log *log;                     /* NULL: nothing is logged */
    const struct method *const *methods; /* the index in it is the metrics' method id */
    size_t method_count;
    void *service; /* call->service */
    /* Called when a call begins or ends, so that the service brings its gauges up to
     * date; may be NULL. */
    void (*observe)(void *service);
    /* Asked once for each request, before a call is created, with the value of its
     * authorization header or NULL. -1 refuses the request with *failure. `caller`, of
     * CALLER_NAME_BYTES and empty, may get a name for the log. NULL: every request is
     * allowed. */
    int (*authorize)(void *arg, const struct method *method, const struct peer *peer,
                     const char *authorization, char *caller, struct failure *failure);
    void *authorize_arg;
};

/* RESOURCE_EXHAUSTED: no memory. */
int grpc_create(struct grpc **grpc, const struct grpc_config *config,
                struct failure *failure);

/* The events of h2 streams; their owner is the grpc. */
const struct h2_events *grpc_events(void);

/* From now on grpc_draining returns true, which a health service can report. Running
 * calls go on, and new ones are accepted. */
void grpc_drain(struct grpc *grpc);
bool grpc_draining(const struct grpc *grpc);

/* After grpc_drain: calls that would last as long as their client, such as watches, have to
 * end. Their methods ask grpc_finishing, in `notice` and when a call begins. */
void grpc_finish(struct grpc *grpc);
bool grpc_finishing(const struct grpc *grpc);

/* The time of the drain is over: calls that are still open end as UNAVAILABLE. `grpc` is the
 * owner of the events (net_config.cut). */
void grpc_cut(void *grpc);

/* Calls method->notice of each call whose method has one: a state that it shows to its
 * peer may have changed. grpc_drain and grpc_finish do it too. */
void grpc_notify(struct grpc *grpc);

/* `idle` is called once, on the loop, when no call is left. This may be later than the
 * end of the last session, because jobs of calls may still run then. */
void grpc_on_idle(struct grpc *grpc, void (*idle)(void *arg), void *arg);

/* After idle. NULL is harmless. */
void grpc_destroy(struct grpc *grpc);

#endif
