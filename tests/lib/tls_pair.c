/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/tls_pair.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"

enum { OUT_BYTES = 256 << 10 };

struct tls_context *tls_pair_context(enum tls_role role, const char *cert,
                                     const char *key, const char *trust)
{
    const struct tls_options options = {.cert = cert, .key = key, .trust = trust};
    struct failure failure = {0};
    struct tls_context *context = NULL;

    tls_context_create(&context, role, &options, &failure);
    CHECK_STR(failure.message, "");
    return context;
}

static void end_create(struct tls_end *end)
{
    *end = (struct tls_end){.out = {.bytes = malloc(OUT_BYTES), .size = OUT_BYTES}};
    CHECK(end->out.bytes);
}

void tls_pair_create(struct tls_pair *pair)
{
    const struct tls_files *files = &pair->files;

    memset(pair, 0, sizeof(*pair));
    tls_files_create(&pair->files);
    pair->server_context =
        tls_pair_context(TLS_SERVER, files->cert, files->key, files->authority.path);
    pair->client_context = tls_pair_context(TLS_CLIENT, files->client_cert,
                                            files->client_key, files->authority.path);
    end_create(&pair->server);
    end_create(&pair->client);
}

static void end_destroy(struct tls_end *end)
{
    tls_session_destroy(end->session);
    free(end->out.bytes);
}

void tls_pair_destroy(struct tls_pair *pair)
{
    end_destroy(&pair->server);
    end_destroy(&pair->client);
    tls_context_destroy(pair->server_context);
    tls_context_destroy(pair->client_context);
    tls_files_destroy(&pair->files);
}

static void end_open(struct tls_end *end, struct tls_context *context, const char *name)
{
    struct failure failure = {0};

    tls_session_destroy(end->session);
    end->session = NULL;
    end->out.count = 0;
    CHECK_EQ(tls_session_create(&end->session, context, name, &failure), 0);
}

void tls_pair_open(struct tls_pair *pair, const char *server_name)
{
    end_open(&pair->server, pair->server_context, NULL);
    end_open(&pair->client, pair->client_context, server_name);
}

/* Gives `to` the ciphertext, cut as the pair says; calls step after each piece. */
static void feed(struct tls_pair *pair, struct tls_end *from, struct tls_end *to,
                 void (*step)(struct tls_end *end, void *arg), void *arg)
{
    size_t count = from->out.count, at = 0;
    uint8_t *bytes = malloc(count + 1);

    CHECK(bytes);
    memcpy(bytes, from->out.bytes, count);
    from->out.count = 0;
    while (at < count) {
        size_t piece = pair->cut && pair->cut < count - at ? pair->cut : count - at;

        tls_feed(to->session, bytes + at, piece);
        step(to, arg);
        at += piece;
    }
    tls_feed(to->session, NULL, 0);
    free(bytes);
}

static void step_handshake(struct tls_end *end, void *arg)
{
    (void)arg;
    tls_handshake(end->session, &end->out);
    if (tls_state(end->session) == TLS_FAILED)
        tls_shutdown(end->session, &end->out);
}

void tls_pair_handshake(struct tls_pair *pair)
{
    step_handshake(&pair->client, NULL);
    while (pair->client.out.count > 0 || pair->server.out.count > 0) {
        if (tls_state(pair->server.session) == TLS_HANDSHAKE)
            feed(pair, &pair->client, &pair->server, step_handshake, NULL);
        else
            break;
        if (tls_state(pair->client.session) == TLS_HANDSHAKE)
            feed(pair, &pair->server, &pair->client, step_handshake, NULL);
    }
}

struct plain {
    uint8_t *bytes;
    size_t count, room;
};

static void step_read(struct tls_end *end, void *arg)
{
    struct plain *plain = arg;
    const uint8_t *bytes;
    size_t got;

    while ((got = tls_read(end->session, &bytes)) > 0) {
        if (plain->count + got > plain->room) {
            plain->room = 2 * (plain->count + got);
            plain->bytes = realloc(plain->bytes, plain->room);
            CHECK(plain->bytes);
        }
        memcpy(plain->bytes + plain->count, bytes, got);
        plain->count += got;
    }
}

uint8_t *tls_pair_deliver(struct tls_pair *pair, struct tls_end *from, struct tls_end *to,
                          size_t *count)
{
    struct plain plain = {.bytes = malloc(1)};

    feed(pair, from, to, step_read, &plain);
    *count = plain.count;
    return plain.bytes;
}

void tls_pair_send(struct tls_pair *pair, struct tls_end *from, struct tls_end *to,
                   const uint8_t *bytes, size_t count)
{
    size_t at = 0;

    while (at < count) {
        struct iovec iov = {(void *)(uintptr_t)(bytes + at), count - at};
        ssize_t taken = tls_write(from->session, &iov, 1, &from->out);
        size_t got;
        uint8_t *plain;

        CHECK(taken > 0);
        plain = tls_pair_deliver(pair, from, to, &got);
        CHECK_EQ(got, (size_t)taken);
        CHECK_MEM(plain, bytes + at, got);
        free(plain);
        at += (size_t)taken;
    }
}
