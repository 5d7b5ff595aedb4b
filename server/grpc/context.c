/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/context.h"

#include <stdlib.h>

int grpc_create(struct grpc **out, const struct grpc_config *config,
                struct failure *failure)
{
    struct grpc *grpc = calloc(1, sizeof(*grpc));

    if (!grpc)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "no memory for the gRPC server");
    grpc->config = *config;
    list_init(&grpc->calls);
    *out = grpc;
    return 0;
}

bool grpc_draining(const struct grpc *grpc)
{
    return grpc->draining;
}

bool grpc_finishing(const struct grpc *grpc)
{
    return grpc->finishing;
}

void grpc_on_idle(struct grpc *grpc, void (*idle)(void *arg), void *arg)
{
    grpc->idle = idle;
    grpc->idle_arg = arg;
    if (grpc->call_count == 0)
        idle(arg);
}

void grpc_destroy(struct grpc *grpc)
{
    if (grpc)
        spares_fini(&grpc->spares);
    free(grpc);
}

void grpc_observe(struct grpc *grpc)
{
    if (grpc->config.observe)
        grpc->config.observe(grpc->config.service);
}
