/* SPDX-License-Identifier: Apache-2.0 */
/* Converts between plain structs and protobuf bytes. No other module uses nanopb. Tensor
 * bytes never pass through here. scan.h reads requests, and these functions decode its
 * parts. Replies are encoded up to and including the length of their last `bytes` field;
 * the caller sends the bytes of that field from where they are.
 *
 * Every string and repeated field has a bound (trit/v1 .options); a longer one is
 * INVALID_ARGUMENT. Unknown enum values are kept as numbers, and the caller checks them.
 * Decoders return 0, or -1 with a message that names the field; outputs are unchanged
 * then. The daemon decodes requests and encodes replies; libtrit does the reverse. */
#ifndef CODEC_H
#define CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/scan.h"
#include "trit/types.h"

enum { CODEC_ERROR_BYTES = 256 };

/* Error messages begin with a path: "layer.run: longer than 255 bytes". The path
 * starts at the part that was decoded. For the part of a tensor or a chunk the caller
 * prepends "tensor." or the like, because only the caller knows which tensor it is. */

enum { REGION_BUFFER_BYTES = 16 };
struct wire_region { /* MemoryRegion */
    bool present;
    bool is_id; /* `buffer` has as many bytes as an id */
    uint8_t buffer[REGION_BUFFER_BYTES];
    uint64_t offset, bytes;
};

struct wire_tensor { /* a Tensor without its data */
    uint32_t dtype;
    uint32_t rank;
    uint64_t shape[TRIT_RANK_MAX];
    struct wire_region region;
};

struct wire_layer_ref { /* run empty = absent */
    bool present;
    char run[TRIT_NAME_BYTES_MAX + 1];
    char layer[TRIT_NAME_BYTES_MAX + 1];
    uint64_t step;
    uint32_t attempt, replica; /* attempt 0: the run's newest */
    bool has_shard;
    uint32_t global_rank, offset_rank;
    uint64_t global_shape[TRIT_RANK_MAX];
    uint64_t offset[TRIT_RANK_MAX];
};

struct wire_project { /* ProjectRequest without tensor; ProjectStart */
    uint32_t group_size, partial_group, encoding, report, durability;
    bool allow_lost_scales;
    struct wire_layer_ref layer;
    struct wire_tensor tensor; /* ProjectStart's dtype and shape */
    struct wire_region reply;  /* Project's */
    bool replies_in_memory;    /* ProjectStart's */
};

struct wire_verify { /* VerifyRequest without tensors and scales; VerifyStart */
    uint32_t mode, group_size, partial_group, encoding, scales_dtype, durability;
    bool has_tolerance;
    float tolerance;
    struct wire_layer_ref layer;
    struct wire_tensor tensor; /* VerifyStart's */
    uint32_t reference_dtype;  /* VerifyStart's */
};

struct wire_pack { /* PackRequest without tensor and scales; PackStart */
    uint32_t group_size, source_encoding, scales_dtype, encoding, report, durability;
    bool allow_rounded_scales;
    struct wire_layer_ref layer;
    struct wire_tensor tensor; /* PackStart's dtype and shape */
};

struct wire_unpack {
    uint32_t encoding, dtype, group_size, scales_dtype;
    uint32_t rank;
    uint64_t shape[TRIT_RANK_MAX];
};

struct wire_chunk { /* TensorChunk without data */
    uint64_t offset;
    bool has_crc32c;
    uint32_t crc32c;
    struct wire_region region;
};

struct wire_reports_get {
    char run[TRIT_NAME_BYTES_MAX + 1];
    char layer[TRIT_NAME_BYTES_MAX + 1];
    bool has_step;
    uint64_t step;
    uint32_t attempt, replica;
};

enum { PAGE_TOKEN_BYTES_MAX = 800 };
struct wire_reports_list {
    char run[TRIT_NAME_BYTES_MAX + 1];
    char layer[TRIT_NAME_BYTES_MAX + 1];
    bool has_from, has_to;
    uint64_t step_from, step_to;
    bool latest_only, waiting, beside_damage;
    uint32_t page_size;
    uint32_t attempt, replica;
    char page_token[PAGE_TOKEN_BYTES_MAX + 1];
};

