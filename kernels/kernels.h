/* SPDX-License-Identifier: Apache-2.0 */
/* Ternary kernels: pure functions over runs of groups. No I/O, no threads, no
 * allocation, no globals. The numeric contract and its reasons: NUMERICS.md.
 *
 * Terms. A *group* is `group_len` consecutive elements of one row. A *run* is
 * `count` groups of one length, one after another in memory. The sum of magnitudes
 * is divided by `divisor`: group_len, or group_size where a short group is padded.
 * t in {-1, 0, +1}; s is the group's scale; code = t + 1.
 *
 * Every function gives the same bits on every ISA, at every alignment, and
 * however a tensor is cut into runs. Call them between kernels_enter and
 * kernels_leave. Pointers never alias unless the comment says they may. */
#ifndef KERNELS_H
#define KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trit/types.h"

struct kernels; /* the operations of one ISA: a const table */

/* The table by name: "portable", "avx2", "avx512", "neon"; "auto" or NULL gives the best
 * one that this CPU supports. Returns NULL if the name is unknown or this CPU does not
 * support the ISA. */
const struct kernels *kernels_select(const char *name);
const char *kernels_name(const struct kernels *kernels);

/* The tables this machine can run, portable first. Returns how many. */
enum { KERNELS_TABLES_MAX = 8 };
size_t kernels_available(const struct kernels *tables[KERNELS_TABLES_MAX]);

/* Known-answer test of a table. The daemon runs it at its start. Returns 0, or -1 with a
 * sentence in `message`. It takes a few milliseconds. */
int kernels_selftest(const struct kernels *kernels, char *message, size_t bytes);

/* kernels_enter sets the floating-point environment that the contract needs (round to
 * nearest, no flush to zero, no denormals-are-zero). kernels_leave restores the thread's
 * own. */
struct kernels_env {
    uint64_t saved;
};
void kernels_enter(struct kernels_env *env);
void kernels_leave(const struct kernels_env *env);

/* Bytes of one element; 0 for a dtype that is not an element type. */
size_t dtype_bytes(enum trit_dtype dtype);
const char *encoding_name(enum trit_encoding encoding); /* "pq2_0" */
bool encoding_by_name(const char *name, enum trit_encoding *encoding);

/* Where an encoding keeps its scales. */
enum scale_place {
    SCALES_FOLDED,   /* dense: t*s in the element type */
    SCALES_F32,      /* separate from the data, f32 each */
    SCALES_F16,      /* separate from the data, f16 each */
    SCALES_IN_BLOCK, /* f16, inside each block */
    SCALES_TENSOR,   /* one for the tensor: f32, after the codes or separate */
};

struct encoding_layout {
    uint32_t block_elements; /* a row's length must be a multiple of it; 1: any length */
    uint32_t block_bytes;    /* of one block; 0: dense (one element) */
    enum scale_place scales;
    /* 0: any group size. If the blocks store scales, it must be a multiple of
     * block_elements; each block of a group repeats the group's scale. Otherwise this is
     * the longest group; a shorter one must divide it and be whole blocks. Rows must be
     * whole groups then. */
    uint32_t group_size;
    uint32_t scale_at;   /* offset of the scale in the block, if the block has one */
    uint32_t tail_bytes; /* after the last block: the tensor's scale in f32, then zeros */
    bool interleaved;    /* each byte holds elements of four rows; the number of rows is a
                            multiple of 4. interleave.h makes it; a run cannot */
};

/* NULL for a number outside the enum. */
const struct encoding_layout *encoding_layout(enum trit_encoding encoding);

/* The type of the separate scales, F32 or F16. UNSPECIFIED: the encoding has none, or the
 * number is outside the enum. */
enum trit_dtype encoding_scales_dtype(enum trit_encoding encoding);

/* Counts over a run; exact integers, so they add up in any order. */
struct ternary_counts {
    uint64_t negatives, zeros, positives;
    uint64_t zero_groups;       /* groups whose elements are all zero */
    uint64_t non_finite;        /* NaN and infinities among the input */
    uint64_t first_non_finite;  /* element index in the run; UINT64_MAX: none */
    uint64_t near_threshold;    /* 0.475 s <= |w| <= 0.525 s, s > 0. In verify it counts
                                   latents of the reference, if there is one */
    uint64_t scales_lossy_fp16; /* scales that f16 does not represent exactly */
    uint64_t scales_lost;       /* scales s > 0 that are infinite or 0 in f16 */
    uint64_t first_scale_lost;  /* group index in the run; UINT64_MAX: none */
};

