/* SPDX-License-Identifier: Apache-2.0 */
/* The NEON file on any machine: natively, or through SIMDe at x86's speed. */
#if !defined(__aarch64__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wfloat-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wcast-align"
#pragma GCC diagnostic ignored "-Wundef"
#define SIMDE_ENABLE_NATIVE_ALIASES
#define SIMDE_FLOAT16_API 1
#include <simde/arm/neon.h>
#ifndef vcvt_high_f64_f32 /* not in every SIMDe */
#define vcvt_high_f64_f32(v) vcvt_f64_f32(vget_high_f32(v))
#endif
#ifndef vdivq_f64
#define vdivq_f64(a, b)                                                                  \
    vcombine_f64(vdup_n_f64(vgetq_lane_f64(a, 0) / vgetq_lane_f64(b, 0)),                \
                 vdup_n_f64(vgetq_lane_f64(a, 1) / vgetq_lane_f64(b, 1)))
#endif
#define KERNELS_NEON
extern const struct kernels kernels_neon;
#include "kernels/ternary/neon.c"
#pragma GCC diagnostic pop
#else
#include "kernels/ternary/table.h"
#endif

#include "tests/lib/check.h"
#include "tests/lib/kernel_inputs.h"

CASE(known_answer, "the NEON table passes its known-answer test")
{
    char message[256] = "";
    kernels_selftest(&kernels_neon, message, sizeof(message));
    CHECK_STR(message, "");
}

static void run(const struct kernels *table, enum trit_dtype dtype, size_t len,
                const void *in, void *out, float *scale, uint8_t *codes,
                struct group_sums *sums, struct ternary_counts *counts)
{
    const struct ternarize_job job = {
        .dtype = dtype,
        .count = 1,
        .group_len = len,
        .divisor = len,
        .in = in,
        .encoding = TRIT_ENCODING_DENSE,
        .out = out,
        .scales = scale,
        .codes = codes,
        .sums = sums,
    };
    ternary_counts_init(counts);
    ternarize(table, &job, counts);
}

CASE(same_as_portable, "the NEON table gives the portable table's bits")
{
    uint64_t seed = check_seed();
    const struct kernels *portable = kernels_select("portable");
    for (size_t len = 1; len <= 512; len++)
        for (unsigned kind = 0; kind < INPUT_NON_FINITE; kind++) {
            const enum trit_dtype dtype = (enum trit_dtype)(TRIT_F32 + (len + kind) % 3);
            float in[512], want[512], got[512], scales[2];
            uint8_t codes[2][128];
            struct group_sums sums[2];
            struct ternary_counts counts[2];
            input_fill(in, dtype, kind, 1, len, &seed);
            run(portable, dtype, len, in, want, &scales[0], codes[0], &sums[0],
                &counts[0]);
            run(&kernels_neon, dtype, len, in, got, &scales[1], codes[1], &sums[1],
                &counts[1]);
            CHECK_MEM(got, want, len * dtype_bytes(dtype));
            CHECK_MEM(codes[1], codes[0], (len + 3) / 4);
            CHECK_MEM(&scales[1], &scales[0], sizeof(scales[0]));
            CHECK_MEM(&sums[1], &sums[0], sizeof(sums[0]));
            CHECK_MEM(&counts[1], &counts[0], sizeof(counts[0]));
        }
}
