/* SPDX-License-Identifier: Apache-2.0 */
/* A template (typed.h): units, keys and thresholds in compiler vectors. */

enum { UNIT_VECTORS = UNIT * ELEMENT_BYTES / VECTOR_BYTES };

typedef keyv keyv_unaligned __attribute__((aligned(1), may_alias));

/* 64 elements as they are in memory. */
typedef struct {
    keyv r[UNIT_VECTORS];
} unit;

/* A group's keys in every lane. Whether low <= key <= high takes one signed comparison:
 * shift moves low to the least number, and then the key is below `end`. */
typedef struct {
    keyv half, s, shift, end;
} thresholds;

static inline unit unit_load(const uint8_t *p)
{
    unit u;
    for (size_t i = 0; i < UNIT_VECTORS; i++)
        u.r[i] = *(const keyv_unaligned *)(const void *)(p + VECTOR_BYTES * i);
    return u;
}

static inline void unit_store(uint8_t *p, unit u)
{
    for (size_t i = 0; i < UNIT_VECTORS; i++)
        *(keyv_unaligned *)(void *)(p + VECTOR_BYTES * i) = u.r[i];
}

static inline keyv keys_of(keyv bits)
{
    return bits & (keyv)splat(~ELEMENT_SIGNS);
}

static inline thresholds thresholds_of(const struct keys *keys, size_t g)
{
    const ukeyv low = (ukeyv)splat(keys->low[g]), high = (ukeyv)splat(keys->high[g]);
    const ukeyv shift = (ukeyv)splat(ELEMENT_SIGNS) - low;
    return (thresholds){
        .half = (keyv)splat(keys->half[g]),
        .s = (keyv)splat(keys->s[g]),
        .shift = (keyv)shift,
        .end = (keyv)(high + (shift + 1)),
    };
}

static inline unit unit_union(unit acc, unit u)
{
    for (size_t i = 0; i < UNIT_VECTORS; i++)
        acc.r[i] |= u.r[i];
    return acc;
}

/* The same with the k-th vector of the unit at `p` alone. */
static inline unit unit_union_vector(unit acc, const uint8_t *p, size_t k)
{
    acc.r[k] |= *(const keyv_unaligned *)(const void *)(p + VECTOR_BYTES * k);
    return acc;
}

/* Stores the bits of a union's keys as one vector. */
static inline void unit_store_keys(struct partial *to, unit acc)
{
    keyv bits = acc.r[0];
    for (size_t i = 1; i < UNIT_VECTORS; i++)
        bits |= acc.r[i];
    *(keyv_unaligned *)(void *)to->lane = keys_of(bits);
}
