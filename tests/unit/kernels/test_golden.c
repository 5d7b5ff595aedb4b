/* SPDX-License-Identifier: Apache-2.0 */
/* The MLX layer's golden cases, bit for bit, on every table of this machine. */
#include "kernels/kernels.h"
#include "tests/lib/check.h"
#include "tests/unit/kernels/golden.h"

enum { GROUP_SIZE = 128 };

struct projection {
    float *dense, *scales;
    int8_t *codes;
};

/* Row by row, as the plan cuts tensors: whole groups, then the short one. */
static void project_row(const struct kernels *table, const struct golden_tensor *input,
                        size_t row, bool exact, struct projection *to,
                        enum trit_encoding encoding)
{
    const size_t groups = (input->columns + GROUP_SIZE - 1) / GROUP_SIZE;
    const size_t whole = input->columns / GROUP_SIZE, rest = input->columns % GROUP_SIZE;
    for (int part = 0; part < 2; part++) {
        const size_t at = row * input->columns + (part ? whole * GROUP_SIZE : 0);
        struct ternary_counts counts;
        ternary_counts_init(&counts);
        const struct ternarize_job job = {
            .dtype = TRIT_F32,
            .count = part ? rest > 0 : whole,
            .group_len = part ? rest : GROUP_SIZE,
            .divisor = part && exact ? rest : GROUP_SIZE,
            .in = (const float *)input->data + at,
            .encoding = encoding,
            .out = encoding == TRIT_ENCODING_INT8 ? (void *)(to->codes + at)
                                                  : (void *)(to->dense + at),
            .scales = to->scales + row * groups + (part ? whole : 0),
        };
        if (job.count)
            ternarize(table, &job, &counts);
        CHECK_EQ(counts.non_finite, 0);
    }
}

static void check_case(const struct golden *golden, const char *name,
                       const struct kernels *table, bool exact)
{
    const struct golden_tensor input = golden_find(golden, name, "input");
    const struct golden_tensor codes =
        golden_find(golden, name, exact ? "codes_exact" : "codes");
    const struct golden_tensor scales =
        golden_find(golden, name, exact ? "scales_exact" : "scales");
    const struct golden_tensor projected = golden_find(golden, name, "projected");
    if (!codes.data)
        return;
    struct projection to = {
        malloc(input.elements * 4),
        malloc(scales.elements * 4),
        malloc(input.elements),
    };
    CHECK(to.dense && to.scales && to.codes);
    for (size_t row = 0; row < input.elements / input.columns; row++) {
        project_row(table, &input, row, exact, &to, TRIT_ENCODING_DENSE);
        project_row(table, &input, row, exact, &to, TRIT_ENCODING_INT8);
    }
    CHECK_MEM(to.codes, codes.data, input.elements);
    CHECK_MEM(to.scales, scales.data, scales.elements * sizeof(float));
    if (!exact)
        CHECK_MEM(to.dense, projected.data, input.elements * sizeof(float));
    free(to.dense);
    free(to.scales);
    free(to.codes);
}

static size_t check_all(bool exact)
{
    struct golden golden = golden_open("tests/data/mlx_ternary_golden.safetensors");
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    char name[64];
    size_t cases = 0;
    for (const char *at = golden.header; golden_next(&at, name); cases++)
        for (size_t i = 0; i < count; i++)
            check_case(&golden, name, tables[i], exact);
    golden_close(&golden);
    return cases;
}

CASE(padded, "every golden case is reproduced bit for bit, signs of zero included")
{
    CHECK(check_all(false) >= 15);
}

CASE(exact, "a short group divided by its real length gives the golden codes and scales")
{
    CHECK(check_all(true) >= 15);
}

/* A projected tensor is ternary, and is the projection of its latents. */
CASE(verified, "a golden projection verifies against its latents without a mismatch")
{
    struct golden golden = golden_open("tests/data/mlx_ternary_golden.safetensors");
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    const struct golden_tensor input = golden_find(&golden, "normal_8x512", "input");
    const struct golden_tensor projected =
        golden_find(&golden, "normal_8x512", "projected");
    const size_t groups = input.elements / GROUP_SIZE;
    float scales[64];
    struct group_sums sums[64];
    CHECK(groups <= 64);
    for (size_t i = 0; i < count; i++) {
        struct ternary_counts counts;
        struct ternary_check check;
        ternary_counts_init(&counts);
        ternary_check_init(&check);
        const struct verify_job job = {
            .encoding = TRIT_ENCODING_DENSE,
            .dtype = TRIT_F32,
            .count = groups,
            .group_len = GROUP_SIZE,
            .in = projected.data,
            .reference = input.data,
            .reference_dtype = TRIT_F32,
            .divisor = GROUP_SIZE,
            .scales = scales,
            .sums = sums,
        };
        verify(tables[i], &job, &counts, &check);
        CHECK_EQ(check.valid, input.elements);
        CHECK_EQ(check.mismatches, 0);
        CHECK(check.max_round_error == 0.0f);
        CHECK(sums[0].error > 0.0 && sums[0].error < sums[0].energy);
        CHECK_MEM(scales, golden_find(&golden, "normal_8x512", "scales").data,
                  groups * sizeof(scales[0]));
    }
    golden_close(&golden);
}
