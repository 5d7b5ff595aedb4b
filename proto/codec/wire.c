/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "proto/utf8.h"

/* ---- decoding ------------------------------------------------------------------ */

/* Memory for any message while find_culprit looks for the field in error. */
union any_message {
    trit_v1_Tensor tensor;
    trit_v1_TensorChunk chunk;
    trit_v1_LayerRef layer;
    trit_v1_ProjectRequest project;
    trit_v1_ProjectStart project_start;
    trit_v1_VerifyRequest verify;
    trit_v1_VerifyStart verify_start;
    trit_v1_VerifyOptions verify_options;
    trit_v1_PackRequest pack;
    trit_v1_PackStart pack_start;
    trit_v1_UnpackRequest unpack;
    trit_v1_ReportsGetRequest reports_get;
    trit_v1_ReportsListRequest reports_list;
    trit_v1_ReportsGetResponse report_got;
    trit_v1_ProjectResponse projected;
    trit_v1_MemoryRequest memory_request;
    trit_v1_MemoryReply memory_reply;
};

/* The field in which decoding failed. */
struct culprit {
    uint32_t number;      /* 0: the tag could not be read */
    const uint8_t *value; /* after the tag */
    size_t value_bytes;   /* up to the end of the message */
    pb_wire_type_t wire;
    const char *why; /* as nanopb says it */
};

/* Decodes field by field until one fails. */
static bool find_culprit(const struct message *message, const uint8_t *bytes,
                         size_t count, struct culprit *out)
{
    union any_message scratch;
    pb_istream_t nothing = pb_istream_from_buffer(bytes, 0);
    if (!pb_decode(&nothing, message->fields, &scratch)) /* sets the defaults */
        return false;
    while (count > 0) {
        pb_istream_t rest = pb_istream_from_buffer(bytes, count);
        bool eof;
        *out = (struct culprit){.why = "truncated"};
        if (!pb_decode_tag(&rest, &out->wire, &out->number, &eof)) {
            out->number = 0;
            out->why = PB_GET_ERROR(&rest);
            return true;
        }
        out->value = bytes + (count - rest.bytes_left);
        out->value_bytes = rest.bytes_left;
        if (!pb_skip_field(&rest, out->wire)) {
            out->why = PB_GET_ERROR(&rest);
            return true;
        }
        size_t field_bytes = count - rest.bytes_left;
        pb_istream_t field = pb_istream_from_buffer(bytes, field_bytes);
        if (!pb_decode_ex(&field, message->fields, &scratch, PB_DECODE_NOINIT)) {
            out->why = PB_GET_ERROR(&field);
            return true;
        }
        bytes += field_bytes;
        count -= field_bytes;
    }
    return false;
}

static const struct field_name *name_of(const struct message *message, uint32_t number)
{
    for (const struct field_name *f = message->names; f->number; f++)
        if (f->number == number)
            return f;
    return NULL;
}

static void reason(const struct field_name *field, const char *why, char *out,
                   size_t bytes)
{
    static const char *const plain[][2] = {
        {"integer too large", "out of range"},
        {"end-of-stream", "truncated"},
        {"parent stream too short", "truncated"},
        {"zero tag", "a field number is 0"},
        {"invalid wire_type", "a group, or an unknown wire type"},
    };
    bool bounded = field && field->max != 0;
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        if (strcmp(why, plain[i][0]) == 0)
            why = plain[i][1];
    if (bounded && strcmp(why, "bytes overflow") == 0)
        snprintf(out, bytes, "longer than %u bytes", (unsigned)field->max);
    else if (bounded && strcmp(why, "array overflow") == 0)
        snprintf(out, bytes, "more than %u values", (unsigned)field->max);
    else
        snprintf(out, bytes, "%s", why);
}

/* Called when decoding failed. Finds the field: goes down into the message that holds
 * it, as deep as the tables go. */
