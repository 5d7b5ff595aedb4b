/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of net, for the files of this module: the structs, and what each file
 * gives to those above it. A file uses those that stand before it here. */
#ifndef NET_IMPL_H
#define NET_IMPL_H

#include <uv.h>

#include "async/loop.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/peer.h"
#include "base/states.h"
#include "net/address.h"
#include "net/listener.h"
#include "net/origin.h"
#include "tls/tls.h"

enum {
    /* One buffer for all connections, because h2 takes what was read before the
     * next read. A socket's receive buffer seldom holds more. */
    READ_BYTES = 256 << 10,
    /* A MiB in frames of 16 KiB, each a header and a slice, and some more. */
    WRITE_IOVECS = 192,
    /* The same of a connection over TLS: they wait in it while it writes. */
    SECURE_IOVECS = 64,
    /* Ciphertext of one batch, whose plaintext is 256 KiB. */
    CIPHER_BYTES = 16 * TLS_RECORD_ROOM,
    /* Batches that one connection writes before the others have their turn. */
    WRITE_BATCHES_PER_TURN = 4,
    /* What an idle connection takes, about, and the part of the memory budget that idle
     * connections may take: one in CONN_BUDGET_DIVISOR. */
    CONN_BYTES = 36 << 10,
    CONN_BUDGET_DIVISOR = 4,
};

enum net_state {
    NET_SERVING,
    NET_DRAINING, /* accepts nothing; connections finish */
    NET_ABORTING, /* closes everything */
    NET_CLOSING,  /* only the loop's handles are left */
    NET_DRAINED,
    NET_STATES
};

struct net {
    struct net_config config;
    enum net_state state;
    struct list listeners;
    struct list conns; /* in the order of their last byte */
    struct net_group *group;
    struct member *member;   /* what the others know of this net */
    struct origins *origins; /* of the group */
    bool owns_group;
    bool others; /* other nets may have calls that name buffers of memory_conns */
    size_t conn_count;
    struct list memory_conns; /* of memory sockets */
    size_t memory_conn_count;
    void (*conns_gone)(struct net *net); /* ending, and no other connection is left */
    struct list to_flush;                /* connections that may have output */
    uv_check_t flush;                    /* runs after polling: flushes them */
    uv_idle_t keep_polling; /* active while to_flush holds some: polling does not wait */
    size_t handles;         /* of these two, still open */
    uint8_t *read_buffer;
    struct tls_buffer cipher; /* ciphertext on its way out; empty between calls */
    struct timer drain_timer;
    uint64_t drain_from_ns, drain_until_ns;
    bool cut;        /* the drain's time was over */
    uint64_t jitter; /* state of the generator for ages */
    void (*drained)(void *arg);
    void *drained_arg;
};

enum conn_state {
    CONN_SECURING,  /* the TLS handshake */
    CONN_GREETING,  /* the preface is still arriving; nothing is sent */
    CONN_OPEN,      /* bytes go both ways */
    CONN_FINISHING, /* reads nothing; closes when its output is written */
    CONN_LINGERING, /* all is said; drops its input until the peer closes */
    CONN_CLOSING,   /* waits for the close callback */
    CONN_STATES
};

/* Whether a connection was asked to end because of its age. */
enum conn_age { AGE_YOUNG, AGE_ASKED };

/* A net as the others of its group see it. */
struct member {
    struct net *net; /* NULL: it has not joined yet */
    struct mailbox *mailbox;
    _Atomic size_t connections;
    _Atomic size_t
        arriving; /* sockets that were given to it and that it has not opened */
    _Atomic size_t yielding; /* of its connections, those that give way */
    _Atomic bool short_told; /* it was asked to make room, and has not yet */
    struct mailbox_message shortage;
};

struct net_group {
    struct origins origins;
    unsigned count;  /* of members */
    unsigned joined; /* of them; constant once the loops run */
    unsigned next;   /* the acceptor's: where it looks first */
    struct member members[];
};

struct h2_session;

/* What a connection over TLS has beside the others. */
struct conn_tls {
    struct tls_session *session;
    bool begun; /* the first bytes were those of a handshake */
    /* Of h2's batch: the slices that are not encrypted yet. The first one begins at
     * `at`. */
    struct iovec iov[SECURE_IOVECS];
    size_t next, count, at;
    uint8_t *rest; /* ciphertext that conn->write writes */
};

/* A connection: one socket and its h2 session. It is in net's list from conn_open
 * until its handle's close callback. */
