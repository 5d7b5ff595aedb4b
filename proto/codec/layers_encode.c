/* SPDX-License-Identifier: Apache-2.0 */
/* Replies of the Layers service, up to the bytes that are sent from elsewhere. */
#include "layers_wire.h"

_Static_assert(trit_v1_LayerCreateResponse_size <= LAYER_SPEC_BYTES_MAX &&
                   trit_v1_LayerGetResponse_size + 3 * 11 <= REPLY_HEAD_BYTES_MAX,
               "every head fits");

size_t encode_layer_spec(const struct wire_layer_spec *spec, uint8_t *out,
                         size_t capacity)
{
    trit_v1_LayerSpec wire;
    wire_layer_spec_put(&wire, spec);
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    return wire_message_head(&stream, 1, trit_v1_LayerSpec_fields, &wire, 0)
               ? stream.bytes_written
               : 0;
}

size_t encode_layer_got(const struct wire_layer_got *reply, uint8_t *out, size_t capacity,
                        size_t cut[2])
{
    trit_v1_LayerGetResponse wire = {
        .has_spec = true,
        .has_seed = reply->has_seed,
        .seed = reply->seed,
        .encoding = (int32_t)reply->encoding,
        .dtype = (int32_t)reply->dtype,
        .shape_count = 2,
        .shape = {reply->spec.out_features, reply->spec.in_features},
    };
    wire_layer_spec_put(&wire.spec, &reply->spec);
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    if (!pb_encode(&stream, trit_v1_LayerGetResponse_fields, &wire) ||
        !wire_blob_head(&stream, 13, reply->bias_bytes))
        return 0;
    cut[0] = stream.bytes_written;
    if (!wire_blob_head(&stream, 14, reply->scale_bytes))
        return 0;
    cut[1] = stream.bytes_written;
    return wire_blob_head(&stream, 15, reply->data_bytes) ? stream.bytes_written : 0;
}

size_t encode_layer_errors(float max_error, float relative_error, uint8_t *out,
                           size_t capacity)
{
    const trit_v1_LayerForwardResponse wire = {.has_max_error = true,
                                               .max_error = max_error,
                                               .has_relative_error = true,
                                               .relative_error = relative_error};
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    return pb_encode(&stream, trit_v1_LayerForwardResponse_fields, &wire)
               ? stream.bytes_written
               : 0;
}

size_t encode_layer_tensor(uint32_t number, const struct wire_tensor *tensor,
                           uint64_t data_bytes, uint8_t *out, size_t capacity)
{
    trit_v1_Tensor wire;
    wire_tensor_put(&wire, tensor);
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    return wire_message_head(&stream, number, trit_v1_Tensor_fields, &wire,
                             wire_blob_size(15, data_bytes)) &&
                   wire_blob_head(&stream, 15, data_bytes)
               ? stream.bytes_written
               : 0;
}
