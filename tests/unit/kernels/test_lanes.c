/* SPDX-License-Identifier: Apache-2.0 */
/* One long group in pieces has the bits of the group in memory. */
#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/lanes.h"
#include "tests/lib/check.h"

enum { PIECE = 4096, ELEMENTS_MAX = 5 * PIECE + 128 };

struct whole {
    float scale;
    struct group_sums sums;
    struct ternary_counts counts;
    struct ternary_check check;
    uint8_t codes[ELEMENTS_MAX / 4];
};

struct latents {
    enum trit_dtype dtype;
    uint8_t bytes[ELEMENTS_MAX * 4];
    size_t elements;
};

static void fill(struct latents *latents, uint64_t *seed, bool wide)
{
    for (size_t i = 0; i < latents->elements; i++) {
        const uint64_t bits = check_random(seed);
        float w = (float)((int)(bits % 2001) - 1000) * 1e-4F;
        uint16_t narrow;

        if (wide) /* sums that round, so that the order matters */
            w *= (float)(1U << bits / 2001 % (latents->dtype == TRIT_F16 ? 16 : 24));
        narrow = latents->dtype == TRIT_F16 ? f32_to_f16(w) : f32_to_bf16(w);
        if (latents->dtype == TRIT_F32)
            memcpy(latents->bytes + i * 4, &w, 4);
        else
            memcpy(latents->bytes + i * 2, &narrow, 2);
    }
}

static size_t piece_at(const struct latents *latents, size_t at)
{
    return latents->elements - at < PIECE ? latents->elements - at : PIECE;
}

static float scale_in_pieces(const struct latents *latents)
{
    struct magnitude_lanes lanes = {{0}};

    for (size_t at = 0; at < latents->elements; at += PIECE)
        magnitude_lanes_add(&lanes, latents->dtype,
                            latents->bytes + at * dtype_bytes(latents->dtype),
                            piece_at(latents, at));
    return magnitude_lanes_mean(&lanes, latents->elements);
}

static void project(const struct kernels *table, const struct latents *latents,
                    struct whole *out)
{
    const struct ternarize_job job = {.dtype = latents->dtype,
                                      .count = 1,
                                      .group_len = latents->elements,
                                      .divisor = latents->elements,
                                      .in = latents->bytes,
                                      .scales = &out->scale,
                                      .codes = out->codes,
                                      .sums = &out->sums};

    ternary_counts_init(&out->counts);
    ternarize(table, &job, &out->counts);
}

static void project_pieces(const struct kernels *table, const struct latents *latents,
                           struct whole *out)
{
    struct sum_lanes lanes = {.beyond = 0};

    ternary_counts_init(&out->counts);
    out->scale = scale_in_pieces(latents);
    for (size_t at = 0; at < latents->elements; at += PIECE) {
        const uint8_t *in = latents->bytes + at * dtype_bytes(latents->dtype);
        const size_t count = piece_at(latents, at);
        struct ternary_counts counts;
        float scale;
        const struct ternarize_job job = {.dtype = latents->dtype,
                                          .count = 1,
                                          .group_len = count,
                                          .divisor = count,
                                          .scale = &out->scale,
                                          .in = in,
                                          .scales = &scale,
                                          .codes = out->codes + at / 4};

        ternary_counts_init(&counts);
        ternarize(table, &job, &counts);
        ternary_counts_add(&out->counts, &counts, at, 0);
        sum_lanes_project(&lanes, latents->dtype, in, count, out->scale);
    }
    out->sums = sum_lanes_projected(&lanes, out->scale);
}

static void check_projection(const struct kernels *table, const struct latents *latents)
{
    static struct whole all, pieces;

    project(table, latents, &all);
    project_pieces(table, latents, &pieces);
    CHECK(memcmp(&all.scale, &pieces.scale, sizeof(all.scale)) == 0);
    CHECK(memcmp(&all.sums, &pieces.sums, sizeof(all.sums)) == 0);
    CHECK(memcmp(all.codes, pieces.codes, (latents->elements + 3) / 4) == 0);
    CHECK_EQ(all.counts.negatives, pieces.counts.negatives);
    CHECK_EQ(all.counts.zeros, pieces.counts.zeros);
    CHECK_EQ(all.counts.positives, pieces.counts.positives);
    CHECK_EQ(all.counts.near_threshold, pieces.counts.near_threshold);
}

