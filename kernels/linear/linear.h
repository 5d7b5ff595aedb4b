/* SPDX-License-Identifier: Apache-2.0 */
/* Products with ternary matrices, computed from packed codes. The matrix is never
 * unpacked as a whole. The functions are pure. Like those of kernels.h, they must be
 * called between kernels_enter and kernels_leave.
 *
 * W is [rows, columns] = [out_features, in_features], groups of group_size
 * along a row, s one f32 scale a group. All floats are f32; f16 and bf16 are
 * widened by the caller (kernels.h) and results rounded once.
 *
 * A function that computes a part (rows or columns [first, first + count)) takes pointers
 * to the whole arrays and touches only its part of them. Parts of at least 64 rows
 * (columns) that begin at multiples of 16 are fastest.
 *
 * For finite numbers, every ISA and every split of rows and batch gives the same bits:
 * - f32 activations: columns are added eight at a time, in order. For eight columns,
 *   e[m] = t[m] x[m] + t[m+4] x[m+4], m = 0..3, each rounded once, and
 *   p += (e[0] + e[1]) + (e[2] + e[3]). p begins at 0 in each group. After a group,
 *   acc = fma(s, p, acc). acc begins at 0. At the end the bias is added, if there is one.
 *   Columns beyond the last count as zeros.
 * - int8 activations: the dot product of a group is exact. After a group,
 *   acc = fma(s, (float)dot, acc). At the end, acc * (absmax / 127), then the bias.
 * - grad_input: acc = fma(t * s, g, acc), in the order of the outputs.
 * - grad_weight: acc = fma(g, x, acc), in the order of the batch's rows. */
#ifndef KERNELS_LINEAR_H
#define KERNELS_LINEAR_H

#include "kernels/kernels.h"

/* Codes laid out for the products, in the same way on every ISA: 64 bytes hold 16
 * columns of 16 rows; rows and columns are padded to 16. README.md, "The layout of
 * codes", has the details. A weight takes 2 bits; the scales come in addition. */
struct linear_matrix {
    uint64_t rows, columns;
    uint32_t group_size;  /* see linear_supports */
    const uint8_t *codes; /* linear_code_bytes, 64-byte aligned */
    const float *scales;  /* rows * ceil(columns / group_size) */
};

/* Whether a group size is supported: a multiple of 16, at most 65536. */
bool linear_supports(uint32_t group_size);

uint64_t linear_code_bytes(uint64_t rows, uint64_t columns);

/* Lays out rows [first, first + count) from 2-bit codes as ternarize_job.codes
 * writes them (group_size-element groups, byte-aligned, row after row); `codes` begins
 * with row `first`, `out` is the whole matrix. Rows may come in any order and from
 * several threads. Rows of `out` that no call laid out may hold anything. */
void linear_pack(uint64_t columns, uint32_t group_size, const uint8_t *codes,
                 uint64_t first, uint64_t count, uint8_t *out);

/* Writes rows [first, first + count) as dense f32, t*s, to out[0..count). t = 0 gives +0.
 * Embeddings and Get use it. */
void linear_rows(const struct kernels *kernels, const struct linear_matrix *matrix,
                 uint64_t first, uint64_t count, float *out);

/* y[b][first..first+count) = x[b] . W^T + bias; x is [batch, columns], y is [batch,
 * rows], bias [rows] or NULL. */
void linear_forward(const struct kernels *kernels, const struct linear_matrix *matrix,
                    const float *x, uint64_t batch, const float *bias, uint64_t first,
                    uint64_t count, float *y);

/* Elements of a quantized row, with its padding. */
static inline uint64_t linear_quantized(uint64_t columns)
{
    return (columns + 255) / 256 * 256;
}

/* Quantizes one row to int8: q = round_half_even(x * (127 / absmax)). absmax is the
 * largest magnitude of x. It is 0, and so is q, where x is all zeros or so small (absmax
 * below 2^-121) that 127 / absmax overflows f32. It is not finite where x is not. `q` has
 * linear_quantized(columns) elements; those beyond the last column are 0. `sums` gets the
 * sum of q over each group, which the product needs because codes are t + 1. */
void linear_quantize(const struct kernels *kernels, const struct linear_matrix *matrix,
                     const float *x, int8_t *q, int32_t *sums, float *absmax);

/* As linear_forward, for `batch` quantized rows: q, sums and absmax of one row follow
 * those of the row before. */
void linear_forward_int8(const struct kernels *kernels,
                         const struct linear_matrix *matrix, const int8_t *q,
                         const int32_t *sums, const float *absmax, uint64_t batch,
                         const float *bias, uint64_t first, uint64_t count, float *y);

/* grad_input[b] = grad_output[b] . W, for columns [first, first + count).
 * first is a multiple of 16; so is count, unless the part ends with the row.
 * grad_output is [batch, rows], grad_input [batch, columns]. */
void linear_grad_input(const struct kernels *kernels, const struct linear_matrix *matrix,
                       const float *grad_output, uint64_t batch, uint64_t first,
                       uint64_t count, float *grad_input);

/* Rows [first, first + count) of grad_weight = grad_output^T . x (straight-through
 * estimator: the scale is a constant); grad_output is [batch, rows], x [batch, columns],
 * grad_weight [rows, columns]. */
void linear_grad_weight(const struct kernels *kernels, const float *grad_output,
                        const float *x, uint64_t batch, uint64_t rows, uint64_t columns,
                        uint64_t first, uint64_t count, float *grad_weight);

/* Draws latents from N(0, 1) * deviation with a counter-based generator (Philox
 * 4x32-10, Salmon et al. 2011): element i depends on the seed and i alone, and
 * has the same bits on every ISA. Elements [first, first + count) to out[0..count). */
void linear_draw(uint64_t seed, double deviation, uint64_t first, uint64_t count,
                 float *out);

#endif
