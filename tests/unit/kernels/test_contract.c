/* SPDX-License-Identifier: Apache-2.0 */
/* The numeric contract, against a second writing of it with true division, rounding
 * and clipping, element by element. */
#include <math.h>

#include "kernels/kernels.h"
#include "tests/lib/check.h"
#include "tests/lib/kernel_inputs.h"

enum { LEN = 200, GROUPS = 40 };

static float scale_by_definition(const float *w, size_t len, size_t divisor)
{
    double lanes[16] = {0};
    for (size_t i = 0; i < len; i++)
        lanes[i % 16] += fabs((double)w[i]);
    for (size_t width = 8; width >= 1; width /= 2)
        for (size_t i = 0; i < width; i++)
            lanes[i] += lanes[i + width];
    return (float)(lanes[0] / (double)divisor);
}

static float trit_by_definition(float w, float s)
{
    const float t = rintf(w / (s == 0.0f ? 1.0f : s));
    return t > 1.0f ? 1.0f : t < -1.0f ? -1.0f : t;
}

static struct ternarize_job job_for(const float *in, size_t len, size_t divisor,
                                    float *out, float *scales)
{
    return (struct ternarize_job){
        .dtype = TRIT_F32,
        .count = 1,
        .group_len = len,
        .divisor = divisor,
        .in = in,
        .encoding = TRIT_ENCODING_DENSE,
        .out = out,
        .scales = scales,
    };
}

CASE(by_definition,
     "scales and elements equal the definition: divide, round to even, clip, multiply")
{
    uint64_t seed = check_seed();
    const struct kernels *kernels = kernels_select(NULL);
    for (unsigned kind = 0; kind < INPUT_NON_FINITE; kind++)
        for (int g = 0; g < GROUPS; g++) {
            const size_t len = 1 + check_random(&seed) % LEN;
            const size_t divisor = len + check_random(&seed) % 2 * (LEN - len);
            float in[LEN], out[LEN], scale;
            input_fill(in, TRIT_F32, kind, 1, len, &seed);
            uint64_t near = 0, positives = 0;
            struct ternary_counts counts;
            ternary_counts_init(&counts);
            const struct ternarize_job job = job_for(in, len, divisor, out, &scale);
            ternarize(kernels, &job, &counts);
            const float s = scale_by_definition(in, len, divisor);
            CHECK_EQ(input_bits(scale), input_bits(s));
            for (size_t i = 0; i < len; i++) {
                const float t = trit_by_definition(in[i], s);
                CHECK_EQ(input_bits(out[i]), input_bits(t * s));
                positives += t > 0;
                near += s > 0 && fabs((double)in[i]) >= 0.475 * (double)s &&
                        fabs((double)in[i]) <= 0.525 * (double)s;
            }
            CHECK_EQ(counts.positives, positives);
            CHECK_EQ(counts.near_threshold, near);
            CHECK_EQ(counts.negatives + counts.zeros + counts.positives, len);
        }
}

/* The weight is exactly half of the scale, but its product with the rounded
 * reciprocal lies above one half. */
CASE(reciprocal_is_wrong,
     "multiplying by the reciprocal rounds some weight differently from the division")
{
    uint32_t wrong = 0;
    for (uint32_t mantissa = 1; mantissa < 1u << 23; mantissa += 997) {
        const float s = input_float(0x3f800000u | mantissa);
        const float above = input_float(input_bits(s / 2) + 1), reciprocal = 1.0f / s;
        wrong += rintf(s / 2 * reciprocal) != 0.0f || rintf(above * reciprocal) != 1.0f;
        CHECK(rintf(s / 2 / s) == 0.0f && rintf(above / s) == 1.0f);
    }
    CHECK(wrong > 0);
    const float s = 0x1.000006p+0f, w = input_float(input_bits(s / 2) + 1);
    CHECK(w + w > s && rintf(w / s) == 1.0f);
}

CASE(doubling_is_division,
     "w over s rounds away from 0 exactly if 2w exceeds s, for every scale s")
{
    uint64_t seed = check_seed();
    for (int i = 0; i < 2000000; i++) {
        const uint64_t r = check_random(&seed);
        const uint32_t bits = (uint32_t)r % 0x7f800000u;
        const float s = input_float(bits ? bits : 1);
        const uint32_t half = input_bits(s / 2) + (uint32_t)(r >> 32) % 7;
        const float w = input_float(half >= 3 ? half - 3 : 0);
        CHECK_EQ(rintf(w / s) >= 1.0f, w + w > s);
    }
}

/* A subnormal scale whose half is no f32: rounding that half would move a tie. */
CASE(odd_subnormal_scale,
     "an odd subnormal scale has ties at the same weights as the division")
{
    const float in[3] = {0x1p-149f, -0x1p-149f, 0x7p-149f}; /* s = 3 units */
    float out[3], scale;
    struct ternary_counts counts;
    ternary_counts_init(&counts);
    const struct ternarize_job job = job_for(in, 3, 3, out, &scale);
    ternarize(kernels_select(NULL), &job, &counts);
    CHECK(scale == 0x3p-149f);
    CHECK_EQ(input_bits(out[0]), 0);
    CHECK_EQ(input_bits(out[1]), 0x80000000u);
    CHECK(out[2] == scale);
}