/* Sums over a group in f64, each in the canonical order. To total a tensor, add them
 * group after group in f64. In ternarize s is the unrounded scale; in verify t*s is the
 * claim's own value. */
struct group_sums {
    double energy; /* sum of w*w over the latents */
    double error;  /* sum of (w - t*s)^2 */
    double dot;    /* sum of w * (t*s) */
    double norm;   /* sum of (t*s)^2 */
};

/* Which counts a ternarization makes: those per element cost time. Counts that can fail a
 * projection (non_finite, scales_lost) and counts per group are always made. */
enum tally_detail {
    TALLY_ALL,   /* everything */
    TALLY_SIGNS, /* everything except near_threshold */
    TALLY_NONE,  /* neither negatives, zeros, positives nor near_threshold */
};

/* Ternarize a run. Outputs other than scales may be NULL. */
struct ternarize_job {
    enum trit_dtype dtype; /* F32, F16 or BF16 */
    size_t count, group_len;
    size_t divisor;
    const float *scale; /* of every group, instead of its mean, where the run is a
                                    part of a group; or NULL */
    const void *in;     /* count * group_len elements, any alignment */
    enum trit_encoding encoding; /* of `out`; here and below, not an interleaved one */
    void *out;      /* the run in that encoding; for DENSE it may be `in` itself */
    float *scales;  /* count; unrounded f32; 0 for an all-zero group */
    uint8_t *codes; /* count * ceil(group_len/4): 2-bit, least significant first; the
                       last byte's unused codes are 1 */
    struct group_sums *sums; /* count */
    enum tally_detail tally;
    bool stream_stores; /* `out` is large and not read soon: bypass the caches */
    const void
        *ahead; /* memory that is read next, at least as long as `in`: a run of at most
                          1 MiB fetches it into L2 while it computes; or NULL */
};

/* Adds to *counts. If non_finite > 0, the outputs are meaningless. Indices in *counts
 * are relative to the run: ternary_counts_add adds where it begins. */
void ternarize(const struct kernels *kernels, const struct ternarize_job *job,
               struct ternary_counts *counts);

/* How often something occurs in a run, and where it occurs first. */
struct occurrences {
    uint64_t count;
    uint64_t first; /* index of an element or group in the run; UINT64_MAX: none */
};

/* What a verification finds in addition to the counts. Merge the checks of runs in run
 * order. A scale that is not finite is counted; the elements of its group then count
 * neither as valid nor as invalid. */
struct ternary_check {
    uint64_t valid;             /* elements within tolerance of {-1, 0, +1} */
    struct occurrences invalid; /* elements that are finite and not valid */
    float first_invalid;        /* w/s of the first of them */
    float max_round_error;      /* largest |w/s - t| */
    uint32_t sample_count; /* length of `samples`: distinct w/s of invalid elements */
    float samples[TRIT_SAMPLES_MAX];
    uint32_t near_count; /* of `near`: those of elements valid only by the tolerance */
    float near[TRIT_SAMPLES_MAX];
    uint32_t trits_seen; /* bit t + 1: some element is exactly t*s */
    /* groups of packed claims, by their stored scale */
    struct occurrences scales_non_finite, scales_negative;
    struct occurrences scales_zero; /* 0, but not all codes are 0 */
    float first_non_finite_scale, first_negative_scale;
    /* Against a reference: elements that differ in value from its projection. If the
     * claim's type loses the projection's scale, the unrounded one counts. */
    uint64_t mismatches;
    uint64_t first_mismatch;             /* element index in the run; UINT64_MAX: none */
    struct occurrences code_mismatches;  /* elements whose t differs */
    struct occurrences scale_mismatches; /* groups, nonzero on both sides */
    struct occurrences reference_lost;   /* groups whose scale the claim's type loses */
    struct occurrences reference_infinite; /* its elements that are not finite */
    int8_t expected_trit, found_trit;      /* of the first code mismatch */
    float expected_scale, found_scale;     /* of the first scale mismatch */
    float lost_scale;                      /* the first lost scale, unrounded */
};

void ternary_counts_init(struct ternary_counts *counts);
void ternary_check_init(struct ternary_check *check);

/* Counts one at `index`; call it in ascending order. Returns true for the first. */
bool occurrences_count(struct occurrences *occurrences, uint64_t index);
void occurrences_add(struct occurrences *occurrences, const struct occurrences *more,
                     uint64_t offset);

