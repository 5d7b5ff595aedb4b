/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/difference.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "checkpoint/decode.h"
#include "kernels/kernels.h"

enum {
    VALUE_BYTES = TRIT_FINDING_VALUE_BYTES_MAX + 1,
    ROUNDED = 1024, /* elements that are rounded at a time */
};

void difference_init(struct difference *difference,
                     const struct element_type *expected_type,
                     const struct element_type *type)
{
    *difference = (struct difference){.type = type, .expected_type = expected_type};
}

size_t element_bytes(const struct element_type *type)
{
    return type->bits < 8 ? 1 : type->bits / 8;
}

/* The smaller of the usual precisions if it reads back, else the larger. */
static void float_text(char *text, float value)
{
    for (int digits = 6; digits <= 9; digits++) {
        float back = 0;

        snprintf(text, VALUE_BYTES, "%.*g", digits, (double)value);
        if (sscanf(text, "%f", &back) == 1 && back == value)
            return;
    }
}

static uint64_t unsigned_of(const unsigned char *bytes, size_t count)
{
    uint64_t value = 0;

    while (count > 0)
        value = value << 8 | bytes[--count];
    return value;
}

static void value_text(char *text, const struct element_type *type,
                       const unsigned char *bytes)
{
    const size_t count = element_bytes(type);
    const uint64_t raw = unsigned_of(bytes, count);
    float single;
    double wide;

    if (type->dtype == TRIT_F32) {
        memcpy(&single, bytes, sizeof(single));
        float_text(text, single);
    } else if (type->dtype == TRIT_F16) {
        float_text(text, f16_to_f32((uint16_t)raw));
    } else if (type->dtype == TRIT_BF16) {
        float_text(text, bf16_to_f32((uint16_t)raw));
    } else if (strcmp(type->name, "F64") == 0) {
        memcpy(&wide, bytes, sizeof(wide));
        snprintf(text, VALUE_BYTES, "%.17g", wide);
    } else if (type->name[0] == 'I') {
        const unsigned shift = 64 - 8 * (unsigned)count;

        snprintf(text, VALUE_BYTES, "%" PRId64, (int64_t)(raw << shift) >> shift);
    } else if (type->name[0] == 'U' || strcmp(type->name, "BOOL") == 0) {
        snprintf(text, VALUE_BYTES, "%" PRIu64, raw);
    } else {
        snprintf(text, VALUE_BYTES, "0x%0*" PRIx64, (int)(2 * count), raw);
    }
}

static void feed_bytes(struct difference *difference, const unsigned char *left,
                       const unsigned char *right, uint64_t bytes)
{
    const size_t width = element_bytes(difference->type);

    if (memcmp(left, right, bytes) == 0) {
        difference->element += bytes / width;
        return;
    }
    for (uint64_t at = 0; at + width <= bytes; at += width, difference->element++) {
        if (memcmp(left + at, right + at, width) == 0)
            continue;
        if (difference->count++ == 0) {
            difference->first = difference->element;
            value_text(difference->expected, difference->type, left + at);
            value_text(difference->got, difference->type, right + at);
            /* Equal values with different bits: a NaN, a zero. */
            if (strcmp(difference->expected, difference->got) == 0) {
                snprintf(difference->expected, VALUE_BYTES, "0x%0*" PRIx64,
                         (int)(2 * width), unsigned_of(left + at, width));
                snprintf(difference->got, VALUE_BYTES, "0x%0*" PRIx64, (int)(2 * width),
                         unsigned_of(right + at, width));
            }
        }
    }
}

static void round_to(enum trit_dtype to, unsigned char *rounded, enum trit_dtype from,
                     const unsigned char *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const float value = float_at(from, values, i);
        const uint16_t half = to == TRIT_F16 ? f32_to_f16(value) : f32_to_bf16(value);

        if (to == TRIT_F32)
            memcpy(rounded + i * sizeof(value), &value, sizeof(value));
        else
            memcpy(rounded + i * sizeof(half), &half, sizeof(half));
    }
}

void difference_feed(struct difference *difference, const void *expected, const void *got,
                     uint64_t bytes)
{
    const enum trit_dtype to = difference->type->dtype;
    const enum trit_dtype from = difference->expected_type->dtype;
    const size_t width = element_bytes(difference->type);
    const size_t wide = element_bytes(difference->expected_type);
    unsigned char rounded[ROUNDED * sizeof(float)];

    if (difference->type == difference->expected_type) {
        feed_bytes(difference, expected, got, bytes);
        return;
    }
    for (uint64_t at = 0; at < bytes / width; at += ROUNDED) {
        const size_t count = (size_t)u64_min(bytes / width - at, ROUNDED);

        round_to(to, rounded, from, (const unsigned char *)expected + at * wide, count);
        feed_bytes(difference, rounded, (const unsigned char *)got + at * width,
                   count * width);
    }
}
