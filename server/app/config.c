/* SPDX-License-Identifier: Apache-2.0 */
#include "app/config.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/config_text.h"
#include "app/option.h"
#include "app/validate.h"
#include "base/machine.h"
#include "net/listener.h"

/* The default budget is this part of the memory. */
enum { MACHINE_MEMORY_DIVISOR = 2 };

#define AT(member) offsetof(struct config, member)

static const struct option_row rows[] = {
    {"listen", OPTION_LISTEN, 0, "ADDRESS",
     "serve gRPC here: host:port (port 0: any free port) or unix:/path, or systemd: "
     "the sockets that it passed; may be repeated [127.0.0.1:6561]",
     false},
    {"unix-mode", OPTION_MODE, AT(unix_mode), "MODE",
     "permissions of Unix sockets, in octal [0660]", false},
    {"http", OPTION_TEXT, AT(http), "ADDRESS",
     "serve metrics, health and reports here; off: do not [127.0.0.1:6562]", false},
    {"data-dir", OPTION_TEXT, AT(data_dir), "DIR",
     "keep reports and layers here; without it they are lost at exit", false},
    {"checkpoint-root", OPTION_TEXT, AT(checkpoint_root), "DIR",
     "where the service Checkpoints has its files; without it the service is off", false},
    {"token-file", OPTION_TEXT, AT(token_file), "FILE",
     "who may call: lines of NAME sha256:HEX POLICY[,POLICY]; SIGHUP reads it again",
     false},
    {"tls-cert", OPTION_TEXT, AT(tls_cert), "FILE",
     "serve TCP over TLS with this certificate chain (PEM); SIGHUP reads it again",
     false},
    {"tls-key", OPTION_TEXT, AT(tls_key), "FILE", "the key of --tls-cert (PEM)", false},
    {"tls-client-ca", OPTION_TEXT, AT(tls_client_ca), "FILE",
     "verify clients' certificates by these authorities (PEM)", false},
    {"http-host", OPTION_LIST, AT(http_hosts), "NAME",
     "answer HTTP under this host name too; *: under every name; may be repeated", false},
    {"http-tls", OPTION_TEXT, AT(http_tls), "on|off",
     "off: plain HTTP although --tls-cert is set [on]", false},
    {"http-auth", OPTION_FLAG, AT(http_auth), NULL,
     "/metrics needs a token or certificate with the policy read", false},
    {"http-trusted-proxy", OPTION_LIST, AT(http_proxies), "ADDRESS",
     "believe X-Forwarded-For and Forwarded from this address or network "
     "(10.0.0.0/8); may be repeated",
     false},
    {"http-connections-max", OPTION_COUNT, AT(limits.http_connections_max), "N",
     "largest number of HTTP connections [64]", false},
    {"http-connections-per-address", OPTION_COUNT, AT(limits.http_address_max), "N",
     "of them from one address [8; 48 from this machine]", false},
    {"http-request-ms", OPTION_NUMBER, AT(limits.http_request_ms_max), "MS",
     "time limit for an HTTP request, from its first byte to the end of the reply "
     "[20000]",
     false},
    {"threads", OPTION_COUNT, AT(threads), "N",
     "worker threads [one per core of the machine or the control group's quota]", false},
    {"loops", OPTION_COUNT, AT(loops), "N",
     "event loops, each a thread that serves its share of the connections [one, from 16 "
     "cores on one per 8]",
     false},
    {"isa", OPTION_TEXT, AT(isa), "NAME",
     "kernels: auto, portable, avx2, avx512, neon [auto]", false},
    {"memory-max", OPTION_BYTES, AT(limits.memory_bytes_max), "BYTES",
     "memory for all that clients cause; K, M, G, T or KiB, MiB, ... [half of the "
     "machine's, or of the control group's limit]",
     false},
    {"layers-percent-max", OPTION_COUNT32, AT(limits.layers_percent_max), "N",
     "percent of --memory-max that held layers may take; calls get the rest [75]", false},
    {"message-max", OPTION_BYTES, AT(limits.message_bytes_max), "BYTES",
     "largest gRPC message, request or reply [256M]", true},
    {"connections-max", OPTION_COUNT32, AT(limits.connections_max), "N",
     "largest number of gRPC connections [4096]", true},
    {"streams-max", OPTION_COUNT32, AT(limits.streams_per_connection_max), "N",
     "largest number of concurrent calls per connection [128]", true},
    {"store-queue-max", OPTION_COUNT32, AT(limits.store_queue_max), "N",
     "largest number of reports that wait for the disk [4096]", false},
    {"codes-max", OPTION_BYTES, AT(limits.codes_bytes_max), "BYTES",
     "codes and scales kept of older reports, for Compare; the oldest are deleted [1G]",
     false},
    {"shards-max", OPTION_BYTES, AT(limits.shards_bytes_max), "BYTES",
     "shards that wait for others of their layer; more are refused [4G]", false},
    {"retain", OPTION_LIST, AT(retain), "RULE",
     "delete old reports: age=30d, count=1000 (of a layer, replica and attempt), "
     "bytes=10G (the store), thin=100:10 (behind the newest 100 of each, steps that are "
     "no multiple of 10); may be repeated [keep all]",
     false},
    {"best-effort-ms", OPTION_NUMBER, AT(limits.best_effort_ms), "MS",
     "how long the answer to a BEST_EFFORT request waits for its report's commit [200]",
     true},
    {"disk-free-min", OPTION_BYTES, AT(limits.disk_free_min), "BYTES",
     "be not ready while the disk of --data-dir has less than this free [64M]", true},
    {"memory-buffers-max", OPTION_NUMBER, AT(limits.memory_buffers_max), "N",
     "largest number of buffers that a local client shares; 0: none [64]", false},
    {"memory-buffer-bytes-max", OPTION_BYTES, AT(limits.memory_buffer_bytes_max), "BYTES",
     "bytes of the buffers that a local client shares [1G]", false},
    {"jobs-max", OPTION_COUNT32, AT(limits.jobs_max), "N",
     "checkpoint jobs that run at a time; further ones wait [2]", false},
    {"jobs-waiting-max", OPTION_COUNT32, AT(limits.jobs_waiting_max), "N",
     "largest number of jobs that wait [64]", false},
    {"jobs-kept-max", OPTION_COUNT32, AT(limits.jobs_kept_max), "N",
     "ended jobs whose results are kept; the oldest are forgotten [64]", false},
    {"jobs-kept-s", OPTION_COUNT32, AT(limits.jobs_kept_s), "S",
     "how long ended jobs are kept [604800]", false},
    {"jobs-flush-ms", OPTION_COUNT32, AT(limits.jobs_flush_ms), "MS",
     "how long output of a job waits until it is flushed; so much work is repeated after "
     "a crash [1000]",
     false},
    {"health-rule", OPTION_LIST, AT(health_rules), "RULE.LEVEL=VALUE",
     "threshold of a rule, as dead_groups.failing=0.5; off: never; may be repeated",
     false},
    {"metrics-runs-max", OPTION_COUNT32, AT(limits.metrics_runs_max), "N",
     "runs that have metrics of their own, the newest [32]", false},
    {"queue-ms", OPTION_NUMBER, AT(limits.queue_ms_max), "MS",
     "refuse a call whose work would wait longer than this for workers [60000]", true},
    {"handshake-ms", OPTION_NUMBER, AT(limits.handshake_ms_max), "MS",
     "time limit for a connection's first frames [10000]", true},
    {"idle-ms", OPTION_NUMBER, AT(limits.idle_ms_max), "MS",
     "end a call after this time without a byte sent or received [120000]", true},
    {"rate-min", OPTION_BYTES, AT(limits.rate_bytes_min), "BYTES",
     "end a call whose peer sends a message, or reads replies, at less than this a "
     "second; 0: do not [64K]",
     true},
    {"rate-ms", OPTION_NUMBER, AT(limits.rate_ms), "MS",
     "measure that rate over this time [30000]", true},
    {"drain-ms", OPTION_NUMBER, AT(limits.drain_ms_max), "MS",
     "time limit for running calls after SIGTERM [30000]", true},
    {"drain-delay", OPTION_NUMBER, AT(drain_delay_ms), "MS",
     "after SIGTERM, say that the daemon is not ready, but serve for so long [0]", true},
    {"connection-age-ms", OPTION_NUMBER, AT(limits.connection_age_ms), "MS",
     "ask a connection to end after this time, a tenth more or less, so that clients "
     "behind a balancer of connections spread; 0: do not [0]",
     true},
    {"connection-age-grace-ms", OPTION_NUMBER, AT(limits.connection_age_grace_ms), "MS",
     "time limit for the running calls of such a connection [3600000]", true},
    {"log-level", OPTION_LEVEL, AT(log_level), "LEVEL", "debug, info, warn, error [info]",
     true},
    {"log-format", OPTION_FORMAT, AT(log_format), "FORMAT", "logfmt, json [logfmt]",
     false},
    {"insecure", OPTION_FLAG, AT(insecure), NULL,
     "allow addresses that other machines can reach, without TLS and authentication",
     false},
    {"config", OPTION_CONFIG, 0, "FILE",
     "read lines of name = value, with the names above", false},
    {"check-config", OPTION_ACTION, CONFIG_CHECK, NULL,
     "validate the configuration and exit", false},
    {"check-data", OPTION_ACTION, CONFIG_CHECK_DATA, NULL,
     "read everything in --data-dir, name what is damaged, and exit: 0 intact, 1 damaged",
     false},
    {"version", OPTION_ACTION, CONFIG_VERSION, NULL, "print the version and exit", false},
    {"help", OPTION_ACTION, CONFIG_HELP, NULL, "print this help and exit", false},
};

enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };

/* ---- the three sources ----------------------------------------------------------- */

/* The command line replaces what the environment says, which replaces the file. */
static void next_source(struct config *config)
{
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (rows[i].kind == OPTION_LIST) {
            struct option_list *list = (void *)((char *)config + rows[i].offset);

            list->older = true;
        }
}

static int set(struct config *config, const struct option_row *row, const char *source,
               const char *value, struct failure *failure)
{
    if (row->kind != OPTION_LISTEN)
        return option_read(config, row, source, value, failure);
    if (config->listen_count == LISTEN_MAX || *value == '\0')
        return option_refuse(row, source, value,
                             "one of at most 16 addresses: host:port or unix:/path",
                             failure);
    config->listen[config->listen_count++] = value;
    return 0;
}

/* Several addresses in one variable are separated by commas. */
static int listen_from_environment(struct config *config, const struct option_row *row,
                                   const char *name, const char *value,
                                   struct failure *failure)
{
    char *rest, *address;

    config->listen_count = 0;
    free(config->listen_text);
    config->listen_text = rest = strdup(value);
    if (!rest)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory to start");
    while ((address = strsep(&rest, ",")))
        if (set(config, row, name, address, failure) < 0)
            return -1;
    return 0;
}

static int read_environment(struct config *config, struct failure *failure)
{
    next_source(config);
    for (size_t i = 0; i < ROW_COUNT; i++) {
        char name[64];
        const char *value;
        int result;

        if (rows[i].kind == OPTION_ACTION || rows[i].kind == OPTION_CONFIG)
            continue;
        option_environment_name(&rows[i], name, sizeof(name));
        value = getenv(name);
        if (!value)
            continue;
        result = rows[i].kind == OPTION_LISTEN
                     ? listen_from_environment(config, &rows[i], name, value, failure)
                     : set(config, &rows[i], name, value, failure);
        if (result < 0)
            return -1;
    }
    return 0;
}

