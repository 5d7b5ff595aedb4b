/* SPDX-License-Identifier: Apache-2.0 */
/* The products in AVX2 with FMA and AVX-VNNI, which processors without AVX-512 may have. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/simd/avx2_lookup.h"
#include "kernels/simd/vector_transpose.h"

static inline i32v i32v_dot(i32v sum, i32v codes, i32v x)
{
    return (i32v)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)codes, (__m256i)x);
}

/* clang-format off */
#include "kernels/simd/vector_dots.h"
#include "kernels/linear/body.h"
/* clang-format on */

const struct linear_table linear_avx2_vnni = LINEAR_TABLE;

#else
typedef int linear_no_avx2_vnni_here;
#endif
