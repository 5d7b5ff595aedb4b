/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/lanes.h"

#include <math.h>
#include <string.h>

/* Below this part of the energy the error is summed directly; see NUMERICS.md. */
#define ERROR_LEAST 0x1p-10

/* Widens up to GROUP_LANES elements; the others are 0. */
static void widen(double to[GROUP_LANES], enum trit_dtype dtype, const uint8_t *in,
                  size_t count)
{
    float f32[GROUP_LANES] = {0};
    uint16_t bits[GROUP_LANES] = {0};

    if (dtype == TRIT_F32)
        memcpy(f32, in, count * sizeof(f32[0]));
    else
        memcpy(bits, in, count * sizeof(bits[0]));
    if (dtype == TRIT_BF16) {
        for (size_t j = 0; j < GROUP_LANES; j++) {
            const uint32_t wide = (uint32_t)bits[j] << 16;

            memcpy(&f32[j], &wide, sizeof(wide));
        }
    } else if (dtype == TRIT_F16) {
        for (size_t j = 0; j < count; j++)
            f32[j] = f16_to_f32(bits[j]);
    }
    for (size_t j = 0; j < GROUP_LANES; j++)
        to[j] = (double)f32[j];
}

/* The canonical tree: +8, +4, +2, +1. */
static double total(const double lanes[GROUP_LANES])
{
    double sum[GROUP_LANES];

    memcpy(sum, lanes, sizeof(sum));
    for (size_t half = GROUP_LANES / 2; half > 0; half /= 2)
        for (size_t j = 0; j < half; j++)
            sum[j] += sum[j + half];
    return sum[0];
}

void magnitude_lanes_add(struct magnitude_lanes *lanes, enum trit_dtype dtype,
                         const void *in, size_t count)
{
    const size_t width = dtype_bytes(dtype);
    const uint8_t *from = in;
    double sum[GROUP_LANES], w[GROUP_LANES];

    memcpy(sum, lanes->sum, sizeof(sum));
    for (size_t i = 0; i < count; i += GROUP_LANES) {
        widen(w, dtype, from + i * width,
              count - i < GROUP_LANES ? count - i : GROUP_LANES);
        for (size_t j = 0; j < GROUP_LANES; j++)
            sum[j] += fabs(w[j]);
    }
    memcpy(lanes->sum, sum, sizeof(sum));
}

float magnitude_lanes_mean(const struct magnitude_lanes *lanes, uint64_t divisor)
{
    const double sum = total(lanes->sum);

    return sum < INFINITY ? (float)(sum / (double)divisor) : INFINITY;
}

/* |w| exceeds this exactly if |w| + |w| > s and s > 0. */
static double half_of(float s)
{
    return s > 0 ? (double)s / 2 : INFINITY;
}

void sum_lanes_project(struct sum_lanes *lanes, enum trit_dtype dtype, const void *in,
                       size_t count, float s)
{
    const size_t width = dtype_bytes(dtype);
    const double bar = half_of(s), scale = (double)s;
    const uint8_t *from = in;
    struct sum_lanes sums = *lanes;
    double w[GROUP_LANES];

    for (size_t i = 0; i < count; i += GROUP_LANES) {
        widen(w, dtype, from + i * width,
              count - i < GROUP_LANES ? count - i : GROUP_LANES);
        for (size_t j = 0; j < GROUP_LANES; j++) {
            const double a = fabs(w[j]);
            const bool beyond = a > bar;
            const double off = a - (beyond ? scale : 0.0);

            sums.energy[j] += a * a;
            sums.dot[j] += beyond ? a : 0.0;
            sums.error[j] += off * off;
            sums.beyond += beyond;
        }
    }
    *lanes = sums;
}

struct group_sums sum_lanes_projected(const struct sum_lanes *lanes, float s)
{
    const double scale = (double)s;
    struct group_sums sums = {
        .energy = total(lanes->energy),
        .dot = total(lanes->dot) * scale,
        .norm = (double)lanes->beyond * (scale * scale),
    };

    sums.error = sums.energy - (sums.dot + sums.dot) + sums.norm;
    if (sums.energy != 0.0 && !(sums.error > sums.energy * ERROR_LEAST))
        sums.error = total(lanes->error);
    return sums;
}

void sum_lanes_claim(struct sum_lanes *lanes, enum trit_dtype dtype, const void *in,
                     const int8_t *t, size_t count, float s)
{
    const size_t width = dtype_bytes(dtype);
    const uint8_t *from = in;
    struct sum_lanes sums = *lanes;
    double w[GROUP_LANES];

    for (size_t i = 0; i < count; i += GROUP_LANES) {
        const size_t some = count - i < GROUP_LANES ? count - i : GROUP_LANES;

        widen(w, dtype, from + i * width, some);
        for (size_t j = 0; j < some; j++) {
            const double v = (double)((float)t[i + j] * s), off = w[j] - v;

            sums.energy[j] += w[j] * w[j];
            sums.error[j] += off * off;
            sums.dot[j] += w[j] * v;
            sums.norm[j] += v * v;
        }
    }
    *lanes = sums;
}

struct group_sums sum_lanes_claimed(const struct sum_lanes *lanes)
{
    return (struct group_sums){total(lanes->energy), total(lanes->error),
                               total(lanes->dot), total(lanes->norm)};
}