/* Which of two values was meant is not known. */
static int check_once(const struct option_row *row, const char *place, unsigned number,
                      unsigned *first, struct failure *failure)
{
    if (*first && row->kind != OPTION_LISTEN && row->kind != OPTION_LIST)
        return fail(failure, TRIT_INVALID_ARGUMENT, "config",
                    "%s: %s is given twice; line %u has it too", place, row->name,
                    *first);
    *first = number;
    return 0;
}

/* `lines`: of each option, where it was given; 0: not yet. */
static int read_line(struct config *config, char *line, const char *path, unsigned number,
                     unsigned lines[ROW_COUNT], struct failure *failure)
{
    char *name, *value, place[320], source[400];
    const int found = config_text_split(line, &name, &value);

    snprintf(place, sizeof(place), "%.255s:%u", path, number);
    if (found < 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "config",
                    "%s: \"%s\" is not a line of name = value", place, name);
    if (found == 0)
        return 0;
    snprintf(source, sizeof(source), "%s: %.64s", place, name);
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (strcmp(rows[i].name, name) == 0 && rows[i].kind != OPTION_ACTION &&
            rows[i].kind != OPTION_CONFIG)
            return check_once(&rows[i], place, number, &lines[i], failure) < 0
                       ? -1
                       : set(config, &rows[i], source, value, failure);
    return fail(failure, TRIT_INVALID_ARGUMENT, "config",
                "%s: no option is called \"%s\"", place, name);
}

