/* SPDX-License-Identifier: Apache-2.0 */
/* Creates the modules. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "access/access.h"
#include "app/certificates.h"
#include "app/check.h"
#include "app/impl.h"
#include "app/notify.h"
#include "base/clock.h"
#include "grpc/grpc.h"
#include "grpc/method.h"
#include "kernels/kernels.h"
#include "layers/layers.h"
#include "memory/memory.h"
#include "net/listener.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "services/run_gauges.h"
#include "services/services.h"
#include "store/store.h"
#include "web/web.h"
#include "work/blocks.h"
#include "work/pool.h"

static int start_log(struct app *app, struct failure *failure)
{
    const struct method *const *methods;
    const char *isa;
    size_t count;

    app->log = log_create(2, app->config.log_level, app->config.log_format);
    if (config_kernels(&app->config, &app->kernels, failure) < 0)
        return -1;
    isa = kernels_name(app->kernels);
    methods = services_methods(&count);
    assert(count <= METHODS_MAX);
    for (size_t i = 0; i < count; i++)
        app->methods[i] = methods[i]->path;
    app->metrics = metrics_create(app->methods, count, TRITD_VERSION, isa);
    if (!app->log || !app->metrics)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory to start");
    return 0;
}

static int start_selftest(struct app *app, struct failure *failure)
{
    uint64_t begin = clock_monotonic_ns();
    char message[256] = "";

    if (kernels_selftest(app->kernels, message, sizeof(message)) < 0)
        return fail(failure, TRIT_INTERNAL, "isa", "the self-test of %s failed: %s",
                    kernels_name(app->kernels), message);
    log_event(app->log, LOG_INFO, "selftest",
              LOG_FIELDS(LOG_STR("isa", kernels_name(app->kernels)),
                         LOG_U64("took_us", (clock_monotonic_ns() - begin) / 1000)));
    return 0;
}

static int start_work(struct app *app, struct failure *failure)
{
    app_memory_start(app);
    metric_set(app->metrics, M_LOOPS, app->loop_count);
    for (unsigned i = 0; i < app->loop_count; i++) {
        struct loop *loop = &app->loops[i];

        loop->blocks = blocks_create(&app->budget);
        if (!loop->blocks)
            return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory to start");
        blocks_divide_kept(loop->blocks, app->loop_count);
    }
    return pool_start(&app->pool, app->config.threads, app->loops[0].mailbox, failure);
}

/* On the loop of a put. The store begins before the services. */
static void reports_filed(void *arg)
{
    struct app *app = arg;

    if (app->run_gauges)
        loops_tell(app, SERVICES_FILED);
}

static int start_store(struct app *app, struct failure *failure)
{
    struct health_rules rules;
    struct store_config config = {
        .directory = app->config.data_dir,
        .mailbox = app->loops[0].mailbox,
        .kernels = app->kernels,
        .log = app->log,
        .metrics = app->metrics,
        .queue_max = app->config.limits.store_queue_max,
        .codes_max = app->config.limits.codes_bytes_max,
        .shards_max = app->config.limits.shards_bytes_max,
        .rules = &rules,
        .filed = reports_filed,
        .filed_arg = app,
    };

    if (config_retention(&app->config, &config.retention, failure) < 0 ||
        option_health_rules(&app->config.health_rules, &rules, failure) < 0)
        return -1;

    if (!config.directory)
        log_event(app->log, LOG_WARN, "reports_in_memory",
                  LOG_FIELDS(LOG_STR("why", "no --data-dir: reports are lost at exit")));
    if (config.queue_max == 0)
        log_event(app->log, LOG_WARN, "reports_not_stored",
                  LOG_FIELDS(LOG_STR("why", STORES_NOTHING)));
    if (store_open(&app->store, &config, failure) < 0 ||
        store_reader_open(&app->services_reader, app->store, failure) < 0)
        return -1;
    return store_reader_open(&app->web_reader, app->store, failure);
}

static int start_layers(struct app *app, struct failure *failure)
{
    const struct layers_config config = {
        .directory = app->config.data_dir,
        .budget = &app->budget,
        .bytes_max = app->budget.bytes_max / 100 * app->config.limits.layers_percent_max,
        .log = app->log,
        .metrics = app->metrics,
    };

    return layers_open(&app->layers, &config, failure);
}

static int start_memory(struct app *app, struct failure *failure)
{
    if (app->config.limits.memory_buffers_max == 0)
        return 0;
    app->memory = memory_create(&app->config.limits, app->metrics);
    if (!app->memory)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory to start");
    if (app->loop_count > 1)
        memory_share(app->memory, app->loops[0].mailbox);
    return 0;
}

static int start_services(struct app *app, struct loop *loop, struct failure *failure)
{
    const struct services_config config = {
        .first = app->loops[0].services,
        .tell = loops_tell,
        .tell_arg = app,
        .ready = app_is_ready,
        .ready_arg = app,
        .kernels = app->kernels,
        .pool = app->pool,
        .blocks = loop->blocks,
        .budget = &app->budget,
        .store = app->store,
        .layers = app->layers,
        .reader = app->services_reader,
        .metrics = app->metrics,
        .memory = app->memory,
        .version = TRITD_VERSION,
        .checkpoint_root = app->config.checkpoint_root,
        .data_dir = app->config.data_dir,
        .log = app->log,
        .limits = &app->config.limits,
        .mailbox = app->loops[0].mailbox,
        .inline_bytes_max = SERVICES_INLINE_BYTES_MAX,
    };

    return services_create(&loop->services, &config, failure);
}

