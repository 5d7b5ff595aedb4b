/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the Layers service as the daemon reads them. */
#include "layers_wire.h"

/* wire_decode looks for errors in a copy as large as the largest message. */
_Static_assert(sizeof(trit_v1_LayerCreateRequest) <= sizeof(trit_v1_VerifyRequest) &&
                   sizeof(trit_v1_LayerListRequest) <= sizeof(trit_v1_ReportsListRequest),
               "the scratch message holds it");

/* ---- tables ---------------------------------------------------------------------- */

static const struct scan_field holds_data[] = {{15, BLOB_DATA, NULL}, {0}};
static const struct scan_field holds_reference[] = {{15, BLOB_REFERENCE, NULL}, {0}};

const struct scan_field scan_layer_tensor[] = {{15, PART_TENSOR, holds_data}, {0}};
const struct scan_field scan_layer_tensors[] = {
    {14, PART_REFERENCE, holds_reference}, {15, PART_TENSOR, holds_data}, {0}};
static const struct scan_field load_start[] = {{14, PART_REFERENCE, holds_reference},
                                               {0}};
const struct scan_field scan_layer_load_stream[] = {
    {1, PART_START, load_start}, {15, PART_CHUNK, holds_data}, {0}};
const struct scan_field scan_layer_ids[] = {{2, BLOB_DATA, NULL}, {0}};

static const struct field_name names_create[] = {
    {1, "spec", 0, &message_layer_spec}, {2, "seed", 0, NULL}, {0}};
static const struct message message_create = {trit_v1_LayerCreateRequest_fields,
                                              names_create};
static const struct message message_load = {trit_v1_LayerLoadRequest_fields,
                                            names_create};

static const struct field_name names_load_start[] = {
    {1, "spec", 0, &message_layer_spec}, {2, "dtype", 0, NULL}, {0}};
static const struct message message_load_start = {trit_v1_LayerLoadStart_fields,
                                                  names_load_start};

static const struct field_name names_name[] = {{1, "name", TRIT_NAME_BYTES_MAX, NULL},
                                               {0}};
static const struct message message_name = {trit_v1_LayerDeleteRequest_fields,
                                            names_name};

static const struct field_name names_forward[] = {
    {1, "name", TRIT_NAME_BYTES_MAX, NULL},
    {2, "activations", 0, NULL},
    {3, "report_error", 0, NULL},
    {4, "reply", 0, &message_region},
    {0},
};
static const struct message message_forward = {trit_v1_LayerForwardRequest_fields,
                                               names_forward};

static const struct field_name names_get[] = {
    {1, "name", TRIT_NAME_BYTES_MAX, NULL},
    {2, "part", 0, NULL},
    {3, "encoding", 0, NULL},
    {4, "dtype", 0, NULL},
    {0},
};
static const struct message message_get = {trit_v1_LayerGetRequest_fields, names_get};

static const struct field_name names_list[] = {
    {1, "prefix", TRIT_NAME_BYTES_MAX, NULL},
    {2, "page_size", 0, NULL},
    {3, "page_token", TRIT_NAME_BYTES_MAX, NULL},
    {0},
};
static const struct message message_list = {trit_v1_LayerListRequest_fields, names_list};

static const struct field_name names_verify[] = {
    {1, "prefix", TRIT_NAME_BYTES_MAX, NULL}, {2, "tolerance", 0, NULL}, {0}};
static const struct message message_verify_layers = {trit_v1_LayerVerifyRequest_fields,
                                                     names_verify};

/* ---- decoders -------------------------------------------------------------------- */

static int part_decode(const struct message *message, const struct scan_part *part,
                       void *out, char error[CODEC_ERROR_BYTES])
{
    return wire_decode(message, part->bytes, part->count, out, error);
}

int decode_layer_create(const struct scan_part *root, struct wire_layer_spec *spec,
                        uint64_t *seed, char error[CODEC_ERROR_BYTES])
{
    trit_v1_LayerCreateRequest request;
    if (part_decode(&message_create, root, &request, error) != 0 ||
        wire_layer_spec(&request.spec, spec, error) != 0)
        return -1;
    *seed = request.seed;
    return 0;
}

