/* SPDX-License-Identifier: Apache-2.0 */
/* Finds out why a matrix is not the projection of its latents. */
#include "client/cli/verify_explain.h"

#include <stdlib.h>

#include "base/number.h"
#include "checkpoint/explain.h"

enum { LOADED_BYTES_MAX = 64 << 20 }; /* of claim and latents together */

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

bool verify_has_reciprocals(const struct verifying *v)
{
    return !v->record.layers && config_has_reciprocals(v->rules.config);
}

int verify_explain(struct verifying *v, struct subject *subject,
                   const struct trit_report *report)
{
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
