/* SPDX-License-Identifier: Apache-2.0 */
/* The floating-point environment: workers may find it in any state; what kernels compute
 * between kernels_enter and kernels_leave has the same bits, and the state comes back.
 * Every combination of the bits that change results is set wrong on purpose. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "tests/lib/check.h"
#include "tests/lib/kernel_inputs.h"
#include "tests/lib/linear_work.h"

/* ---- the control register ------------------------------------------------------- */

#if defined(__x86_64__)

/* MXCSR: two bits of rounding, flush to zero, denormals are zero. */
static const uint64_t wrong_bits[] = {1 << 13, 1 << 14, 1 << 15, 1 << 6};

static uint64_t control_get(void)
{
    return __builtin_ia32_stmxcsr() & ~0x3fu; /* but for the flags that stick */
}

static void control_set(uint64_t value)
{
    __builtin_ia32_ldmxcsr((uint32_t)value);
}

#elif defined(__aarch64__)

/* FPCR: two bits of rounding, FZ, DN, FZ16 (where the processor has it), AHP. */
static const uint64_t wrong_bits[] = {1 << 22, 1 << 23, 1 << 24,
                                      1 << 25, 1 << 19, 1 << 26};

static uint64_t control_get(void)
{
    uint64_t value;
    __asm__ volatile("mrs %0, fpcr" : "=r"(value) : : "memory");
    return value;
}

static void control_set(uint64_t value)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(value) : "memory");
}

#endif

enum { WRONG_BITS = sizeof(wrong_bits) / sizeof(wrong_bits[0]) };

/* `usual` with the bits of a combination set. */
static uint64_t control_of(uint64_t usual, unsigned combination)
{
    for (size_t i = 0; i < WRONG_BITS; i++)
        usual |= combination >> i & 1 ? wrong_bits[i] : 0;
    return usual;
}

/* ---- computations ------------------------------------------------------------------ */

enum { COUNT = 5, LEN = 77, ELEMENTS = COUNT * LEN, BATCH = 3 };

static const enum input_kind kinds[] = {INPUT_PLAIN,     INPUT_THRESHOLD, INPUT_LOW,
                                        INPUT_SUBNORMAL, INPUT_HUGE,      INPUT_MIXED};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };
static const enum trit_dtype dtypes[] = {TRIT_F32, TRIT_F16, TRIT_BF16};

struct inputs {
    uint8_t weights[KINDS][3][ELEMENTS * sizeof(float)];
    struct work plain, small; /* of the latter, products and sums are subnormal */
};

static void inputs_init(struct inputs *inputs)
{
    uint64_t seed = check_seed();
    for (size_t k = 0; k < KINDS; k++)
        for (size_t d = 0; d < 3; d++)
            input_fill(inputs->weights[k][d], dtypes[d], kinds[k], COUNT, LEN, &seed);
    work_init(&inputs->plain, 37, 300, 48, BATCH, &seed);
    work_init(&inputs->small, 37, 300, 48, BATCH, &seed);
    for (uint64_t i = 0; i < BATCH * (uint64_t)300; i++)
        inputs->small.x[i] *= 0x1p-132f;
    for (uint64_t i = 0; i < BATCH * (uint64_t)37; i++)
        inputs->small.g[i] *= 0x1p-132f;
}

static void inputs_fini(struct inputs *inputs)
{
    work_fini(&inputs->plain);
    work_fini(&inputs->small);
}

static uint32_t project(const struct kernels *table, const uint8_t *weights,
                        enum trit_dtype dtype, uint32_t crc)
{
    uint8_t out[ELEMENTS * sizeof(float)] = {0}, codes[COUNT * ((LEN + 3) / 4)];
    float scales[COUNT];
    struct group_sums sums[COUNT];
    struct ternary_counts counts;
    const struct ternarize_job job = {.dtype = dtype,
                                      .count = COUNT,
                                      .group_len = LEN,
                                      .divisor = LEN,
                                      .in = weights,
                                      .encoding = TRIT_ENCODING_DENSE,
                                      .out = out,
                                      .scales = scales,
                                      .codes = codes,
                                      .sums = sums};
    ternary_counts_init(&counts);
    ternarize(table, &job, &counts);
    crc = crc32c(crc, out, sizeof(out));
    crc = crc32c(crc, codes, sizeof(codes));
    crc = crc32c(crc, scales, sizeof(scales));
    return crc32c(crc, sums, sizeof(sums));
}

static uint32_t multiply(const struct kernels *table, struct work *work, uint32_t crc)
{
    work_quantize(table, work);
    for (unsigned product = 0; product < PRODUCTS; product++) {
        float *out = work_run(table, work, (enum product)product);
        crc = crc32c(crc, out, work_floats(work, (enum product)product) * sizeof(*out));
        free(out);
    }
    return crc;
}

/* One number for the bits of all results. */
static uint32_t compute(const struct kernels *table, struct inputs *inputs)
{
    uint32_t crc = 0;
    for (size_t k = 0; k < KINDS; k++)
        for (size_t d = 0; d < 3; d++)
            crc = project(table, inputs->weights[k][d], dtypes[d], crc);
    crc = multiply(table, &inputs->plain, crc);
    return multiply(table, &inputs->small, crc);
}

/* ---- cases ------------------------------------------------------------------------- */

CASE(same_bits, "results do not depend on the thread's FP mode, and the mode is restored")
{
    static struct inputs inputs;
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    const uint64_t usual = control_get();
    inputs_init(&inputs);
    const uint32_t expected = compute(tables[0], &inputs);
    for (unsigned combination = 0; combination < 1u << WRONG_BITS; combination++)
        for (size_t i = 0; i < count; i++) {
            struct kernels_env env;
            control_set(control_of(usual, combination));
            const uint64_t before = control_get();
            kernels_enter(&env);
            const uint32_t found = compute(tables[i], &inputs);
            kernels_leave(&env);
            const uint64_t after = control_get();
            control_set(usual);
            CHECK_EQ(found, expected);
            CHECK_EQ(after, before);
        }
    inputs_fini(&inputs);
}

CASE(same_answers,
     "the self-test passes under any FP mode of the thread, and restores it")
{
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    const uint64_t usual = control_get();
    for (unsigned combination = 0; combination < 1u << WRONG_BITS; combination++)
        for (size_t i = 0; i < count; i++) {
            char message[256] = "";
            control_set(control_of(usual, combination));
            const uint64_t before = control_get();
            kernels_selftest(tables[i], message, sizeof(message));
            const uint64_t after = control_get();
            control_set(usual);
            CHECK_STR(message, "");
            CHECK_EQ(after, before);
        }
}

/* Without this the cases above would prove nothing. */
CASE(wrong_bits_matter,
     "outside of kernels_enter and kernels_leave the FP mode changes results")
{
    static struct inputs inputs;
    const struct kernels *portable = kernels_select("portable");
    const uint64_t usual = control_get();
    inputs_init(&inputs);
    const uint32_t expected = compute(portable, &inputs);
    for (size_t i = 0; i < 3; i++) { /* rounding, flushing */
        control_set(usual | wrong_bits[i]);
        const uint32_t found = compute(portable, &inputs);
        control_set(usual);
        CHECK(found != expected);
    }
    inputs_fini(&inputs);
}
