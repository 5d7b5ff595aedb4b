/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as libtrit writes them, up to the bytes it sends from elsewhere. */
#include "wire.h"

#include <assert.h>
#include <string.h>

#include "grpc/health/v1/health.pb.h"

_Static_assert(trit_v1_ReportsListRequest_size <= REQUEST_HEAD_BYTES_MAX &&
                   trit_v1_VerifyRequest_size + trit_v1_VerifyOptions_size +
                           2 * trit_v1_Tensor_size + 6 * 11 <=
                       REQUEST_HEAD_BYTES_MAX,
               "every head fits");

/* ---- project ----------------------------------------------------------------------- */

static bool project_options(trit_v1_ProjectOptions *out, const struct wire_project *from)
{
    *out = (trit_v1_ProjectOptions){
        .group_size = from->group_size,
        .partial_group = (int32_t)from->partial_group,
        .encoding = (int32_t)from->encoding,
        .report = (int32_t)from->report,
        .allow_lost_scales = from->allow_lost_scales,
        .durability = (int32_t)from->durability,
    };
    wire_region_put(&out->has_reply, &out->reply, &from->reply);
    return from->group_size || from->partial_group || from->encoding || from->report ||
           from->allow_lost_scales || from->durability || from->reply.present;
}

size_t encode_project(const struct wire_project *request,
                      const struct wire_tensor *tensor, uint64_t data_bytes, uint8_t *out,
                      size_t capacity)
{
    trit_v1_ProjectRequest wire = {.has_layer = request->layer.present};
    trit_v1_Tensor wire_tensor;
    wire.has_options = project_options(&wire.options, request);
    wire_layer_ref_put(&wire.layer, &request->layer);
    wire_tensor_put(&wire_tensor, tensor);
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    return pb_encode(&stream, trit_v1_ProjectRequest_fields, &wire) &&
                   wire_message_head(&stream, 3, trit_v1_Tensor_fields, &wire_tensor,
                                     wire_blob_size(15, data_bytes)) &&
                   wire_blob_head(&stream, 15, data_bytes)
               ? stream.bytes_written
               : 0;
}

size_t encode_project_start(const struct wire_project *request, uint8_t *out,
                            size_t capacity)
{
    assert(request->tensor.rank <= TRIT_RANK_MAX);
    trit_v1_ProjectStart wire = {
        .has_layer = request->layer.present,
        .dtype = (int32_t)request->tensor.dtype,
        .shape_count = (pb_size_t)request->tensor.rank,
        .replies_in_memory = request->replies_in_memory,
    };
    wire.has_options = project_options(&wire.options, request);
    wire_layer_ref_put(&wire.layer, &request->layer);
    memcpy(wire.shape, request->tensor.shape,
           request->tensor.rank * sizeof(wire.shape[0]));
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    return wire_message_head(&stream, 1, trit_v1_ProjectStart_fields, &wire, 0)
               ? stream.bytes_written
               : 0;
}

/* ---- verify ------------------------------------------------------------------------ */

/* False: all options have their defaults, so the field is left out. */
static bool verify_options(trit_v1_VerifyOptions *out, const struct wire_verify *from,
                           uint64_t scale_bytes)
{
    *out = (trit_v1_VerifyOptions){
        .mode = (int32_t)from->mode,
        .group_size = from->group_size,
        .partial_group = (int32_t)from->partial_group,
        .has_tolerance = from->has_tolerance,
        .tolerance = from->tolerance,
        .encoding = (int32_t)from->encoding,
        .scales_dtype = (int32_t)from->scales_dtype,
        .durability = (int32_t)from->durability,
    };
    return from->mode || from->group_size || from->partial_group || from->has_tolerance ||
           from->encoding || from->scales_dtype || from->durability || scale_bytes > 0;
}

static bool verify_options_head(pb_ostream_t *out, const struct wire_verify *from,
                                uint64_t scale_bytes)
{
    trit_v1_VerifyOptions options;
    if (!verify_options(&options, from, scale_bytes))
        return true;
    return wire_message_head(out, 1, trit_v1_VerifyOptions_fields, &options,
                             wire_blob_size(15, scale_bytes)) &&
           wire_blob_head(out, 15, scale_bytes);
}

