/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/summary.h"

#include <inttypes.h>
#include <math.h>

#include "proto/finding.h"

bool report_passes(const struct trit_report *report)
{
    return report_verdict(report) == TRIT_VERDICT_PASS;
}

/* The worst finding, if it says more than that the layer is not ternary. */
static const struct trit_finding *telling_finding(const struct trit_report *report)
{
    const struct trit_finding *worst = report->finding_count ? report->findings : NULL;

    return worst && worst->severity >= TRIT_SEVERITY_UNDECIDED &&
                   worst->kind != TRIT_FINDING_NOT_TERNARY &&
                   worst->kind != TRIT_FINDING_NON_FINITE
               ? worst
               : NULL;
}

const char *verdict_text(char text[VERDICT_BYTES], const struct trit_report *report)
{
    const struct trit_finding *telling = telling_finding(report);

    if (report->non_finite)
        snprintf(text, VERDICT_BYTES, "NOT TERNARY: %" PRIu64 " not finite",
                 report->non_finite);
    else if (telling || (report->elements && report->zeros == report->elements))
        snprintf(text, VERDICT_BYTES, "%s: %s",
                 telling && telling->severity == TRIT_SEVERITY_UNDECIDED ? "UNDECIDED"
                                                                         : "FAIL",
                 finding_kind_name(telling ? telling->kind : TRIT_FINDING_DEAD_LAYER));
    else if (!report->is_ternary)
        snprintf(text, VERDICT_BYTES, "NOT TERNARY: %.2f %% valid",
                 floor(report->fraction_valid * 1e4) / 1e2);
    else if (report->has_reference && report->reference_mismatches)
        snprintf(text, VERDICT_BYTES, "MISMATCH: %" PRIu64 " weights, first at %" PRIu64,
                 report->reference_mismatches, report->first_mismatch);
    else
        snprintf(text, VERDICT_BYTES, "ternary%s",
                 report->has_reference ? ", as the reference" : "");
    return text;
}

struct grid *summary_create(void)
{
    static const struct grid_column columns[] = {
        {"layer", GRID_LEFT},      {"shape", GRID_LEFT},   {"-1", GRID_RIGHT},
        {"0", GRID_RIGHT},         {"+1", GRID_RIGHT},     {"scales", GRID_LEFT},
        {"SQNR (dB)", GRID_RIGHT}, {"verdict", GRID_LEFT},
    };

    return grid_create(columns, sizeof(columns) / sizeof(columns[0]));
}

void share_cell(struct grid *grid, uint64_t part, uint64_t whole)
{
    if (whole)
        grid_cell(grid, "%.1f %%", 100.0 * (double)part / (double)whole);
    else
        grid_cell(grid, "-");
}

void scale_cell(struct grid *grid, const struct trit_report *report)
{
    if (report->has_scales)
        grid_cell(grid, "%.4g .. %.4g", (double)report->scale_min,
                  (double)report->scale_max);
    else
        grid_cell(grid, "-");
}

void summary_row(struct grid *grid, const char *layer, const char *shape,
                 const struct trit_report *report)
{
    char verdict[VERDICT_BYTES];

    grid_cell(grid, "%s", layer);
    grid_cell(grid, "%s", shape);
    share_cell(grid, report->negatives, report->elements);
    share_cell(grid, report->zeros, report->elements);
    share_cell(grid, report->positives, report->elements);
    scale_cell(grid, report);
    if (report->has_sqnr_db)
        grid_cell(grid, "%.2f", report->sqnr_db);
    else
        grid_cell(grid, "-");
    grid_cell(grid, "%s", verdict_text(verdict, report));
}
