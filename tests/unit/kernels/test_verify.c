/* SPDX-License-Identifier: Apache-2.0 */
/* What a verification says about claims whose truth is known. */
#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "tests/lib/check.h"
#include "tests/lib/kernel_inputs.h"

enum { LEN = 100 };

struct finding {
    struct ternary_counts counts;
    struct ternary_check check;
    float scales[4];
    uint8_t codes[4 * LEN];
    struct group_sums sums[4];
};

static struct finding find(struct verify_job job)
{
    struct finding found;
    memset(&found, 0, sizeof(found));
    ternary_counts_init(&found.counts);
    ternary_check_init(&found.check);
    job.scales = found.scales;
    job.codes = found.codes;
    job.sums = job.reference ? found.sums : NULL;
    verify(kernels_select(NULL), &job, &found.counts, &found.check);
    return found;
}

static struct verify_job dense(const float *in, size_t count, size_t len, float tolerance)
{
    return (struct verify_job){
        .encoding = TRIT_ENCODING_DENSE,
        .dtype = TRIT_F32,
        .count = count,
        .group_len = len,
        .tolerance = tolerance,
        .in = in,
        .reference_dtype = TRIT_F32,
        .divisor = len,
    };
}

CASE(ternary, "zeros and values of one magnitude are ternary, for any magnitude")
{
    float in[2 * LEN] = {0};
    for (size_t i = 0; i < LEN; i++)
        in[i] = i % 3 == 0 ? 0.0f : i % 3 == 1 ? 0.3f : -0.3f;
    const struct finding found = find(dense(in, 2, LEN, 0.0f));
    CHECK_EQ(found.check.valid, 2 * LEN);
    CHECK_EQ(found.check.sample_count, 0);
    CHECK(found.check.max_round_error == 0.0f);
    CHECK(found.scales[0] == 0.3f && found.scales[1] == 0.0f);
    CHECK_EQ(found.counts.positives, 33);
    CHECK_EQ(found.counts.negatives, 33);
    CHECK_EQ(found.counts.zeros, 2 * LEN - 66);
    CHECK_EQ(found.counts.zero_groups, 1);
    CHECK_EQ(found.codes[0], 1 | 2 << 2 | 0 << 4 | 1 << 6);
}

CASE(tolerance,
     "tolerance 0 needs equal magnitudes; a larger one is compared with the quotient")
{
    const float in[3] = {1.0f, -0x1.fffffep-1f, 0.75f};
    struct finding found = find(dense(in, 1, 3, 0.0f));
    CHECK_EQ(found.check.valid, 1);
    CHECK_EQ(found.check.sample_count, 2);
    CHECK(found.check.samples[0] == in[1] && found.check.samples[1] == in[2]);
    found = find(dense(in, 1, 3, 1e-5f));
    CHECK_EQ(found.check.valid, 2);
    CHECK(found.check.max_round_error == 0.25f);
    CHECK(found.check.samples[0] == 0.75f);
}

/* w/s underflows to 0, yet w is not 0. */
CASE(underflow, "a quotient that underflows is ternary only by tolerance")
{
    const float in[2] = {0x1p127f, 0x1p-149f};
    CHECK_EQ(find(dense(in, 1, 2, 0.0f)).check.valid, 1);
    CHECK_EQ(find(dense(in, 1, 2, 1e-5f)).check.valid, 2);
}

CASE(distinct_samples, "samples are the distinct invalid values in order of appearance")
{
    float in[LEN];
    for (size_t i = 0; i < LEN; i++)
        in[i] = i == 0 ? 1.0f : (float)(i % 12) / 16.0f;
    const struct finding found = find(dense(in, 1, LEN, 1e-5f));
    CHECK_EQ(found.check.sample_count, TRIT_SAMPLES_MAX);
    for (size_t i = 0; i < TRIT_SAMPLES_MAX; i++)
        CHECK(found.check.samples[i] == (float)(i + 1) / 16.0f);
}

