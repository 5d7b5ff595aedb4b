/* SPDX-License-Identifier: Apache-2.0 */
/* Conversions of 16-bit floats, the CRC, and names: what other modules use of kernels. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "tests/lib/check.h"
#include "tests/lib/kernel_inputs.h"

/* The value of 16 bits, by the definition of the format. */
static double f16_value(uint16_t bits)
{
    const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    const double value =
        exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
    return bits & 0x8000 ? -value : value;
}

CASE(widening, "widening 16-bit floats is exact, and narrowing gives them back")
{
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        const float value = f16_to_f32((uint16_t)bits);
        if ((bits & 0x7c00) == 0x7c00) {
            CHECK(bits & 0x3ff ? isnan(value) : isinf(value));
            continue;
        }
        CHECK((double)value == f16_value((uint16_t)bits));
        CHECK_EQ(signbit(value) != 0, bits >> 15);
        CHECK_EQ(f32_to_f16(value), bits);
        CHECK_EQ(f32_to_bf16(bf16_to_f32((uint16_t)bits)), bits);
    }
}

/* Between two neighbours: the nearer, and the even one from the middle. */
CASE(narrowing, "narrowing rounds to the nearest, ties to even")
{
    uint64_t seed = check_seed();
    for (uint32_t bits = 0; bits < 0x7bff; bits++) {
        const double low = f16_value((uint16_t)bits),
                     high = f16_value((uint16_t)(bits + 1));
        const float middle = (float)((low + high) / 2);
        const uint16_t even = (uint16_t)(bits & 1 ? bits + 1 : bits);
        CHECK_EQ(f32_to_f16(middle), even);
        CHECK_EQ(f32_to_f16(nextafterf(middle, INFINITY)), bits + 1);
        CHECK_EQ(f32_to_f16(nextafterf(middle, 0.0f)), bits);
        CHECK_EQ(f32_to_f16(-middle), even | 0x8000);
    }
    CHECK_EQ(f32_to_f16(65519.996f), 0x7bff);
    CHECK_EQ(f32_to_f16(65520.0f), 0x7c00);
    CHECK_EQ(f32_to_f16(0x1p-25f), 0);
    CHECK_EQ(f32_to_f16(0x1.000002p-25f), 1);
    for (int i = 0; i < 100000; i++) {
        const uint32_t bits = (uint32_t)check_random(&seed) % 0x7f7f0000u;
        const uint32_t rest = bits & 0xffff, kept = bits >> 16;
        const uint32_t want = kept + (rest > 0x8000 || (rest == 0x8000 && (kept & 1)));
        CHECK_EQ(f32_to_bf16(input_float(bits)), want);
    }
}

static bool same_rounding(float value)
{
    const float rounded = f32_rounded_to(TRIT_F16, value),
                narrowed = f16_to_f32(f32_to_f16(value));
    return memcmp(&rounded, &narrowed, sizeof(rounded)) == 0;
}

CASE(rounding, "rounding to f16 in f32 equals narrowing and widening")
{
    uint64_t seed = check_seed();
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        const float value = f16_to_f32((uint16_t)bits);
        const float middle = input_float((bits << 16 & 0xffffe000u) | 0x1000);
        CHECK(same_rounding(value));
        CHECK(same_rounding(nextafterf(value, INFINITY)));
        CHECK(same_rounding(nextafterf(value, -INFINITY)));
        CHECK(same_rounding(middle));
    }
    for (uint32_t a = 0x477f0000u; a < 0x47800010u; a++) /* around the largest f16 */
        CHECK(same_rounding(input_float(a)) && same_rounding(input_float(a | 1u << 31)));
    for (uint32_t a = 0x387fc000u; a < 0x38802000u; a++) /* around the least normal f16 */
        CHECK(same_rounding(input_float(a)) && same_rounding(input_float(a | 1u << 31)));
    for (int i = 0; i < 300000; i++)
        CHECK(same_rounding(input_float((uint32_t)check_random(&seed))));
}

/* Runs in which one value is of another kind than the rest, or none. */
CASE(rounding_each, "rounding many values equals rounding each")
{
    const float odd[] = {0.0f,     -0.0f, 0x1p-15f, 0x1p-24f,  1e-30f, 65519.0f,
                         65520.0f, 1e30f, INFINITY, -INFINITY, NAN};
    const enum trit_dtype types[] = {TRIT_F32, TRIT_F16, TRIT_BF16};
    uint64_t seed = check_seed();
    for (size_t run = 0; run < 3000; run++) {
        const enum trit_dtype type = types[run % 3];
        const size_t count = check_random(&seed) % 40;
        float values[40], want[40];
        for (size_t i = 0; i < count; i++)
            values[i] =
                input_float(0x38800000u + (uint32_t)check_random(&seed) % 0xeff000u);
        if (count > 0 && run % 2)
            values[check_random(&seed) % count] = odd[run / 2 % 11];
        for (size_t i = 0; i < count; i++)
            want[i] = f32_rounded_to(type, values[i]);
        f32_round_each(type, values, count);
        CHECK(memcmp(values, want, count * sizeof(values[0])) == 0);
    }
}

CASE(crc, "CRC-32C equals RFC 3720's, also in pieces")
{
    uint8_t bytes[64] = {0};
    CHECK_EQ(crc32c(0, "123456789", 9), 0xe3069283u);
    CHECK_EQ(crc32c(0, bytes, 32), 0x8a9136aau); /* RFC 3720 B.4 */
    memset(bytes, 0xff, 32);
    CHECK_EQ(crc32c(0, bytes, 32), 0x62a8ab43u);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = i;
    CHECK_EQ(crc32c(0, bytes, 32), 0x46dd794eu);
    for (size_t cut = 0; cut <= 32; cut++)
        CHECK_EQ(crc32c(crc32c(0, bytes, cut), bytes + cut, 32 - cut), 0x46dd794eu);
}

