/* HTTP for people and Prometheus: libmicrohttpd on its own thread (epoll), GET
 * and HEAD only, every bound set. Pages and JSON: README.md of this room. */
#ifndef WEB_H
#define WEB_H

#include "base/status.h"

struct log;
struct metrics;
struct store_reader;
struct web;

struct web_config {              /* borrowed while the web runs */
    const char *address;         /* "host:port", port 0 = a free one */
    struct store_reader *reader; /* used by the web's thread alone */
    struct metrics *metrics;
    struct log *log;
    /* 0 = ready; else a sentence in `why`. Called on the web's thread. */
    int (*ready)(void *arg, char *why, size_t bytes);
    void *ready_arg;
    const char *version;
};

/* Writes the address it got to `bound`. */
int web_start(struct web **web, const struct web_config *config, char *bound,
              size_t bound_bytes, struct failure *failure);
void web_stop(struct web *web);

#endif
