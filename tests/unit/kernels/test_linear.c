/* Products: against f64, against the order of linear.h written out, bit for bit on
 * every ISA, for every split. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/linear.h"
#include "tests/lib/check.h"
#include "tests/unit/kernels/linear_inputs.h"

static const uint32_t group_sizes[] = {16, 32, 48, 64, 128, 256, 1024};

/* ---- the answers ---------------------------------------------------------------------
 */

enum product { FORWARD, FORWARD_INT8, GRAD_INPUT, GRAD_WEIGHT, ROWS, PRODUCTS };

struct work {
    struct linear_case c;
    uint64_t batch;
    float *x, *g, *bias;
    int8_t *q;
    int32_t *sums;
    float *absmax;
};

static void work_init(struct work *work, uint64_t rows, uint64_t columns,
                      uint32_t group_size, uint64_t batch, uint64_t *state)
{
    linear_case_init(&work->c, rows, columns, group_size, state);
    work->batch = batch;
    work->x = linear_numbers(batch * columns, state);
    work->g = linear_numbers(batch * rows, state);
    work->bias = linear_any(state, 0, 1) ? linear_numbers(rows, state) : NULL;
    work->q = malloc((size_t)(batch * linear_quantized(columns)));
    work->sums = malloc((size_t)(batch * work->c.groups) * sizeof *work->sums);
    work->absmax = linear_floats(batch);
    CHECK(work->q && work->sums);
}

static void work_random(struct work *work, uint64_t *state)
{
    const size_t kinds = sizeof group_sizes / sizeof group_sizes[0];
    const uint64_t rows = linear_any(state, 1, linear_any(state, 0, 9) ? 40 : 200);
    const uint64_t columns = linear_any(state, 1, linear_any(state, 0, 9) ? 600 : 3000);
    work_init(work, rows, columns, group_sizes[linear_any(state, 0, kinds - 1)],
              linear_any(state, 1, 9), state);
}

static void work_fini(struct work *work)
{
    linear_case_fini(&work->c);
    free(work->x);
    free(work->g);
    free(work->bias);
    free(work->q);
    free(work->sums);
    free(work->absmax);
}

static void quantize_all(const struct kernels *kernels, struct work *work)
{
    const uint64_t columns = work->c.matrix.columns;
    for (uint64_t b = 0; b < work->batch; b++)
        linear_quantize(kernels, &work->c.matrix, work->x + b * columns,
                        work->q + b * linear_quantized(columns),
                        work->sums + b * work->c.groups, work->absmax + b);
}

/* How many rows or columns there are to split, and how many floats come out. */
static uint64_t extent_of(const struct work *work, enum product product)
{
    return product == GRAD_INPUT ? work->c.matrix.columns : work->c.matrix.rows;
}

static uint64_t floats_of(const struct work *work, enum product product)
{
    if (product == FORWARD || product == FORWARD_INT8)
        return work->batch * work->c.matrix.rows;
    if (product == GRAD_INPUT)
        return work->batch * work->c.matrix.columns;
    return work->c.matrix.rows * work->c.matrix.columns;
}

static void run_part(const struct kernels *kernels, const struct work *work,
                     enum product product, uint64_t first, uint64_t count, float *out)
{
    const struct linear_matrix *matrix = &work->c.matrix;
    switch (product) {
    case FORWARD:
        linear_forward(kernels, matrix, work->x, work->batch, work->bias, first, count,
                       out);
        return;
    case FORWARD_INT8:
        linear_forward_int8(kernels, matrix, work->q, work->sums, work->absmax,
                            work->batch, work->bias, first, count, out);
        return;
    case GRAD_INPUT:
        linear_grad_input(kernels, matrix, work->g, work->batch, first, count, out);
        return;
    case GRAD_WEIGHT:
        linear_grad_weight(kernels, work->g, work->x, work->batch, matrix->rows,
                           matrix->columns, first, count, out);
        return;
    case ROWS:
        linear_rows(kernels, matrix, first, count, out + first * matrix->columns);
        return;
    case PRODUCTS:
        return;
    }
}

/* Everything, with a float behind it that stays as it was; `given` to free. */
static float *run_all(const struct kernels *kernels, const struct work *work,
                      enum product product)
{
    const uint64_t floats = floats_of(work, product);
    float *out = linear_floats(floats);
    out[floats] = 12345.0f;
    run_part(kernels, work, product, 0, extent_of(work, product), out);
    CHECK(out[floats] == 12345.0f);
    return out;
}

/* ---- in f64 ---------------------------------------------------------------------------
 */

/* The sum of products and of their magnitudes: what an error is relative to. */
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

