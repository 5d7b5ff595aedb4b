/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/cut.h"
#include "kernels/kernels.h"

/* The reply is a Tensor like the one that was sent. */
static int backward_decode(void *result, const struct scan *reply,
                           struct failure *failure)
{
    const struct wire_tensor *expected = result;
    struct wire_tensor tensor;
    char why[CODEC_ERROR_BYTES];

    if (decode_tensor(&reply->parts[PART_TENSOR], &tensor, why) != 0)
        return fail(failure, TRIT_INTERNAL, NULL, "malformed reply: %s", why);
    if (tensor.dtype != expected->dtype)
        return fail(failure, TRIT_INTERNAL, NULL, "the reply is of dtype %u, not %u",
                    tensor.dtype, expected->dtype);
    return 0;
}

static int backward_run(const struct call *call, const struct trit_tensor *gradient,
                        void *grad_latent, struct failure *failure)
{
    struct wire_tensor wire = tensor_wire(gradient);
    struct unary unary = {.decode = backward_decode, .result = &wire};
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    size_t count = encode_backward_request(&wire, gradient->bytes, head, sizeof(head));
    struct output output;
    struct sink data = {&output, 0, gradient->bytes, 0};

    if (count == 0)
        return fail(failure, TRIT_INTERNAL, NULL, "the request's head is too large");
    output_init(&output, "data", gradient->bytes, grad_latent);
    outgoing_head(&unary.request, head, count);
    outgoing_payload(&unary.request, gradient->data, gradient->bytes);
    reply_init(&unary.reply, scan_backward_reply, call->client->message_bytes_max, &data,
               NULL);
    return unary_run(&unary, "/trit.v1.Ternary/Backward", call, failure);
}

/* ---- above stream_bytes_min: pieces ------------------------------------------------ */

struct pieces {
    const struct trit_tensor *gradient;
    uint64_t message_bytes_max, element_bytes;
    struct output output;
};

static void piece_begin(void *owner, struct cut_call *call)
{
    struct pieces *pieces = owner;
    const uint64_t from = call->part.from * pieces->element_bytes,
                   bytes = call->part.count * pieces->element_bytes;
    const uint8_t *data = pieces->gradient->data;

    call->dense = (struct wire_tensor){.dtype = (uint32_t)pieces->gradient->dtype,
                                       .rank = 1,
                                       .shape = {call->part.count}};
    call->unary = (struct unary){.decode = backward_decode, .result = &call->dense};
    call->data = (struct sink){&pieces->output, from, bytes, 0};
    outgoing_head(
        &call->unary.request, call->head,
        encode_backward_request(&call->dense, bytes, call->head, sizeof(call->head)));
    outgoing_payload(&call->unary.request, data + from, bytes);
    reply_init(&call->unary.reply, scan_backward_reply, pieces->message_bytes_max,
               &call->data, NULL);
}

static int backward_cut(const struct call *call, const struct trit_tensor *gradient,
                        const struct extent *extent, void *grad_latent,
                        struct failure *failure)
{
    static const struct cut_ops ops = {.path = "/trit.v1.Ternary/Backward",
                                       .begin = piece_begin};
    const struct extent flat = {1, extent->elements, extent->elements};
    struct pieces pieces = {.gradient = gradient,
                            .message_bytes_max = call->client->message_bytes_max,
                            .element_bytes = dtype_bytes(gradient->dtype)};
    struct cut cut;

    output_init(&pieces.output, "data", gradient->bytes, grad_latent);
    cut_init(&cut, TRIT_ENCODING_DENSE, 1, &flat, pieces.element_bytes,
             call->client->stream_bytes_min);
    return cut_run(&cut, &ops, &pieces, call, failure);
}

static int apart_check(const struct trit_tensor *gradient, void *grad_latent,
                       struct failure *failure)
{
    const struct request_memory request = {"grad_ternary.data", gradient->data,
                                           gradient->bytes, true};
    struct output output;

    output_init(&output, "data", gradient->bytes, grad_latent);
    return output_apart("grad_latent", &output, &request, failure);
}

enum trit_status trit_backward(struct trit_client *client,
                               const struct trit_tensor *grad_ternary,
                               const struct trit_call_options *options, void *grad_latent,
                               struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct trit_tensor gradient;
    struct extent extent;
    struct call call;

    if (client_check(client, error, &failure) == 0 &&
        tensor_take("grad_ternary", grad_ternary, &gradient, &failure) == 0 &&
        (grad_latent || fail_null(&failure, "grad_latent") == 0) &&
        call_init(&call, client, "options", options, gradient.bytes, &failure) == 0 &&
        tensor_check("grad_ternary", &gradient, &extent, &failure) == 0 &&
        apart_check(&gradient, grad_latent, &failure) == 0) {
        if (gradient.bytes < client->stream_bytes_min)
            backward_run(&call, &gradient, grad_latent, &failure);
        else
            backward_cut(&call, &gradient, &extent, grad_latent, &failure);
    }
    return client_answer(&failure, error);
}
