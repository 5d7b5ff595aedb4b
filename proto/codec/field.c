/* SPDX-License-Identifier: Apache-2.0 */
#include "field.h"

#include <pb_decode.h>
#include <string.h>

/* The value after the tag. */
static bool read_value(pb_istream_t *in, pb_wire_type_t wire, struct field *field)
{
    uint32_t narrow = 0;

    switch (wire) {
    case PB_WT_VARINT:
        field->wire = FIELD_VARINT;
        return pb_decode_varint(in, &field->value);
    case PB_WT_64BIT:
        field->wire = FIELD_FIXED64;
        return pb_decode_fixed64(in, &field->value);
    case PB_WT_32BIT:
        field->wire = FIELD_FIXED32;
        if (!pb_decode_fixed32(in, &narrow))
            return false;
        field->value = narrow;
        return true;
    case PB_WT_STRING:
        field->wire = FIELD_BYTES;
        return pb_decode_varint(in, &field->value) && field->value <= in->bytes_left;
    default:
        return false;
    }
}

int field_next(struct field_cursor *cursor, struct field *field)
{
    const size_t count = (size_t)(cursor->end - cursor->at);
    pb_istream_t in = pb_istream_from_buffer(cursor->at, count);
    pb_wire_type_t wire;
    bool eof;

    if (count == 0)
        return 0;
    *field = (struct field){.number = 0};
    if (!pb_decode_tag(&in, &wire, &field->number, &eof) || field->number == 0 ||
        !read_value(&in, wire, field))
        return -1;
    cursor->at = cursor->end - in.bytes_left;
    if (field->wire == FIELD_BYTES) {
        field->bytes = cursor->at;
        cursor->at += field->value;
    }
    return 1;
}

double field_f64(const struct field *field)
{
    double value;

    memcpy(&value, &field->value, sizeof(value));
    return value;
}

float field_f32(const struct field *field)
{
    const uint32_t bits = (uint32_t)field->value;
    float value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}