CASE(non_finite,
     "NaN and infinities are invalid, and the rest of the group is still checked")
{
    float in[LEN];
    for (size_t i = 0; i < LEN; i++)
        in[i] = i % 2 ? 0.5f : -0.5f;
    in[70] = NAN;
    in[80] = INFINITY;
    const struct finding found = find(dense(in, 1, LEN, 1e-5f));
    CHECK_EQ(found.counts.non_finite, 2);
    CHECK_EQ(found.counts.first_non_finite, 70);
    CHECK_EQ(found.check.valid, LEN - 2);
    CHECK(found.scales[0] == 0.5f);
    CHECK_EQ(found.check.sample_count, 0);
}

CASE(mismatches, "a claim is compared with the projection of its latents by value")
{
    uint64_t seed = check_seed();
    float latents[2 * LEN], claim[2 * LEN], scales[2];
    input_fill(latents, TRIT_F32, INPUT_PLAIN, 2, LEN, &seed);
    struct ternary_counts counts;
    ternary_counts_init(&counts);
    const struct ternarize_job project = {
        .dtype = TRIT_F32,
        .count = 2,
        .group_len = LEN,
        .divisor = LEN,
        .in = latents,
        .encoding = TRIT_ENCODING_DENSE,
        .out = claim,
        .scales = scales,
    };
    ternarize(kernels_select(NULL), &project, &counts);
    struct verify_job job = dense(claim, 2, LEN, 0.0f);
    job.reference = latents;
    struct finding found = find(job);
    CHECK_EQ(found.check.mismatches, 0);
    CHECK_EQ(found.check.first_mismatch, UINT64_MAX);
    CHECK_EQ(found.counts.near_threshold, counts.near_threshold);
    for (size_t i = 0; i < 2 * LEN; i++) /* the sign of a zero is not a mismatch */
        if (claim[i] == 0.0f)
            claim[i] = -claim[i];
    claim[LEN + 3] = claim[LEN + 3] == 0.0f ? scales[1] : 0.0f;
    found = find(job);
    CHECK_EQ(found.check.mismatches, 1);
    CHECK_EQ(found.check.first_mismatch, LEN + 3);
    latents[5] = NAN; /* a projection of NaN is nothing to be like */
    CHECK_EQ(find(job).check.mismatches, LEN + 1);
}

CASE(int8_claim, "int8 codes outside of -1..1 are invalid")
{
    const int8_t in[5] = {-1, 0, 1, 2, -128};
    const float scale = 0.5f;
    struct verify_job job = dense(NULL, 1, 5, 0.0f);
    job.encoding = TRIT_ENCODING_INT8;
    job.in = in;
    job.in_scales = &scale;
    const struct finding found = find(job);
    CHECK_EQ(found.check.valid, 3);
    CHECK(found.check.samples[0] == 2.0f && found.check.samples[1] == -128.0f);
    CHECK(found.check.max_round_error == 127.0f);
    CHECK_EQ(found.counts.positives, 2);
    CHECK_EQ(found.counts.negatives, 2);
}

CASE(code_three, "code 3 means +2: Verify reports a violation, Unpack refuses it")
{
    uint8_t block[34] = {0x00, 0x38}; /* d = 0.5 */
    memset(block + 2, 0x55, 32);      /* zeros */
    block[2 + 9] = 0x55 | 3 << 4;     /* element 38 is +2 */
    struct verify_job job = dense(NULL, 1, 128, 0.0f);
    job.encoding = TRIT_ENCODING_PQ2_0;
    job.in = block;
    const struct finding found = find(job);
    CHECK_EQ(found.check.valid, 127);
    CHECK(found.check.samples[0] == 2.0f && found.scales[0] == 0.5f);
    float out[128];
    const struct unpack_job dense_job = {
        .encoding = TRIT_ENCODING_PQ2_0,
        .dtype = TRIT_F32,
        .count = 1,
        .group_len = 128,
        .in = block,
        .out = out,
    };
    struct unpack_refusal refused;
    CHECK_EQ(unpack(kernels_select(NULL), &dense_job, &refused), -1);
    CHECK_EQ(refused.element, 38);
    CHECK_EQ(refused.fault, UNPACK_CODE);
}

CASE(stored_scale_not_finite,
     "a stored scale that is not finite makes its whole group invalid")
{
    uint8_t blocks[2 * 34];
    memset(blocks, 0x55, sizeof(blocks));
    blocks[34] = 0x00; /* the second block's d is infinite */
    blocks[35] = 0x7c;
    struct verify_job job = dense(NULL, 2, 128, 0.0f);
    job.encoding = TRIT_ENCODING_PQ2_0;
    job.in = blocks;
    const struct finding found = find(job);
    CHECK_EQ(found.counts.non_finite, 128);
    CHECK_EQ(found.counts.first_non_finite, 128);
    CHECK_EQ(found.check.valid, 128);
}

