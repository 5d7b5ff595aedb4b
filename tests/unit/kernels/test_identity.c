/* SPDX-License-Identifier: Apache-2.0 */
/* Every table gives the portable table's bits, whatever it is fed. */
#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "tests/lib/check.h"
#include "tests/lib/kernel_inputs.h"

enum { LEN_MAX = 1025 };

static const enum trit_dtype dtypes[] = {TRIT_F32, TRIT_F16, TRIT_BF16};

/* What a job is about; everything else follows from it. */
struct shape {
    enum trit_dtype dtype;
    enum trit_encoding encoding;
    size_t count, len, divisor;
    enum input_kind kind;
};

struct outputs {
    struct guarded out, scales, codes, sums, inexact;
    struct ternary_counts counts;
    struct ternary_check check;
};

static size_t out_bytes(const struct shape *shape)
{
    const struct encoding_layout *layout = encoding_layout(shape->encoding);
    const size_t elements = shape->count * shape->len;
    return layout->block_bytes == 0
               ? elements * dtype_bytes(shape->dtype)
               : elements / layout->block_elements * layout->block_bytes;
}

static struct outputs outputs_create(const struct shape *shape, uint64_t *seed)
{
    struct outputs to = {
        .out = guarded_create(out_bytes(shape), check_random(seed) % EDGE_BYTES),
        .scales = guarded_create(shape->count * sizeof(float), 0),
        .codes = guarded_create(shape->count * ((shape->len + 3) / 4),
                                check_random(seed) % EDGE_BYTES),
        .sums = guarded_create(shape->count * sizeof(struct group_sums), 0),
        .inexact = guarded_create(shape->count, 0),
    };
    ternary_counts_init(&to.counts);
    ternary_check_init(&to.check);
    return to;
}

static void outputs_destroy(struct outputs *to)
{
    guarded_destroy(&to->out);
    guarded_destroy(&to->scales);
    guarded_destroy(&to->codes);
    guarded_destroy(&to->sums);
    guarded_destroy(&to->inexact);
}

/* Scales, and the codes of groups whose scale is finite. */
static void expect_same_finite(const struct outputs *a, const struct outputs *b)
{
    const float *scales = (const float *)(const void *)a->scales.bytes;
    const size_t groups = a->scales.count / sizeof(float);
    const size_t bytes = a->codes.count / groups;
    CHECK_MEM(a->scales.bytes, b->scales.bytes, a->scales.count);
    for (size_t g = 0; g < groups; g++)
        if (scales[g] < INFINITY)
            CHECK_MEM(a->codes.bytes + g * bytes, b->codes.bytes + g * bytes, bytes);
}

static void expect_same(const struct outputs *a, const struct outputs *b)
{
    CHECK_EQ(a->counts.non_finite, b->counts.non_finite);
    CHECK_EQ(a->counts.first_non_finite, b->counts.first_non_finite);
    if (a->counts.non_finite > 0) {
        expect_same_finite(a, b);
        return; /* the other outputs mean nothing */
    }
    CHECK_MEM(a->scales.bytes, b->scales.bytes, a->scales.count);
    CHECK_MEM(a->codes.bytes, b->codes.bytes, a->codes.count);
    CHECK_MEM(a->out.bytes, b->out.bytes, a->out.count);
    CHECK_MEM(a->sums.bytes, b->sums.bytes, a->sums.count);
    CHECK_MEM(&a->counts, &b->counts, sizeof(a->counts));
}

static struct ternarize_job job_of(const struct shape *shape, const void *in,
                                   struct outputs *to, bool stream)
{
    return (struct ternarize_job){
        .dtype = shape->dtype,
        .count = shape->count,
        .group_len = shape->len,
        .divisor = shape->divisor,
        .in = in,
        .encoding = shape->encoding,
        .out = to->out.bytes,
        .scales = (float *)(void *)to->scales.bytes,
        .codes = to->codes.bytes,
        .sums = (struct group_sums *)(void *)to->sums.bytes,
        .stream_stores = stream,
    };
}

