/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "client/lib/cut.h"
#include "kernels/kernels.h"

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

/* ---- above stream_bytes_min: pieces ------------------------------------------------ */

struct pieces {
    const struct trit_tensor *packed;
    const struct trit_unpack_options *o;
    const struct encoding_layout *layout;
    struct cut cut;
    struct extent extent;
    struct output *output; /* the dense tensor */
    uint64_t message_bytes_max, element_bytes;
};

/* The bytes of elements of the packed data, which are whole blocks. */
static uint64_t packed_bytes(const struct pieces *pieces, uint64_t elements)
{
    const struct encoding_layout *layout = pieces->layout;

    return layout->block_bytes == 0 ? elements * dtype_bytes(pieces->packed->dtype)
                                    : elements * pieces->cut.planes /
                                          layout->block_elements * layout->block_bytes;
}

/* The scales of a piece: one for each of its groups, or those of the tensor. */
static struct iovec piece_scales(const struct pieces *pieces, const struct cut_part *part)
{
    const uint32_t size =
        pieces->o->group_size ? pieces->o->group_size : GROUP_SIZE_DEFAULT;
    const uint64_t row = (pieces->extent.columns + size - 1) / size,
                   first = part->row * row + part->column / size,
                   count = part->rows * ((part->columns + size - 1) / size);
    uint64_t bytes;

    if (pieces->layout->scales == SCALES_TENSOR || pieces->o->scale_bytes == 0)
        return (struct iovec){(void *)(uintptr_t)pieces->o->scales,
                              pieces->o->scale_bytes};
    bytes = pieces->o->scale_bytes / (row * pieces->extent.rows);
    return (struct iovec){(uint8_t *)(uintptr_t)pieces->o->scales + first * bytes,
                          count * bytes};
}

static void piece_begin(void *owner, struct cut_call *call)
{
    struct pieces *pieces = owner;
    const struct cut_part *part = &call->part;
    const uint64_t planes = pieces->cut.planes,
                   bytes = part->count * planes * pieces->element_bytes,
                   tail = pieces->layout->tail_bytes,
                   data_bytes = packed_bytes(pieces, part->count) + tail;
    const uint8_t *data = pieces->packed->data;
    const struct iovec scales = piece_scales(pieces, part);
    struct wire_unpack request = {.encoding = (uint32_t)pieces->o->encoding,
                                  .dtype = (uint32_t)pieces->o->dtype,
                                  .group_size = pieces->o->group_size,
                                  .scales_dtype = (uint32_t)pieces->o->scales_dtype,
                                  .rank = 2,
                                  .shape = {part->rows * planes, part->columns}};
    size_t at, count = encode_unpack(&request, scales.iov_len, data_bytes, call->head,
                                     sizeof(call->head), &at);

    call->dense.dtype = request.dtype;
    call->unary = (struct unary){.decode = unpacked_decode, .result = &call->dense};
    output_init(&call->output, "data", bytes, NULL);
    call->data = planes > 1 ? (struct sink){&call->output, 0, bytes, 0}
                            : (struct sink){pieces->output,
                                            part->from * pieces->element_bytes, bytes, 0};
    outgoing_head(&call->unary.request, call->head, at);
    outgoing_payload(&call->unary.request, scales.iov_base, scales.iov_len);
    outgoing_head(&call->unary.request, call->head + at, count - at);
    outgoing_payload(&call->unary.request, data + packed_bytes(pieces, part->from),
                     data_bytes - tail);
    outgoing_payload(&call->unary.request, data + pieces->packed->bytes - tail, tail);
    reply_init(&call->unary.reply, scan_tensor_reply, pieces->message_bytes_max,
               &call->data, NULL);
}

/* Puts the part of each plane to its place. */
static void piece_end(void *owner, struct cut_call *call)
{
    struct pieces *pieces = owner;
    const uint64_t planes = pieces->cut.planes, size = pieces->element_bytes,
                   plane = pieces->cut.rows * pieces->cut.columns * size,
                   bytes = call->part.count * size;

    for (uint64_t i = 0; planes > 1 && i < planes; i++)
        memcpy(pieces->output->bytes + i * plane + call->part.from * size,
               call->output.bytes + i * bytes, bytes);
}

static int unpack_cut(const struct call *call, const struct trit_tensor *packed,
                      const struct trit_unpack_options *o, const struct extent *extent,
                      struct output *output, struct failure *failure)
{
    static const struct cut_ops ops = {
        .path = "/trit.v1.Ternary/Unpack", .begin = piece_begin, .end = piece_end};
    struct pieces pieces = {.packed = packed,
                            .o = o,
                            .layout = encoding_layout(o->encoding),
                            .extent = *extent,
                            .output = output,
                            .message_bytes_max = call->client->message_bytes_max,
                            .element_bytes = dtype_bytes(o->dtype)};

    cut_init(&pieces.cut, o->encoding, o->group_size, extent, pieces.element_bytes,
             call->client->stream_bytes_min);
    return output_allocate(output, failure) < 0
               ? -1
               : cut_run(&pieces.cut, &ops, &pieces, call, failure);
}

/* Checks the request, and prepares the dense tensor for the reply. */
static int unpack_prepare(const struct trit_tensor *packed, struct trit_unpack_options *o,
                          struct extent *extent, struct output *output,
                          struct failure *failure)
{
    const struct scales_given scales = {o->scales, o->scale_bytes, o->scales_dtype};
    struct encoded_size dense;

    if (o->dtype == TRIT_DTYPE_UNSPECIFIED)
        o->dtype = TRIT_F32;
    if (encoded_check("tensor", packed, o->encoding, o->group_size, &scales, extent,
                      failure) < 0 ||
        encoded_size(TRIT_ENCODING_DENSE, o->dtype, extent, o->group_size, &dense,
                     failure) < 0)
        return -1;
    output_init(output, "data", dense.data, NULL);
    return 0;
}

/* One message, or pieces. */
static int unpack_any(const struct call *call, const struct trit_tensor *packed,
                      const struct trit_unpack_options *o, const struct extent *extent,
                      struct output *output, struct failure *failure)
{
    const uint64_t limit = call->client->stream_bytes_min;

    if (packed->bytes + o->scale_bytes < limit && output->size < limit)
        return unpack_run(call, packed, o, output, failure);
    return unpack_cut(call, packed, o, extent, output, failure);
}

enum trit_status trit_unpack(struct trit_client *client, const struct trit_tensor *packed,
                             const struct trit_unpack_options *options, void **data,
                             uint64_t *data_bytes, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct output output = {.bytes = NULL};
    struct trit_unpack_options o;
    struct trit_tensor tensor;
    struct extent extent;
    struct call call;

    if (client_check(client, error, &failure) == 0 &&
        tensor_take("packed", packed, &tensor, &failure) == 0 &&
        sized_take_optional(&sized_unpack_options, "options", options, &o, &failure) ==
            0 &&
        (data || fail_null(&failure, "data") == 0) &&
        (data_bytes || fail_null(&failure, "data_bytes") == 0) &&
        call_init(&call, client, "options.call", o.call, tensor.bytes + o.scale_bytes,
                  &failure) == 0 &&
        unpack_prepare(&tensor, &o, &extent, &output, &failure) == 0 &&
        unpack_any(&call, &tensor, &o, &extent, &output, &failure) == 0) {
        *data_bytes = output.size;
        *data = output_give(&output);
    }
    output_fini(&output);
    return client_answer(&failure, error);
}
