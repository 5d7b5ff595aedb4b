/* SPDX-License-Identifier: Apache-2.0 */
#include "net/origin.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/account.h"
#include "net/address.h"

enum origin_kind { ORIGIN_UNIX, ORIGIN_IPV4, ORIGIN_IPV6 };

void origins_init(struct origins *origins, struct budget *budget)
{
    origins->budget = budget;
    origins->count = 0;
    pthread_mutex_init(&origins->lock, NULL);
    for (size_t i = 0; i < ORIGIN_BUCKETS; i++)
        list_init(&origins->buckets[i]);
}

void origins_fini(struct origins *origins)
{
    pthread_mutex_destroy(&origins->lock);
}

static void key_of(const struct address *address, uint8_t key[ORIGIN_KEY_BYTES])
{
    const struct sockaddr *any = (const struct sockaddr *)&address->socket;

    memset(key, 0, ORIGIN_KEY_BYTES);
    key[0] = ORIGIN_UNIX;
    if (any->sa_family == AF_INET) {
        key[0] = ORIGIN_IPV4;
        memcpy(key + 1, &((const struct sockaddr_in *)&address->socket)->sin_addr, 4);
    } else if (any->sa_family == AF_INET6) {
        const struct in6_addr *from =
            &((const struct sockaddr_in6 *)&address->socket)->sin6_addr;

        key[0] = IN6_IS_ADDR_V4MAPPED(from) ? ORIGIN_IPV4 : ORIGIN_IPV6;
        if (key[0] == ORIGIN_IPV4)
            memcpy(key + 1, from->s6_addr + 12, 4);
        else
            memcpy(key + 1, from->s6_addr, 8);
    }
}

static struct list *bucket_of(struct origins *origins, const uint8_t *key)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (size_t i = 0; i < ORIGIN_KEY_BYTES; i++)
        hash = (hash ^ key[i]) * 16777619u;
    return &origins->buckets[hash % ORIGIN_BUCKETS];
}

static struct origin *origin_create(struct origins *origins, struct list *bucket,
                                    const uint8_t *key)
{
    struct origin *origin = calloc(1, sizeof(*origin));

    if (!origin)
        return NULL;
    if (origins->budget && !(origin->account = account_open(origins->budget, NULL))) {
        free(origin);
        return NULL;
    }
    memcpy(origin->key, key, ORIGIN_KEY_BYTES);
    list_push(bucket, &origin->link);
    origins->count++;
    return origin;
}

static struct origin *find(struct list *bucket, const uint8_t *key)
{
    for (struct list *node = bucket->next; node != bucket; node = node->next) {
        struct origin *origin = LIST_OWNER(node, struct origin, link);

        if (memcmp(origin->key, key, ORIGIN_KEY_BYTES) == 0)
            return origin;
    }
    return NULL;
}

size_t origin_connections(struct origins *origins, const struct address *address)
{
    uint8_t key[ORIGIN_KEY_BYTES];
    const struct origin *origin;
    size_t connections;

    key_of(address, key);
    pthread_mutex_lock(&origins->lock);
    origin = find(bucket_of(origins, key), key);
    connections = origin ? origin->connections : 0;
    pthread_mutex_unlock(&origins->lock);
    return connections;
}

struct origin *origin_join(struct origins *origins, const struct address *address)
{
    uint8_t key[ORIGIN_KEY_BYTES];
    struct origin *origin;
    struct list *bucket;

    key_of(address, key);
    bucket = bucket_of(origins, key);
    pthread_mutex_lock(&origins->lock);
    origin = find(bucket, key);
    if (!origin)
        origin = origin_create(origins, bucket, key);
    if (origin)
        origin->connections++;
    pthread_mutex_unlock(&origins->lock);
    return origin;
}

void origin_leave(struct origins *origins, struct origin *origin)
{
    bool last;

    pthread_mutex_lock(&origins->lock);
    last = --origin->connections == 0;
    if (last) {
        list_remove(&origin->link);
        origins->count--;
    }
    pthread_mutex_unlock(&origins->lock);
    if (!last)
        return;
    account_close(origin->account);
    free(origin);
}
