/* SPDX-License-Identifier: Apache-2.0 */
/* Layers.AsLinear, Embed and Backward. */
#include <inttypes.h>
#include <stdlib.h>

#include "client/lib/layer.h"
#include "client/lib/tensor.h"

/* ---- replies with one tensor ----------------------------------------------------- */

struct product {
    struct call call;
    const struct scan_field *reply; /* which field has the tensor */
    char name[TRIT_NAME_BYTES_MAX + 1];
    struct wire_tensor expected; /* shape 0: an axis that the layer determines */
    struct arrival arrival;
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
};

static int product_decode(void *result, const struct scan *reply, struct failure *failure)
{
    struct product *product = result;

    return arrival_decode(&product->arrival, &reply->parts[PART_TENSOR],
                          &product->expected, failure);
}

/* Sends the head and `bytes` bytes of `bulk`. */
static int product_run(struct product *product, const char *path, unary_decode decode,
                       size_t head_bytes, const void *bulk, uint64_t bytes,
                       struct failure *failure)
{
    struct unary unary = {.decode = decode, .result = product};

    if (head_bytes == 0)
        return fail(failure, TRIT_INTERNAL, NULL, "the request's head is too large");
    outgoing_head(&unary.request, product->head, head_bytes);
    outgoing_payload(&unary.request, bulk, bytes);
    reply_init(&unary.reply, product->reply, product->call.client->message_bytes_max,
               &product->arrival.sink, NULL);
    return unary_run(&unary, path, &product->call, failure);
}

/* Prepares y of x: it has x's shape except for the last axis. */
static int product_prepare(struct product *product, const char *name,
                           const struct trit_tensor *x, struct failure *failure)
{
    struct extent extent;

    if (name_take("name", name, product->name, failure) < 0 ||
        tensor_check("x", x, &extent, failure) < 0)
        return -1;
    product->expected = tensor_wire(x);
    product->expected.shape[x->rank - 1] = 0;
    return 0;
}

enum trit_status trit_layer_as_linear(struct trit_client *client, const char *name,
                                      const struct trit_tensor *x,
                                      const struct trit_call_options *options,
                                      struct trit_array *logits, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct product product = {.reply = scan_backward_reply};
    struct trit_tensor taken;
    struct wire_tensor wire;

    if (client_check(client, error, &failure) < 0 ||
        tensor_take("x", x, &taken, &failure) < 0 ||
        sized_check(&sized_array, "logits", logits, &failure) < 0 ||
        call_init(&product.call, client, "options", options, taken.bytes, &failure) < 0)
        return client_answer(&failure, error);
    wire = tensor_wire(&taken);
    arrival_init(&product.arrival, "logits");
    if (product_prepare(&product, name, &taken, &failure) == 0 &&
        product_run(&product, "/trit.v1.Layers/AsLinear", product_decode,
                    encode_layer_as_linear(product.name, &wire, taken.bytes, product.head,
                                           sizeof(product.head)),
                    taken.data, taken.bytes, &failure) == 0)
        arrival_give(&product.arrival, logits);
    arrival_fini(&product.arrival);
    return client_answer(&failure, error);
}

/* ---- rows by id ---------------------------------------------------------------- */

/* Encodes the ids as the message has them. */
static int pack_ids(const uint32_t *ids, uint64_t count, uint8_t **packed, size_t *bytes,
                    struct failure *failure)
{
    uint8_t *made;

    if (count && !ids)
        return fail_null(failure, "ids");
    if (count > UINT32_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "ids",
                          "%" PRIu64 " do not fit in one message", count);
    made = malloc((size_t)count * LAYER_ID_BYTES_MAX + 1);
    if (!made)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "out of memory for %" PRIu64 " ids", count);
    *bytes = layer_ids_pack(ids, count, made);
    *packed = made;
    return 0;
}

enum trit_status trit_layer_embed(struct trit_client *client, const char *name,
                                  const uint32_t *ids, uint64_t count,
                                  const struct trit_call_options *options,
                                  struct trit_array *rows, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct product product = {
        .reply = scan_backward_reply,
        .expected = {.dtype = TRIT_F32, .rank = 2, .shape = {count, 0}}};
    uint8_t *packed = NULL;
    size_t bytes = 0;

    arrival_init(&product.arrival, "rows");
    if (client_check(client, error, &failure) == 0 &&
        sized_check(&sized_array, "rows", rows, &failure) == 0 &&
        name_take("name", name, product.name, &failure) == 0 &&
        pack_ids(ids, count, &packed, &bytes, &failure) == 0 &&
        call_init(&product.call, client, "options", options, bytes, &failure) == 0 &&
        product_run(
            &product, "/trit.v1.Layers/Embed", product_decode,
            encode_layer_embed(product.name, bytes, product.head, sizeof(product.head)),
            packed, bytes, &failure) == 0)
        arrival_give(&product.arrival, rows);
    free(packed);
    arrival_fini(&product.arrival);
    return client_answer(&failure, error);
}

/* ---- gradients ----------------------------------------------------------------- */

