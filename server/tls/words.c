/* SPDX-License-Identifier: Apache-2.0 */
/* What an error code of GnuTLS means, for a log line or a caller. */
#include <stdio.h>

#include "tls/impl.h"

static const char *alert_words(gnutls_session_t gnutls)
{
    gnutls_alert_description_t alert = gnutls_alert_get(gnutls);

    switch (alert) {
    case GNUTLS_A_CERTIFICATE_REQUIRED:
        return "the peer requires a certificate of this side";
    case GNUTLS_A_UNKNOWN_CA:
        return "the peer does not know the issuer of this side's certificate";
    case GNUTLS_A_BAD_CERTIFICATE:
    case GNUTLS_A_UNSUPPORTED_CERTIFICATE:
    case GNUTLS_A_CERTIFICATE_UNKNOWN:
    case GNUTLS_A_ACCESS_DENIED:
        return "the peer does not accept this side's certificate";
    case GNUTLS_A_CERTIFICATE_EXPIRED:
        return "the peer says that this side's certificate has expired";
    case GNUTLS_A_PROTOCOL_VERSION:
        return "the peer has no TLS version in common with this side (1.2, 1.3)";
    case GNUTLS_A_NO_APPLICATION_PROTOCOL:
        return "the peer does not accept ALPN \"h2\": it speaks TLS, but not gRPC";
    case GNUTLS_A_HANDSHAKE_FAILURE:
    case GNUTLS_A_INSUFFICIENT_SECURITY:
        return "the peer has no cipher in common with this side";
    case GNUTLS_A_UNEXPECTED_MESSAGE:
        return "the peer did not expect TLS; its port may be a plain one";
    default:
        return gnutls_alert_get_name(alert);
    }
}

static const char *code_words(const struct tls_session *session, int code)
{
    switch (code) {
    case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
        return "the peer offers no TLS version that is accepted (1.2, 1.3)";
    case GNUTLS_E_NO_CIPHER_SUITES:
        return "the peer offers no cipher suite that is accepted";
    case GNUTLS_E_NO_APPLICATION_PROTOCOL:
        return session->role == TLS_SERVER ? "the peer does not offer ALPN \"h2\""
                                           : "the peer does not accept ALPN \"h2\": it "
                                             "speaks TLS, but not gRPC";
    case GNUTLS_E_PREMATURE_TERMINATION:
        return "the peer closed the connection during the handshake";
    case GNUTLS_E_UNEXPECTED_PACKET_LENGTH:
    case GNUTLS_E_RECORD_OVERFLOW:
    case GNUTLS_E_UNEXPECTED_PACKET:
        return "the peer sent what is not TLS";
    case GNUTLS_E_DECRYPTION_FAILED:
        return "a record was damaged on its way";
    case GNUTLS_E_REHANDSHAKE:
        return "the peer asks for a renegotiation, which is not supported";
    case GNUTLS_E_MEMORY_ERROR:
        return "out of memory";
    case GNUTLS_E_HANDSHAKE_TOO_LARGE:
        return "the handshake is too large";
    default:
        return gnutls_strerror(code);
    }
}

void tls_describe(struct tls_session *session, int code)
{
    if (session->words[0])
        return; /* verification has said more */
    if (code == GNUTLS_E_FATAL_ALERT_RECEIVED)
        snprintf(session->words, sizeof(session->words), "%s",
                 alert_words(session->gnutls));
    else
        snprintf(session->words, sizeof(session->words), "%s", code_words(session, code));
}