static void blame(const struct message *message, const uint8_t *bytes, size_t count,
                  char error[CODEC_ERROR_BYTES])
{
    char path[96] = "", why[96] = "malformed";
    struct culprit culprit;
    while (message && find_culprit(message, bytes, count, &culprit)) {
        const struct field_name *field = name_of(message, culprit.number);
        size_t at = strlen(path);
        const char *dot = at > 0 && culprit.number != 0 ? "." : "";
        if (field)
            snprintf(path + at, sizeof(path) - at, "%s%s", dot, field->name);
        else if (culprit.number != 0)
            snprintf(path + at, sizeof(path) - at, "%sfield %u", dot,
                     (unsigned)culprit.number);
        reason(field, culprit.why, why, sizeof(why));

        message = NULL;
        pb_istream_t value = pb_istream_from_buffer(culprit.value, culprit.value_bytes);
        uint32_t length;
        if (field && field->sub && culprit.wire == PB_WT_STRING &&
            pb_decode_varint32(&value, &length) && length <= value.bytes_left) {
            message = field->sub;
            bytes = culprit.value + (culprit.value_bytes - value.bytes_left);
            count = length;
        }
    }
    if (path[0] != '\0')
        snprintf(error, CODEC_ERROR_BYTES, "%s: %s", path, why);
    else
        snprintf(error, CODEC_ERROR_BYTES, "%s", why);
}

int wire_decode(const struct message *message, const uint8_t *bytes, size_t count,
                void *out, char error[CODEC_ERROR_BYTES])
{
    pb_istream_t in = pb_istream_from_buffer(bytes, count);
    if (pb_decode(&in, message->fields, out))
        return 0;
    blame(message, bytes, count, error);
    return -1;
}

/* ---- text ------------------------------------------------------------------------ */

int wire_text(const char *name, const pb_byte_t *bytes, size_t size, size_t max,
              char *out, char error[CODEC_ERROR_BYTES])
{
    if (size > max) {
        snprintf(error, CODEC_ERROR_BYTES, "%s: longer than %zu bytes", name, max);
        return -1;
    }
    for (size_t at = 0; at < size;) {
        uint32_t point;
        size_t length =
            bytes[at] == 0 ? 0 : utf8_decode((const char *)bytes + at, size - at, &point);
        if (length == 0) {
            snprintf(error, CODEC_ERROR_BYTES, "%s: %s at byte %zu", name,
                     bytes[at] == 0 ? "a NUL" : "not UTF-8", at);
            return -1;
        }
        at += length;
    }
    memcpy(out, bytes, size);
    out[size] = '\0';
    return 0;
}

pb_size_t wire_text_put(pb_byte_t *out, size_t capacity, const char *text)
{
    size_t length = strnlen(text, capacity);
    memcpy(out, text, length);
    return (pb_size_t)length;
}

/* ---- encoding -------------------------------------------------------------------- */

static uint64_t varint_size(uint64_t value)
{
    uint64_t size = 1;
    while (value >>= 7)
        size++;
    return size;
}

uint64_t wire_blob_size(uint32_t number, uint64_t bytes)
{
    if (bytes == 0)
        return 0;
    return varint_size((uint64_t)number << 3) + varint_size(bytes) + bytes;
}

bool wire_blob_head(pb_ostream_t *out, uint32_t number, uint64_t bytes)
{
    return bytes == 0 ||
           (pb_encode_tag(out, PB_WT_STRING, number) && pb_encode_varint(out, bytes));
}

uint64_t wire_size(const pb_msgdesc_t *fields, const void *message)
{
    size_t size = 0;
    bool sized = pb_get_encoded_size(&size, fields, message);
    assert(sized); /* fails only for a struct that exceeds its own bounds */
    (void)sized;
    return size;
}

bool wire_message_head(pb_ostream_t *out, uint32_t number, const pb_msgdesc_t *fields,
                       const void *message, uint64_t tail_bytes)
{
    return pb_encode_tag(out, PB_WT_STRING, number) &&
           pb_encode_varint(out, wire_size(fields, message) + tail_bytes) &&
           pb_encode(out, fields, message);
}
