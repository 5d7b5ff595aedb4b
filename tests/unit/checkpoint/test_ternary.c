/* SPDX-License-Identifier: Apache-2.0 */
/* Values: what is ternary already, and where two tensors differ. */
#include <math.h>
#include <string.h>

#include "checkpoint/difference.h"
#include "checkpoint/ternary.h"
#include "checkpoint/transpose.h"
#include "tests/lib/check.h"

enum { ROWS = 3, COLUMNS_MAX = 300 };

static uint64_t group_found; /* by the newest probe */

/* Fed in pieces of some elements; what the probe says. */
static bool refuses(const float *values, uint64_t columns, uint32_t group_size,
                    enum trit_partial_group partial_group, uint64_t piece)
{
    const struct layer_terms terms = {.group_size = group_size,
                                      .partial_group = partial_group};
    const struct tensor_entry dense = {
        .type = element_type_of(TRIT_F32), .rank = 2, .shape = {ROWS, columns}};
    struct ternary_probe probe;
    bool may_be = true, found;

    CHECK(ternary_probe_create(&probe, &terms, &dense, LAYOUT_OUT_IN, NULL) == 0);
    for (uint64_t at = 0; may_be && at < ROWS * columns; at += piece) {
        uint64_t left = ROWS * columns - at, count = left < piece ? left : piece;

        may_be = ternary_probe_feed(&probe, values + at, count * sizeof(*values));
    }
    found = may_be && ternary_probe_refuses(&probe);
    group_found = ternary_probe_group(&probe);
    ternary_probe_destroy(&probe);
    return found;
}

/* A magnitude for each run of `group` in a row; every `zero_every`th is 0. */
static void fill(float *values, uint64_t columns, uint64_t group, uint64_t zero_every)
{
    for (uint64_t i = 0; i < ROWS * columns; i++) {
        uint64_t row = i / columns, column = i % columns;
        float magnitude = 0.5f + (float)(row * 10 + column / group);

        values[i] = zero_every && i % zero_every == 0 ? (i % 2 ? 0.0f : -0.0f)
                    : i % 3                           ? magnitude
                                                      : -magnitude;
    }
}

CASE(refuses_ternary_groups_with_zeros,
     "groups that already have one magnitude and zeros are refused")
{
    float values[ROWS * COLUMNS_MAX];

    for (uint64_t piece = 1; piece < 1000; piece = piece * 3 + 1) {
        fill(values, 256, 128, 5);
        CHECK(refuses(values, 256, 128, TRIT_PARTIAL_PADDED, piece));
        CHECK(refuses(values, 256, 64, TRIT_PARTIAL_PADDED, piece));  /* finer: too */
        CHECK(refuses(values, 256, 256, TRIT_PARTIAL_PADDED, piece)); /* by 32 it is */
        fill(values, 256, 32, 5);
        CHECK(refuses(values, 256, 128, TRIT_PARTIAL_PADDED, piece));
        fill(values, 256, 7, 5); /* groups below PROBE_GROUP_MIN say little */
        CHECK(!refuses(values, 256, 128, TRIT_PARTIAL_PADDED, piece));
        fill(values, 240, 48, 5);
        CHECK(refuses(values, 240, 48, TRIT_PARTIAL_PADDED, piece));
    }
}

CASE(tries_sizes_of_groups,
     "ternary groups of any size from 8 to 1024, or of a row, are found")
{
    static const uint64_t sizes[] = {8, 16, 20, 48, 100, 300};
    float values[ROWS * COLUMNS_MAX];

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        fill(values, 300, sizes[i], 5);
        CHECK(refuses(values, 300, 128, TRIT_PARTIAL_PADDED, 100));
        CHECK_EQ(group_found, sizes[i]);
    }
    fill(values, 300, 100, 5);
    values[299] *= 2; /* one weight of another magnitude in the last group */
    CHECK(!refuses(values, 300, 128, TRIT_PARTIAL_PADDED, 100));
    CHECK_EQ(group_found, 0);
}