int decode_layer_load(const struct scan_part *root, struct wire_layer_spec *spec,
                      char error[CODEC_ERROR_BYTES])
{
    trit_v1_LayerLoadRequest request;
    if (part_decode(&message_load, root, &request, error) != 0)
        return -1;
    return wire_layer_spec(&request.spec, spec, error);
}

int decode_layer_load_start(const struct scan_part *start, struct wire_layer_spec *spec,
                            uint32_t *dtype, char error[CODEC_ERROR_BYTES])
{
    trit_v1_LayerLoadStart request;
    if (part_decode(&message_load_start, start, &request, error) != 0 ||
        wire_layer_spec(&request.spec, spec, error) != 0)
        return -1;
    *dtype = (uint32_t)request.dtype;
    return 0;
}

int decode_layer_name(const struct scan_part *root, char name[TRIT_NAME_BYTES_MAX + 1],
                      char error[CODEC_ERROR_BYTES])
{
    trit_v1_LayerDeleteRequest request;
    if (part_decode(&message_name, root, &request, error) != 0)
        return -1;
    return wire_text("name", request.name.bytes, request.name.size, TRIT_NAME_BYTES_MAX,
                     name, error);
}

int decode_layer_forward(const struct scan_part *root, struct wire_layer_forward *out,
                         char error[CODEC_ERROR_BYTES])
{
    trit_v1_LayerForwardRequest request;
    if (part_decode(&message_forward, root, &request, error) != 0 ||
        wire_text("name", request.name.bytes, request.name.size, TRIT_NAME_BYTES_MAX,
                  out->name, error) != 0)
        return -1;
    out->activations = (uint32_t)request.activations;
    out->report_error = request.report_error;
    wire_region(request.has_reply, &request.reply, &out->reply);
    return 0;
}

int decode_layer_get(const struct scan_part *root, struct wire_layer_get *out,
                     char error[CODEC_ERROR_BYTES])
{
    trit_v1_LayerGetRequest request;
    if (part_decode(&message_get, root, &request, error) != 0 ||
        wire_text("name", request.name.bytes, request.name.size, TRIT_NAME_BYTES_MAX,
                  out->name, error) != 0)
        return -1;
    out->part = (uint32_t)request.part;
    out->encoding = (uint32_t)request.encoding;
    out->dtype = (uint32_t)request.dtype;
    return 0;
}

int decode_layer_list(const struct scan_part *root, struct wire_layer_list *out,
                      char error[CODEC_ERROR_BYTES])
{
    trit_v1_LayerListRequest request;
    struct wire_layer_list list = {0};
    if (part_decode(&message_list, root, &request, error) != 0 ||
        wire_text("prefix", request.prefix.bytes, request.prefix.size,
                  TRIT_NAME_BYTES_MAX, list.prefix, error) != 0 ||
        wire_text("page_token", request.page_token.bytes, request.page_token.size,
                  TRIT_NAME_BYTES_MAX, list.page_token, error) != 0)
        return -1;
    list.page_size = request.page_size;
    *out = list;
    return 0;
}

int decode_layer_verify(const struct scan_part *root, struct wire_layer_verify *out,
                        char error[CODEC_ERROR_BYTES])
{
    trit_v1_LayerVerifyRequest request;
    struct wire_layer_verify verify = {0};
    if (part_decode(&message_verify_layers, root, &request, error) != 0 ||
        wire_text("prefix", request.prefix.bytes, request.prefix.size,
                  TRIT_NAME_BYTES_MAX, verify.prefix, error) != 0)
        return -1;
    verify.has_tolerance = request.has_tolerance;
    verify.tolerance = request.has_tolerance ? request.tolerance : 0;
    *out = verify;
    return 0;
}

size_t layer_loose_ids(const struct scan_part *root)
{
    pb_istream_t in = pb_istream_from_buffer(root->bytes, root->count);
    pb_wire_type_t wire;
    uint32_t number;
    size_t found = 0;
    bool eof;

    while (pb_decode_tag(&in, &wire, &number, &eof) && pb_skip_field(&in, wire))
        found += number == 2;
    return found;
}