struct conn {
    struct list link;       /* in net's conns */
    struct list flush_link; /* in net's to_flush, or in no list */
    struct net *net;
    struct origin *origin;
    uint64_t active_ns; /* when the last byte came */
    bool headers_late;  /* the handshake timer waits for the rest of a header block */
    bool yields;        /* it gives way to a new one */
    bool said_goodbye;  /* the close of the TLS session is sent */
    enum conn_state state;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } io;
    struct h2_session *session;
    struct conn_tls *tls; /* NULL: plain */
    size_t preface_bytes; /* of the preface, received */
    uv_write_t write;
    bool writing;            /* `write` is under way, with one batch of h2's */
    size_t write_bytes_left; /* when the stall timer last fired or was armed */
    struct timer handshake, stall;
    struct timer aging; /* until the next step of its age, if ages are bounded */
    enum conn_age age;
    uint64_t age_until_ns; /* ASKED: when its running calls end */
    struct timer patience; /* until uploads are stopped; in LINGERING until it closes */
    uint64_t refused_streams; /* as many as the metrics have counted */
    const char *reason;       /* why it closes, for the log */
    struct peer peer;
};

/* For timers. */
static inline uint64_t after_ms(uint64_t ms)
{
    return clock_monotonic_ns() + ms * 1000000;
}

/* ---- state.c ---- */

extern const struct states net_states, conn_states;

/* There may be output: net's next turn flushes the connection. */
void conn_schedule_flush(struct conn *conn);

/* Call it when a listener or connection is gone. If the net is ending and has none left,
 * closes the loop's handles; the last close callback calls `drained`. */
void net_close_if_idle(struct net *net);

/* ---- group.c ---- */

/* The net becomes a member; without a group in its config, of one of its own. -1: no
 * memory. */
int net_join(struct net *net);
void net_leave(struct net *net);

/* Connections of all members that do not give way, and those that arrive. */
size_t net_group_connections(const struct net_group *group);

/* Finds room for an accepted socket, in one of the nets, and takes ownership of it. */
void net_admit(struct net *net, int fd, const struct address *peer);

/* Descriptors are short: some connections of each net give way. */
void net_give_way(struct net *net);

/* ---- conn.c ---- */

/* Frees the memory of a connection whose session and handle are gone. */
void conn_free(struct conn *conn);

/* Closes immediately; harmless if called twice. `reason` is a literal. */
void conn_close(struct conn *conn, const char *reason);

/* The last byte is written: waits until the peer closes, for a limited time. */
void conn_linger(struct conn *conn);

/* Asks the peer to stop uploads whose call has ended, after it had time to read why. */
void conn_stop_uploads(struct conn *conn);
void conn_on_patience(struct timer *timer);

/* Ends the connection gracefully: no new streams; it closes after its last stream. A
 * connection whose preface has not arrived may still make its first calls until
 * conn_drain_finish, because its peer may have sent them already. */
void conn_drain(struct conn *conn);
void conn_drain_finish(struct conn *conn);

/* Whether net's drain waits for the answer to the connection's PING: while it has calls,
 * up to half of the drain's time; and up to DRAIN_IDLE_MS after its last byte, if it has
 * made calls and its machine acknowledges what it is sent. Its process may be busy, and
 * make its next call before it reads the GOAWAY. */
bool conn_is_awaited(const struct conn *conn, uint64_t now);

/* ---- age.c ---- */

/* A connection begins: if ages are bounded, arms the timer for its age. */
void conn_age_begin(struct conn *conn);
void conn_on_aging(struct timer *timer);

/* ---- greeting.c ---- */

/* Answers a peer whose first bytes are not of the port's protocol, and closes. */
void conn_refuse_protocol(struct conn *conn, const uint8_t *bytes, size_t count);

/* ---- write.c ---- */

/* Writes what net's cipher buffer holds. 0, or a libuv code. */
int conn_write_cipher(struct conn *conn);

/* Writes what the session has, as far as the socket takes it. */
void conn_flush(struct conn *conn);
void conn_on_stall(struct timer *timer);

/* ---- secure.c ---- */

/* Makes a new connection one over TLS. -1: out of memory. */
int secure_create(struct conn *conn);

/* Goes on with the handshake, from what was fed to the session. */
void secure_handshake(struct conn *conn);

/* Logs why the session failed after its handshake, and closes. */
void secure_failed(struct conn *conn);

/* The peer has closed the socket, or reading failed. `reason` is a literal. */
void secure_broken_off(struct conn *conn, const char *reason);

/* ---- yield.c ---- */

/* Closes a connection that can give way to a new one from this address (NULL: from any).
 * False: none can. Its memory and descriptor are free later in this turn of the loop. */
bool net_make_room(struct net *net, const struct address *newcomer);

/* ---- memory.c ---- */

/* Takes ownership of a socket that a memory socket has accepted. */
void memory_conn_open(struct net *net, int fd, const struct address *peer);

/* Closes all of them. */
void memory_conns_close(struct net *net);

/* ---- read.c ---- */

/* Takes ownership of the socket, and closes it on failure. */
int conn_open(struct net *net, int fd, const struct address *peer,
              struct failure *failure);

/* ---- accept.c ---- */

int listener_open(struct net *net, const char *text, char *bound, size_t bound_bytes,
                  struct failure *failure);
void listeners_close(struct net *net);

#endif
