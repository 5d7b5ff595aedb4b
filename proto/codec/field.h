/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a message field by field, without a struct of nanopb: for messages whose texts are
 * many or long. */
#ifndef CODEC_FIELD_H
#define CODEC_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_wire { FIELD_VARINT, FIELD_FIXED64, FIELD_BYTES, FIELD_FIXED32 };

struct field {
    uint32_t number;
    enum field_wire wire;
    uint64_t value;       /* of a number, its bits */
    const uint8_t *bytes; /* FIELD_BYTES; `value` of them */
};

struct field_cursor {
    const uint8_t *at, *end;
};

/* 1: *field is the next one; 0: there is none; -1: the message is malformed. */
int field_next(struct field_cursor *cursor, struct field *field);

double field_f64(const struct field *field);
float field_f32(const struct field *field);

#endif
