/* SPDX-License-Identifier: Apache-2.0 */
/* For each message: where the scanner finds bulk bytes, and what errors call the
 * fields. */
#include "proto/codec/layers.h"
#include "wire.h"

/* ---- scan tables ------------------------------------------------------------------ */

static const struct scan_field no_blobs[] = {{0}};
static const struct scan_field holds_data[] = {{15, BLOB_DATA, NULL}, {0}};
static const struct scan_field holds_reference[] = {{15, BLOB_REFERENCE, NULL}, {0}};
static const struct scan_field holds_scales[] = {{15, BLOB_SCALES, NULL}, {0}};
static const struct scan_field verify_start[] = {{1, PART_OPTIONS, holds_scales}, {0}};

const struct scan_field scan_project[] = {{3, PART_TENSOR, holds_data}, {0}};
const struct scan_field scan_verify[] = {
    {1, PART_OPTIONS, holds_scales},
    {14, PART_REFERENCE, holds_reference},
    {15, PART_TENSOR, holds_data},
    {0},
};
const struct scan_field scan_unpack[] = {
    {14, BLOB_SCALES, NULL}, {15, BLOB_DATA, NULL}, {0}};
const struct scan_field scan_backward[] = {{1, PART_TENSOR, holds_data}, {0}};
const struct scan_field scan_project_stream[] = {
    {1, PART_START, no_blobs}, {15, PART_CHUNK, holds_data}, {0}};
const struct scan_field scan_verify_stream[] = {
    {1, PART_START, verify_start},
    {14, PART_REFERENCE, holds_reference},
    {15, PART_CHUNK, holds_data},
    {0},
};
const struct scan_field scan_pack[] = {
    {14, BLOB_SCALES, NULL}, {15, PART_TENSOR, holds_data}, {0}};
const struct scan_field scan_pack_stream[] = {
    {1, PART_START, holds_scales}, {15, PART_CHUNK, holds_data}, {0}};
const struct scan_field scan_plain[] = {{0}};

const struct scan_field scan_projected[] = {
    {14, BLOB_SCALES, NULL}, {15, BLOB_DATA, NULL}, {0}};
const struct scan_field scan_stream_reply[] = {
    {14, PART_REFERENCE, holds_scales}, {15, PART_CHUNK, holds_data}, {0}};
const struct scan_field scan_tensor_reply[] = {{15, BLOB_DATA, NULL}, {0}};
const struct scan_field scan_backward_reply[] = {{1, PART_TENSOR, holds_data}, {0}};
const struct scan_field scan_layer_got[] = {
    {13, BLOB_REFERENCE, NULL}, {14, BLOB_SCALES, NULL}, {15, BLOB_DATA, NULL}, {0}};
const struct scan_field scan_layer_gradients[] = {
    {1, PART_TENSOR, holds_data},
    {2, PART_REFERENCE, holds_reference},
    {3, PART_OPTIONS, holds_scales},
    {0},
};

/* ---- names ------------------------------------------------------------------------- */

static const struct field_name names_region[] = {
    {1, "buffer", REGION_BUFFER_BYTES, NULL},
    {2, "offset", 0, NULL},
    {3, "bytes", 0, NULL},
    {0},
};
const struct message message_region = {trit_v1_MemoryRegion_fields, names_region};

static const struct field_name names_memory_request[] = {
    {1, "sequence", 0, NULL},
    {2, "register_bytes", 0, NULL},
    {3, "release", REGION_BUFFER_BYTES, NULL},
    {0},
};
const struct message message_memory_request = {trit_v1_MemoryRequest_fields,
                                               names_memory_request};

static const struct field_name names_memory_reply[] = {
    {3, "message", TRIT_MESSAGE_BYTES_MAX, NULL},
    {4, "buffer", REGION_BUFFER_BYTES, NULL},
    {0},
};
const struct message message_memory_reply = {trit_v1_MemoryReply_fields,
                                             names_memory_reply};

static const struct field_name names_tensor[] = {{1, "dtype", 0, NULL},
                                                 {2, "shape", TRIT_RANK_MAX, NULL},
                                                 {3, "region", 0, &message_region},
                                                 {0}};
const struct message message_tensor = {trit_v1_Tensor_fields, names_tensor};

