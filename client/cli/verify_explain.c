/* SPDX-License-Identifier: Apache-2.0 */
/* Finds out why a matrix is not the projection of its latents. */
#include "client/cli/verify_explain.h"

#include <stdlib.h>

#include "base/number.h"
#include "checkpoint/explain.h"
#include "kernels/lanes.h"

enum {
    LOADED_BYTES_MAX = 64 << 20, /* of claim and latents together */
    MEASURED_BYTES = 1 << 20,    /* of latents at a time */
};

/* The rows that are compared. */
struct rows {
    uint64_t first, count;
};

static struct rows rows_of(const struct subject *subject,
                           const struct trit_report *report)
{
    const uint64_t all = subject->matrices.rows, columns = subject->matrices.columns;
    const uint64_t bytes =
        (subject->data.data ? 0 : subject->data.bytes) +
        (subject->reference_data.data ? 0 : subject->reference_data.bytes);
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
static const void *take_rows(struct matrix *matrix, const struct subject *subject,
                             const struct rows *rows, void **copy)
{
    const uint64_t row_bytes = matrix->bytes / subject->matrices.rows;
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
static int explain_scale(struct verifying *v, struct subject *subject)
{
    float mean;
    const struct explained what = {
        .claim = {.rows = subject->matrices.rows,
                  .columns = subject->matrices.columns,
                  .terms = subject->content->terms,
                  .dtype = subject->dtype,
                  .scales = subject->scale_data.data,
                  .scales_dtype = subject->scales ? subject->scales->type->dtype
                                                  : TRIT_DTYPE_UNSPECIFIED},
        .latents_dtype = subject->reference->type->dtype,
        .mean = &mean,
        .reciprocal = verify_has_reciprocals(v),
    };

    if (measure(&subject->reference_data, what.latents_dtype, &mean) < 0)
        return -1;
    findings_explain(&v->findings, subject->name, &what);
    return 0;
}

bool verify_has_reciprocals(const struct verifying *v)
{
    return !v->record.layers && config_has_reciprocals(v->rules.config);
}

int verify_explain(struct verifying *v, struct subject *subject,
                   const struct trit_report *report)
{
    if (matrix_is_whole(subject->content->terms.encoding))
        return explain_scale(v, subject);

    const struct rows rows = rows_of(subject, report);
    struct explained what = {
        .claim = {.rows = rows.count,
                  .columns = subject->matrices.columns,
                  .terms = subject->content->terms,
                  .dtype = subject->dtype,
                  .scales_dtype = subject->scales ? subject->scales->type->dtype
                                                  : TRIT_DTYPE_UNSPECIFIED},
        .latents_dtype = subject->reference->type->dtype,
        .reciprocal = verify_has_reciprocals(v),
        .first_row = rows.first,
        .all_rows = subject->matrices.rows,
    };
    void *data, *latents;
    bool taken;

    what.claim.data = take_rows(&subject->data, subject, &rows, &data);
    what.latents = take_rows(&subject->reference_data, subject, &rows, &latents);
    taken = what.claim.data && what.latents;
    if (subject->scales) /* they are in memory */
        what.claim.scales =
            (const char *)subject->scale_data.data +
            rows.first * (subject->scale_data.bytes / subject->matrices.rows);
    if (taken)
        findings_explain(&v->findings, subject->name, &what);
    free(data);
    free(latents);
    return taken ? 0 : -1;
}
