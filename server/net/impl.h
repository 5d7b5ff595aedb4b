/* The inside of net, for the files of this room: net.c (the whole), listener.c
 * (sockets that accept), conn.c and write.c (sockets that were accepted). */
#ifndef NET_IMPL_H
#define NET_IMPL_H

#include <uv.h>

#include "async/loop.h"
#include "base/clock.h"
#include "base/list.h"
#include "net/address.h"
#include "net/listener.h"

enum {
    /* One buffer for all connections: h2 consumes what was read before the next
     * read. As large as a socket's receive buffer usually gets. */
    READ_BYTES = 256 << 10,
    /* A MiB of 16 KiB frames, each a header and a slice, and some. */
    WRITE_IOVECS = 192,
    /* Batches written to one connection before the others have their turn. */
    WRITE_BATCHES_PER_TURN = 4,
};

enum net_state {
    NET_SERVING,
    NET_DRAINING, /* accepts nothing; connections finish */
    NET_ABORTING, /* everything is being closed */
    NET_CLOSING,  /* nothing is left but the loop's handles */
    NET_DRAINED,
    NET_STATES
};

struct net {
    struct net_config config;
    enum net_state state;
    struct list listeners;
    struct list conns;
    size_t conn_count;
    struct list dirty; /* connections with output to look for */
    uv_check_t flush;  /* after polling: looks */
    uv_idle_t awake;   /* active while some are dirty, so that polling does not wait */
    size_t handles;    /* of these two, still open */
    uint8_t *read_buffer;
    struct timer drain_timer;
    uint64_t drain_until_ns;
    void (*drained)(void *arg);
    void *drained_arg;
};

/* For timers. */
static inline uint64_t after_ms(uint64_t ms)
{
    return clock_monotonic_ns() + ms * 1000000;
}

/* net.c: a listener or connection has closed for good. */
void net_settle(struct net *net);

/* listener.c */
int listener_open(struct net *net, const char *text, char *bound, size_t bound_bytes,
                  struct failure *failure);
void listeners_close(struct net *net);

#endif