CASE(vanishing_scale,
     "a group whose mean rounds to 0 becomes zeros that keep their signs")
{
    float in[128] = {0x1p-149f, -0x1p-149f}, out[128], scale;
    struct ternary_counts counts;
    ternary_counts_init(&counts);
    const struct ternarize_job job = job_for(in, 128, 128, out, &scale);
    ternarize(kernels_select(NULL), &job, &counts);
    CHECK(scale == 0.0f);
    CHECK_EQ(counts.zeros, 128);
    CHECK_EQ(counts.zero_groups, 0);
    CHECK_EQ(counts.near_threshold, 0);
    CHECK_EQ(input_bits(out[1]), 0x80000000u);
}

CASE(one_magnitude,
     "16-bit output rounds the scale once, so that a group has one magnitude")
{
    uint64_t seed = check_seed();
    for (int dtype = TRIT_F16; dtype <= TRIT_BF16; dtype++) {
        uint16_t in[128], out[128];
        float scale;
        input_fill(in, (enum trit_dtype)dtype, INPUT_PLAIN, 1, 128, &seed);
        struct ternary_counts counts;
        ternary_counts_init(&counts);
        struct ternarize_job job = job_for(NULL, 128, 128, NULL, &scale);
        job.dtype = (enum trit_dtype)dtype;
        job.in = in;
        job.out = out;
        ternarize(kernels_select(NULL), &job, &counts);
        const uint16_t s = dtype == TRIT_F16 ? f32_to_f16(scale) : f32_to_bf16(scale);
        for (size_t i = 0; i < 128; i++) {
            const float w = dtype == TRIT_F16 ? f16_to_f32(in[i]) : bf16_to_f32(in[i]);
            const bool large = fabsf(w) + fabsf(w) > scale;
            CHECK_EQ(out[i], (large ? s : 0) | (in[i] & 0x8000));
        }
    }
}

CASE(non_finite, "NaN and infinities are counted and the first is named")
{
    float in[3 * LEN], out[3 * LEN], scales[3];
    for (size_t i = 0; i < 3 * LEN; i++)
        in[i] = 1.0f;
    in[LEN + 7] = NAN;
    in[LEN + 9] = -INFINITY;
    in[2 * LEN + 199] = INFINITY;
    struct ternary_counts counts;
    ternary_counts_init(&counts);
    struct ternarize_job job = job_for(in, LEN, LEN, out, scales);
    job.count = 3;
    ternarize(kernels_select(NULL), &job, &counts);
    CHECK_EQ(counts.non_finite, 3);
    CHECK_EQ(counts.first_non_finite, LEN + 7);
}

CASE(lost_scales, "scales that f16 rounds, flushes to 0 or overflows are counted")
{
    const float in[4] = {70000.0f, 1.0f, 0x1p-26f, 1.0f / 3.0f};
    float out[4], scales[4];
    struct ternary_counts counts;
    ternary_counts_init(&counts);
    struct ternarize_job job = job_for(in, 1, 1, out, scales);
    job.count = 4;
    ternarize(kernels_select(NULL), &job, &counts);
    CHECK_EQ(counts.scales_lossy_fp16, 3);
    CHECK_EQ(counts.scales_lost, 2);
    CHECK_EQ(counts.first_scale_lost, 0);
}

/* Compares the sums of a report with the definition. Returns the largest relative
 * error of `error`. */
static double expect_sums(const float in[LEN])
{
    float out[LEN], scale;
    struct group_sums sums;
    struct ternary_counts counts;
    ternary_counts_init(&counts);
    struct ternarize_job job = job_for(in, LEN, LEN, out, &scale);
    job.sums = &sums;
    ternarize(kernels_select(NULL), &job, &counts);
    double energy = 0, error = 0, dot = 0, norm = 0;
    for (size_t i = 0; i < LEN; i++) {
        const double w = (double)in[i], v = (double)out[i];
        energy += w * w;
        error += (w - v) * (w - v);
        dot += w * v;
        norm += v * v;
    }
    CHECK(fabs(sums.energy - energy) <= 1e-12 * energy);
    CHECK(fabs(sums.error - error) <= 1e-12 * energy);
    CHECK(fabs(sums.dot - dot) <= 1e-12 * energy);
    CHECK(fabs(sums.norm - norm) <= 1e-12 * energy);
    return fabs(sums.error - error) / error;
}

CASE(sums, "the report's sums equal those of the definition")
{
    uint64_t seed = check_seed();
    float in[LEN];
    input_fill(in, TRIT_F32, INPUT_PLAIN, 1, LEN, &seed);
    CHECK(expect_sums(in) <= 1e-11);
}

CASE(small_error, "an error that is small relative to its weights is computed accurately")
{
    uint64_t seed = check_seed();
    for (int exponent = -1; exponent >= -20; exponent--) {
        float in[LEN];
        for (size_t i = 0; i < LEN; i++) {
            const float u = input_uniform(&seed);
            in[i] = (i % 2 ? 1.0f : -1.0f) + ldexpf(u, exponent);
        }
        CHECK(expect_sums(in) <= 1e-11);
    }
}
