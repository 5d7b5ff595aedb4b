/* SPDX-License-Identifier: Apache-2.0 */
/* Connections over TLS. A client is a TLS session and a socket. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/check.h"
#include "tests/lib/loop.h"
#include "tests/lib/net_bench.h"
#include "tests/lib/tls_pair.h"

enum { WIRE_BYTES = 64 << 10 };

struct fixture {
    struct tls_pair tls;
    struct bench *bench;
    struct inbox inbox; /* what the client has read, as plaintext */
    struct tls_end *client;
    size_t cut; /* bytes of ciphertext in one send; 0: all */
};

static void fixture_open(struct fixture *fixture, const struct limits *limits,
                         const char *address)
{
    memset(fixture, 0, sizeof(*fixture));
    tls_pair_create(&fixture->tls);
    tls_pair_open(&fixture->tls, "localhost");
    fixture->client = &fixture->tls.client;
    fixture->bench = bench_create_secure(limits, fixture->tls.server_context);
    bench_listen(fixture->bench, address);
    inbox_init(&fixture->inbox, fixture->bench, client_connect(fixture->bench));
    bench_watch(fixture->bench, fixture->inbox.fd);
}

static void fixture_close(struct fixture *fixture)
{
    bench_unwatch(fixture->bench);
    inbox_fini(&fixture->inbox);
    bench_destroy(fixture->bench);
    tls_pair_destroy(&fixture->tls);
}

/* ---- the client's side ---- */

static void send_cipher(struct fixture *fixture)
{
    struct tls_buffer *out = &fixture->client->out;
    size_t at = 0;

    while (at < out->count) {
        size_t left = out->count - at;
        size_t piece = fixture->cut && fixture->cut < left ? fixture->cut : left;

        client_send(fixture->inbox.fd, out->bytes + at, piece);
        at += piece;
    }
    out->count = 0;
}

static void take_plain(struct fixture *fixture)
{
    struct inbox *inbox = &fixture->inbox;
    const uint8_t *bytes;
    size_t got;

    while ((got = tls_read(fixture->client->session, &bytes)) > 0) {
        CHECK(inbox->count + got <= inbox->capacity);
        memcpy(inbox->bytes + inbox->count, bytes, got);
        inbox->count += got;
    }
}

/* Moves what can be moved now. */
static void pump(struct fixture *fixture)
{
    struct tls_session *session = fixture->client->session;
    uint8_t wire[WIRE_BYTES];
    ssize_t got;

    if (tls_state(session) == TLS_HANDSHAKE)
        tls_handshake(session, &fixture->client->out);
    send_cipher(fixture);
    while ((got = recv(fixture->inbox.fd, wire, sizeof(wire), 0)) > 0) {
        tls_feed(session, wire, (size_t)got);
        tls_handshake(session, &fixture->client->out);
        take_plain(fixture);
        tls_feed(session, NULL, 0);
        send_cipher(fixture);
    }
    if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
        fixture->inbox.over = true;
}

static bool is_open(void *arg)
{
    struct fixture *fixture = arg;

    pump(fixture);
    return tls_state(fixture->client->session) != TLS_HANDSHAKE || fixture->inbox.over;
}

static bool is_over(void *arg)
{
    struct fixture *fixture = arg;

    pump(fixture);
    return fixture->inbox.over;
}

static bool has_trailers(void *arg)
{
    struct fixture *fixture = arg;

    pump(fixture);
    return inbox_frames(&fixture->inbox, 1, 1) > 0;
}

static void handshake(struct fixture *fixture)
{
    loop_run_until(fixture->bench->loop, is_open, fixture);
    CHECK_STR(tls_words(fixture->client->session), "");
    CHECK_EQ(tls_state(fixture->client->session), TLS_OPEN);
}

static void send_plain(struct fixture *fixture, const void *bytes, size_t count)
{
    const struct iovec iov = {(void *)(uintptr_t)bytes, count};

    CHECK_EQ(tls_write(fixture->client->session, &iov, 1, &fixture->client->out), count);
    send_cipher(fixture);
}

