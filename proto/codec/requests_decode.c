/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as the daemon reads them: from the parts of a scan to plain structs. */
#include "wire.h"

#include <string.h>

#include "grpc/health/v1/health.pb.h"
#include "plain.h"

static int part_decode(const struct message *message, const struct scan_part *part,
                       void *out, char error[CODEC_ERROR_BYTES])
{
    return wire_decode(message, part->bytes, part->count, out, error);
}

static int layer_ref(const trit_v1_LayerRef *from, struct wire_layer_ref *out,
                     char error[CODEC_ERROR_BYTES])
{
    static const struct layer_names names = {"layer.run", "layer.layer"};

    return wire_layer_ref(from, &names, out, error);
}

/* ---- project ----------------------------------------------------------------------- */

static void project_options(const trit_v1_ProjectOptions *from, struct wire_project *out)
{
    out->group_size = from->group_size;
    out->partial_group = (uint32_t)from->partial_group;
    out->encoding = (uint32_t)from->encoding;
    out->report = (uint32_t)from->report;
    out->allow_lost_scales = from->allow_lost_scales;
    out->durability = (uint32_t)from->durability;
    wire_region(from->has_reply, &from->reply, &out->reply);
}

int decode_project(const struct scan_part *root, struct wire_project *out,
                   char error[CODEC_ERROR_BYTES])
{
    trit_v1_ProjectRequest request;
    struct wire_project project;
    if (plain_project(root, out))
        return 0;
    project = (struct wire_project){0};
    if (part_decode(&message_project, root, &request, error) != 0 ||
        layer_ref(&request.layer, &project.layer, error) != 0)
        return -1;
    project_options(&request.options, &project);
    *out = project;
    return 0;
}

static void start_tensor(int32_t dtype, pb_size_t rank, const uint64_t *shape,
                         struct wire_tensor *out)
{
    out->dtype = (uint32_t)dtype;
    out->rank = rank;
    memcpy(out->shape, shape, rank * sizeof(*shape));
}

int decode_project_start(const struct scan_part *start, struct wire_project *out,
                         char error[CODEC_ERROR_BYTES])
{
    trit_v1_ProjectStart request;
    struct wire_project project = {0};
    if (part_decode(&message_project_start, start, &request, error) != 0 ||
        layer_ref(&request.layer, &project.layer, error) != 0)
        return -1;
    project_options(&request.options, &project);
    start_tensor(request.dtype, request.shape_count, request.shape, &project.tensor);
    project.replies_in_memory = request.replies_in_memory;
    *out = project;
    return 0;
}

/* ---- verify ------------------------------------------------------------------------ */

static int verify_options(const struct scan_part *part, struct wire_verify *out,
                          char error[CODEC_ERROR_BYTES])
{
    trit_v1_VerifyOptions options;
    if (part_decode(&message_verify_options, part, &options, error) != 0)
        return -1;
    out->mode = (uint32_t)options.mode;
    out->group_size = options.group_size;
    out->partial_group = (uint32_t)options.partial_group;
    out->encoding = (uint32_t)options.encoding;
    out->scales_dtype = (uint32_t)options.scales_dtype;
    out->durability = (uint32_t)options.durability;
    out->has_tolerance = options.has_tolerance;
    out->tolerance = options.has_tolerance ? options.tolerance : 0;
    return 0;
}

int decode_verify(const struct scan_part *root, const struct scan_part *options,
                  struct wire_verify *out, char error[CODEC_ERROR_BYTES])
{
    trit_v1_VerifyRequest request;
    struct wire_verify verify = {0};
    if (verify_options(options, &verify, error) != 0 ||
        part_decode(&message_verify, root, &request, error) != 0 ||
        layer_ref(&request.layer, &verify.layer, error) != 0)
        return -1;
    *out = verify;
    return 0;
}

int decode_verify_start(const struct scan_part *start, const struct scan_part *options,
                        struct wire_verify *out, char error[CODEC_ERROR_BYTES])
{
    trit_v1_VerifyStart request;
    struct wire_verify verify = {0};
    if (verify_options(options, &verify, error) != 0 ||
        part_decode(&message_verify_start, start, &request, error) != 0 ||
        layer_ref(&request.layer, &verify.layer, error) != 0)
        return -1;
    start_tensor(request.dtype, request.shape_count, request.shape, &verify.tensor);
    verify.reference_dtype = (uint32_t)request.reference_dtype;
    *out = verify;
    return 0;
}

/* ---- pack -------------------------------------------------------------------------- */

static void pack_options(const trit_v1_PackOptions *from, struct wire_pack *out)
{
    out->group_size = from->group_size;
    out->source_encoding = (uint32_t)from->source_encoding;
    out->scales_dtype = (uint32_t)from->scales_dtype;
    out->encoding = (uint32_t)from->encoding;
    out->report = (uint32_t)from->report;
    out->allow_rounded_scales = from->allow_rounded_scales;
    out->durability = (uint32_t)from->durability;
}

int decode_pack(const struct scan_part *root, struct wire_pack *out,
                char error[CODEC_ERROR_BYTES])
{
    trit_v1_PackRequest request;
    struct wire_pack pack = {0};
    if (part_decode(&message_pack, root, &request, error) != 0 ||
        layer_ref(&request.layer, &pack.layer, error) != 0)
        return -1;
    pack_options(&request.options, &pack);
    *out = pack;
    return 0;
}