/* What the definition says of one group of f32, by division in plain C. */
struct truth {
    uint64_t valid, invalid, first_invalid, non_finite, odd;
    uint32_t trits;
};

static struct truth truth_of(const float *in, size_t len, float tolerance)
{
    struct truth truth = {.first_invalid = UINT64_MAX};
    float s = 0;

    for (size_t i = 0; i < len; i++)
        if (isfinite(in[i]) && fabsf(in[i]) > s)
            s = fabsf(in[i]);
    for (size_t i = 0; i < len; i++) {
        const float a = fabsf(in[i]);
        const bool exact = isfinite(in[i]) && (a == 0 || a == s);
        const float error = s > 0 ? fabsf(a / s - (a + a > s ? 1.0f : 0.0f)) : 0;

        truth.odd += !exact;
        if (!isfinite(in[i])) {
            truth.non_finite++;
        } else if (exact || (tolerance > 0 && error <= tolerance)) {
            truth.valid++;
        } else if (truth.invalid++ == 0) {
            truth.first_invalid = i;
        }
        if (exact)
            truth.trits |= a == 0 ? 2u : in[i] < 0 ? 1u : 4u;
    }
    return truth;
}

static float any_value(uint64_t *seed)
{
    static const float values[] = {0,    1,     -1,    -0.0f,    0.999999f, -0.999999f,
                                   0.9f, -0.7f, 1e-6f, INFINITY, NAN,       1};
    const uint64_t random = check_random(seed);

    /* Mostly exact ones, so that exact groups occur. */
    return random % 8 < 7 ? values[random / 8 % 4] : values[random / 8 % 12];
}

CASE(by_definition, "counts, trits and exactness equal those of the definition")
{
    uint64_t seed = check_seed();

    for (int round = 0; round < 4000; round++) {
        const size_t len = 1 + check_random(&seed) % (2 * LEN);
        const float tolerance = check_random(&seed) % 2 ? 1e-5f : 0.0f;
        float in[2 * LEN];
        uint8_t inexact = 7;
        struct verify_job job = dense(in, 1, len, tolerance);

        for (size_t i = 0; i < len; i++)
            in[i] = any_value(&seed);
        job.inexact = &inexact;
        const struct truth truth = truth_of(in, len, tolerance);
        const struct finding found = find(job);
        CHECK_EQ(found.check.valid, truth.valid);
        CHECK_EQ(found.check.invalid.count, truth.invalid);
        CHECK_EQ(found.check.invalid.first, truth.first_invalid);
        CHECK_EQ(found.counts.non_finite, truth.non_finite);
        CHECK_EQ(found.check.trits_seen, truth.trits);
        CHECK_EQ(inexact, truth.odd > 0);
    }
}

/* Some groups in blocks of PQ2_0, with what verification has to say about them. */
enum { PACKED_GROUPS = 40, PACKED_BLOCK = 34, PACKED_LEN = 128 };

struct packed_truth {
    uint64_t signs[3], valid, code_threes, zero_groups, bad[3]; /* NaN, negative, zero */
    uint32_t trits;
};

static uint16_t any_scale(uint64_t *seed)
{
    static const uint16_t odd[] = {0x0000, 0x8000, 0xb800, 0x7e01, 0x7c00, 0x0001};
    const uint64_t random = check_random(seed);

    return random % 12 ? (uint16_t)(0x3000 + random / 12 % 0x1000)
                       : odd[random / 12 % (sizeof(odd) / sizeof(odd[0]))];
}

/* Mostly codes of -1, 0 and +1; sometimes none but 0, and sometimes a code 3. */
static void fill_block(uint8_t block[PACKED_BLOCK], uint64_t *seed)
{
    const bool zeros = check_random(seed) % 6 == 0, odd = check_random(seed) % 20 == 0;
    const uint16_t scale = any_scale(seed);

    memset(block, 0, PACKED_BLOCK);
    memcpy(block, &scale, sizeof(scale));
    for (unsigned i = 0; i < PACKED_LEN; i++) {
        const unsigned code = zeros ? 1 : (unsigned)(check_random(seed) % 3);

        block[2 + i / 4] |= (uint8_t)(code << 2 * (i % 4));
    }
    if (odd)
        block[2 + check_random(seed) % 32] |= 0xc;
}

