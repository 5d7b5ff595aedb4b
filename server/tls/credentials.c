/* SPDX-License-Identifier: Apache-2.0 */
/* Reads certificate, key and authorities, checks them, and names the file at fault. */
#include <errno.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

#include "tls/impl.h"

/* RFC 9113, 9.2.2: HTTP/2 needs AEAD and ephemeral keys. AES-128 comes first: it is the
 * fastest one, and as safe. */
static const char priorities[] =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:"
    "-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:-MAC-ALL:+AEAD:-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1:"
    "%SERVER_PRECEDENCE";

static int no_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory for TLS");
}

static int load(gnutls_datum_t *content, const char *path, const char *field,
                struct failure *failure)
{
    int code;

    errno = 0;
    code = gnutls_load_file(path, content);
    if (code == GNUTLS_E_MEMORY_ERROR)
        return no_memory(failure);
    if (code < 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, field, "%s: %s", path,
                    errno ? strerror(errno) : "cannot be read");
    return 0;
}

/* The file at fault: the certificate is tried alone first. */
static int read_expiry(struct tls_credentials *credentials, const char *path,
                       const gnutls_datum_t *pem, struct failure *failure)
{
    enum { CHAIN_MAX = 16 };
    gnutls_x509_crt_t chain[CHAIN_MAX];
    unsigned count = CHAIN_MAX;
    int code = gnutls_x509_crt_list_import(chain, &count, pem, GNUTLS_X509_FMT_PEM,
                                           GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
    time_t expires;

    if (code == GNUTLS_E_MEMORY_ERROR)
        return no_memory(failure);
    if (code < 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "cert",
                    "%s: not a PEM certificate chain: %s", path, gnutls_strerror(code));
    expires = gnutls_x509_crt_get_expiration_time(chain[0]);
    credentials->expires = expires > 0 ? (uint64_t)expires : 0;
    for (unsigned i = 0; i < count; i++)
        gnutls_x509_crt_deinit(chain[i]);
    return 0;
}

static int set_pair(struct tls_credentials *credentials,
                    const struct tls_context *context, const gnutls_datum_t *cert,
                    const gnutls_datum_t *key, struct failure *failure)
{
    int code = gnutls_certificate_set_x509_key_mem2(credentials->certificate, cert, key,
                                                    GNUTLS_X509_FMT_PEM, NULL, 0);

    if (code == GNUTLS_E_MEMORY_ERROR)
        return no_memory(failure);
    if (code == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
        return fail(failure, TRIT_INVALID_ARGUMENT, "key",
                    "%s: is not the key of the certificate %s", context->key,
                    context->cert);
    if (code == GNUTLS_E_DECRYPTION_FAILED)
        return fail(failure, TRIT_INVALID_ARGUMENT, "key",
                    "%s: the key is encrypted; only a key without a password can be used",
                    context->key);
    if (code < 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "key", "%s: not a PEM key: %s",
                    context->key, gnutls_strerror(code));
    return 0;
}

static int read_pair(struct tls_credentials *credentials,
                     const struct tls_context *context, struct failure *failure)
{
    gnutls_datum_t cert = {0}, key = {0};
    int result = -1;

    if (!context->cert)
        return 0;
    if (load(&cert, context->cert, "cert", failure) == 0 &&
        load(&key, context->key, "key", failure) == 0 &&
        read_expiry(credentials, context->cert, &cert, failure) == 0)
        result = set_pair(credentials, context, &cert, &key, failure);
    if (key.data)
        gnutls_memset(key.data, 0, key.size);
    gnutls_free(cert.data);
    gnutls_free(key.data);
    return result;
}

static int read_trust(struct tls_credentials *credentials,
                      const struct tls_context *context, struct failure *failure)
{
    gnutls_datum_t trust = {0};
    int count;

    if (!context->trust) {
        if (context->role == TLS_CLIENT)
            gnutls_certificate_set_x509_system_trust(credentials->certificate);
        return 0;
    }
    if (load(&trust, context->trust, "trust", failure) < 0)
        return -1;
    count = gnutls_certificate_set_x509_trust_mem(credentials->certificate, &trust,
                                                  GNUTLS_X509_FMT_PEM);
    gnutls_free(trust.data);
    if (count == GNUTLS_E_MEMORY_ERROR)
        return no_memory(failure);
    if (count <= 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "trust",
                    "%s: no PEM certificate of an authority: %s", context->trust,
                    count < 0 ? gnutls_strerror(count) : "the file has none");
    credentials->asks = context->role == TLS_SERVER;
    return 0;
}

static int read_all(struct tls_credentials *credentials,
                    const struct tls_context *context, struct failure *failure)
{
    if (gnutls_certificate_allocate_credentials(&credentials->certificate) < 0 ||
        gnutls_priority_init(&credentials->priorities, priorities, NULL) < 0)
        return no_memory(failure);
    if (read_pair(credentials, context, failure) < 0)
        return -1;
    return read_trust(credentials, context, failure);
}

struct tls_credentials *tls_credentials_read(const struct tls_context *context,
                                             struct failure *failure)
{
    struct tls_credentials *credentials = calloc(1, sizeof(*credentials));

    if (!credentials) {
        no_memory(failure);
        return NULL;
    }
    atomic_init(&credentials->users, 1);
    if (read_all(credentials, context, failure) < 0) {
        tls_credentials_release(credentials);
        return NULL;
    }
    return credentials;
}

void tls_credentials_release(struct tls_credentials *credentials)
{
    if (!credentials || atomic_fetch_sub(&credentials->users, 1) > 1)
        return;
    if (credentials->certificate)
        gnutls_certificate_free_credentials(credentials->certificate);
    if (credentials->priorities)
        gnutls_priority_deinit(credentials->priorities);
    free(credentials);
}