static int start_run_gauges(struct app *app, struct failure *failure)
{
    app->run_gauges = run_gauges_create(app->loops[0].services, app->loops[0].timers,
                                        app->config.limits.metrics_runs_max);
    return app->run_gauges
               ? 0
               : fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory to start");
}

static int start_access(struct app *app, struct failure *failure)
{
    const struct access_config config = {
        .token_file = app->config.token_file,
        .client_ca = app->config.tls_client_ca != NULL,
    };

    return access_create(&app->access, &config, failure);
}

static int start_tls(struct app *app, struct failure *failure)
{
    if (certificates_open(&app->tls, &app->config, failure) < 0)
        return -1;
    certificates_announce(app->tls, app->log, app->metrics);
    return 0;
}

/* The gate of the RPC port. */
static int authorize(void *arg, const struct method *method, const struct peer *peer,
                     const char *authorization, char *caller, struct failure *failure)
{
    struct app *app = arg;

    return access_allows(app->access, services_policy(method), method->path, peer,
                         authorization, caller, failure);
}

static int start_grpc(struct app *app, struct loop *loop, struct failure *failure)
{
    struct grpc_config config = {
        .limits = &loop->limits,
        .timers = loop->timers,
        .mailbox = loop->mailbox,
        .metrics = app->metrics,
        .log = app->log,
        .service = loop->services,
        .observe = services_observe,
        .authorize = authorize,
        .authorize_arg = app,
    };

    config.methods = services_methods(&config.method_count);
    return grpc_create(&loop->grpc, &config, failure);
}

static int start_net(struct app *app, struct loop *loop, struct failure *failure)
{
    const struct net_config config = {
        .group = app->group,
        .mailbox = loop->mailbox,
        .loop = &loop->uv,
        .timers = loop->timers,
        .limits = &loop->limits,
        .events = grpc_events(),
        .events_owner = loop->grpc,
        .cut = grpc_cut,
        .budget = &app->budget,
        .unix_mode = app->config.unix_mode,
        .memory = app->memory,
        .tls = app->tls,
        .log = app->log,
        .metrics = app->metrics,
    };

    return net_create(&loop->net, &config, failure);
}

static int listen_all(struct app *app, struct failure *failure)
{
    size_t length = 0;

    for (size_t i = 0; i < app->config.listen_count; i++) {
        char bound[256];

        if (net_listen(app->loops[0].net, app->config.listen[i], bound, sizeof(bound),
                       failure) < 0)
            return -1;
        length +=
            (size_t)snprintf(app->addresses + length, sizeof(app->addresses) - length,
                             "%s%s", i ? "," : "rpc=", bound);
        if (length >= sizeof(app->addresses))
            return fail_field(failure, TRIT_INVALID_ARGUMENT, "listen",
                              "too many addresses, or too long ones");
    }
    return 0;
}

static int visit_jobs(void *services,
                      bool (*visit)(void *arg, const struct wire_job *job,
                                    const struct wire_progress *progress),
                      void *arg, struct failure *failure)
{
    return services_visit_jobs(services, visit, arg, failure);
}

static uint64_t jobs_version(void *services)
{
    return services_jobs_version(services);
}

static int start_web(struct app *app, struct failure *failure)
{
    const struct web_config config = {
        .address = app->config.http,
        .reader = app->web_reader,
        .metrics = app->metrics,
        .log = app->log,
        .ready = app_ready,
        .ready_arg = app,
        .observe = services_observe,
        .observe_arg = app->loops[0].services,
        .jobs = app->config.checkpoint_root ? visit_jobs : NULL,
        .jobs_version = jobs_version,
        .jobs_arg = app->loops[0].services,
        .version = TRITD_VERSION,
        .limits = &app->config.limits,
        .tls = strcmp(app->config.http_tls, "on") == 0 ? app->tls : NULL,
        .access = app->access,
        .auth = app->config.http_auth,
        .hosts = app->config.http_hosts.values,
        .host_count = app->config.http_hosts.count,
        .proxies = app->config.http_proxies.values,
        .proxy_count = app->config.http_proxies.count,
    };
    size_t length = strlen(app->addresses);
    char bound[256] = "off";

    if (strcmp(config.address, "off") != 0 &&
        web_start(&app->web, &config, bound, sizeof(bound), failure) < 0)
        return -1;
    snprintf(app->addresses + length, sizeof(app->addresses) - length, " http=%s", bound);
    return 0;
}

int app_start_base(struct app *app, struct failure *failure)
{
    if (start_log(app, failure) < 0 || start_access(app, failure) < 0 ||
        start_tls(app, failure) < 0)
        return -1;
    return start_selftest(app, failure);
}

/* The first one comes first: the others share what it has. */
static int start_loops(struct app *app, struct failure *failure)
{
    app->group = net_group_create(app->loop_count, &app->budget);
    if (!app->group)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory to start");
    for (unsigned i = 0; i < app->loop_count; i++) {
        struct loop *loop = &app->loops[i];

        if (start_services(app, loop, failure) < 0 ||
            start_grpc(app, loop, failure) < 0 || start_net(app, loop, failure) < 0)
            return -1;
    }
    return 0;
}

int app_start_modules(struct app *app, struct failure *failure)
{
    if (start_work(app, failure) < 0 || start_store(app, failure) < 0 ||
        start_layers(app, failure) < 0 || start_memory(app, failure) < 0 ||
        start_loops(app, failure) < 0 || start_run_gauges(app, failure) < 0 ||
        listen_all(app, failure) < 0)
        return -1;
    app_disk_start(app);
    app_ready_start(app);
    return start_web(app, failure);
}
