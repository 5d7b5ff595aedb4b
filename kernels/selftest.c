/* SPDX-License-Identifier: Apache-2.0 */
/* Known-answer test: a fixed input through every operation of a table, the results
 * folded into one CRC that the portable table defined. */
#include <stdio.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/ternary/table.h"

enum {
    GROUPS = 8,
    GROUP_LEN = 128,
    ELEMENTS = GROUPS * GROUP_LEN,
    SHORT_LEN = 77, /* not a multiple of any step of the kernels */
    SHORT_GROUPS = ELEMENTS / SHORT_LEN,
    PQ2_0_BYTES = 34,
};

/* From the portable table; test_identity.c checks every table against it. */
static const uint32_t known_answer = 0x2870d342;

static float input(uint32_t i)
{
    /* Knuth's multiplicative hash; every 16th element is far smaller, some are 0. */
    const uint32_t hash = (i + 1) * 2654435761u;
    const float w = (float)(int32_t)(hash >> 8) * 0x1p-23f - 1.0f;
    return hash % 61 == 0 ? -0.0f : hash % 16 == 0 ? w * 0x1p-140f : w;
}

struct scratch {
    float in[ELEMENTS];
    uint16_t half[ELEMENTS];
    uint8_t out[ELEMENTS * sizeof(float)];
    uint8_t packed[GROUPS * PQ2_0_BYTES];
    uint8_t codes[ELEMENTS / 4 + ELEMENTS / SHORT_LEN];
    float scales[ELEMENTS / SHORT_LEN];
    struct group_sums sums[ELEMENTS / SHORT_LEN];
};

static uint32_t fold_counts(uint32_t crc, const struct ternary_counts *counts,
                            const struct ternary_check *check)
{
    crc = crc32c(crc, counts, sizeof(*counts));
    if (!check)
        return crc;
    crc = crc32c(crc, &check->valid, sizeof(check->valid));
    crc = crc32c(crc, &check->max_round_error, sizeof(check->max_round_error));
    crc = crc32c(crc, check->samples, check->sample_count * sizeof(check->samples[0]));
    return crc32c(crc, &check->first_mismatch, sizeof(check->first_mismatch));
}

static uint32_t fold_project(const struct kernels *table, struct scratch *s, uint32_t crc,
                             const void *in, enum trit_dtype dtype, size_t group_len)
{
    const size_t count = ELEMENTS / group_len;
    struct ternary_counts counts;
    ternary_counts_init(&counts);
    const struct ternarize_job job = {
        .dtype = dtype,
        .count = count,
        .group_len = group_len,
        .divisor = GROUP_LEN,
        .in = in,
        .encoding = TRIT_ENCODING_DENSE,
        .out = s->out,
        .scales = s->scales,
        .codes = s->codes,
        .sums = s->sums,
    };
    ternarize(table, &job, &counts);
    crc = fold_counts(crc, &counts, NULL);
    crc = crc32c(crc, s->out, count * group_len * dtype_bytes(dtype));
    crc = crc32c(crc, s->scales, count * sizeof(s->scales[0]));
    crc = crc32c(crc, s->codes, count * ((group_len + 3) / 4));
    return crc32c(crc, s->sums, count * sizeof(s->sums[0]));
}

static uint32_t fold_packed(const struct kernels *table, struct scratch *s, uint32_t crc)
{
    struct ternary_counts counts;
    struct ternary_check check;
    ternary_counts_init(&counts);
    ternary_check_init(&check);
    const struct ternarize_job pack = {
        .dtype = TRIT_F32,
        .count = GROUPS,
        .group_len = GROUP_LEN,
        .divisor = GROUP_LEN,
        .in = s->in,
        .encoding = TRIT_ENCODING_PQ2_0,
        .out = s->packed,
        .scales = s->scales,
    };
    ternarize(table, &pack, &counts);
    crc = crc32c(crc, s->packed, sizeof(s->packed));
    const struct verify_job job = {
        .encoding = TRIT_ENCODING_PQ2_0,
        .count = GROUPS,
        .group_len = GROUP_LEN,
        .in = s->packed,
        .reference = s->in,
        .reference_dtype = TRIT_F32,
        .divisor = GROUP_LEN,
        .scales = s->scales,
        .codes = s->codes,
        .sums = s->sums,
    };
    verify(table, &job, &counts, &check);
    crc = fold_counts(crc, &counts, &check);
    crc = crc32c(crc, s->sums, GROUPS * sizeof(s->sums[0]));
    const struct unpack_job dense = {
        .encoding = TRIT_ENCODING_PQ2_0,
        .dtype = TRIT_F32,
        .count = GROUPS,
        .group_len = GROUP_LEN,
        .in = s->packed,
        .out = s->out,
    };
    struct unpack_refusal refused;
    if (unpack(table, &dense, &refused) != 0)
        return ~crc;
    return crc32c(crc, s->out, sizeof(s->out));
}

static uint32_t fold_verify(const struct kernels *table, struct scratch *s, uint32_t crc)
{
    struct ternary_counts counts;
    struct ternary_check check;
    ternary_counts_init(&counts);
    ternary_check_init(&check);
    const struct verify_job job = {
        .encoding = TRIT_ENCODING_DENSE,
        .dtype = TRIT_F32,
        .count = GROUPS,
        .group_len = GROUP_LEN,
        .tolerance = 0x1p-3f,
        .in = s->in,
        .scales = s->scales,
        .codes = s->codes,
    };
    verify(table, &job, &counts, &check);
    return fold_counts(crc, &counts, &check);
}

static uint32_t answer(const struct kernels *table)
{
    struct scratch s;
    memset(&s, 0, sizeof(s));
    for (uint32_t i = 0; i < ELEMENTS; i++)
        s.in[i] = input(i);
    uint32_t crc = fold_project(table, &s, 0, s.in, TRIT_F32, GROUP_LEN);
    crc = fold_project(table, &s, crc, s.in, TRIT_F32, SHORT_LEN);
    crc = fold_packed(table, &s, crc);
    crc = fold_verify(table, &s, crc);
    for (uint32_t i = 0; i < ELEMENTS; i++)
        s.half[i] = f32_to_f16(s.in[i]);
    crc = fold_project(table, &s, crc, s.half, TRIT_F16, GROUP_LEN);
    for (uint32_t i = 0; i < ELEMENTS; i++)
        s.half[i] = f32_to_bf16(s.in[i]);
    return fold_project(table, &s, crc, s.half, TRIT_BF16, GROUP_LEN);
}

int kernels_selftest(const struct kernels *kernels, char *message, size_t bytes)
{
    struct kernels_env env;
    kernels_enter(&env);
    const uint32_t crc = answer(kernels);
    kernels_leave(&env);
    if (crc == known_answer)
        return 0;
    snprintf(message, bytes,
             "kernels %s: the known-answer test gives %08x instead of %08x",
             kernels->name, (unsigned)crc, (unsigned)known_answer);
    return -1;
}
