/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/report.h"

#include <math.h>
#include <string.h>

#include "services/ternary/report_findings.h"

/* Values of the tensor divided by their scale: invalid ones first, then -1, 0, +1, then
 * those that are valid only within the tolerance. */
static void samples(const struct merge *merge, const struct task *task,
                    struct trit_report *report)
{
    const struct ternary_counts *counts = &merge->counts;
    const struct ternary_check *check = &merge->check;
    uint32_t seen = check->trits_seen, n = 0;

    if (task->op == TASK_TERNARIZE)
        seen = (counts->negatives ? 1U : 0) | (counts->zeros ? 2U : 0) |
               (counts->positives ? 4U : 0);
    for (uint32_t i = 0; i < check->sample_count && n < TRIT_SAMPLES_MAX - 3; i++)
        report->sample_values[n++] = check->samples[i];
    for (uint32_t t = 0; t < 3; t++)
        if (seen >> t & 1)
            report->sample_values[n++] = (float)t - 1;
    for (uint32_t i = 0; i < check->near_count && n < TRIT_SAMPLES_MAX; i++)
        report->sample_values[n++] = check->near[i];
    report->sample_count = n;
}

/* sqrt(a * b); exactly a where a == b. */
static double geometric_mean(double a, double b)
{
    return isnormal(a * b) ? sqrt(a * b) : sqrt(a) * sqrt(b);
}

static void measure_error(const struct merge *merge, struct trit_report *report)
{
    const struct group_sums *sums = &merge->sums;
    double lengths = geometric_mean(sums->energy, sums->norm);

    if (!isfinite(sums->energy) || !isfinite(sums->error))
        return;
    report->has_mse = true;
    report->mse = sums->error / (double)merge->elements;
    report->has_cosine = lengths > 0 && isfinite(sums->dot / lengths);
    if (report->has_cosine)
        report->cosine = fmax(-1, fmin(1, sums->dot / lengths));
    report->has_sqnr_db = sums->error > 0 && sums->energy > 0;
    if (report->has_sqnr_db)
        report->sqnr_db = 10 * log10(sums->energy / sums->error);
}

void report_identify(struct trit_report *report, const struct plan *plan)
{
    report->dtype = plan->spec.dtype;
    report->rank = plan->spec.rank;
    memcpy(report->shape, plan->spec.shape, sizeof(report->shape));
    report->group_size = plan->spec.group_size;
    report->groups = plan->groups;
    report->elements = plan->elements;
}

void report_of_merge(struct trit_report *report, struct merge *merge,
                     const struct task *task)
{
    const struct plan *plan = &task->plan;
    const struct ternary_counts *counts = &merge->counts;
    const struct ternary_check *check = &merge->check;
    double elements = (double)plan->elements;
    uint64_t valid = task->op == TASK_TERNARIZE ? plan->elements - counts->non_finite
                                                : merge->check.valid;

    report_identify(report, plan);
    report->is_ternary = valid == plan->elements && counts->non_finite == 0 &&
                         merge->lost.count == 0 && check->scales_negative.count == 0 &&
                         check->scales_zero.count == 0;
    report->fraction_valid = (double)valid / elements;
    report->max_round_error = (double)merge->check.max_round_error;
    samples(merge, task, report);
    report->negatives = counts->negatives;
    report->zeros = counts->zeros;
    report->positives = counts->positives;
    report->zero_groups = counts->zero_groups;
    report->non_finite = counts->non_finite;
    report->has_scales = merge->finite_scales > 0;
    if (report->has_scales) {
        report->scale_min = merge->scale_min;
        report->scale_max = merge->scale_max;
        report->scale_mean = merge->scale_sum / (double)merge->finite_scales;
    }
    report->scales_lossy_fp16 = counts->scales_lossy_fp16;
    if (task->wants_sums && counts->non_finite == 0 &&
        check->reference_infinite.count == 0)
        measure_error(merge, report);
    report->near_threshold_fraction = (double)counts->near_threshold / elements;
    if (task->has_reference) {
        report->has_reference = true;
        report->reference_mismatches = merge->check.mismatches;
        report->first_mismatch =
            merge->check.mismatches ? merge->check.first_mismatch : 0;
    }
    if (merge->codes_hash)
        merge_digest(merge, task, report->digest);
    report_findings(report, merge, task);
    strncpy(report->kernel, kernels_name(task->kernels), sizeof(report->kernel) - 1);
}
