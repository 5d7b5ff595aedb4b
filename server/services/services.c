/* SPDX-License-Identifier: Apache-2.0 */
#include "services/services.h"

#include <stdlib.h>

#include "base/budget.h"
#include "obs/metrics.h"
#include "services/methods.h"
#include "services/shared.h"
#include "work/pool.h"

static const struct method *const methods[] = {
    &method_project,          &method_verify,          &method_unpack,
    &method_backward,         &method_project_stream,  &method_verify_stream,
    &method_reports_get,      &method_reports_list,    &method_health_check,
    &method_layers_create,    &method_layers_load,     &method_layers_load_stream,
    &method_layers_get,       &method_layers_list,     &method_layers_delete,
    &method_layers_forward,   &method_layers_backward, &method_layers_embed,
    &method_layers_as_linear, &method_layers_verify,   &method_pack,
    &method_pack_stream,
};

const struct method *const *services_methods(size_t *count)
{
    *count = sizeof(methods) / sizeof(methods[0]);
    return methods;
}

int services_create(struct services **out, const struct services_config *config,
                    struct failure *failure)
{
    struct services *services = calloc(1, sizeof(*services));

    if (!services)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory for the services");
    services->config = *config;
    tiles_init(&services->tiles);
    pthread_mutex_init(&services->reader_lock, NULL);
    *out = services;
    return 0;
}

void services_destroy(struct services *services)
{
    if (!services)
        return;
    tiles_fini(&services->tiles);
    pthread_mutex_destroy(&services->reader_lock);
    free(services);
}

void services_observe(void *arg)
{
    const struct services_config *config = &((struct services *)arg)->config;

    metric_set(config->metrics, M_BUDGET_USED, atomic_load(&config->budget->bytes_used));
    metric_set(config->metrics, M_QUEUE, pool_queued(config->pool));
}
