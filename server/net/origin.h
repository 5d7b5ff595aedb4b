/* SPDX-License-Identifier: Apache-2.0 */
/* Where connections come from: how many there are from each address, and what they hold
 * of the memory budget together. An IPv4 address, an IPv6 network of 64 bits, and the
 * Unix sockets as a whole are one origin each. An origin exists while it has
 * connections. Several loops may use the same origins. */
#ifndef NET_ORIGIN_H
#define NET_ORIGIN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct account;
struct address;
struct budget;

enum { ORIGIN_KEY_BYTES = 9, ORIGIN_BUCKETS = 1024 };

struct origin {
    struct list link;              /* in its bucket */
    uint8_t key[ORIGIN_KEY_BYTES]; /* kind, then up to 8 bytes of the address */
    _Atomic size_t connections;
    struct account *account; /* NULL: there is no budget */
};

struct origins {
    struct budget *budget; /* borrowed; NULL: nothing is charged */
    pthread_mutex_t lock;  /* guards the rest */
    struct list buckets[ORIGIN_BUCKETS];
    size_t count;
};

void origins_init(struct origins *origins, struct budget *budget);
void origins_fini(struct origins *origins); /* every origin is gone */

/* The origin of the address, with one more connection. NULL: out of memory. */
struct origin *origin_join(struct origins *origins, const struct address *address);

/* How many connections the address has. */
size_t origin_connections(struct origins *origins, const struct address *address);

/* One connection less; the last one frees the origin. */
void origin_leave(struct origins *origins, struct origin *origin);

#endif
