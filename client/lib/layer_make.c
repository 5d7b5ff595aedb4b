/* SPDX-License-Identifier: Apache-2.0 */
/* Layers.Create, Load, LoadStream and Delete. A call of these is never repeated when
 * the daemon may have begun it. */
#include <inttypes.h>

#include "client/lib/chunks.h"
#include "client/lib/layer.h"
#include "client/lib/tensor.h"

static int made_decode(void *result, const struct scan *reply, struct failure *failure)
{
    char why[CODEC_ERROR_BYTES];

    if (decode_layer_made(&reply->parts[PART_ROOT], result, why) != 0)
        return fail(failure, TRIT_INTERNAL, NULL, "malformed reply: %s", why);
    return 0;
}

/* `made` is the caller's spec for the answer, or NULL. */
static int made_check(const struct trit_layer_spec *made, struct failure *failure)
{
    return made ? sized_check(&sized_layer_spec, "made", made, failure) : 0;
}

static void give_made(const struct wire_layer_spec *from, struct trit_layer_spec *made)
{
    const struct trit_layer_spec full = layer_spec_given(from);

    if (made)
        sized_give(&sized_layer_spec, made, &full);
}

/* ---- Create -------------------------------------------------------------------- */

enum trit_status trit_layer_create(struct trit_client *client,
                                   const struct trit_layer_spec *spec, uint64_t seed,
                                   const struct trit_call_options *options,
                                   struct trit_layer_spec *made, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct wire_layer_spec wire;
    struct unary unary = {.decode = made_decode, .result = &wire};
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    struct call call;

    if (client_check(client, error, &failure) == 0 && made_check(made, &failure) == 0 &&
        call_init(&call, client, "options", options, 0, &failure) == 0 &&
        spec_wire(spec, &wire, &failure) == 0) {
        call.not_retriable = true;
        outgoing_head(&unary.request, head,
                      encode_layer_create(&wire, seed, head, sizeof(head)));
        reply_init(&unary.reply, scan_plain, client->message_bytes_max, NULL, NULL);
        if (unary_run(&unary, "/trit.v1.Layers/Create", &call, &failure) == 0)
            give_made(&wire, made);
    }
    return client_answer(&failure, error);
}

/* ---- Load: one message, or start and chunks ------------------------------------ */

struct loading {
    struct call call;
    const struct trit_tensor *weight, *bias; /* bias may be NULL */
    struct trit_tensor weight_taken, bias_taken;
    struct wire_layer_spec spec; /* of the request, then of the reply */
    struct wire_tensor weight_wire, bias_wire;
    struct chunks chunks;
    bool started;
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
};

static int load_unary(struct loading *load, struct failure *failure)
{
    const struct trit_tensor *weight = load->weight, *bias = load->bias;
    struct unary unary = {.decode = made_decode, .result = &load->spec};
    size_t at,
        count = encode_layer_load(&load->spec, bias ? &load->bias_wire : NULL,
                                  bias ? bias->bytes : 0, &load->weight_wire,
                                  weight->bytes, load->head, sizeof(load->head), &at);

    if (count == 0)
        return fail(failure, TRIT_INTERNAL, NULL, "the request's head is too large");
    outgoing_head(&unary.request, load->head, at);
    if (bias)
        outgoing_payload(&unary.request, bias->data, bias->bytes);
    outgoing_head(&unary.request, load->head + at, count - at);
    outgoing_payload(&unary.request, weight->data, weight->bytes);
    reply_init(&unary.reply, scan_plain, load->call.client->message_bytes_max, NULL,
               NULL);
    return unary_run(&unary, "/trit.v1.Layers/Load", &load->call, failure);
}

static int load_next(void *source, struct outgoing *message, struct failure *failure)
{
    struct loading *load = source;
    const struct trit_tensor *bias = load->bias;
    size_t count;

    if (load->started) {
        if (chunks_next(&load->chunks, message, failure) < 0)
            return -1;
        message->last = chunks_done(&load->chunks);
        return 0;
    }
    count = encode_layer_load_start(
        &load->spec, load->weight_wire.dtype, bias ? &load->bias_wire : NULL,
        bias ? bias->bytes : 0, load->head, sizeof(load->head));
    if (count == 0)
        return fail(failure, TRIT_INTERNAL, NULL, "the request's head is too large");
    outgoing_head(message, load->head, count);
    if (bias)
        outgoing_payload(message, bias->data, bias->bytes);
    load->started = true;
    return 0;
}

