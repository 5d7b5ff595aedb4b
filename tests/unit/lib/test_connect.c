/* SPDX-License-Identifier: Apache-2.0 */
/* Connecting to peers that never answer. */
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <trit.h>

#include "base/clock.h"
#include "client/lib/client.h"
#include "tests/lib/check.h"
#include "tests/lib/clock.h"
#include "tests/lib/fake_reply.h"
#include "tests/lib/fake_server.h"

/* ---- peers -------------------------------------------------------------------------- */

enum silence {
    UNIX_BACKLOG_FULL,
    TCP_BACKLOG_FULL,
    TLS_SILENT, /* connections are accepted, and nothing is said */
    HTTP2_SILENT,
    SILENCES,
};

struct peer {
    int listener;
    int filler; /* the connection that fills the backlog; -1: none */
    char path[64];
    char address[80];
};

/* A socket of the peer's kind that is connected to it. */
static int connect_to(const struct peer *peer)
{
    union {
        struct sockaddr any;
        struct sockaddr_un un;
        struct sockaddr_in in;
    } name;
    socklen_t bytes = sizeof(name);
    int fd;

    CHECK(getsockname(peer->listener, &name.any, &bytes) == 0);
    fd = socket(name.any.sa_family, SOCK_STREAM, 0);
    CHECK(fd >= 0 && connect(fd, &name.any, bytes) == 0);
    return fd;
}

static void listen_unix(struct peer *peer, int backlog)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    snprintf(peer->path, sizeof(peer->path), "/tmp/trit-connect-%d", (int)getpid());
    strcpy(name.sun_path, peer->path);
    unlink(peer->path);
    peer->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(peer->listener, (const struct sockaddr *)&name, sizeof(name)) == 0);
    CHECK(listen(peer->listener, backlog) == 0);
    snprintf(peer->address, sizeof(peer->address), "unix:%s", peer->path);
}

static void listen_tcp(struct peer *peer, int backlog)
{
    struct sockaddr_in name = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(name);

    peer->listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(peer->listener, (const struct sockaddr *)&name, sizeof(name)) == 0);
    CHECK(listen(peer->listener, backlog) == 0);
    CHECK(getsockname(peer->listener, (struct sockaddr *)&name, &bytes) == 0);
    snprintf(peer->address, sizeof(peer->address), "127.0.0.1:%u", ntohs(name.sin_port));
}

/* With a backlog of 0 one connection waits, and the next one does not get in. */
static void peer_start(struct peer *peer, enum silence silence)
{
    const bool full = silence == UNIX_BACKLOG_FULL || silence == TCP_BACKLOG_FULL;

    *peer = (struct peer){.filler = -1};
    (silence == UNIX_BACKLOG_FULL ? listen_unix : listen_tcp)(peer, full ? 0 : 16);
    if (full)
        peer->filler = connect_to(peer);
}

static void peer_stop(const struct peer *peer)
{
    close(peer->listener);
    if (peer->filler >= 0)
        close(peer->filler);
    if (peer->path[0])
        unlink(peer->path);
}

/* ---- a call to one --------------------------------------------------------------------- */

enum { TURNS = 3 }; /* calls of the progress callback */

struct fixture {
    struct peer peer;
    struct trit_client *client;
    struct trit_error error;
    enum trit_status status; /* of the call in a thread */
    int asked;               /* how often the progress callback was called */
    int cancels_at;          /* then it ends the call; 0: never */
    enum trit_wait waiting;  /* of the client */
    _Atomic bool cancels;    /* it ends the call now */
    sem_t waits;             /* posted when it is called */
};

static void start_client(struct fixture *f, const char *address, enum trit_tls tls)
{
    const struct trit_connect_options options = {.size = sizeof(options),
                                                 .address = address,
                                                 .tls = tls,
                                                 .wait_for_ready = f->waiting};

    f->error = (struct trit_error)TRIT_ERROR_INIT;
    sem_init(&f->waits, 0, 0);
    CHECK_EQ(trit_connect(&f->client, &options, &f->error), TRIT_OK);
}

static void start(struct fixture *f, enum silence silence)
{
    *f = (struct fixture){.client = NULL};
    peer_start(&f->peer, silence);
    start_client(f, f->peer.address, silence == TLS_SILENT ? TRIT_TLS_ON : TRIT_TLS_OFF);
}

static void stop(struct fixture *f)
{
    trit_close(f->client);
    peer_stop(&f->peer);
    sem_destroy(&f->waits);
}

/* Calls in a thread, and returns when the call waits. */
static void start_call(struct fixture *f, pthread_t *thread, void *(*call)(void *))
{
    CHECK(pthread_create(thread, NULL, call, f) == 0);
    for (int i = 0; i < TURNS; i++)
        sem_wait(&f->waits);
}

