/* SPDX-License-Identifier: Apache-2.0 */
/* A session over memory. GnuTLS asks for ciphertext by pull() and gives ciphertext to
 * push(); both work on what the user lends, and say EAGAIN when that is used up. GnuTLS
 * itself keeps at most one record that is incomplete, and during the handshake its
 * messages, which TLS_HANDSHAKE_BYTES_MAX bounds. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "tls/impl.h"

/* ---- GnuTLS's transport ------------------------------------------------------- */

static ssize_t push(gnutls_transport_ptr_t user, const giovec_t *iov, int count)
{
    struct tls_session *session = user;
    struct tls_buffer *out = session->out;
    ssize_t taken = 0;

    for (int i = 0; out && i < count; i++) {
        size_t room = out->size - out->count;
        size_t bytes = iov[i].iov_len < room ? iov[i].iov_len : room;

        memcpy(out->bytes + out->count, iov[i].iov_base, bytes);
        out->count += bytes;
        taken += (ssize_t)bytes;
        if (bytes < iov[i].iov_len)
            break;
    }
    if (taken > 0)
        return taken;
    gnutls_transport_set_errno(session->gnutls, EAGAIN);
    return -1;
}

static ssize_t pull(gnutls_transport_ptr_t user, void *to, size_t bytes)
{
    struct tls_session *session = user;

    if (session->input_count == 0) {
        gnutls_transport_set_errno(session->gnutls, EAGAIN);
        return -1;
    }
    if (bytes > session->input_count)
        bytes = session->input_count;
    if (session->state == TLS_HANDSHAKE) {
        session->handshake_bytes += bytes;
        if (session->handshake_bytes > TLS_HANDSHAKE_BYTES_MAX) {
            session->oversized = true;
            gnutls_transport_set_errno(session->gnutls, EIO);
            return -1;
        }
    }
    memcpy(to, session->input, bytes);
    session->input += bytes;
    session->input_count -= bytes;
    return (ssize_t)bytes;
}

/* GnuTLS asks it before it waits; a session never waits. */
static int pull_timeout(gnutls_transport_ptr_t user, unsigned ms)
{
    const struct tls_session *session = user;

    (void)ms;
    return session->input_count > 0;
}

/* ---- life --------------------------------------------------------------------- */

/* A server refuses here a client that offers no ALPN: GnuTLS looks only at one that
 * offers others. */
static int before_server_hello(gnutls_session_t gnutls, unsigned type, unsigned when,
                               unsigned incoming, const gnutls_datum_t *message)
{
    gnutls_datum_t protocol;

    (void)type, (void)when, (void)incoming, (void)message;
    return gnutls_alpn_get_selected_protocol(gnutls, &protocol) < 0
               ? GNUTLS_E_NO_APPLICATION_PROTOCOL
               : 0;
}

static bool is_address(const char *name)
{
    return strchr(name, ':') || strspn(name, "0123456789.") == strlen(name);
}

static int set_up_role(struct tls_session *session)
{
    const char *name = session->server_name;

    if (session->role == TLS_SERVER) {
        if (!session->http1)
            gnutls_handshake_set_hook_function(session->gnutls,
                                               GNUTLS_HANDSHAKE_SERVER_HELLO,
                                               GNUTLS_HOOK_PRE, before_server_hello);
        if (!session->credentials->asks)
            return 0;
        gnutls_certificate_server_set_request(session->gnutls, GNUTLS_CERT_REQUEST);
        /* Without a list of authorities a client sends the certificate that it has, and
         * hears why it is refused; with one it would send none and seem anonymous. */
        gnutls_certificate_send_x509_rdn_sequence(session->gnutls, 1);
        gnutls_session_set_verify_function(session->gnutls, tls_verify_client);
        return 0;
    }
    gnutls_session_set_verify_function(session->gnutls, tls_verify_server);
    return is_address(name) ? 0
                            : gnutls_server_name_set(session->gnutls, GNUTLS_NAME_DNS,
                                                     name, strlen(name));
}

