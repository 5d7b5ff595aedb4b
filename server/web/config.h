/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of the web server and its handlers. */
#ifndef WEB_CONFIG_H
#define WEB_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct access;
struct failure;
struct limits;
struct log;
struct metrics;
struct store_reader;
struct tls_context;
struct wire_job;
struct wire_progress;

enum { WEB_HOSTS_MAX = 16, WEB_PROXIES_MAX = 16 };

struct web_config {              /* borrowed while the web runs */
    const char *address;         /* "host:port", port 0 = a free one */
    struct store_reader *reader; /* used by the thread of queries alone */
    struct metrics *metrics;
    struct log *log;
    /* 0 = ready; else a sentence in `why`. Called on the web's thread. */
    int (*ready)(void *arg, char *why, size_t bytes);
    void *ready_arg;
    /* Brings gauges up to date before they are read; may be NULL. On the web's thread. */
    void (*observe)(void *arg);
    void *observe_arg;
    /* Shows the jobs over checkpoints, the newest first, until `visit` returns false; NULL:
     * the daemon has no checkpoint root. On the thread of queries. -1: RESOURCE_EXHAUSTED. */
    int (*jobs)(void *arg,
                bool (*visit)(void *arg, const struct wire_job *job,
                              const struct wire_progress *progress),
                void *visit_arg, struct failure *failure);
    uint64_t (*jobs_version)(void *arg); /* changes with them; on the web's thread */
    void *jobs_arg;
    const char *version;
    /* http_connections_max, http_address_max, http_request_ms_max; NULL: the defaults */
    const struct limits *limits;
    struct tls_context *tls; /* NULL: plain HTTP */
    struct access *access;   /* who may read; NULL: everybody */
    bool auth;               /* /metrics asks for the policy read too */
    /* Each text is one item, or several with commas. */
    const char *const *hosts; /* further names that it answers to; "*": every name */
    size_t host_count;
    const char *const *proxies; /* addresses and networks whose Forwarded is believed */
    size_t proxy_count;
};

#endif
