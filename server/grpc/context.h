/* SPDX-License-Identifier: Apache-2.0 */
/* What all calls share: the grpc behind grpc.h. */
#ifndef GRPC_CONTEXT_H
#define GRPC_CONTEXT_H

#include "base/list.h"
#include "grpc/grpc.h"

struct grpc {
    struct grpc_config config;
    struct list calls;
    size_t call_count;
    bool draining;
    void (*idle)(void *arg);
    void *idle_arg;
};

/* A call began or ended. */
void grpc_observe(struct grpc *grpc);

#endif
