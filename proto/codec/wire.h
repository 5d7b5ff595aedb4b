/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to the codec: a message's descriptor with its fields' names, decoding
 * with errors that name the field, and the heads of fields whose bytes are not
 * encoded here. */
#ifndef CODEC_WIRE_H
#define CODEC_WIRE_H

#include <pb_decode.h>
#include <pb_encode.h>

#include "proto/codec/codec.h"
#include "trit/v1/report.pb.h"
#include "trit/v1/tensor.pb.h"
#include "trit/v1/ternary.pb.h"

struct message;

struct field_name {
    uint32_t number; /* 0 ends the table */
    const char *name;
    uint32_t max; /* bytes or values it holds; 0: not bounded by the codec */
    const struct message *sub;
};

struct message {
    const pb_msgdesc_t *fields;
    const struct field_name *names;
};

extern const struct message message_tensor, message_chunk, message_project,
    message_project_start, message_verify, message_verify_start, message_verify_options,
    message_unpack, message_reports_get, message_reports_list, message_report,
    message_report_got, message_projected;

/* Decodes into `out`, the nanopb struct of `message`, which it clears first. */
int wire_decode(const struct message *message, const uint8_t *bytes, size_t count,
                void *out, char error[CODEC_ERROR_BYTES]);

/* `size` bytes as a C string in out, which holds `max` and a NUL; refuses longer
 * ones, NULs inside and what is not UTF-8. */
int wire_text(const char *name, const pb_byte_t *bytes, size_t size, size_t max,
              char *out, char error[CODEC_ERROR_BYTES]);
/* The reverse; returns the length. `capacity` is that of out. */
pb_size_t wire_text_put(pb_byte_t *out, size_t capacity, const char *text);

void wire_report_put(trit_v1_LayerReport *out, const struct trit_report *from);
int wire_report(const trit_v1_LayerReport *from, struct trit_report *out,
                char error[CODEC_ERROR_BYTES]);

/* Bytes a `bytes` field of that many takes, tag and length included; 0 where it
 * is empty, for then it is not written. */
uint64_t wire_blob_size(uint32_t number, uint64_t bytes);
/* The tag and length of such a field; nothing where it is empty. */
bool wire_blob_head(pb_ostream_t *out, uint32_t number, uint64_t bytes);
/* Tag, length and small fields of an inner message, `tail_bytes` of which are
 * written by the caller afterwards. */
bool wire_message_head(pb_ostream_t *out, uint32_t number, const pb_msgdesc_t *fields,
                       const void *message, uint64_t tail_bytes);
/* Encoded size of the small fields. */
uint64_t wire_size(const pb_msgdesc_t *fields, const void *message);

void wire_tensor_put(trit_v1_Tensor *out, const struct wire_tensor *from);

#endif
