/* SPDX-License-Identifier: Apache-2.0 */
/* Stores of 16 bytes past the caches: SSE2's, which all processors of x86-64 have. Plain C has
 * none. */
#ifndef KERNELS_X86_STREAM_H
#define KERNELS_X86_STREAM_H

#include <stdint.h>

#if defined(__SSE2__)

#include <emmintrin.h>

/* `to` is aligned to 16 bytes. */
static inline void stream_16(uint8_t *to, const void *from)
{
    _mm_stream_si128((__m128i *)(void *)to, _mm_loadu_si128((const __m128i *)from));
}

static inline void stream_fence(void)
{
    _mm_sfence();
}

#else

#include <string.h>

static inline void stream_16(uint8_t *to, const void *from)
{
    memcpy(to, from, 16);
}

static inline void stream_fence(void)
{
}

#endif
#endif