static int read_file(struct config *config, const char *path, struct failure *failure)
{
    unsigned number = 0, lines[ROW_COUNT] = {0};
    char *line, *rest;

    if (config_text_read(&config->file_text, path, failure) < 0)
        return -1;
    config->listen_count = 0;
    rest = config->file_text;
    while ((line = strsep(&rest, "\n")))
        if (read_line(config, line, path, ++number, lines, failure) < 0)
            return -1;
    return 0;
}

struct arguments {
    struct option options[ROW_COUNT + 1];
    enum config_action action;
    const char *file;
    bool listens; /* --listen is given: it replaces addresses set elsewhere */
};

/* Runs twice: without `config` it looks for --config and --listen; then, after the file
 * and the environment, it sets the values. */
static int read_arguments(struct config *config, struct arguments *arguments, int argc,
                          char **argv, struct failure *failure)
{
    int index = 0, c;

    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":", arguments->options, &index)) != -1) {
        const struct option_row *row = &rows[index];
        char source[64];

        if (c != 0)
            return fail(failure, TRIT_INVALID_ARGUMENT, NULL, "%s: %s; see --help",
                        argv[optind - 1] ? argv[optind - 1] : "",
                        c == ':' ? "needs a value" : "no such option");
        snprintf(source, sizeof(source), "--%s", row->name);
        if (row->kind == OPTION_ACTION)
            arguments->action = (enum config_action)row->offset;
        else if (row->kind == OPTION_CONFIG)
            arguments->file = optarg;
        else if (row->kind == OPTION_LISTEN && !config)
            arguments->listens = true;
        else if (config &&
                 set(config, row, source, optarg ? optarg : "true", failure) < 0)
            return -1;
    }
    if (optind < argc)
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "%s: unexpected argument; see --help", argv[optind]);
    return 0;
}

/* ---- all together ---------------------------------------------------------------- */

/* What other machines can reach needs encryption and authentication. */
static int validate_address(const struct config *config, const char *address,
                            const char *option, bool encrypted, struct failure *failure)
{
    const bool authenticated = config->token_file || config->tls_client_ca;
    const bool off = config->tls_cert && !encrypted; /* by --http-tls */
    const char *missing = off ? "--http-tls is off, and authentication (--token-file or "
                                "--tls-client-ca) is not set"
                              : "neither TLS (--tls-cert and --tls-key) nor "
                                "authentication (--token-file or --tls-client-ca) is set";

    if (config->insecure || strcmp(address, "off") == 0 ||
        net_address_is_local(address) || (encrypted && authenticated))
        return 0;
    if (!net_address_has_form(address))
        return fail_field(failure, TRIT_INVALID_ARGUMENT, option,
                          "\"%s\" is not host:port, [v6]:port or unix:/path", address);
    if (encrypted)
        missing = "authentication (--token-file or --tls-client-ca) is not set";
    else if (authenticated)
        missing = off ? "--http-tls is off" : "TLS (--tls-cert and --tls-key) is not set";
    return fail_field(failure, TRIT_INVALID_ARGUMENT, option,
                      "\"%s\" is reachable from other machines, and %s; "
                      "--insecure allows it",
                      address, missing);
}

static int validate_addresses(const struct config *config, struct failure *failure)
{
    for (size_t i = 0; i < config->listen_count; i++)
        if (validate_address(config, config->listen[i], "listen",
                             config->tls_cert != NULL, failure) < 0)
            return -1;
    return validate_address(config, config->http, "http",
                            config->tls_cert && strcmp(config->http_tls, "on") == 0,
                            failure);
}

static int validate(const struct config *config, struct failure *failure)
{
    struct health_rules rules;

    if (tls_validate(config->tls_cert, config->tls_key, config->tls_client_ca, failure) <
            0 ||
        validate_addresses(config, failure) < 0 ||
        option_health_rules(&config->health_rules, &rules, failure) < 0)
        return -1;
    if (strcmp(config->http_tls, "on") != 0 && strcmp(config->http_tls, "off") != 0)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "http-tls",
                          "\"%.40s\" is not on or off", config->http_tls);
    if (config->http_auth && !config->token_file && !config->tls_client_ca)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "http-auth",
                          "nobody could read /metrics; set --token-file too");
    if (config->loops > LOOPS_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "loops",
                          "%u; must be at most %d", config->loops, (int)LOOPS_MAX);
    return limits_validate(&config->limits, failure);
}

