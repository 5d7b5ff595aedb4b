/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/tensor.h"
#include "client/lib/unary.h"

/* The reply is a Tensor of the dtype that was asked for. */
static int unpacked_decode(void *result, const struct scan *reply,
                           struct failure *failure)
{
    const struct wire_tensor *expected = result;
    struct wire_tensor tensor;
    char why[CODEC_ERROR_BYTES];

    if (decode_tensor(&reply->parts[PART_ROOT], &tensor, why) != 0)
        return fail(failure, TRIT_INTERNAL, NULL, "malformed reply: %s", why);
    if (tensor.dtype != expected->dtype)
        return fail(failure, TRIT_INTERNAL, NULL, "the reply is of dtype %u, not %u",
                    tensor.dtype, expected->dtype);
    return 0;
}

static int unpack_run(const struct call *call, const struct trit_tensor *packed,
                      const struct trit_unpack_options *o, struct output *output,
                      struct failure *failure)
{
    struct wire_tensor dense = tensor_wire(packed);
    struct wire_unpack request = {.encoding = (uint32_t)o->encoding,
                                  .dtype = (uint32_t)o->dtype,
                                  .group_size = o->group_size,
                                  .scales_dtype = (uint32_t)o->scales_dtype,
                                  .rank = dense.rank};
    struct sink data = {output, 0, output->size, 0};
    struct unary unary = {.decode = unpacked_decode, .result = &dense};
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    size_t at, count;

    dense.dtype = request.dtype;
    for (uint32_t axis = 0; axis < dense.rank; axis++)
        request.shape[axis] = dense.shape[axis];
    count =
        encode_unpack(&request, o->scale_bytes, packed->bytes, head, sizeof(head), &at);
    if (count == 0)
        return fail(failure, TRIT_INTERNAL, NULL, "the request's head is too large");
    outgoing_head(&unary.request, head, at);
    outgoing_payload(&unary.request, o->scales, o->scale_bytes);
    outgoing_head(&unary.request, head + at, count - at);
    outgoing_payload(&unary.request, packed->data, packed->bytes);
    reply_init(&unary.reply, scan_tensor_reply, call->client->message_bytes_max, &data,
               NULL);
    return unary_run(&unary, "/trit.v1.Ternary/Unpack", call, failure);
}

/* Checks the request, and prepares the dense tensor for the reply. */
static int unpack_prepare(const struct trit_tensor *packed, struct trit_unpack_options *o,
                          struct output *output, struct failure *failure)
{
    const struct scales_given scales = {o->scales, o->scale_bytes, o->scales_dtype};
    struct encoded_size dense;
    struct extent extent;

    if (o->dtype == TRIT_DTYPE_UNSPECIFIED)
        o->dtype = TRIT_F32;
    if (encoded_check("tensor", packed, o->encoding, o->group_size, &scales, &extent,
                      failure) < 0 ||
        encoded_size(TRIT_ENCODING_DENSE, o->dtype, &extent, o->group_size, &dense,
                     failure) < 0)
        return -1;
    output_init(output, "data", dense.data, NULL);
    return 0;
}

enum trit_status trit_unpack(struct trit_client *client, const struct trit_tensor *packed,
                             const struct trit_unpack_options *options, void **data,
                             uint64_t *data_bytes, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct output output = {.bytes = NULL};
    struct trit_unpack_options o;
    struct trit_tensor tensor;
    struct call call;

    if (client_check(client, error, &failure) == 0 &&
        tensor_take("packed", packed, &tensor, &failure) == 0 &&
        sized_take_optional(&sized_unpack_options, "options", options, &o, &failure) ==
            0 &&
        (data || fail_null(&failure, "data") == 0) &&
        (data_bytes || fail_null(&failure, "data_bytes") == 0) &&
        call_init(&call, client, "options.call", o.call, tensor.bytes + o.scale_bytes,
                  &failure) == 0 &&
        unpack_prepare(&tensor, &o, &output, &failure) == 0 &&
        unpack_run(&call, &tensor, &o, &output, &failure) == 0) {
        *data_bytes = output.size;
        *data = output_give(&output);
    }
    output_fini(&output);
    return client_answer(&failure, error);
}