/* Verifies codes against the latents, all at once or in pieces. */
static void verify_claim(const struct kernels *table, const struct latents *latents,
                         const int8_t *t, size_t piece, struct whole *out)
{
    const float scale = out->scale, reference = scale_in_pieces(latents);
    struct sum_lanes lanes = {.beyond = 0};

    ternary_counts_init(&out->counts);
    ternary_check_init(&out->check);
    for (size_t at = 0; at < latents->elements; at += piece) {
        const size_t left = latents->elements - at, count = left < piece ? left : piece;
        const uint8_t *in = latents->bytes + at * dtype_bytes(latents->dtype);
        struct ternary_counts counts;
        struct ternary_check check;
        float held;
        const struct verify_job job = {
            .encoding = TRIT_ENCODING_INT8,
            .count = 1,
            .group_len = count,
            .divisor = count,
            .in = t + at,
            .in_scales = &scale,
            .reference = in,
            .reference_dtype = latents->dtype,
            .reference_scale = piece < latents->elements ? &reference : NULL,
            .scales = &held,
            .sums = piece < latents->elements ? NULL : &out->sums};

        ternary_counts_init(&counts);
        ternary_check_init(&check);
        verify(table, &job, &counts, &check);
        ternary_counts_add(&out->counts, &counts, at, 0);
        ternary_check_add(&out->check, &check, at, 0);
        sum_lanes_claim(&lanes, latents->dtype, in, t + at, count, scale);
    }
    if (piece < latents->elements)
        out->sums = sum_lanes_claimed(&lanes);
}

static void check_claim(const struct kernels *table, const struct latents *latents,
                        uint64_t *seed)
{
    static struct whole all, pieces;
    static int8_t t[ELEMENTS_MAX];

    project(table, latents, &all);
    for (size_t i = 0; i < latents->elements; i++)
        t[i] = (int8_t)((all.codes[i / 4] >> 2 * (i % 4) & 3) - 1);
    for (int i = 0; i < 5; i++)
        t[check_random(seed) % latents->elements] = (int8_t)(check_random(seed) % 4) - 1;
    all.scale *= 1.5F;
    pieces.scale = all.scale;
    verify_claim(table, latents, t, latents->elements, &all);
    verify_claim(table, latents, t, PIECE, &pieces);
    CHECK(memcmp(&all.sums, &pieces.sums, sizeof(all.sums)) == 0);
    CHECK_EQ(all.check.mismatches, pieces.check.mismatches);
    CHECK_EQ(all.check.first_mismatch, pieces.check.first_mismatch);
    CHECK_EQ(all.check.code_mismatches.count, pieces.check.code_mismatches.count);
    CHECK_EQ(all.check.code_mismatches.first, pieces.check.code_mismatches.first);
    CHECK(all.check.expected_scale == pieces.check.expected_scale);
    CHECK_EQ(all.check.invalid.count, pieces.check.invalid.count);
    CHECK_EQ(all.check.valid, pieces.check.valid);
    CHECK_EQ(all.counts.near_threshold, pieces.counts.near_threshold);
    CHECK(all.check.scale_mismatches.count == 1 && pieces.check.scale_mismatches.count);
}

static void check_all(const struct kernels *table)
{
    static const size_t sizes[] = {PIECE + 4, 3 * PIECE, ELEMENTS_MAX,
                                   ELEMENTS_MAX - 108};
    static struct latents latents;
    uint64_t seed = check_seed();

    for (enum trit_dtype dtype = TRIT_F32; dtype <= TRIT_BF16; dtype++)
        for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
            latents.dtype = dtype;
            latents.elements = sizes[i / 2];
            fill(&latents, &seed, i % 2);
            check_projection(table, &latents);
            check_claim(table, &latents, &seed);
        }
}

CASE(same_bits,
     "a long group in pieces has the scale, sums, codes and counts of the group")
{
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    struct kernels_env env;

    kernels_enter(&env);
    for (size_t i = 0; i < count; i++)
        check_all(tables[i]);
    kernels_leave(&env);
}

CASE(non_finite, "a NaN or infinity in any piece makes the scale infinite")
{
    const float values[3] = {1, NAN, -2};
    struct magnitude_lanes lanes = {{0}};
    struct kernels_env env;

    kernels_enter(&env);
    magnitude_lanes_add(&lanes, TRIT_F32, values, 3);
    CHECK(isinf(magnitude_lanes_mean(&lanes, 3)));
    kernels_leave(&env);
}
