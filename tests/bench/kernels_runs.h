/* SPDX-License-Identifier: Apache-2.0 */
/* Part of bench_kernels: what is measured, and on which memory. */
#ifndef BENCH_KERNELS_RUNS_H
#define BENCH_KERNELS_RUNS_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "tests/bench/limits.h"

enum { GROUP = 128 };

struct buffers {
    uint8_t *in, *half, *dense, *out; /* latents f32, bf16; ternary f32; results */
    float *scales;
    /* Of small_bytes: the projection of `in`; codes and sums. */
    uint8_t *claim, *codes;
    struct group_sums *sums;
};

/* The part of one thread: the same bytes of every buffer. */
struct slice {
    const struct buffers *buffers;
    size_t begin, bytes;
    uint64_t nops; /* of read_busy */
};

static inline void run_project(const struct kernels *kernels, const struct slice *slice,
                               enum trit_dtype dtype, enum trit_encoding encoding,
                               enum tally_detail tally)
{
    const size_t size = dtype_bytes(dtype),
                 group = encoding == TRIT_ENCODING_DENSE ||
                                 encoding == TRIT_ENCODING_PQ2_0 ||
                                 encoding == TRIT_ENCODING_PTQ1_0
                             ? GROUP
                             : 256;
    const uint8_t *in = dtype == TRIT_F32 ? slice->buffers->in : slice->buffers->half;
    struct ternary_counts counts;
    ternary_counts_init(&counts);
    const struct ternarize_job job = {
        .dtype = dtype,
        .count = slice->bytes / size / group,
        .group_len = group,
        .divisor = group,
        .in = in + slice->begin,
        .encoding = encoding,
        .out = slice->buffers->out + slice->begin,
        .scales = slice->buffers->scales + slice->begin / size / group,
        .tally = tally,
        .stream_stores = slice->bytes > (size_t)32 << 20,
    };
    ternarize(kernels, &job, &counts);
    if (counts.non_finite)
        abort();
}

static inline void dense_f32(const struct kernels *kernels, const struct slice *slice)
{
    run_project(kernels, slice, TRIT_F32, TRIT_ENCODING_DENSE, TALLY_NONE);
}

static inline void pack_f32(const struct kernels *kernels, const struct slice *slice)
{
    run_project(kernels, slice, TRIT_F32, TRIT_ENCODING_PQ2_0, TALLY_NONE);
}

/* The same with all that a full report counts. */
static inline void dense_counted(const struct kernels *kernels, const struct slice *slice)
{
    run_project(kernels, slice, TRIT_F32, TRIT_ENCODING_DENSE, TALLY_ALL);
}

static inline void pack_counted(const struct kernels *kernels, const struct slice *slice)
{
    run_project(kernels, slice, TRIT_F32, TRIT_ENCODING_PQ2_0, TALLY_ALL);
}

static inline void pack_bf16(const struct kernels *kernels, const struct slice *slice)
{
    run_project(kernels, slice, TRIT_BF16, TRIT_ENCODING_PQ2_0, TALLY_NONE);
}

static inline void base3_f32(const struct kernels *kernels, const struct slice *slice)
{
    run_project(kernels, slice, TRIT_F32, TRIT_ENCODING_PTQ1_0, TALLY_NONE);
}

/* `reference`: latents, or NULL. */
static inline void run_verify(const struct kernels *kernels, const struct slice *slice,
                              const uint8_t *claim, const uint8_t *reference)
{
    struct ternary_counts counts;
    struct ternary_check check;
    ternary_counts_init(&counts);
    ternary_check_init(&check);
    const struct verify_job job = {
        .encoding = TRIT_ENCODING_DENSE,
        .dtype = TRIT_F32,
        .count = slice->bytes / 4 / GROUP,
        .group_len = GROUP,
        .tolerance = 1e-5f,
        .in = claim + slice->begin,
        .reference = reference ? reference + slice->begin : NULL,
        .reference_dtype = TRIT_F32,
        .divisor = GROUP,
        .scales = slice->buffers->scales + slice->begin / 4 / GROUP,
    };
    verify(kernels, &job, &counts, &check);
    if (check.valid != slice->bytes / 4 || check.mismatches)
        abort();
}

