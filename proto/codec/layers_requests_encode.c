/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the Layers service as libtrit writes them. */
#include "layers_wire.h"

enum { TENSOR_HEAD_BYTES_MAX = trit_v1_Tensor_size + 3 * 11 };
_Static_assert(trit_v1_LayerLoadRequest_size + 2 * TENSOR_HEAD_BYTES_MAX <=
                       REQUEST_HEAD_BYTES_MAX &&
                   trit_v1_LayerListRequest_size <= REQUEST_HEAD_BYTES_MAX,
               "every head fits");

static size_t encoded(const pb_msgdesc_t *fields, const void *message, uint8_t *out,
                      size_t capacity)
{
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    return pb_encode(&stream, fields, message) ? stream.bytes_written : 0;
}

/* Small fields, then a tensor. */
static size_t then_tensor(size_t at, uint32_t number, const struct wire_tensor *tensor,
                          uint64_t bytes, uint8_t *out, size_t capacity)
{
    size_t count = encode_layer_tensor(number, tensor, bytes, out + at, capacity - at);
    return count > 0 ? at + count : 0;
}

size_t encode_layer_create(const struct wire_layer_spec *spec, uint64_t seed,
                           uint8_t *out, size_t capacity)
{
    trit_v1_LayerCreateRequest wire = {.has_spec = true, .seed = seed};
    wire_layer_spec_put(&wire.spec, spec);
    return encoded(trit_v1_LayerCreateRequest_fields, &wire, out, capacity);
}

size_t encode_layer_load(const struct wire_layer_spec *spec,
                         const struct wire_tensor *bias, uint64_t bias_bytes,
                         const struct wire_tensor *weight, uint64_t weight_bytes,
                         uint8_t *out, size_t capacity, size_t *first_at)
{
    trit_v1_LayerLoadRequest wire = {.has_spec = true};
    wire_layer_spec_put(&wire.spec, spec);
    size_t at = encoded(trit_v1_LayerLoadRequest_fields, &wire, out, capacity);
    if (at > 0 && bias)
        at = then_tensor(at, 14, bias, bias_bytes, out, capacity);
    if (at == 0)
        return 0;
    *first_at = at;
    return then_tensor(at, 15, weight, weight_bytes, out, capacity);
}

size_t encode_layer_load_start(const struct wire_layer_spec *spec, uint32_t dtype,
                               const struct wire_tensor *bias, uint64_t bias_bytes,
                               uint8_t *out, size_t capacity)
{
    trit_v1_LayerLoadStart wire = {.has_spec = true, .dtype = (int32_t)dtype};
    uint8_t tensor[TENSOR_HEAD_BYTES_MAX];
    size_t count =
        bias ? encode_layer_tensor(14, bias, bias_bytes, tensor, sizeof(tensor)) : 0;
    wire_layer_spec_put(&wire.spec, spec);
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    return wire_message_head(&stream, 1, trit_v1_LayerLoadStart_fields, &wire,
                             count + (bias ? bias_bytes : 0)) &&
                   pb_write(&stream, tensor, count)
               ? stream.bytes_written
               : 0;
}

/* ---- requests that begin with a name ----------------------------------------------- */

static bool name_put(pb_ostream_t *stream, const char *name)
{
    trit_v1_LayerDeleteRequest wire;
    wire.name.size = wire_text_put(wire.name.bytes, sizeof(wire.name.bytes), name);
    return pb_encode(stream, trit_v1_LayerDeleteRequest_fields, &wire);
}

size_t encode_layer_delete(const char *name, uint8_t *out, size_t capacity)
{
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    return name_put(&stream, name) ? stream.bytes_written : 0;
}

size_t encode_layer_forward(const struct wire_layer_forward *request,
                            const struct wire_tensor *x, uint64_t bytes, uint8_t *out,
                            size_t capacity)
{
    trit_v1_LayerForwardRequest wire = {.activations = (int32_t)request->activations,
                                        .report_error = request->report_error};
    wire.name.size =
        wire_text_put(wire.name.bytes, sizeof(wire.name.bytes), request->name);
    wire_region_put(&wire.has_reply, &wire.reply, &request->reply);
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    return pb_encode(&stream, trit_v1_LayerForwardRequest_fields, &wire)
               ? then_tensor(stream.bytes_written, 15, x, bytes, out, capacity)
               : 0;
}

size_t encode_layer_as_linear(const char *name, const struct wire_tensor *x,
                              uint64_t bytes, uint8_t *out, size_t capacity)
{
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    return name_put(&stream, name)
               ? then_tensor(stream.bytes_written, 15, x, bytes, out, capacity)
               : 0;
}

size_t encode_layer_backward(const char *name, const struct wire_tensor *x,
                             uint64_t x_bytes, const struct wire_tensor *grad_output,
                             uint64_t grad_bytes, uint8_t *out, size_t capacity,
                             size_t *first_at)
{
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    size_t at = name_put(&stream, name)
                    ? then_tensor(stream.bytes_written, 14, x, x_bytes, out, capacity)
                    : 0;
    if (at == 0)
        return 0;
    *first_at = at;
    return then_tensor(at, 15, grad_output, grad_bytes, out, capacity);
}

size_t encode_layer_embed(const char *name, uint64_t id_bytes, uint8_t *out,
                          size_t capacity)
{
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    return name_put(&stream, name) && wire_blob_head(&stream, 2, id_bytes)
               ? stream.bytes_written
               : 0;
}

size_t layer_ids_pack(const uint32_t *ids, uint64_t count, uint8_t *out)
{
    uint8_t *at = out;
    for (uint64_t i = 0; i < count; i++) {
        uint32_t id = ids[i];
        for (; id >= 0x80; id >>= 7)
            *at++ = (uint8_t)(id | 0x80);
        *at++ = (uint8_t)id;
    }
    return (size_t)(at - out);
}

/* ---- requests without bulk --------------------------------------------------------- */

size_t encode_layer_get(const struct wire_layer_get *request, uint8_t *out,
                        size_t capacity)
{
    trit_v1_LayerGetRequest wire = {
        .part = (int32_t)request->part,
        .encoding = (int32_t)request->encoding,
        .dtype = (int32_t)request->dtype,
    };
    wire.name.size =
        wire_text_put(wire.name.bytes, sizeof(wire.name.bytes), request->name);
    return encoded(trit_v1_LayerGetRequest_fields, &wire, out, capacity);
}

size_t encode_layer_list(const struct wire_layer_list *request, uint8_t *out,
                         size_t capacity)
{
    trit_v1_LayerListRequest wire = {.page_size = request->page_size};
    wire.prefix.size =
        wire_text_put(wire.prefix.bytes, sizeof(wire.prefix.bytes), request->prefix);
    wire.page_token.size = wire_text_put(
        wire.page_token.bytes, sizeof(wire.page_token.bytes), request->page_token);
    return encoded(trit_v1_LayerListRequest_fields, &wire, out, capacity);
}

size_t encode_layer_verify(const struct wire_layer_verify *request, uint8_t *out,
                           size_t capacity)
{
    trit_v1_LayerVerifyRequest wire = {.has_tolerance = request->has_tolerance,
                                       .tolerance = request->tolerance};
    wire.prefix.size =
        wire_text_put(wire.prefix.bytes, sizeof(wire.prefix.bytes), request->prefix);
    return encoded(trit_v1_LayerVerifyRequest_fields, &wire, out, capacity);
}