static void add_truth(struct packed_truth *truth, const uint8_t block[PACKED_BLOCK],
                      uint8_t *inexact)
{
    uint64_t codes[4] = {0};
    uint16_t bits;

    memcpy(&bits, block, sizeof(bits));
    const float scale = f16_to_f32(bits);
    for (unsigned i = 0; i < PACKED_LEN; i++)
        codes[block[2 + i / 4] >> 2 * (i % 4) & 3]++;
    const bool tainted = !isfinite(scale), negative = scale < 0,
               zero = scale == 0 && codes[1] < PACKED_LEN;
    truth->signs[0] += codes[0];
    truth->signs[1] += codes[1];
    truth->signs[2] += codes[2] + codes[3];
    truth->code_threes += tainted ? 0 : codes[3];
    truth->valid += tainted ? 0 : PACKED_LEN - codes[3];
    truth->zero_groups += !tainted && (scale == 0 || codes[1] == PACKED_LEN);
    truth->bad[0] += tainted;
    truth->bad[1] += negative;
    truth->bad[2] += zero;
    for (unsigned i = 0; i < 3 && !tainted; i++)
        truth->trits |= codes[i] ? 1u << i : 0;
    *inexact = tainted || negative || zero || codes[3];
}

static void verify_blocks(const struct kernels *table, size_t count,
                          const uint8_t in[][PACKED_BLOCK],
                          const struct packed_truth *truth, const uint8_t *want)
{
    uint8_t codes[PACKED_GROUPS][PACKED_LEN / 4], inexact[PACKED_GROUPS];
    float scales[PACKED_GROUPS];
    struct ternary_counts counts;
    struct ternary_check check;
    const struct verify_job job = {.encoding = TRIT_ENCODING_PQ2_0,
                                   .count = count,
                                   .group_len = PACKED_LEN,
                                   .in = in,
                                   .divisor = PACKED_LEN,
                                   .scales = scales,
                                   .codes = codes[0],
                                   .inexact = inexact};

    ternary_counts_init(&counts);
    ternary_check_init(&check);
    verify(table, &job, &counts, &check);
    CHECK_EQ(counts.negatives, truth->signs[0]);
    CHECK_EQ(counts.zeros, truth->signs[1]);
    CHECK_EQ(counts.positives, truth->signs[2]);
    CHECK_EQ(counts.zero_groups, truth->zero_groups);
    CHECK_EQ(check.valid, truth->valid);
    CHECK_EQ(check.invalid.count, truth->code_threes);
    CHECK_EQ(check.scales_non_finite.count, truth->bad[0]);
    CHECK_EQ(check.scales_negative.count, truth->bad[1]);
    CHECK_EQ(check.scales_zero.count, truth->bad[2]);
    CHECK_EQ(check.trits_seen, truth->trits);
    CHECK_MEM(inexact, want, count);
    for (size_t g = 0; g < count; g++) {
        uint16_t bits;

        memcpy(&bits, in[g], sizeof(bits));
        CHECK(isnan(scales[g]) || scales[g] == f16_to_f32(bits));
        if (!want[g])
            CHECK_MEM(codes[g], in[g] + 2, sizeof(codes[g]));
    }
}

CASE(packed_by_definition,
     "of packed groups, counts, codes and exactness are those of each code and scale")
{
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t table_count = kernels_available(tables);
    uint64_t seed = check_seed();

    for (int round = 0; round < 200; round++) {
        const size_t count = 1 + check_random(&seed) % PACKED_GROUPS;
        uint8_t in[PACKED_GROUPS][PACKED_BLOCK], want[PACKED_GROUPS];
        struct packed_truth truth = {.trits = 0};

        for (size_t g = 0; g < count; g++) {
            fill_block(in[g], &seed);
            add_truth(&truth, in[g], &want[g]);
        }
        for (size_t i = 0; i < table_count; i++)
            verify_blocks(tables[i], count, (const uint8_t(*)[PACKED_BLOCK])in, &truth,
                          want);
    }
}

