/* SPDX-License-Identifier: Apache-2.0 */
/* Layers.List and Layers.Delete. */
#include <stdlib.h>
#include <string.h>

#include "base/account.h"
#include "base/limits.h"
#include "layers/files.h"
#include "services/layers/call.h"
#include "services/layers/parallel.h"
#include "services/ternary/tensor_call.h"

enum { PAGE_DEFAULT = 100 };

/* ---- List -------------------------------------------------------------------------- */

struct listing {
    struct wire_layer_list list;
};

static int list_message(struct call *call)
{
    struct listing *state = call->method_state;
    char error[CODEC_ERROR_BYTES];

    if (decode_layer_list(&call->scan.parts[PART_ROOT], &state->list, error) < 0)
        return decode_failed(call, "", error);
    return 0;
}

static int list_request(struct call *call)
{
    struct listing *state = call->method_state;
    const struct wire_layer_list *list = &state->list;
    uint32_t limit = list->page_size ? list->page_size : PAGE_DEFAULT, seen = 0;
    const char *after = list->page_token[0] ? list->page_token : NULL;
    struct layer *layer, *before = NULL; /* that has the name `after` */
    uint8_t *reply;
    size_t count = 0, capacity;

    limit = limit < LIST_PAGE_MAX ? limit : LIST_PAGE_MAX;
    capacity = ((size_t)limit + 1) * LAYER_SPEC_BYTES_MAX; /* a token is smaller */
    reply = account_alloc(call->account, capacity);
    if (!reply)
        return memory_spent(call);
    while ((layer = layers_next(services_of(call)->config.layers, list->prefix, after))) {
        struct wire_layer_spec spec = wire_of_spec(&layer->spec);

        if (seen++ == limit) {
            count += encode_page_token(after, reply + count, capacity - count);
            layer_release(layer);
            break;
        }
        count += encode_layer_spec(&spec, reply + count, capacity - count);
        layer_release(before);
        before = layer;
        after = layer->spec.name;
    }
    layer_release(before);
    call_write_message(call, reply, count);
    account_free(call->account, reply);
    call_end(call);
    return 0;
}

const struct method method_layers_list = {
    .path = "/trit.v1.Layers/List",
    .scan = scan_plain,
    .state_bytes = sizeof(struct listing),
    .message = list_message,
    .request = list_request,
};

/* ---- Delete ------------------------------------------------------------------------ */

struct deletion {
    char name[TRIT_NAME_BYTES_MAX + 1];
    struct layer *layer;
    struct parallel_for pieces;
};

static int delete_message(struct call *call)
{
    struct deletion *deletion = call->method_state;
    char error[CODEC_ERROR_BYTES];

    if (decode_layer_name(&call->scan.parts[PART_ROOT], deletion->name, error) < 0)
        return decode_failed(call, "", error);
    return 0;
}

static int delete_run(struct call *call, uint64_t piece, struct worker *worker)
{
    struct deletion *deletion = call->method_state;

    (void)piece;
    return layer_remove(deletion->layer, &worker->failure);
}

/* Calls that hold the layer can still use it. */
static void delete_done(struct call *call)
{
    struct deletion *deletion = call->method_state;

    if (deletion->pieces.finished == 1)
        layer_unregister(deletion->layer);
    if (call->state != CALL_WORKING)
        return;
    if (call->failure.status == TRIT_OK)
        call_write_message(call, "", 0);
    call_end(call);
}

static int delete_request(struct call *call)
{
    struct deletion *deletion = call->method_state;
    const struct parallel_for_spec pieces = {
        .count = 1,
        .cost = layers_durable(services_of(call)->config.layers)
                    ? PARALLEL_FOR_NEVER_INLINE
                    : 0,
        .run = delete_run,
        .done = delete_done,
    };

    if (call_layer(call, deletion->name, &deletion->layer) < 0)
        return -1;
    return parallel_for_start(&deletion->pieces, call, &pieces);
}

static void delete_fini(struct call *call)
{
    struct deletion *deletion = call->method_state;

    parallel_for_fini(&deletion->pieces, call);
    layer_release(deletion->layer);
}

const struct method method_layers_delete = {
    .path = "/trit.v1.Layers/Delete",
    .scan = scan_plain,
    .state_bytes = sizeof(struct deletion),
    .message = delete_message,
    .request = delete_request,
    .fini = delete_fini,
};
