/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets: listens on TCP and Unix addresses and moves bytes between connections
 * and h2 sessions. It knows nothing of what a request means. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

struct budget;
struct h2_events;
struct limits;
struct log;
struct mailbox;
struct memory;
struct metrics;
struct net;
struct timers;
struct tls_context;
struct uv_loop_s;

/* In place of an address: the sockets that systemd has opened for this process. */
#define LISTEN_SYSTEMD "systemd"

/* The nets of several loops. The first one that joined listens and gives each accepted
 * socket to the net with the fewest connections; the bounds of connections and the shares of
 * addresses hold for all of them together. */
struct net_group;
struct net_group *net_group_create(unsigned nets, struct budget *budget); /* or NULL */
void net_group_destroy(struct net_group *group); /* after its nets; NULL is harmless */

struct net_config {          /* everything borrowed for the life of the net */
    struct net_group *group; /* NULL: a net alone */
    struct mailbox *mailbox; /* of its loop; with a group of several */
    struct uv_loop_s *loop;
    struct timers *timers;
    const struct limits *limits;
    const struct h2_events *events;
    void *events_owner;
    void (*cut)(void *events_owner); /* a drain's time is over: open calls get a status */
    struct budget *budget;   /* for connections and calls; that of the group; or NULL */
    unsigned unix_mode;      /* of the files of Unix sockets */
    struct memory *memory;   /* served at PATH.memory of each Unix socket; NULL: not */
    struct tls_context *tls; /* TCP is served over TLS; NULL: plain */
    struct log *log;
    struct metrics *metrics;
};

int net_create(struct net **net, const struct net_config *config,
               struct failure *failure);

/* `address`: "host:port" ("[::1]:0", port 0 = a free one) "unix:/path" (a
 * stale socket file is replaced, a live one refused), or LISTEN_SYSTEMD. On success
 * writes the address that the socket has to `bound`. A memory socket that cannot be made
 * is logged and does without. */
int net_listen(struct net *net, const char *address, char *bound, size_t bound_bytes,
               struct failure *failure);

/* How many sockets LISTEN_SYSTEMD stands for; 0: systemd has passed none. */
unsigned net_systemd_sockets(void);

/* Is it of the form that net_listen takes? */
bool net_address_has_form(const char *address);

/* True for unix: and loopback addresses. */
bool net_address_is_local(const char *address);

/* For --check-config: 0 if net_listen would find each address well-formed, of this machine
 * and allowed, and no two of them the same. An address that another process uses passes.
 * UNAVAILABLE or INVALID_ARGUMENT. */
int net_addresses_check(const char *const *addresses, size_t count,
                        struct failure *failure);

/* Stops accepting, drains every connection (two GOAWAYs), and closes those that
 * remain after drain_ms_max. Calls `drained` once, from the loop, when none is
 * left. Every net ends this way, even one that never listened. */
void net_drain(struct net *net, void (*drained)(void *arg), void *arg);

/* Of the first net of a group: the others are drained. Before, it keeps its connections of
 * memory sockets, because calls of the others may name their buffers. */
void net_others_drained(struct net *net);

/* Closes everything now (at a second signal). `drained` is still called, if
 * net_drain gave one. */
void net_abort(struct net *net);

/* After `drained`. NULL is harmless. */
void net_destroy(struct net *net);

#endif