/* Sockets that systemd has passed take the place of the default address. */
static const char *default_listen(void)
{
    return net_systemd_sockets() > 0 ? LISTEN_SYSTEMD : "127.0.0.1:6561";
}

static void defaults(struct config *config)
{
    *config = (struct config){
        .listen = {default_listen()},
        .listen_count = 1,
        .unix_mode = 0660,
        .http = "127.0.0.1:6562",
        .http_tls = "on",
        .isa = "auto",
        .log_level = LOG_INFO,
        .log_format = LOG_LOGFMT,
        .limits = limits_default(),
    };
    config->limits.memory_bytes_max = machine_memory_bytes("") / MACHINE_MEMORY_DIVISOR;
    if (config->limits.memory_bytes_max < MEMORY_BYTES_MIN)
        config->limits.memory_bytes_max = MEMORY_BYTES_MIN;
}

int config_read(struct config *config, enum config_action *action, int argc, char **argv,
                struct failure *failure)
{
    struct arguments arguments = {.action = CONFIG_SERVE, .file = getenv("TRITD_CONFIG")};
    struct config fresh;

    for (size_t i = 0; i < ROW_COUNT; i++)
        arguments.options[i] = (struct option){
            .name = rows[i].name,
            .has_arg = rows[i].value ? required_argument : no_argument,
        };
    defaults(&fresh);
    if (read_arguments(NULL, &arguments, argc, argv, failure) < 0)
        return -1;
    if ((arguments.file && read_file(&fresh, arguments.file, failure) < 0) ||
        read_environment(&fresh, failure) < 0) {
        config_fini(&fresh);
        return -1;
    }
    next_source(&fresh);
    if (arguments.listens)
        fresh.listen_count = 0;
    if (fresh.listen_count == 0 && !arguments.listens)
        fresh.listen[fresh.listen_count++] = default_listen();
    if (read_arguments(&fresh, &arguments, argc, argv, failure) < 0 ||
        validate(&fresh, failure) < 0) {
        config_fini(&fresh);
        return -1;
    }
    fresh.argc = argc;
    fresh.argv = argv;
    fresh.file = arguments.file;
    *config = fresh;
    *action = arguments.action;
    return 0;
}

static bool same_listen(const struct config *a, const struct config *b)
{
    if (a->listen_count != b->listen_count)
        return false;
    for (size_t i = 0; i < a->listen_count; i++)
        if (strcmp(a->listen[i], b->listen[i]) != 0)
            return false;
    return true;
}

int config_reload(struct config *config,
                  void (*changed)(void *arg, const char *option, bool applied), void *arg,
                  struct failure *failure)
{
    enum config_action action;
    struct config fresh;

    if (config_text_check(config->file, failure) < 0 ||
        config_read(&fresh, &action, config->argc, config->argv, failure) < 0)
        return -1;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct option_row *row = &rows[i];

        if (row->kind == OPTION_ACTION || row->kind == OPTION_CONFIG)
            continue;
        if (row->kind == OPTION_LISTEN ? same_listen(config, &fresh)
                                       : option_equal(config, &fresh, row))
            continue;
        if (row->reloads)
            option_copy(config, &fresh, row);
        changed(arg, row->name, row->reloads);
    }
    config_fini(&fresh);
    return 0;
}

void config_fini(struct config *config)
{
    free(config->file_text);
    free(config->listen_text);
    config->file_text = config->listen_text = NULL;
}

int config_help(int fd)
{
    int result = dprintf(
        fd,
        "usage: tritd [options]\n\n"
        "Ternarizes and validates neural-network weights over gRPC.\n"
        "Each option has an environment variable: --data-dir is TRITD_DATA_DIR.\n"
        "SIGHUP reads the configuration again; SIGTERM finishes calls and exits.\n\n");

    for (size_t i = 0; i < ROW_COUNT && result >= 0; i++)
        result = dprintf(fd, "  --%s %-*s %s\n", rows[i].name,
                         strlen(rows[i].name) < 29 ? 29 - (int)strlen(rows[i].name) : 0,
                         rows[i].value ? rows[i].value : "", rows[i].help);
    return result < 0 ? -1 : 0;
}
