/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/tls_pair.h"

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void refused(const struct tls_options *options, const char *field,
                    const char *words)
{
    struct tls_context *context = NULL;
    struct failure failure = {0};

    CHECK_EQ(tls_context_create(&context, TLS_SERVER, options, &failure), -1);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    CHECK_STR(failure.field, field);
    if (!strstr(failure.message, words))
        CHECK_STR(failure.message, words);
}

CASE(refuses, "a file that cannot be used is refused with its path and the reason")
{
    struct tls_files files;
    char junk[TLS_FILE_PATH_BYTES];

    tls_files_create(&files);
    snprintf(junk, sizeof(junk), "%.60s/junk", files.folder);
    write_text(junk, "junk\n");
    refused(&(struct tls_options){"/nowhere/a.pem", files.key, NULL}, "cert",
            "/nowhere/a.pem: No such file");
    refused(&(struct tls_options){files.cert, "/nowhere/b", NULL}, "key",
            "/nowhere/b: No such file");
    refused(&(struct tls_options){junk, files.key, NULL}, "cert",
            "not a PEM certificate chain");
    refused(&(struct tls_options){files.cert, junk, NULL}, "key", "not a PEM key");
    refused(&(struct tls_options){files.cert, files.client_key, NULL}, "key",
            "is not the key of the certificate");
    refused(&(struct tls_options){files.cert, files.key, junk}, "trust",
            "no PEM certificate of an authority");
    refused(&(struct tls_options){files.cert, files.key, files.folder}, "trust",
            files.folder);
    tls_files_destroy(&files);
}

CASE(reloads, "after a reload new sessions use the new certificate, old ones continue")
{
    const struct tls_wish wish = {.subject = "CN=new", .name = "new.example"};
    struct failure failure = {0};
    struct tls_pair pair;
    struct tls_end server, client;
    uint64_t expires;

    tls_pair_create(&pair);
    tls_pair_open(&pair, "localhost");
    tls_pair_handshake(&pair);
    expires = tls_context_expires(pair.server_context);
    CHECK(expires > (uint64_t)time(NULL));
    tls_files_issue(&pair.files, &pair.files.authority, "server", &wish, pair.files.cert,
                    pair.files.key);
    CHECK_EQ(tls_context_reload(pair.server_context, &failure), 0);

    tls_pair_send(&pair, &pair.client, &pair.server, (const uint8_t *)"old", 3);
    server = pair.server;
    client = pair.client;
    pair.server.session = pair.client.session = NULL;
    tls_pair_open(&pair, "new.example");
    tls_pair_handshake(&pair);
    CHECK_EQ(tls_state(pair.client.session), TLS_OPEN);
    tls_session_destroy(server.session);
    tls_session_destroy(client.session);
    tls_pair_destroy(&pair);
}

CASE(keeps, "a reload of a broken file fails, and the old certificate stays in use")
{
    struct failure failure = {0};
    struct tls_pair pair;

    tls_pair_create(&pair);
    write_text(pair.files.cert, "-----BEGIN CERTIFICATE-----\nAAAA\n");
    CHECK_EQ(tls_context_reload(pair.server_context, &failure), -1);
    CHECK(strstr(failure.message, pair.files.cert));
    tls_pair_open(&pair, "localhost");
    tls_pair_handshake(&pair);
    CHECK_EQ(tls_state(pair.client.session), TLS_OPEN);
    tls_pair_destroy(&pair);
}

CASE(memory, "if an allocation fails, creating the context fails and nothing leaks")
{
    struct tls_files files;

    tls_files_create(&files);
    for (uint64_t n = 1;; n++) {
        const struct tls_options options = {files.cert, files.key, files.authority.path};
        struct tls_context *context = NULL;
        struct failure failure = {0};
        int result;

        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        result = tls_context_create(&context, TLS_SERVER, &options, &failure);
        if (!fault_disarm()) {
            CHECK_EQ(result, 0);
            tls_context_destroy(context);
            break;
        }
        CHECK_EQ(result, -1);
        CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
    }
    tls_files_destroy(&files);
}