/* A part of ReportsListResponse: reports that cannot be read. */
struct wire_damaged_reports {
    char run[TRIT_NAME_BYTES_MAX + 1];
    char layer[TRIT_NAME_BYTES_MAX + 1];
    uint64_t step;
    uint32_t attempt, replica;
};

enum { HEALTH_SERVICE_BYTES_MAX = 255 };
enum health_status {
    HEALTH_UNKNOWN = 0,
    HEALTH_SERVING = 1,
    HEALTH_NOT_SERVING = 2,
    HEALTH_SERVICE_UNKNOWN = 3
};

/* ---- scan tables: how the daemon reads each request ---------------------- */

enum { /* parts and blobs of the tables below */
       PART_ROOT = 0,
       PART_OPTIONS,   /* VerifyOptions (it holds a blob) */
       PART_START,     /* ProjectStart, VerifyStart or PackStart */
       PART_TENSOR,    /* Tensor; grad_ternary */
       PART_REFERENCE, /* reference Tensor */
       PART_CHUNK,     /* TensorChunk of either kind */
       BLOB_DATA = 16, /* the tensor's bytes, or a chunk's */
       BLOB_REFERENCE, /* the reference's bytes, or a reference chunk's */
       BLOB_SCALES,
};

extern const struct scan_field scan_project[], scan_verify[], scan_unpack[],
    scan_backward[], scan_project_stream[], scan_verify_stream[], scan_pack[],
    scan_pack_stream[], scan_plain[];
/* scan_plain has no blobs: everything goes to PART_ROOT. In the stream tables a start
 * message goes to PART_START. The options of VerifyStart go to PART_OPTIONS, and their
 * scales are BLOB_SCALES. The small fields of a reference chunk go to PART_REFERENCE,
 * those of a tensor chunk to PART_CHUNK. */

/* ---- the daemon's side ---------------------------------------------------- */

int decode_project(const struct scan_part *root, struct wire_project *out,
                   char error[CODEC_ERROR_BYTES]);
int decode_project_start(const struct scan_part *start, struct wire_project *out,
                         char error[CODEC_ERROR_BYTES]);
int decode_verify(const struct scan_part *root, const struct scan_part *options,
                  struct wire_verify *out, char error[CODEC_ERROR_BYTES]);
int decode_verify_start(const struct scan_part *start, const struct scan_part *options,
                        struct wire_verify *out, char error[CODEC_ERROR_BYTES]);
int decode_pack(const struct scan_part *root, struct wire_pack *out,
                char error[CODEC_ERROR_BYTES]);
int decode_pack_start(const struct scan_part *start, struct wire_pack *out,
                      char error[CODEC_ERROR_BYTES]);
int decode_tensor(const struct scan_part *part, struct wire_tensor *out,
                  char error[CODEC_ERROR_BYTES]);
int decode_chunk(const struct scan_part *part, struct wire_chunk *out,
                 char error[CODEC_ERROR_BYTES]);
int decode_unpack(const struct scan_part *root, struct wire_unpack *out,
                  char error[CODEC_ERROR_BYTES]);
int decode_reports_get(const struct scan_part *root, struct wire_reports_get *out,
                       char error[CODEC_ERROR_BYTES]);
int decode_reports_list(const struct scan_part *root, struct wire_reports_list *out,
                        char error[CODEC_ERROR_BYTES]);
int decode_health_check(const struct scan_part *root,
                        char service[HEALTH_SERVICE_BYTES_MAX + 1],
                        char error[CODEC_ERROR_BYTES]);

/* Encoders write at most `capacity` bytes to `out` and return how many, or 0 when they
 * do not fit. REPLY_HEAD_BYTES_MAX bytes hold every head. A head ends with the length
 * of its last field, `data_bytes`; the caller sends the bytes of that field. When
 * data_bytes (or scale_bytes) is 0, the field has no tag and no length, as in proto3. */
enum { REPLY_HEAD_BYTES_MAX = 10240, REPORT_BYTES_MAX = 9488 };

/* ProjectResponse, or PackResponse, up to the bytes of `data`. The caller also sends the scale_bytes
 * bytes of `scales`, after the first *scales_at bytes of the head. With scale_bytes 0,
 * *scales_at is the returned size. */
