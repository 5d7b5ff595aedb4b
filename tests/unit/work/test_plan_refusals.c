/* SPDX-License-Identifier: Apache-2.0 */
/* Specs that are refused, with which status, field and sentence. */
#include <string.h>

#include "base/limits.h"
#include "kernels/kernels.h"
#include "tests/unit/work/specs.h"

static void check_refused(const struct plan_spec *spec, enum trit_status status,
                          const char *field, const char *message)
{
    struct plan plan, before;
    struct failure failure = {0};

    memset(&plan, 0x5a, sizeof(plan));
    before = plan;
    CHECK(plan_init(&plan, spec, &failure) == -1);
    CHECK_EQ(failure.status, status);
    CHECK_STR(failure.field, field);
    CHECK_STR(failure.message, message);
    CHECK_MEM(&plan, &before, sizeof(plan));
}

CASE(bad_shapes,
     "a shape that overflows, is empty or has no axes is refused by name and value")
{
    struct plan_spec spec = spec_of(0, NULL);
    const uint64_t big = 1ull << 32;

    check_refused(&spec, TRIT_INVALID_ARGUMENT, "tensor.shape",
                  "tensor.shape: rank 0; must be at least 1");
    spec.rank = 9;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "tensor.shape",
                  "tensor.shape: rank 9; must be at most 8");
    spec = spec_of(3, (const uint64_t[]){big, big, 4});
    check_refused(
        &spec, TRIT_INVALID_ARGUMENT, "tensor.shape",
        "tensor.shape: element count of [4294967296, 4294967296, 4] overflows 64 bits");
    spec = spec_of(3, (const uint64_t[]){big, 0, big});
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "tensor.shape",
                  "tensor.shape: axis 1 of [4294967296, 0, 4294967296] is 0; must be at "
                  "least 1");
    spec = spec_of(2, (const uint64_t[]){big, big / 4});
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "tensor.shape",
                  "tensor.shape: byte count of [4294967296, 1073741824] as dense "
                  "overflows 64 bits");
}

CASE(longest_shape_fits_its_message, "the longest shape fits its message")
{
    struct plan_spec spec = {.dtype = TRIT_F32, .rank = TRIT_RANK_MAX};
    struct failure failure = {0};
    struct plan plan;

    for (size_t i = 0; i < TRIT_RANK_MAX; i++)
        spec.shape[i] = UINT64_MAX;
    CHECK(plan_init(&plan, &spec, &failure) == -1);
    CHECK(strstr(failure.message, "18446744073709551615] overflows"));
}

CASE(bad_dtypes, "dense elements are f32, f16 or bf16; codes need no type")
{
    static const int dtypes[] = {0, TRIT_I8, TRIT_U8, 6, -1};

    for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
        struct plan_spec spec = matrix(2, 256);
        struct failure failure = {0};
        struct plan plan;

        spec.dtype = (enum trit_dtype)dtypes[i];
        CHECK(plan_init(&plan, &spec, &failure) == -1);
        CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
        CHECK_STR(failure.field, "tensor.dtype");

        /* Codes have no element type: nothing dense goes in or out. */
        spec.in = TRIT_ENCODING_INT8;
        spec.has_out = false;
        CHECK(plan_init(&plan, &spec, NULL) == 0);
        CHECK_EQ(plan.in_bytes, 512);
    }
}

CASE(bad_groups, "a group size above the bound and an unknown partial group are refused")
{
    struct plan_spec spec = matrix(2, 256);

    spec.group_size = GROUP_SIZE_MAX + 1;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "options.group_size",
                  "options.group_size: 65537; must be at most 65536");
    spec.group_size = 64;
    spec.partial = (enum trit_partial_group)2;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "options.partial_group",
                  "options.partial_group: 2; must be padded (0) or exact (1)");
}