/* Adds `more`, whose run begins `elements` and `groups` after the origin of *counts;
 * first_* count from that origin. */
void ternary_counts_add(struct ternary_counts *counts, const struct ternary_counts *more,
                        uint64_t elements, uint64_t groups);
void ternary_check_add(struct ternary_check *check, const struct ternary_check *more,
                       uint64_t elements, uint64_t groups);

/* Verify a run that claims to be ternary. The group's scale is its largest magnitude
 * (DENSE) or the stored one. An element is valid if |w/s - t| <= tolerance, by true f32
 * division; tolerance 0 means bit-equal magnitudes. A code 3 of a 2-bit format is the
 * value +2 and a violation. NaN and infinities are invalid; they do not count for
 * max_round_error or samples, and the other elements of the group are still checked. A
 * stored scale that is not finite makes its whole group not finite. Mismatches compare
 * values (-0 equals +0) with the projection of the reference in the claim's own format.
 *
 * A group is exact if it is ternary to the bit. DENSE: every element is 0 or has the one
 * magnitude. Packed: every code is -1, 0 or +1, and the scale is finite, not negative,
 * and 0 only if all codes are 0. */
struct verify_job {
    enum trit_encoding encoding; /* of `in` */
    enum trit_dtype dtype;       /* DENSE: F32, F16, BF16; else ignored */
    size_t count, group_len;
    float tolerance;
    const void *in;
    const float *in_scales;       /* the separate scales, widened; NULL: in the blocks */
    enum trit_dtype scales_dtype; /* the type that in_scales were stored in. Scales of the
                                     reference's projection are rounded to it before they
                                     are compared. UNSPECIFIED: the encoding's own type */
    const void *reference;        /* latents, count * group_len, or NULL */
    enum trit_dtype reference_dtype;
    size_t divisor;               /* for projecting the reference */
    const float *reference_scale; /* of the projection, as ternarize_job.scale; infinite:
                                     the reference is not finite */
    float *scales;                /* count; out */
    uint8_t *codes;               /* as in ternarize_job, or NULL */
    struct group_sums *sums;      /* against the reference; NULL without one */
    uint8_t *inexact;             /* count; out: 1 where a group is not exact; or NULL */
};
void verify(const struct kernels *kernels, const struct verify_job *job,
            struct ternary_counts *counts, struct ternary_check *check);

/* Decode a run to dense elements t*s of `dtype`. Returns 0, or -1 with what was refused
 * first. */
enum unpack_fault {
    UNPACK_CODE,  /* it is not -1, 0 or +1 */
    UNPACK_LOST,  /* t*s is finite and not 0, but `dtype` rounds it to 0 or infinity */
    UNPACK_SCALE, /* the scale of a group or block is NaN or infinite, whatever its codes,
                     and the job does not keep such */
};
struct unpack_refusal {
    enum unpack_fault fault;
    uint64_t element; /* index in the run; UNPACK_SCALE: the first that has the scale */
    float scale;
};
struct unpack_job {
    enum trit_encoding encoding;
    enum trit_dtype dtype;
    size_t count, group_len;
    const void *in;
    const float *in_scales;
    void *out; /* count * group_len elements */
    bool keeps_non_finite;
};
int unpack(const struct kernels *kernels, const struct unpack_job *job,
           struct unpack_refusal *refused);

/* Adds to the 3x3 table how often each code of `from` became each code of `to`. Both are
 * `count` groups, packed as in ternarize_job.codes. */
void transitions(const struct kernels *kernels, const uint8_t *from, const uint8_t *to,
                 size_t count, size_t group_len, uint64_t table[9]);

/* CRC-32C (Castagnoli, RFC 3720 B.4); start with 0, feed in pieces. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t count);

/* Exact conversions: widening is exact, narrowing rounds once to nearest even. */
float f16_to_f32(uint16_t bits);
uint16_t f32_to_f16(float value);
float bf16_to_f32(uint16_t bits);
uint16_t f32_to_bf16(float value);
/* The value rounded to f16 or bf16; unchanged for other dtypes. */
float f32_rounded_to(enum trit_dtype dtype, float value);
/* The same for `count` values, in place. */
void f32_round_each(enum trit_dtype dtype, float *values, size_t count);
/* Whether the dtype holds a finite scale other than 0 as 0 or infinity. */
bool scale_lost(enum trit_dtype dtype, float scale);

#endif
