/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/kernel_inputs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"

float input_uniform(uint64_t *seed)
{
    return (float)(int32_t)(check_random(seed) >> 32) * 0x1p-31f;
}

uint32_t input_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

float input_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static float input_value(enum input_kind kind, size_t i, size_t len, float base,
                         uint64_t *seed)
{
    const float u = input_uniform(seed), sign = u < 0 ? -1.0f : 1.0f;
    const uint64_t r = check_random(seed);
    switch (kind) {
    case INPUT_PLAIN:
        return u * base;
    case INPUT_THRESHOLD: /* the mean of half ones and half threes is two */
        return sign * base * (i < len / 2 ? 1.0f : i < len / 2 * 2 ? 3.0f : 2.0f);
    case INPUT_LOW:
        return sign * 0x1p-149f;
    case INPUT_HIGH:
        return sign * 0x1.fffffep127f;
    case INPUT_SUBNORMAL:
        return sign * input_float((uint32_t)(r % 0x1000000));
    case INPUT_HUGE:
        return u * 0x1.fffffep127f;
    case INPUT_ZEROS:
        return r % 8 ? sign * 0.0f : u;
    case INPUT_MIXED: {
        float value = input_float((uint32_t)r);
        return isfinite(value) ? value : u;
    }
    case INPUT_TERNARY:
        return r % 3 ? sign * base : sign * 0.0f;
    case INPUT_NEARLY_TERNARY:
        return (r % 3 ? sign * base : 0.0f) * (r % 64 ? 1.0f : 0.999f);
    case INPUT_LONE:
        return i == len / 2 ? base : 0.0f;
    case INPUT_TINY:
        return ldexpf(base * input_uniform(seed), -104);
    case INPUT_NON_FINITE:
        return r % 97 == 0 ? NAN : r % 89 == 0 ? sign * INFINITY : u * base;
    case INPUT_KINDS:
        break;
    }
    return 0.0f;
}

/* Up to 3 ulp up or down, for the threshold's kind. */
static uint32_t input_nudge(enum input_kind kind, uint64_t *seed)
{
    return kind == INPUT_THRESHOLD ? (uint32_t)(check_random(seed) % 7) - 3 : 0;
}

void input_fill(void *to, enum trit_dtype dtype, enum input_kind kind, size_t count,
                size_t len, uint64_t *seed)
{
    uint8_t *bytes = to;
    for (size_t g = 0; g < count; g++) {
        const float base = ldexpf(1.0f + fabsf(input_uniform(seed)),
                                  (int)(check_random(seed) % 24) - 12);
        for (size_t i = 0; i < len; i++, bytes += dtype_bytes(dtype)) {
            const float value = input_value(kind, i, len, base, seed);
            const uint32_t nudge = input_nudge(kind, seed);
            if (dtype == TRIT_F32) {
                const uint32_t bits = input_bits(value) + nudge;
                memcpy(bytes, &bits, sizeof(bits));
                continue;
            }
            uint16_t half = dtype == TRIT_F16 ? f32_to_f16(value) : f32_to_bf16(value);
            const uint16_t infinity = dtype == TRIT_F16 ? 0x7c00 : 0x7f80;
            if (kind != INPUT_NON_FINITE && (half & 0x7fff) >= infinity)
                half = (uint16_t)((half & 0x8000) | (infinity - 1));
            half = (uint16_t)(half + nudge);
            memcpy(bytes, &half, sizeof(half));
        }
    }
}

struct guarded guarded_create(size_t count, size_t misalignment)
{
    CHECK(misalignment < EDGE_BYTES);
    struct guarded buffer = {aligned_alloc(64, (count + 3 * EDGE_BYTES + 63) / 64 * 64),
                             NULL, count};
    CHECK(buffer.block);
    memset(buffer.block, EDGE_VALUE, count + 3 * EDGE_BYTES);
    buffer.bytes = buffer.block + EDGE_BYTES + misalignment;
    return buffer;
}

void guarded_destroy(struct guarded *buffer)
{
    for (size_t i = 0; i < EDGE_BYTES; i++) {
        CHECK_EQ(buffer->bytes[-1 - (ptrdiff_t)i], EDGE_VALUE);
        CHECK_EQ(buffer->bytes[buffer->count + i], EDGE_VALUE);
    }
    free(buffer->block);
}