/* The time for connecting passes. */
static void pass_connect_time(void)
{
    clock_advance_ns((CONNECT_MS_MAX + 1) * UINT64_C(1000000));
}

static int progress(void *arg, uint64_t done, uint64_t total)
{
    struct fixture *f = arg;

    (void)done, (void)total;
    sem_post(&f->waits);
    return ++f->asked == f->cancels_at || f->cancels;
}

static enum trit_status ping(struct fixture *f, uint64_t timeout_ms)
{
    const struct trit_call_options options = {.size = sizeof(options),
                                              .timeout_ms = timeout_ms,
                                              .progress = progress,
                                              .progress_arg = f};
    bool serving;

    return trit_ping(f->client, NULL, &options, &serving, &f->error);
}

static void *ping_in_thread(void *arg)
{
    struct fixture *f = arg;

    f->status = ping(f, 0);
    for (int i = 0; i < TURNS; i++) /* nobody waits for a call that has ended */
        sem_post(&f->waits);
    return NULL;
}

/* Begins to close the client, and its second is over. */
static void close_begin(struct fixture *f)
{
    trit_close_begin(f->client);
    CHECK(f->client->closing_ns > clock_monotonic_ns() - CLOSE_MS * 1000000u);
    f->client->closing_ns = 1;
}

/* ---- cases: what ends it ---------------------------------------------------------------- */

CASE(cancelled, "the progress callback ends a call while it connects to a silent peer")
{
    for (enum silence silence = 0; silence < SILENCES; silence++) {
        struct fixture f;

        start(&f, silence);
        f.cancels_at = TURNS;
        if (ping(&f, 0) != TRIT_CANCELLED)
            check_failed(__FILE__, __LINE__, "peer %u: %s", silence, f.error.message);
        CHECK_EQ(f.asked, TURNS);
        stop(&f);
    }
}

CASE(late, "a deadline ends a call while it connects to a silent peer")
{
    for (enum silence silence = 0; silence < SILENCES; silence++) {
        struct fixture f;

        start(&f, silence);
        if (ping(&f, 50) != TRIT_DEADLINE_EXCEEDED)
            check_failed(__FILE__, __LINE__, "peer %u: %s", silence, f.error.message);
        stop(&f);
    }
}

CASE(closed, "after trit_close_begin no call waits for a connection any more")
{
    for (enum silence silence = 0; silence < SILENCES; silence++) {
        struct fixture f;
        pthread_t thread;

        start(&f, silence);
        start_call(&f, &thread, ping_in_thread);
        close_begin(&f);
        pthread_join(thread, NULL);
        CHECK_EQ(f.status, TRIT_CANCELLED);
        CHECK(strstr(f.error.message, "the client was closed while the call waited"));
        CHECK_EQ(ping(&f, 0), TRIT_CANCELLED);
        stop(&f);
    }
}

CASE(given_up, "a call without a deadline gives a silent peer up after 20 s")
{
    for (enum silence silence = 0; silence < SILENCES; silence++) {
        struct fixture f;
        pthread_t thread;

        start(&f, silence);
        start_call(&f, &thread, ping_in_thread);
        pass_connect_time();
        pthread_join(thread, NULL);
        CHECK_EQ(f.status, TRIT_UNAVAILABLE);
        if (!strstr(f.error.message, "within 20 s"))
            check_failed(__FILE__, __LINE__, "peer %u: %s", silence, f.error.message);
        stop(&f);
    }
}

CASE(waits_on, "with wait_for_ready it tries a peer that sent no settings again")
{
    struct fixture f = {.waiting = TRIT_WAIT_ON};
    pthread_t thread;
    int first, second;

    peer_start(&f.peer, HTTP2_SILENT);
    start_client(&f, f.peer.address, TRIT_TLS_OFF);
    CHECK(pthread_create(&thread, NULL, ping_in_thread, &f) == 0);
    first = accept(f.peer.listener, NULL, NULL);
    sem_wait(&f.waits);
    pass_connect_time();
    second = accept(f.peer.listener, NULL, NULL);
    CHECK(first >= 0 && second >= 0);
    f.cancels = true;
    pthread_join(thread, NULL);
    CHECK_EQ(f.status, TRIT_CANCELLED);
    close(first);
    close(second);
    stop(&f);
}

static void *delete_in_thread(void *arg)
{
    struct fixture *f = arg;
    const struct trit_call_options options = {
        .size = sizeof(options), .progress = progress, .progress_arg = f};

    f->status = trit_layer_delete(f->client, "fc", &options, &f->error);
    return NULL;
}

