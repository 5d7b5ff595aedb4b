/* SPDX-License-Identifier: Apache-2.0 */
/* Products: near the f64 result; with the bits of the order that linear.h states, on
 * every ISA and for every split. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu.h"
#include "kernels/linear/linear.h"
#include "kernels/linear/table.h"
#include "tests/lib/check.h"
#include "tests/lib/linear_work.h"

#ifdef TRIT_ASAN      /* ten times slower */
enum { ROUNDS = 25 }; /* random shapes for every ISA */
#else
enum { ROUNDS = 100 };
#endif

/* ---- in f64 ---- */

/* The sum of products, and the sum of their magnitudes, which errors are relative to. */
struct exact {
    double sum, size;
};

static void exact_add(struct exact *exact, double product)
{
    exact->sum += product;
    exact->size += fabs(product);
}

static struct exact exact_of(const struct work *work, enum product product, uint64_t at)
{
    const uint64_t rows = work->c.matrix.rows, columns = work->c.matrix.columns;
    struct exact exact = {0, 0};
    if (product == FORWARD) {
        const uint64_t b = at / rows, r = at % rows;
        for (uint64_t i = 0; i < columns; i++)
            exact_add(&exact,
                      linear_weight(&work->c, r, i) * (double)work->x[b * columns + i]);
        if (work->bias)
            exact_add(&exact, (double)work->bias[r]);
    } else if (product == GRAD_INPUT) {
        const uint64_t b = at / columns, i = at % columns;
        for (uint64_t r = 0; r < rows; r++)
            exact_add(&exact,
                      linear_weight(&work->c, r, i) * (double)work->g[b * rows + r]);
    } else if (product == GRAD_WEIGHT) {
        const uint64_t r = at / columns, i = at % columns;
        for (uint64_t b = 0; b < work->batch; b++)
            exact_add(&exact,
                      (double)work->g[b * rows + r] * (double)work->x[b * columns + i]);
    } else {
        exact_add(&exact, linear_weight(&work->c, at / columns, at % columns));
    }
    return exact;
}

CASE(near_f64, "products are within 1e-6 of the f64 result")
{
    uint64_t state = check_seed();
    const struct kernels *portable = kernels_select("portable");
    static const enum product products[] = {FORWARD, GRAD_INPUT, GRAD_WEIGHT, ROWS};
    for (int round = 0; round < 40; round++) {
        struct work work;
        work_random(&work, &state);
        for (size_t p = 0; p < sizeof(products) / sizeof(products[0]); p++) {
            float *out = work_run(portable, &work, products[p]);
            for (uint64_t i = 0; i < work_floats(&work, products[p]); i++) {
                const struct exact exact = exact_of(&work, products[p], i);
                CHECK(fabs((double)out[i] - exact.sum) <= 1e-6 * exact.size);
            }
            free(out);
        }
        work_fini(&work);
    }
}

/* ---- the order, written out -------------------------------------------------------- */

static float x_or_zero(const struct work *work, uint64_t b, uint64_t column)
{
    const uint64_t columns = work->c.matrix.columns;
    return column < columns ? work->x[b * columns + column] : 0.0f;
}

static float trit_or_zero(const struct work *work, uint64_t r, uint64_t column)
{
    const uint64_t columns = work->c.matrix.columns;
    return column < columns ? (float)work->c.trits[r * columns + column] : 0.0f;
}

static float pair_sum(const struct work *work, uint64_t b, uint64_t r, uint64_t column)
{
    const float one = trit_or_zero(work, r, column) * x_or_zero(work, b, column);
    return one + trit_or_zero(work, r, column + 4) * x_or_zero(work, b, column + 4);
}

static float forward_written_out(const struct work *work, uint64_t b, uint64_t r)
{
    const uint64_t columns = work->c.matrix.columns, size = work->c.matrix.group_size;
    float acc = 0.0f;
    for (uint64_t begin = 0; begin < columns; begin += size) {
        float p = 0.0f;
        for (uint64_t i = begin; i < begin + size && i < columns; i += 8) {
            float e[4];
            for (uint64_t m = 0; m < 4; m++)
                e[m] = pair_sum(work, b, r, i + m);
            p += (e[0] + e[1]) + (e[2] + e[3]);
        }
        acc = fmaf(linear_scale(&work->c, r, begin), p, acc);
    }
    return work->bias ? acc + work->bias[r] : acc;
}