struct wire_projected {
    const struct trit_report *report; /* NULL = none */
    uint32_t encoding, dtype, rank;
    const uint64_t *shape;
    uint64_t scale_bytes, data_bytes;
    struct wire_region region;
};
size_t encode_projected(const struct wire_projected *reply, uint8_t *out, size_t capacity,
                        size_t *scales_at);

/* VerifyResponse and VerifyStreamResponse, whole. */
size_t encode_verified(const struct trit_report *report, uint8_t *out, size_t capacity);
/* ProjectStreamResponse and PackStreamResponse: the head of a chunk of data or of scales; or a whole report. */
size_t encode_stream_chunk(bool scales, uint64_t offset, uint32_t crc32c,
                           uint64_t data_bytes, uint8_t *out, size_t capacity);
size_t encode_stream_report(const struct trit_report *report, uint8_t *out,
                            size_t capacity);
/* A whole message for a chunk whose bytes are in memory. */
size_t encode_stream_region(uint64_t offset, const struct wire_region *region,
                            uint8_t *out, size_t capacity);
/* These and VerifyStreamResponse: chunks in memory that are done. Whole. */
size_t encode_chunks_done(uint64_t count, uint8_t *out, size_t capacity);
/* A bare Tensor (Unpack's reply), and BackwardResponse around one. */
size_t encode_tensor(const struct wire_tensor *tensor, uint64_t data_bytes, uint8_t *out,
                     size_t capacity);
size_t encode_backward(const struct wire_tensor *tensor, uint64_t data_bytes,
                       uint8_t *out, size_t capacity);
size_t encode_report_got(const struct trit_report *report, uint8_t *out, size_t capacity);
/* One `reports` entry of ReportsListResponse. The reply is all entries, then the
 * token. An empty token is 0 bytes long. */
size_t encode_report_entry(const struct trit_report *report, uint8_t *out,
                           size_t capacity);
size_t encode_page_token(const char *token, uint8_t *out, size_t capacity);
/* One `damaged` entry of it. */
enum { DAMAGED_BYTES_MAX = 2 * (TRIT_NAME_BYTES_MAX + 3) + 32 };
size_t encode_damaged_entry(const struct wire_damaged_reports *damaged, uint8_t *out,
                            size_t capacity);
size_t encode_health(enum health_status status, uint8_t *out, size_t capacity);
/* One `statuses` entry of HealthListResponse. The reply is all entries. */
size_t encode_health_entry(const char *service, size_t length, enum health_status status,
                           uint8_t *out, size_t capacity);

/* google.rpc.Status for grpc-status-details-bin, with one BadRequest field violation,
 * or with none when `field` is NULL or empty. */
enum { STATUS_DETAILS_BYTES_MAX = 2304 }; /* a field of 63 bytes, the longest message */
size_t encode_status_details(enum trit_status status, const char *message,
                             const char *field, uint8_t *out, size_t capacity);

/* ---- libtrit's side: encode requests, decode replies ---------------------- */

/* Each head ends with the length of the last field; its bytes follow. A message
 * whose fields all have their defaults is 0 bytes long. */
enum { REQUEST_HEAD_BYTES_MAX = 2048 }; /* always enough */
size_t encode_project(const struct wire_project *request,
                      const struct wire_tensor *tensor, uint64_t data_bytes, uint8_t *out,
                      size_t capacity);
size_t encode_project_start(const struct wire_project *request, uint8_t *out,
                            size_t capacity);
size_t encode_chunk_request(bool reference, uint64_t offset, uint32_t crc32c,
                            uint64_t data_bytes, uint8_t *out, size_t capacity);
/* A chunk in memory: a whole message. */
size_t encode_chunk_region(bool reference, uint64_t offset,
                           const struct wire_region *region, uint8_t *out,
                           size_t capacity);
/* VerifyRequest: `scales` and the reference's data come in the middle, so the
 * head is cut in up to three pieces: [0, cut[0]) scales [cut[0], cut[1])
 * reference data [cut[1], returned) tensor data. */
