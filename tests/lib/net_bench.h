/* SPDX-License-Identifier: Apache-2.0 */
/* A net on its own loop, an owner that answers every request, and clients: plain
 * sockets that send prepared HTTP/2 frames. Both ends run in one thread; the
 * kernel's backlog and socket buffers hold what the other end has not read. */
#ifndef TESTS_LIB_NET_BENCH_H
#define TESTS_LIB_NET_BENCH_H

#include "base/limits.h"
#include "base/peer.h"
#include "h2/session.h"
#include "net/listener.h"
#include "obs/metrics.h"

struct uv_poll_s;

struct bench {
    struct uv_loop_s *loop;
    struct timers *timers;
    struct limits limits;
    struct metrics *metrics;
    struct h2_events events;
    struct net_config config;
    struct net *net;
    char bound[128];
    size_t requests, closed, reply_bytes;
    bool hold; /* requests are kept unanswered */
    bool drained;
    struct uv_poll_s *watch; /* see bench_watch */
    struct peer peer;        /* of the last request */
    struct h2_stream *held[16];
    size_t held_count;
    struct bench *first;     /* the loop, timers, metrics and group are its; NULL: own */
    struct net_group *group; /* NULL: the net is alone */
    struct mailbox *mailbox;
};

struct bench *bench_create(const struct limits *limits);
/* The same, listening and with one request held; its client has wide windows. */
struct inbox;
struct bench *bench_create_holding(const struct limits *limits, struct inbox *inbox);
struct bench *bench_create_secure(const struct limits *limits, struct tls_context *tls);
/* The first net of a group of two, which listens, and the other one. Both have one loop.
 * Destroy the other one before. */
struct bench *bench_create_group(const struct limits *limits);
struct bench *bench_create_other(struct bench *first);
/* Listens; the address in use is in bench->bound. */
void bench_listen(struct bench *bench, const char *address);

/* Wakes the loop while there is input at a client's socket, until bench_unwatch, which
 * must come before the socket is closed. */
void bench_watch(struct bench *bench, int fd);
void bench_unwatch(struct bench *bench);

/* Answers a request that was held. */
void bench_answer(struct bench *bench, struct h2_stream *stream);

/* For net_drain() and loop_run_until(). */
void bench_on_drained(void *arg);
bool bench_is_drained(void *arg);

/* Aborts the net unless it has ended, and frees everything. */
void bench_destroy(struct bench *bench);

/* ---- clients ---- */

#define CLIENT_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

/* A connected, non-blocking socket. */
int client_connect(const struct bench *bench);
void client_send(int fd, const void *bytes, size_t count);

/* Sends the preface and empty SETTINGS. */
void client_send_preface(int fd);

/* The same, with windows of 2^31-1 bytes for a large answer. */
void client_send_preface_wide(int fd);

enum { REQUEST_BYTES = 18 };

/* POST http://h/x on stream `id`, END_STREAM set. */
void client_request_frame(uint8_t at[REQUEST_BYTES], uint32_t id);
void client_request(int fd, uint32_t id);

/* What a client has read; frames are counted by type. */
struct inbox {
    struct bench *bench;
    int fd;
    size_t wanted; /* see inbox_has_data */
    uint8_t *bytes;
    size_t count, capacity;
    bool over; /* end of input, or a reset */
};

void inbox_init(struct inbox *inbox, struct bench *bench, int fd);
void inbox_fini(struct inbox *inbox);
void inbox_read(struct inbox *inbox);

/* Whole frames of `type` (and, unless 0, with one of `flags`). */
size_t inbox_frames(const struct inbox *inbox, uint8_t type, uint8_t flags);

/* Bytes of DATA, of whole frames. */
size_t inbox_data(const struct inbox *inbox);
bool inbox_is_over(void *arg);

/* HEADERS with END_STREAM. */
bool inbox_has_trailers(void *arg);
bool inbox_has_goaway(void *arg);
bool inbox_has_two_goaways(void *arg);

/* Answers the PINGs that have come; `ack` gets the bytes of the last answer. */
enum { PING_BYTES = 17 };
void inbox_answer_ping(struct inbox *inbox, uint8_t ack[PING_BYTES]);
bool bench_has_request(void *arg);

/* Checks how often a limit was hit, by its metric. */
void bench_check_refusals(struct bench *bench, const char *limit, unsigned count);

#endif
