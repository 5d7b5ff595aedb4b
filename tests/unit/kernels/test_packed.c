/* SPDX-License-Identifier: Apache-2.0 */
/* Packed formats against blocks that other implementations wrote, and counts of sound
 * blocks against their definition. */
#include "kernels/kernels.h"
#include "tests/lib/check.h"
#include "tests/unit/kernels/golden.h"

static const enum trit_encoding formats[] = {
    TRIT_ENCODING_Q2_0,  TRIT_ENCODING_PQ2_0, TRIT_ENCODING_PTQ1_0,
    TRIT_ENCODING_TQ1_0, TRIT_ENCODING_TQ2_0, TRIT_ENCODING_MLX_2BIT,
    TRIT_ENCODING_I2_S,
};

enum { FORMATS = sizeof(formats) / sizeof(formats[0]), ELEMENTS = 1536 };

struct vectors {
    const float *input, *scales;
    const uint8_t *bytes;
    const int8_t *codes;
    size_t count, group, byte_count;
    bool scale_in_block;
};

static struct vectors vectors_of(const struct golden *file, enum trit_encoding encoding)
{
    const char *name = encoding_name(encoding);
    const struct golden_tensor bytes = golden_find(file, name, "bytes");
    const struct golden_tensor scales = golden_find(file, name, "scales");
    CHECK(bytes.data && scales.data);
    return (struct vectors){
        .input = golden_find(file, "vectors", "input").data,
        .scales = scales.data,
        .bytes = bytes.data,
        .codes = golden_find(file, name, "codes").data,
        .count = scales.elements,
        .group = ELEMENTS / scales.elements,
        .byte_count = bytes.elements,
        .scale_in_block = encoding_layout(encoding)->scales == SCALES_IN_BLOCK,
    };
}

static void pack_one(const struct kernels *table, enum trit_encoding encoding,
                     const struct vectors *v)
{
    uint8_t out[ELEMENTS];
    float scales[ELEMENTS / 64];
    struct ternary_counts counts;
    ternary_counts_init(&counts);
    const struct ternarize_job job = {
        .dtype = TRIT_F32,
        .count = v->count,
        .group_len = v->group,
        .divisor = v->group,
        .in = v->input,
        .encoding = encoding,
        .out = out,
        .scales = scales,
    };
    ternarize(table, &job, &counts);
    CHECK_MEM(out, v->bytes, v->byte_count);
    CHECK_MEM(scales, v->scales, v->count * sizeof(scales[0]));
}

static void unpack_one(const struct kernels *table, enum trit_encoding encoding,
                       const struct vectors *v)
{
    float out[ELEMENTS];
    struct unpack_refusal refused;
    const struct unpack_job job = {
        .encoding = encoding,
        .dtype = TRIT_F32,
        .count = v->count,
        .group_len = v->group,
        .in = v->bytes,
        .in_scales = v->scales,
        .out = out,
    };
    CHECK_EQ(unpack(table, &job, &refused), 0);
    for (size_t i = 0; i < ELEMENTS; i++) {
        const float s = v->scales[i / v->group];
        const float held = v->scale_in_block ? f16_to_f32(f32_to_f16(s)) : s;
        CHECK(out[i] == (float)v->codes[i] * held);
    }
}

static void each(void (*check)(const struct kernels *, enum trit_encoding,
                               const struct vectors *))
{
    struct golden file = golden_open("tests/data/packed_vectors.safetensors");
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    for (size_t f = 0; f < FORMATS; f++) {
        const struct vectors v = vectors_of(&file, formats[f]);
        for (size_t i = 0; i < count; i++)
            check(tables[i], formats[f], &v);
    }
    golden_close(&file);
}

CASE(packs, "packing writes the same blocks as gguf and as the formats' descriptions")
{
    each(pack_one);
}

CASE(unpacks, "blocks of gguf unpack to codes times the stored scale")
{
    each(unpack_one);
}