static float int8_written_out(const struct work *work, uint64_t b, uint64_t r)
{
    const uint64_t columns = work->c.matrix.columns, size = work->c.matrix.group_size;
    const int8_t *q = work->q + b * linear_quantized(columns);
    float acc = 0.0f;
    for (uint64_t begin = 0; begin < columns; begin += size) {
        int64_t dot = 0;
        for (uint64_t i = begin; i < begin + size && i < columns; i++)
            dot += q[i] * work->c.trits[r * columns + i];
        acc = fmaf(linear_scale(&work->c, r, begin), (float)dot, acc);
    }
    const float y = acc * (work->absmax[b] / 127.0f);
    return work->bias ? y + work->bias[r] : y;
}

static float gradient_written_out(const struct work *work, enum product product,
                                  uint64_t at)
{
    const uint64_t rows = work->c.matrix.rows, columns = work->c.matrix.columns;
    const uint64_t column = at % columns;
    float acc = 0.0f;
    if (product == GRAD_INPUT)
        for (uint64_t r = 0; r < rows; r++)
            acc = fmaf((float)linear_weight(&work->c, r, column),
                       work->g[at / columns * rows + r], acc);
    else
        for (uint64_t b = 0; b < work->batch; b++)
            acc = fmaf(work->g[b * rows + at / columns], work->x[b * columns + column],
                       acc);
    return acc;
}

static float written_out(const struct work *work, enum product product, uint64_t at)
{
    const uint64_t rows = work->c.matrix.rows, columns = work->c.matrix.columns;
    if (product == FORWARD)
        return forward_written_out(work, at / rows, at % rows);
    if (product == FORWARD_INT8)
        return int8_written_out(work, at / rows, at % rows);
    if (product == ROWS)
        return (float)linear_weight(&work->c, at / columns, at % columns);
    return gradient_written_out(work, product, at);
}

static void check_order(const struct work *work, const struct kernels *kernels)
{
    for (enum product product = FORWARD; product < PRODUCTS; product++) {
        const uint64_t floats = work_floats(work, product);
        float *out = work_run(kernels, work, product);
        for (uint64_t i = 0; i < floats; i++) {
            const float value =
                written_out(work, product, i) + 0.0f; /* turns -0 of rows into +0 */
            CHECK(memcmp(&out[i], &value, sizeof(value)) == 0);
        }
        free(out);
    }
}

CASE(in_order, "products are summed in the order that linear.h states")
{
    uint64_t state = check_seed();
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    for (int round = 0; round < 30; round++) {
        struct work work;
        work_random(&work, &state);
        work_quantize(tables[0], &work);
        for (size_t i = 0; i < count; i++)
            check_order(&work, tables[i]);
        work_fini(&work);
    }
}

/* ---- the same bits ---- */

static void check_same(const struct work *work, const struct kernels *kernels,
                       enum product product, uint64_t *state)
{
    const uint64_t extent = work_extent(work, product),
                   floats = work_floats(work, product);
    float *want = work_run(kernels_select("portable"), work, product);
    float *got = work_run(kernels, work, product);
    CHECK_MEM(got, want, (size_t)floats * sizeof(*got));
    memset(got, 0xee, (size_t)floats * sizeof(*got));
    for (uint64_t first = 0; first < extent;) {
        uint64_t count = linear_any(state, 1, extent);
        if (product == GRAD_INPUT)
            count = (count + 15) / 16 * 16;
        if (count > extent - first)
            count = extent - first;
        work_run_part(kernels, work, product, first, count, got);
        first += count;
    }
    CHECK_MEM(got, want, (size_t)floats * sizeof(*got));
    free(want);
    free(got);
}

CASE(same_everywhere, "products have the same bits on every ISA and for every split")
{
    uint64_t state = check_seed();
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    for (int round = 0; round < ROUNDS; round++) {
        struct work work;
        work_random(&work, &state);
        work_quantize(tables[count - 1], &work);
        for (size_t i = 0; i < count; i++)
            for (enum product product = FORWARD; product < PRODUCTS; product++)
                check_same(&work, tables[i], product, &state);
        work_fini(&work);
    }
}

