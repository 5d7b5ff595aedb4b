/* SPDX-License-Identifier: Apache-2.0 */
/* What the memory can do: the reads and copies that kernels are measured against. */
#ifndef BENCH_LIMITS_H
#define BENCH_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    LIMIT_AHEAD_BYTES = 1024,
    LIMIT_FAR_BYTES = 4096,
    LIMIT_COPY_AHEAD_BYTES = 8192,
    LIMIT_NOPS_MAX = 2048,
};

/* What a read prefetches: nothing, into L1, or far ahead into L2 and then into L1. */
enum limit_ahead { LIMIT_PLAIN, LIMIT_NEAR, LIMIT_FAR };

#if defined(__x86_64__)

#include <immintrin.h>

static inline void limit_prefetch(const uint8_t *line, enum limit_ahead ahead)
{
    if (ahead == LIMIT_FAR)
        _mm_prefetch((const char *)line + LIMIT_FAR_BYTES, _MM_HINT_T1);
    if (ahead != LIMIT_PLAIN)
        _mm_prefetch((const char *)line + LIMIT_AHEAD_BYTES, _MM_HINT_T0);
}

__attribute__((target("avx2"))) static inline float
limit_read(const uint8_t *from, size_t bytes, enum limit_ahead ahead)
{
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    for (size_t i = 0; i + 128 <= bytes; i += 128) {
        const __m256i *at = (const __m256i *)(const void *)(from + i);
        limit_prefetch(from + i, ahead);
        limit_prefetch(from + i + 64, ahead);
        a = _mm256_xor_si256(a, _mm256_loadu_si256(at));
        b = _mm256_xor_si256(b, _mm256_loadu_si256(at + 1));
        c = _mm256_xor_si256(c, _mm256_loadu_si256(at + 2));
        d = _mm256_xor_si256(d, _mm256_loadu_si256(at + 3));
    }
    a = _mm256_xor_si256(_mm256_xor_si256(a, b), _mm256_xor_si256(c, d));
    return (float)_mm256_extract_epi32(a, 0);
}

/* 32-byte non-temporal stores with prefetch into L2, where it leaves the buffers alone
 * that the stores need: the best of those tried. */
__attribute__((target("avx2"))) static inline void
limit_copy(uint8_t *to, const uint8_t *from, size_t bytes)
{
    for (size_t i = 0; i + 128 <= bytes; i += 128) {
        const __m256i *at = (const __m256i *)(const void *)(from + i);
        __m256i *out = (__m256i *)(void *)(to + i);
        _mm_prefetch((const char *)at + LIMIT_COPY_AHEAD_BYTES, _MM_HINT_T1);
        _mm_prefetch((const char *)at + LIMIT_COPY_AHEAD_BYTES + 64, _MM_HINT_T1);
        const __m256i a = _mm256_loadu_si256(at), b = _mm256_loadu_si256(at + 1);
        const __m256i c = _mm256_loadu_si256(at + 2), d = _mm256_loadu_si256(at + 3);
        _mm256_stream_si256(out, a);
        _mm256_stream_si256(out + 1, b);
        _mm256_stream_si256(out + 2, c);
        _mm256_stream_si256(out + 3, d);
    }
    _mm_sfence();
}

/* Of every 512 bytes it writes 34, as a projection to 2-bit codes does. */
__attribute__((target("avx2"))) static inline void
limit_read_write(uint8_t *to, const uint8_t *from, size_t bytes, enum limit_ahead ahead)
{
    for (size_t i = 0; i + 512 <= bytes; i += 512, to += 34) {
        const __m256i *at = (const __m256i *)(const void *)(from + i);
        __m256i a = _mm256_loadu_si256(at), b = _mm256_loadu_si256(at + 1);
        for (size_t line = 0; line < 512; line += 64)
            limit_prefetch(from + i + line, ahead);
        for (size_t k = 2; k < 16; k += 2) {
            a = _mm256_xor_si256(a, _mm256_loadu_si256(at + k));
            b = _mm256_xor_si256(b, _mm256_loadu_si256(at + k + 1));
        }
        a = _mm256_xor_si256(a, b);
        _mm256_storeu_si256((__m256i *)(void *)to, a);
        memcpy(to + 32, &a, 2);
    }
}

/* So many instructions that do nothing, without a loop of them: a jump into a row of them. */
static inline void limit_nops(uint64_t nops)
{
    __asm__ volatile("lea 1f(%%rip), %%rax\n sub %0, %%rax\n jmp *%%rax\n"
                     " .skip 2048, 0x90\n 1:" /* LIMIT_NOPS_MAX */
                     :
                     : "r"(nops)
                     : "rax", "cc");
}

#else

static inline void limit_nops(uint64_t nops)
{
    for (uint64_t i = 0; i < nops; i++)
        __asm__ volatile("nop");
}

static inline float limit_read(const uint8_t *from, size_t bytes, enum limit_ahead ahead)
{
    uint64_t all[8] = {0};
    for (size_t i = 0; i + sizeof(all) <= bytes; i += sizeof(all)) {
        uint64_t words[8];
        if (ahead != LIMIT_PLAIN)
            __builtin_prefetch(from + i + LIMIT_AHEAD_BYTES);
        memcpy(words, from + i, sizeof(words));
        for (size_t k = 0; k < 8; k++)
            all[k] ^= words[k];
    }
    return (float)(all[0] ^ all[1] ^ all[2] ^ all[3] ^ all[4] ^ all[5] ^ all[6] ^ all[7]);
}

static inline void limit_copy(uint8_t *to, const uint8_t *from, size_t bytes)
{
    memcpy(to, from, bytes);
}

static inline void limit_read_write(uint8_t *to, const uint8_t *from, size_t bytes,
                                    enum limit_ahead ahead)
{
    for (size_t i = 0; i + 512 <= bytes; i += 512, to += 34) {
        const float found = limit_read(from + i, 512, ahead);
        memset(to, 0, 34);
        memcpy(to, &found, sizeof(found));
    }
}

#endif

/* Reads, and executes `nops` instructions beside every 512 bytes: what memory gives a loop that
 * computes as long. */
static inline float limit_read_busy(const uint8_t *from, size_t bytes, uint64_t nops)
{
    float all = 0;
    for (size_t i = 0; i + 512 <= bytes; i += 512) {
        all += limit_read(from + i, 512, LIMIT_FAR);
        limit_nops(nops);
    }
    return all;
}

#endif