static inline void verify_f32(const struct kernels *kernels, const struct slice *slice)
{
    run_verify(kernels, slice, slice->buffers->dense, NULL);
}

static inline void verify_reference(const struct kernels *kernels,
                                    const struct slice *slice)
{
    run_verify(kernels, slice, slice->buffers->claim, slice->buffers->in);
}

/* All that a full report needs: counts, sums, and codes for the digest. */
static inline void pack_reported(const struct kernels *kernels, const struct slice *slice)
{
    struct ternary_counts counts;
    ternary_counts_init(&counts);
    const struct ternarize_job job = {
        .dtype = TRIT_F32,
        .count = slice->bytes / 4 / GROUP,
        .group_len = GROUP,
        .divisor = GROUP,
        .in = slice->buffers->in + slice->begin,
        .encoding = TRIT_ENCODING_PQ2_0,
        .out = slice->buffers->out + slice->begin,
        .scales = slice->buffers->scales,
        .codes = slice->buffers->codes,
        .sums = slice->buffers->sums,
        .tally = TALLY_ALL,
    };
    ternarize(kernels, &job, &counts);
    if (counts.non_finite)
        abort();
}

/* What a first version would be: divide, round, clip, multiply, as the compiler likes. */
static inline void plain_loop(const struct kernels *kernels, const struct slice *slice)
{
    (void)kernels;
    const float *in = (const float *)(const void *)(slice->buffers->in + slice->begin);
    float *out = (float *)(void *)(slice->buffers->out + slice->begin);
    for (size_t g = 0; g < slice->bytes / 4 / GROUP; g++, in += GROUP, out += GROUP) {
        double sum = 0;
        for (size_t i = 0; i < GROUP; i++)
            sum += (double)fabsf(in[i]);
        const float s = (float)(sum / GROUP), divisor = s == 0.0f ? 1.0f : s;
        for (size_t i = 0; i < GROUP; i++)
            out[i] = fmaxf(-1.0f, fminf(1.0f, rintf(in[i] / divisor))) * s;
    }
}

static inline void copy_libc(const struct kernels *kernels, const struct slice *slice)
{
    (void)kernels;
    memcpy(slice->buffers->out + slice->begin, slice->buffers->in + slice->begin,
           slice->bytes);
}

static inline void copy_stream(const struct kernels *kernels, const struct slice *slice)
{
    (void)kernels;
    limit_copy(slice->buffers->out + slice->begin, slice->buffers->in + slice->begin,
               slice->bytes);
}

static inline void run_read(const struct slice *slice, enum limit_ahead ahead)
{
    slice->buffers->scales[slice->begin / 64] =
        limit_read(slice->buffers->in + slice->begin, slice->bytes, ahead);
}

static inline void read_plain(const struct kernels *kernels, const struct slice *slice)
{
    (void)kernels;
    run_read(slice, LIMIT_PLAIN);
}

static inline void read_ahead(const struct kernels *kernels, const struct slice *slice)
{
    (void)kernels;
    run_read(slice, LIMIT_NEAR);
}

static inline void read_far(const struct kernels *kernels, const struct slice *slice)
{
    (void)kernels;
    run_read(slice, LIMIT_FAR);
}

static inline void read_busy(const struct kernels *kernels, const struct slice *slice)
{
    (void)kernels;
    slice->buffers->scales[slice->begin / 64] =
        limit_read_busy(slice->buffers->in + slice->begin, slice->bytes, slice->nops);
}

/* Reads and writes as a projection to 2-bit codes does, and computes nothing. */
static inline void run_read_write(const struct slice *slice, enum limit_ahead ahead)
{
    limit_read_write(slice->buffers->out + slice->begin,
                     slice->buffers->in + slice->begin, slice->bytes, ahead);
}

static inline void read_write(const struct kernels *kernels, const struct slice *slice)
{
    (void)kernels;
    run_read_write(slice, LIMIT_PLAIN);
}

static inline void read_write_far(const struct kernels *kernels,
                                  const struct slice *slice)
{
    (void)kernels;
    run_read_write(slice, LIMIT_FAR);
}

#endif