/* Groups of several blocks: the codes of the blocks alone, and d in each of them. */
CASE(repeats_scales, "each block of a group repeats the group's scale")
{
    static const struct {
        enum trit_encoding encoding;
        size_t blocks;
    } cases[] = {{TRIT_ENCODING_Q2_0, 2},
                 {TRIT_ENCODING_PQ2_0, 3},
                 {TRIT_ENCODING_PTQ1_0, 4},
                 {TRIT_ENCODING_TQ2_0, 2}};
    float in[1024];
    for (size_t i = 0; i < 1024; i++)
        in[i] = (float)((i * 7 + i / 64) % 23) - 11.0f;
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        const struct encoding_layout *layout = encoding_layout(cases[c].encoding);
        const size_t bytes = layout->block_bytes;
        uint8_t out[1024];
        float scale, unpacked[1024];
        int8_t codes[1024];
        struct ternary_counts counts;
        ternary_counts_init(&counts);
        struct ternarize_job job = {
            .dtype = TRIT_F32,
            .count = 1,
            .group_len = cases[c].blocks * layout->block_elements,
            .divisor = cases[c].blocks * layout->block_elements,
            .in = in,
            .encoding = TRIT_ENCODING_INT8,
            .out = codes,
            .scales = &scale,
        };
        ternarize(kernels_select(NULL), &job, &counts);
        job.encoding = cases[c].encoding;
        job.out = out;
        ternarize(kernels_select(NULL), &job, &counts);
        const uint16_t d = f32_to_f16(scale);
        struct unpack_refusal refused;
        const struct unpack_job back = {.encoding = cases[c].encoding,
                                        .dtype = TRIT_F32,
                                        .count = 1,
                                        .group_len = job.group_len,
                                        .in = out,
                                        .out = unpacked};
        CHECK_EQ(unpack(kernels_select(NULL), &back, &refused), 0);
        for (size_t i = 0; i < job.group_len; i++)
            CHECK(unpacked[i] == (float)codes[i] * f16_to_f32(d));
        for (size_t b = 0; b < cases[c].blocks; b++)
            CHECK_MEM(out + b * bytes + layout->scale_at, &d, sizeof(d));
    }
}

/* Every byte of base 3 decodes to digits 0..2; 13 of them no encoder writes. */
CASE(every_byte,
     "each base-3 byte decodes by the formula, and the encoder writes only 243 of them")
{
    uint32_t canonical = 0;
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t block[28], again[28];
        float out[128], scale;
        struct unpack_refusal refused;
        memset(block, (int)byte, 26);
        block[26] = 0x00; /* d = 1 */
        block[27] = 0x3c;
        const struct unpack_job back = {
            .encoding = TRIT_ENCODING_PTQ1_0,
            .dtype = TRIT_F32,
            .count = 1,
            .group_len = 128,
            .in = block,
            .out = out,
        };
        CHECK_EQ(unpack(kernels_select(NULL), &back, &refused), 0);
        for (size_t n = 0; n < 5; n++) {
            static const unsigned powers[] = {1, 3, 9, 27, 81};
            const unsigned digit = ((byte * powers[n] & 255) * 3) >> 8;
            CHECK(out[16 * n] == (float)digit - 1.0f);
        }
        struct ternary_counts counts;
        ternary_counts_init(&counts);
        const struct ternarize_job job = {
            .dtype = TRIT_F32,
            .count = 1,
            .group_len = 128,
            .divisor = 128,
            .in = out,
            .encoding = TRIT_ENCODING_PTQ1_0,
            .out = again,
            .scales = &scale,
        };
        ternarize(kernels_select(NULL), &job, &counts);
        canonical += again[0] == byte;
    }
    CHECK_EQ(canonical, 243);
}

/* Fills `blocks` blocks of 4 * `bytes` codes and counts what a verification should. */
static void fill_sound(uint8_t *block, size_t blocks, size_t bytes, uint64_t signs[3],
                       uint64_t *seed)
{
    for (size_t i = 0; i < blocks * (2 + bytes); i++) {
        const bool scale = i % (2 + bytes) < 2;

        block[i] = scale && i % (2 + bytes) == 1 ? 0x3c : 0;
        for (unsigned k = 0; !scale && k < 8; k += 2) {
            const unsigned code = (unsigned)(check_random(seed) % 3);

            block[i] |= (uint8_t)(code << k);
            signs[code]++;
        }
    }
}

CASE(sound_by_definition, "of sound groups of any length, counts are those of each code")
{
    enum { GROUPS = 5, BLOCKS = 400, BLOCK_MOST = 34 };
    static const size_t lengths[] = {1, 2, 3, 31, 64, 127, BLOCKS};
    static uint8_t in[GROUPS * BLOCKS * BLOCK_MOST];
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t table_count = kernels_available(tables);
    uint64_t seed = check_seed();

    for (size_t i = 0; i < 2 * sizeof(lengths) / sizeof(lengths[0]); i++) {
        const size_t bytes = i % 2 ? 16 : 32, blocks = lengths[i / 2];
        uint64_t signs[3] = {0};
        float scales[GROUPS];
        const struct verify_job job = {.encoding = i % 2 ? TRIT_ENCODING_Q2_0
                                                         : TRIT_ENCODING_PQ2_0,
                                       .count = GROUPS,
                                       .group_len = 4 * bytes * blocks,
                                       .in = in,
                                       .divisor = (uint32_t)(4 * bytes * blocks),
                                       .scales = scales};

        fill_sound(in, GROUPS * blocks, bytes, signs, &seed);
        for (size_t t = 0; t < table_count; t++) {
            struct ternary_counts counts;
            struct ternary_check check;

            ternary_counts_init(&counts);
            ternary_check_init(&check);
            verify(tables[t], &job, &counts, &check);
            CHECK_EQ(counts.negatives, signs[0]);
            CHECK_EQ(counts.zeros, signs[1]);
            CHECK_EQ(counts.positives, signs[2]);
            CHECK_EQ(check.valid, GROUPS * job.group_len);
        }
    }
}

