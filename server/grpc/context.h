/* SPDX-License-Identifier: Apache-2.0 */
/* The server object behind grpc.h, which all calls share. */
#ifndef GRPC_CONTEXT_H
#define GRPC_CONTEXT_H

#include "base/list.h"
#include "grpc/grpc.h"
#include "grpc/spares.h"

struct grpc {
    struct grpc_config config;
    struct list calls;
    size_t call_count;
    struct spares spares;
    bool draining, finishing;
    void (*idle)(void *arg);
    void *idle_arg;
};

/* Tells config.observe that a call began or ended. */
void grpc_observe(struct grpc *grpc);

#endif
