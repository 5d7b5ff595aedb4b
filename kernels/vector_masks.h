/* Comparisons whose outcome is a vector, all ones or none in each element: every machine
 * but one with mask registers. The words are body.h's. */
#ifndef KERNELS_VECTOR_MASKS_H
#define KERNELS_VECTOR_MASKS_H

#include "kernels/vectors.h"

/* t, which has no sign, with that of u; a machine may have one instruction for it. */
#ifndef WITH_SIGN
#define WITH_SIGN(t, u, sign) ((t) | ((u) & (sign)))
#endif

typedef struct {
    iv m[UNIT_VECTORS]; /* as the unit's vectors */
} vm;
typedef iv vx;
typedef iv vn; /* counts, 32 bits a lane */

static inline iv greater(iv a, iv b, enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? a > b : (iv)((hv)a > (hv)b);
}

static inline iv equal(iv a, iv b, enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? a == b : (iv)((hv)a == (hv)b);
}

static inline vm vu_beyond(vu u, vk k, enum trit_dtype dtype)
{
    vm m;
    for (size_t i = 0; i < vectors_of(dtype); i++)
        m.m[i] = greater(keys_of(u.r[i], dtype), k.half, dtype);
    return m;
}

static inline vu vu_dense(vu u, vk k, enum trit_dtype dtype)
{
    const vm m = vu_beyond(u, k, dtype);
    for (size_t i = 0; i < vectors_of(dtype); i++)
        u.r[i] = WITH_SIGN(m.m[i] & k.s, u.r[i], sign_bits(dtype));
    return u;
}

static inline vm vu_is(vu u, vk k, enum trit_dtype dtype)
{
    vm m;
    for (size_t i = 0; i < vectors_of(dtype); i++) {
        m.m[i] = equal(keys_of(u.r[i], dtype), k.s, dtype);
        AS_IT_IS(m.m[i]); /* or gcc blends by it where ands would do */
    }
    return m;
}

static inline vx vx_zero(void)
{
    return splat(0);
}

static inline vx vx_add(vx x, vu u, vm m, vk k, enum trit_dtype dtype)
{
    (void)k;
    for (size_t i = 0; i < vectors_of(dtype); i++)
        x |= keys_of(u.r[i], dtype) & ~m.m[i];
    return x;
}

static inline vn vn_zero(void)
{
    return splat(0);
}

static inline vn vn_add(vn n, vu u, vk k, enum trit_dtype dtype)
{
    iv minus = splat(0);
    for (size_t i = 0; i < vectors_of(dtype); i++)
        minus = sum_of(
            minus, greater(k.end, sum_of(keys_of(u.r[i], dtype), k.shift, dtype), dtype),
            dtype);
    if (dtype != TRIT_F32) /* both halves of a lane, with sign */
        minus = ((iv)((uv)minus << 16) >> 16) + (minus >> 16);
    return n - minus;
}

static inline uint64_t vn_total(vn n)
{
    uint64_t total = 0;
    for (size_t i = 0; i < STEP; i++)
        total += (uint32_t)n[i];
    return total;
}

#endif
