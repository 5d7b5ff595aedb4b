/* The vocabulary of products in plain C: what every other one must equal. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    float lane[16];
} vf;
typedef struct {
    uint32_t lane[16];
} vi;

enum {
    F32_TILES = 1,
    F32_MANY_TILES = 1,
    F32_MANY = 4,
    INT8_TILES = 1,
    INT8_MANY_TILES = 1,
    INT8_MANY = 1,
};

static inline vf vf_load(const float *p)
{
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void vf_store(float *p, vf v)
{
    memcpy(p, &v, sizeof v);
}

static inline vf vf_splat(float x)
{
    vf v;
    for (int i = 0; i < 16; i++)
        v.lane[i] = x;
    return v;
}

static inline vf vf_zero(void)
{
    return vf_splat(0.0f);
}

static inline vf vf_add(vf a, vf b)
{
    for (int i = 0; i < 16; i++)
        a.lane[i] += b.lane[i];
    return a;
}

static inline vf vf_mul(vf a, vf b)
{
    for (int i = 0; i < 16; i++)
        a.lane[i] *= b.lane[i];
    return a;
}

static inline vf vf_fma(vf a, vf b, vf c)
{
    for (int i = 0; i < 16; i++)
        c.lane[i] = fmaf(a.lane[i], b.lane[i], c.lane[i]);
    return c;
}

static inline vf vf_of(vi words)
{
    vf v;
    for (int i = 0; i < 16; i++)
        v.lane[i] = (float)(int32_t)words.lane[i];
    return v;
}

static inline vf vf_pick(vf table, vi words)
{
    vf v;
    for (int i = 0; i < 16; i++)
        v.lane[i] = table.lane[words.lane[i] & 15];
    return v;
}

static inline void vf_turn(vf v[16])
{
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < i; j++) {
            const float lane = v[i].lane[j];
            v[i].lane[j] = v[j].lane[i];
            v[j].lane[i] = lane;
        }
}

static inline vi vi_load(const uint8_t *p)
{
    vi v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline vi vi_splat(int32_t word)
{
    vi v;
    for (int i = 0; i < 16; i++)
        v.lane[i] = (uint32_t)word;
    return v;
}

static inline vi vi_right(vi v, int n)
{
    for (int i = 0; i < 16; i++)
        v.lane[i] >>= n;
    return v;
}

static inline vi vi_spread(uint32_t word)
{
    vi v;
    for (int c = 0; c < 16; c++)
        v.lane[c] = word >> (c % 4 * 8 + c / 4 * 2);
    return v;
}

static inline void vi_dots(vi *dots, const uint8_t *codes, uint64_t tile_bytes,
                           const int8_t *q, uint64_t q_stride, uint64_t units,
                           size_t tiles, size_t many)
{
    (void)tile_bytes, (void)q_stride, (void)tiles, (void)many; /* one of each */
    int32_t sums[16];
    memcpy(sums, dots, sizeof sums);
    for (uint64_t u = 0; u < units; u++, codes += 64, q += 16) {
        const vi words = vi_load(codes);
        for (int c = 0; c < 16; c++)
            for (int i = 0; i < 16; i++)
                sums[i] += (int32_t)(words.lane[i] >> (c % 4 * 8 + c / 4 * 2) & 3) * q[c];
    }
    memcpy(dots, sums, sizeof sums);
}

#include "kernels/linear_body.h"

const struct linear_table linear_portable = LINEAR_TABLE;