static void compare_ternarize(const struct shape *shape, uint64_t *seed)
{
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    struct guarded in =
        guarded_create(shape->count * shape->len * dtype_bytes(shape->dtype),
                       check_random(seed) % EDGE_BYTES);
    input_fill(in.bytes, shape->dtype, shape->kind, shape->count, shape->len, seed);
    struct outputs want = outputs_create(shape, seed);
    struct ternarize_job job = job_of(shape, in.bytes, &want, false);
    ternarize(tables[0], &job, &want.counts);
    for (size_t i = 1; i < count; i++) {
        struct outputs got = outputs_create(shape, seed);
        job = job_of(shape, in.bytes, &got, check_random(seed) % 2);
        job.ahead = check_random(seed) % 2 ? in.bytes : NULL;
        ternarize(tables[i], &job, &got.counts);
        expect_same(&want, &got);
        outputs_destroy(&got);
    }
    if (shape->encoding == TRIT_ENCODING_DENSE) { /* in place */
        struct outputs got = outputs_create(shape, seed);
        job = job_of(shape, in.bytes, &got, false);
        job.out = in.bytes;
        ternarize(tables[count - 1], &job, &got.counts);
        memcpy(got.out.bytes, in.bytes, in.count);
        expect_same(&want, &got);
        outputs_destroy(&got);
    }
    outputs_destroy(&want);
    guarded_destroy(&in);
}

CASE(every_length,
     "all tables give the same bits for lengths from 1 to 1025 and any alignment")
{
    uint64_t seed = check_seed();
    for (size_t len = 1; len <= LEN_MAX; len++)
        for (int i = 0; i < 6; i++) {
            const struct shape shape = {
                .dtype = dtypes[i % 3],
                .encoding = i < 3 ? TRIT_ENCODING_DENSE : TRIT_ENCODING_INT8,
                .count = 1 + check_random(&seed) % 3,
                .len = len,
                .divisor =
                    len + (check_random(&seed) % 2 ? check_random(&seed) % 200 : 0),
                .kind = check_random(&seed) % INPUT_KINDS,
            };
            compare_ternarize(&shape, &seed);
        }
}

CASE(every_kind, "all tables give the same bits for every kind of input")
{
    static const size_t lengths[] = {1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 256, 4096};
    uint64_t seed = check_seed();
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        for (unsigned kind = 0; kind < INPUT_KINDS; kind++)
            for (unsigned d = 0; d < 3; d++) {
                const struct shape shape = {dtypes[d],  TRIT_ENCODING_DENSE, 20,
                                            lengths[i], lengths[i],          kind};
                compare_ternarize(&shape, &seed);
            }
}

/* A group length that the encoding holds. */
static size_t any_length(const struct encoding_layout *layout, uint64_t *seed)
{
    const uint64_t random = check_random(seed);
    if (layout->group_size)
        return random % 2 ? layout->group_size : layout->block_elements;
    return layout->block_elements > 1 ? layout->block_elements * (1 + random % 4)
                                      : 1 + random % 300;
}

CASE(every_encoding, "all tables give the same bits for every encoding")
{
    uint64_t seed = check_seed();
    for (unsigned e = TRIT_ENCODING_INT8; e <= TRIT_ENCODING_HF_BITNET; e++) {
        const struct encoding_layout *layout = encoding_layout(e);
        if (layout->interleaved)
            continue;
        for (unsigned kind = 0; kind < INPUT_KINDS; kind++)
            for (unsigned d = 0; d < 3; d++) {
                const size_t len = any_length(layout, &seed);
                const struct shape shape = {dtypes[d], e, 37, len, len, kind};
                compare_ternarize(&shape, &seed);
            }
    }
}

CASE(every_report,
     "all tables give the same bits for reports on 2-bit codes, int8 and dense output")
{
    static const enum trit_encoding encodings[] = {
        TRIT_ENCODING_PQ2_0, TRIT_ENCODING_Q2_0, TRIT_ENCODING_INT8, TRIT_ENCODING_DENSE};
    uint64_t seed = check_seed();
    for (size_t i = 0; i < 60; i++)
        for (unsigned kind = 0; kind < INPUT_KINDS; kind++) {
            const enum trit_encoding encoding = encodings[check_random(&seed) % 4];
            const size_t block = encoding == TRIT_ENCODING_PQ2_0 ? 128 : 64;
            const size_t len = block * (1 + check_random(&seed) % (i < 20 ? 8 : 2));
            const struct shape shape = {.dtype = dtypes[i % 4 % 3], /* half of them f32 */
                                        .encoding = encoding,
                                        .count = 1 + check_random(&seed) % 40,
                                        .len = len,
                                        .divisor =
                                            i % 3 ? len : 1 + check_random(&seed) % 800,
                                        .kind = kind};
            compare_ternarize(&shape, &seed);
        }
}