int decode_pack_start(const struct scan_part *start, struct wire_pack *out,
                      char error[CODEC_ERROR_BYTES])
{
    trit_v1_PackStart request;
    struct wire_pack pack = {0};
    if (part_decode(&message_pack_start, start, &request, error) != 0 ||
        layer_ref(&request.layer, &pack.layer, error) != 0)
        return -1;
    pack_options(&request.options, &pack);
    start_tensor(request.dtype, request.shape_count, request.shape, &pack.tensor);
    *out = pack;
    return 0;
}

/* ---- tensors ----------------------------------------------------------------------- */

int decode_tensor(const struct scan_part *part, struct wire_tensor *out,
                  char error[CODEC_ERROR_BYTES])
{
    trit_v1_Tensor tensor;
    if (plain_tensor(part, out))
        return 0;
    if (part_decode(&message_tensor, part, &tensor, error) != 0)
        return -1;
    *out = (struct wire_tensor){0};
    start_tensor(tensor.dtype, tensor.shape_count, tensor.shape, out);
    wire_region(tensor.has_region, &tensor.region, &out->region);
    return 0;
}

int decode_chunk(const struct scan_part *part, struct wire_chunk *out,
                 char error[CODEC_ERROR_BYTES])
{
    trit_v1_TensorChunk chunk;
    if (part_decode(&message_chunk, part, &chunk, error) != 0)
        return -1;
    *out = (struct wire_chunk){
        .offset = chunk.offset,
        .has_crc32c = chunk.has_crc32c,
        .crc32c = chunk.has_crc32c ? chunk.crc32c : 0,
    };
    wire_region(chunk.has_region, &chunk.region, &out->region);
    return 0;
}

int decode_unpack(const struct scan_part *root, struct wire_unpack *out,
                  char error[CODEC_ERROR_BYTES])
{
    trit_v1_UnpackRequest request;
    if (part_decode(&message_unpack, root, &request, error) != 0)
        return -1;
    *out = (struct wire_unpack){
        .encoding = (uint32_t)request.encoding,
        .dtype = (uint32_t)request.dtype,
        .group_size = request.group_size,
        .scales_dtype = (uint32_t)request.scales_dtype,
        .rank = request.shape_count,
    };
    memcpy(out->shape, request.shape, request.shape_count * sizeof(out->shape[0]));
    return 0;
}

/* ---- reports and health ------------------------------------------------------------ */

int decode_reports_get(const struct scan_part *root, struct wire_reports_get *out,
                       char error[CODEC_ERROR_BYTES])
{
    trit_v1_ReportsGetRequest request;
    struct wire_reports_get get = {0};
    if (part_decode(&message_reports_get, root, &request, error) != 0 ||
        wire_text("run", request.run.bytes, request.run.size, TRIT_NAME_BYTES_MAX,
                  get.run, error) != 0 ||
        wire_text("layer", request.layer.bytes, request.layer.size, TRIT_NAME_BYTES_MAX,
                  get.layer, error) != 0)
        return -1;
    get.has_step = request.has_step;
    get.step = request.has_step ? request.step : 0;
    get.attempt = request.attempt;
    get.replica = request.replica;
    *out = get;
    return 0;
}

int decode_reports_list(const struct scan_part *root, struct wire_reports_list *out,
                        char error[CODEC_ERROR_BYTES])
{
    trit_v1_ReportsListRequest request;
    struct wire_reports_list list = {0};
    if (part_decode(&message_reports_list, root, &request, error) != 0 ||
        wire_text("run", request.run.bytes, request.run.size, TRIT_NAME_BYTES_MAX,
                  list.run, error) != 0 ||
        wire_text("layer", request.layer.bytes, request.layer.size, TRIT_NAME_BYTES_MAX,
                  list.layer, error) != 0 ||
        wire_text("page_token", request.page_token.bytes, request.page_token.size,
                  PAGE_TOKEN_BYTES_MAX, list.page_token, error) != 0)
        return -1;
    list.has_from = request.has_step_from;
    list.has_to = request.has_step_to;
    list.step_from = request.has_step_from ? request.step_from : 0;
    list.step_to = request.has_step_to ? request.step_to : 0;
    list.latest_only = request.latest_only;
    list.waiting = request.waiting;
    list.beside_damage = request.beside_damage;
    list.page_size = request.page_size;
    list.attempt = request.attempt;
    list.replica = request.replica;
    *out = list;
    return 0;
}

int decode_health_check(const struct scan_part *root,
                        char service[HEALTH_SERVICE_BYTES_MAX + 1],
                        char error[CODEC_ERROR_BYTES])
{
    static const struct field_name names[] = {
        {1, "service", HEALTH_SERVICE_BYTES_MAX, NULL}, {0}};
    static const struct message message_health = {
        grpc_health_v1_HealthCheckRequest_fields, names};
    grpc_health_v1_HealthCheckRequest request;
    if (part_decode(&message_health, root, &request, error) != 0)
        return -1;
    return wire_text("service", request.service.bytes, request.service.size,
                     HEALTH_SERVICE_BYTES_MAX, service, error);
}