struct gradients {
    struct call call;
    char name[TRIT_NAME_BYTES_MAX + 1];
    const struct trit_tensor *x, *grad_output;
    struct trit_tensor x_taken, grad_output_taken;
    struct trit_gradients into; /* the caller's arrays */
    struct arrival input, weight, bias;
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
};

/* The request determines all shapes. The reply may have no bias. */
static int gradients_decode(void *result, const struct scan *reply,
                            struct failure *failure)
{
    struct gradients *g = result;
    uint64_t in = g->x->shape[g->x->rank - 1];
    uint64_t out = g->grad_output->shape[g->grad_output->rank - 1];
    uint32_t dtype = (uint32_t)g->grad_output->dtype;
    const struct wire_tensor input = tensor_wire(g->x),
                             weight = {.dtype = dtype, .rank = 2, .shape = {out, in}},
                             bias = {.dtype = dtype, .rank = 1, .shape = {out}};

    if (arrival_decode(&g->input, &reply->parts[PART_TENSOR], &input, failure) < 0 ||
        arrival_decode(&g->weight, &reply->parts[PART_REFERENCE], &weight, failure) < 0)
        return -1;
    return reply->parts[PART_OPTIONS].seen
               ? arrival_decode(&g->bias, &reply->parts[PART_OPTIONS], &bias, failure)
               : 0;
}

static int gradients_run(struct gradients *g, struct failure *failure)
{
    const struct trit_tensor *x = g->x, *grad_output = g->grad_output;
    struct wire_tensor x_wire = tensor_wire(x), grad_wire = tensor_wire(grad_output);
    struct unary unary = {.decode = gradients_decode, .result = g};
    struct extent extent;
    size_t at, count;

    if (tensor_check("x", x, &extent, failure) < 0 ||
        tensor_check("grad_output", grad_output, &extent, failure) < 0)
        return -1;
    count = encode_layer_backward(g->name, &x_wire, x->bytes, &grad_wire,
                                  grad_output->bytes, g->head, sizeof(g->head), &at);
    if (count == 0)
        return fail(failure, TRIT_INTERNAL, NULL, "the request's head is too large");
    outgoing_head(&unary.request, g->head, at);
    outgoing_payload(&unary.request, x->data, x->bytes);
    outgoing_head(&unary.request, g->head + at, count - at);
    outgoing_payload(&unary.request, grad_output->data, grad_output->bytes);
    reply_init(&unary.reply, scan_layer_gradients, g->call.client->message_bytes_max,
               &g->input.sink, &g->bias.sink);
    unary.reply.reference.sink = &g->weight.sink;
    return unary_run(&unary, "/trit.v1.Layers/Backward", &g->call, failure);
}

static int gradients_check(const struct trit_gradients *gradients,
                           struct trit_gradients *in, struct failure *failure)
{
    if (sized_read(&sized_gradients, "gradients", gradients, in, failure) < 0 ||
        array_check("gradients.input", in->input, failure) < 0 ||
        array_check("gradients.weight", in->weight, failure) < 0)
        return -1;
    return array_check("gradients.bias", in->bias, failure);
}

/* Reads the arguments and begins the call. */
static int gradients_take(struct gradients *g, struct trit_client *client,
                          const struct trit_tensor *x,
                          const struct trit_tensor *grad_output,
                          const struct trit_call_options *options,
                          struct failure *failure)
{
    if (tensor_take("x", x, &g->x_taken, failure) < 0 ||
        tensor_take("grad_output", grad_output, &g->grad_output_taken, failure) < 0)
        return -1;
    g->x = &g->x_taken;
    g->grad_output = &g->grad_output_taken;
    return call_init(&g->call, client, "options", options,
                     g->x->bytes + g->grad_output->bytes, failure);
}

enum trit_status trit_layer_backward(struct trit_client *client, const char *name,
                                     const struct trit_tensor *x,
                                     const struct trit_tensor *grad_output,
                                     const struct trit_call_options *options,
                                     struct trit_gradients *gradients,
                                     struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct gradients g = {.x = NULL};

    if (client_check(client, error, &failure) < 0 ||
        gradients_check(gradients, &g.into, &failure) < 0 ||
        gradients_take(&g, client, x, grad_output, options, &failure) < 0)
        return client_answer(&failure, error);
    arrival_init(&g.input, "grad_input");
    arrival_init(&g.weight, "grad_weight");
    arrival_init(&g.bias, "grad_bias");
    if (name_take("name", name, g.name, &failure) == 0 &&
        gradients_run(&g, &failure) == 0) {
        arrival_give(&g.input, g.into.input);
        arrival_give(&g.weight, g.into.weight);
        arrival_give(&g.bias, g.into.bias);
    }
    arrival_fini(&g.input);
    arrival_fini(&g.weight);
    arrival_fini(&g.bias);
    return client_answer(&failure, error);
}

void trit_gradients_free(struct trit_gradients *gradients)
{
    struct trit_gradients in;

    if (sized_read(&sized_gradients, "gradients", gradients, &in, NULL) < 0)
        return;
    trit_array_free(in.input);
    trit_array_free(in.weight);
    trit_array_free(in.bias);
}
