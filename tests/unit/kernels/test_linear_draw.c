/* SPDX-License-Identifier: Apache-2.0 */
/* Draws: known answers of the generator, the distribution, every split. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/linear/draw.h"
#include "kernels/linear/linear.h"
#include "tests/lib/check.h"

/* From Random123's kat_vectors, philox4x32 with 10 rounds. */
CASE(known_answers, "Philox 4x32-10 gives its known answers")
{
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } vectors[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        uint32_t out[4];
        philox4x32(vectors[i].counter, vectors[i].key, out);
        CHECK_MEM(out, vectors[i].out, sizeof(out));
    }
}

/* The quantile inverts erfc. The other values are the test values of AS 241. */
CASE(quantiles, "the quantile inverts the distribution")
{
    CHECK(fabs(normal_quantile(0.25) + 0.6744897501960817) < 1e-15);
    CHECK(fabs(normal_quantile(0.001) + 3.090232306167814) < 1e-14);
    CHECK(fabs(normal_quantile(1e-20) + 9.262340089798408) < 1e-14);
    CHECK(normal_quantile(0.5) == 0.0);
    for (int i = 1; i < 4000; i++) {
        const double p = i / 4000.0;
        CHECK(fabs(0.5 * erfc(-normal_quantile(p) / sqrt(2.0)) - p) <= 4e-16);
        CHECK(normal_quantile(p) > normal_quantile(p - 0x1p-40));
    }
    for (double p = 0.5; p > 0x1p-54; p *= 0.7) {
        const double back = 0.5 * erfc(-normal_quantile(p) / sqrt(2.0));
        CHECK(fabs(back - p) <= 1e-13 * p);
    }
}

CASE(normal, "a million draws have the moments of N(0, 1)")
{
    enum { COUNT = 1 << 20 };
    float *z = malloc(COUNT * sizeof(*z));
    CHECK(z);
    linear_draw(7, 1.0, 0, COUNT, z);
    double moments[5] = {0}, neighbours = 0;
    for (int i = 0; i < COUNT; i++) {
        const double value = (double)z[i];
        double power = 1;
        for (int k = 1; k <= 4; k++)
            moments[k] += (power *= value) / COUNT;
        neighbours += i ? value * (double)z[i - 1] / COUNT : 0;
    }
    /* The moments 0, 1, 0, 3 have deviations sqrt of 1, 2, 15, 96, over n: within 5. */
    const double unit = 5.0 / sqrt((double)COUNT);
    CHECK(fabs(moments[1]) < unit);
    CHECK(fabs(moments[2] - 1) < unit * sqrt(2.0));
    CHECK(fabs(moments[3]) < unit * sqrt(15.0));
    CHECK(fabs(moments[4] - 3) < unit * sqrt(96.0));
    CHECK(fabs(neighbours) < unit);
    free(z);
}

CASE(any_split, "the numbers drawn do not depend on the split")
{
    enum { COUNT = 1000 };
    uint64_t state = check_seed();
    const uint64_t seed = check_random(&state), base = check_random(&state) >> 1;
    float whole[COUNT], parts[COUNT];
    linear_draw(seed, 0.125, base, COUNT, whole);
    for (uint64_t first = 0; first < COUNT;) {
        uint64_t count = 1 + check_random(&state) % 9;
        if (count > COUNT - first)
            count = COUNT - first;
        linear_draw(seed, 0.125, base + first, count, parts + first);
        first += count;
    }
    CHECK_MEM(parts, whole, sizeof(whole));
}

CASE(seeds_differ, "draws depend on the seed and the deviation")
{
    float a[8], b[8], c[8];
    linear_draw(1, 1.0, 0, 8, a);
    linear_draw(2, 1.0, 0, 8, b);
    linear_draw(1 | 1ull << 32, 1.0, 0, 8, c);
    CHECK(memcmp(a, b, sizeof(a)) != 0 && memcmp(a, c, sizeof(a)) != 0);
    linear_draw(1, 0.5, 0, 8, b);
    for (int i = 0; i < 8; i++)
        CHECK(b[i] == 0.5f * a[i]);
}

/* FNV-1a of the bits, the same on every machine. */
CASE(same_bits, "draws have the same bits on every machine")
{
    enum { COUNT = 100000 };
    float *z = malloc(COUNT * sizeof(*z));
    CHECK(z);
    linear_draw(42, 0.015625, 0, COUNT, z);
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < COUNT * sizeof(*z); i++)
        hash = (hash ^ ((const uint8_t *)z)[i]) * 0x100000001b3u;
    free(z);
    CHECK_EQ(hash, 10724750445382782739u);
}