/* The same values, stored [in, out] and fed in that order. */
CASE(sees_the_same_in_a_transposed_layer,
     "a layer stored [in, out] is checked in the order of its groups")
{
    enum { COLUMNS = 256 };
    const struct layer_terms terms = {.group_size = 128};
    const struct tensor_entry dense = {
        .type = element_type_of(TRIT_F32), .rank = 2, .shape = {COLUMNS, ROWS}};
    float values[ROWS * COLUMNS], turned[ROWS * COLUMNS];
    struct ternary_probe probe;

    for (int ternary = 0; ternary < 2; ternary++) {
        fill(values, COLUMNS, ternary ? 128 : 7, 5);
        transpose(turned, values, ROWS, COLUMNS, sizeof(float));
        CHECK(ternary_probe_create(&probe, &terms, &dense, LAYOUT_IN_OUT, NULL) == 0);
        CHECK(ternary_probe_feed(&probe, turned, sizeof(turned)) == (ternary == 1));
        CHECK(!ternary || ternary_probe_refuses(&probe));
        ternary_probe_destroy(&probe);
    }
}

CASE(refuses_one_magnitude_of_the_tensor,
     "a tensor that already has one magnitude and zeros is refused")
{
    float values[ROWS * COLUMNS_MAX];

    for (size_t i = 0; i < ROWS * 100; i++)
        values[i] = i % 7 ? 0.25f : 0.0f;
    CHECK(refuses(values, 100, 0, TRIT_PARTIAL_PADDED, 64));
    for (size_t i = 0; i < ROWS * 100; i++)
        values[i] = i % 7 ? 0.25f : -0.25f;
    CHECK(!refuses(values, 100, 0, TRIT_PARTIAL_PADDED, 64));
}

CASE(accepts_fixed_points, "groups that a projection leaves unchanged are accepted")
{
    float values[ROWS * COLUMNS_MAX] = {0};

    CHECK(!refuses(values, 256, 128, TRIT_PARTIAL_PADDED, 100)); /* zeros */
    fill(values, 256, 128, 0);
    CHECK(!refuses(values, 256, 128, TRIT_PARTIAL_PADDED, 100)); /* no zeros */
    fill(values, 256, 128, 0);
    memset(values, 0, 128 * sizeof(*values)); /* a group of zeros, the rest full */
    CHECK(!refuses(values, 256, 128, TRIT_PARTIAL_PADDED, 100));
}

/* The padding of a short group counts as zeros, where it counts. */
CASE(counts_padding, "padding counts as zeros if the scale's mean includes it")
{
    float values[ROWS * COLUMNS_MAX];

    fill(values, 200, 128, 0);
    CHECK(refuses(values, 200, 128, TRIT_PARTIAL_PADDED, 100));
    CHECK(!refuses(values, 200, 128, TRIT_PARTIAL_EXACT, 100));
}

CASE(accepts_other_weights, "weights that are not ternary are accepted")
{
    float values[ROWS * COLUMNS_MAX];

    fill(values, 256, 128, 5);
    values[ROWS * 256 - 1] = 77;
    values[ROWS * 256 - 2] = 78;
    CHECK(!refuses(values, 256, 128, TRIT_PARTIAL_PADDED, 100));
    fill(values, 256, 128, 5);
    values[1] = NAN;
    CHECK(!refuses(values, 256, 128, TRIT_PARTIAL_PADDED, 100));
    fill(values, 256, 128, 5);
    for (size_t i = 0; i < ROWS * 256; i++)
        values[i] = i % 5 ? INFINITY : 0;
    CHECK(!refuses(values, 256, 128, TRIT_PARTIAL_PADDED, 100));
    fill(values, 1, 1, 0); /* a column: each row has one weight */
    CHECK(!refuses(values, 1, 128, TRIT_PARTIAL_PADDED, 100));
}

