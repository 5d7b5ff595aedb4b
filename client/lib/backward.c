/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/tensor.h"
#include "client/lib/unary.h"

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
        tensor_check("grad_ternary", &gradient, &extent, &failure) == 0)
        backward_run(&call, &gradient, grad_latent, &failure);
    return client_answer(&failure, error);
}
