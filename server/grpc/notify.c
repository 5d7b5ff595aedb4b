/* SPDX-License-Identifier: Apache-2.0 */
/* What concerns all calls together. */
#include <inttypes.h>

#include "grpc/call.h"

void grpc_notify(struct grpc *grpc)
{
    struct list *next;

    for (struct list *node = grpc->calls.next; node != &grpc->calls; node = next) {
        struct call *call = LIST_OWNER(node, struct call, link);

        next = node->next; /* notice() may end the call; it is freed later */
        if (call->method->notice)
            call->method->notice(call);
    }
}

void grpc_drain(struct grpc *grpc)
{
    grpc->draining = true;
    grpc_notify(grpc);
}

void grpc_cut(void *owner)
{
    struct grpc *grpc = owner;
    struct list *next;

    for (struct list *node = grpc->calls.next; node != &grpc->calls; node = next) {
        struct call *call = LIST_OWNER(node, struct call, link);

        next = node->next;
        if (call->state == CALL_ENDED || call->state == CALL_CLOSED)
            continue;
        fail(&call->failure, TRIT_UNAVAILABLE, NULL,
             "the daemon stops, and the call did not end within drain_ms_max = %" PRIu64
             " ms; send it again",
             grpc->config.limits->drain_ms_max);
        call_end(call);
    }
}

void grpc_finish(struct grpc *grpc)
{
    grpc->finishing = true;
    grpc_notify(grpc);
}