/* ---- long runs --------------------------------------------------------------------- */

/* The same job in pieces of `step` groups, which all tables take another way through. */
static void ternarize_pieces(const struct kernels *table,
                             const struct ternarize_job *whole, size_t in_bytes,
                             size_t out_group, size_t step, struct ternary_counts *counts)
{
    for (size_t g = 0; g < whole->count; g += step) {
        struct ternarize_job job = *whole;
        struct ternary_counts piece;
        job.count = whole->count - g < step ? whole->count - g : step;
        job.in = (const uint8_t *)whole->in + g * in_bytes;
        job.out = (uint8_t *)whole->out + g * out_group;
        job.scales = whole->scales + g;
        job.codes = whole->codes + g * ((whole->group_len + 3) / 4);
        job.sums = whole->sums + g;
        job.stream_stores = false;
        ternary_counts_init(&piece);
        ternarize(table, &job, &piece);
        ternary_counts_add(counts, &piece, g * whole->group_len, g);
    }
}

static void compare_long(const struct shape *shape, enum tally_detail tally,
                         uint64_t *seed)
{
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    const size_t in_bytes = shape->len * dtype_bytes(shape->dtype);
    struct guarded in = guarded_create(shape->count * in_bytes, 0);
    input_fill(in.bytes, shape->dtype, shape->kind, shape->count, shape->len, seed);
    struct outputs want = outputs_create(shape, seed);
    struct ternarize_job job = job_of(shape, in.bytes, &want, false);
    job.tally = tally;
    ternarize_pieces(tables[0], &job, in_bytes, out_bytes(shape) / shape->count, 33,
                     &want.counts);
    if (tally != TALLY_ALL)
        CHECK_EQ(want.counts.near_threshold, 0);
    if (tally == TALLY_NONE)
        CHECK_EQ(want.counts.negatives + want.counts.zeros + want.counts.positives, 0);
    for (size_t i = 0; i < count; i++) {
        struct outputs got = outputs_create(shape, seed);
        job = job_of(shape, in.bytes, &got, check_random(seed) % 2);
        job.tally = tally;
        ternarize(tables[i], &job, &got.counts);
        expect_same(&want, &got);
        outputs_destroy(&got);
    }
    outputs_destroy(&want);
    guarded_destroy(&in);
}

/* Runs too long for L2, of groups that divide a block and that do not. */
CASE(long_runs, "a long run gives the same bits as its pieces")
{
    static const enum trit_encoding encodings[] = {
        TRIT_ENCODING_DENSE, TRIT_ENCODING_INT8, TRIT_ENCODING_PQ2_0,
        TRIT_ENCODING_TQ2_0};
    static const size_t lengths[] = {128, 256, 1024, 77};
    const size_t elements = 600000;
    uint64_t seed = check_seed();
    for (size_t e = 0; e < 4; e++)
        for (size_t l = 0; l < 4; l++)
            for (unsigned d = 0; d < 3; d++) {
                const size_t len = lengths[l];
                if (encodings[e] > TRIT_ENCODING_INT8 && len % 256 != 0)
                    continue;
                const struct shape shape = {
                    dtypes[d],
                    encodings[e],
                    elements / len * (dtypes[d] == TRIT_F32 ? 1 : 2),
                    len,
                    len,
                    check_random(&seed) % INPUT_NON_FINITE};
                for (int tally = TALLY_ALL; tally <= TALLY_NONE; tally++)
                    compare_long(&shape, (enum tally_detail)tally, &seed);
            }
}

