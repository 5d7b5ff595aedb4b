/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to the codec: message descriptors with field names, decoding whose errors
 * name the field, and the heads of fields whose bytes the caller sends. */
#ifndef CODEC_WIRE_H
#define CODEC_WIRE_H

#include <pb_decode.h>
#include <pb_encode.h>

#include "proto/codec/codec.h"
#include "trit/v1/memory.pb.h"
#include "trit/v1/report.pb.h"
#include "trit/v1/tensor.pb.h"
#include "trit/v1/ternary.pb.h"

struct message;

struct field_name {
    uint32_t number; /* 0 ends the table */
    const char *name;
    uint32_t max; /* largest count of bytes or values; 0: the codec sets no bound */
    const struct message *sub;
};

struct message {
    const pb_msgdesc_t *fields;
    const struct field_name *names;
};

extern const struct message message_region, message_tensor, message_chunk,
    message_project, message_project_start, message_verify, message_verify_start,
    message_verify_options, message_pack, message_pack_start, message_unpack,
    message_reports_get, message_reports_list, message_damaged_reports, message_report,
    message_report_got, message_projected, message_layer, message_memory_request,
    message_memory_reply;

/* Decodes into `out`, the nanopb struct of `message`, which it clears first. */
int wire_decode(const struct message *message, const uint8_t *bytes, size_t count,
                void *out, char error[CODEC_ERROR_BYTES]);

/* Copies `size` bytes as a C string to `out`, which holds `max` bytes and a NUL.
 * Refuses longer texts, a NUL inside, and bytes that are not UTF-8. */
int wire_text(const char *name, const pb_byte_t *bytes, size_t size, size_t max,
              char *out, char error[CODEC_ERROR_BYTES]);
/* The reverse; returns the length. `capacity` is that of out. */
pb_size_t wire_text_put(pb_byte_t *out, size_t capacity, const char *text);

/* How errors call the names of a LayerRef: "layer.run", "layer.layer". */
struct layer_names {
    const char *run, *layer;
};
int wire_layer_ref(const trit_v1_LayerRef *from, const struct layer_names *names,
                   struct wire_layer_ref *out, char error[CODEC_ERROR_BYTES]);
void wire_layer_ref_put(trit_v1_LayerRef *out, const struct wire_layer_ref *from);

struct put;

/* The fields of a report; all of it as field `number`. */
void put_report_fields(struct put *put, const struct trit_report *report);
void put_report(struct put *put, uint32_t number, const struct trit_report *report);
int wire_report(const trit_v1_LayerReport *from, struct trit_report *out,
                char error[CODEC_ERROR_BYTES]);

/* The fields that only filed reports have. wire_report calls it. */
int wire_filed(const trit_v1_LayerReport *from, struct trit_report *out,
               char error[CODEC_ERROR_BYTES]);

/* The size of a `bytes` field with that many bytes, with tag and length. 0 for an
 * empty field, which is not written. */
uint64_t wire_blob_size(uint32_t number, uint64_t bytes);
/* Writes the tag and the length of such a field; nothing for an empty one. */
bool wire_blob_head(pb_ostream_t *out, uint32_t number, uint64_t bytes);
/* Writes tag, length and small fields of an inner message. The caller then writes its
 * last `tail_bytes` bytes. */
bool wire_message_head(pb_ostream_t *out, uint32_t number, const pb_msgdesc_t *fields,
                       const void *message, uint64_t tail_bytes);
/* Encoded size of the small fields. */
uint64_t wire_size(const pb_msgdesc_t *fields, const void *message);

void wire_tensor_put(trit_v1_Tensor *out, const struct wire_tensor *from);

/* Absent: *has is false, or *out is all zero. */
void wire_region_put(bool *has, trit_v1_MemoryRegion *out,
                     const struct wire_region *from);
void wire_region(bool has, const trit_v1_MemoryRegion *from, struct wire_region *out);

#endif
