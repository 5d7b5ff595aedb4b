/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's settings: one plain struct, constant after config_read. The command
 * line overrides the environment (TRITD_...), which overrides the --config file, which
 * overrides the defaults. */
#ifndef APP_CONFIG_H
#define APP_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "app/option.h"
#include "base/limits.h"
#include "base/status.h"
#include "obs/log.h"

enum { LISTEN_MAX = 16 };

struct config {
    const char *listen[LISTEN_MAX]; /* "host:port" or "unix:/path" */
    size_t listen_count;
    const char *http;            /* "host:port", or "off" */
    const char *data_dir;        /* NULL: reports are in memory only */
    const char *checkpoint_root; /* NULL: the service Checkpoints is off */
    const char *isa;             /* kernels: "auto", "portable", "avx2", ... */
    const char *token_file;      /* NULL: none; who may call (docs/access.md) */
    const char *tls_cert;        /* PEM files; NULL: plain TCP */
    const char *tls_key;
    const char *tls_client_ca; /* NULL: no client certificate is asked for */
    struct option_list http_hosts, http_proxies;
    struct option_list retain, health_rules; /* store.h; health.h */
    const char *http_tls;                    /* "on": where tls_cert is set; "off" */
    bool http_auth;                          /* /metrics asks for the policy read */
    unsigned unix_mode;                      /* permissions of Unix sockets */
    unsigned threads;                        /* workers; 0: one per core */
    unsigned loops;                          /* 0: by the number of cores */
    enum log_level log_level;
    enum log_format log_format;
    uint64_t drain_delay_ms; /* from SIGTERM to the drain of the connections */
    bool insecure; /* allow non-loopback addresses without TLS and authentication */
    struct limits limits;
    int argc; /* of the command line, borrowed: config_reload reads it again */
    char **argv;
    const char *file; /* of --config; NULL: none */
    /* Owned; the strings above may point into them. */
    char *file_text;   /* of --config */
    char *listen_text; /* of TRITD_LISTEN */
};

enum config_action {
    CONFIG_SERVE,
    CONFIG_CHECK,
    CONFIG_CHECK_DATA,
    CONFIG_VERSION,
    CONFIG_HELP
};

/* Fills *config from defaults, file, environment and arguments, and validates it.
 * INVALID_ARGUMENT names the option, where it was set, and the value. */
int config_read(struct config *config, enum config_action *action, int argc, char **argv,
                struct failure *failure);
void config_fini(struct config *config);

/* Reads command line, environment and file again, for SIGHUP. Puts into *config what can
 * change while the daemon runs. `changed` is called for each option whose value differs;
 * `applied` is false where the new value needs a restart. On failure nothing changes. */
int config_reload(struct config *config,
                  void (*changed)(void *arg, const char *option, bool applied), void *arg,
                  struct failure *failure);

/* Writes the help text, made from the table of options. */
int config_help(int fd); /* -1: errno */

#endif