/* The same output, scales and counts where neither codes nor sums are asked for. */
static void compare_output_alone(const struct shape *shape, uint64_t *seed)
{
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    struct guarded in =
        guarded_create(shape->count * shape->len * dtype_bytes(shape->dtype),
                       check_random(seed) % EDGE_BYTES);
    input_fill(in.bytes, shape->dtype, shape->kind, shape->count, shape->len, seed);
    for (int tally = TALLY_ALL; tally <= TALLY_NONE; tally++) {
        struct outputs want = outputs_create(shape, seed);
        struct ternarize_job job = job_of(shape, in.bytes, &want, false);
        job.tally = (enum tally_detail)tally;
        ternarize(tables[0], &job, &want.counts);
        for (size_t i = 0; i < count; i++) {
            struct outputs got = outputs_create(shape, seed);
            job.out = got.out.bytes;
            job.scales = (float *)(void *)got.scales.bytes;
            job.codes = NULL;
            job.sums = NULL;
            ternarize(tables[i], &job, &got.counts);
            CHECK_MEM(want.out.bytes, got.out.bytes, want.out.count);
            CHECK_MEM(want.scales.bytes, got.scales.bytes, want.scales.count);
            CHECK_MEM(&want.counts, &got.counts, sizeof(want.counts));
            outputs_destroy(&got);
        }
        outputs_destroy(&want);
    }
    guarded_destroy(&in);
}

CASE(output_alone, "2-bit codes are the same bits where nothing else is asked for")
{
    static const size_t counts[] = {1, 2, 15, 16, 33, 4200}; /* the last is not in L2 */
    static const enum trit_encoding encodings[] = {TRIT_ENCODING_PQ2_0,
                                                   TRIT_ENCODING_Q2_0};
    uint64_t seed = check_seed();
    for (size_t i = 0; i < 6; i++)
        for (size_t e = 0; e < 2; e++)
            for (unsigned d = 0; d < 3; d++) {
                const size_t len = e ? 64 * (1 + check_random(&seed) % 3) : 128;
                const struct shape shape = {
                    dtypes[d], encodings[e], counts[i],
                    len,       len,          check_random(&seed) % INPUT_NON_FINITE};
                compare_output_alone(&shape, &seed);
            }
}

/* ---- verify and unpack ------------------------------------------------------------ */

static void run_verify(const struct kernels *table, const struct shape *shape,
                       const void *in, const float *scales, const void *reference,
                       float tolerance, struct outputs *to)
{
    const struct verify_job job = {
        .encoding = shape->encoding,
        .dtype = shape->dtype,
        .count = shape->count,
        .group_len = shape->len,
        .tolerance = tolerance,
        .in = in,
        .in_scales = scales,
        .reference = reference,
        .reference_dtype = shape->dtype,
        .divisor = shape->divisor,
        .scales = (float *)(void *)to->scales.bytes,
        .codes = to->codes.bytes,
        .sums = reference ? (struct group_sums *)(void *)to->sums.bytes : NULL,
        .inexact = to->inexact.bytes,
    };
    verify(table, &job, &to->counts, &to->check);
}

static void compare_verify(const struct shape *shape, const void *in, const float *scales,
                           const void *reference, uint64_t *seed)
{
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    const float tolerance = check_random(seed) % 2 ? 0.0f : 1e-5f;
    struct outputs want = outputs_create(shape, seed);
    run_verify(tables[0], shape, in, scales, reference, tolerance, &want);
    for (size_t i = 1; i < count; i++) {
        struct outputs got = outputs_create(shape, seed);
        run_verify(tables[i], shape, in, scales, reference, tolerance, &got);
        CHECK_MEM(&want.counts, &got.counts, sizeof(want.counts));
        CHECK_MEM(&want.check, &got.check, sizeof(want.check));
        CHECK_MEM(want.codes.bytes, got.codes.bytes, want.codes.count);
        CHECK_MEM(want.scales.bytes, got.scales.bytes, want.scales.count);
        CHECK_MEM(want.inexact.bytes, got.inexact.bytes, want.inexact.count);
        if (shape->kind != INPUT_NON_FINITE)
            CHECK_MEM(want.sums.bytes, got.sums.bytes, want.sums.count);
        outputs_destroy(&got);
    }
    outputs_destroy(&want);
}

