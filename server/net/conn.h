/* A connection: one socket and its h2 session. Lives in net's list from
 * conn_open until its handle's close callback. */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "net/impl.h"

enum conn_state {
    CONN_GREETING,   /* the preface is still arriving; nothing is sent */
    CONN_OPEN,       /* bytes go both ways */
    CONN_LAST_WORDS, /* reads no more; closes when its output has left */
    CONN_CLOSING,    /* waits for the close callback */
    CONN_STATES
};

struct h2_session;

struct conn {
    struct list link;  /* net's conns */
    struct list dirty; /* net's dirty, or itself */
    struct net *net;
    enum conn_state state;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } io;
    struct h2_session *session;
    size_t preface_bytes; /* of it, seen */
    uv_write_t write;
    bool writing;            /* `write` is under way, one batch of h2's */
    size_t write_bytes_left; /* when the stall timer last looked */
    struct timer handshake, stall;
    uint64_t refused_streams; /* as far as counted in the metrics */
    const char *reason;       /* why it closes, for the log */
    char peer[ADDRESS_TEXT_MAX];
};

/* Takes the socket; on failure it is closed. */
int conn_open(struct net *net, int fd, const struct address *peer,
              struct failure *failure);

/* There may be output: net's next turn flushes (net.c). */
void conn_dirty(struct conn *conn);

/* Writes what the session has, as far as the socket takes it (write.c). */
void conn_flush(struct conn *conn);
void conn_on_stall(struct timer *timer);

/* Orderly end: no new streams, then the session ends when the last has. */
void conn_drain(struct conn *conn);
void conn_drain_finish(struct conn *conn);

/* At once; harmless twice. `reason` is a literal. */
void conn_close(struct conn *conn, const char *reason);

#endif
