/* SPDX-License-Identifier: Apache-2.0 */
/* Products with ternary matrices, read from packed codes: the matrix is never
 * unpacked as a whole. Pure functions, as kernels.h; same environment.
 *
 * W is [rows, columns] = [out_features, in_features], groups of group_size
 * along a row, s one f32 scale a group. All floats are f32; f16 and bf16 are
 * widened by the caller (kernels.h) and results rounded once.
 *
 * A function that works on a part (rows or columns [first, first + count)) is given
 * whole arrays, as if it did all, and touches its part of them: callers split work
 * without moving pointers. Parts of 64 rows (columns) and more, beginning at multiples
 * of 16, are fastest.
 *
 * The same bits on every ISA, for every split of rows and batch, for finite numbers:
 * - f32 activations: columns by eights; of eight, e[m] = t[m] x[m] + t[m+4] x[m+4],
 *   rounded once, m = 0..3; p += (e[0] + e[1]) + (e[2] + e[3]), eight after eight of a
 *   group from p = 0; then acc = fma(s, p, acc), group after group from acc = 0; then
 *   the bias is added, if any. Columns beyond the last count as zeros.
 * - int8 activations: exact integer dot products a group; acc = fma(s, (float)dot,
 *   acc), group after group; then acc * (absmax / 127); then the bias is added.
 * - grad_input: acc = fma(t * s, g, acc), output after output from acc = 0.
 * - grad_weight: acc = fma(g, x, acc), batch row after batch row from acc = 0. */
#ifndef KERNELS_LINEAR_H
#define KERNELS_LINEAR_H

#include "kernels/kernels.h"

/* Codes laid out for products, the same on every ISA: 16 rows side by side, 64 bytes
 * for 16 columns of them; rows and columns are padded to 16. Layout and reasons:
 * README.md, "Products". 2 bits a weight plus the scales. */
struct linear_matrix {
    uint64_t rows, columns;
    uint32_t group_size;  /* a multiple of 16; any multiple: linear_supports */
    const uint8_t *codes; /* linear_code_bytes, 64-byte aligned */
    const float *scales;  /* rows * ceil(columns / group_size) */
};

/* Whether a group size can be held (a multiple of 16, at most 65536). */
bool linear_supports(uint32_t group_size);

uint64_t linear_code_bytes(uint64_t rows, uint64_t columns);

/* Lays out rows [first, first + count) from 2-bit codes as ternarize_job.codes
 * writes them (group_size-element groups, byte-aligned, row after row); `codes` begins
 * with row `first`, `out` is the whole matrix. Rows may come in any order and from
 * several threads. What is in `out` for rows that no call laid out plays no part. */
void linear_pack(uint64_t columns, uint32_t group_size, const uint8_t *codes,
                 uint64_t first, uint64_t count, uint8_t *out);

/* Dense f32 rows t*s (t = 0 gives +0), for embeddings and Get: rows [first, first +
 * count) to out[0..count). */
void linear_rows(const struct kernels *kernels, const struct linear_matrix *matrix,
                 uint64_t first, uint64_t count, float *out);

/* y[b][first..first+count) = x[b] . W^T + bias; x is [batch, columns], y is [batch,
 * rows], bias [rows] or NULL. */
void linear_forward(const struct kernels *kernels, const struct linear_matrix *matrix,
                    const float *x, uint64_t batch, const float *bias, uint64_t first,
                    uint64_t count, float *y);

/* int8 activations of one row: q = round_half_even(x * (127 / absmax)), and the
 * absmax; all-zero rows give absmax 0, and so do rows so small (absmax below 2^-121)
 * that 127 / absmax is no f32. `q` has linear_quantized(columns) elements, the padding
 * zeroed; `sums` the sum of each group's q, for codes are t + 1. Where x is not finite
 * nor is absmax. */
static inline uint64_t linear_quantized(uint64_t columns)
{
    return (columns + 255) / 256 * 256;
}
void linear_quantize(const struct kernels *kernels, const struct linear_matrix *matrix,
                     const float *x, int8_t *q, int32_t *sums, float *absmax);

/* As linear_forward, of `batch` such rows one after another: q, sums and absmax. */
void linear_forward_int8(const struct kernels *kernels,
                         const struct linear_matrix *matrix, const int8_t *q,
                         const int32_t *sums, const float *absmax, uint64_t batch,
                         const float *bias, uint64_t first, uint64_t count, float *y);

/* grad_input[b] = grad_output[b] . W, for columns [first, first + count), both
 * multiples of 16 but for the row's end; grad_output is [batch, rows], grad_input
 * [batch, columns]. */
void linear_grad_input(const struct kernels *kernels, const struct linear_matrix *matrix,
                       const float *grad_output, uint64_t batch, uint64_t first,
                       uint64_t count, float *grad_input);

/* Rows [first, first + count) of grad_weight = grad_output^T . x (straight-through
 * estimator: the scale is a constant); grad_output is [batch, rows], x [batch, columns],
 * grad_weight [rows, columns]. */
void linear_grad_weight(const struct kernels *kernels, const float *grad_output,
                        const float *x, uint64_t batch, uint64_t rows, uint64_t columns,
                        uint64_t first, uint64_t count, float *grad_weight);

/* Latents drawn from N(0, 1) * deviation by a counter-based generator (Philox
 * 4x32-10, Salmon et al. 2011): element i depends on the seed and i alone, the
 * same bits on every ISA. Elements [first, first + count) to out[0..count). */
void linear_draw(uint64_t seed, double deviation, uint64_t first, uint64_t count,
                 float *out);

#endif