static void send_request(struct fixture *fixture)
{
    static const char hello[] = CLIENT_PREFACE "\0\0\6\4\0\0\0\0\0\0\4\x7f\xff\xff\xff"
                                               "\0\0\4\10\0\0\0\0\0\x7f\xff\0\0";
    uint8_t request[REQUEST_BYTES];

    client_request_frame(request, 1);
    send_plain(fixture, hello, sizeof(hello) - 1);
    send_plain(fixture, request, sizeof(request));
}

/* ---- cases ---- */

CASE(request, "a request over TLS is answered, and its owner knows the peer")
{
    const struct limits limits = limits_default();
    struct fixture f;

    fixture_open(&f, &limits, "127.0.0.1:0");
    handshake(&f);
    send_request(&f);
    loop_run_until(f.bench->loop, has_trailers, &f);
    CHECK(f.bench->peer.encrypted);
    CHECK(f.bench->peer.loopback);
    CHECK_STR(f.bench->peer.subject, "CN=rank 7,O=Trainers");
    CHECK_EQ(metric_get(f.bench->metrics, M_TLS_HANDSHAKES), 1);
    fixture_close(&f);
}

CASE(cut, "a client that sends its records byte by byte is understood")
{
    const struct limits limits = limits_default();
    struct fixture f;

    fixture_open(&f, &limits, "127.0.0.1:0");
    f.cut = 1;
    handshake(&f);
    send_request(&f);
    loop_run_until(f.bench->loop, has_trailers, &f);
    fixture_close(&f);
}

CASE(large_reply,
     "a large reply arrives whole, although the client reads slowly at first")
{
    const struct limits limits = limits_default();
    struct fixture f;

    fixture_open(&f, &limits, "127.0.0.1:0");
    f.bench->reply_bytes = 16 << 20;
    handshake(&f);
    send_request(&f);
    loop_run_until(f.bench->loop, bench_has_request, f.bench);
    loop_run_until(f.bench->loop, has_trailers, &f);
    CHECK_EQ(inbox_data(&f.inbox), 16 << 20);
    fixture_close(&f);
}

CASE(unix_plain, "a Unix socket stays plain")
{
    const struct limits limits = limits_default();
    char folder[] = "/tmp/trit_net_XXXXXX", address[64];
    struct fixture f;

    CHECK(mkdtemp(folder));
    snprintf(address, sizeof(address), "unix:%s/s", folder);
    fixture_open(&f, &limits, address);
    client_send_preface(f.inbox.fd);
    client_request(f.inbox.fd, 1);
    loop_run_until(f.bench->loop, inbox_has_trailers, &f.inbox);
    CHECK(!f.bench->peer.encrypted);
    CHECK(f.bench->peer.unix_socket);
    CHECK_EQ(f.bench->peer.uid, getuid());
    CHECK_EQ(f.bench->peer.pid, getpid());
    fixture_close(&f);
    rmdir(folder);
}

CASE(http1_without, "HTTP/1 without TLS is told that the port speaks TLS")
{
    const struct limits limits = limits_default();
    struct fixture f;

    fixture_open(&f, &limits, "127.0.0.1:0");
    client_send(f.inbox.fd, "GET / HTTP/1.1\r\n\r\n", 18);
    loop_run_until(f.bench->loop, inbox_is_over, &f.inbox);
    f.inbox.bytes[f.inbox.count] = '\0';
    CHECK(strncmp((char *)f.inbox.bytes, "HTTP/1.1 400 ", 13) == 0);
    CHECK(strstr((char *)f.inbox.bytes, "without TLS"));
    fixture_close(&f);
}

CASE(http2_without, "HTTP/2 without TLS gets a GOAWAY that says so")
{
    const struct limits limits = limits_default();
    struct fixture f;

    fixture_open(&f, &limits, "127.0.0.1:0");
    client_send_preface(f.inbox.fd);
    loop_run_until(f.bench->loop, inbox_is_over, &f.inbox);
    CHECK_EQ(inbox_frames(&f.inbox, 7, 0), 1);
    CHECK(memmem(f.inbox.bytes, f.inbox.count, "speaks TLS", 10));
    fixture_close(&f);
}