CASE(not_again, "a call that must not be repeated is not, though no settings came")
{
    struct fixture f = {.waiting = TRIT_WAIT_ON};
    pthread_t thread;

    peer_start(&f.peer, HTTP2_SILENT);
    start_client(&f, f.peer.address, TRIT_TLS_OFF);
    start_call(&f, &thread, delete_in_thread);
    pass_connect_time();
    pthread_join(thread, NULL);
    CHECK_EQ(f.status, TRIT_UNAVAILABLE);
    CHECK(strstr(f.error.message, "no HTTP/2 settings came within 20 s"));
    stop(&f);
}

CASE(running, "trit_close_begin leaves a call that has its connection alone")
{
    struct fake_act act = {.deed = FAKE_STALL};
    struct fake_server *server = fake_start(&act, 1);
    struct fake_request request;
    struct fixture f = {.client = NULL};
    pthread_t thread;

    start_client(&f, fake_address(server), TRIT_TLS_OFF);
    CHECK(pthread_create(&thread, NULL, ping_in_thread, &f) == 0);
    while (!fake_request(server, 0, &request))
        sem_wait(&f.waits);
    close_begin(&f);
    while (sem_trywait(&f.waits) == 0)
        continue;
    for (int i = 0; i < TURNS; i++)
        sem_wait(&f.waits);
    f.cancels = true;
    pthread_join(thread, NULL);
    CHECK_EQ(f.status, TRIT_CANCELLED);
    CHECK_STR(f.error.message, "cancelled by the caller");
    trit_close(f.client);
    sem_destroy(&f.waits);
    fake_stop(server);
}

/* ---- cases: what it waits for -------------------------------------------------------------- */

/* Steps until there is a connection, and ends. */
static void connects(struct connecting *connecting)
{
    struct failure failure = {.status = TRIT_OK};
    struct pollfd polls[CONNECT_SOCKETS_MAX];
    int fd = -1, result;

    while ((result = connect_step(connecting, &fd, &failure)) == 0)
        poll(polls, connect_polls(connecting, polls), CONNECT_BACKLOG_MS);
    if (result < 0)
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    close(fd);
    connect_end(connecting);
}

CASE(backlog, "a Unix socket whose backlog is full is connected to when it has room")
{
    struct failure failure = {.status = TRIT_OK};
    struct connecting connecting;
    struct address address;
    struct peer peer;
    int fd;

    peer_start(&peer, UNIX_BACKLOG_FULL);
    CHECK(address_parse(peer.address, &address, &failure) == 0);
    CHECK(connect_begin(&connecting, &address, 0, &failure) == 0);
    CHECK_EQ(connect_step(&connecting, &fd, &failure), 0);
    close(accept(peer.listener, NULL, NULL));
    connects(&connecting);
    peer_stop(&peer);
}

CASE(dead_address, "an address of a name that does not answer does not keep the next one")
{
    struct failure failure = {.status = TRIT_OK};
    struct connecting connecting;
    struct address address;
    struct peer dead, live;
    struct sockaddr_in name;
    struct addrinfo first = {.ai_family = AF_INET,
                             .ai_socktype = SOCK_STREAM,
                             .ai_addr = (struct sockaddr *)&name,
                             .ai_addrlen = sizeof(name)};
    socklen_t bytes = sizeof(name);
    int fd;

    peer_start(&dead, TCP_BACKLOG_FULL);
    peer_start(&live, HTTP2_SILENT);
    CHECK(getsockname(dead.listener, (struct sockaddr *)&name, &bytes) == 0);
    CHECK(address_parse(live.address, &address, &failure) == 0);
    CHECK(connect_begin(&connecting, &address, 0, &failure) == 0);
    first.ai_next = connecting.candidates;
    connecting.next = &first;
    CHECK_EQ(connect_step(&connecting, &fd, &failure), 0);
    CHECK(connecting.next == connecting.candidates);
    connects(&connecting);
    peer_stop(&live);
    peer_stop(&dead);
}

CASE(refused,
     "if all addresses refuse, the message names the address and the last reason")
{
    struct failure failure = {.status = TRIT_OK};
    struct connecting connecting;
    struct address address;
    struct peer peer;
    int fd, result;

    peer_start(&peer, HTTP2_SILENT);
    close(peer.listener);
    CHECK(address_parse(peer.address, &address, &failure) == 0);
    CHECK(connect_begin(&connecting, &address, 0, &failure) == 0);
    while ((result = connect_step(&connecting, &fd, &failure)) == 0)
        continue;
    CHECK_EQ(result, -1);
    CHECK_EQ(failure.status, TRIT_UNAVAILABLE);
    CHECK(strstr(failure.message, peer.address));
    CHECK(strstr(failure.message, "Connection refused"));
    connect_end(&connecting);
}