static void load_rewind(void *source)
{
    struct loading *load = source;

    load->started = false;
    load->chunks.sent = 0;
}

static int load_stream(struct loading *load, struct failure *failure)
{
    struct unary unary = {.next = load_next,
                          .rewind = load_rewind,
                          .source = load,
                          .decode = made_decode,
                          .result = &load->spec};
    int rc;

    chunks_init(&load->chunks, load->weight, 0, load->weight->bytes, false, NULL);
    reply_init(&unary.reply, scan_plain, load->call.client->message_bytes_max, NULL,
               NULL);
    rc = unary_run(&unary, "/trit.v1.Layers/LoadStream", &load->call, failure);
    chunks_fini(&load->chunks);
    return rc;
}

/* A stream does not send the weight's shape: the daemon takes it from the spec. */
static int load_prepare(struct loading *load, const struct trit_layer_spec *spec,
                        struct failure *failure)
{
    const struct trit_tensor *weight = load->weight, *bias = load->bias;
    struct extent extent;

    if (spec_wire(spec, &load->spec, failure) < 0 ||
        tensor_check("weight", weight, &extent, failure) < 0 ||
        (bias && tensor_check("bias", bias, &extent, failure) < 0))
        return -1;
    if (weight->rank != 2 || weight->shape[0] != load->spec.out_features ||
        weight->shape[1] != load->spec.in_features)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "weight.shape",
                          "differs from the spec's [%" PRIu64 ", %" PRIu64 "]",
                          load->spec.out_features, load->spec.in_features);
    load->weight_wire = tensor_wire(weight);
    if (bias)
        load->bias_wire = tensor_wire(bias);
    return 0;
}

/* Reads both tensors and begins the call. */
static int load_take(struct loading *load, struct trit_client *client,
                     const struct trit_tensor *weight, const struct trit_tensor *bias,
                     const struct trit_call_options *options, struct failure *failure)
{
    uint64_t total;

    if (tensor_take_source("weight", weight, &load->weight_taken, failure) < 0 ||
        (bias && tensor_take("bias", bias, &load->bias_taken, failure) < 0))
        return -1;
    load->weight = &load->weight_taken;
    load->bias = bias ? &load->bias_taken : NULL;
    total = load->weight->bytes + (bias ? load->bias->bytes : 0);
    if (call_init(&load->call, client, "options", options, total, failure) < 0)
        return -1;
    load->call.not_retriable = true;
    return 0;
}

enum trit_status trit_layer_load(struct trit_client *client,
                                 const struct trit_layer_spec *spec,
                                 const struct trit_tensor *weight,
                                 const struct trit_tensor *bias,
                                 const struct trit_call_options *options,
                                 struct trit_layer_spec *made, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct loading load = {.started = false};

    if (client_check(client, error, &failure) == 0 && made_check(made, &failure) == 0 &&
        load_take(&load, client, weight, bias, options, &failure) == 0 &&
        load_prepare(&load, spec, &failure) == 0 &&
        (load.weight->data && load.call.bytes_total < client->stream_bytes_min
             ? load_unary(&load, &failure)
             : load_stream(&load, &failure)) == 0)
        give_made(&load.spec, made);
    return client_answer(&failure, error);
}

/* ---- Delete -------------------------------------------------------------------- */

static int nothing_decode(void *result, const struct scan *reply, struct failure *failure)
{
    (void)result, (void)reply, (void)failure;
    return 0;
}

enum trit_status trit_layer_delete(struct trit_client *client, const char *name,
                                   const struct trit_call_options *options,
                                   struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct unary unary = {.decode = nothing_decode};
    char copy[TRIT_NAME_BYTES_MAX + 1];
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    struct call call;

    if (client_check(client, error, &failure) == 0 &&
        call_init(&call, client, "options", options, 0, &failure) == 0 &&
        name_take("name", name, copy, &failure) == 0) {
        call.not_retriable = true;
        outgoing_head(&unary.request, head,
                      encode_layer_delete(copy, head, sizeof(head)));
        reply_init(&unary.reply, scan_plain, client->message_bytes_max, NULL, NULL);
        unary_run(&unary, "/trit.v1.Layers/Delete", &call, &failure);
    }
    return client_answer(&failure, error);
}
