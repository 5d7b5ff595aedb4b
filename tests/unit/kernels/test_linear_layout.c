/* SPDX-License-Identifier: Apache-2.0 */
/* The layout of codes, and the quantization of activations to int8. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/linear/linear.h"
#include "tests/lib/check.h"
#include "tests/lib/linear_work.h"

CASE(packs_by_parts, "rows may be packed one by one, in any order")
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

CASE(group_sizes_held, "group sizes are multiples of 16 up to 65536")
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

CASE(quantizes, "int8 activations are rounded to nearest even")
{
    uint64_t state = check_seed();
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    for (int round = 0; round < 50; round++) {
        struct work work;
        work_init(&work, 1, linear_any(&state, 1, 700), 32, 1, &state);
        for (size_t i = 0; i < count; i++) {
            work_quantize(tables[i], &work);
            check_quantized(&work);
        }
        work_fini(&work);
    }
}

CASE(quantizes_zeros_and_infinities,
     "rows of zeros have scale 0, and infinite values are reported")
{
    static const float values[] = {0.0f, -0.0f, 0x1p-149f, -0x1p-122f};
    uint64_t state = check_seed();
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    struct work work;
    work_init(&work, 3, 100, 16, 1, &state);
    for (size_t i = 0; i < count; i++) {
        for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
            for (uint64_t c = 0; c < 100; c++)
                work.x[c] = values[v];
            work_quantize(tables[i], &work);
            CHECK(work.absmax[0] == 0.0f);
            for (uint64_t c = 0; c < linear_quantized(100); c++)
                CHECK(work.q[c] == 0);
        }
        work.x[7] = INFINITY;
        work_quantize(tables[i], &work);
        CHECK(isinf(work.absmax[0]));
        work.x[8] = NAN;
        work_quantize(tables[i], &work);
        CHECK(isnan(work.absmax[0]));
    }
    work_fini(&work);
}
