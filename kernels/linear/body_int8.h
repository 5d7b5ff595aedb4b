/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h: int8 activations.
 *
 * i32x16_dot_i8(dots, codes, tile_bytes, q, q_stride, units, tiles, many) multiplies the
 * codes (0, 1, 2) of `units` units with q and adds the products to dots[tile * many + row
 * of x]. */

/* The largest magnitude. Compares bits, so that a NaN is larger than any number. */
INLINE float largest(const float *x, uint64_t count)
{
    uint32_t top[LANES] = {0}, all = 0;
    uint64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (size_t j = 0; j < LANES; j++) {
            const uint32_t bits = float_bits(x[i + j]) & 0x7fffffffu;
            top[j] = bits > top[j] ? bits : top[j];
        }
    for (; i < count; i++) {
        const uint32_t bits = float_bits(x[i]) & 0x7fffffffu;
        all = bits > all ? bits : all;
    }
    for (size_t j = 0; j < LANES; j++)
        all = top[j] > all ? top[j] : all;
    return float_of_bits(all);
}

static void quantize(const struct linear_matrix *matrix, const float *x, int8_t *q,
                     int32_t *sums, float *absmax)
{
    const uint64_t columns = matrix->columns;
    const float top = largest(x, columns), scale = 127.0f / top;
    memset(q, 0, linear_quantized(columns));
    memset(sums, 0, linear_groups(matrix) * sizeof(*sums));
    *absmax = isinf(scale) ? 0.0f : top;
    if (isinf(scale))
        return;
    for (uint64_t i = 0; i < columns; i++) {
        const float value = rintf(x[i] * scale);
        const float bounded =
            value >= -127.0f ? value : -127.0f; /* also where it is NaN */
        q[i] = (int8_t)(int)(bounded <= 127.0f ? bounded : 127.0f);
    }
    for (uint64_t i = 0, group = 0; i < columns; group++) {
        const uint64_t stop = least(i + matrix->group_size, columns);
        int32_t sum = 0;
        for (; i < stop; i++)
            sum += q[i];
        sums[group] = sum;
    }
}

struct int8_part {
    const struct linear_int8 *x;
    uint64_t row, stride; /* row of x; bytes from one row of q to the next */
    uint64_t group, stop; /* groups [group, stop) */
};

/* Where one group begins: in the codes, in q, in the sums of q and in the scales. */
struct int8_group {
    const uint8_t *codes;
    const int8_t *q;
    const int32_t *sums;
    const float *scales;
};

/* Adds the products of one group, of some units, and goes to the next one. */
INLINE void add_group(float (*acc)[LANES], const struct strip *strip,
                      const struct int8_part *part, struct int8_group *group,
                      const uint64_t units, const size_t tiles, const size_t many)
{
    i32x16 dots[32];
    for (size_t i = 0; i < tiles * many; i++)
        dots[i] = i32x16_splat(-group->sums[i % many * strip->groups]);
    i32x16_dot_i8(dots, group->codes, strip->tile_bytes, group->q, part->stride, units,
                  tiles, many);
    for (size_t i = 0; i < tiles * many; i++)
        f32x16_store(acc[i], f32x16_fma(f32x16_load(group->scales + i / many * LANES),
                                        f32x16_of_i32(dots[i]), f32x16_load(acc[i])));
    group->codes += units * UNIT_BYTES;
    group->q += units * UNIT_COLUMNS;
    group->sums++;
    group->scales += tiles * LANES;
}

/* Adds the products of the part's groups. Groups of 128 have a loop of their own for one
 * row of x: with the length a constant, all of it is unrolled. */
INLINE void add_groups(float (*acc)[LANES], const struct strip *strip,
                       const struct int8_part *part, const float *scales,
                       const size_t tiles, const size_t many)
{
    const uint64_t size = strip->matrix->group_size, columns = strip->matrix->columns,
                   begin = part->group * size;
    struct int8_group group = {
        .codes = strip->codes + begin / UNIT_COLUMNS * UNIT_BYTES,
        .q = part->x->q + part->row * part->stride + begin,
        .sums = part->x->sums + part->row * strip->groups + part->group,
        .scales = scales,
    };
    uint64_t g = part->group;
    if (many == 1 && size == ROW_UNITS * UNIT_COLUMNS)
        for (const uint64_t whole = least(part->stop, columns / size); g < whole; g++)
            add_group(acc, strip, part, &group, ROW_UNITS, tiles, many);
    for (; g < part->stop; g++)
        add_group(acc, strip, part, &group, units_of(least(size, columns - g * size)),
                  tiles, many);
}

/* Computes a strip for rows [batch_row, batch_row + batch) of x, at most BATCH_MAX. */
INLINE void forward_strip(const struct linear_matrix *matrix, const struct linear_int8 *x,
                          const struct linear_part *part, uint64_t batch_row,
                          uint64_t batch, uint64_t tile, const size_t tiles,
                          const size_t many)
{
    const struct strip strip = strip_of(matrix, tile);
    float acc[BATCH_MAX * 8][LANES] __attribute__((aligned(64)));
    float scales[SCALE_GROUPS * 8 * LANES] __attribute__((aligned(64)));
    memset(acc, 0, batch * tiles * sizeof(acc[0]));
    struct int8_part some = {.x = x, .stride = linear_quantized(matrix->columns)};
    for (; some.group < strip.groups; some.group = some.stop) {
        some.stop = least(some.group + SCALE_GROUPS, strip.groups);
        transpose_scales(scales, &strip, some.group, some.stop - some.group, tiles);
        uint64_t b = 0;
        for (; b + many <= batch; b += many) {
            some.row = batch_row + b;
            add_groups(acc + b * tiles, &strip, &some, scales, tiles, many);
        }
        for (; b < batch; b++) {
            some.row = batch_row + b;
            add_groups(acc + b * tiles, &strip, &some, scales, tiles, 1);
        }
    }
    const uint64_t whole = batch / many * many;
    for (uint64_t b = 0; b < batch; b++)
        for (size_t t = 0; t < tiles; t++) {
            const uint64_t at =
                b < whole ? (b / many * tiles + t) * many + b % many : b * tiles + t;
            const f32x16 unit = f32x16_splat(x->absmax[batch_row + b] / 127.0f);
            store_tile(part, matrix->rows, batch_row + b, tile + t,
                       f32x16_mul(f32x16_load(acc[at]), unit));
        }
}

static void forward_int8(const struct linear_matrix *matrix, const struct linear_int8 *x,
                         const struct linear_part *part)
{
    const uint64_t end = (part->first + part->count + TILE_ROWS - 1) / TILE_ROWS;
    for (uint64_t b = 0; b < part->batch; b += BATCH_MAX) {
        const uint64_t batch = least(part->batch - b, BATCH_MAX);
        uint64_t tile = part->first / TILE_ROWS;
        if (batch >= INT8_MANY)
            for (; tile + INT8_MANY_TILES <= end; tile += INT8_MANY_TILES)
                forward_strip(matrix, x, part, b, batch, tile, INT8_MANY_TILES,
                              INT8_MANY);
        for (; tile < end; tile++)
            forward_strip(matrix, x, part, b, batch, tile, 1, 1);
    }
}