static void near_f64(void)
{
    uint64_t state = check_seed();
    const struct kernels *portable = kernels_select("portable");
    static const enum product products[] = {FORWARD, GRAD_INPUT, GRAD_WEIGHT, ROWS};
    for (int round = 0; round < 40; round++) {
        struct work work;
        work_random(&work, &state);
        for (size_t p = 0; p < sizeof products / sizeof products[0]; p++) {
            float *out = run_all(portable, &work, products[p]);
            for (uint64_t i = 0; i < floats_of(&work, products[p]); i++) {
                const struct exact exact = exact_of(&work, products[p], i);
                CHECK(fabs((double)out[i] - exact.sum) <= 1e-6 * exact.size);
            }
            free(out);
        }
        work_fini(&work);
    }
}

/* ---- the order, written out
 * --------------------------------------------------------------
 */

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
        const uint64_t floats = floats_of(work, product);
        float *out = run_all(kernels, work, product);
        for (uint64_t i = 0; i < floats; i++) {
            const float value = written_out(work, product, i) + 0.0f; /* -0 of rows */
            CHECK(memcmp(&out[i], &value, sizeof value) == 0);
        }
        free(out);
    }
}

static void in_order(void)
{
    uint64_t state = check_seed();
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    for (int round = 0; round < 30; round++) {
        struct work work;
        work_random(&work, &state);
        quantize_all(tables[0], &work);
        for (size_t i = 0; i < count; i++)
            check_order(&work, tables[i]);
        work_fini(&work);
    }
}

/* ---- the same bits
 * -----------------------------------------------------------------------
 */

static void check_same(const struct work *work, const struct kernels *kernels,
                       enum product product, uint64_t *state)
{
    const uint64_t extent = extent_of(work, product), floats = floats_of(work, product);
    float *want = run_all(kernels_select("portable"), work, product);
    float *got = run_all(kernels, work, product);
    CHECK_MEM(got, want, (size_t)floats * sizeof *got);
    memset(got, 0xee, (size_t)floats * sizeof *got);
    for (uint64_t first = 0; first < extent;) {
        uint64_t count = linear_any(state, 1, extent);
        if (product == GRAD_INPUT)
            count = (count + 15) / 16 * 16;
        if (count > extent - first)
            count = extent - first;
        run_part(kernels, work, product, first, count, got);
        first += count;
    }
    CHECK_MEM(got, want, (size_t)floats * sizeof *got);
    free(want);
    free(got);
}

static void same_everywhere(void)
{
    uint64_t state = check_seed();
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    for (int round = 0; round < 100; round++) {
        struct work work;
        work_random(&work, &state);
        quantize_all(tables[count - 1], &work);
        for (size_t i = 0; i < count; i++)
            for (enum product product = FORWARD; product < PRODUCTS; product++)
                check_same(&work, tables[i], product, &state);
        work_fini(&work);
    }
}

/* Many tiles, many groups, batches past every block: what random shapes seldom meet. */
static void same_when_large(void)
{
    static const struct {
        uint64_t rows, columns, batch;
        uint32_t group_size;
    } shapes[] = {{1100, 300, 2, 32},  {70, 9000, 5, 128},   {37, 2100, 70, 64},
                  {130, 700, 67, 128}, {33, 1700, 3, 65536}, {48, 4097, 1, 2048}};
    uint64_t state = check_seed();
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        struct work work;
        work_init(&work, shapes[s].rows, shapes[s].columns, shapes[s].group_size,
                  shapes[s].batch, &state);
        quantize_all(tables[0], &work);
        for (size_t i = 0; i < count; i++)
            for (enum product product = FORWARD; product < PRODUCTS; product++)
                check_same(&work, tables[i], product, &state);
        work_fini(&work);
    }
}

/* x, bias, y and gradients one byte off: as protocol buffers deliver them. */
static void misaligned(void)
{
    uint64_t state = check_seed();
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    struct work work;
    work_init(&work, 50, 333, 64, 5, &state);
    const size_t x_bytes = 5 * 333 * sizeof(float), y_bytes = 5 * 50 * sizeof(float);
    float *x = linear_floats(5 * 333 + 1), *y = linear_floats(5 * 50 + 1);
    for (size_t i = 0; i < count; i++) {
        float *want = run_all(tables[i], &work, FORWARD);
        float *moved = x + 1, *into = y + 1; /* 4 bytes: less is no float */
        memcpy(moved, work.x, x_bytes);
        linear_forward(tables[i], &work.c.matrix, moved, 5, work.bias, 0, 50, into);
        CHECK_MEM(into, want, y_bytes);
        free(want);
    }
    free(x);
    free(y);
    work_fini(&work);
}

/* ---- layout and quantization
 * ----------------------------------------------------------------
 */

