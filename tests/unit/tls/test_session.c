/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/tls_pair.h"

enum { LARGE = 1 << 20 };

static uint8_t *random_bytes(size_t count)
{
    uint64_t state = check_seed();
    uint8_t *bytes = malloc(count);

    CHECK(bytes);
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)check_random(&state);
    return bytes;
}

static void check_open(const struct tls_pair *pair)
{
    CHECK_STR(tls_words(pair->server.session), "");
    CHECK_STR(tls_words(pair->client.session), "");
    CHECK_EQ(tls_state(pair->server.session), TLS_OPEN);
    CHECK_EQ(tls_state(pair->client.session), TLS_OPEN);
}

CASE(carries, "after the handshake bytes go both ways")
{
    uint8_t *bytes = random_bytes(LARGE);
    struct tls_pair pair;

    tls_pair_create(&pair);
    tls_pair_open(&pair, "localhost");
    tls_pair_handshake(&pair);
    check_open(&pair);
    tls_pair_send(&pair, &pair.client, &pair.server, bytes, LARGE);
    tls_pair_send(&pair, &pair.server, &pair.client, bytes, LARGE);
    tls_pair_destroy(&pair);
    free(bytes);
}

CASE(cut_anywhere, "records may be cut anywhere, in the handshake and in the data")
{
    static const size_t cuts[] = {1, 2, 3, 5, 7, 100, 16406};
    uint8_t *bytes = random_bytes(40000);
    struct tls_pair pair;

    tls_pair_create(&pair);
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        pair.cut = cuts[i];
        tls_pair_open(&pair, "localhost");
        tls_pair_handshake(&pair);
        check_open(&pair);
        tls_pair_send(&pair, &pair.client, &pair.server, bytes, 40000);
        tls_pair_send(&pair, &pair.server, &pair.client, bytes, 40000);
    }
    tls_pair_destroy(&pair);
    free(bytes);
}

CASE(slices, "slices of any size are joined into records and arrive in order")
{
    uint8_t *bytes = random_bytes(200000), *plain;
    struct iovec iov[12];
    struct tls_pair pair;
    uint64_t state = check_seed();
    size_t at = 0, got;

    tls_pair_create(&pair);
    tls_pair_open(&pair, "localhost");
    tls_pair_handshake(&pair);
    for (size_t i = 0; i < 12; i++) {
        size_t size = i % 3 == 0 ? 9 : (size_t)(check_random(&state) % 24000);

        iov[i] = (struct iovec){bytes + at, size};
        at += size;
    }
    CHECK_EQ(tls_write(pair.server.session, iov, 12, &pair.server.out), at);
    plain = tls_pair_deliver(&pair, &pair.server, &pair.client, &got);
    CHECK_EQ(got, at);
    CHECK_MEM(plain, bytes, at);
    free(plain);
    tls_pair_destroy(&pair);
    free(bytes);
}

CASE(space, "a write accepts only as much as the buffer has space for")
{
    uint8_t *bytes = random_bytes(3 * TLS_RECORD_BYTES_MAX);
    struct iovec iov = {bytes, 3 * TLS_RECORD_BYTES_MAX};
    struct tls_pair pair;

    tls_pair_create(&pair);
    tls_pair_open(&pair, "localhost");
    tls_pair_handshake(&pair);
    pair.server.out.count = 0;
    pair.server.out.size = TLS_RECORD_ROOM - 1;
    CHECK_EQ(tls_write(pair.server.session, &iov, 1, &pair.server.out), 0);
    pair.server.out.size = TLS_RECORD_ROOM;
    CHECK_EQ(tls_write(pair.server.session, &iov, 1, &pair.server.out),
             TLS_RECORD_BYTES_MAX);
    CHECK_EQ(tls_write(pair.server.session, &iov, 1, &pair.server.out), 0);
    tls_pair_destroy(&pair);
    free(bytes);
}

CASE(ends, "close_notify ends the other side's input, but not its output")
{
    struct tls_pair pair;
    size_t got;

    tls_pair_create(&pair);
    tls_pair_open(&pair, "localhost");
    tls_pair_handshake(&pair);
    tls_shutdown(pair.client.session, &pair.client.out);
    free(tls_pair_deliver(&pair, &pair.client, &pair.server, &got));
    CHECK_EQ(got, 0);
    CHECK_EQ(tls_state(pair.server.session), TLS_CLOSED);
    tls_pair_send(&pair, &pair.server, &pair.client, (const uint8_t *)"bye", 3);
    tls_pair_destroy(&pair);
}

