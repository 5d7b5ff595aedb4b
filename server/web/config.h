/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of the web server and its handlers. */
#ifndef WEB_CONFIG_H
#define WEB_CONFIG_H

#include <stddef.h>

struct log;
struct metrics;
struct store_reader;

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

#endif