/* Many tiles, many groups, batches larger than every block: rare in random shapes. */
CASE(same_when_large, "large shapes have the same bits on every ISA and for every split")
{
    static const struct {
        uint64_t rows, columns, batch;
        uint32_t group_size;
    } shapes[] = {{1100, 300, 2, 32},  {70, 9000, 5, 128},   {37, 2100, 70, 64},
                  {130, 700, 67, 128}, {33, 1700, 3, 65536}, {48, 4097, 1, 2048}};
    uint64_t state = check_seed();
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++) {
        struct work work;
        work_init(&work, shapes[s].rows, shapes[s].columns, shapes[s].group_size,
                  shapes[s].batch, &state);
        work_quantize(tables[0], &work);
        for (size_t i = 0; i < count; i++)
            for (enum product product = FORWARD; product < PRODUCTS; product++)
                check_same(&work, tables[i], product, &state);
        work_fini(&work);
    }
}

/* Protocol buffers deliver floats that are aligned to 4 bytes only. */
CASE(misaligned, "activations and results may have any alignment")
{
    uint64_t state = check_seed();
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    struct work work;
    work_init(&work, 50, 333, 64, 5, &state);
    const size_t x_bytes = 5 * 333 * sizeof(float), y_bytes = 5 * 50 * sizeof(float);
    float *x = linear_floats(5 * 333 + 1), *y = linear_floats(5 * 50 + 1);
    for (size_t i = 0; i < count; i++) {
        float *want = work_run(tables[i], &work, FORWARD);
        float *moved = x + 1, *into = y + 1;
        memcpy(moved, work.x, x_bytes);
        linear_forward(tables[i], &work.c.matrix, moved, 5, work.bias, 0, 50, into);
        CHECK_MEM(into, want, y_bytes);
        free(want);
    }
    free(x);
    free(y);
    work_fini(&work);
}

/* All codes are 2 and all q are 127 or -127, which gives the largest sums. */
CASE(largest_sums, "int8 products are exact for the largest sums")
{
    uint64_t state = check_seed();
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    struct work work;
    work_init(&work, 80, 65536, 65536, 1, &state);
    memset(work.c.in_sequence, 0xaa, 80 * 65536 / 4);
    memset(work.c.trits, 1, 80 * 65536);
    linear_pack(65536, 65536, work.c.in_sequence, 0, 80, work.c.codes);
    for (int sign = -1; sign <= 1; sign += 2) {
        for (uint64_t i = 0; i < 65536; i++)
            work.x[i] = (float)sign;
        work_quantize(tables[0], &work);
        for (size_t i = 0; i < count; i++) {
            float *out = work_run(tables[i], &work, FORWARD_INT8);
            for (uint64_t r = 0; r < 80; r++)
                CHECK(out[r] == int8_written_out(&work, 0, r));
            free(out);
        }
    }
    work_fini(&work);
}

#if defined(__x86_64__)

static float *run_int8(const struct linear_table *table, const struct work *work)
{
    const struct linear_int8 x = {work->q, work->sums, work->absmax};
    float *y = linear_floats(work->batch * work->c.matrix.rows);
    const struct linear_part part = {work->batch, work->bias, 0, work->c.matrix.rows, y};
    table->forward_int8(&work->c.matrix, &x, &part);
    return y;
}

/* The processor decides which of the two a product takes, so the other cases test one. */
CASE(avx_vnni, "int8 products by AVX2 have the same bits with AVX-VNNI and without")
{
    uint64_t state = check_seed();
    for (int round = 0; cpu_has_avx_vnni() && round < ROUNDS; round++) {
        struct work work;
        work_random(&work, &state);
        work_quantize(kernels_select("avx2"), &work);
        float *with = run_int8(&linear_avx2_vnni, &work),
              *without = run_int8(&linear_avx2, &work);
        CHECK_MEM(with, without,
                  (size_t)(work.batch * work.c.matrix.rows) * sizeof(*with));
        free(with);
        free(without);
        work_fini(&work);
    }
}

#endif

CASE(int8_near_f32, "int8 activations cost little precision")
{
    uint64_t state = check_seed();
    const struct kernels *kernels = kernels_select(NULL);
    struct work work;
    work_init(&work, 64, 2048, 128, 4, &state);
    work_quantize(kernels, &work);
    float *exact = work_run(kernels, &work, FORWARD);
    float *rough = work_run(kernels, &work, FORWARD_INT8);
    double error = 0, size = 0;
    for (uint64_t i = 0; i < 4 * 64; i++) {
        error += pow((double)(exact[i] - rough[i]), 2);
        size += pow((double)exact[i], 2);
    }
    CHECK(error > 0 && sqrt(error / size) < 0.02);
    free(exact);
    free(rough);
    work_fini(&work);
}