static bool tensor_head(pb_ostream_t *out, uint32_t number,
                        const struct wire_tensor *tensor, uint64_t data_bytes)
{
    trit_v1_Tensor wire;
    wire_tensor_put(&wire, tensor);
    return wire_message_head(out, number, trit_v1_Tensor_fields, &wire,
                             wire_blob_size(15, data_bytes)) &&
           wire_blob_head(out, 15, data_bytes);
}

size_t encode_verify(const struct wire_verify *request, uint64_t scale_bytes,
                     const struct wire_tensor *reference, uint64_t reference_bytes,
                     const struct wire_tensor *tensor, uint64_t data_bytes, uint8_t *out,
                     size_t capacity, size_t cut[2])
{
    trit_v1_VerifyRequest wire = {.has_layer = request->layer.present};
    wire_layer_ref_put(&wire.layer, &request->layer);
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    size_t at[2];
    if (!verify_options_head(&stream, request, scale_bytes))
        return 0;
    at[0] = stream.bytes_written;
    if (!pb_encode(&stream, trit_v1_VerifyRequest_fields, &wire) ||
        (reference && !tensor_head(&stream, 14, reference, reference_bytes)))
        return 0;
    at[1] = stream.bytes_written;
    if (!tensor_head(&stream, 15, tensor, data_bytes))
        return 0;
    memcpy(cut, at, sizeof(at));
    return stream.bytes_written;
}

/* The lengths of the start and of its options count the scales, which the caller
 * sends. nanopb cannot do that, so the fields are written one by one. */
size_t encode_verify_start(const struct wire_verify *request, uint64_t scale_bytes,
                           uint8_t *out, size_t capacity, size_t *scales_at)
{
    assert(request->tensor.rank <= TRIT_RANK_MAX);
    trit_v1_VerifyStart wire = {
        .has_layer = request->layer.present,
        .dtype = (int32_t)request->tensor.dtype,
        .shape_count = (pb_size_t)request->tensor.rank,
        .reference_dtype = (int32_t)request->reference_dtype,
    };
    wire_layer_ref_put(&wire.layer, &request->layer);
    memcpy(wire.shape, request->tensor.shape,
           request->tensor.rank * sizeof(wire.shape[0]));

    pb_ostream_t sizing = PB_OSTREAM_SIZING;
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    if (!verify_options_head(&sizing, request, scale_bytes) ||
        !pb_encode_tag(&stream, PB_WT_STRING, 1) ||
        !pb_encode_varint(&stream, sizing.bytes_written + scale_bytes +
                                       wire_size(trit_v1_VerifyStart_fields, &wire)) ||
        !verify_options_head(&stream, request, scale_bytes))
        return 0;
    size_t middle = stream.bytes_written;
    if (!pb_encode(&stream, trit_v1_VerifyStart_fields, &wire))
        return 0;
    *scales_at = middle;
    return stream.bytes_written;
}

/* ---- pack -------------------------------------------------------------------------- */

static bool pack_options(trit_v1_PackOptions *out, const struct wire_pack *from)
{
    *out = (trit_v1_PackOptions){
        .group_size = from->group_size,
        .source_encoding = (int32_t)from->source_encoding,
        .scales_dtype = (int32_t)from->scales_dtype,
        .encoding = (int32_t)from->encoding,
        .report = (int32_t)from->report,
        .allow_rounded_scales = from->allow_rounded_scales,
        .durability = (int32_t)from->durability,
    };
    return from->group_size || from->source_encoding || from->scales_dtype ||
           from->encoding || from->report || from->allow_rounded_scales ||
           from->durability;
}

size_t encode_pack(const struct wire_pack *request, uint64_t scale_bytes,
                   const struct wire_tensor *tensor, uint64_t data_bytes, uint8_t *out,
                   size_t capacity, size_t *scales_at)
{
    trit_v1_PackRequest wire = {.has_layer = request->layer.present};
    wire.has_options = pack_options(&wire.options, request);
    wire_layer_ref_put(&wire.layer, &request->layer);
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    if (!pb_encode(&stream, trit_v1_PackRequest_fields, &wire) ||
        !wire_blob_head(&stream, 14, scale_bytes))
        return 0;
    size_t middle = stream.bytes_written;
    if (!tensor_head(&stream, 15, tensor, data_bytes))
        return 0;
    *scales_at = middle;
    return stream.bytes_written;
}

