/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/decode.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "kernels/half.h"
#include "kernels/interleave.h"

float float_at(enum trit_dtype dtype, const void *array, uint64_t index)
{
    uint16_t half;
    float value;

    if (dtype == TRIT_F32) {
        memcpy(&value, (const char *)array + 4 * index, sizeof(value));
        return value;
    }
    memcpy(&half, (const char *)array + 2 * index, sizeof(half));
    return dtype == TRIT_F16 ? f16_to_f32(half) : bf16_to_f32(half);
}

enum trit_dtype matrix_held_type(const struct encoded_matrix *matrix)
{
    if (matrix->terms.encoding == TRIT_ENCODING_DENSE)
        return matrix->dtype;
    if (encoding_layout(matrix->terms.encoding)->tail_bytes)
        return TRIT_F32;
    return matrix->scales ? matrix->scales_dtype : TRIT_F16; /* packed in blocks */
}

/* t*s is NaN where t is 0 and s is NaN or infinite; unpack gives 0. */
static void spoil_zeros(float scale, float *values, uint64_t count)
{
    if (isfinite(scale))
        return;
    for (uint64_t i = 0; i < count; i++)
        if (values[i] == 0)
            values[i] = NAN;
}

/* The scales of a group that are in its blocks. */
static void spoil_blocks(const struct encoding_layout *layout, const char *data,
                         float *values, uint64_t count)
{
    uint16_t scale;

    for (uint64_t at = 0; at < count; at += layout->block_elements) {
        memcpy(&scale, data + layout->scale_at, sizeof(scale));
        spoil_zeros(f16_to_f32(scale), values + at, layout->block_elements);
        data += layout->block_bytes;
    }
}

static bool decode_row(const struct kernels *kernels, const struct encoded_matrix *matrix,
                       uint64_t row, float *values)
{
    const struct encoding_layout *layout = encoding_layout(matrix->terms.encoding);
    const uint64_t columns = matrix->columns;
    const uint64_t size = matrix->terms.group_size ? matrix->terms.group_size : columns;
    const uint64_t groups = div_up(columns, size);
    const uint64_t row_bytes = columns / layout->block_elements * layout->block_bytes;
    const char *data = (const char *)matrix->data + row * row_bytes;
    float scale;
    struct unpack_refusal refused;

    for (uint64_t group = 0; group < groups; group++) {
        const uint64_t at = group * size, left = columns - at;
        struct unpack_job job = {
            .encoding = matrix->terms.encoding,
            .dtype = TRIT_F32,
            .count = 1,
            .group_len = (size_t)(left < size ? left : size),
            .in = data + at / layout->block_elements * layout->block_bytes,
            .out = values + at,
            .keeps_non_finite = true,
        };

        if (matrix->scales) {
            scale = float_at(matrix->scales_dtype, matrix->scales, row * groups + group);
            job.in_scales = &scale;
        }
        if (unpack(kernels, &job, &refused) < 0)
            return false;
        if (matrix->scales)
            spoil_zeros(scale, values + at, job.group_len);
        else if (layout->scales == SCALES_IN_BLOCK)
            spoil_blocks(layout, job.in, values + at, job.group_len);
    }
    return true;
}

/* A byte holds four rows that are `rows / 4` apart, two bits each from the lowest on. */
static bool decode_interleaved(const struct encoded_matrix *matrix, uint64_t row,
                               float *values)
{
    const uint64_t apart = matrix->rows / INTERLEAVED;
    const uint8_t *bytes = (const uint8_t *)matrix->data + row % apart * matrix->columns;
    const float scale = float_at(matrix->scales_dtype, matrix->scales, 0);
    bool legal = true;

    for (uint64_t i = 0; i < matrix->columns; i++) {
        const int code = bytes[i] >> 2 * (row / apart) & 3;

        legal &= code != 3;
        values[i] = (float)(code - 1) * scale;
    }
    return legal;
}

/* Codes of the flattened tensor in planes of 32, highest bits first; the scale follows all
 * codes. Rows are whole blocks. */