CASE(dense_verification, "all tables report the same about dense claims")
{
    uint64_t seed = check_seed();
    for (size_t len = 1; len <= 300; len++)
        for (unsigned kind = 0; kind < INPUT_KINDS; kind++) {
            const struct shape shape = {
                dtypes[len % 3], TRIT_ENCODING_DENSE, 3, len, len, kind};
            const size_t bytes = shape.count * len * dtype_bytes(shape.dtype);
            struct guarded in = guarded_create(bytes, check_random(&seed) % EDGE_BYTES);
            struct guarded latents =
                guarded_create(bytes, check_random(&seed) % EDGE_BYTES);
            input_fill(in.bytes, shape.dtype, kind, shape.count, len, &seed);
            input_fill(latents.bytes, shape.dtype, kind, shape.count, len, &seed);
            compare_verify(&shape, in.bytes, NULL, NULL, &seed);
            compare_verify(&shape, in.bytes, NULL, latents.bytes, &seed);
            guarded_destroy(&in);
            guarded_destroy(&latents);
        }
}

static void compare_unpack(const struct shape *shape, const void *in, const float *scales,
                           uint64_t *seed)
{
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    const size_t bytes = shape->count * shape->len * dtype_bytes(shape->dtype);
    struct guarded want = guarded_create(bytes, check_random(seed) % EDGE_BYTES);
    struct unpack_refusal first = {.element = UINT64_MAX};
    for (size_t i = 0; i < count; i++) {
        struct guarded got = guarded_create(bytes, check_random(seed) % EDGE_BYTES);
        struct unpack_job job = {
            .encoding = shape->encoding,
            .dtype = shape->dtype,
            .count = shape->count,
            .group_len = shape->len,
            .in = in,
            .in_scales = scales,
            .out = i ? got.bytes : want.bytes,
        };
        struct unpack_refusal refused = {.element = UINT64_MAX};
        const int result = unpack(tables[i], &job, &refused);
        CHECK(result == 0 || refused.fault == UNPACK_SCALE);
        if (i == 0)
            first = refused;
        CHECK_EQ(refused.element, first.element);
        job.keeps_non_finite = true;
        CHECK_EQ(unpack(tables[i], &job, &refused), 0);
        if (i)
            CHECK_MEM(want.bytes, got.bytes, bytes);
        guarded_destroy(&got);
    }
    guarded_destroy(&want);
}

/* Packs latents, then verifies and unpacks; then flips bits and verifies again. */
static void packed_round(const struct shape *shape, uint64_t *seed)
{
    const struct kernels *portable = kernels_select("portable");
    struct guarded latents =
        guarded_create(shape->count * shape->len * dtype_bytes(shape->dtype),
                       check_random(seed) % EDGE_BYTES);
    input_fill(latents.bytes, shape->dtype, shape->kind, shape->count, shape->len, seed);
    struct outputs packed = outputs_create(shape, seed);
    const struct ternarize_job job = job_of(shape, latents.bytes, &packed, false);
    ternarize(portable, &job, &packed.counts);
    const float *scales = (const float *)(const void *)packed.scales.bytes;
    compare_unpack(shape, packed.out.bytes, scales, seed);
    compare_verify(shape, packed.out.bytes, scales, NULL, seed);
    compare_verify(shape, packed.out.bytes, scales, latents.bytes, seed);
    for (int i = 0; i < 8; i++)
        packed.out.bytes[check_random(seed) % packed.out.count] ^=
            (uint8_t)(1u << check_random(seed) % 8);
    compare_verify(shape, packed.out.bytes, scales, NULL, seed);
    outputs_destroy(&packed);
    guarded_destroy(&latents);
}

CASE(packed_verification,
     "all tables report the same about packed claims and unpack them to the same bits")
{
    uint64_t seed = check_seed();
    for (unsigned e = TRIT_ENCODING_INT8; e <= TRIT_ENCODING_HF_BITNET; e++) {
        const struct encoding_layout *layout = encoding_layout(e);
        for (size_t i = 0; !layout->interleaved && i < 60; i++) {
            const size_t len = any_length(layout, &seed);
            const struct shape shape = {dtypes[i % 3], e,   5,
                                        len,           len, i % INPUT_NON_FINITE};
            packed_round(&shape, &seed);
        }
    }
}

CASE(self_test, "every table passes its known-answer test")
{
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    char message[256] = "";
    for (size_t i = 0; i < count; i++) {
        kernels_selftest(tables[i], message, sizeof(message));
        CHECK_STR(message, "");
    }
}
