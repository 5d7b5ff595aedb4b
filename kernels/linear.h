/* Products with ternary matrices, read from packed codes: the matrix is never
 * unpacked as a whole. Pure functions, as kernels.h; same environment.
 *
 * W is [rows, columns] = [out_features, in_features], groups of group_size
 * along a row, s one f32 scale a group. All floats are f32; f16 and bf16 are
 * widened by the caller (kernels.h) and results rounded once.
 *
 * The same bits on every ISA, for every split of rows and batch:
 * - f32 activations: per output 16 lanes; lane j adds t*x of the columns i = j
 *   mod 16 of a group, in order (exact products), into p[j]; then acc[j] =
 *   fma(s, p[j], acc[j]), group after group; then the tree +8, +4, +2, +1; then
 *   the bias is added. A short last group is padded with zeros.
 * - int8 activations: exact integer dot products a group; acc = fma(s, (float)dot,
 *   acc), group after group; then acc * (absmax / 127) + bias.
 * - grad_input: acc[i] = acc[i] + t * (g * s), output after output.
 * - grad_weight: acc = fma(g, x, acc), batch row after batch row. */
#ifndef KERNELS_LINEAR_H
#define KERNELS_LINEAR_H

#include "kernels/kernels.h"

/* Codes laid out for products, the same on every ISA: blocks of 256 columns,
 * 64 bytes each; the last block of a row is padded with zeros (t = 0). Layout
 * and reasons: README.md, "Products". 2 bits a weight plus the scales. */
struct linear_matrix {
    uint64_t rows, columns;
    uint32_t group_size; /* a multiple of 16; any multiple: linear_supports */
    const uint8_t *codes;  /* linear_code_bytes, 64-byte aligned */
    const float *scales;   /* rows * ceil(columns / group_size) */
};

/* Whether a group size can be held (a multiple of 16, at most 65536). */
bool linear_supports(uint32_t group_size);

uint64_t linear_code_bytes(uint64_t rows, uint64_t columns);

/* Lays out rows [first, first + count) from 2-bit codes as ternarize_job.codes
 * writes them (group_size-element groups, byte-aligned, row after row). */
void linear_pack(uint64_t columns, uint32_t group_size, const uint8_t *codes,
                 uint64_t first, uint64_t count, uint8_t *out);

/* Dense f32 rows t*s, for embeddings and Get: rows [first, first + count). */
void linear_rows(const struct kernels *kernels, const struct linear_matrix *matrix,
                 uint64_t first, uint64_t count, float *out);

/* y[b][first..first+count) = x[b] . W^T + bias; x is [batch, columns], y is
XX
void linear_forward(const struct kernels *kernels, const struct linear_matrix *matrix,
                    const float *x, uint64_t batch, const float *bias, uint64_t first,
                    uint64_t count, float *y);

/* int8 activations of one row: q = round_half_even(x * (127 / absmax)), and the
 * absmax; all-zero rows give absmax 0. `q` has columns rounded up to 256, the
 * padding is zeroed; `sums` one int32 a group of the q's, for codes t + 1. */
void linear_quantize(const struct kernels *kernels, const struct linear_matrix *matrix,
                     const float *x, int8_t *q, int32_t *sums, float *absmax);
void linear_forward_int8(const struct kernels *kernels, const struct linear_matrix *matrix,
                         const int8_t *q, const int32_t *sums, const float *absmax,
                         uint64_t batch, const float *bias, uint64_t first, uint64_t count,
                         float *y);

/* grad_input[b] = grad_output[b] . W, for columns [first, first + count), both
 * multiples of group_size but for the row's end. */
void linear_grad_input(const struct kernels *kernels, const struct linear_matrix *matrix,
                       const float *grad_output, uint64_t batch, uint64_t first,
                       uint64_t count, float *grad_input);

/* grad_weight rows [first, first + count) of grad_output^T . x (straight-through
 * estimator: the scale is a constant). */
void linear_grad_weight(const struct kernels *kernels, const float *grad_output,
                        const float *x, uint64_t batch, uint64_t rows, uint64_t columns,
                        uint64_t first, uint64_t count, float *grad_weight);

/* Latents drawn from N(0, 1) * deviation by a counter-based generator (Philox
 * 4x32-10, Salmon et al. 2011): element i depends on the seed and i alone, the
 * same bits on every ISA. Elements [first, first + count). */
void linear_draw(uint64_t seed, double deviation, uint64_t first, uint64_t count,
                 float *out);

#endif
