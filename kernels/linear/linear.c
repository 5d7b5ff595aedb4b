/* SPDX-License-Identifier: Apache-2.0 */
/* Calls the products of the table that belongs to a table of kernels.h. */
#include "kernels/linear/linear.h"

#include "kernels/cpu.h"
#include "kernels/linear/table.h"
#include "kernels/ternary/table.h"

#if defined(__x86_64__)

/* Products need FMA in addition to AVX2, and VNNI in addition to AVX-512. A processor
 * without them gets the next lower table, which gives the same bits. With AVX2, AVX-VNNI
 * is used where the processor has it. */
static const struct linear_table *table_of(const struct kernels *kernels)
{
    if (kernels == &kernels_portable || !__builtin_cpu_supports("fma"))
        return &linear_portable;
    if (kernels == &kernels_avx2 || !__builtin_cpu_supports("avx512vnni"))
        return cpu_has_avx_vnni() ? &linear_avx2_vnni : &linear_avx2;
    return &linear_avx512;
}

#elif defined(__aarch64__)

static const struct linear_table *table_of(const struct kernels *kernels)
{
    return kernels == &kernels_portable ? &linear_portable : &linear_neon;
}

#endif

void linear_rows(const struct kernels *kernels, const struct linear_matrix *matrix,
                 uint64_t first, uint64_t count, float *out)
{
    table_of(kernels)->rows(matrix, first, count, out);
}

void linear_forward(const struct kernels *kernels, const struct linear_matrix *matrix,
                    const float *x, uint64_t batch, const float *bias, uint64_t first,
                    uint64_t count, float *y)
{
    const struct linear_part part = {batch, bias, first, count, y};
    table_of(kernels)->forward(matrix, x, &part);
}

void linear_quantize(const struct kernels *kernels, const struct linear_matrix *matrix,
                     const float *x, int8_t *q, int32_t *sums, float *absmax)
{
    table_of(kernels)->quantize(matrix, x, q, sums, absmax);
}

void linear_forward_int8(const struct kernels *kernels,
                         const struct linear_matrix *matrix, const int8_t *q,
                         const int32_t *sums, const float *absmax, uint64_t batch,
                         const float *bias, uint64_t first, uint64_t count, float *y)
{
    const struct linear_int8 x = {q, sums, absmax};
    const struct linear_part part = {batch, bias, first, count, y};
    table_of(kernels)->forward_int8(matrix, &x, &part);
}

void linear_grad_input(const struct kernels *kernels, const struct linear_matrix *matrix,
                       const float *grad_output, uint64_t batch, uint64_t first,
                       uint64_t count, float *grad_input)
{
    table_of(kernels)->grad_input(matrix, grad_output, batch, first, count, grad_input);
}

void linear_grad_weight(const struct kernels *kernels, const float *grad_output,
                        const float *x, uint64_t batch, uint64_t rows, uint64_t columns,
                        uint64_t first, uint64_t count, float *grad_weight)
{
    table_of(kernels)->grad_weight(grad_output, x, batch, rows, columns, first, count,
                                   grad_weight);
}