CASE(http1_over, "HTTP/1 over TLS gets its answer over TLS")
{
    const struct limits limits = limits_default();
    struct fixture f;

    fixture_open(&f, &limits, "127.0.0.1:0");
    handshake(&f);
    send_plain(&f, "GET / HTTP/1.1\r\n\r\n", 18);
    loop_run_until(f.bench->loop, is_over, &f);
    CHECK(memmem(f.inbox.bytes, f.inbox.count, "HTTP/1.1 426 ", 13));
    CHECK_EQ(tls_state(f.client->session), TLS_CLOSED);
    fixture_close(&f);
}

CASE(slow, "a handshake that does not go on ends with the time limit")
{
    struct limits limits = limits_default();
    struct fixture f;

    limits.handshake_ms_max = 20;
    fixture_open(&f, &limits, "127.0.0.1:0");
    client_send(f.inbox.fd, "\x16\x03\x01\x02", 4);
    loop_run_until(f.bench->loop, inbox_is_over, &f.inbox);
    bench_check_refusals(f.bench, "handshake_ms", 1);
    fixture_close(&f);
}

CASE(broken, "a handshake that goes wrong is counted, and answered by an alert")
{
    const struct limits limits = limits_default();
    struct fixture f;

    fixture_open(&f, &limits, "127.0.0.1:0");
    client_send(f.inbox.fd, "\x16\x03\x01\x00\x04\x01\x00\x00\x00", 9);
    loop_run_until(f.bench->loop, inbox_is_over, &f.inbox);
    CHECK(f.inbox.count >= 7);
    CHECK_EQ(f.inbox.bytes[0], 21);
    CHECK_EQ(metric_get(f.bench->metrics, M_TLS_FAILURES), 1);
    fixture_close(&f);
}

/* One byte of a handshake message in each record. */
static bool floods(void *arg)
{
    struct fixture *f = arg;
    static const uint8_t record[] = {22, 3, 1, 0, 1, 0};
    static const uint8_t first[] = {22, 3, 1, 0, 4, 1, 0, 0xff, 0xf0};

    if (f->cut++ == 0)
        send(f->inbox.fd, first, sizeof(first), MSG_NOSIGNAL);
    for (int i = 0; i < 1000; i++)
        send(f->inbox.fd, record, sizeof(record), MSG_NOSIGNAL);
    inbox_read(&f->inbox);
    return f->inbox.over;
}

CASE(oversized, "a handshake above its byte limit is refused and counted")
{
    const struct limits limits = limits_default();
    struct fixture f;

    fixture_open(&f, &limits, "127.0.0.1:0");
    loop_run_until(f.bench->loop, floods, &f);
    bench_check_refusals(f.bench, "tls_handshake_bytes", 1);
    fixture_close(&f);
}

CASE(stranger, "a client whose certificate does not verify makes no request")
{
    const struct tls_wish wish = {.subject = "CN=x", .client = 1};
    char cert[TLS_FILE_PATH_BYTES], key[TLS_FILE_PATH_BYTES];
    const struct limits limits = limits_default();
    struct fixture f;

    fixture_open(&f, &limits, "127.0.0.1:0");
    tls_files_issue(&f.tls.files, &f.tls.files.stranger, "x", &wish, cert, key);
    tls_context_destroy(f.tls.client_context);
    f.tls.client_context =
        tls_pair_context(TLS_CLIENT, cert, key, f.tls.files.authority.path);
    tls_pair_open(&f.tls, "localhost");
    handshake(&f);
    send_request(&f);
    loop_run_until(f.bench->loop, is_over, &f);
    CHECK_EQ(f.bench->requests, 0);
    CHECK_EQ(metric_get(f.bench->metrics, M_TLS_FAILURES), 1);
    fixture_close(&f);
}