size_t encode_pack_start(const struct wire_pack *request, uint64_t scale_bytes,
                         uint8_t *out, size_t capacity)
{
    assert(request->tensor.rank <= TRIT_RANK_MAX);
    trit_v1_PackStart wire = {
        .has_layer = request->layer.present,
        .dtype = (int32_t)request->tensor.dtype,
        .shape_count = (pb_size_t)request->tensor.rank,
    };
    wire.has_options = pack_options(&wire.options, request);
    wire_layer_ref_put(&wire.layer, &request->layer);
    memcpy(wire.shape, request->tensor.shape,
           request->tensor.rank * sizeof(wire.shape[0]));
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    return wire_message_head(&stream, 1, trit_v1_PackStart_fields, &wire,
                             wire_blob_size(15, scale_bytes)) &&
                   wire_blob_head(&stream, 15, scale_bytes)
               ? stream.bytes_written
               : 0;
}

/* ---- the others -------------------------------------------------------------------- */

size_t encode_unpack(const struct wire_unpack *request, uint64_t scale_bytes,
                     uint64_t data_bytes, uint8_t *out, size_t capacity,
                     size_t *scales_at)
{
    assert(request->rank <= TRIT_RANK_MAX);
    trit_v1_UnpackRequest wire = {
        .encoding = (int32_t)request->encoding,
        .dtype = (int32_t)request->dtype,
        .shape_count = (pb_size_t)request->rank,
        .group_size = request->group_size,
        .scales_dtype = (int32_t)request->scales_dtype,
    };
    memcpy(wire.shape, request->shape, request->rank * sizeof(wire.shape[0]));
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    if (!pb_encode(&stream, trit_v1_UnpackRequest_fields, &wire) ||
        !wire_blob_head(&stream, 14, scale_bytes))
        return 0;
    size_t middle = stream.bytes_written;
    if (!wire_blob_head(&stream, 15, data_bytes))
        return 0;
    *scales_at = middle;
    return stream.bytes_written;
}

size_t encode_reports_get(const struct wire_reports_get *request, uint8_t *out,
                          size_t capacity)
{
    trit_v1_ReportsGetRequest wire = {.has_step = request->has_step,
                                      .step = request->step,
                                      .attempt = request->attempt,
                                      .replica = request->replica};
    wire.run.size = wire_text_put(wire.run.bytes, sizeof(wire.run.bytes), request->run);
    wire.layer.size =
        wire_text_put(wire.layer.bytes, sizeof(wire.layer.bytes), request->layer);
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    return pb_encode(&stream, trit_v1_ReportsGetRequest_fields, &wire)
               ? stream.bytes_written
               : 0;
}

size_t encode_reports_list(const struct wire_reports_list *request, uint8_t *out,
                           size_t capacity)
{
    trit_v1_ReportsListRequest wire = {
        .has_step_from = request->has_from,
        .step_from = request->step_from,
        .has_step_to = request->has_to,
        .step_to = request->step_to,
        .latest_only = request->latest_only,
        .waiting = request->waiting,
        .beside_damage = request->beside_damage,
        .page_size = request->page_size,
        .attempt = request->attempt,
        .replica = request->replica,
    };
    wire.run.size = wire_text_put(wire.run.bytes, sizeof(wire.run.bytes), request->run);
    wire.layer.size =
        wire_text_put(wire.layer.bytes, sizeof(wire.layer.bytes), request->layer);
    wire.page_token.size = wire_text_put(
        wire.page_token.bytes, sizeof(wire.page_token.bytes), request->page_token);
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    return pb_encode(&stream, trit_v1_ReportsListRequest_fields, &wire)
               ? stream.bytes_written
               : 0;
}

size_t encode_health_check(const char *service, uint8_t *out, size_t capacity)
{
    grpc_health_v1_HealthCheckRequest wire;
    wire.service.size =
        wire_text_put(wire.service.bytes, sizeof(wire.service.bytes), service);
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    return pb_encode(&stream, grpc_health_v1_HealthCheckRequest_fields, &wire)
               ? stream.bytes_written
               : 0;
}