static bool decode_planes(const struct encoded_matrix *matrix, uint64_t row,
                          float *values)
{
    enum { PLANE = 32, BLOCK = 128 };
    const uint64_t row_bytes = matrix->columns / 4;
    const uint8_t *data = matrix->data, *bytes = data + row * row_bytes;
    const float scale = float_at(TRIT_F32, data + matrix->rows * row_bytes, 0);
    bool legal = true;

    for (uint64_t i = 0; i < matrix->columns; i++) {
        const uint64_t shift = 6 - 2 * (i % BLOCK / PLANE);
        const int code = bytes[PLANE * (i / BLOCK) + i % PLANE] >> shift & 3;

        legal &= code != 3;
        values[i] = (float)(code - 1) * scale;
    }
    return legal;
}

/* One loop a type, which compilers vectorize. */
static void decode_dense(const struct encoded_matrix *matrix, uint64_t from,
                         uint64_t count, float *values)
{
    const uint16_t *halves = matrix->data;

    switch (matrix->dtype) {
    case TRIT_BF16:
        for (uint64_t i = 0; i < count; i++)
            values[i] = bf16_widen(halves[from + i]);
        break;
    case TRIT_F16:
        for (uint64_t i = 0; i < count; i++)
            values[i] = f16_widen(halves[from + i]);
        break;
    default:
        memcpy(values, (const float *)matrix->data + from, count * sizeof(*values));
        break;
    }
}

bool matrix_decode(const struct kernels *kernels, const struct encoded_matrix *matrix,
                   uint64_t first, uint64_t count, float *values)
{
    const struct encoding_layout *layout = encoding_layout(matrix->terms.encoding);
    bool legal = true;

    if (matrix->terms.encoding == TRIT_ENCODING_DENSE) {
        decode_dense(matrix, first * matrix->columns, count * matrix->columns, values);
        return true;
    }
    for (uint64_t row = first; row < first + count; row++, values += matrix->columns)
        if (layout->interleaved)
            legal &= decode_interleaved(matrix, row, values);
        else if (layout->tail_bytes)
            legal &= decode_planes(matrix, row, values);
        else
            legal &= decode_row(kernels, matrix, row, values);
    return legal;
}

bool floats_fit(enum trit_dtype from, const void *array, enum trit_dtype to,
                uint64_t count)
{
    float fitting = 0; /* a magnitude that fits; ternary values have few */

    for (uint64_t i = 0; i < count; i++) {
        const float value = fabsf(float_at(from, array, i));

        if (value == 0 || value == fitting || value != value)
            continue;
        if (f32_rounded_to(to, value) != value)
            return false;
        fitting = value;
    }
    return true;
}

bool floats_are_finite(enum trit_dtype dtype, const void *array, uint64_t count,
                       uint64_t *bad)
{
    for (uint64_t i = 0; i < count; i++)
        if (!isfinite(float_at(dtype, array, i))) {
            *bad = i;
            return false;
        }
    return true;
}

int refuse_non_finite(enum trit_dtype dtype, const void *array, uint64_t bad,
                      uint64_t first, uint64_t columns, struct failure *failure)
{
    return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                "element %" PRIu64 " (row %" PRIu64 ") is %g", first * columns + bad,
                first + bad / columns, (double)float_at(dtype, array, bad));
}

bool floats_convert(enum trit_dtype from, const void *array, enum trit_dtype to,
                    void *out, uint64_t count, uint64_t *bad)
{
    for (uint64_t i = 0; i < count; i++) {
        const float value = float_at(from, array, i);
        const uint16_t half = to == TRIT_F16 ? f32_to_f16(value) : f32_to_bf16(value);

        if (to == TRIT_F32)
            memcpy((char *)out + 4 * i, &value, sizeof(value));
        else
            memcpy((char *)out + 2 * i, &half, sizeof(half));
        if (scale_lost(to, fabsf(value))) {
            *bad = i;
            return false;
        }
    }
    return true;
}