static void packs_by_parts(void)
{
    uint64_t state = check_seed();
    for (int round = 0; round < 50; round++) {
        struct linear_case c;
        const uint64_t rows = linear_any(&state, 1, 60);
        const uint64_t columns = linear_any(&state, 1, 600);
        linear_case_init(&c, rows, columns, 64, &state);
        const uint64_t bytes = linear_code_bytes(rows, columns);
        CHECK_EQ(bytes, (rows + 15) / 16 * 16 * ((columns + 15) / 16 * 16) / 4);
        uint8_t *again = malloc((size_t)bytes);
        CHECK(again);
        memset(again, 0xff, (size_t)bytes);
        for (uint64_t row = rows; row-- > 0;) /* from the last to the first */
            linear_pack(columns, 64, c.in_sequence + row * ((columns + 3) / 4), row, 1,
                        again);
        CHECK_MEM(again, c.codes, (size_t)bytes);
        free(again);
        linear_case_fini(&c);
    }
}

static void group_sizes_held(void)
{
    CHECK(linear_supports(16) && linear_supports(48) && linear_supports(128));
    CHECK(linear_supports(65536));
    CHECK(!linear_supports(0) && !linear_supports(8) && !linear_supports(100));
    CHECK(!linear_supports(65552));
}

static void check_quantized(const struct work *work)
{
    const uint64_t columns = work->c.matrix.columns, stride = linear_quantized(columns);
    float top = 0.0f;
    for (uint64_t i = 0; i < columns; i++)
        top = fmaxf(top, fabsf(work->x[i]));
    CHECK(work->absmax[0] == top);
    int64_t sums = 0, all = 0;
    for (uint64_t i = 0; i < stride; i++) {
        const float want = i < columns ? rintf(work->x[i] * (127.0f / top)) : 0.0f;
        CHECK((float)work->q[i] == want);
        all += work->q[i];
    }
    for (uint64_t g = 0; g < work->c.groups; g++)
        sums += work->sums[g];
    CHECK(sums == all);
}

static void quantizes(void)
{
    uint64_t state = check_seed();
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    for (int round = 0; round < 50; round++) {
        struct work work;
        work_init(&work, 1, linear_any(&state, 1, 700), 32, 1, &state);
        for (size_t i = 0; i < count; i++) {
            quantize_all(tables[i], &work);
            check_quantized(&work);
        }
        work_fini(&work);
    }
}

static void quantizes_zeros_and_worse(void)
{
    static const float values[] = {0.0f, -0.0f, 0x1p-149f, -0x1p-122f};
    uint64_t state = check_seed();
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    struct work work;
    work_init(&work, 3, 100, 16, 1, &state);
    for (size_t i = 0; i < count; i++) {
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
            for (uint64_t c = 0; c < 100; c++)
                work.x[c] = values[v];
            quantize_all(tables[i], &work);
            CHECK(work.absmax[0] == 0.0f);
            for (uint64_t c = 0; c < linear_quantized(100); c++)
                CHECK(work.q[c] == 0);
        }
        work.x[7] = INFINITY;
        quantize_all(tables[i], &work);
        CHECK(isinf(work.absmax[0]));
        work.x[8] = NAN;
        quantize_all(tables[i], &work);
        CHECK(isnan(work.absmax[0]));
    }
    work_fini(&work);
}

/* All codes 2 and all q 127 or -127: the largest sums there are. */
static void largest_sums(void)
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
        quantize_all(tables[0], &work);
        for (size_t i = 0; i < count; i++) {
            float *out = run_all(tables[i], &work, FORWARD_INT8);
            for (uint64_t r = 0; r < 80; r++)
                CHECK(out[r] == int8_written_out(&work, 0, r));
            free(out);
        }
    }
    work_fini(&work);
}

static void int8_near_f32(void)
{
    uint64_t state = check_seed();
    const struct kernels *kernels = kernels_select(NULL);
    struct work work;
    work_init(&work, 64, 2048, 128, 4, &state);
    quantize_all(kernels, &work);
    float *exact = run_all(kernels, &work, FORWARD);
    float *rough = run_all(kernels, &work, FORWARD_INT8);
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

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"products are within 1e-6 of the f64 result", near_f64},
        {"products sum in the order that linear.h states", in_order},
        {"products have the same bits on every ISA and for every split", same_everywhere},
        {"large shapes have the same bits on every ISA and for every split",
         same_when_large},
        {"activations and results may lie anywhere", misaligned},
        {"rows may be laid out one by one, in any order", packs_by_parts},
        {"group sizes are multiples of 16 up to 65536", group_sizes_held},
        {"int8 activations are rounded to nearest even", quantizes},
        {"rows without a scale are zeros, infinite ones are seen",
         quantizes_zeros_and_worse},
        {"int8 products are exact at their largest", largest_sums},
        {"int8 activations cost little precision", int8_near_f32},
    };
    return CHECK_RUN(cases, argc, argv);
}
