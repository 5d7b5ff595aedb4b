/* SPDX-License-Identifier: Apache-2.0 */
/* TLS records through a session. The first byte chooses what is fed:
 *   even  the input itself, to a server that waits for a client's hello;
 *   odd   the records of a client after its handshake, changed as the input says. What
 *         the server delivers then must be a beginning of what the client sent.
 * The second byte chooses how the records are cut. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tls/tls.h"

enum { BUFFER_BYTES = 8 * TLS_RECORD_ROOM, MESSAGE_BYTES = 3000, MESSAGES = 5 };

static struct tls_context *server_context, *client_context;

static const char cert[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBhzCCASygAwIBAgIUGk6F0bmI25IodjdJ4q6jZveBSoMwCgYIKoZIzj0EAwIw\n"
    "DzENMAsGA1UEAwwEZnV6ejAgFw0yNjExMjgxMDExNDRaGA8yMTI2MTEwNDEwMTE0\n"
    "NFowDzENMAsGA1UEAwwEZnV6ejBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABPDb\n"
    "/3ef2V4/XCsiOFMIycPpmh/897+rhWkg15WLUX5lFn1TEezMHc6WEzX6CKP4bRVv\n"
    "tjYfYZzJvJURGRVuC0mjZDBiMB0GA1UdDgQWBBS6mzZlKqJp7mrPX5UkBiD1ZqR5\n"
    "CDAfBgNVHSMEGDAWgBS6mzZlKqJp7mrPX5UkBiD1ZqR5CDAPBgNVHRMBAf8EBTAD\n"
    "AQH/MA8GA1UdEQQIMAaCBGZ1enowCgYIKoZIzj0EAwIDSQAwRgIhANpwdl9Tla6/\n"
    "+1uNxtUfaNgCSr7C+UMJ2fVfjbQm/feJAiEAsKowZHzUmKfoLZtwM1/Lv2tDdROh\n"
    "eZT9TNk5xNtqQzA=\n"
    "-----END CERTIFICATE-----\n";

static const char key[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgtvMhC5KiFQIxKjsj\n"
    "7QA5eT/XEq2uX5yT6xhziWW2WjShRANCAATw2/93n9leP1wrIjhTCMnD6Zof/Pe/\n"
    "q4VpINeVi1F+ZRZ9UxHszB3OlhM1+gij+G0Vb7Y2H2GcybyVERkVbgtJ\n"
    "-----END PRIVATE KEY-----\n";

static void write_file(char path[], const char *text, size_t count)
{
    int fd = mkstemp(path);

    if (fd < 0 || write(fd, text, count) != (ssize_t)count || close(fd) != 0)
        abort();
}

static void make_contexts(void)
{
    char cert_path[] = "/tmp/fuzz_cert_XXXXXX", key_path[] = "/tmp/fuzz_key_XXXXXX";
    const struct tls_options server = {.cert = cert_path, .key = key_path};
    const struct tls_options client = {.trust = cert_path};
    struct failure failure = {0};

    write_file(cert_path, cert, sizeof(cert) - 1);
    write_file(key_path, key, sizeof(key) - 1);
    if (tls_context_create(&server_context, TLS_SERVER, &server, &failure) < 0 ||
        tls_context_create(&client_context, TLS_CLIENT, &client, &failure) < 0)
        abort();
    unlink(cert_path);
    unlink(key_path);
}

struct end {
    struct tls_session *session;
    struct tls_buffer out;
};

static void end_open(struct end *end, struct tls_context *context, const char *name)
{
    struct failure failure = {0};

    end->out = (struct tls_buffer){.bytes = malloc(BUFFER_BYTES), .size = BUFFER_BYTES};
    if (!end->out.bytes || tls_session_create(&end->session, context, name, &failure) < 0)
        abort();
}

static void end_close(struct end *end)
{
    tls_session_destroy(end->session);
    free(end->out.bytes);
}

static void expect(const uint8_t *bytes, size_t count, size_t at)
{
    for (size_t i = 0; i < count; i++)
        if (at + i >= MESSAGES * MESSAGE_BYTES || bytes[i] != (uint8_t)((at + i) * 7))
            abort();
}

/* Feeds in pieces of `cut`; `checked`: the plaintext is the client's. */
static void feed(struct end *end, const uint8_t *bytes, size_t count, size_t cut,
                 bool checked)
{
    size_t delivered = 0, got;
    const uint8_t *plain;

    for (size_t at = 0; at < count;) {
        size_t piece = count - at < cut ? count - at : cut;

        tls_feed(end->session, bytes + at, piece);
        tls_handshake(end->session, &end->out);
        while ((got = tls_read(end->session, &plain)) > 0) {
            if (checked)
                expect(plain, got, delivered);
            delivered += got;
        }
        tls_feed(end->session, NULL, 0);
        end->out.count = 0;
        at += piece;
    }
    if (tls_state(end->session) == TLS_FAILED && !tls_words(end->session)[0])
        abort();
    tls_shutdown(end->session, &end->out);
}

static void move(struct end *from, struct end *to)
{
    tls_feed(to->session, from->out.bytes, from->out.count);
    tls_handshake(to->session, &to->out);
    tls_feed(to->session, NULL, 0);
    from->out.count = 0;
}

static void shake_hands(struct end *client, struct end *server)
{
    tls_handshake(client->session, &client->out);
    while (tls_state(server->session) == TLS_HANDSHAKE) {
        move(client, server);
        if (tls_state(client->session) == TLS_HANDSHAKE)
            move(server, client);
    }
    if (tls_state(client->session) != TLS_OPEN || tls_state(server->session) != TLS_OPEN)
        abort();
}

static void send_messages(struct end *client)
{
    uint8_t message[MESSAGE_BYTES];

    for (size_t i = 0; i < MESSAGES; i++) {
        const struct iovec iov = {message, MESSAGE_BYTES};

        for (size_t at = 0; at < MESSAGE_BYTES; at++)
            message[at] = (uint8_t)((i * MESSAGE_BYTES + at) * 7);
        if (tls_write(client->session, &iov, 1, &client->out) != MESSAGE_BYTES)
            abort();
    }
}

/* Three bytes of input change one byte; the last one cuts the end off. */
static void change(struct tls_buffer *wire, const uint8_t *data, size_t size)
{
    for (; size >= 3; data += 3, size -= 3)
        wire->bytes[(data[0] | (size_t)data[1] << 8) % wire->count] ^= data[2];
    if (size > 0 && data[0] < wire->count)
        wire->count -= data[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct end server, client;
    size_t cut;

    if (!server_context)
        make_contexts();
    if (size < 2)
        return 0;
    cut = data[1] ? data[1] : SIZE_MAX;
    end_open(&server, server_context, NULL);
    if (data[0] % 2 == 0) {
        feed(&server, data + 2, size - 2, cut, false);
    } else {
        end_open(&client, client_context, "fuzz");
        shake_hands(&client, &server);
        send_messages(&client);
        change(&client.out, data + 2, size - 2);
        feed(&server, client.out.bytes, client.out.count, cut, true);
        end_close(&client);
    }
    end_close(&server);
    return 0;
}
