/* SPDX-License-Identifier: Apache-2.0 */
/* I2_S of other builds of bitnet.cpp (src/ggml-bitnet-mad.cpp, quantize_i2_s). Four codes share a
 * byte in each order, the first in its highest bits. */
#include "drive/explain_order.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "checkpoint/decode.h"

enum order {
    ORDER_ARM,  /* blocks of 64 codes, those of a byte 16 apart */
    ORDER_ROWS, /* of x86 without ACT_PARALLEL: those of a byte in four rows */
    ORDERS,
};

static const char *const builds[ORDERS] = {"ARM", "x86 without ACT_PARALLEL"};

enum { ROWS_STEP = 4, PIECE_ELEMENTS = 1 << 20 };

/* Some rows of both sides. */
struct order_rows {
    const uint8_t *codes;
    const void *latents;
    enum trit_dtype dtype;
    uint64_t count, columns;
};

static int code_at(enum order order, const struct order_rows *rows, uint64_t row,
                   uint64_t column)
{
    const uint64_t at = row * rows->columns + column;

    if (order == ORDER_ARM)
        return (rows->codes[at / 64 * 16 + at % 16] >> (6 - 2 * (at % 64 / 16)) & 3) - 1;
    return (rows->codes[row / 4 * rows->columns + column] >> (6 - 2 * (row % 4)) & 3) - 1;
}

/* At the threshold the last bit of the mean decides, so both codes are accepted. */
static bool code_fits(int code, float latent, float mean)
{
    const float twice = 2 * fabsf(latent);

    if (fabsf(twice - mean) <= 0x1p-22F * mean)
        return code == 0 || (code < 0) == (latent < 0);
    return twice > mean ? code == (latent < 0 ? -1 : 1) : code == 0;
}

static bool rows_fit(enum order order, const struct order_rows *rows, float mean)
{
    for (uint64_t row = 0; row < rows->count; row++)
        for (uint64_t i = 0; i < rows->columns; i++)
            if (!code_fits(code_at(order, rows, row, i),
                           float_at(rows->dtype, rows->latents, row * rows->columns + i),
                           mean))
                return false;
    return true;
}

/* Reads the rows from `first` on; -1: it failed. */
static int try_rows(const struct explain_parts *parts, uint64_t first, uint64_t count,
                    float mean, bool fits[ORDERS])
{
    const uint64_t columns = parts->matrices.columns,
                   size = dtype_bytes(parts->latents_dtype);
    const uint64_t code_bytes = count * columns / 4,
                   latent_bytes = count * columns * size;
    uint8_t *codes = malloc(code_bytes), *latents = malloc(latent_bytes);
    int result = -1;

    if (codes && latents &&
        matrix_read(parts->data, first * columns / 4, codes, code_bytes) == 0 &&
        matrix_read(parts->latents, first * columns * size, latents, latent_bytes) == 0) {
        const struct order_rows rows = {codes, latents, parts->latents_dtype, count,
                                        columns};

        for (enum order order = 0; order < ORDERS; order++)
            fits[order] = fits[order] && rows_fit(order, &rows, mean);
        result = 0;
    }
    free(codes);
    free(latents);
    return result;
}

int explain_order(struct file_findings *findings, const struct explain_parts *parts,
                  float mean)
{
    struct file_finding *differ =
        findings_find(findings, TRIT_FINDING_CODES_DIFFER, parts->name);
    const uint64_t rows = parts->matrices.rows, columns = parts->matrices.columns;
    const uint64_t step =
        u64_max(PIECE_ELEMENTS / columns, ROWS_STEP) / ROWS_STEP * ROWS_STEP;
    bool fits[ORDERS] = {true, rows % ROWS_STEP == 0};

    if (!differ || parts->content->terms.encoding != TRIT_ENCODING_I2_S)
        return 0;
    for (uint64_t first = 0; first < rows && (fits[ORDER_ARM] || fits[ORDER_ROWS]);
         first += step)
        if (try_rows(parts, first, u64_min(step, rows - first), mean, fits) < 0)
            return -1;
    if (!fits[ORDER_ARM] && !fits[ORDER_ROWS])
        return 0;
    differ->finding.severity = TRIT_SEVERITY_UNDECIDED;
    differ->hint = NULL;
    snprintf(
        differ->finding.hint, sizeof(differ->finding.hint),
        "they are those of the projection in the order of bitnet.cpp's builds for %s, "
        "which is not read; convert the model on x86",
        builds[fits[ORDER_ARM] ? ORDER_ARM : ORDER_ROWS]);
    return 0;
}
