/* SPDX-License-Identifier: Apache-2.0 */
#include "app/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "access/access.h"
#include "app/certificates.h"
#include "app/config.h"
#include "kernels/kernels.h"
#include "layers/layers.h"
#include "net/listener.h"
#include "services/checkpoints/kept_read.h"
#include "services/checkpoints/root.h"
#include "store/store.h"
#include "tls/tls.h"
#include "web/gate.h"
#include "web/listen.h"
#include "work/pool.h"

int config_kernels(const struct config *config, const struct kernels **kernels,
                   struct failure *failure)
{
    *kernels = kernels_select(config->isa);
    if (*kernels)
        return 0;
    return fail_field(failure, TRIT_INVALID_ARGUMENT, "isa",
                      "\"%s\" is unknown or not supported by this CPU", config->isa);
}

int config_retention(const struct config *config, struct store_retention *retention,
                     struct failure *failure)
{
    for (size_t i = 0; i < config->retain.count; i++)
        if (store_retention_add(retention, config->retain.values[i], failure) < 0)
            return -1;
    return 0;
}

static int check_threads(const struct config *config, struct failure *failure)
{
    if (config->threads <= POOL_THREADS_MAX)
        return 0;
    return fail_field(failure, TRIT_INVALID_ARGUMENT, "threads", "%u; at most %d",
                      config->threads, POOL_THREADS_MAX);
}

static int check_data_dir(const struct config *config, struct failure *failure)
{
    const char *path = config->data_dir;

    return path && (store_usable(path, failure) < 0 || layers_usable(path, failure) < 0)
               ? -1
               : 0;
}

static int check_checkpoint_root(const struct config *config, struct failure *failure)
{
    struct root root;

    if (root_open(&root, config->checkpoint_root, failure) < 0)
        return -1;
    root_close(&root);
    return 0;
}

static int check_addresses(const struct config *config, struct failure *failure)
{
    const char *addresses[LISTEN_MAX + 1];
    size_t count = config->listen_count;

    memcpy(addresses, config->listen, count * sizeof(addresses[0]));
    if (strcmp(config->http, "off") != 0) {
        if (listen_check(config->http, failure) < 0)
            return -1;
        addresses[count++] = config->http;
    }
    return net_addresses_check(addresses, count, failure);
}

static int check_tls(const struct config *config, struct failure *failure)
{
    struct tls_context *tls;

    if (certificates_open(&tls, config, failure) < 0)
        return -1;
    tls_context_destroy(tls);
    return 0;
}

static int check_access(const struct config *config, struct failure *failure)
{
    const struct access_config rules = {.token_file = config->token_file};
    const struct web_config web = {.hosts = config->http_hosts.values,
                                   .host_count = config->http_hosts.count,
                                   .proxies = config->http_proxies.values,
                                   .proxy_count = config->http_proxies.count};
    struct access *access;
    struct gate gate;

    if (access_create(&access, &rules, failure) < 0)
        return -1;
    access_destroy(access);
    return gate_init(&gate, &web, "", failure);
}

int config_check(const struct config *config, struct failure *failure)
{
    struct store_retention retention = {.count = 0};
    const struct kernels *kernels;

    if (config_retention(config, &retention, failure) < 0 ||
        config_kernels(config, &kernels, failure) < 0 ||
        check_threads(config, failure) < 0 || check_data_dir(config, failure) < 0 ||
        check_checkpoint_root(config, failure) < 0 ||
        check_addresses(config, failure) < 0 || check_tls(config, failure) < 0 ||
        check_access(config, failure) < 0)
        return -1;
    return 0;
}

/* ---- data ---- */

static void print_damage(void *arg, const char *message)
{
    (void)arg;
    printf("damaged: %s\n", message);
}

int64_t data_check(const struct config *config, struct failure *failure)
{
    struct store_counts store;
    struct layers_counts layers;
    struct kept_counts jobs;

    if (!config->data_dir)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "data-dir",
                          "--check-data needs it");
    if (store_check(config->data_dir, print_damage, NULL, &store, failure) < 0 ||
        layers_check(config->data_dir, print_damage, NULL, &layers, failure) < 0 ||
        kept_check(config->data_dir, print_damage, NULL, &jobs, failure) < 0)
        return -1;
    const uint64_t damaged = store.damaged + layers.damaged + jobs.damaged;

    printf("%" PRIu64 " reports of %" PRIu64 " layers, codes of %" PRIu64 "; %" PRIu64
           " held layers, latents of %" PRIu64,
           store.reports, store.layers, store.uploads, layers.layers, layers.latents);
    if (jobs.jobs)
        printf("; %" PRIu64 " jobs", jobs.jobs);
    printf(": %s\n", damaged                                       ? "damaged"
                     : store.reports || layers.layers || jobs.jobs ? "intact"
                                                                   : "nothing is stored");
    return (int64_t)damaged;
}
