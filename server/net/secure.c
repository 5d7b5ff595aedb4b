/* SPDX-License-Identifier: Apache-2.0 */
/* TLS on a connection: its session, and the handshake. read.c takes plaintext from the
 * session afterwards, write.c gives it plaintext. */
#include <string.h>

#include "base/account.h"
#include "net/impl.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "tls/tls.h"

int secure_create(struct conn *conn)
{
    struct account *account = conn->peer.account;
    struct failure failure = {0};

    if (!account_reserve(account, TLS_SESSION_BYTES))
        return -1;
    conn->tls = account_calloc(account, 1, sizeof(*conn->tls));
    if (!conn->tls)
        goto release;
    if (tls_session_create(&conn->tls->session, conn->net->config.tls, NULL, &failure) <
        0)
        goto free_tls;
    conn->state = CONN_SECURING;
    return 0;

free_tls:
    account_free(account, conn->tls);
    conn->tls = NULL;
release:
    account_release(account, TLS_SESSION_BYTES);
    return -1;
}

static void note(const struct conn *conn, const char *event, const char *error)
{
    log_event(conn->net->config.log, LOG_WARN, event,
              LOG_FIELDS(LOG_STR("peer", conn->peer.address), LOG_STR("error", error)));
}

void secure_failed(struct conn *conn)
{
    note(conn, "tls_failed", tls_words(conn->tls->session));
    conn_close(conn, "tls_failed");
}

static void handshake_failed(struct conn *conn, const char *error)
{
    struct metrics *metrics = conn->net->config.metrics;

    metric_add(metrics, M_TLS_FAILURES, 1);
    if (tls_oversized(conn->tls->session))
        metric_limit(metrics, L_TLS_HANDSHAKE);
    note(conn, "tls_handshake_failed", error);
    conn_close(conn, "tls_handshake_failed");
}

/* Some clients say no more than this when they do not trust a certificate. A peer that
 * has sent nothing only looked whether the port is open. */
void secure_broken_off(struct conn *conn, const char *reason)
{
    if (conn->state == CONN_SECURING && conn->tls->begun)
        handshake_failed(conn, "the peer closed the connection during the handshake; it "
                               "may not trust the certificate");
    else
        conn_close(conn, reason);
}

static void handshake_done(struct conn *conn)
{
    metric_add(conn->net->config.metrics, M_TLS_HANDSHAKES, 1);
    conn->peer.encrypted = true;
    strcpy(conn->peer.subject, tls_subject(conn->tls->session));
    state_move(&conn_states, &conn->state, CONN_GREETING);
}

/* A peer speaks only after it has got all that this side has said. */
void secure_handshake(struct conn *conn)
{
    struct tls_buffer *cipher = &conn->net->cipher;
    enum tls_state state;
    int code;

    if (conn->writing) {
        conn_close(conn, "tls_out_of_turn");
        return;
    }
    cipher->count = 0;
    state = tls_handshake(conn->tls->session, cipher);
    if (state == TLS_FAILED) {
        handshake_failed(conn, tls_words(conn->tls->session));
        return;
    }
    code = conn_write_cipher(conn);
    if (code != 0) {
        conn_close(conn, uv_err_name(code));
        return;
    }
    if (state == TLS_OPEN)
        handshake_done(conn);
}