CASE(subject, "the server learns the subject of the client's certificate")
{
    struct tls_pair pair;

    tls_pair_create(&pair);
    tls_pair_open(&pair, "localhost");
    tls_pair_handshake(&pair);
    CHECK_STR(tls_subject(pair.server.session), "CN=rank 7,O=Trainers");
    CHECK_STR(tls_subject(pair.client.session), "");
    tls_pair_destroy(&pair);
}

/* Handshakes with the client's context of these files. */
static void with_client(struct tls_pair *pair, const char *cert, const char *key,
                        const char *trust, const char *name)
{
    tls_context_destroy(pair->client_context);
    pair->client_context = tls_pair_context(TLS_CLIENT, cert, key, trust);
    tls_pair_open(pair, name);
    tls_pair_handshake(pair);
}

CASE(anonymous, "a client without a certificate is accepted, with no subject")
{
    struct tls_pair pair;

    tls_pair_create(&pair);
    with_client(&pair, NULL, NULL, pair.files.authority.path, "localhost");
    check_open(&pair);
    CHECK_STR(tls_subject(pair.server.session), "");
    tls_pair_destroy(&pair);
}

static void refused_client(struct tls_pair *pair, const struct tls_authority *by,
                           const struct tls_wish *wish, const char *words)
{
    char cert[TLS_FILE_PATH_BYTES], key[TLS_FILE_PATH_BYTES];

    tls_files_issue(&pair->files, by, "refused", wish, cert, key);
    with_client(pair, cert, key, pair->files.authority.path, "localhost");
    CHECK_EQ(tls_state(pair->server.session), TLS_FAILED);
    if (!strstr(tls_words(pair->server.session), words))
        CHECK_STR(tls_words(pair->server.session), words);
    CHECK_STR(tls_subject(pair->server.session), "");
}

CASE(bad_clients, "a client's bad certificate fails the handshake with a reason")
{
    const struct tls_wish good = {.subject = "CN=x", .client = 1};
    const struct tls_wish expired = {
        .subject = "CN=x", .client = 1, .from = -86400, .until = -3600};
    const struct tls_wish early = {.subject = "CN=x", .client = 1, .from = 3600};
    const struct tls_wish nameless = {.subject = "", .client = 1};
    const struct tls_wish server = {.subject = "CN=x"};
    char long_name[700] = "";
    struct tls_wish wordy = {.subject = long_name, .client = 1};
    struct tls_pair pair;

    for (int i = 0; i < 12; i++)
        snprintf(long_name + strlen(long_name), sizeof(long_name) - strlen(long_name),
                 "%sOU=%050d", i ? "," : "", i);
    tls_pair_create(&pair);
    refused_client(&pair, &pair.files.stranger, &good,
                   "issuer is unknown: \"CN=stranger\"");
    refused_client(&pair, &pair.files.authority, &expired, "has expired");
    refused_client(&pair, &pair.files.authority, &early, "not valid yet");
    refused_client(&pair, &pair.files.authority, &nameless, "subject is empty");
    refused_client(&pair, &pair.files.authority, &server, "not for this purpose");
    refused_client(&pair, &pair.files.authority, &wordy, "more than 511 bytes");
    tls_pair_destroy(&pair);
}

CASE(client_hears, "a refused client learns the reason from the server's alert")
{
    const struct tls_wish wish = {.subject = "CN=x", .client = 1};
    char cert[TLS_FILE_PATH_BYTES], key[TLS_FILE_PATH_BYTES];
    struct tls_pair pair;
    size_t got;

    tls_pair_create(&pair);
    tls_files_issue(&pair.files, &pair.files.stranger, "other", &wish, cert, key);
    with_client(&pair, cert, key, pair.files.authority.path, "localhost");
    free(tls_pair_deliver(&pair, &pair.server, &pair.client, &got));
    CHECK_EQ(tls_state(pair.client.session), TLS_FAILED);
    CHECK(strstr(tls_words(pair.client.session), "certificate"));
    tls_pair_destroy(&pair);
}

