/* SPDX-License-Identifier: Apache-2.0 */
#include "drive/explain_matrix.h"

#include <stdlib.h>

#include "base/number.h"
#include "checkpoint/explain.h"
#include "drive/explain_order.h"
#include "kernels/lanes.h"

enum {
    LOADED_BYTES_MAX = 64 << 20, /* of claim and latents together */
    MEASURED_BYTES = 1 << 20,    /* of latents at a time */
};

/* The rows that are compared. */
struct rows {
    uint64_t first, count;
};

static struct rows rows_of(const struct explain_parts *parts,
                           const struct trit_report *report)
{
    const uint64_t all = parts->matrices.rows, columns = parts->matrices.columns;
    const uint64_t bytes = (parts->data->data ? 0 : parts->data->bytes) +
                           (parts->latents->data ? 0 : parts->latents->bytes);
    struct rows rows = {0, all};

    if (bytes <= LOADED_BYTES_MAX)
        return rows;
    if (report->reference_mismatches)
        rows.first = u64_min(report->first_mismatch / columns, all - 1);
    rows.count = LOADED_BYTES_MAX / (bytes / all);
    rows.count = u64_min(rows.count ? rows.count : 1, all - rows.first);
    return rows;
}

/* The rows' bytes: in the loaded matrix, or read into *copy (for free). NULL: they could
 * not be read. */
static const void *take_rows(struct matrix *matrix, const struct explain_parts *parts,
                             const struct rows *rows, void **copy)
{
    const uint64_t row_bytes = matrix->bytes / parts->matrices.rows;
    const uint64_t from = rows->first * row_bytes;

    *copy = NULL;
    if (matrix->data)
        return (const char *)matrix->data + from;
    return matrix_piece(matrix, from, rows->count * row_bytes, copy) < 0 ? NULL : *copy;
}

/* The mean magnitude of all latents, a piece at a time. */
static int measure(struct matrix *matrix, enum trit_dtype dtype, float *mean)
{
    struct magnitude_lanes lanes = {{0}};
    struct kernels_env env;
    uint64_t count;
    void *piece;

    for (uint64_t at = 0; at < matrix->bytes; at += count) {
        count = u64_min(MEASURED_BYTES, matrix->bytes - at);
        if (matrix_piece(matrix, at, count, &piece) < 0)
            return -1;
        kernels_enter(&env);
        magnitude_lanes_add(&lanes, dtype, piece, (size_t)count / dtype_bytes(dtype));
        kernels_leave(&env);
        free(piece);
    }
    *mean = magnitude_lanes_mean(&lanes, matrix->bytes / dtype_bytes(dtype));
    return 0;
}

/* For a tensor with one scale only that scale is explained. */
static int explain_scale(struct file_findings *findings,
                         const struct explain_parts *parts)
{
    float mean, scale;
    struct explained what = {
        .claim = {.rows = parts->matrices.rows,
                  .columns = parts->matrices.columns,
                  .terms = parts->content->terms,
                  .dtype = parts->dtype,
                  .scales = parts->scales,
                  .scales_dtype = parts->scales_dtype},
        .latents_dtype = parts->latents_dtype,
        .mean = &mean,
        .reciprocal = parts->reciprocal,
    };

    const uint32_t tail = encoding_layout(what.claim.terms.encoding)->tail_bytes;
    if (tail) { /* it begins with the scale */
        what.claim.scales = &scale;
        what.claim.scales_dtype = TRIT_F32;
        if (matrix_read(parts->data, parts->data->bytes - tail, &scale, sizeof(scale)) <
            0)
            return -1;
    }
    if (measure(parts->latents, what.latents_dtype, &mean) < 0)
        return -1;
    findings_explain(findings, parts->name, &what);
    return explain_order(findings, parts, mean);
}

int explain_matrix(struct file_findings *findings, const struct explain_parts *parts,
                   const struct trit_report *report)
{
    if (matrix_is_whole(parts->content->terms.encoding))
        return explain_scale(findings, parts);

    const struct rows rows = rows_of(parts, report);
    struct explained what = {
        .claim = {.rows = rows.count,
                  .columns = parts->matrices.columns,
                  .terms = parts->content->terms,
                  .dtype = parts->dtype,
                  .scales_dtype = parts->scales_dtype},
        .latents_dtype = parts->latents_dtype,
        .reciprocal = parts->reciprocal,
        .first_row = rows.first,
        .all_rows = parts->matrices.rows,
    };
    void *data, *latents;
    bool taken;

    what.claim.data = take_rows(parts->data, parts, &rows, &data);
    what.latents = take_rows(parts->latents, parts, &rows, &latents);
    taken = what.claim.data && what.latents;
    if (parts->scales)
        what.claim.scales = (const char *)parts->scales +
                            rows.first * (parts->scale_bytes / parts->matrices.rows);
    if (taken)
        findings_explain(findings, parts->name, &what);
    free(data);
    free(latents);
    return taken ? 0 : -1;
}
