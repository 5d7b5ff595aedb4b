/* SPDX-License-Identifier: Apache-2.0 */
/* Verification of the peer's certificate, and why one is refused in plain words. */
#include <gnutls/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tls/impl.h"

static void say(struct tls_session *session, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void say(struct tls_session *session, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(session->words, sizeof(session->words), format, arguments);
    va_end(arguments);
}

/* The peer's own certificate, to be freed. NULL: there is none, or no memory. */
static gnutls_x509_crt_t peer_certificate(gnutls_session_t gnutls)
{
    unsigned count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(gnutls, &count);
    gnutls_x509_crt_t leaf;

    if (!chain || count == 0 || gnutls_x509_crt_init(&leaf) < 0)
        return NULL;
    if (gnutls_x509_crt_import(leaf, &chain[0], GNUTLS_X509_FMT_DER) < 0) {
        gnutls_x509_crt_deinit(leaf);
        return NULL;
    }
    return leaf;
}

int tls_write_subject(gnutls_session_t gnutls, char *text, size_t bytes)
{
    gnutls_x509_crt_t leaf = peer_certificate(gnutls);
    gnutls_datum_t name = {0};
    int result = -1;

    if (!leaf)
        return -1;
    if (gnutls_x509_crt_get_dn3(leaf, &name, 0) >= 0 && name.size > 0 &&
        name.size < bytes && !memchr(name.data, 0, name.size)) {
        memcpy(text, name.data, name.size);
        text[name.size] = '\0';
        result = 0;
    }
    gnutls_free(name.data);
    gnutls_x509_crt_deinit(leaf);
    return result;
}

static void date(char text[16], time_t at)
{
    struct tm parts;

    if (!gmtime_r(&at, &parts) || strftime(text, 16, "%Y-%m-%d", &parts) == 0)
        text[0] = '\0';
}

/* The names that a certificate has, as "a, b". */
static void list_names(gnutls_x509_crt_t leaf, char *text, size_t bytes)
{
    size_t at = 0;

    text[0] = '\0';
    for (unsigned i = 0; at < bytes; i++) {
        unsigned char name[128];
        size_t size = sizeof(name);
        char address[46];
        const char *shown = (const char *)name;
        int type = gnutls_x509_crt_get_subject_alt_name(leaf, i, name, &size, NULL);

        if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            return;
        if (type == GNUTLS_SAN_IPADDRESS && size == 4) {
            snprintf(address, sizeof(address), "%u.%u.%u.%u", name[0], name[1], name[2],
                     name[3]);
            shown = address;
        } else if (type != GNUTLS_SAN_DNSNAME) {
            continue;
        }
        at += (size_t)snprintf(text + at, bytes - at, "%s%.64s", at ? ", " : "", shown);
    }
}

static void say_wrong_name(struct tls_session *session, gnutls_x509_crt_t leaf)
{
    char names[120] = "";

    if (leaf)
        list_names(leaf, names, sizeof(names));
    say(session, "the certificate is for %s, not for \"%.64s\"",
        names[0] ? names : "no host name", session->server_name);
}

static void say_unknown_issuer(struct tls_session *session, gnutls_x509_crt_t leaf)
{
    char issuer[160];
    size_t size = sizeof(issuer);

    if (!leaf || gnutls_x509_crt_get_issuer_dn(leaf, issuer, &size) < 0)
        snprintf(issuer, sizeof(issuer), "?");
    say(session,
        "the certificate's issuer is unknown: \"%s\" is not among the trusted "
        "authorities",
        issuer);
}

static void say_status(struct tls_session *session, unsigned status)
{
    gnutls_x509_crt_t leaf = peer_certificate(session->gnutls);
    char day[16] = "";

    if (status & GNUTLS_CERT_EXPIRED) {
        if (leaf)
            date(day, gnutls_x509_crt_get_expiration_time(leaf));
        say(session, "the certificate has expired (it was valid until %s)", day);
    } else if (status & GNUTLS_CERT_NOT_ACTIVATED) {
        if (leaf)
            date(day, gnutls_x509_crt_get_activation_time(leaf));
        say(session, "the certificate is not valid yet (it will be from %s)", day);
    } else if (status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA)) {
        say_unknown_issuer(session, leaf);
    } else if (status & GNUTLS_CERT_UNEXPECTED_OWNER) {
        say_wrong_name(session, leaf);
    } else if (status & GNUTLS_CERT_INSECURE_ALGORITHM) {
        say(session, "the certificate uses a signature or a key that is too weak");
    } else if (status & GNUTLS_CERT_PURPOSE_MISMATCH) {
        say(session, "the certificate is not for this purpose (its extended key usage)");
    } else {
        say(session, "the certificate is not valid");
    }
    if (leaf)
        gnutls_x509_crt_deinit(leaf);
}

static int verify(gnutls_session_t gnutls, const char *purpose, const char *name)
{
    struct tls_session *session = gnutls_session_get_ptr(gnutls);
    gnutls_typed_vdata_st data[2] = {
        {.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)(uintptr_t)purpose},
        {.type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)(uintptr_t)name}};
    unsigned status = 0;
    int code = gnutls_certificate_verify_peers(gnutls, data, name ? 2 : 1, &status);

    if (code < 0)
        return code;
    if (status != 0) {
        say_status(session, status);
        return GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
    }
    return 0;
}

int tls_verify_server(gnutls_session_t gnutls)
{
    const struct tls_session *session = gnutls_session_get_ptr(gnutls);

    return verify(gnutls, GNUTLS_KP_TLS_WWW_SERVER, session->server_name);
}

int tls_verify_client(gnutls_session_t gnutls)
{
    struct tls_session *session = gnutls_session_get_ptr(gnutls);
    int code = verify(gnutls, GNUTLS_KP_TLS_WWW_CLIENT, NULL);

    if (code == GNUTLS_E_NO_CERTIFICATE_FOUND)
        return 0; /* who has none may have a token: the access rules decide */
    if (code < 0)
        return code;
    if (tls_write_subject(gnutls, session->subject, sizeof(session->subject)) < 0) {
        say(session, "the certificate's subject is empty or has more than %d bytes",
            PEER_SUBJECT_BYTES - 1);
        return GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
    }
    return 0;
}