static int set_up(struct tls_session *session)
{
    const char *name = session->http1 ? "http/1.1" : "h2";
    const gnutls_datum_t protocol = {(unsigned char *)(uintptr_t)name,
                                     (unsigned)strlen(name)};
    const unsigned alpn = session->http1 ? 0 : (unsigned)GNUTLS_ALPN_MANDATORY;
    const struct tls_credentials *credentials = session->credentials;
    gnutls_session_t gnutls = session->gnutls;

    gnutls_session_set_ptr(gnutls, session);
    gnutls_transport_set_ptr(gnutls, session);
    gnutls_transport_set_vec_push_function(gnutls, push);
    gnutls_transport_set_pull_function(gnutls, pull);
    gnutls_transport_set_pull_timeout_function(gnutls, pull_timeout);
    gnutls_handshake_set_max_packet_length(gnutls, TLS_HANDSHAKE_BYTES_MAX);
    if (gnutls_priority_set(gnutls, credentials->priorities) < 0 ||
        gnutls_credentials_set(gnutls, GNUTLS_CRD_CERTIFICATE, credentials->certificate) <
            0 ||
        gnutls_alpn_set_protocols(gnutls, &protocol, 1, alpn) < 0)
        return -1;
    return set_up_role(session);
}

static int create(struct tls_session **out, struct tls_context *context, bool http1,
                  const char *server_name, struct failure *failure)
{
    const unsigned flags = GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS;
    struct tls_session *session = calloc(1, sizeof(*session));

    if (!session)
        goto no_memory;
    session->role = context->role;
    session->http1 = http1;
    session->server_name = server_name ? strdup(server_name) : NULL;
    if (server_name && !session->server_name)
        goto free_session;
    if (gnutls_init(
            &session->gnutls,
            flags | (context->role == TLS_SERVER ? GNUTLS_SERVER : GNUTLS_CLIENT)) < 0)
        goto free_session;
    session->credentials = tls_context_credentials(context);
    if (set_up(session) < 0) {
        tls_session_destroy(session);
        goto no_memory;
    }
    *out = session;
    return 0;

free_session:
    free(session->server_name);
    free(session);
no_memory:
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory for a TLS session");
}

int tls_session_create(struct tls_session **session, struct tls_context *context,
                       const char *server_name, struct failure *failure)
{
    return create(session, context, false, server_name, failure);
}

int tls_session_create_http1(struct tls_session **session, struct tls_context *context,
                             struct failure *failure)
{
    return create(session, context, true, NULL, failure);
}

static void release_packet(struct tls_session *session)
{
    if (session->packet)
        gnutls_packet_deinit(session->packet);
    session->packet = NULL;
}

void tls_session_destroy(struct tls_session *session)
{
    if (!session)
        return;
    release_packet(session);
    gnutls_deinit(session->gnutls);
    tls_credentials_release(session->credentials);
    free(session->server_name);
    free(session);
}

static void session_fail(struct tls_session *session, int code)
{
    session->code = code;
    session->state = TLS_FAILED;
    if (session->oversized)
        snprintf(session->words, sizeof(session->words),
                 "the handshake has more than %d bytes", TLS_HANDSHAKE_BYTES_MAX);
    else
        tls_describe(session, code);
}

/* ---- moving bytes -------------------------------------------------------------- */

void tls_feed(struct tls_session *session, const uint8_t *bytes, size_t count)
{
    session->input = bytes;
    session->input_count = count;
}

/* True: call GnuTLS again. It says AGAIN after each record of a longer message, so what
 * counts is whether it took input since, when `*left` bytes were there. */
static bool goes_on(const struct tls_session *session, int code, size_t *left)
{
    bool progress = session->input_count < *left;

    *left = session->input_count;
    return code == GNUTLS_E_INTERRUPTED || code == GNUTLS_E_WARNING_ALERT_RECEIVED ||
           (code == GNUTLS_E_AGAIN && progress && session->input_count > 0);
}

/* A client checks here that the server chose "h2"; a server has done so before. */
static int handshake_end(const struct tls_session *session)
{
    gnutls_datum_t protocol;

    return !session->http1 &&
                   gnutls_alpn_get_selected_protocol(session->gnutls, &protocol) < 0
               ? GNUTLS_E_NO_APPLICATION_PROTOCOL
               : 0;
}

enum tls_state tls_handshake(struct tls_session *session, struct tls_buffer *out)
{
    size_t left = session->input_count;
    int code;