static void refused_server(struct tls_pair *pair, const struct tls_authority *by,
                           const struct tls_wish *wish, const char *name,
                           const char *words)
{
    char cert[TLS_FILE_PATH_BYTES], key[TLS_FILE_PATH_BYTES];

    tls_files_issue(&pair->files, by, "server2", wish, cert, key);
    tls_context_destroy(pair->server_context);
    pair->server_context = tls_pair_context(TLS_SERVER, cert, key, NULL);
    tls_pair_open(pair, name);
    tls_pair_handshake(pair);
    CHECK_EQ(tls_state(pair->client.session), TLS_FAILED);
    if (!strstr(tls_words(pair->client.session), words))
        CHECK_STR(tls_words(pair->client.session), words);
}

CASE(bad_servers, "a client refuses a server's bad certificate and says why")
{
    const struct tls_wish good = {.subject = "CN=x", .name = "localhost"};
    const struct tls_wish expired = {
        .subject = "CN=x", .name = "localhost", .from = -86400, .until = -3600};
    struct tls_pair pair;

    tls_pair_create(&pair);
    refused_server(&pair, &pair.files.authority, &good, "example.org",
                   "is for localhost, 127.0.0.1, not for \"example.org\"");
    refused_server(&pair, &pair.files.authority, &expired, "localhost", "has expired");
    refused_server(&pair, &pair.files.stranger, &good, "localhost", "issuer is unknown");
    tls_pair_destroy(&pair);
}

CASE(address, "a certificate can be for an IP address")
{
    struct tls_pair pair;

    tls_pair_create(&pair);
    tls_pair_open(&pair, "127.0.0.1");
    tls_pair_handshake(&pair);
    check_open(&pair);
    tls_pair_destroy(&pair);
}

CASE(not_tls, "bytes that are not TLS fail the handshake")
{
    static const uint8_t bytes[] = "\x16\x03\x01\xff\xffGET / HTTP/1.1\r\n\r\n";
    struct tls_pair pair;

    tls_pair_create(&pair);
    tls_pair_open(&pair, "localhost");
    tls_feed(pair.server.session, bytes, sizeof(bytes));
    CHECK_EQ(tls_handshake(pair.server.session, &pair.server.out), TLS_FAILED);
    CHECK(tls_words(pair.server.session)[0]);
    tls_pair_destroy(&pair);
}

CASE(oversized, "a handshake above its byte limit fails")
{
    const struct tls_wish wish = {.subject = "CN=x", .client = 1, .large = 50000};
    char cert[TLS_FILE_PATH_BYTES], key[TLS_FILE_PATH_BYTES];
    struct tls_pair pair;

    tls_pair_create(&pair);
    tls_files_issue(&pair.files, &pair.files.authority, "large", &wish, cert, key);
    with_client(&pair, cert, key, pair.files.authority.path, "localhost");
    check_open(&pair);
    tls_pair_destroy(&pair);

    tls_pair_create(&pair);
    tls_pair_open(&pair, "localhost");
    for (int i = 0; i < 100000 && tls_state(pair.server.session) == TLS_HANDSHAKE; i++) {
        static const uint8_t warning[] = {21, 3, 1, 0, 2, 1, 90}; /* user_canceled */

        tls_feed(pair.server.session, warning, sizeof(warning));
        tls_handshake(pair.server.session, &pair.server.out);
    }
    CHECK_EQ(tls_state(pair.server.session), TLS_FAILED);
    tls_pair_destroy(&pair);
}

CASE(damaged, "a byte that changes in transit fails the session")
{
    struct iovec iov = {(void *)(uintptr_t) "hello", 5};
    struct tls_pair pair;
    size_t got;

    tls_pair_create(&pair);
    tls_pair_open(&pair, "localhost");
    tls_pair_handshake(&pair);
    CHECK_EQ(tls_write(pair.client.session, &iov, 1, &pair.client.out), 5);
    pair.client.out.bytes[pair.client.out.count - 1] ^= 1;
    free(tls_pair_deliver(&pair, &pair.client, &pair.server, &got));
    CHECK_EQ(got, 0);
    CHECK_EQ(tls_state(pair.server.session), TLS_FAILED);
    tls_pair_destroy(&pair);
}

CASE(memory, "if an allocation fails, creating the session fails and nothing leaks")
{
    struct tls_pair pair;

    tls_pair_create(&pair);
    for (uint64_t n = 1;; n++) {
        struct tls_session *session = NULL;
        struct failure failure = {0};
        int result;

        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        result = tls_session_create(&session, pair.client_context, "localhost", &failure);
        if (!fault_disarm()) {
            CHECK_EQ(result, 0);
            tls_session_destroy(session);
            break;
        }
        CHECK_EQ(result, -1);
        CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
    }
    tls_pair_destroy(&pair);
}