static const struct field_name names_chunk[] = {{1, "offset", 0, NULL},
                                                {2, "crc32c", 0, NULL},
                                                {3, "region", 0, &message_region},
                                                {0}};
const struct message message_chunk = {trit_v1_TensorChunk_fields, names_chunk};

static const struct field_name names_shard[] = {
    {1, "global_shape", TRIT_RANK_MAX, NULL}, {2, "offset", TRIT_RANK_MAX, NULL}, {0}};
static const struct message message_shard = {trit_v1_Shard_fields, names_shard};

static const struct field_name names_layer[] = {
    {1, "run", TRIT_NAME_BYTES_MAX, NULL},
    {2, "layer", TRIT_NAME_BYTES_MAX, NULL},
    {3, "step", 0, NULL},
    {4, "attempt", 0, NULL},
    {5, "shard", 0, &message_shard},
    {6, "replica", 0, NULL},
    {0},
};
const struct message message_layer = {trit_v1_LayerRef_fields, names_layer};

static const struct field_name names_project_options[] = {
    {1, "group_size", 0, NULL},        {2, "partial_group", 0, NULL},
    {3, "encoding", 0, NULL},          {4, "report", 0, NULL},
    {5, "allow_lost_scales", 0, NULL}, {6, "durability", 0, NULL},
    {7, "reply", 0, &message_region},  {0},
};
static const struct message message_project_options = {trit_v1_ProjectOptions_fields,
                                                       names_project_options};

static const struct field_name names_project[] = {
    {1, "options", 0, &message_project_options},
    {2, "layer", 0, &message_layer},
    {0},
};
const struct message message_project = {trit_v1_ProjectRequest_fields, names_project};

static const struct field_name names_project_start[] = {
    {1, "options", 0, &message_project_options},
    {2, "layer", 0, &message_layer},
    {3, "dtype", 0, NULL},
    {4, "shape", TRIT_RANK_MAX, NULL},
    {5, "replies_in_memory", 0, NULL},
    {0},
};
const struct message message_project_start = {trit_v1_ProjectStart_fields,
                                              names_project_start};

static const struct field_name names_verify[] = {
    {2, "layer", 0, &message_layer},
    {3, "dtype", 0, NULL},
    {4, "shape", TRIT_RANK_MAX, NULL},
    {5, "reference_dtype", 0, NULL},
    {0},
};
const struct message message_verify = {trit_v1_VerifyRequest_fields, names_verify};
const struct message message_verify_start = {trit_v1_VerifyStart_fields, names_verify};

static const struct field_name names_verify_options[] = {
    {1, "options.mode", 0, NULL},          {2, "options.group_size", 0, NULL},
    {3, "options.partial_group", 0, NULL}, {4, "options.tolerance", 0, NULL},
    {5, "options.encoding", 0, NULL},      {6, "options.scales_dtype", 0, NULL},
    {7, "options.durability", 0, NULL},    {0},
};
const struct message message_verify_options = {trit_v1_VerifyOptions_fields,
                                               names_verify_options};

static const struct field_name names_pack_options[] = {
    {1, "group_size", 0, NULL},   {2, "source_encoding", 0, NULL},
    {3, "scales_dtype", 0, NULL}, {4, "encoding", 0, NULL},
    {5, "report", 0, NULL},       {6, "allow_rounded_scales", 0, NULL},
    {7, "durability", 0, NULL},   {0},
};
static const struct message message_pack_options = {trit_v1_PackOptions_fields,
                                                    names_pack_options};

/* PackStart's fields; PackRequest has the first two of them. */
static const struct field_name names_pack[] = {
    {1, "options", 0, &message_pack_options},
    {2, "layer", 0, &message_layer},
    {3, "dtype", 0, NULL},
    {4, "shape", TRIT_RANK_MAX, NULL},
    {0},
};
const struct message message_pack = {trit_v1_PackRequest_fields, names_pack};
const struct message message_pack_start = {trit_v1_PackStart_fields, names_pack};

