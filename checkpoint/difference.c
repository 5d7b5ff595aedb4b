/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/difference.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kernels/kernels.h"

enum { VALUE_BYTES = TRIT_FINDING_VALUE_BYTES_MAX + 1 };

void difference_init(struct difference *difference, const struct element_type *type)
{
    *difference = (struct difference){.type = type};
}

static size_t element_bytes(const struct element_type *type)
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

void difference_feed(struct difference *difference, const void *expected, const void *got,
                     uint64_t bytes)
{
    const unsigned char *left = expected, *right = got;
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
