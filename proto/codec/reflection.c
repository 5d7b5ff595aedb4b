/* SPDX-License-Identifier: Apache-2.0 */
#include "reflection.h"

#include <string.h>

#include "grpc/reflection/v1/reflection.pb.h"
#include "wire.h"

int decode_reflection(const struct scan_part *root, struct reflection_request *out,
                      char error[CODEC_ERROR_BYTES])
{
    static const struct field_name extension_names[] = {
        {1, "containing_type", REFLECTION_NAME_BYTES_MAX, NULL}, {0}};
    static const struct message extension = {grpc_reflection_v1_ExtensionRequest_fields,
                                             extension_names};
    static const struct field_name names[] = {
        {1, "host", 256, NULL},
        {3, "file_by_filename", REFLECTION_NAME_BYTES_MAX, NULL},
        {4, "file_containing_symbol", REFLECTION_NAME_BYTES_MAX, NULL},
        {5, "file_containing_extension", 0, &extension},
        {6, "all_extension_numbers_of_type", REFLECTION_NAME_BYTES_MAX, NULL},
        {7, "list_services", REFLECTION_NAME_BYTES_MAX, NULL},
        {0}};
    static const struct message request_message = {
        grpc_reflection_v1_ServerReflectionRequest_fields, names};
    grpc_reflection_v1_ServerReflectionRequest request;
    const pb_byte_t *name = (const pb_byte_t *)"";
    size_t size = 0;

    if (wire_decode(&request_message, root->bytes, root->count, &request, error) != 0)
        return -1;
    switch (request.which_message_request) {
    case REFLECTION_FILE:
        name = request.message_request.file_by_filename.bytes;
        size = request.message_request.file_by_filename.size;
        break;
    case REFLECTION_SYMBOL:
        name = request.message_request.file_containing_symbol.bytes;
        size = request.message_request.file_containing_symbol.size;
        break;
    case REFLECTION_EXTENSION:
        name = request.message_request.file_containing_extension.containing_type.bytes;
        size = request.message_request.file_containing_extension.containing_type.size;
        break;
    case REFLECTION_EXTENSION_NUMBERS:
        name = request.message_request.all_extension_numbers_of_type.bytes;
        size = request.message_request.all_extension_numbers_of_type.size;
        break;
    default: /* the list needs no name */
        break;
    }
    out->kind = (enum reflection_kind)request.which_message_request;
    return wire_text("message_request", name, size, REFLECTION_NAME_BYTES_MAX, out->name,
                     error);
}

/* ---- replies ---------------------------------------------------------------------- */

static bool put_bytes(pb_ostream_t *out, uint32_t number, const void *bytes, size_t count)
{
    return wire_blob_head(out, number, count) && pb_write(out, bytes, count);
}

/* Of an item inside its answer: a service's name stands in a message of its own. */
static uint64_t item_bytes(const struct reflection_reply *reply, size_t index)
{
    uint64_t count = reply->items[index].count;

    return reply->answer == REFLECTION_LIST ? wire_blob_size(1, count) : count;
}

static bool put_items(pb_ostream_t *out, const struct reflection_reply *reply)
{
    for (size_t i = 0; i < reply->item_count; i++) {
        const struct reflection_item *item = &reply->items[i];

        if (!wire_blob_head(out, 1, item_bytes(reply, i)))
            return false;
        if (reply->answer == REFLECTION_LIST
                ? !put_bytes(out, 1, item->bytes, item->count)
                : !pb_write(out, item->bytes, item->count))
            return false;
    }
    return true;
}

static uint64_t answer_bytes(const struct reflection_reply *reply)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < reply->item_count; i++)
        bytes += wire_blob_size(1, item_bytes(reply, i));
    if (reply->answer == REFLECTION_NUMBERS)
        bytes += wire_blob_size(1, strlen(reply->text));
    if (reply->answer == REFLECTION_ERROR)
        bytes += 2 + wire_blob_size(2, strlen(reply->text)); /* code below 128 */
    return bytes;
}

static bool put_answer(pb_ostream_t *out, const struct reflection_reply *reply)
{
    if (!wire_blob_head(out, reply->answer, answer_bytes(reply)))
        return false;
    switch (reply->answer) {
    case REFLECTION_FILES:
    case REFLECTION_LIST:
        return put_items(out, reply);
    case REFLECTION_NUMBERS:
        return put_bytes(out, 1, reply->text, strlen(reply->text));
    case REFLECTION_ERROR:
        return pb_encode_tag(out, PB_WT_VARINT, 1) &&
               pb_encode_varint(out, reply->code) &&
               put_bytes(out, 2, reply->text, strlen(reply->text));
    }
    return false;
}

size_t encode_reflection(const struct reflection_reply *reply, uint8_t *out)
{
    pb_ostream_t sizing = PB_OSTREAM_SIZING;
    pb_ostream_t writing = pb_ostream_from_buffer(out, SIZE_MAX);
    pb_ostream_t *stream = out ? &writing : &sizing;
    const struct scan_part *request = reply->request;

    return put_bytes(stream, 2, request->bytes, request->count) &&
                   put_answer(stream, reply)
               ? stream->bytes_written
               : 0;
}
