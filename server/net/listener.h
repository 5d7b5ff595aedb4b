/* Sockets: listens on TCP and Unix addresses and moves bytes between them and
 * h2 sessions. What a request means is somebody else's. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

struct h2_events;
struct limits;
struct log;
struct metrics;
struct net;
struct timers;
struct uv_loop_s;

struct net_config { /* everything borrowed for the life of the net */
    struct uv_loop_s *loop;
    struct timers *timers;
    const struct limits *limits;
    const struct h2_events *events;
    void *events_owner;
    struct log *log;
    struct metrics *metrics;
};

int net_create(struct net **net, const struct net_config *config,
               struct failure *failure);

/* `address`: "host:port" ("[::1]:0", port 0 = a free one) or "unix:/path" (a
 * stale socket file is replaced, a live one refused; mode 0660). On success
 * writes the address that was got to `bound`. */
int net_listen(struct net *net, const char *address, char *bound, size_t bound_bytes,
               struct failure *failure);

/* True for unix: and loopback addresses. */
bool net_address_is_local(const char *address);

/* Stops accepting, drains every connection (two GOAWAYs), closes what remains
 * after drain_ms_max; `drained` is called once, from the loop, when none is
 * left. Every net ends this way, also one that never listened. */
void net_drain(struct net *net, void (*drained)(void *arg), void *arg);

/* Closes everything at once (second signal). `drained` still fires, if
 * net_drain named one. */
void net_abort(struct net *net);

/* After `drained`. NULL is harmless. */
void net_destroy(struct net *net);

#endif