/* Scales of int8 codes that are negative, not finite, or 0 with codes that are not. */
CASE(stored_scales, "bad stored scales are found, and their groups do not count as exact")
{
    static const float scales[] = {0.5f, -0.5f, 0, NAN, 0};
    const int8_t codes[5 * 4] = {1, 0, -1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 1, 1, 1, 1};
    uint8_t inexact[5];
    struct verify_job job = {.encoding = TRIT_ENCODING_INT8,
                             .count = 4,
                             .group_len = 4,
                             .in = codes,
                             .in_scales = scales,
                             .divisor = 4,
                             .inexact = inexact};
    const struct finding found = find(job);

    CHECK_EQ(found.check.scales_negative.count, 1);
    CHECK_EQ(found.check.scales_negative.first, 1);
    CHECK(found.check.first_negative_scale == -0.5f);
    CHECK_EQ(found.check.scales_zero.count, 1);
    CHECK_EQ(found.check.scales_zero.first, 2);
    CHECK_EQ(found.check.scales_non_finite.count, 1);
    CHECK_EQ(found.check.scales_non_finite.first, 3);
    CHECK_EQ(inexact[0] | inexact[1] << 1 | inexact[2] << 2 | inexact[3] << 3, 0xe);
}

/* The reference's scales are rounded to the type that holds the claim's. */
CASE(reference_scales,
     "scales of the reference are rounded to the type of the claim's scales")
{
    float latents[4] = {0.3f, -0.2f, 0.1f, 0.0f}; /* mean 0.15 */
    const int8_t codes[4] = {1, -1, 1, 0};
    const float exact = 0.15f, f16 = f16_to_f32(f32_to_f16(exact)),
                bf16 = bf16_to_f32(f32_to_bf16(exact));
    struct verify_job job = {.encoding = TRIT_ENCODING_INT8,
                             .count = 1,
                             .group_len = 4,
                             .in = codes,
                             .reference = latents,
                             .reference_dtype = TRIT_F32,
                             .divisor = 4};

    job.in_scales = &exact;
    CHECK_EQ(find(job).check.mismatches, 0);
    job.in_scales = &f16;
    CHECK_EQ(find(job).check.mismatches, 3);
    CHECK_EQ(find(job).check.scale_mismatches.count, 1);
    CHECK_EQ(find(job).check.code_mismatches.count, 0);
    job.scales_dtype = TRIT_F16;
    CHECK_EQ(find(job).check.mismatches, 0);
    job.scales_dtype = TRIT_BF16;
    CHECK_EQ(find(job).check.mismatches, 3);
    job.in_scales = &bf16;
    CHECK_EQ(find(job).check.mismatches, 0);
    for (size_t i = 0; i < 4; i++)
        latents[i] *= 1e-10f; /* f16 loses this scale */
    job.scales_dtype = TRIT_F16;
    job.in_scales = (const float[]){0};
    CHECK_EQ(find(job).check.reference_lost.count, 1);
    CHECK_EQ(find(job).check.mismatches, 3);
}

CASE(merging, "findings of several runs are merged with their offsets")
{
    struct ternary_check all, more;
    struct ternary_counts counts, part;
    ternary_check_init(&all);
    ternary_check_init(&more);
    ternary_counts_init(&counts);
    ternary_counts_init(&part);
    part.non_finite = 1;
    part.first_non_finite = 4;
    part.scales_lost = 1;
    part.first_scale_lost = 0;
    more.mismatches = 2;
    more.first_mismatch = 7;
    more.sample_count = 2;
    more.samples[0] = 0.5f;
    more.samples[1] = 0.25f;
    ternary_counts_add(&counts, &part, 100, 3);
    ternary_counts_add(&counts, &part, 200, 6);
    ternary_check_add(&all, &more, 100, 10);
    ternary_check_add(&all, &more, 50, 5);
    CHECK_EQ(counts.first_non_finite, 104);
    CHECK_EQ(counts.first_scale_lost, 3);
    CHECK_EQ(counts.non_finite, 2);
    CHECK_EQ(all.first_mismatch, 57);
    CHECK_EQ(all.sample_count, 2);
    CHECK_EQ(all.mismatches, 4);
}