size_t encode_verify(const struct wire_verify *request, uint64_t scale_bytes,
                     const struct wire_tensor *reference, uint64_t reference_bytes,
                     const struct wire_tensor *tensor, uint64_t data_bytes, uint8_t *out,
                     size_t capacity, size_t cut[2]);
/* As encode_project_start. The caller sends VerifyOptions.scales after the first
 * *scales_at bytes. */
size_t encode_verify_start(const struct wire_verify *request, uint64_t scale_bytes,
                           uint8_t *out, size_t capacity, size_t *scales_at);
/* PackRequest. The caller sends `scales` after the first *scales_at bytes. */
size_t encode_pack(const struct wire_pack *request, uint64_t scale_bytes,
                   const struct wire_tensor *tensor, uint64_t data_bytes, uint8_t *out,
                   size_t capacity, size_t *scales_at);
/* A start message up to the bytes of its last field, `scales`. */
size_t encode_pack_start(const struct wire_pack *request, uint64_t scale_bytes,
                         uint8_t *out, size_t capacity);
size_t encode_unpack(const struct wire_unpack *request, uint64_t scale_bytes,
                     uint64_t data_bytes, uint8_t *out, size_t capacity,
                     size_t *scales_at);
size_t encode_backward_request(const struct wire_tensor *tensor, uint64_t data_bytes,
                               uint8_t *out, size_t capacity);
size_t encode_reports_get(const struct wire_reports_get *request, uint8_t *out,
                          size_t capacity);
size_t encode_reports_list(const struct wire_reports_list *request, uint8_t *out,
                           size_t capacity);
size_t encode_health_check(const char *service, uint8_t *out, size_t capacity);

/* Scan tables and decoders for replies, with the same parts and blobs. */
extern const struct scan_field scan_projected[], /* BLOB_SCALES, BLOB_DATA */
    scan_stream_reply[], /* PART_CHUNK/BLOB_DATA; PART_REFERENCE/BLOB_SCALES for
                            scales; a report stays in PART_ROOT */
    scan_tensor_reply[], /* a bare Tensor: its small fields in PART_ROOT */
    scan_backward_reply[];
struct wire_projected_head {
    bool has_report;
    struct trit_report report;
    uint32_t encoding;
    struct wire_tensor tensor;
    struct wire_region region;
};
int decode_projected(const struct scan_part *root, struct wire_projected_head *out,
                     char error[CODEC_ERROR_BYTES]);
int decode_verified(const struct scan_part *root, struct trit_report *out,
                    char error[CODEC_ERROR_BYTES]);
int decode_stream_report(const struct scan_part *root, bool *has_report,
                         struct trit_report *out, char error[CODEC_ERROR_BYTES]);
/* chunks_done of a stream's reply; *has_count: the message has it. */
int decode_chunks_done(const struct scan_part *root, bool *has_count, uint64_t *count,
                       char error[CODEC_ERROR_BYTES]);
int decode_report_got(const struct scan_part *root, struct trit_report *out,
                      char error[CODEC_ERROR_BYTES]);
/* Calls visit for each report of a whole ReportsListResponse. */
int decode_reports_page(const uint8_t *bytes, size_t count,
                        void (*visit)(void *arg, const struct trit_report *report),
                        void *arg, char token[PAGE_TOKEN_BYTES_MAX + 1],
                        char error[CODEC_ERROR_BYTES]);
/* The `damaged` entries of the same page, in order. */
int decode_damaged_page(const uint8_t *bytes, size_t count,
                        void (*visit)(void *arg,
                                      const struct wire_damaged_reports *damaged),
                        void *arg, char error[CODEC_ERROR_BYTES]);
int decode_health(const struct scan_part *root, enum health_status *status,
                  char error[CODEC_ERROR_BYTES]);
/* The field of the first violation in a google.rpc.Status; empty when there is none. */
int decode_status_details(const uint8_t *bytes, size_t count, char field[64]);

/* ---- reports at rest: LayerReport bytes, as the store keeps them ---------- */

size_t encode_report(const struct trit_report *report, uint8_t *out, size_t capacity);
int decode_report(const uint8_t *bytes, size_t count, struct trit_report *out,
                  char error[CODEC_ERROR_BYTES]);

#endif
