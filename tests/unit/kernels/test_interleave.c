/* SPDX-License-Identifier: Apache-2.0 */
/* The order whose block is the tensor: against the description, and the whole way from
 * latents against vectors of an independent packer. */
#include <stdio.h>

#include "kernels/interleave.h"
#include "kernels/kernels.h"
#include "tests/lib/check.h"
#include "tests/unit/kernels/golden.h"

enum { ELEMENTS_MAX = 4 * 5000, GUARD = 64 };

static uint8_t code_of(const uint8_t *codes, size_t i)
{
    return (uint8_t)(codes[i / 4] >> 2 * (i % 4) & 3);
}

static void check_one(size_t elements, uint64_t *seed)
{
    static uint8_t all_codes[ELEMENTS_MAX / 4], out[ELEMENTS_MAX / 4 + GUARD];
    static int8_t t[ELEMENTS_MAX + GUARD];
    const size_t bytes = elements / 4;
    uint8_t *codes = all_codes + sizeof(all_codes) - bytes; /* what follows is poisoned */

    for (size_t i = 0; i < bytes; i++)
        codes[i] = (uint8_t)check_random(seed);
    memset(out, 0xa5, sizeof(out));
    memset(t, 0x5a, sizeof(t));
    interleave(codes, elements, out);
    deinterleave(out, elements, t);
    for (size_t i = 0; i < elements; i++) {
        CHECK_EQ(out[i % bytes] >> 2 * (i / bytes) & 3, code_of(codes, i));
        CHECK_EQ(t[i], code_of(codes, i) - 1);
    }
    for (size_t i = 0; i < GUARD; i++)
        CHECK(out[bytes + i] == 0xa5 && t[elements + i] == 0x5a);
}

CASE(as_described,
     "every element is at its documented position, and nothing beyond is written")
{
    uint64_t seed = check_seed();

    for (size_t elements = 4; elements <= 600; elements += 4)
        check_one(elements, &seed);
    for (size_t bytes = 1020; bytes <= 1030; bytes++)
        check_one(4 * bytes, &seed);
    for (int i = 0; i < 100; i++)
        check_one(4 * (1 + check_random(&seed) % (ELEMENTS_MAX / 4)), &seed);
}

static void compare_vector(const struct kernels *table, const struct golden *file,
                           const char *name)
{
    const float *input = golden_find(file, "vectors", "input").data;
    const struct golden_tensor bytes = golden_find(file, name, "bytes");
    const struct golden_tensor trits = golden_find(file, name, "codes");
    const struct golden_tensor scales = golden_find(file, name, "scales");
    uint8_t codes[1536 / 4], out[1536 / 4];
    int8_t t[1536];
    float scale;
    struct ternary_counts counts;
    const struct ternarize_job job = {.dtype = TRIT_F32,
                                      .count = 1,
                                      .group_len = trits.elements,
                                      .divisor = trits.elements,
                                      .in = input,
                                      .scales = &scale,
                                      .codes = codes};

    CHECK(bytes.data && trits.data && scales.data && trits.elements <= sizeof(t));
    ternary_counts_init(&counts);
    ternarize(table, &job, &counts);
    CHECK_MEM(&scale, scales.data, sizeof(scale));
    interleave(codes, trits.elements, out);
    CHECK_MEM(out, bytes.data, bytes.elements);
    deinterleave(bytes.data, trits.elements, t);
    CHECK_MEM(t, trits.data, trits.elements);
}

CASE(as_packed_elsewhere,
     "packing gives the bytes of an independent packer, and unpacking reverses it")
{
    static const char *const names[] = {"hf_bitnet_4x1",    "hf_bitnet_4x3",
                                        "hf_bitnet_12x128", "hf_bitnet_8x129",
                                        "hf_bitnet_4x383",  "hf_bitnet_508x3"};
    struct golden file = golden_open("tests/data/packed_vectors.safetensors");
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);

    for (size_t i = 0; i < count; i++)
        for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
            compare_vector(tables[i], &file, names[n]);
    golden_close(&file);
}