CASE(bad_encodings, "an encoding refuses groups and rows that it does not support")
{
    struct plan_spec spec = matrix(2, 256);

    spec.out = (enum trit_encoding)77;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "options.encoding",
                  "options.encoding: 77 is unknown");
    spec.out = TRIT_ENCODING_PQ2_0;
    spec.group_size = 64;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "options.group_size",
                  "options.group_size: 64; pq2_0 needs a multiple of 128, the elements "
                  "of a block");
    spec.out = TRIT_ENCODING_TQ2_0;
    spec.group_size = 0;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "options.group_size",
                  "options.group_size: 128; tq2_0 needs a multiple of 256, the elements "
                  "of a block");
    spec.out = TRIT_ENCODING_MLX_2BIT;
    spec.group_size = 256;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "options.group_size",
                  "options.group_size: 256 is not supported by mlx_2bit; use 64 or 128");
    spec.group_size = 32;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "options.group_size",
                  "options.group_size: 32 is not supported by mlx_2bit; use 64 or 128");
    spec = matrix(2, 192);
    spec.out = TRIT_ENCODING_MLX_2BIT;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "tensor.shape",
                  "tensor.shape: rows have 192 elements; mlx_2bit needs a multiple of "
                  "group_size, which is 128");
    spec = matrix(2, 200);
    spec.out = TRIT_ENCODING_PQ2_0;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "tensor.shape",
                  "tensor.shape: rows have 200 elements; pq2_0 needs a multiple of 128, "
                  "the elements of a block");
    spec.out = TRIT_ENCODING_DENSE;
    spec.in = TRIT_ENCODING_PQ2_0;
    CHECK(plan_init(&(struct plan){0}, &spec, NULL) == -1);
}

CASE(bad_tensors_of_one_scale,
     "an encoding with one scale refuses group sizes, odd rows and too many elements")
{
    struct plan_spec spec = matrix(3, 100);

    spec.out = TRIT_ENCODING_I2_S;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "tensor.shape",
                  "tensor.shape: [3, 100] has 300 elements in rows of 100; i2_s needs a "
                  "multiple of 128 elements in rows of a multiple of 4");
    spec = matrix(128, 3);
    spec.out = TRIT_ENCODING_I2_S;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "tensor.shape",
                  "tensor.shape: [128, 3] has 384 elements in rows of 3; i2_s needs a "
                  "multiple of 128 elements in rows of a multiple of 4");
    spec = matrix(2, 128);
    spec.out = TRIT_ENCODING_I2_S;
    spec.group_size = 128;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "options.group_size",
                  "options.group_size: 128, but i2_s has one scale for the whole tensor; "
                  "use 0");
    spec = matrix(WHOLE_ELEMENTS_MAX / 128 + 1, 128);
    spec.out = TRIT_ENCODING_I2_S;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "tensor.shape",
                  "tensor.shape: [2097153, 128] has 268435584 elements; i2_s supports "
                  "at most 268435456");
}

CASE(bad_interleaved, "hf_bitnet refuses a number of rows that is no multiple of four")
{
    struct plan_spec spec = matrix(6, 128);

    spec.out = TRIT_ENCODING_HF_BITNET;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "tensor.shape",
                  "tensor.shape: [6, 128] has 6 rows; hf_bitnet needs a multiple of 4");
    spec = spec_of(1, (const uint64_t[]){128});
    spec.out = TRIT_ENCODING_HF_BITNET;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "tensor.shape",
                  "tensor.shape: [128] has 1 row; hf_bitnet needs a multiple of 4");
    spec = spec_of(3, (const uint64_t[]){3, 3, 4});
    spec.in = TRIT_ENCODING_HF_BITNET;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "tensor.shape",
                  "tensor.shape: [3, 3, 4] has 9 rows; hf_bitnet needs a multiple of 4");
    spec = matrix(4, 128);
    spec.out = TRIT_ENCODING_HF_BITNET;
    spec.group_size = 512;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "options.group_size",
                  "options.group_size: 512, but hf_bitnet has one scale for the whole "
                  "tensor; use 0");
}