enum { RUN = 101, RUN_LEN = 128, RUN_BYTES_MOST = RUN * 36 };

/* What a verification of groups gives. */
struct verified {
    struct ternary_counts counts;
    struct ternary_check check;
    float scales[RUN];
    uint8_t codes[RUN * RUN_LEN / 4], inexact[RUN];
};

/* Verifies them in runs of `each` groups. */
static void verify_in_runs(const struct kernels *table, enum trit_encoding encoding,
                           const uint8_t *in, size_t each, struct verified *to)
{
    const size_t group = (size_t)(RUN_LEN / encoding_layout(encoding)->block_elements) *
                         encoding_layout(encoding)->block_bytes;

    ternary_counts_init(&to->counts);
    ternary_check_init(&to->check);
    for (size_t at = 0; at < RUN; at += each) {
        struct ternary_counts counts;
        struct ternary_check check;
        const struct verify_job job = {.encoding = encoding,
                                       .count = at + each < RUN ? each : RUN - at,
                                       .group_len = RUN_LEN,
                                       .in = in + at * group,
                                       .divisor = RUN_LEN,
                                       .scales = to->scales + at,
                                       .inexact = to->inexact + at,
                                       .codes = to->codes + at * RUN_LEN / 4};

        ternary_counts_init(&counts);
        ternary_check_init(&check);
        verify(table, &job, &counts, &check);
        ternary_counts_add(&to->counts, &counts, at * RUN_LEN, at);
        ternary_check_add(&to->check, &check, at * RUN_LEN, at);
    }
}

static void compare_runs(enum trit_encoding encoding, const uint8_t *in)
{
    static struct verified one, all;
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t table_count = kernels_available(tables);

    verify_in_runs(kernels_select("portable"), encoding, in, 1, &one);
    for (size_t t = 0; t < table_count; t++) {
        verify_in_runs(tables[t], encoding, in, RUN, &all);
        CHECK_MEM(&one.counts, &all.counts, sizeof(one.counts));
        CHECK_MEM(&one.check, &all.check, sizeof(one.check));
        CHECK_MEM(one.scales, all.scales, sizeof(one.scales));
        CHECK_MEM(one.codes, all.codes, sizeof(one.codes));
        CHECK_MEM(one.inexact, all.inexact, sizeof(one.inexact));
    }
}

CASE(
    long_packed_runs,
    "a long run of packed groups gives what they give one by one, whichever of them is odd")
{
    /* A group's scale, and what the bits of its first codes become. */
    static const struct {
        uint16_t scale;
        uint8_t set, keep;
    } odd[] = {
        {0x3c00, 0x03, 0xff}, /* a code 3 */
        {0xbc00, 0, 0xff},    /* a negative scale */
        {0x7e00, 0, 0xff},    /* a scale that is NaN */
        {0x0000, 0x02, 0xfc}, /* a scale of 0, and a weight that is not */
        {0x0001, 0, 0xff},    /* the least scale */
    };
    static const size_t places[] = {0, 15, 47, 48, 95, 96, RUN - 1};
    static uint8_t in[RUN_BYTES_MOST];
    uint64_t signs[3], seed = check_seed();

    for (size_t i = 0; i < 2 * sizeof(places) / sizeof(places[0]); i++) {
        const enum trit_encoding encoding =
            i % 2 ? TRIT_ENCODING_Q2_0 : TRIT_ENCODING_PQ2_0;
        const size_t bytes = i % 2 ? 16 : 32, blocks = RUN_LEN / 4 / bytes;
        uint8_t *at = in + places[i / 2] * blocks * (2 + bytes);

        for (size_t k = 0; k < sizeof(odd) / sizeof(odd[0]); k++) {
            fill_sound(in, RUN * blocks, bytes, signs, &seed);
            for (size_t b = 0; b < blocks; b++)
                memcpy(at + b * (2 + bytes), &odd[k].scale, sizeof(odd[k].scale));
            at[2] = (uint8_t)((at[2] & odd[k].keep) | odd[k].set);
            compare_runs(encoding, in);
        }
        fill_sound(in, RUN * blocks, bytes, signs, &seed);
        for (size_t b = 0; b < blocks; b++) /* all of the group is 0 */
            memset(at + b * (2 + bytes) + 2, 0x55, bytes);
        compare_runs(encoding, in);
    }
}