CASE(reads_16_bit_types, "f16 and bf16 are compared in their own bits")
{
    static const struct {
        enum trit_dtype dtype;
        uint16_t one, infinity;
    } types[] = {{TRIT_F16, 0x3c00, 0x7c00}, {TRIT_BF16, 0x3f80, 0x7f80}};

    for (size_t t = 0; t < 2; t++)
        for (int infinite = 0; infinite < 2; infinite++) {
            const struct layer_terms terms = {.group_size = 128};
            const struct tensor_entry dense = {
                .type = element_type_of(types[t].dtype), .rank = 2, .shape = {2, 128}};
            struct ternary_probe probe;
            uint16_t values[256];

            for (size_t i = 0; i < 256; i++)
                values[i] = (uint16_t)(i % 3 == 0   ? 0x8000
                                       : infinite   ? types[t].infinity
                                       : i % 3 == 1 ? types[t].one
                                                    : types[t].one | 0x8000);
            CHECK(ternary_probe_create(&probe, &terms, &dense, LAYOUT_OUT_IN, NULL) == 0);
            CHECK(ternary_probe_feed(&probe, values, sizeof(values)) == !infinite);
            CHECK(ternary_probe_refuses(&probe) == !infinite);
            ternary_probe_destroy(&probe);
        }
}

/* ---- differences ------------------------------------------------------------------ */

static void differ(const char *type, const void *left, const void *right, uint64_t bytes,
                   uint64_t count, uint64_t first, const char *expected, const char *got)
{
    struct difference difference;

    difference_init(&difference, element_type_by_name(type), element_type_by_name(type));
    difference_feed(&difference, left, right, bytes);
    CHECK_EQ(difference.count, count);
    if (count == 0)
        return;
    CHECK_EQ(difference.first, first);
    CHECK_STR(difference.expected, expected);
    CHECK_STR(difference.got, got);
}

CASE(names_the_first_difference_by_value,
     "the first difference is reported with its position and both values")
{
    float a[3] = {1, 2, 3}, b[3] = {1, 0.1f, 4};
    const uint16_t half[2] = {0x3c00, 0x3c00}, other[2] = {0x3c00, 0xc000};
    const int8_t small[2] = {0, 1}, less[2] = {0, -1};
    const uint64_t wide[2] = {7, UINT64_MAX}, less_wide[2] = {7, 1};
    const double d[1] = {0.5}, e[1] = {-2};
    const uint8_t f[2] = {0x10, 0x20}, g[2] = {0x10, 0xab};

    differ("F32", a, a, sizeof(a), 0, 0, "", "");
    differ("F32", a, b, sizeof(a), 2, 1, "2", "0.1");
    differ("F16", half, other, sizeof(half), 1, 1, "1", "-2");
    differ("BF16", half, other, sizeof(half), 1, 1, "0.0078125", "-2");
    differ("I8", small, less, sizeof(small), 1, 1, "1", "-1");
    differ("U64", wide, less_wide, sizeof(wide), 1, 1, "18446744073709551615", "1");
    differ("I64", wide, less_wide, sizeof(wide), 1, 1, "-1", "1");
    differ("F64", d, e, sizeof(d), 1, 0, "0.5", "-2");
    differ("F8_E4M3", f, g, sizeof(f), 1, 1, "0x20", "0xab");
    differ("F4", f, g, sizeof(f), 1, 1, "0x20", "0xab");
}

CASE(tells_bits_apart_where_values_are_equal,
     "values that print alike are reported by their bits")
{
    const uint32_t a[1] = {0x7fc00000}, b[1] = {0x7fc00001};

    differ("F32", a, b, sizeof(a), 1, 0, "0x7fc00000", "0x7fc00001");
}

CASE(counts_over_pieces, "positions continue from one piece to the next")
{
    struct difference difference;
    float a[8] = {0}, b[8] = {0};

    b[5] = 1;
    b[7] = 2;
    difference_init(&difference, element_type_of(TRIT_F32), element_type_of(TRIT_F32));
    for (size_t i = 0; i < 8; i += 2)
        difference_feed(&difference, a + i, b + i, 2 * sizeof(float));
    CHECK_EQ(difference.count, 2);
    CHECK_EQ(difference.first, 5);
}
