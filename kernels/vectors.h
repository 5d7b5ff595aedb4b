/* What the vocabularies have in common, in the compiler's own vectors of VECTOR_BYTES,
 * which the ISA file defines first: units, keys, f64 lanes. Wider vectors than the
 * machine's the compiler takes apart into scalars. The words are body.h's. */
#ifndef KERNELS_VECTORS_H
#define KERNELS_VECTORS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/block.h"
#include "trit/types.h"

typedef float fv __attribute__((vector_size(VECTOR_BYTES)));
typedef double dv __attribute__((vector_size(VECTOR_BYTES)));
typedef int16_t hv __attribute__((vector_size(VECTOR_BYTES)));
typedef uint16_t huv __attribute__((vector_size(VECTOR_BYTES)));
typedef int32_t iv __attribute__((vector_size(VECTOR_BYTES)));
typedef uint32_t uv __attribute__((vector_size(VECTOR_BYTES)));
typedef uint64_t lv __attribute__((vector_size(VECTOR_BYTES)));

/* The same at any address. A variable whose address memcpy takes may stay in memory. */
typedef iv iv_there __attribute__((aligned(1), may_alias));
typedef lv lv_there __attribute__((aligned(1), may_alias));
typedef dv dv_there __attribute__((aligned(1), may_alias));

/* Ends what the compiler knows of a vector, where it makes less of it than we do. */
#if defined(__x86_64__)
#define AS_IT_IS(v) __asm__("" : "+v"(v))
#else
#define AS_IT_IS(v) (void)(v)
#endif

enum {
    UNIT_VECTORS = UNIT * 4 / VECTOR_BYTES,   /* of a unit of f32 */
    WIDE_VECTORS = LANES * 4 / VECTOR_BYTES,  /* of 16 f32 */
    EXACT_VECTORS = LANES * 8 / VECTOR_BYTES, /* of 16 f64 */
    STEP = VECTOR_BYTES / 4,                  /* elements of a vector of f32 */
};

typedef struct {
    fv v[WIDE_VECTORS];
} vf;
typedef struct {
    dv v[EXACT_VECTORS];
} vd;
typedef struct {
    iv r[UNIT_VECTORS]; /* 16-bit types: the first half of them */
} vu;

/* A group's keys in every lane. What is near the threshold takes one comparison with
 * sign: a key less low, moved to where that order begins, is below `end`. */
typedef struct {
    iv half, s, shift, end;
} vk;

/* ---- units ------------------------------------------------------------------------- */

static inline size_t vectors_of(enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? UNIT_VECTORS : UNIT_VECTORS / 2;
}

static inline vu vu_load(const uint8_t *p, enum trit_dtype dtype)
{
    vu u;
    for (size_t i = 0; i < vectors_of(dtype); i++)
        u.r[i] = *(const iv_there *)(const void *)(p + VECTOR_BYTES * i);
    return u;
}

static inline void vu_store(uint8_t *p, vu u, enum trit_dtype dtype)
{
    for (size_t i = 0; i < vectors_of(dtype); i++)
        *(iv_there *)(void *)(p + VECTOR_BYTES * i) = u.r[i];
}

static inline vu vu_of(const vf v[4])
{
    vu u;
    for (size_t i = 0; i < UNIT_VECTORS; i++)
        u.r[i] = (iv)v[i / WIDE_VECTORS].v[i % WIDE_VECTORS];
    return u;
}

static inline vf vf_at(vu u, size_t k)
{
    vf v;
    for (size_t i = 0; i < WIDE_VECTORS; i++)
        v.v[i] = (fv)u.r[k * WIDE_VECTORS + i];
    return v;
}

static inline iv splat(uint32_t x)
{
    return (iv)((uv){0} + x);
}

static inline iv sign_bits(enum trit_dtype dtype)
{
    return splat(dtype == TRIT_F32 ? 0x80000000u : 0x80008000u);
}

static inline iv keys_of(iv bits, enum trit_dtype dtype)
{
    return bits & ~sign_bits(dtype);
}

/* In lanes as wide as the elements. */
static inline iv sum_of(iv a, iv b, enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? (iv)((uv)a + (uv)b) : (iv)((huv)a + (huv)b);
}

static inline iv difference_of(iv a, iv b, enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? (iv)((uv)a - (uv)b) : (iv)((huv)a - (huv)b);
}

static inline vk vk_of(const struct keys *keys, size_t g, enum trit_dtype dtype)
{
    const iv one = splat(dtype == TRIT_F32 ? 1 : 0x00010001);
    const iv shift = difference_of(sign_bits(dtype), splat(keys->low[g]), dtype);
    return (vk){
        .half = splat(keys->half[g]),
        .s = splat(keys->s[g]),
        .shift = shift,
        .end = sum_of(splat(keys->high[g]), sum_of(shift, one, dtype), dtype),
    };
}

static inline vu vu_union(vu acc, vu u, enum trit_dtype dtype)
{
    for (size_t i = 0; i < vectors_of(dtype); i++)
        acc.r[i] |= u.r[i];
    return acc;
}

/* Of a union, the bits of its keys, in one vector. */
static inline void vu_keep(struct partial *to, vu acc, enum trit_dtype dtype)
{
    iv bits = acc.r[0];
    for (size_t i = 1; i < vectors_of(dtype); i++)
        bits |= acc.r[i];
    *(iv_there *)(void *)to->lane = keys_of(bits, dtype);
}

/* ---- f64 --------------------------------------------------------------------------- */

static inline dv dv_load(const double *p)
{
    return *(const dv_there *)(const void *)p;
}

static inline dv dv_splat(double x)
{
    return (dv){0} + x;
}

/* x where m, else 0. */
static inline dv dv_where(lv m, dv x)
{
    return (dv)((lv)x & m);
}

static inline vd vd_zero(void)
{
    vd v;
    for (size_t i = 0; i < EXACT_VECTORS; i++)
        v.v[i] = (dv){0};
    return v;
}

static inline vd vd_load(const double *p)
{
    vd v;
    for (size_t i = 0; i < EXACT_VECTORS; i++)
        v.v[i] = dv_load(p + i * VECTOR_BYTES / 8);
    return v;
}

/* A sum of magnitudes: the lanes in whatever order and scale they are added in. */
typedef vd vs;

static inline vs vs_zero(void)
{
    return vd_zero();
}

static inline void vs_keep(struct partial *to, vs sum)
{
    for (size_t i = 0; i < EXACT_VECTORS; i++)
        *(dv_there *)(void *)(to->lane + i * VECTOR_BYTES / 8) = sum.v[i];
}

/* The canonical tree while it adds whole vectors: +8 and on. */
static inline dv vd_fold(vd acc)
{
    for (size_t width = EXACT_VECTORS / 2; width >= 1; width /= 2)
        for (size_t i = 0; i < width; i++)
            acc.v[i] += acc.v[i + width];
    return acc.v[0];
}

/* And within one: ... +2, +1. */
static inline double dv_total(dv folded)
{
    double lanes[VECTOR_BYTES / 8];
    memcpy(lanes, &folded, sizeof lanes);
    for (size_t width = VECTOR_BYTES / 16; width >= 1; width /= 2)
        for (size_t i = 0; i < width; i++)
            lanes[i] += lanes[i + width];
    return lanes[0];
}

static inline double vd_total(vd acc)
{
    return dv_total(vd_fold(acc));
}

#endif
