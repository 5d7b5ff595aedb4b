/* SPDX-License-Identifier: Apache-2.0 */
#include "services/services.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/budget.h"
#include "base/limits.h"
#include "grpc/grpc.h"
#include "obs/metrics.h"
#include "services/checkpoints/describe.h"
#include "services/checkpoints/stream.h"
#include "services/health.h"
#include "services/methods.h"
#include "services/shared.h"
#include "services/watches.h"
#include "work/pool.h"

/* Every method, with the policy that a caller needs (docs/access.md). A row without a
 * policy does not compile. */
#define METHODS(X)                                                                       \
    X(project, PROJECT)                                                                  \
    X(verify, VERIFY)                                                                    \
    X(unpack, PROJECT)                                                                   \
    X(backward, PROJECT)                                                                 \
    X(project_stream, PROJECT)                                                           \
    X(verify_stream, VERIFY)                                                             \
    X(reports_get, READ)                                                                 \
    X(reports_list, READ)                                                                \
    X(reports_compare, READ)                                                             \
    X(reports_rewind, ADMIN)                                                             \
    X(reports_fork, ADMIN)                                                               \
    X(reports_delete, ADMIN)                                                             \
    X(reports_watch, READ)                                                               \
    X(health_check, EVERYONE)                                                            \
    X(health_list, EVERYONE)                                                             \
    X(reflection_v1, READ)                                                               \
    X(reflection_v1alpha, READ)                                                          \
    X(health_watch, EVERYONE)                                                            \
    X(layers_create, LAYERS)                                                             \
    X(layers_load, LAYERS)                                                               \
    X(layers_load_stream, LAYERS)                                                        \
    X(layers_get, LAYERS)                                                                \
    X(layers_list, LAYERS)                                                               \
    X(layers_delete, LAYERS)                                                             \
    X(layers_forward, LAYERS)                                                            \
    X(layers_backward, LAYERS)                                                           \
    X(layers_embed, LAYERS)                                                              \
    X(layers_as_linear, LAYERS)                                                          \
    X(layers_verify, LAYERS)                                                             \
    X(pack, PROJECT)                                                                     \
    X(pack_stream, PROJECT)                                                              \
    X(checkpoints_inspect, CHECKPOINTS)                                                  \
    X(checkpoints_plan, CHECKPOINTS)                                                     \
    X(checkpoints_verify, CHECKPOINTS)                                                   \
    X(checkpoints_project, CHECKPOINTS)                                                  \
    X(checkpoints_pack, CHECKPOINTS)                                                     \
    X(checkpoints_diff, CHECKPOINTS)                                                     \
    X(checkpoints_jobs, CHECKPOINTS)                                                     \
    X(checkpoints_attach, CHECKPOINTS)                                                   \
    X(checkpoints_cancel, CHECKPOINTS)

#define METHOD_OF(name, policy) &method_##name,
static const struct method *const methods[] = {METHODS(METHOD_OF)};

#define POLICY_OF(name, policy) POLICY_##policy,
static const enum policy policies[] = {METHODS(POLICY_OF)};

#define CHECK_POLICY(name, policy)                                                       \
    _Static_assert(POLICY_##policy > POLICY_NONE && POLICY_##policy < POLICIES,          \
                   "method_" #name " needs a policy of base/policy.h");
METHODS(CHECK_POLICY)

enum { METHOD_COUNT = sizeof(methods) / sizeof(methods[0]) };

const struct method *const *services_methods(size_t *count)
{
    *count = METHOD_COUNT;
    return methods;
}

enum policy services_policy(const struct method *method)
{
    for (size_t i = 0; i < METHOD_COUNT; i++)
        if (methods[i] == method)
            return policies[i];
    return POLICY_ADMIN;
}

static int create_jobs(struct services *services, struct failure *failure)
{
    const struct services_config *config = &services->config;
    struct jobs_config jobs = {
        .directory = config->checkpoint_root,
        .data = config->data_dir,
        .log = config->log,
        .kernels = config->kernels,
        .pool = config->pool,
        .budget = config->budget,
        .mailbox = config->mailbox,
        .metrics = config->metrics,
        .version = config->version,
        .news = streams_show,
    };

    if (config->limits)
        jobs.limits =
            (struct jobs_limits){.running_max = config->limits->jobs_max,
                                 .waiting_max = config->limits->jobs_waiting_max,
                                 .kept_max = config->limits->jobs_kept_max,
                                 .kept_s = config->limits->jobs_kept_s,
                                 .flush_ms = config->limits->jobs_flush_ms};
    return jobs_create(&services->jobs, &jobs, failure);
}

static void tell_self(void *arg, unsigned news)
{
    struct services *services = arg;

    services_take_news(services, services->health.grpc, news);
}

int services_create(struct services **out, const struct services_config *config,
                    struct failure *failure)
{
    struct services *services = calloc(1, sizeof(*services));

    if (!services)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory for the services");
    services->config = *config;
    if (!config->tell) {
        services->config.tell = tell_self;
        services->config.tell_arg = services;
    }
    if (config->first) {
        services->jobs = config->first->jobs;
    } else if (create_jobs(services, failure) < 0) {
        free(services);
        return -1;
    }
    tiles_init(&services->tiles);
    health_init(&services->health);
    places_init(&services->watches);
    places_init(&services->streams);
    pthread_mutex_init(&services->reader_lock, NULL);
    *out = services;
    return 0;
}

void services_destroy(struct services *services)
{
    if (!services)
        return;
    if (!services->config.first) {
        jobs_stop(services->jobs);
        jobs_destroy(services->jobs);
    }
    tiles_fini(&services->tiles);
    health_fini(&services->health);
    pthread_mutex_destroy(&services->reader_lock);
    free(services);
}

int services_visit_jobs(struct services *services,
                        bool (*visit)(void *arg, const struct wire_job *job,
                                      const struct wire_progress *progress),
                        void *arg, struct failure *failure)
{
    return jobs_check(services->jobs, failure) < 0
               ? -1
               : jobs_visit(services->jobs, visit, arg, failure);
}

uint64_t services_jobs_version(const struct services *services)
{
    return atomic_load(&services->jobs->version);
}

void services_forget_jobs(struct services *services)
{
    jobs_lock(services->jobs);
    jobs_forget_old(services->jobs);
    jobs_unlock(services->jobs);
}

void services_stop_jobs(struct services *services)
{
    if (services)
        jobs_stop(services->jobs);
}

void services_status_changed(struct services *services)
{
    services_tell(services, SERVICES_STATUS);
}

void services_take_news(struct services *services, struct grpc *grpc, unsigned news)
{
    if (news & SERVICES_FILED)
        watches_filed(services);
    if (news & SERVICES_STALE)
        watches_stale(services);
    if (news & SERVICES_JOBS)
        streams_take_news(services);
    if ((news & SERVICES_STATUS) && grpc)
        grpc_notify(grpc);
}

bool services_store_works(const struct services *services, char *why, size_t bytes)
{
    if (!health_store_fails(&services->health))
        return true;
    snprintf(why, bytes,
             "reports could not be stored within the last %d s; the log says why",
             HEALTH_STORE_FAILED_MS / 1000);
    return false;
}

void services_observe(void *arg)
{
    const struct services_config *config = &((struct services *)arg)->config;

    metric_set(config->metrics, M_BUDGET_USED, atomic_load(&config->budget->bytes_used));
    metric_set(config->metrics, M_QUEUE, pool_queued(config->pool));
    metric_set(config->metrics, M_WORKERS, pool_threads(config->pool));
    metric_set(config->metrics, M_WORKERS_BUSY, pool_busy(config->pool));
}