static const struct field_name names_unpack[] = {
    {1, "encoding", 0, NULL},          {2, "dtype", 0, NULL},
    {3, "shape", TRIT_RANK_MAX, NULL}, {4, "group_size", 0, NULL},
    {5, "scales_dtype", 0, NULL},      {0},
};
const struct message message_unpack = {trit_v1_UnpackRequest_fields, names_unpack};

static const struct field_name names_reports_get[] = {
    {1, "run", TRIT_NAME_BYTES_MAX, NULL},
    {2, "layer", TRIT_NAME_BYTES_MAX, NULL},
    {3, "step", 0, NULL},
    {4, "attempt", 0, NULL},
    {5, "replica", 0, NULL},
    {0},
};
const struct message message_reports_get = {trit_v1_ReportsGetRequest_fields,
                                            names_reports_get};

static const struct field_name names_reports_list[] = {
    {1, "run", TRIT_NAME_BYTES_MAX, NULL},
    {2, "layer", TRIT_NAME_BYTES_MAX, NULL},
    {3, "step_from", 0, NULL},
    {4, "step_to", 0, NULL},
    {5, "latest_only", 0, NULL},
    {6, "page_size", 0, NULL},
    {7, "page_token", PAGE_TOKEN_BYTES_MAX, NULL},
    {8, "attempt", 0, NULL},
    {9, "replica", 0, NULL},
    {10, "waiting", 0, NULL},
    {11, "beside_damage", 0, NULL},
    {0},
};
const struct message message_reports_list = {trit_v1_ReportsListRequest_fields,
                                             names_reports_list};

static const struct field_name names_damaged_reports[] = {
    {1, "run", TRIT_NAME_BYTES_MAX, NULL},
    {2, "layer", TRIT_NAME_BYTES_MAX, NULL},
    {3, "step", 0, NULL},
    {4, "attempt", 0, NULL},
    {5, "replica", 0, NULL},
    {0},
};
const struct message message_damaged_reports = {trit_v1_DamagedReports_fields,
                                                names_damaged_reports};

/* Only the daemon writes reports, so only the fields with bounds are listed. */
static const struct field_name names_finding[] = {
    {1, "kind", 31, NULL},
    {2, "severity", 15, NULL},
    {7, "expected", TRIT_FINDING_VALUE_BYTES_MAX, NULL},
    {8, "got", TRIT_FINDING_VALUE_BYTES_MAX, NULL},
    {10, "hint", TRIT_FINDING_HINT_BYTES_MAX, NULL},
    {0},
};
static const struct message message_finding = {trit_v1_Finding_fields, names_finding};

static const struct field_name names_reason[] = {
    {1, "rule", TRIT_HEALTH_RULE_BYTES_MAX, NULL},
    {5, "text", TRIT_HEALTH_TEXT_BYTES_MAX, NULL},
    {6, "severity", 15, NULL},
    {0},
};
static const struct message message_reason = {trit_v1_HealthReason_fields, names_reason};

static const struct field_name names_report[] = {
    {1, "run", TRIT_NAME_BYTES_MAX, NULL},
    {2, "layer", TRIT_NAME_BYTES_MAX, NULL},
    {6, "shape", TRIT_RANK_MAX, NULL},
    {13, "sample_values", TRIT_SAMPLES_MAX, NULL},
    {29, "transitions", 9, NULL},
    {31, "digest", TRIT_DIGEST_BYTES, NULL},
    {32, "kernel", 15, NULL},
    {33, "version", 31, NULL},
    {36, "findings", TRIT_FINDINGS_MAX, &message_finding},
    {40, "shard", 0, &message_shard},
    {42, "health", 15, NULL},
    {43, "health_reasons", TRIT_HEALTH_REASONS_MAX, &message_reason},
    {0},
};
const struct message message_report = {trit_v1_LayerReport_fields, names_report};

static const struct field_name names_report_got[] = {{1, "report", 0, &message_report},
                                                     {0}};
const struct message message_report_got = {trit_v1_ReportsGetResponse_fields,
                                           names_report_got};

static const struct field_name names_projected[] = {
    {1, "report", 0, &message_report},
    {2, "encoding", 0, NULL},
    {3, "dtype", 0, NULL},
    {4, "shape", TRIT_RANK_MAX, NULL},
    {0},
};
const struct message message_projected = {trit_v1_ProjectResponse_fields,
                                          names_projected};
