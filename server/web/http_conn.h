/* SPDX-License-Identifier: Apache-2.0 */
/* One client connection of the HTTP port. It collects the head of a request, gives it to
 * the engine (the HTTP library) over a socket pair, and passes the reply on. So the
 * library never meets a slow client, a request that is not whole, or one above the
 * bounds, and every refusal is our own document.
 *
 *   READING --head is whole--> ANSWERING --reply passed on--> READING (keep-alive)
 *      |                           |                     `--> LINGERING --> CLOSED
 *      +--bad head, deadline--> REFUSING --document sent--------^
 *                       ANSWERING --the reply is a stream--> STREAMING --> CLOSED
 *
 * The deadline is of the whole request: from its first byte to the last of its reply.
 * Everything runs on the web's thread. */
#ifndef WEB_HTTP_CONN_H
#define WEB_HTTP_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/peer.h"
#include "base/states.h"
#include "base/status.h"
#include "web/head.h"
#include "web/http_io.h"
#include "web/network.h"

enum http_state {
    HTTP_READING,
    HTTP_ANSWERING,
    HTTP_REFUSING,
    HTTP_STREAMING, /* server-sent events (http_stream.h) */
    HTTP_LINGERING, /* all is sent: waits until the client has read it */
    HTTP_CLOSED,
    HTTP_STATES,
};
extern const struct states http_states;

enum { HTTP_OUT_BYTES = 16 << 10, HTTP_LINGER_MS = 2000 };

struct limits;
struct log;
struct metrics;

struct http_shared { /* what all connections share; borrowed */
    const struct limits *limits;
    struct metrics *metrics;
    struct log *log;
    struct tls_context *tls; /* NULL: plain HTTP */
    /* Gives the engine its end of a socket pair, which it closes. -1: it takes none. */
    int (*give)(void *engine, int fd);
    /* No descriptor is left: frees some of those that are kept for probes. */
    bool (*need_descriptors)(void *front);
    void *engine, *front;
};

/* Each changes when its pages do: with each report, and with what is shown of jobs. */
struct http_versions {
    uint64_t reports, jobs;
};

struct http_conn {
    struct list link;
    const struct http_shared *shared;
    struct http_io io;
    int ours, theirs; /* the ends of the socket pair; -1: the engine has no request */
    unsigned state;   /* enum http_state */
    bool reserved;    /* beyond the bound: only probes and metrics are answered */
    bool borrowed;    /* uses descriptors that are kept for probes */
    bool replied;     /* the engine's reply is ours, not a page of the library */
    bool ended;       /* the engine has written the whole reply */
    bool last;        /* the connection closes after this reply */
    bool bodiless;    /* the request is HEAD */
    bool streams;     /* the reply is a stream of events */
    size_t route;     /* index in routes; SIZE_MAX: none */
    bool passed;      /* bytes of the reply have gone out */
    struct ip ip;
    struct peer peer;
    uint64_t deadline_ns;
    struct http_versions versions; /* of a stream: what was told last */
    uint64_t beat_ns;              /* when it says something */
    struct head head;
    size_t in_count, out_at, out_count;
    char in[HTTP_HEAD_BYTES_MAX + 2], out[HTTP_OUT_BYTES];
};

/* Takes the descriptor of a connected client. NULL: out of memory; it is closed. */
struct http_conn *http_conn_create(const struct http_shared *shared, int fd,
                                   const struct ip *ip, const struct peer *peer,
                                   uint64_t now_ns);
void http_conn_destroy(struct http_conn *conn);

/* What to poll its two descriptors for. */
short http_conn_client_events(const struct http_conn *conn);
short http_conn_engine_events(const struct http_conn *conn);

/* Moves what can be moved. `revents` is what poll said of the client's descriptor. */
void http_conn_step(struct http_conn *conn, short revents, uint64_t now_ns);

/* Answers with an error document and closes. Counts and logs it. */
void http_conn_refuse(struct http_conn *conn, unsigned http_status,
                      const struct failure *failure);

/* The deadline has passed. */
void http_conn_expire(struct http_conn *conn);

#endif