/* Bit by bit: the polynomial of RFC 3720, reflected. */
static uint32_t crc_by_bits(uint32_t crc, const uint8_t *bytes, size_t count)
{
    crc = ~crc;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

CASE(crc_of_blocks,
     "CRC-32C of any length, place and beginning equals that taken bit by bit")
{
    static const size_t lengths[] = {0,    63,   1024, 3071, 3072, 3073,  4095, 4096,
                                     4097, 7168, 8191, 8192, 8200, 12287, 20000};
    static uint8_t bytes[20000 + 64];
    uint64_t seed = 5;

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)check_random(&seed);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        for (size_t at = 0; at < 64; at += 13)
            for (uint32_t before = 0; before < 3; before++) {
                const uint32_t crc = before * 0x9e3779b9u;

                CHECK_EQ(crc32c(crc, bytes + at, lengths[i]),
                         crc_by_bits(crc, bytes + at, lengths[i]));
            }
}

CASE(dispatch, "every table is found by its name, and auto selects the last")
{
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    CHECK(count >= 1);
    CHECK_STR(kernels_name(tables[0]), "portable");
    for (size_t i = 0; i < count; i++)
        CHECK(kernels_select(kernels_name(tables[i])) == tables[i]);
    CHECK(kernels_select("auto") == tables[count - 1]);
    CHECK(kernels_select(NULL) == tables[count - 1]);
    CHECK(!kernels_select("sse9"));
}

CASE(names, "each encoding and element type is found by its name")
{
    for (unsigned e = 0; encoding_layout(e); e++) {
        enum trit_encoding found;
        CHECK(encoding_by_name(encoding_name(e), &found) && found == e);
    }
    enum trit_encoding untouched = TRIT_ENCODING_I2_S;
    CHECK(!encoding_by_name("q4_k", &untouched) && untouched == TRIT_ENCODING_I2_S);
    CHECK(!encoding_layout(77));
    CHECK_EQ(dtype_bytes(TRIT_BF16), 2);
    CHECK_EQ(dtype_bytes(TRIT_DTYPE_UNSPECIFIED), 0);
}

CASE(lost_scales, "a scale is lost if its type rounds it to 0 or infinity")
{
    const float f16_max = 65504.0f, half_smallest = 0x1p-25f; /* ties to 0 */

    CHECK(!scale_lost(TRIT_F16, 0) && !scale_lost(TRIT_F16, INFINITY));
    CHECK(!scale_lost(TRIT_F16, NAN) && !scale_lost(TRIT_F16, f16_max));
    CHECK(scale_lost(TRIT_F16, 65520.0f) && scale_lost(TRIT_F16, -65520.0f));
    CHECK(scale_lost(TRIT_F16, half_smallest));
    CHECK(!scale_lost(TRIT_F16, nextafterf(half_smallest, 1)));
    CHECK(scale_lost(TRIT_BF16, FLT_MAX) && scale_lost(TRIT_BF16, FLT_TRUE_MIN));
    CHECK(!scale_lost(TRIT_BF16, 1) && !scale_lost(TRIT_F32, FLT_MAX));
    CHECK(!scale_lost(TRIT_F32, FLT_TRUE_MIN));
}

/* One code after the other. */
static void count_flips(const uint8_t *from, const uint8_t *to, size_t count, size_t len,
                        uint64_t table[9])
{
    const size_t bytes = (len + 3) / 4;

    for (size_t g = 0; g < count; g++)
        for (size_t i = 0; i < len; i++) {
            const unsigned f = from[g * bytes + i / 4] >> 2 * (i % 4) & 3;
            const unsigned t = to[g * bytes + i / 4] >> 2 * (i % 4) & 3;
            if (f < 3 && t < 3)
                table[3 * f + t]++;
        }
}

CASE(long_flips, "transitions of long groups are counted, whatever their number")
{
    enum { BYTES = 13001 };
    static const uint8_t codes[] = {0x00, 0x55, 0xaa};
    static uint8_t from[BYTES], to[BYTES];
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t available = kernels_available(tables);

    for (size_t i = 0; i < available; i++)
        for (unsigned k = 0; k < 9; k++)
            for (size_t bytes = BYTES - 600; bytes <= BYTES; bytes += 37) {
                uint64_t want[9] = {0}, got[9] = {0};
                memset(from, codes[k / 3], bytes);
                memset(to, codes[k % 3], bytes);
                want[k] = 4 * bytes;
                transitions(tables[i], from, to, 1, 4 * bytes, got);
                CHECK_MEM(got, want, sizeof(want));
            }
}

CASE(flips, "transitions count every element once, never padding, on each ISA the same")
{
    enum { BYTES = 3 * 300 };
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t available = kernels_available(tables);
    uint8_t from[BYTES + 1], to[BYTES + 1];
    uint64_t seed = check_seed();

    for (size_t i = 0; i < sizeof(from); i++) { /* code 3, which is none, too */
        from[i] = (uint8_t)check_random(&seed);
        to[i] = (uint8_t)check_random(&seed);
    }
    for (size_t len = 1; len <= 1200; len++) {
        const size_t count = BYTES / ((len + 3) / 4);
        uint64_t want[9] = {0};

        count_flips(from + 1, to + 1, count, len, want);
        for (size_t i = 0; i < available; i++) {
            uint64_t got[9] = {0};

            transitions(tables[i], from + 1, to + 1, count, len, got);
            CHECK_MEM(got, want, sizeof(want));
        }
    }
}