    if (session->state != TLS_HANDSHAKE)
        return session->state;
    session->out = out;
    do {
        code = gnutls_handshake(session->gnutls);
    } while (goes_on(session, code, &left));
    session->out = NULL;
    if (code == GNUTLS_E_AGAIN)
        return session->state;
    if (code == 0)
        code = handshake_end(session);
    if (code < 0)
        session_fail(session, code);
    else
        session->state = TLS_OPEN;
    return session->state;
}

size_t tls_read(struct tls_session *session, const uint8_t **bytes)
{
    size_t left = session->input_count;
    gnutls_datum_t plain;
    ssize_t got;

    release_packet(session);
    if (session->state != TLS_OPEN)
        return 0;
    do {
        got = gnutls_record_recv_packet(session->gnutls, &session->packet);
    } while (got < 0 && goes_on(session, (int)got, &left));
    if (got > 0) {
        gnutls_packet_get(session->packet, &plain, NULL);
        *bytes = plain.data;
        return plain.size;
    }
    if (got == 0)
        session->state = TLS_CLOSED;
    else if (got != GNUTLS_E_AGAIN)
        session_fail(session, (int)got);
    return 0;
}

/* Fills `stage` from the position. The bytes of one long slice are not copied. */
static struct iovec next_record(const struct iovec *iov, size_t count, size_t at,
                                uint8_t stage[TLS_RECORD_BYTES_MAX])
{
    size_t staged = 0;

    if (iov->iov_len - at >= TLS_RECORD_BYTES_MAX)
        return (struct iovec){(uint8_t *)iov->iov_base + at, TLS_RECORD_BYTES_MAX};
    for (size_t i = 0; i < count && staged < TLS_RECORD_BYTES_MAX; i++, at = 0) {
        size_t left = iov[i].iov_len - at, room = TLS_RECORD_BYTES_MAX - staged;
        size_t bytes = left < room ? left : room;

        memcpy(stage + staged, (const uint8_t *)iov[i].iov_base + at, bytes);
        staged += bytes;
    }
    return (struct iovec){stage, staged};
}

static bool has_room(const struct tls_buffer *out)
{
    return out->size - out->count >= TLS_RECORD_ROOM;
}

/* Encrypts one piece. A peer may have asked for small records; then it is several. The
 * count of bytes taken, or a code of GnuTLS. */
static ssize_t send_piece(struct tls_session *session, struct iovec piece)
{
    size_t sent = 0;

    while (sent < piece.iov_len && has_room(session->out)) {
        ssize_t code =
            gnutls_record_send(session->gnutls, (const uint8_t *)piece.iov_base + sent,
                               piece.iov_len - sent);

        if (code < 0)
            return code;
        sent += (size_t)code;
    }
    return (ssize_t)sent;
}

ssize_t tls_write(struct tls_session *session, const struct iovec *iov, size_t count,
                  struct tls_buffer *out)
{
    uint8_t stage[TLS_RECORD_BYTES_MAX];
    ssize_t total = 0, sent;
    size_t at = 0;

    if (session->state != TLS_OPEN && session->state != TLS_CLOSED)
        return -1;
    session->out = out;
    while (count > 0 && has_room(out)) {
        sent = send_piece(session, next_record(iov, count, at, stage));
        if (sent < 0) {
            session_fail(session, (int)sent);
            total = -1;
            break;
        }
        total += sent;
        at += (size_t)sent;
        for (; count > 0 && at >= iov->iov_len; iov++, count--)
            at -= iov->iov_len;
    }
    session->out = NULL;
    return total;
}

void tls_shutdown(struct tls_session *session, struct tls_buffer *out)
{
    session->out = out;
    if (session->state == TLS_OPEN || session->state == TLS_CLOSED)
        gnutls_bye(session->gnutls, GNUTLS_SHUT_WR);
    else if (session->state == TLS_FAILED &&
             session->code != GNUTLS_E_FATAL_ALERT_RECEIVED)
        gnutls_alert_send_appropriate(session->gnutls, session->code);
    session->out = NULL;
}

/* ---- what is known ------------------------------------------------------------- */

enum tls_state tls_state(const struct tls_session *session)
{
    return session->state;
}

const char *tls_words(const struct tls_session *session)
{
    return session->words;
}

bool tls_oversized(const struct tls_session *session)
{
    return session->oversized;
}

const char *tls_subject(const struct tls_session *session)
{
    return session->subject;
}
