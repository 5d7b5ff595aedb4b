/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that speaks another protocol than its port. HTTP/1 gets a page, HTTP/2 without
 * TLS a GOAWAY, TLS on a plain port an alert: whatever its own protocol can show to a
 * person. Then the connection closes, and a line of the log says what happened. */
#include <stdio.h>
#include <string.h>

#include "net/impl.h"
#include "obs/log.h"
#include "tls/tls.h"

enum protocol { PROTOCOL_HTTP1, PROTOCOL_HTTP2, PROTOCOL_TLS, PROTOCOL_OTHER };

#define HTTP1_END "Connection: close\r\nContent-Type: text/plain\r\n\r\n"

static const char http1_plain[] = "HTTP/1.1 426 Upgrade Required\r\n"
                                  "Upgrade: HTTP/2.0\r\n"
                                  "Connection: Upgrade, close\r\n"
                                  "Content-Type: text/plain\r\n"
                                  "\r\n"
                                  "This port speaks gRPC: HTTP/2 by prior knowledge. "
                                  "Pages and metrics have their own port.\n";

static const char http1_over_tls[] =
    "HTTP/1.1 426 Upgrade Required\r\nUpgrade: h2\r\n" HTTP1_END
    "This port speaks gRPC: HTTP/2 over TLS. Pages and metrics have their own port.\n";

static const char http1_without_tls[] =
    "HTTP/1.1 400 Bad Request\r\n" HTTP1_END
    "This port speaks gRPC over TLS, and this request came without TLS. Pages and "
    "metrics have their own port.\n";

/* GOAWAY with INADEQUATE_SECURITY, and its text. SETTINGS do not come first: a client
 * that has got some holds the connection for good, and tries again without a pause. */
static const char http2_without_tls[] = "\0\0\x38\7\0\0\0\0\0"
                                        "\0\0\0\0\0\0\0\xc"
                                        "this port speaks TLS, and this call came "
                                        "without";

/* A fatal alert, unexpected_message. */
static const char tls_on_plain[] = "\x15\3\1\0\2\2\x0a";

/* `matched`: bytes of HTTP/2's preface that came before these. */
static enum protocol recognize(size_t matched, const uint8_t *bytes, size_t count)
{
    const uint8_t first = matched ? 'P' : bytes[0];

    if (first == 22 && (count < 2 || bytes[1] == 3))
        return PROTOCOL_TLS;
    if (matched >= 3 || (count >= 3 && memcmp(bytes, "PRI", 3) == 0))
        return PROTOCOL_HTTP2;
    return first >= 'A' && first <= 'Z' ? PROTOCOL_HTTP1 : PROTOCOL_OTHER;
}

/* Writes the answer as far as the socket takes it now, and closes. */
static void answer(struct conn *conn, const char *bytes, size_t count, const char *reason)
{
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)count);
    struct tls_buffer *cipher = &conn->net->cipher;
    const struct iovec plain = {buf.base, count};

    if (conn->tls && tls_state(conn->tls->session) == TLS_OPEN) {
        cipher->count = 0;
        if (tls_write(conn->tls->session, &plain, 1, cipher) > 0)
            buf = uv_buf_init((char *)cipher->bytes, (unsigned)cipher->count);
        else
            buf.len = 0;
    }
    if (buf.len > 0)
        uv_try_write(&conn->io.stream, &buf, 1);
    conn_close(conn, reason);
}

static void note(const struct conn *conn, const char *got, const char *wants)
{
    log_event(conn->net->config.log, LOG_WARN, "conn_wrong_protocol",
              LOG_FIELDS(LOG_STR("peer", conn->peer.address), LOG_STR("got", got),
                         LOG_STR("wants", wants)));
}

static void refuse_http1(struct conn *conn)
{
    if (!conn->tls)
        answer(conn, http1_plain, sizeof(http1_plain) - 1, "http1");
    else if (conn->peer.encrypted)
        answer(conn, http1_over_tls, sizeof(http1_over_tls) - 1, "http1");
    else
        answer(conn, http1_without_tls, sizeof(http1_without_tls) - 1, "not_tls");
}

void conn_refuse_protocol(struct conn *conn, const uint8_t *bytes, size_t count)
{
    const bool wants_tls = conn->tls && !conn->peer.encrypted;
    const char *wants = wants_tls ? "TLS" : "HTTP/2";

    uv_read_stop(&conn->io.stream);
    switch (recognize(conn->preface_bytes, bytes, count)) {
    case PROTOCOL_TLS:
        note(conn, "TLS", wants);
        answer(conn, tls_on_plain, sizeof(tls_on_plain) - 1, "tls_on_plain_port");
        break;
    case PROTOCOL_HTTP2:
        if (wants_tls) {
            note(conn, "HTTP/2 without TLS", wants);
            answer(conn, http2_without_tls, sizeof(http2_without_tls) - 1, "not_tls");
            break;
        }
        __attribute__((fallthrough)); /* a preface that goes wrong */
    case PROTOCOL_HTTP1:
        note(conn, "HTTP/1", wants);
        refuse_http1(conn);
        break;
    case PROTOCOL_OTHER:
        note(conn, "something else", wants);
        conn_close(conn, wants_tls ? "not_tls" : "not_http2");
        break;
    }
}
